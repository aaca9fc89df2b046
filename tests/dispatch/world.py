"""A tiny world of machines that talk over wires, for a script to play with.

The messages of one actor to another lie on a wire until the script has them delivered: in the order
in which they were sent, or, in a shuffled world, in any. What was delivered once may be delivered
again. Time stands still until the script lets it go on. After each move the world holds itself
against what must always be true, and, when nothing is under way, against what must then be.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum

from msgspec import Struct

from dispatch import courier, offer, order, restaurant, route
from dispatch import round as rounds
from dispatch.courier import Courier
from dispatch.delivery import (
    BEFORE_PICKUP,
    Cancel,
    DeliveryStatus,
    Discard,
    HandOver,
    Party,
    Reject,
    Release,
)
from dispatch.ids import CourierId, Instant, OrderId, after
from dispatch.kitchen import FINISHED, OrderStatus
from dispatch.offer import Offer
from dispatch.order import Order, OrderCanceled
from dispatch.policy import Policy
from dispatch.restaurant import Restaurant
from dispatch.round import Dispatch, Relocation, Round, Solve, Solved, TakeBack
from dispatch.route import DropOff, Pickup, Task
from dispatch.step import Effect, Record, Step, Tell, Wake
from dispatch.undeliverable import UndeliverableAction
from geo.point import Point
from tests.dispatch.agreement import (
    Address,
    State,
    check_always,
    check_move,
    check_settled,
    every,
)
from tests.dispatch.builders import (
    KITCHEN,
    MARKET,
    NOW,
    OTHER_KITCHEN,
    OTHER_RESTAURANT,
    RESTAURANT,
    SQUARE,
    a_place,
)

type Letter = tuple[Address, Address, Struct]
type Stepped = Callable[..., tuple[State | None, tuple[Effect, ...]]]

EDGE: Address = ("edge", "")
ORDERS_MAX = 5
COURIERS = tuple(CourierId(f"crr_{n}") for n in range(3))
LOAD_MAX = 3
MOVES_MAX = 3_000


class Move(StrEnum):
    """What a script can have happen; a number beside it chooses among what is possible."""

    REST = "rest"
    DELIVER = "deliver"
    SETTLE = "settle"
    REPEAT = "repeat"
    WAIT = "wait"
    WAKE = "wake"
    PLACE = "place"
    SOLVE = "solve"
    ANSWER = "answer"
    WORK = "work"
    SHIRK = "shirk"
    COOK = "cook"
    MEDDLE = "meddle"


type Script = list[tuple[Move, int]]


def _unpacking[**P, S](step: Callable[P, Step[S]]) -> Callable[P, tuple[S, tuple[Effect, ...]]]:
    def stepped(*args: P.args, **kwargs: P.kwargs) -> tuple[S, tuple[Effect, ...]]:
        answer = step(*args, **kwargs)
        return answer.state, answer.effects

    return stepped


STEPS: dict[str, Stepped] = {
    "order": _unpacking(order.step),
    "courier": _unpacking(courier.step),
    "offer": _unpacking(offer.step),
    "restaurant": _unpacking(restaurant.step),
    "round": _unpacking(rounds.step),
}


def wakes_at(state: State) -> Instant | None:
    """Return when the actor is to be woken."""
    match state:
        case Order():
            return order.wakes_at(state)
        case Courier():
            return courier.wakes_at(state)
        case Offer():
            return offer.wakes_at(state)
        case Restaurant():
            return restaurant.wakes_at(state)
        case Round():
            return rounds.wakes_at(state)


class World:
    """Actors, wires, time, and a log of what was done."""

    def __init__(self, policy: Policy, *, is_shuffled: bool = False) -> None:
        self.policy = policy
        self.is_shuffled = is_shuffled
        self.now = NOW
        self.states: dict[Address, State] = {}
        self.wires: dict[tuple[Address, Address], list[Struct]] = {}
        self.delivered: list[Letter] = []
        self.asked: list[int] = []
        self.log: list[str] = []
        self.canceled: Counter[OrderId] = Counter()
        self._begin()

    def _begin(self) -> None:
        places = {RESTAURANT: KITCHEN, OTHER_RESTAURANT: OTHER_KITCHEN}
        for restaurant_id, point in places.items():
            opened = restaurant.Open(
                restaurant_id=restaurant_id,
                point=point,
                capacity_max=3,
                prep_s=300,
                auto_accepts=restaurant_id == RESTAURANT,
            )
            self.hear(EDGE, ("restaurant", restaurant_id), opened)
        for courier_id in COURIERS:
            self.hear(EDGE, ("courier", courier_id), self._shift(courier_id))
        self.hear(EDGE, ("round", MARKET), rounds.Begin(MARKET, NOW))

    def _shift(self, courier_id: CourierId) -> courier.StartShift:
        return courier.StartShift(
            courier_id=courier_id,
            market_id=MARKET,
            point=SQUARE,
            ends_at=after(self.now, 1_800),
            load_max=LOAD_MAX,
        )

    def play(self, script: Script) -> None:
        """Make each move of the script, and hold the world against its rules after each."""
        for move, choice in script:
            self._moves()[move](choice)
            check_always(self.states)

    def _moves(self) -> dict[Move, Callable[[int], None]]:
        return {
            Move.REST: self._rest,
            Move.DELIVER: self._deliver,
            Move.SETTLE: self._settle,
            Move.REPEAT: self._repeat,
            Move.WAIT: self._wait,
            Move.WAKE: self._wake,
            Move.PLACE: self._place,
            Move.SOLVE: self._solve,
            Move.ANSWER: self._answer,
            Move.WORK: self._work,
            Move.SHIRK: self._shirk,
            Move.COOK: self._cook,
            Move.MEDDLE: self._meddle,
        }

    def _rest(self, choice: int) -> None:
        """Do nothing: what a failing script is made simpler with."""

    def _deliver(self, choice: int) -> None:
        """Deliver the oldest message of one wire, or in a shuffled world any of it."""
        wire = chosen([one for one, letters in self.wires.items() if letters], choice)
        if wire is None:
            return
        letters = self.wires[wire]
        place = choice % len(letters) if self.is_shuffled else 0
        message = letters.pop(place)
        self.delivered.append((*wire, message))
        self.hear(*wire, message)

    def _settle(self, choice: int) -> None:
        del choice
        self.settle()
        if not self.is_shuffled:
            check_settled(self.states)

    def _repeat(self, choice: int) -> None:
        letter = chosen(self.delivered, choice)
        if letter is not None:
            self.hear(*letter)

    def _wait(self, choice: int) -> None:
        self.now = after(self.now, (1, 2, 3, 5, 10, 31, 90, 600)[choice % 8])

    def _wake(self, choice: int) -> None:
        due = [
            one
            for one, state in self.states.items()
            if (wakes_at(state) or self.now + 1) <= self.now
        ]
        address = chosen(due, choice)
        if address is not None:
            self.hear(EDGE, address, Wake())

    def _place(self, choice: int) -> None:
        number = len(list(self.all(Order)))
        if number == ORDERS_MAX:
            return
        is_other, is_scheduled = choice % 2 == 1, choice % 3 == 2
        place = a_place(
            OrderId(f"ord_{number}"),
            restaurant_id=OTHER_RESTAURANT if is_other else RESTAURANT,
            pickup=OTHER_KITCHEN if is_other else KITCHEN,
            size=1 + choice % 2,
            wanted_at=after(self.now, 3_600) if is_scheduled else None,
            undeliverable_action=tuple(UndeliverableAction)[choice % 3],
        )
        self.hear(EDGE, ("order", place.order_id), place)

    def _solve(self, choice: int) -> None:
        """Answer the solver's latest question with a plan of what can be seen now."""
        if not self.asked:
            return
        number = self.asked.pop()
        solved = _planned(self, number, choice)
        self._send(("service:solver", MARKET), ("round", MARKET), solved)

    def _answer(self, choice: int) -> None:
        """Have a courier who was asked take or decline."""
        asked = [one for one in self.all(Offer) if one.stage is offer.Stage.OPEN]
        one = chosen(asked, choice // 4)
        if one is None:
            return
        word = offer.Decline if choice % 4 == 0 else offer.Take
        self._send(EDGE, ("offer", one.offer_id), word(one.courier_id))

    def _work(self, choice: int) -> None:
        """Have a courier do the next thing of his route."""
        busy = [one for one in self.all(Courier) if next_work(one, 0)]
        one = chosen(busy, choice // 8)
        if one is not None and (message := next_work(one, choice % 8)):
            self._send(EDGE, ("courier", one.courier_id), message)

    def _shirk(self, choice: int) -> None:
        """Have a courier pause, vanish, come back, stop or start."""
        one = chosen(list(self.all(Courier)), choice // 6)
        assert one is not None
        messages: tuple[courier.Message, ...] = (
            courier.GoQuiet(),
            courier.Hear(),
            courier.Pause(),
            courier.Resume(),
            courier.EndShift(),
            self._shift(one.courier_id),
        )
        self._send(EDGE, ("courier", one.courier_id), messages[choice % 6])

    def _cook(self, choice: int) -> None:
        """Have a restaurant's staff say something of an order."""
        one = chosen(list(self.all(Order)), choice // 10)
        if one is None:
            return
        usual = _next_in_kitchen(one.status)
        unusual: dict[int, order.Message] = {
            0: Reject("burnt"),
            1: order.Delay(after(self.now, 900)),
            2: order.MarkReady(),
        }
        self._send(EDGE, ("order", one.order_id), unusual.get(choice % 10, usual))

    def _meddle(self, choice: int) -> None:
        """Have a customer, a restaurant or operations interfere with an order."""
        one = chosen(list(self.all(Order)), choice // 6)
        if one is None:
            return
        messages: tuple[order.Message, ...] = (
            Cancel(Party.CUSTOMER),
            Cancel(Party.RESTAURANT),
            Cancel(Party.SUPPORT),
            Release(one.version),
            HandOver(SQUARE),
            Discard(courier_id=one.delivery.courier_id or COURIERS[0], reason="lost"),
        )
        self._send(EDGE, ("order", one.order_id), messages[choice % 6])

    def hear(self, source: Address, target: Address, message: Struct) -> None:
        """Have an actor hear a message, and put what it tells on the wires."""
        kind, key = target
        before = self.states.get(target)
        self.log.append(f"{self.now - NOW:>8} {source[1] or source[0]} -> {key}: {message}")
        state, effects = STEPS[kind](before, message, self.now, self.policy)
        check_move(before, state)
        if state is not None:
            self.states[target] = state
        for effect in effects:
            self._effect(target, effect)

    def _effect(self, source: Address, effect: Effect) -> None:
        match effect:
            case Tell("feed"):
                pass
            case Tell("service:solver", message=Solve(number=number)):
                self.asked.append(number)
            case Tell(kind, key, message):
                self._send(source, (kind, key), message)
            case Record(OrderCanceled(order_id=order_id)):
                self.canceled[order_id] += 1
            case _:
                pass

    def _send(self, source: Address, target: Address, message: Struct) -> None:
        self.wires.setdefault((source, target), []).append(message)

    def all[S: State](self, kind: type[S]) -> Iterator[S]:
        """Return the states of one kind."""
        return every(self.states, kind)

    @property
    def is_quiet(self) -> bool:
        """Tell whether no message is under way."""
        return not any(self.wires.values())

    def settle(self) -> None:
        """Deliver all that is under way."""
        for turn in range(MOVES_MAX):
            if self.is_quiet:
                return
            self._deliver(7 * turn)
            check_always(self.states)
        raise AssertionError("the actors never stop talking")

    def end(self, diligent: frozenset[CourierId]) -> None:
        """Let everybody finish: no more rounds, deadlines pass, who is not diligent goes quiet."""
        self._send(EDGE, ("round", MARKET), rounds.Stop())
        for _ in range(MOVES_MAX):
            self.settle()
            check_settled(self.states)
            if not self._finish_something(diligent):
                return
        raise AssertionError("the world never ends")

    def _finish_something(self, diligent: frozenset[CourierId]) -> bool:
        for one in self.all(Courier):
            message = next_work(one, 0)
            if message is not None and one.courier_id in diligent:
                self._send(EDGE, ("courier", one.courier_id), message)
                return True
        deadlines = [due for state in self.states.values() if (due := wakes_at(state)) is not None]
        if not deadlines:
            return self._miss_somebody()
        self.now = max(self.now, min(deadlines))
        self._wake(0)
        return True

    def _miss_somebody(self) -> bool:
        """Have the position feed notice who still carries something and is not heard of."""
        silent = [
            one
            for one in self.all(Courier)
            if any(not self._order(order_id).delivery.attention for order_id in one.carried)
        ]
        for one in silent:
            self._send(EDGE, ("courier", one.courier_id), courier.GoQuiet())
        return bool(silent)

    def _order(self, order_id: OrderId) -> Order:
        state = self.states["order", order_id]
        assert isinstance(state, Order)
        return state


def chosen[T](options: list[T], choice: int) -> T | None:
    """Return one of the options, None when there are none."""
    return options[choice % len(options)] if options else None


def next_work(one: Courier, choice: int) -> courier.Message | None:
    """Return what a courier would report next; a higher choice reports something less usual."""
    stop = one.route[0] if one.route else None
    is_there = one.heading is not None and one.heading.arrived_at is not None
    match stop:
        case Pickup(order_ids=ids) if is_there:
            return courier.Collect(ids[:1] if choice == 7 else ids)
        case Pickup():
            return courier.Arrive()
        case DropOff(order_id) if order_id in one.returning:
            return (
                courier.Abort(order_id, "thrown away", returns=False)
                if choice == 7
                else courier.BringBack(order_id)
            )
        case DropOff(order_id):
            unusual = {
                5: courier.Arrive(order_id),
                6: courier.Abort(order_id, "nobody there")
                if one.doorstep is not None
                else courier.Arrive(order_id),
                7: courier.Abort(order_id, "spilled", returns=False),
            }
            return unusual.get(choice, courier.Deliver(order_id))
        case None:
            return courier.Arrive() if one.heading is not None and not is_there else None


def _next_in_kitchen(status: OrderStatus) -> order.Message:
    match status:
        case OrderStatus.PLACED:
            return order.Accept()
        case OrderStatus.ACCEPTED:
            return order.StartPreparing()
        case _:
            return order.MarkReady()


def _planned(world: World, number: int, choice: int) -> Solved:
    """Return a plan: some orders taken back, every pending one given to somebody."""
    orders = [one for one in world.all(Order) if one.status not in FINISHED]
    working = [one for one in world.all(Courier) if one.stage is courier.Stage.ON]
    held = [one for one in orders if one.delivery.status in BEFORE_PICKUP]
    back = held[:1] if choice % 3 == 0 else []
    pending = [one for one in orders if one.delivery.status is DeliveryStatus.PENDING]
    versions = {one.order_id: one.version for one in pending}
    versions |= {one.order_id: one.version + 1 for one in back}
    bundles = route.bundles(_task(one) for one in (*pending, *back))
    free = working[choice % len(working) :] + working[: choice % len(working)] if working else []
    return Solved(
        number=number,
        take_backs=tuple(TakeBack(one.order_id, one.version) for one in back),
        dispatches=tuple(
            Dispatch(
                courier_id=one.courier_id,
                courier_version=one.version,
                tasks=tasks,
                versions=tuple(versions[task.order_id] for task in tasks),
            )
            for one, tasks in zip(free, bundles, strict=False)
        ),
        relocations=tuple(
            Relocation(
                courier_id=one.courier_id,
                courier_version=one.version,
                restaurant_id=OTHER_RESTAURANT,
                point=OTHER_KITCHEN,
            )
            for one in free[len(bundles) :][:1]
        ),
    )


def _task(one: Order) -> Task:
    return Task(
        order_id=one.order_id,
        restaurant_id=one.restaurant_id,
        pickup=one.delivery.pickup,
        dropoff=Point(1_000.0 + len(one.order_id), 0.0),
        size=one.size,
        undeliverable_action=one.undeliverable_action,
        kitchen=one.delivery.kitchen,
    )
