"""When an order is expected to arrive, said from what is known of it, with how sure that is.

What is known is the order's row, and what its market has learned of how long things take
(`geo.eta`), as its node shares it. Nothing is learned here. An estimate moves with the clock: what
has not happened by now is still to come. It is there until the order ends or has no usual way any
more, and not where the market is unknown.
"""

from msgspec import Struct

from api.ports import Ground
from dispatch.arrival import epoch_s, hour_of, instant_of
from dispatch.delivery import AFTER_PICKUP, DeliveryStatus
from dispatch.ids import Instant
from dispatch.kitchen import OrderStatus
from geo.eta import Progress, promise_s
from geo.point import LatLng
from geo.projection import OutOfReach
from storage.orders import OrderRow
from wire.orders import DropOffPlace, PickupPlace

_EXPECTED = frozenset(DeliveryStatus) - {
    DeliveryStatus.DELIVERED,
    DeliveryStatus.CANCELED,
    DeliveryStatus.FAILED,
    DeliveryStatus.RETURNING,
    DeliveryStatus.RETURNED,
}
_COOKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PREPARING})
_COOKED = frozenset({OrderStatus.READY_FOR_PICKUP, OrderStatus.HANDED_OVER})


class Arrival(Struct, frozen=True):
    """When it is expected, no sooner than `low` and no later than `high` in eight of ten cases."""

    at: Instant
    low: Instant
    high: Instant


def arrival(order: OrderRow, ground: Ground | None, now: Instant) -> Arrival | None:
    """Return when the order is expected; None when it is not any more, or its market is unknown."""
    if ground is None or order.delivery_status not in _EXPECTED:
        return None
    way_s = _way_s(order.asked.pickup, order.asked.dropoff, ground)
    if way_s is None:
        return None
    found = ground.eta.arrival(_progress(order, way_s, ground), epoch_s(now))
    return Arrival(instant_of(found.at_s), instant_of(found.low_s), instant_of(found.high_s))


def promised_at(
    restaurant_id: str,
    pickup: PickupPlace,
    dropoff: DropOffPlace,
    ground: Ground,
    now: Instant,
    wanted_at: Instant | None,
) -> Instant | None:
    """Return by when an order that is placed now can be promised, as surely as Policy asks."""
    way_s = _way_s(pickup, dropoff, ground)
    if way_s is None:
        return None
    order = Progress(
        restaurant_id=restaurant_id,
        hour=hour_of(now),
        way_s=way_s,
        load=ground.eta.load,
        placed_s=epoch_s(now),
        wanted_s=None if wanted_at is None else epoch_s(wanted_at),
    )
    return instant_of(promise_s(ground.eta, order, epoch_s(now), ground.policy.promise_share))


def _progress(order: OrderRow, way_s: float, ground: Ground) -> Progress:
    """Return how far an order has come; a courier who is there came when it moved last."""
    moved_s, delivery = epoch_s(order.updated_at), order.delivery_status
    ready_s = None if order.ready_at is None else epoch_s(order.ready_at)
    picked_up_s = None if order.picked_up_at is None else epoch_s(order.picked_up_at)
    return Progress(
        restaurant_id=order.restaurant_id,
        hour=hour_of(order.created_at),
        way_s=way_s,
        load=ground.eta.load,
        placed_s=epoch_s(order.created_at),
        wanted_s=None if order.wanted_at is None else epoch_s(order.wanted_at),
        said_s=ready_s if order.status in _COOKING else None,
        ready_s=ready_s if order.status in _COOKED else None,
        here_s=moved_s if delivery is DeliveryStatus.ARRIVED_AT_PICKUP else None,
        picked_up_s=picked_up_s if delivery in AFTER_PICKUP else None,
        at_door_s=moved_s if delivery is DeliveryStatus.ARRIVED_AT_DROPOFF else None,
    )


def _way_s(pickup: PickupPlace, dropoff: DropOffPlace, ground: Ground) -> float | None:
    """Return the time of the way; None when the market has moved away from it meanwhile."""
    try:
        return ground.way.seconds(
            ground.projection.to_point(LatLng(pickup.lat, pickup.lng)),
            ground.projection.to_point(LatLng(dropoff.lat, dropoff.lng)),
        )
    except OutOfReach:
        return None
