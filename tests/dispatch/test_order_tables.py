"""The order's tables held against every state it can reach, and an order that hears anything."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct, structs

from dispatch import order
from dispatch.delivery import (
    DELIVERY_LEGAL,
    WITH_COURIER,
    Assign,
    ByCourier,
    DeliveryStatus,
    Due,
    GiveUp,
    Lapse,
    PickUp,
)
from dispatch.ids import Instant
from dispatch.invitation import Claimed, Unclaimed, Withdraw
from dispatch.kitchen import FINISHED, ORDER_LEGAL, OrderStatus
from dispatch.order import (
    Accept,
    Order,
)
from dispatch.step import Accepted, Refused, Step, Tell, Wake
from tests.dispatch.builders import (
    NOW,
    OTHER_COURIER,
    OTHER_OFFER,
    POLICY,
    an_order,
    answers,
    later,
    refusals,
    sure,
    tells,
)
from tests.dispatch.explored import ORDERS, order_words

BY_COURIER = tuple(word for word in order_words(None) if isinstance(word, ByCourier | Assign))
BY_DEADLINE = {
    OrderStatus.PLACED: Lapse,
    DeliveryStatus.SCHEDULED: Due,
    DeliveryStatus.PENDING: GiveUp,
}


def heard(state: Order | None, message: order.Message, now: Instant = NOW) -> Step[Order | None]:
    return order.step(state, message, now, POLICY)


def cause_of(state: Order, message: Struct) -> type[Struct]:
    """Return what a message is to the tables: a wake stands for the deadline that has come."""
    if not isinstance(message, Wake):
        return type(message)
    return BY_DEADLINE.get(state.status) or BY_DEADLINE.get(state.delivery.status) or Wake


def allowed(state: Order, cause: type[Struct]) -> tuple[OrderStatus, DeliveryStatus] | None:
    """Return where the two tables let this message lead, read independently of the machine."""
    kitchen, delivery = ORDER_LEGAL[state.status], DELIVERY_LEGAL[state.delivery.status]
    in_kitchen = any(cause in row for row in ORDER_LEGAL.values())
    in_delivery = any(cause in row for row in DELIVERY_LEGAL.values())
    is_barred = (in_kitchen and cause not in kitchen) or (in_delivery and cause not in delivery)
    if is_barred or not (in_kitchen or in_delivery) or _is_nobody_s(state, cause):
        return None
    return kitchen.get(cause, state.status), delivery.get(cause, state.delivery.status)


def _is_nobody_s(state: Order, cause: type[Struct]) -> bool:
    """Tell whether there is no courier who could have collected an order that is looked for."""
    held = state.delivery
    is_free = held.status is DeliveryStatus.PENDING and held.released is None
    return cause is PickUp and is_free


def led_to(state: Order, cause: type[Struct]) -> tuple[OrderStatus, DeliveryStatus] | None:
    """Return where a message leads: an order to be had at once is looked for when accepted."""
    statuses = allowed(state, cause)
    if cause is Accept and statuses and state.wanted_at is None:
        return statuses[0], DeliveryStatus.PENDING
    return statuses


def test_a_message_is_followed_exactly_where_the_tables_allow_it() -> None:
    for state in ORDERS.reachable():
        for message in order_words(state):
            after, effects = ORDERS.after(state, message)

            expected = led_to(state, cause_of(state, message))
            if expected is not None:
                assert ORDERS.stage(sure(after)) == expected, (state, message)
                assert not refusals(effects)
            else:
                assert after is state, (state, message)


def test_a_message_that_is_not_followed_is_refused_or_was_done_before() -> None:
    for state in ORDERS.reachable():
        for message in order_words(state):
            if allowed(state, cause_of(state, message)) is None:
                _, effects = ORDERS.after(state, message)

                told = [tell.message for tell in effects if isinstance(tell, Tell)]
                given = answers(effects) or tuple(told)
                is_answer = all(
                    isinstance(one, Accepted | Refused | Claimed | Unclaimed) for one in given
                )
                assert is_answer, (state, message)
                assert given or isinstance(message, Wake)


def test_every_status_of_order_and_delivery_is_reached() -> None:
    reached = ORDERS.reachable()

    assert {state.status for state in reached} == set(OrderStatus)
    assert {state.delivery.status for state in reached} == set(DeliveryStatus)


def test_every_entry_of_the_tables_is_used_by_some_reachable_order() -> None:
    used: set[tuple[str, str, type[Struct]]] = set()
    for state in ORDERS.reachable():
        for message in order_words(state):
            cause = cause_of(state, message)
            if allowed(state, cause):
                used |= {("order", state.status, cause), ("delivery", state.delivery.status, cause)}

    entries = {("order", at, cause) for at, row in ORDER_LEGAL.items() for cause in row}
    entries |= {("delivery", at, cause) for at, row in DELIVERY_LEGAL.items() for cause in row}
    assert entries - used == set()


def test_an_order_that_has_ended_is_never_moved_again() -> None:
    ended = [state for state in ORDERS.reachable() if order.is_finished(state)]
    for state in ended:
        for message in order_words(state):
            assert ORDERS.after(state, message)[0] is state
        assert order.wakes_at(state) is None
        assert state.delivery.ended_at is not None

    assert {state.status for state in ended} == FINISHED


@pytest.mark.parametrize("word", BY_COURIER, ids=lambda word: type(word).__name__)
def test_a_courier_who_does_not_have_the_order_is_refused_and_told(word: Struct) -> None:
    for state in ORDERS.reachable():
        wrong = structs.replace(word, courier_id=OTHER_COURIER)

        after, effects = ORDERS.after(state, wrong)

        assert after is state
        assert len(refusals(effects)) == 1
        ((told, withdraw),) = tells(effects, "courier")
        assert told == OTHER_COURIER
        assert isinstance(withdraw, Withdraw)


@pytest.mark.parametrize("word", BY_COURIER, ids=lambda word: type(word).__name__)
def test_a_word_from_an_earlier_assignment_is_not_taken_for_one_from_this(word: Struct) -> None:
    for state in ORDERS.reachable():
        old = structs.replace(word, offer_id=OTHER_OFFER)

        after, effects = ORDERS.after(state, old)

        assert after is state
        assert len(refusals(effects)) == 1
        ((_, withdraw),) = tells(effects, "courier")
        assert isinstance(withdraw, Withdraw)
        assert withdraw.offer_id == OTHER_OFFER


class OrderLife(RuleBasedStateMachine):
    """An order that hears anything at any time, fitting or not, and late."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.state = an_order(wanted_at=later(7_200))

    @rule(place=st.integers(0, 99))
    def hear_what_fits(self, place: int) -> None:
        words = order_words(self.state)
        self._hear(words[place % len(words)])

    @rule(place=st.integers(0, 99))
    def hear_from_somebody_else(self, place: int) -> None:
        word = structs.replace(BY_COURIER[place % len(BY_COURIER)], courier_id=OTHER_COURIER)
        before = self.state

        self._hear(word)

        assert self.state is before

    @rule(seconds=st.integers(1, 4_000))
    def let_time_pass(self, seconds: int) -> None:
        self.now = Instant(self.now + seconds * 1_000)

    @precondition(lambda self: order.wakes_at(self.state) is not None)
    @rule()
    def wake_on_time(self) -> None:
        self.now = max(self.now, sure(order.wakes_at(self.state)))
        self._hear(Wake())
        due = order.wakes_at(self.state)

        assert due is None or due > self.now

    def _hear(self, message: order.Message) -> None:
        before = self.state
        self.state = sure(heard(before, message, self.now).state)
        again = sure(heard(self.state, message, self.now).state)
        assert again == self.state
        assert self.state.version >= before.version

    @invariant()
    def has_a_courier_exactly_when_one_is_bound(self) -> None:
        status, held = self.state.delivery.status, self.state.delivery
        if status in {DeliveryStatus.SCHEDULED, DeliveryStatus.PENDING}:
            assert held.courier_id is None
        if status in {DeliveryStatus.OFFERED, *WITH_COURIER, DeliveryStatus.DELIVERED}:
            assert held.courier_id is not None

    @invariant()
    def has_ended_exactly_when_its_delivery_has(self) -> None:
        is_over = DELIVERY_LEGAL[self.state.delivery.status] == {}

        assert (
            order.is_finished(self.state) == is_over == (self.state.delivery.ended_at is not None)
        )

    @invariant()
    def is_out_of_the_kitchen_once_picked_up(self) -> None:
        if self.state.delivery.picked_up_at is not None:
            assert self.state.status in FINISHED | {OrderStatus.HANDED_OVER}


TestOrderLife = settings(max_examples=15)(OrderLife).TestCase
