"""What a courier reports of his work, and a courier who hears and says anything."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import structs

from dispatch import courier, route
from dispatch.courier import (
    RECENT_MAX,
    Abort,
    Arrive,
    BringBack,
    Collect,
    Courier,
    Deliver,
    Message,
    Neared,
)
from dispatch.delivery import (
    ArriveAtDropOff,
    ArriveAtPickup,
    ByCourier,
    Depart,
    DepartToDropOff,
    Discard,
    HandToCustomer,
    PickUp,
    Return,
    StartReturn,
)
from dispatch.ids import Instant, OfferId, OrderId
from dispatch.invitation import Engage, Invite
from dispatch.route import DropOff
from dispatch.step import Accepted, Code, Reply, Step, Tell, Wake
from dispatch.undeliverable import Doorstep, UndeliverableAction
from tests.dispatch.builders import (
    COURIER,
    DOOR,
    KITCHEN,
    NOW,
    ORDER,
    OTHER_KITCHEN,
    OTHER_OFFER,
    OTHER_ORDER,
    OTHER_RESTAURANT,
    POLICY,
    a_courier,
    a_task,
    busy,
    engaged,
    later,
    loaded,
    refusals,
    said,
    sure,
    tells,
)
from tests.dispatch.explored import courier_words

ELSEWHERE = a_task(OTHER_ORDER, restaurant_id=OTHER_RESTAURANT, pickup=OTHER_KITCHEN, size=3)
BOTH = (a_task(), a_task(OTHER_ORDER))


def heard(state: Courier | None, message: Message, now: Instant = NOW) -> Step[Courier | None]:
    return courier.step(state, message, now, POLICY)


def given_up(state: Courier, waited_s: float = POLICY.door_wait_s) -> Step[Courier | None]:
    """Return the step by which a courier gives an order up, having waited at its door."""
    there = sure(heard(state, Arrive(ORDER)).state)
    return heard(there, Abort(ORDER, "nobody there"), later(waited_s))


def agreed(state: Courier) -> Step[Courier | None]:
    return Step(state, (Reply(Accepted()),))


def test_a_courier_who_arrives_tells_all_orders_of_the_pickup() -> None:
    step = heard(busy(*BOTH), Arrive(), later(300))

    there = sure(step.state)
    assert (there.point, there.leaves_at) == (KITCHEN, later(300))
    assert sure(there.heading).arrived_at == later(300)
    assert step.effects == (
        Reply(Accepted()),
        Tell("order", ORDER, said(ArriveAtPickup)),
        Tell("order", OTHER_ORDER, said(ArriveAtPickup)),
    )


def test_an_arrival_that_comes_again_is_not_one_at_the_next_restaurant() -> None:
    state = busy(a_task())

    step = heard(state, Arrive(restaurant_id=OTHER_RESTAURANT))

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_AT_STOP,)


def test_a_courier_who_is_going_nowhere_cannot_arrive() -> None:
    assert refusals(heard(a_courier(), Arrive()).effects) == (Code.NOT_AT_STOP,)


def test_a_courier_collects_and_is_off_to_the_first_door() -> None:
    waiting = sure(heard(busy(*BOTH), Arrive()).state)

    step = heard(waiting, Collect((OTHER_ORDER, ORDER)), later(60))

    under_way = sure(step.state)
    assert under_way.carried == (ORDER, OTHER_ORDER)
    assert under_way.heading is None
    assert under_way.leaves_at == later(60 + POLICY.pickup_s / 2)
    assert tells(step.effects, "order") == (
        (ORDER, said(PickUp)),
        (OTHER_ORDER, said(PickUp)),
        (ORDER, said(DepartToDropOff)),
    )


def test_a_courier_collects_one_order_and_waits_for_the_other() -> None:
    waiting = sure(heard(busy(*BOTH), Arrive()).state)

    step = heard(waiting, Collect((ORDER,)))

    assert sure(step.state).heading == waiting.heading
    assert tells(step.effects, "order") == ((ORDER, said(PickUp)),)


@pytest.mark.parametrize("order_ids", [(), (OTHER_ORDER,), (ORDER, OTHER_ORDER)])
def test_a_courier_collects_only_what_is_next(order_ids: tuple[OrderId, ...]) -> None:
    state = sure(engaged(busy(a_task()), ELSEWHERE, offer_id=OTHER_OFFER).state)

    step = heard(state, Collect(order_ids))

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_AT_STOP,)


def test_what_was_collected_is_collected_once() -> None:
    state = loaded(a_task())

    assert heard(state, Collect((ORDER,))) == agreed(state)


def test_a_courier_at_the_door_tells_the_order() -> None:
    state = loaded(a_task())

    step = heard(state, Arrive(ORDER))

    told = Tell("order", ORDER, said(ArriveAtDropOff))
    there = structs.replace(state, doorstep=Doorstep(ORDER, NOW, DOOR))
    assert step == Step(there, (Reply(Accepted()), told))
    assert heard(there, Arrive(ORDER), later(60)).state == there


def test_a_courier_who_delivered_is_off_to_what_comes_next() -> None:
    state = sure(engaged(loaded(a_task()), ELSEWHERE, offer_id=OTHER_OFFER).state)

    step = heard(state, Deliver(ORDER, left_at_door=True), later(400))

    lighter = sure(step.state)
    assert (lighter.carried, lighter.recent, lighter.point) == ((), (ORDER,), DOOR)
    assert sure(lighter.heading).departed_at == later(400 + POLICY.dropoff_s / 2)
    assert tells(step.effects, "order") == (
        (ORDER, said(HandToCustomer, left_at_door=True)),
        (OTHER_ORDER, said(Depart, offer_id=OTHER_OFFER)),
    )


def test_the_next_customer_hears_that_the_courier_is_on_his_way() -> None:
    step = heard(loaded(*BOTH), Deliver(ORDER))

    assert tells(step.effects, "order")[1:] == ((OTHER_ORDER, said(DepartToDropOff)),)


def test_what_was_delivered_is_delivered_once() -> None:
    state = sure(heard(loaded(a_task()), Deliver(ORDER)).state)

    assert heard(state, Deliver(ORDER)) == agreed(state)


@pytest.mark.parametrize(
    "word", [Arrive(ORDER), Deliver(ORDER), Abort(ORDER, "?"), BringBack(ORDER)]
)
def test_nobody_is_done_with_what_he_does_not_carry(word: Message) -> None:
    state = busy(a_task())

    step = heard(state, word)

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_AT_STOP,)


def test_only_the_latest_orders_are_remembered() -> None:
    state = a_courier()
    for number in range(RECENT_MAX + 2):
        task = a_task(OrderId(f"ord_{number}"))
        state = sure(engaged(state, task).state)
        for word in (Arrive(), Collect((task.order_id,)), Deliver(task.order_id)):
            state = sure(heard(state, word).state)

    assert len(state.recent) == RECENT_MAX
    assert state.recent[-1] == f"ord_{RECENT_MAX + 1}"


def test_food_nobody_takes_is_brought_back_after_the_other_doors() -> None:
    step = given_up(loaded(*BOTH))

    turned = sure(step.state)
    assert turned.route == (DropOff(OTHER_ORDER, DOOR), DropOff(ORDER, KITCHEN))
    assert tells(step.effects, "order") == (
        (ORDER, said(StartReturn, reason="nobody there")),
        (OTHER_ORDER, said(DepartToDropOff)),
    )


def test_nobody_is_told_that_food_on_its_way_back_is_coming() -> None:
    step = given_up(loaded(a_task()))

    assert tells(step.effects, "order") == ((ORDER, said(StartReturn, reason="nobody there")),)


def test_food_is_brought_back_first_where_the_next_pickup_would_not_fit() -> None:
    state = loaded(a_task(size=2), load_max=4)
    state = sure(engaged(state, ELSEWHERE, offer_id=OTHER_OFFER).state)

    turned = sure(given_up(state).state)

    assert turned.route[0] == DropOff(ORDER, KITCHEN)
    sizes = {task.order_id: task.size for task in turned.tasks}
    assert route.load_peak(turned.route, sizes) <= turned.load_max


def test_food_that_is_back_ends_the_way_at_the_restaurant() -> None:
    state = sure(given_up(loaded(a_task())).state)

    step = heard(state, BringBack(ORDER))

    assert (sure(step.state).point, sure(step.state).carried) == (KITCHEN, ())
    assert tells(step.effects, "order") == ((ORDER, said(Return)),)
    assert heard(sure(step.state), BringBack(ORDER)) == agreed(sure(step.state))


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (UndeliverableAction.LEAVE_AT_DOOR, said(HandToCustomer, left_at_door=True)),
        (UndeliverableAction.DISCARD, said(Discard, reason="nobody there", has_waited=True)),
    ],
)
def test_food_that_is_not_wanted_back_is_got_rid_of_at_the_door(
    action: UndeliverableAction, word: ByCourier
) -> None:
    step = given_up(loaded(a_task(undeliverable_action=action)))

    free = sure(step.state)
    assert (free.route, free.carried, free.point) == ((), (), DOOR)
    assert tells(step.effects, "order") == ((ORDER, word),)
    assert heard(free, Abort(ORDER, "nobody there"), later(900)) == agreed(free)


def test_nobody_gives_a_door_up_before_he_has_waited_there() -> None:
    state = loaded(a_task())

    unseen = heard(state, Abort(ORDER, "nobody there"))
    early = given_up(state, POLICY.door_wait_s - 1)

    assert refusals(unseen.effects) == (Code.NOT_AT_STOP,)
    assert refusals(early.effects) == (Code.NOT_LEGAL_NOW,)
    assert sure(early.state).route == state.route


def test_his_pings_may_know_that_he_has_waited_for_longer_than_he_says() -> None:
    near = structs.replace(
        loaded(a_task()),
        neared=Neared(restaurant_id=None, order_id=ORDER, departed_at=None, at=later(-200)),
    )

    step = given_up(near, POLICY.door_wait_s - 200)

    assert sure(step.state).returning == (ORDER,)


def test_pings_from_before_he_may_have_been_away_are_no_wait() -> None:
    near = structs.replace(
        loaded(a_task()),
        neared=Neared(restaurant_id=None, order_id=ORDER, departed_at=None, at=later(-3_600)),
    )

    step = given_up(near, 0)

    assert refusals(step.effects) == (Code.NOT_LEGAL_NOW,)


def test_who_waits_with_two_orders_at_one_door_waits_once() -> None:
    state = loaded(*BOTH)
    for message, at_s in ((Arrive(ORDER), 0), (Arrive(OTHER_ORDER), 200)):
        state = sure(heard(state, message, later(at_s)).state)
    state = sure(heard(state, Abort(OTHER_ORDER, "nobody"), later(POLICY.door_wait_s)).state)

    step = heard(state, Abort(ORDER, "nobody"), later(POLICY.door_wait_s))

    assert sure(step.state).returning == (OTHER_ORDER, ORDER)


def test_a_courier_who_came_to_another_door_waits_there_anew() -> None:
    state = loaded(a_task(), a_task(OTHER_ORDER, dropoff=OTHER_KITCHEN))
    for message, at_s in ((Arrive(ORDER), 0), (Arrive(OTHER_ORDER), 200)):
        state = sure(heard(state, message, later(at_s)).state)

    step = heard(state, Abort(OTHER_ORDER, "nobody there"), later(POLICY.door_wait_s))

    assert refusals(step.effects) == (Code.NOT_LEGAL_NOW,)


def test_food_that_was_fetched_from_another_courier_goes_back_to_its_kitchen() -> None:
    handed_over = structs.replace(a_task(pickup=OTHER_KITCHEN), kitchen=KITCHEN)

    turned = sure(given_up(loaded(handed_over)).state)

    assert turned.route == (DropOff(ORDER, KITCHEN),)
    assert sure(heard(turned, BringBack(ORDER), later(900)).state).point == KITCHEN


@pytest.mark.parametrize("word", [Deliver(ORDER), Arrive(ORDER)])
def test_food_on_its_way_back_is_not_delivered_after_all(word: Message) -> None:
    state = sure(given_up(loaded(a_task())).state)

    step = heard(state, word)

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_AT_STOP,)


@pytest.mark.parametrize("is_on_way_back", [False, True])
def test_spoiled_food_is_thrown_away_wherever_he_is(*, is_on_way_back: bool) -> None:
    state = loaded(a_task())
    if is_on_way_back:
        state = sure(given_up(state).state)

    step = heard(state, Abort(ORDER, "spilled", returns=False))

    assert sure(step.state).route == ()
    assert tells(step.effects, "order") == ((ORDER, said(Discard, reason="spilled")),)


class CourierLife(RuleBasedStateMachine):
    """A courier who is given anything and does anything, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.state = a_courier()

    @rule(place=st.integers(0, 99))
    def hear_what_fits(self, place: int) -> None:
        words = courier_words(self.state)
        self._hear(words[place % len(words)])

    @rule(number=st.integers(0, 4), size=st.integers(1, 3), is_elsewhere=st.booleans())
    def be_given_work(self, number: int, size: int, *, is_elsewhere: bool) -> None:
        order_id = OrderId(f"ord_{number}")
        task = a_task(order_id, size=size)
        if is_elsewhere:
            task = a_task(order_id, size=size, restaurant_id=OTHER_RESTAURANT, pickup=OTHER_KITCHEN)
        offer_id = OfferId(f"off_{self.state.version}")
        version = self.state.version
        self._hear(Invite(offer_id=offer_id, courier_id=COURIER, version=version, tasks=(task,)))
        self._hear(Engage(offer_id=offer_id, tasks=(task,)))

    @precondition(lambda self: self.state.route)
    @rule()
    def do_what_comes_next(self) -> None:
        stop = self.state.route[0]
        if isinstance(stop, DropOff):
            is_back = stop.order_id in self.state.returning
            self._hear(BringBack(stop.order_id) if is_back else Deliver(stop.order_id))
        else:
            self._hear(Collect(stop.order_ids))

    @rule(seconds=st.integers(1, 900))
    def let_time_pass(self, seconds: int) -> None:
        self.now = Instant(self.now + seconds * 1_000)

    @precondition(lambda self: courier.wakes_at(self.state) is not None)
    @rule()
    def wake_on_time(self) -> None:
        self.now = max(self.now, sure(courier.wakes_at(self.state)))
        self._hear(Wake())

        assert courier.wakes_at(self.state) is None

    def _hear(self, message: Message) -> None:
        step = heard(self.state, message, self.now)
        before, self.state = self.state, sure(step.state)
        assert self.state.version >= before.version
        for order_id, word in tells(step.effects, "order"):
            assert isinstance(word, ByCourier)
            assert word.offer_id is not None, (order_id, word)
        assert heard(self.state, message, self.now).state == self.state

    @invariant()
    def can_drive_his_route(self) -> None:
        sizes = {task.order_id: task.size for task in self.state.tasks}
        assert route.is_sound(self.state.route, self.state.carried)
        assert route.load_peak(self.state.route, sizes) <= self.state.load_max
        assert set(route.order_ids(self.state.route)) == set(sizes)

    @invariant()
    def works_only_on_shift(self) -> None:
        if self.state.stage in {courier.Stage.OFF, courier.Stage.QUIET, courier.Stage.ENDING}:
            assert route.to_collect(self.state.route) == ()
            assert self.state.offer_id is None


TestCourierLife = settings(max_examples=15)(CourierLife).TestCase
