"""What a courier is asked and given: invitations, assignments, withdrawals, advice where to wait.

He has one invitation at a time, and an assignment holds only while its offer is the one he keeps
himself free for: any other is given back at once, so that no order waits for a courier who does not
know of it. What the orders and offers say comes here in any order and more than once.
"""

from functools import partial

from msgspec import structs

from dispatch import route as stops
from dispatch.courier_state import (
    LEGAL,
    TASKS_MAX,
    Courier,
    Heading,
    OfferGone,
    OfferMade,
)
from dispatch.delivery import LoseCourier
from dispatch.heading import dropping, may_turn, onward, rested, route_news
from dispatch.ids import Instant, OfferId, OrderId
from dispatch.invitation import (
    RELEASED,
    Ask,
    Claimed,
    Disengage,
    Engage,
    Invite,
    Reposition,
    Unclaimed,
    Withdraw,
)
from dispatch.policy import Policy
from dispatch.route import Task
from dispatch.step import Accepted, Code, Effect, Reply, Step, Tell, refuse

type Message = Invite | Ask | Engage | Disengage | Withdraw | Reposition


def directed(
    courier: Courier, message: Message, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Return what a word from an order, an offer or a round does to the courier."""
    match message:
        case Invite():
            return _invited(courier, message)
        case Ask():
            return _asked(courier, message)
        case Engage():
            return _engaged(courier, message, now, policy)
        case Disengage():
            return _disengaged(courier, message)
        case Withdraw():
            return _withdrawn(courier, message, now, policy)
        case Reposition():
            return _repositioned(courier, message, now, policy)


def _invited(courier: Courier, message: Invite) -> Step[Courier | None]:
    if courier.offer_id == message.offer_id or _may_be_invited(courier, message):
        claimed = Tell("offer", message.offer_id, Claimed(courier.courier_id))
        return Step(structs.replace(courier, offer_id=message.offer_id), (claimed,))
    return Step(courier, (Tell("offer", message.offer_id, Unclaimed(courier.courier_id)),))


def _may_be_invited(courier: Courier, message: Invite) -> bool:
    if Invite not in LEGAL[courier.stage] or courier.offer_id is not None:
        return False
    if courier.version != message.version:
        return False
    with_it = _taking_on(courier, message.tasks, ())
    return len(with_it.tasks) <= TASKS_MAX and _load_peak(with_it) <= courier.load_max


def _taking_on(courier: Courier, tasks: tuple[Task, ...], sequence: tuple[OrderId, ...]) -> Courier:
    """Return the courier with these tasks in his route, in that sequence if it can be driven.

    An order that he still has from an earlier assignment was withdrawn, and the word of it is on
    its way: the new assignment takes the place of the old one.
    """
    lighter = dropping(courier, (task.order_id for task in tasks))
    route = lighter.route
    for bundle in stops.bundles(tasks):
        route = stops.with_trip(route, bundle)
    taken = frozenset(task.order_id for task in tasks)
    plain = structs.replace(
        lighter,
        route=route,
        tasks=(*lighter.tasks, *tasks),
        recent=tuple(order_id for order_id in lighter.recent if order_id not in taken),
    )
    wished = structs.replace(plain, route=stops.resequenced(route, sequence))
    can_be = stops.is_sound(wished.route, wished.carried)
    return wished if can_be and _load_peak(wished) <= courier.load_max else plain


def _load_peak(courier: Courier) -> int:
    return stops.load_peak(courier.route, {task.order_id: task.size for task in courier.tasks})


def _asked(courier: Courier, message: Ask) -> Step[Courier | None]:
    if courier.offer_id != message.offer_id:
        return Step(courier)
    made = OfferMade(
        offer_id=message.offer_id,
        tasks=message.tasks,
        expires_at=message.expires_at,
        market_id=courier.market_id,
    )
    return Step(courier, (Tell("feed", courier.courier_id, made),))


def _engaged(
    courier: Courier, message: Engage, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Take the orders on, or free them at once if he cannot be counted on any more."""
    fresh = _fresh(courier, message)
    if not fresh:
        return Step(_let_go(courier, message.offer_id))
    if courier.offer_id != message.offer_id:
        return Step(courier, _given_back(courier, fresh))
    taking = structs.replace(
        _taking_on(courier, fresh, message.sequence), offer_id=None, version=courier.version + 1
    )
    engaged, effects = onward(courier, taking, now, policy)
    return Step(engaged, (*effects, route_news(engaged)))


def _fresh(courier: Courier, message: Engage) -> tuple[Task, ...]:
    """Return the tasks, in the offer's name, that he does not have from it already."""
    known = {task.order_id for task in courier.tasks if task.offer_id == message.offer_id}
    return tuple(
        structs.replace(task, offer_id=message.offer_id)
        for task in message.tasks
        if task.order_id not in known
    )


def _given_back(courier: Courier, tasks: tuple[Task, ...]) -> tuple[Effect, ...]:
    """Free orders that he does not keep himself free for, but for those he is done with."""
    lose = partial(LoseCourier, courier_id=courier.courier_id, reason="unavailable")
    return tuple(
        Tell("order", task.order_id, lose(offer_id=task.offer_id))
        for task in tasks
        if task.order_id not in courier.recent
    )


def _let_go(courier: Courier, offer_id: OfferId) -> Courier:
    is_kept = courier.offer_id != offer_id
    return courier if is_kept else structs.replace(courier, offer_id=None)


def _disengaged(courier: Courier, message: Disengage) -> Step[Courier | None]:
    if courier.offer_id != message.offer_id:
        return Step(courier)
    gone = Tell("feed", courier.courier_id, OfferGone(message.offer_id))
    return Step(_let_go(courier, message.offer_id), (gone,))


def _withdrawn(
    courier: Courier, message: Withdraw, now: Instant, policy: Policy
) -> Step[Courier | None]:
    if not any(_is_meant(message, task) for task in courier.tasks):
        return Step(courier)
    if message.reason == RELEASED and message.order_id in courier.carried:
        return Step(courier)  # The order has heard, or will, that it is in his bag.
    left = rested(dropping(courier, (message.order_id,)))
    under_way, effects = onward(courier, left, now, policy)
    return Step(under_way, (*effects, route_news(under_way)))


def _is_meant(message: Withdraw, task: Task) -> bool:
    return task.order_id == message.order_id and message.offer_id in {None, task.offer_id}


def _repositioned(
    courier: Courier, message: Reposition, now: Instant, policy: Policy
) -> Step[Courier | None]:
    is_idle = not courier.route and courier.offer_id is None
    is_free = is_idle and may_turn(courier, policy)
    if Reposition not in LEGAL[courier.stage] or not is_free:
        return refuse(courier, Code.COURIER_UNAVAILABLE)
    if courier.version != message.version:
        return refuse(courier, Code.STALE_VERSION)
    heading = Heading(
        restaurant_id=message.restaurant_id,
        point=message.point,
        origin=courier.point,
        departed_at=max(now, courier.leaves_at),
        is_advised=True,
    )
    moved = structs.replace(courier, heading=heading, version=courier.version + 1)
    return Step(moved, (Reply(Accepted()), route_news(moved)))
