"""The offer machine: claiming, asking, and everybody let go when it ends."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dispatch import offer
from dispatch.delivery import Assign, Claim, CloseOffer
from dispatch.ids import CourierId, Instant, OrderId
from dispatch.invitation import Ask, Claimed, Disengage, Engage, Invite, Unclaimed
from dispatch.offer import (
    CLAIM_S_MAX,
    LEGAL,
    Assume,
    Complete,
    Decline,
    Message,
    Offer,
    OfferClosed,
    Stage,
    Take,
    Withdraw,
)
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake
from tests.dispatch.builders import (
    COURIER,
    NOW,
    OFFER,
    ORDER,
    OTHER_COURIER,
    OTHER_ORDER,
    POLICY,
    a_task,
    an_offer,
    an_open,
    later,
    refusals,
    sure,
    tells,
)
from tests.dispatch.explored import OFFERS, offer_words

FIRST, SECOND = a_task(), a_task(OTHER_ORDER)
BOTH = (FIRST, SECOND)
EVERYBODY = (Claimed(COURIER), Claimed(ORDER), Claimed(OTHER_ORDER))
NEVER_SENT = {Complete, Assume, Withdraw}


def heard(state: Offer | None, message: Message, now: Instant = NOW) -> Step[Offer | None]:
    return offer.step(state, message, now, POLICY)


def closed(state: Offer, stage: Stage, now: Instant = NOW) -> Record:
    """Return the fact of how this offer ended."""
    return Record(
        OfferClosed(
            offer_id=OFFER,
            courier_id=COURIER,
            order_ids=tuple(task.order_id for task in state.tasks),
            stage=stage,
            at=now,
        )
    )


def test_an_offer_moves_only_along_its_table() -> None:
    used: set[tuple[Stage, Stage]] = set()
    for state in OFFERS.reachable():
        for message in offer_words(state):
            after, _ = OFFERS.after(state, message)

            stage = sure(after).stage
            assert stage is state.stage or stage in LEGAL[state.stage].values()
            used.add((state.stage, stage))

    entries = {(at, to) for at, row in LEGAL.items() for to in row.values()}
    assert entries <= used
    assert {state.stage for state in OFFERS.reachable()} == set(Stage)


def test_an_offer_hears_only_what_its_table_knows() -> None:
    for state in OFFERS.reachable():
        for message in offer_words(state):
            if type(message) not in LEGAL[state.stage]:
                assert OFFERS.after(state, message)[0] is state


def test_a_closed_offer_stays_closed_and_has_no_deadline() -> None:
    over = [state for state in OFFERS.reachable() if offer.is_finished(state)]
    for state in over:
        assert offer.wakes_at(state) is None
        for message in offer_words(state):
            assert OFFERS.after(state, message)[0] is state

    assert {state.stage for state in over} == set(Stage) - {Stage.CLAIMING, Stage.OPEN}


def test_an_offer_claims_its_courier_and_its_orders_before_anybody_is_asked() -> None:
    step = heard(None, an_open(*BOTH, courier_version=7))

    assert step.effects == (
        Tell("courier", COURIER, Invite(offer_id=OFFER, courier_id=COURIER, version=7, tasks=BOTH)),
        *(
            Tell(
                "order",
                order_id,
                Claim(offer_id=OFFER, order_id=order_id, courier_id=COURIER, version=1),
            )
            for order_id in (ORDER, OTHER_ORDER)
        ),
    )
    assert offer.wakes_at(sure(step.state)) == later(CLAIM_S_MAX)


@pytest.mark.parametrize("last", range(3))
def test_the_courier_is_asked_when_the_last_one_has_answered(last: int) -> None:
    others = tuple(claimed for place, claimed in enumerate(EVERYBODY) if place != last)
    state = an_offer(*others, tasks=BOTH)

    step = heard(state, EVERYBODY[last], later(2))

    expires_at = later(2 + POLICY.offer_s)
    asked = Ask(offer_id=OFFER, tasks=BOTH, expires_at=expires_at)
    assert step.effects == (Tell("courier", COURIER, asked),)
    assert offer.wakes_at(sure(step.state)) == expires_at


def test_an_order_that_cannot_be_had_is_done_without() -> None:
    state = an_offer(Claimed(COURIER), Claimed(ORDER), tasks=BOTH)

    step = heard(state, Unclaimed(OTHER_ORDER))

    ((_, asked),) = tells(step.effects, "courier")
    assert isinstance(asked, Ask)
    assert asked.tasks == (FIRST,)


def test_an_offer_without_any_order_is_withdrawn() -> None:
    state = an_offer(Claimed(COURIER), tasks=(FIRST,))

    step = heard(state, Unclaimed(ORDER))

    assert sure(step.state).stage is Stage.WITHDRAWN
    assert tells(step.effects, "courier") == ((COURIER, Disengage(OFFER)),)


def test_an_offer_without_its_courier_is_withdrawn() -> None:
    state = an_offer(Claimed(ORDER), tasks=BOTH)

    step = heard(state, Unclaimed(COURIER))

    assert step.effects == (
        closed(state, Stage.WITHDRAWN),
        Tell("order", ORDER, CloseOffer(OFFER)),
        Tell("order", OTHER_ORDER, CloseOffer(OFFER)),
        Tell("courier", COURIER, Disengage(OFFER)),
    )


def test_an_offer_that_cannot_claim_in_time_lets_everybody_go() -> None:
    state = an_offer(Claimed(COURIER), tasks=(FIRST,))

    step = heard(state, Wake(), later(CLAIM_S_MAX))

    assert sure(step.state).stage is Stage.WITHDRAWN
    assert tells(step.effects, "order") == ((ORDER, CloseOffer(OFFER)),)


def test_an_offer_that_is_taken_binds_its_orders_and_sets_the_courier_off() -> None:
    state = an_offer(*EVERYBODY, tasks=BOTH)

    step = heard(state, Take(COURIER))

    engage = Engage(offer_id=OFFER, tasks=BOTH, sequence=(ORDER, OTHER_ORDER))
    assert step.effects == (
        Reply(Accepted()),
        closed(state, Stage.TAKEN),
        Tell("order", ORDER, Assign(OFFER, COURIER)),
        Tell("order", OTHER_ORDER, Assign(OFFER, COURIER)),
        Tell("courier", COURIER, engage),
    )


def test_a_direct_offer_is_taken_the_moment_all_is_claimed() -> None:
    state = an_offer(Claimed(ORDER), tasks=(FIRST,), is_direct=True)

    step = heard(state, Claimed(COURIER))

    assert sure(step.state).stage is Stage.TAKEN
    assert tells(step.effects, "order") == ((ORDER, Assign(OFFER, COURIER)),)


def test_a_market_whose_couriers_do_not_choose_assigns_directly() -> None:
    state = an_offer(Claimed(ORDER), tasks=(FIRST,))

    step = offer.step(state, Claimed(COURIER), NOW, POLICY.evolve(offer_s=0))

    assert sure(step.state).stage is Stage.TAKEN


def test_a_declined_offer_tells_its_orders_by_whom() -> None:
    state = an_offer(*EVERYBODY[:2], tasks=(FIRST,))

    step = heard(state, Decline(COURIER))

    assert step.effects == (
        Reply(Accepted()),
        closed(state, Stage.DECLINED),
        Tell("order", ORDER, CloseOffer(OFFER, declined_by=COURIER)),
        Tell("courier", COURIER, Disengage(OFFER)),
    )


def test_an_offer_nobody_answers_lapses_on_time() -> None:
    state = an_offer(*EVERYBODY[:2], tasks=(FIRST,))

    early = heard(state, Wake(), Instant(state.expires_at - 1))
    on_time = heard(state, Wake(), state.expires_at)

    assert early == Step(state)
    assert sure(on_time.state).stage is Stage.LAPSED
    assert tells(on_time.effects, "order") == ((ORDER, CloseOffer(OFFER, declined_by=COURIER)),)


def test_an_offer_cannot_be_taken_once_its_time_is_up() -> None:
    state = an_offer(*EVERYBODY[:2], tasks=(FIRST,))

    before_the_wake = heard(state, Take(COURIER), state.expires_at)
    lapsed = sure(heard(state, Wake(), state.expires_at).state)
    after_the_wake = heard(lapsed, Take(COURIER), state.expires_at)

    assert before_the_wake.state is state
    assert refusals(before_the_wake.effects) == (Code.OFFER_LAPSED,)
    assert refusals(after_the_wake.effects) == (Code.OFFER_LAPSED,)


def test_an_offer_is_for_its_courier_alone() -> None:
    for state in OFFERS.reachable():
        for word in (Take(OTHER_COURIER), Decline(OTHER_COURIER)):
            after, effects = OFFERS.after(state, word)

            assert after is state
            assert refusals(effects) == (Code.NOT_YOURS,)


def test_an_offer_that_was_declined_cannot_be_taken_after_all() -> None:
    state = an_offer(*EVERYBODY[:2], Decline(COURIER), tasks=(FIRST,))

    step = heard(state, Take(COURIER))

    assert step.state is state
    assert refusals(step.effects) == (Code.OFFER_CLOSED,)


def test_a_courier_who_says_the_same_again_is_agreed_with() -> None:
    state = an_offer(*EVERYBODY[:2], Take(COURIER), tasks=(FIRST,))

    assert heard(state, Take(COURIER), later(600)) == Step(state, (Reply(Accepted()),))


def test_an_order_that_is_canceled_while_offered_leaves_the_offer() -> None:
    state = an_offer(*EVERYBODY, tasks=BOTH)

    step = heard(state, Unclaimed(ORDER), later(3))

    asked = Ask(offer_id=OFFER, tasks=(SECOND,), expires_at=state.expires_at)
    assert step.effects == (Tell("courier", COURIER, asked),)


def test_the_courier_is_not_asked_again_when_nothing_has_changed() -> None:
    state = an_offer(*EVERYBODY, Unclaimed(ORDER), tasks=BOTH)

    assert heard(state, Unclaimed(ORDER)) == Step(state)


def test_what_is_claimed_for_an_offer_that_has_closed_is_let_go() -> None:
    state = an_offer(Unclaimed(COURIER), tasks=(FIRST,))

    order = heard(state, Claimed(ORDER))
    courier = heard(state, Claimed(COURIER))

    assert order == Step(state, (Tell("order", ORDER, CloseOffer(OFFER)),))
    assert courier == Step(state, (Tell("courier", COURIER, Disengage(OFFER)),))


def test_a_courier_who_is_invited_again_late_is_not_kept_by_an_offer_he_took() -> None:
    state = an_offer(*EVERYBODY[:2], Take(COURIER), tasks=(FIRST,))

    step = heard(state, Claimed(COURIER))

    assert step == Step(state, (Tell("courier", COURIER, Disengage(OFFER)),))


def test_an_order_that_was_done_without_is_let_go_when_it_is_claimed_after_all() -> None:
    state = an_offer(Unclaimed(OTHER_ORDER), tasks=BOTH)

    step = heard(state, Claimed(OTHER_ORDER))

    assert step == Step(state, (Tell("order", OTHER_ORDER, CloseOffer(OFFER)),))


def test_an_offer_that_does_not_exist_cannot_be_taken() -> None:
    step = heard(None, Take(COURIER))

    assert refusals(step.effects) == (Code.NOT_FOUND,)


def test_what_an_offer_never_opened_hears_from_others_is_passed_over() -> None:
    assert heard(None, Claimed(ORDER)) == Step(None)
    assert heard(None, Wake()) == Step(None)


def test_what_the_table_knows_and_nobody_sends_is_no_message() -> None:
    known = {cause for row in LEGAL.values() for cause in row}

    assert known - {type(word) for word in offer_words(None)} == NEVER_SENT


class OfferLife(RuleBasedStateMachine):
    """An offer of three orders, answered by anybody in any order, late and again."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.orders = tuple(OrderId(f"ord_{number}") for number in range(3))
        self.state = an_offer(tasks=tuple(map(a_task, self.orders)))
        self.decided: set[Stage] = set()

    @rule(place=st.integers(0, 3), is_in=st.booleans())
    def answer(self, place: int, *, is_in: bool) -> None:
        name: OrderId | CourierId = (*self.orders, COURIER)[place]
        self._hear(Claimed(name) if is_in else Unclaimed(name))

    @rule(takes=st.booleans(), is_his=st.booleans())
    def decide(self, *, takes: bool, is_his: bool) -> None:
        courier_id = COURIER if is_his else OTHER_COURIER
        before = self.state
        self._hear(Take(courier_id) if takes else Decline(courier_id))

        assert is_his or self.state is before

    @rule(seconds=st.integers(1, 20))
    def let_time_pass(self, seconds: int) -> None:
        self.now = Instant(self.now + seconds * 1_000)

    @precondition(lambda self: offer.wakes_at(self.state) is not None)
    @rule()
    def wake_on_time(self) -> None:
        self.now = max(self.now, sure(offer.wakes_at(self.state)))
        self._hear(Wake())

        assert offer.is_finished(self.state)

    def _hear(self, message: Message) -> None:
        step = heard(self.state, message, self.now)
        self.state = sure(step.state)
        ends = [one.fact for one in step.effects if isinstance(one, Record)]
        self.decided |= {end.stage for end in ends if isinstance(end, OfferClosed)}
        assert sure(heard(self.state, message, self.now).state) == self.state

    @invariant()
    def ends_once(self) -> None:
        assert len(self.decided) == offer.is_finished(self.state)
        assert self.decided <= {self.state.stage}

    @invariant()
    def asks_for_something_only_when_all_is_claimed(self) -> None:
        if self.state.stage in {Stage.OPEN, Stage.TAKEN}:
            assert self.state.tasks
            assert not self.state.unanswered


TestOfferLife = settings(max_examples=15)(OfferLife).TestCase
