"""When an order is expected to arrive, said from what is known of it, with how sure that is.

Until an order has been picked up: when the food is ready (as the kitchen says, else after the
market's usual preparation time), the hand-over at the restaurant, the way as the crow flies at the
usual speed and detour, and half of the hand-over at the door, by when the food changes hands. After
pickup: the same from the pickup on. It does not move with the clock: an arrival that has passed
means that the order is late. The margins are what kitchens and ways have been measured to stray by.
"""

from msgspec import Struct

from api.ports import Ground
from dispatch.delivery import DeliveryStatus
from dispatch.ids import Instant, after
from dispatch.kitchen import OrderStatus
from dispatch.policy import Policy
from geo.point import LatLng
from geo.projection import OutOfReach
from geo.travel import StraightLine
from storage.orders import OrderRow

WAY = StraightLine(speed_mps=4.5, detour=1.4)
KITCHEN_MARGIN_S = 720.0
"""Before the food is ready: what preparation strays by in eight of ten orders."""
READY_MARGIN_S = 300.0
"""Once it is ready, and a courier has to come."""
WAY_MARGIN_SHARE = 0.25
WAY_MARGIN_S_MIN = 120.0
_EXPECTED = frozenset(DeliveryStatus) - {
    DeliveryStatus.DELIVERED,
    DeliveryStatus.CANCELED,
    DeliveryStatus.FAILED,
    DeliveryStatus.RETURNING,
    DeliveryStatus.RETURNED,
}


class Arrival(Struct, frozen=True):
    """When it is expected, no sooner than `low` and no later than `high` in most cases."""

    at: Instant
    low: Instant
    high: Instant


def arrival(order: OrderRow, ground: Ground | None) -> Arrival | None:
    """Return when the order is expected; None when it is not any more, or its market is unknown."""
    if ground is None or order.delivery_status not in _EXPECTED:
        return None
    way_s, policy = _way_s(order, ground), ground.policy
    if way_s is None:
        return None
    margin_s = max(WAY_MARGIN_S_MIN, WAY_MARGIN_SHARE * way_s)
    if order.picked_up_at is not None:
        at = after(order.picked_up_at, way_s + policy.dropoff_s / 2)
    else:
        at = after(_ready_at(order, policy), policy.pickup_s + way_s + policy.dropoff_s / 2)
        is_ready = order.status is OrderStatus.READY_FOR_PICKUP
        margin_s += READY_MARGIN_S if is_ready else KITCHEN_MARGIN_S
    return Arrival(at, after(at, -margin_s), after(at, margin_s))


def _ready_at(order: OrderRow, policy: Policy) -> Instant:
    usual = after(order.created_at, policy.prep_default_s)
    return order.ready_at or max(usual, order.wanted_at or usual)


def _way_s(order: OrderRow, ground: Ground) -> float | None:
    """Return the time of the way; None when the market has moved away from it meanwhile."""
    pickup, dropoff = order.asked.pickup, order.asked.dropoff
    try:
        return WAY.seconds(
            ground.projection.to_point(LatLng(pickup.lat, pickup.lng)),
            ground.projection.to_point(LatLng(dropoff.lat, dropoff.lng)),
        )
    except OutOfReach:
        return None
