"""Every state that a machine can reach, found breadth first, and every message for each of them.

States that differ only in times and counts are the same to a machine, so each is kept once under
what it is told by: its statuses, what is carried, who is asked. For a state there is one fitting
message of each type, with the ids, offers and versions that the state itself would expect.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cache

from msgspec import Struct, structs

from dispatch import courier, offer, order, restaurant, surge
from dispatch import round as rounds
from dispatch.courier import Courier
from dispatch.delivery import (
    ArriveAtDropOff,
    ArriveAtPickup,
    Assign,
    Cancel,
    CloseOffer,
    Depart,
    DepartToDropOff,
    Discard,
    HandOver,
    HandToCustomer,
    LoseCourier,
    Party,
    PickUp,
    Reject,
    Release,
    Return,
    StartReturn,
)
from dispatch.ids import Instant, after
from dispatch.invitation import (
    Ask,
    Claimed,
    Disengage,
    Engage,
    Invite,
    Reposition,
    Unclaimed,
    Withdraw,
)
from dispatch.kitchen import Leave, Request
from dispatch.offer import Offer
from dispatch.order import Order
from dispatch.policy import Surging
from dispatch.restaurant import Restaurant
from dispatch.round import Dispatch, Relocation, Round, TakeBack
from dispatch.route import DropOff, Pickup
from dispatch.step import Effect, Step, Wake
from dispatch.surge import Surge
from tests.dispatch.builders import (
    COURIER,
    EVENINGS,
    KITCHEN,
    MARKET,
    NOW,
    OFFER,
    ORDER,
    OTHER_KITCHEN,
    OTHER_OFFER,
    OTHER_ORDER,
    OTHER_RESTAURANT,
    OTHER_SHARD,
    POLICY,
    RESTAURANT,
    SQUARE,
    a_claim,
    a_place,
    a_settling,
    a_shift,
    a_task,
    an_open,
    later,
    said,
)

STATES_MAX = 2_000

type Effects = tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Machine[S: Struct]:
    """One machine, how it is stepped and what can be said to it."""

    name: str
    state: type[S]
    step: Callable[[S | None, Struct, Instant], tuple[S | None, Effects]]
    wakes_at: Callable[[S], Instant | None]
    stage: Callable[[S], Hashable]
    key: Callable[[S], Hashable]
    fitting: Callable[[S | None], tuple[Struct, ...]]
    message: object

    def after(self, state: S | None, message: Struct) -> tuple[S | None, Effects]:
        """Return the state after a message, and the effects. A wake comes when it is due."""
        return self.step(state, message, self.moment(state, message))

    def moment(self, state: S | None, message: Struct) -> Instant:
        """Return when the state hears this message."""
        due = self.wakes_at(state) if state is not None and isinstance(message, Wake) else None
        return NOW if due is None else due

    def reachable(self) -> tuple[S, ...]:
        """Return one state of each kind that any sequence of fitting messages leads to."""
        return _reachable(self)


@cache
def _reachable[S: Struct](machine: Machine[S]) -> tuple[S, ...]:
    found: dict[Hashable, S] = {}
    waiting: list[S | None] = [None]
    while waiting:
        state = waiting.pop(0)
        for message in machine.fitting(state):
            following, _ = machine.after(state, message)
            if following is not None and machine.key(following) not in found:
                found[machine.key(following)] = following
                waiting.append(following)
        assert len(found) < STATES_MAX, f"{machine.name} can be told apart in too many ways"
    return tuple(found.values())


def _unpacked[S](step: Step[S]) -> tuple[S, Effects]:
    return step.state, step.effects


def order_words(state: Order | None) -> tuple[order.Message, ...]:
    """Return a message of every type that fits the order as it stands."""
    held = state.delivery if state else None
    offer_id = (held.offer_id if held else None) or OFFER
    version = state.version if state else 0
    return (
        a_place(),
        order.Accept(),
        Reject("closed"),
        order.StartPreparing(),
        order.Delay(later(1_200)),
        order.MarkReady(),
        Cancel(Party.CUSTOMER),
        a_claim(version=version),
        CloseOffer(offer_id),
        Assign(offer_id, COURIER),
        Release(version),
        said(Depart, offer_id=offer_id),
        said(ArriveAtPickup, offer_id=offer_id),
        said(PickUp, offer_id=offer_id),
        said(DepartToDropOff, offer_id=offer_id),
        said(ArriveAtDropOff, offer_id=offer_id),
        said(HandToCustomer, offer_id=offer_id),
        said(StartReturn, offer_id=offer_id, reason="nobody there"),
        said(Discard, offer_id=offer_id, reason="spilled"),
        said(Return, offer_id=offer_id),
        said(LoseCourier, offer_id=offer_id, reason="quiet"),
        HandOver(SQUARE),
        order.Expect(later(7_200)),
        Wake(),
    )


def _order_words(state: Order | None) -> tuple[Struct, ...]:
    """Return the fitting messages; a fresh order may also be one that is wanted later."""
    scheduled = (a_place(wanted_at=later(7_200)),) if state is None else ()
    return (*order_words(state), *scheduled)


ORDERS = Machine[Order](
    name="order",
    state=Order,
    step=lambda state, message, now: _unpacked(order.step(state, message, now, POLICY)),  # pyright: ignore[reportArgumentType]
    wakes_at=order.wakes_at,
    stage=lambda one: (one.status, one.delivery.status),
    key=lambda one: (
        one.status,
        one.delivery.status,
        one.wanted_at,
        one.delivery.attention,
        one.give_up_at is None,
        one.delivery.released is None,
    ),
    fitting=_order_words,
    message=order.Message,
)


_TASKS = (
    a_task(),
    a_task(OTHER_ORDER, restaurant_id=OTHER_RESTAURANT, pickup=OTHER_KITCHEN),
)


def courier_words(state: Courier | None) -> tuple[courier.Message, ...]:
    """Return a message of every type that fits the courier as he stands."""
    stop = state.route[0] if state and state.route else None
    to_collect = stop.order_ids if isinstance(stop, Pickup) else (ORDER,)
    dropped = stop.order_id if isinstance(stop, DropOff) else ORDER
    heading = state.heading if state else None
    has_first = state is not None and any(task.order_id == ORDER for task in state.tasks)
    task, offer_id = (_TASKS[1], OTHER_OFFER) if has_first else (_TASKS[0], OFFER)
    version = state.version if state else 0
    return (
        a_shift(crossings=state.crossings if state else 0),
        courier.EndShift(),
        courier.Pause(),
        courier.Resume(),
        courier.Move(KITCHEN),
        courier.GoQuiet(),
        courier.Hear(),
        courier.Near(
            restaurant_id=heading.restaurant_id if heading else None,
            order_id=None if heading else dropped,
        ),
        courier.Arrive(restaurant_id=heading.restaurant_id if heading else RESTAURANT),
        courier.Arrive(dropped),
        courier.Collect(to_collect),
        courier.Deliver(dropped),
        courier.Abort(dropped, "nobody there"),
        courier.Abort(dropped, "spilled", returns=False),
        courier.BringBack(dropped),
        courier.Cross(OTHER_SHARD, MARKET, SQUARE),
        a_settling(state.crossings + 1 if state else 1),
        Invite(offer_id=offer_id, courier_id=COURIER, version=version, tasks=(task,)),
        Ask(offer_id=offer_id, tasks=(task,), expires_at=later(30)),
        Engage(offer_id=offer_id, tasks=(task,)),
        Disengage(offer_id),
        Withdraw(dropped),
        Withdraw(OTHER_ORDER),
        Reposition(version=version, restaurant_id=RESTAURANT, point=KITCHEN),
        Wake(),
    )


def _leg(one: Courier) -> str:
    if one.heading is None:
        return "none"
    return f"{one.heading.restaurant_id} {one.heading.arrived_at is not None}"


IMPATIENT = POLICY.evolve(door_wait_s=0)
"""Nothing here takes any time, so nobody could wait at a door."""

COURIERS = Machine[Courier](
    name="courier",
    state=Courier,
    step=lambda state, message, now: _unpacked(courier.step(state, message, now, IMPATIENT)),  # pyright: ignore[reportArgumentType]
    wakes_at=courier.wakes_at,
    stage=lambda one: one.stage,
    key=lambda one: (
        one.stage,
        one.route,
        one.carried,
        one.returning,
        one.offer_id,
        one.doorstep,
        _leg(one),
    ),
    fitting=courier_words,
    message=courier.Message,
)


def offer_words(state: Offer | None) -> tuple[offer.Message, ...]:
    """Return a message of every type, those of orders and courier for each of them."""
    names = (ORDER, OTHER_ORDER, COURIER)
    tasks = (a_task(), a_task(OTHER_ORDER))
    opening = (an_open(*tasks),) if state else (an_open(*tasks), an_open(*tasks, is_direct=True))
    return (
        *opening,
        *(Claimed(name) for name in names),
        *(Unclaimed(name) for name in names),
        offer.Take(COURIER),
        offer.Decline(COURIER),
        Wake(),
    )


OFFERS = Machine[Offer](
    name="offer",
    state=Offer,
    step=lambda state, message, now: _unpacked(offer.step(state, message, now, POLICY)),  # pyright: ignore[reportArgumentType]
    wakes_at=offer.wakes_at,
    stage=lambda one: one.stage,
    key=lambda one: structs.replace(one, expires_at=NOW),
    fitting=offer_words,
    message=offer.Message,
)


def restaurant_words(state: Restaurant | None) -> tuple[restaurant.Message, ...]:
    """Return a message of every type."""
    del state
    opened = restaurant.Open(
        restaurant_id=RESTAURANT, point=KITCHEN, capacity_max=1, hours=EVENINGS
    )
    configured = restaurant.Configure(
        restaurant_id=RESTAURANT, point=KITCHEN, capacity_max=1, hours=EVENINGS
    )
    return (
        opened,
        configured,
        structs.replace(configured, version=1, hours=None),
        restaurant.Close(),
        restaurant.Pause(later(60)),
        restaurant.Resume(),
        restaurant.End(),
        restaurant.MarkSoldOut("dish_1"),
        restaurant.MarkAvailable("dish_1"),
        Request(order_id=ORDER, dish_ids=("dish_1",)),
        Request(order_id=OTHER_ORDER),
        Leave(ORDER),
        Wake(),
    )


RESTAURANTS = Machine[Restaurant](
    name="restaurant",
    state=Restaurant,
    step=lambda state, message, now: _unpacked(restaurant.step(state, message, now, POLICY)),  # pyright: ignore[reportArgumentType]
    wakes_at=restaurant.wakes_at,
    stage=lambda one: one.stage,
    key=lambda one: structs.replace(one, changes_at=None if one.changes_at is None else NOW),
    fitting=restaurant_words,
    message=restaurant.Message,
)


def round_words(state: Round | None) -> tuple[rounds.Message, ...]:
    """Return a message of every type; the solver answers the round that is on."""
    number = state.number if state else 0
    decision = Dispatch(courier_id=COURIER, courier_version=1, tasks=(a_task(),), versions=(1,))
    relocation = Relocation(
        courier_id=COURIER, courier_version=1, restaurant_id=RESTAURANT, point=KITCHEN
    )
    return (
        rounds.Begin(MARKET, NOW),
        rounds.Stop(),
        rounds.Solved(
            number=number,
            take_backs=(TakeBack(OTHER_ORDER, 3),),
            dispatches=(decision,),
            relocations=(relocation,),
        ),
        rounds.Unsolved(number, "no time"),
        Wake(),
    )


ROUNDS = Machine[Round](
    name="round",
    state=Round,
    step=lambda state, message, now: _unpacked(rounds.step(state, message, now, POLICY)),  # pyright: ignore[reportArgumentType]
    wakes_at=rounds.wakes_at,
    stage=lambda one: one.stage,
    key=lambda one: (one.stage, min(one.number, 2)),
    fitting=round_words,
    message=rounds.Message,
)


SURGING = POLICY.evolve(surging=Surging(percent_max=120))


def surge_words(state: Surge | None) -> tuple[surge.Message, ...]:
    """Return a crowded look and an empty one, both long after the last, and one from before it."""
    measured_at = state.measured_at if state else NOW
    look = surge.Measure(
        place=MARKET, market_id=MARKET, waiting=40, expected=2.0, free=1, at=after(measured_at, 900)
    )
    return (
        look,
        structs.replace(look, waiting=0, expected=0.0, free=9),
        structs.replace(look, at=after(measured_at, -1)),
        Wake(),
    )


SURGES = Machine[Surge](
    name="surge",
    state=Surge,
    step=lambda state, message, now: _unpacked(surge.step(state, message, now, SURGING)),  # pyright: ignore[reportArgumentType]
    wakes_at=surge.wakes_at,
    stage=lambda one: one.stage,
    key=lambda one: (one.percent, one.pressure == 0, one.pressure > 1),
    fitting=surge_words,
    message=surge.Message,
)


def kinds(words: Iterable[Struct]) -> set[type[Struct]]:
    """Return the types of these messages."""
    return {type(word) for word in words}
