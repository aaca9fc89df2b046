"""How far an order has come, as the estimates of its arrival see it.

`Progress` (geo.eta) is made of an order's state, or moved on by the facts that its customer hears;
its times are seconds since the epoch. A fact that comes again changes nothing. An order whose food
goes from one courier to another, or back to the restaurant, has no usual way any more: None.
"""

from collections.abc import Mapping

from msgspec import structs

from dispatch.delivery import AFTER_PICKUP, DeliveryStatus
from dispatch.ids import Instant
from dispatch.kitchen import COOKING, OrderStatus
from dispatch.order_state import Order, OrderMoved
from geo.eta import HOURS, Progress

HOUR_MS = 3_600_000

_AWAY = frozenset(
    {DeliveryStatus.PENDING, DeliveryStatus.ASSIGNED, DeliveryStatus.ENROUTE_TO_PICKUP}
)
_OVER = frozenset(
    {
        DeliveryStatus.CANCELED,
        DeliveryStatus.FAILED,
        DeliveryStatus.RETURNING,
        DeliveryStatus.RETURNED,
    }
)
_NOTED: Mapping[DeliveryStatus, str] = {
    DeliveryStatus.ARRIVED_AT_PICKUP: "here_s",
    DeliveryStatus.PICKED_UP: "picked_up_s",
    DeliveryStatus.ARRIVED_AT_DROPOFF: "at_door_s",
    DeliveryStatus.DELIVERED: "delivered_s",
}


class EstimatesUnreachable(Exception):
    """The store of what was learned did not answer; what is known here is gone by meanwhile."""


def epoch_s(at: Instant) -> float:
    """Return an instant in seconds."""
    return at / 1_000


def instant_of(epoch_s: float) -> Instant:
    """Return seconds as an instant."""
    return Instant(round(epoch_s * 1_000))


def hour_of(at: Instant) -> int:
    """Return the hour of the day, of UTC: hours are only told from one another."""
    return at // HOUR_MS % HOURS


def progress_of(order: Order, way_s: float, load: float) -> Progress | None:
    """Return how far an order has come, as far as its state tells."""
    held = order.delivery
    if held.status in _OVER or _is_between_couriers(order.status, held.status):
        return None
    is_cooked = order.status not in COOKING and order.status is not OrderStatus.PLACED
    return Progress(
        restaurant_id=order.restaurant_id,
        hour=hour_of(order.placed_at),
        way_s=way_s,
        load=load,
        placed_s=epoch_s(order.placed_at),
        wanted_s=_find_s(order.wanted_at),
        said_s=None if is_cooked else _find_s(order.ready_at),
        ready_s=_find_s(order.ready_at) if is_cooked else None,
        picked_up_s=_find_s(held.picked_up_at) if held.status in AFTER_PICKUP else None,
    )


def came_on(before: Progress, moved: OrderMoved) -> Progress | None:
    """Return how far the order has come after a fact; None once it has no usual way any more."""
    delivery = moved.delivery_status
    if delivery in _OVER or _is_between_couriers(moved.status, delivery):
        return None
    changes: dict[str, float | None] = {}
    if moved.status in COOKING and moved.ready_at is not None:
        changes["said_s"] = epoch_s(moved.ready_at)
    if moved.status is OrderStatus.READY_FOR_PICKUP and before.ready_s is None:
        changes["ready_s"] = _find_s(moved.ready_at)
    if delivery in _AWAY:
        changes["here_s"] = None
    name = _NOTED.get(delivery)
    if name is not None and getattr(before, name) is None:
        changes[name] = epoch_s(moved.at)
    return structs.replace(before, **changes) if changes else before


def _is_between_couriers(status: OrderStatus, delivery: DeliveryStatus) -> bool:
    """Tell whether food that was collected waits for another courier."""
    return status is OrderStatus.HANDED_OVER and delivery not in AFTER_PICKUP


def _find_s(at: Instant | None) -> float | None:
    return None if at is None else epoch_s(at)
