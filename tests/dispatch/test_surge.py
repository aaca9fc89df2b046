"""Surge: bounded, smooth, explained, and never dear for longer than somebody looks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dispatch import surge
from dispatch.ids import Instant, after
from dispatch.policy import Policy, Surging
from dispatch.step import Code, Record, Wake
from dispatch.surge import CALM, Measure, Stage, Surge, SurgeChanged
from tests.dispatch.builders import MARKET, NOW, refusals, sure

SURGING = Surging(percent_max=150, step_percent=10, hold_s=180.0, measure_s=30.0, memory_s=300.0)
POLICY = Policy(surging=SURGING)
SHORT, PLENTY = (60, 3), (0, 20)


def look(seconds: float, waiting: int, free: int, expected: float = 0.0) -> Measure:
    return Measure(
        place="zon_1",
        market_id=MARKET,
        waiting=waiting,
        expected=expected,
        free=free,
        at=after(NOW, seconds),
    )


def watched(
    looks: list[tuple[int, int]], policy: Policy = POLICY, state: Surge | None = None
) -> tuple[Surge, list[SurgeChanged]]:
    """The place after a look each half minute, and how its surge moved."""
    changes: list[SurgeChanged] = []
    begins_at = state.measured_at if state else NOW
    for number, (waiting, free) in enumerate(looks, start=1):
        message = structs.replace(look(0, waiting, free), at=after(begins_at, 30.0 * number))
        step = surge.step(state, message, message.at, policy)
        state = sure(step.state)
        found = [effect.fact for effect in step.effects if isinstance(effect, Record)]
        changes += [fact for fact in found if isinstance(fact, SurgeChanged)]
    return sure(state), changes


def test_it_is_off_by_default_however_short_couriers_are() -> None:
    state, changes = watched([(900, 0)] * 100, Policy())

    assert (state.percent, state.stage, changes) == (CALM, Stage.CALM, [])


def test_it_rises_step_by_step_to_its_maximum_and_no_further() -> None:
    state, changes = watched([SHORT] * 100)

    assert [one.percent for one in changes] == [110, 120, 130, 140, 150]
    assert (state.percent, state.stage) == (150, Stage.RAISED)
    assert {one.percent - one.before for one in changes} == {10}


def test_it_never_moves_twice_within_the_time_it_holds() -> None:
    looks = [SHORT] * 40 + [PLENTY] * 80

    _, changes = watched(looks)

    gaps_s = [(b.at - a.at) / 1_000 for a, b in pairwise(changes)]
    assert len(changes) == 10
    assert min(gaps_s) >= SURGING.hold_s


def test_one_crowded_look_is_no_shortage() -> None:
    _, changes = watched([PLENTY] * 5 + [SHORT] + [PLENTY] * 20)

    assert changes == []


def test_it_comes_down_to_what_is_usual_when_there_are_couriers_again() -> None:
    dear, _ = watched([SHORT] * 40)

    calm, changes = watched([PLENTY] * 80, state=dear)

    assert [one.percent for one in changes] == [140, 130, 120, 110, 100]
    assert (calm.percent, calm.stage) == (100, Stage.CALM)


def test_it_does_not_swing_between_two_steps_when_the_pressure_trembles() -> None:
    steady = (0.5 + SURGING.calm_pressure) * 10
    dear, _ = watched([(round(steady) + 8, 9)] * 100)

    swings = [(round(steady) + (11 if number % 2 else 5), 9) for number in range(200)]
    _, changes = watched(swings, state=dear)

    assert len(changes) <= 1


def test_each_change_says_why_with_the_figures_that_led_to_it() -> None:
    _, changes = watched([(30, 3)] * 20)

    first = changes[0]
    assert (first.waiting, first.free, first.place) == (30, 3, "zon_1")
    assert first.reason.startswith("up to 110 %: 30 orders waiting and 0 more expected, with 3")
    assert "where 1.5 is usual" in first.reason


def test_expected_orders_count_as_if_they_waited() -> None:
    assert surge.pressure(look(0, 2, 1, expected=6.0)) == surge.pressure(look(0, 8, 1))


def test_figures_that_cannot_be_do_no_harm() -> None:
    assert surge.pressure(look(0, -5, -3, expected=-1.0)) == 0.0
    assert surge.pressure(look(0, 10**9, 0)) == surge.PRESSURE_MAX


def test_a_policy_that_allows_less_holds_at_the_next_look() -> None:
    dear, _ = watched([SHORT] * 40)
    stricter = Policy(surging=structs.replace(SURGING, percent_max=120))

    capped, changes = watched([SHORT], stricter, dear)
    off, _ = watched([SHORT], Policy(), capped)

    assert (capped.percent, off.percent) == (120, 100)
    assert off.stage is Stage.CALM
    assert changes[0].reason == "down to 120 %: the market allows no more"


def test_a_place_that_nobody_measures_is_as_usual_again() -> None:
    dear, _ = watched([SHORT] * 40)
    due = sure(surge.wakes_at(dear))

    step = surge.step(dear, Wake(), due, POLICY)

    calm = sure(step.state)
    assert due == after(dear.measured_at, SURGING.stale_s)
    assert (calm.percent, calm.stage) == (100, Stage.CALM)
    assert surge.is_finished(calm)
    assert "nobody has measured it" in calm.reason
    assert [type(effect) for effect in step.effects] == [Record]


def test_a_look_that_comes_again_or_late_changes_nothing() -> None:
    dear, _ = watched([SHORT] * 40)
    again = look(30.0 * 40, *PLENTY)

    same = surge.step(dear, again, again.at, POLICY)
    late = surge.step(dear, look(30.0, *PLENTY), again.at, POLICY)

    assert same.state is dear
    assert late.state is dear
    assert refusals(late.effects) == (Code.STALE_VERSION,)


figure = st.tuples(st.integers(0, 500), st.integers(0, 50))


@given(st.lists(figure, max_size=60), st.integers(100, 300), st.integers(1, 50))
def test_it_stays_within_its_bounds_whatever_is_measured(
    looks: list[tuple[int, int]], most: int, step: int
) -> None:
    surging = structs.replace(SURGING, percent_max=most, step_percent=step)

    _, changes = watched([*looks, (0, 1)], Policy(surging=surging))

    for change in changes:
        assert CALM <= change.percent <= most
        assert 0 < abs(change.percent - change.before) <= step
        assert change.at > Instant(NOW)
