"""Where a courier is going: from the route he has to the leg he is on.

His route says what he has to do and in which order; his heading is the restaurant he drives to or
waits at. A leg that has begun is finished first, unless Policy lets couriers be diverted. The
orders that a new leg is about are told of it, and each word to an order names the assignment it is
about.
"""

from collections.abc import Callable, Iterable

from msgspec import structs

from dispatch import route as stops
from dispatch.courier_state import LEGAL, Courier, Emptied, Heading, RouteChanged
from dispatch.delivery import ArriveAtPickup, ByCourier, Depart, DepartToDropOff
from dispatch.ids import Instant, OfferId, OrderId
from dispatch.policy import Policy
from dispatch.route import DropOff, Pickup, Task
from dispatch.step import Effect, Tell


def onward(
    before: Courier, courier: Courier, now: Instant, policy: Policy
) -> tuple[Courier, tuple[Effect, ...]]:
    """Return the courier on the leg to his next stop, and the orders that are told of it.

    `before` is the courier as he was: an order is told only of what is new to it.
    """
    match next_stop(courier):
        case Pickup() as pickup:
            return _to_pickup(before, courier, pickup, now, policy)
        case DropOff(order_id):
            return _to_door(before, courier, order_id, policy)
        case None:
            return courier, ()


def next_stop(courier: Courier) -> Pickup | DropOff | None:
    """Return the first stop of his route."""
    return courier.route[0] if courier.route else None


def leads_to(heading: Heading | None, pickup: Pickup) -> bool:
    """Tell whether the leg he is on ends at this pickup."""
    return heading is not None and (heading.restaurant_id, heading.point) == (
        pickup.restaurant_id,
        pickup.point,
    )


def is_driving(courier: Courier) -> bool:
    """Tell whether he is on a leg to a restaurant that he has not reached yet."""
    return courier.heading is not None and courier.heading.arrived_at is None


def is_advised(courier: Courier) -> bool:
    """Tell whether he is on his way to where he is to wait for work."""
    return is_driving(courier) and courier.heading is not None and courier.heading.is_advised


def may_turn(courier: Courier, policy: Policy) -> bool:
    """Tell whether this courier could be sent elsewhere, on whatever leg he is.

    Advice where to wait is no work: who does not follow it must still get some.
    """
    is_light = is_advised(courier) and not policy.repositioning.binds
    return policy.diverts or is_light or not is_driving(courier)


def _to_pickup(
    before: Courier, courier: Courier, pickup: Pickup, now: Instant, policy: Policy
) -> tuple[Courier, tuple[Effect, ...]]:
    heading, told = courier.heading, _news(before, courier, pickup)
    if heading is None or not leads_to(heading, pickup):
        if not may_turn(courier, policy):
            return courier, ()
        heading, told = _set_out(courier, pickup, now), pickup.order_ids
    word = Depart if heading.arrived_at is None else ArriveAtPickup
    under_way = structs.replace(courier, heading=structs.replace(heading, is_advised=False))
    return under_way, tuple(said(courier, order_id, word) for order_id in told)


def _set_out(courier: Courier, pickup: Pickup, now: Instant) -> Heading:
    return Heading(
        restaurant_id=pickup.restaurant_id,
        point=pickup.point,
        origin=courier.point,
        departed_at=max(now, courier.leaves_at),
    )


def _news(before: Courier, courier: Courier, pickup: Pickup) -> tuple[OrderId, ...]:
    """Return the orders of this pickup that have not heard of the leg to it."""
    last = next_stop(before)
    is_under_way = isinstance(last, Pickup) and leads_to(before.heading, last)
    if not is_under_way or not leads_to(before.heading, pickup):
        return pickup.order_ids
    known = {(task.order_id, task.offer_id) for task in before.tasks}
    return tuple(one for one in pickup.order_ids if (one, offer_of(courier, one)) not in known)


def _to_door(
    before: Courier, courier: Courier, order_id: OrderId, policy: Policy
) -> tuple[Courier, tuple[Effect, ...]]:
    if is_driving(courier) and not policy.diverts:
        return courier, ()
    leaving = structs.replace(courier, heading=None)
    is_told = before.route[:1] == courier.route[:1] and before.heading is None
    if is_told or order_id in courier.returning:
        return leaving, ()
    return leaving, (said(courier, order_id, DepartToDropOff),)


def said(
    courier: Courier, order_id: OrderId, word: Callable[..., ByCourier], **rest: object
) -> Tell:
    """Return his word to one of his orders, in the name of the assignment that it is about."""
    message = word(courier_id=courier.courier_id, offer_id=offer_of(courier, order_id), **rest)
    return Tell("order", order_id, message)


def offer_of(courier: Courier, order_id: OrderId) -> OfferId | None:
    """Return the offer by which the order became his."""
    return task_of(courier, order_id).offer_id


def task_of(courier: Courier, order_id: OrderId) -> Task:
    """Return what he knows of an order that he has."""
    return next(task for task in courier.tasks if task.order_id == order_id)


def dropping(courier: Courier, order_ids: Iterable[OrderId]) -> Courier:
    """Return the courier with these orders out of his route, his bag and his mind."""
    route, gone = courier.route, frozenset(order_ids)
    for order_id in gone:
        route = stops.without(route, order_id)
    lighter = structs.replace(
        courier,
        route=route,
        tasks=tuple(task for task in courier.tasks if task.order_id not in gone),
        carried=tuple(order_id for order_id in courier.carried if order_id not in gone),
        returning=tuple(order_id for order_id in courier.returning if order_id not in gone),
    )
    return at_no_door(lighter)


def at_no_door(courier: Courier) -> Courier:
    """Return the courier as one who left the door he was at, unless he brings more to it."""
    brings = [order_id for order_id in courier.carried if order_id not in courier.returning]
    if any(stands_for(courier, order_id) for order_id in brings):
        return courier
    return structs.replace(courier, doorstep=None)


def stands_for(courier: Courier, order_id: OrderId) -> bool:
    """Tell whether he waits at the door of an order that he carries."""
    doorstep = courier.doorstep
    if doorstep is None:
        return False
    return order_id == doorstep.order_id or task_of(courier, order_id).dropoff == doorstep.point


def rested(courier: Courier) -> Courier:
    """Return a leaving courier who has nothing left to do as off, anybody else as he is."""
    stage = LEGAL[courier.stage].get(Emptied)
    if stage is None or courier.route:
        return courier
    return structs.replace(courier, stage=stage, heading=None)


def route_news(courier: Courier) -> Tell:
    """Return the word to the courier of what he has to do now."""
    heading = courier.heading
    news = RouteChanged(
        stops=courier.route,
        heading=heading.restaurant_id if heading else None,
        point=heading.point if heading else None,
        version=courier.version,
        market_id=courier.market_id,
    )
    return Tell("feed", courier.courier_id, news)
