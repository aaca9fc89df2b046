"""What a courier reports: that he is there, has collected, has handed over, or could not.

His word moves his route on and is told to the orders it is about. A report that comes again is
agreed to and changes nothing; one that does not fit what he has to do is refused.
"""

from math import ceil

from msgspec import structs

from dispatch import route as stops
from dispatch.courier_state import (
    RECENT_MAX,
    Abort,
    Arrive,
    BringBack,
    Collect,
    Courier,
    Deliver,
)
from dispatch.delivery import (
    ArriveAtDropOff,
    ArriveAtPickup,
    Discard,
    HandToCustomer,
    PickUp,
    Return,
    StartReturn,
)
from dispatch.heading import (
    at_no_door,
    dropping,
    leads_to,
    next_stop,
    onward,
    rested,
    route_news,
    said,
    stands_for,
    task_of,
)
from dispatch.ids import Instant, OrderId, after, elapsed_s
from dispatch.policy import Policy
from dispatch.route import DropOff, Pickup, Route
from dispatch.step import Accepted, Code, Reply, Step, Tell, refuse
from dispatch.undeliverable import Doorstep, UndeliverableAction, gives_up_at
from geo.point import Point

type Message = Arrive | Collect | Deliver | Abort | BringBack


def reported(
    courier: Courier, message: Message, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Return what the courier's own word does to him."""
    match message:
        case Arrive():
            return _arrived(courier, message, now, policy)
        case Collect():
            return _collected(courier, message, now, policy)
        case Deliver():
            return _delivered(courier, message, now, policy)
        case Abort():
            return _aborted(courier, message, now, policy)
        case BringBack():
            return _brought_back(courier, message, now, policy)


def _agreed(courier: Courier) -> Step[Courier | None]:
    return Step(courier, (Reply(Accepted()),))


def _arrived(
    courier: Courier, message: Arrive, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Note that he waits at the restaurant, or send him on when it has nothing for him."""
    if message.order_id is not None:
        return _arrived_at_door(courier, message.order_id, now)
    heading = courier.heading
    if heading is None or message.restaurant_id not in {None, heading.restaurant_id}:
        return refuse(courier, Code.NOT_AT_STOP, "he is on no way to that restaurant")
    if heading.arrived_at is not None:
        return _agreed(courier)
    there = structs.replace(
        courier,
        heading=structs.replace(heading, arrived_at=now),
        point=heading.point,
        leaves_at=now,
    )
    pickup = next_stop(there)
    if isinstance(pickup, Pickup) and leads_to(heading, pickup):
        told = tuple(said(there, order_id, ArriveAtPickup) for order_id in pickup.order_ids)
        return Step(there, (Reply(Accepted()), *told))
    under_way, effects = onward(courier, there, now, policy)
    news = (route_news(under_way),) if under_way.route else ()
    return Step(under_way, (Reply(Accepted()), *effects, *news))


def _arrived_at_door(courier: Courier, order_id: OrderId, now: Instant) -> Step[Courier | None]:
    if order_id not in courier.carried or order_id in courier.returning:
        return refuse(courier, Code.NOT_AT_STOP, "he is not bringing this order to its door")
    there = courier
    if not stands_for(courier, order_id):
        doorstep = Doorstep(order_id, now, task_of(courier, order_id).dropoff)
        there = structs.replace(courier, doorstep=doorstep)
    return Step(there, (Reply(Accepted()), said(courier, order_id, ArriveAtDropOff)))


def _collected(
    courier: Courier, message: Collect, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Fix the set: these orders are in the bag, and he leaves when the handover is over."""
    wanted, pickup = frozenset(message.order_ids), next_stop(courier)
    if wanted and wanted <= set(courier.carried) | set(courier.recent):
        return _agreed(courier)
    if not isinstance(pickup, Pickup) or not wanted or not wanted <= set(pickup.order_ids):
        return refuse(courier, Code.NOT_AT_STOP, "these are not the orders of his next pickup")
    taken = tuple(order_id for order_id in pickup.order_ids if order_id in wanted)
    loaded = structs.replace(
        courier,
        route=stops.collected(courier.route, taken),
        carried=(*courier.carried, *taken),
        point=pickup.point,
        leaves_at=after(now, policy.pickup_s / 2),
        heading=courier.heading if len(taken) < len(pickup.order_ids) else None,
        version=courier.version + 1,
    )
    under_way, effects = onward(courier, loaded, now, policy)
    told = tuple(said(loaded, order_id, PickUp) for order_id in taken)
    return Step(under_way, (Reply(Accepted()), *told, *effects, route_news(under_way)))


def _delivered(
    courier: Courier, message: Deliver, now: Instant, policy: Policy
) -> Step[Courier | None]:
    order_id = message.order_id
    if order_id in courier.recent:
        return _agreed(courier)
    if order_id not in courier.carried or order_id in courier.returning:
        return refuse(courier, Code.NOT_AT_STOP, "he is not bringing this order to its door")
    told = said(courier, order_id, HandToCustomer, left_at_door=message.left_at_door)
    point = task_of(courier, order_id).dropoff
    return _lighter(courier, order_id, point, told, now, policy)


def _lighter(
    courier: Courier, order_id: OrderId, point: Point, told: Tell, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Return the courier without this order, standing where he got rid of it."""
    lighter = structs.replace(
        dropping(courier, (order_id,)),
        point=point,
        leaves_at=after(now, policy.dropoff_s / 2),
        recent=(*courier.recent, order_id)[-RECENT_MAX:],
        version=courier.version + 1,
    )
    under_way, effects = onward(courier, rested(lighter), now, policy)
    return Step(under_way, (Reply(Accepted()), told, *effects, route_news(under_way)))


def _aborted(
    courier: Courier, message: Abort, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Throw spoiled food away; give a door up only after having waited there."""
    order_id = message.order_id
    is_turned = message.returns and order_id in courier.returning
    if is_turned or order_id in courier.recent:
        return _agreed(courier)
    if order_id not in courier.carried:
        return refuse(courier, Code.NOT_AT_STOP, "he does not carry this order")
    if not message.returns:
        is_on_way_back = order_id in courier.returning
        point = courier.point if is_on_way_back else task_of(courier, order_id).dropoff
        told = said(courier, order_id, Discard, reason=message.reason)
        return _lighter(courier, order_id, point, told, now, policy)
    doorstep = _doorstep(courier, order_id, policy)
    if doorstep is None:
        return refuse(courier, Code.NOT_AT_STOP, "say first that he is at its door")
    left_s = elapsed_s(now, gives_up_at(doorstep, policy))
    if left_s > 0:
        return refuse(courier, Code.NOT_LEGAL_NOW, f"wait {ceil(left_s)} s more at the door")
    return _given_up(courier, message, now, policy)


def _doorstep(courier: Courier, order_id: OrderId, policy: Policy) -> Doorstep | None:
    """Return since when he has been at that door, by his pings if those knew it a little sooner.

    Pings that are older than a whole wait prove none: he may have been away since.
    """
    said_it, seen = courier.doorstep, courier.neared
    if said_it is None or not stands_for(courier, order_id):
        return None
    if seen is None or seen.order_id != order_id:
        return said_it
    sooner_s = elapsed_s(seen.at, said_it.since)
    return Doorstep(order_id, seen.at) if 0 < sooner_s < policy.door_wait_s else said_it


def _given_up(
    courier: Courier, message: Abort, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Do with food that nobody takes what was said when it was ordered."""
    order_id, reason = message.order_id, message.reason
    task = task_of(courier, order_id)
    match task.undeliverable_action:
        case UndeliverableAction.RETURN:
            return _turned_back(courier, message, now, policy)
        case UndeliverableAction.LEAVE_AT_DOOR:
            told = said(courier, order_id, HandToCustomer, left_at_door=True)
        case UndeliverableAction.DISCARD:
            told = said(courier, order_id, Discard, reason=reason, has_waited=True)
    return _lighter(courier, order_id, task.dropoff, told, now, policy)


def _turned_back(
    courier: Courier, message: Abort, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Carry the order back to its kitchen, after those that are still to reach their doors."""
    task = task_of(courier, message.order_id)
    turned = structs.replace(
        courier,
        route=_with_return(courier, DropOff(task.order_id, task.kitchen or task.pickup)),
        returning=(*courier.returning, task.order_id),
        point=task.dropoff,
        leaves_at=after(now, policy.dropoff_s / 2),
        version=courier.version + 1,
    )
    under_way, effects = onward(courier, at_no_door(turned), now, policy)
    told = said(courier, task.order_id, StartReturn, reason=message.reason)
    return Step(under_way, (Reply(Accepted()), told, *effects, route_news(under_way)))


def _with_return(courier: Courier, return_: DropOff) -> Route:
    """Return his route with a way back at its end, or sooner if there were no room in the bag."""
    ahead = stops.without(courier.route, return_.order_id)
    sizes = {task.order_id: task.size for task in courier.tasks}
    if stops.load_peak((*ahead, return_), sizes) <= courier.load_max:
        return (*ahead, return_)
    place = next(i for i, stop in enumerate(ahead) if isinstance(stop, Pickup))
    return (*ahead[:place], return_, *ahead[place:])


def _brought_back(
    courier: Courier, message: BringBack, now: Instant, policy: Policy
) -> Step[Courier | None]:
    order_id = message.order_id
    if order_id in courier.recent:
        return _agreed(courier)
    if order_id not in courier.returning:
        return refuse(courier, Code.NOT_AT_STOP, "he is not bringing this order back")
    told = said(courier, order_id, Return)
    task = task_of(courier, order_id)
    point = task.kitchen or task.pickup
    return _lighter(courier, order_id, point, told, now, policy)
