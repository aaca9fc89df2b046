"""The round machine: the beat, and what a plan turns into."""

import pytest
from msgspec import structs

from dispatch import round as rounds
from dispatch.delivery import Release
from dispatch.ids import Instant, OfferId
from dispatch.invitation import Reposition
from dispatch.offer import Open
from dispatch.round import (
    LEGAL,
    SOLVER,
    Begin,
    Dispatch,
    Message,
    Relocation,
    Round,
    RoundMissed,
    RoundPlanned,
    Solve,
    Solved,
    Stage,
    Stop,
    TakeBack,
    Unsolved,
)
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake
from tests.dispatch.builders import (
    COURIER,
    KITCHEN,
    MARKET,
    NOW,
    OTHER_COURIER,
    OTHER_ORDER,
    POLICY,
    RESTAURANT,
    a_task,
    later,
    refusals,
    sure,
)
from tests.dispatch.explored import ROUNDS, round_words
from tests.dispatch.test_sentences import DECIDED


def heard(state: Round | None, message: Message, now: Instant = NOW) -> Step[Round | None]:
    return rounds.step(state, message, now, POLICY)


def a_round(*messages: Message) -> Round:
    """Return a market that began and then heard these messages."""
    state = heard(None, Begin(MARKET, NOW)).state
    for message in messages:
        state = heard(state, message).state
    return sure(state)


def test_a_message_is_followed_exactly_where_the_table_allows_it() -> None:
    for state in ROUNDS.reachable():
        for message in round_words(state):
            after, effects = ROUNDS.after(state, message)

            stage = LEGAL[state.stage].get(type(message))
            if stage is None:
                assert after is state
            else:
                assert sure(after).stage is stage
                assert not refusals(effects)


def test_every_stage_is_reached() -> None:
    assert {state.stage for state in ROUNDS.reachable()} == set(Stage)


def test_a_round_asks_the_solver_and_waits_for_it() -> None:
    state = a_round()

    step = heard(state, Wake())

    solving = sure(step.state)
    assert step.effects == (Tell(SOLVER, MARKET, Solve(MARKET, 1)),)
    assert solving.stage is Stage.SOLVING
    assert rounds.wakes_at(solving) == later(POLICY.round_timeout_s)


def test_rounds_keep_the_beat_however_long_the_solver_took() -> None:
    solving = a_round(Wake())

    quick = sure(heard(solving, Solved(number=1), later(1)).state)
    slow = sure(heard(solving, Solved(number=1), later(25)).state)

    assert rounds.wakes_at(quick) == later(POLICY.round_s)
    assert rounds.wakes_at(slow) == Instant(later(25) + 1)


def test_a_plan_that_does_not_come_in_time_is_given_up() -> None:
    solving = a_round(Wake())
    due = later(POLICY.round_timeout_s)

    step = heard(solving, Wake(), due)

    assert sure(step.state).stage is Stage.IDLE
    assert step.effects == (
        Record(RoundMissed(market_id=MARKET, number=1, reason="the solver was late", at=due)),
    )


def test_a_solver_that_cannot_says_why() -> None:
    step = heard(a_round(Wake()), Unsolved(1, "no couriers"))

    assert step.effects == (
        Record(RoundMissed(market_id=MARKET, number=1, reason="no couriers", at=NOW)),
    )


def test_a_plan_of_an_earlier_round_is_passed_over() -> None:
    state = a_round(Wake(), Solved(number=1))
    solving = sure(heard(state, Wake(), later(POLICY.round_s)).state)

    step = heard(solving, Solved(number=1))

    assert step.state is solving
    assert refusals(step.effects) == (Code.STALE_VERSION,)


@pytest.mark.parametrize("offer_s", [0.0, 30.0])
def test_a_plan_frees_before_it_offers_and_offers_before_it_advises(offer_s: float) -> None:
    policy = POLICY.evolve(offer_s=offer_s)
    task = a_task()
    plan = Solved(
        number=1,
        take_backs=(TakeBack(OTHER_ORDER, 4),),
        dispatches=(Dispatch(courier_id=COURIER, courier_version=7, tasks=(task,), versions=(3,)),),
        relocations=(
            Relocation(
                courier_id=OTHER_COURIER, courier_version=2, restaurant_id=RESTAURANT, point=KITCHEN
            ),
        ),
        orders=2,
        couriers=2,
    )

    step = rounds.step(a_round(Wake()), plan, NOW, policy)

    offer_id = OfferId(f"off_{MARKET}_1_0")
    opened = Open(
        offer_id=offer_id,
        courier_id=COURIER,
        courier_version=7,
        tasks=(task,),
        versions=(3,),
        is_direct=offer_s == 0,
    )
    fact = RoundPlanned(
        market_id=MARKET,
        number=1,
        orders=2,
        couriers=2,
        unplanned=0,
        take_backs=1,
        dispatches=1,
        relocations=1,
        cost_s=0.0,
        policy=policy,
        at=NOW,
    )
    assert step.effects == (
        Record(fact),
        Tell("order", OTHER_ORDER, Release(4)),
        Tell("offer", offer_id, opened),
        Tell(
            "courier",
            OTHER_COURIER,
            Reposition(version=2, restaurant_id=RESTAURANT, point=KITCHEN),
        ),
    )


def test_a_market_that_runs_is_not_begun_again() -> None:
    state = a_round(Wake(), Solved(number=1))

    step = heard(state, Begin(MARKET, NOW), later(3_600))

    assert step == Step(state, (Reply(Accepted()),))


def test_a_market_that_begins_late_does_not_make_up_for_the_rounds_it_missed() -> None:
    begun = sure(heard(None, Begin(MARKET, NOW), later(3_600)).state)

    assert rounds.wakes_at(begun) == later(3_600)


def test_a_stopped_market_has_no_rounds_and_goes_on_counting_when_it_begins_again() -> None:
    stopped = a_round(Wake(), Stop())

    begun = sure(heard(stopped, Begin(MARKET, later(60))).state)

    assert rounds.wakes_at(stopped) is None
    assert rounds.is_finished(stopped)
    assert (begun.stage, begun.number) == (Stage.IDLE, 1)


def test_a_market_that_never_began_is_not_found() -> None:
    assert refusals(heard(None, Wake()).effects) == (Code.NOT_FOUND,)


def test_why_an_order_went_where_it_did_is_filed_under_the_order() -> None:
    plan = Solved(number=1, decided=(DECIDED,), unexplained=3, cut="the solver was late")

    step = heard(a_round(Wake()), plan)

    planned, why = (one for one in step.effects if isinstance(one, Record))
    assert isinstance(planned.fact, RoundPlanned)
    assert planned.fact.unexplained == 3
    assert planned.about is None
    told = structs.replace(DECIDED, cut="the solver was late")
    assert why == Record(told, about=("decision", DECIDED.order_id))
