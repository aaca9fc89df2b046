"""Margins bring coverage back, however wrong the estimates are by themselves."""

from random import Random

import msgspec
import pytest

from geo.margin import GOING_ON_MAX, Estimate, Margin
from geo.outcomes import Outcomes
from geo.spread import spread_of

T0 = 1_800_000_000.0
FOUND = spread_of([900.0, 1_200.0, 1_500.0])
PAUSE_S = 20.0


def told_by(margin: Margin) -> Estimate:
    return margin.estimate(FOUND, told_s=T0, load=1.0)


def share_held(
    rng: Random, margin: Margin, outcomes: int, *, off_s: float, spread_s: float
) -> tuple[float, Margin]:
    """Return what share of estimates held whose world is off by so much, and what was learned."""
    held, began_s = 0, T0 + PAUSE_S * len(margin.outcomes)
    for number in range(outcomes):
        told = margin.estimate(FOUND, told_s=began_s + number * PAUSE_S, load=1.0)
        happened_s = rng.gauss(1_200 + off_s, spread_s)
        held += told.low_s <= happened_s <= told.high_s
        margin = margin.learned(told, happened_s)
    return held / outcomes, margin


@pytest.mark.parametrize("off_s", [-900.0, 0.0, 900.0])
@pytest.mark.parametrize("spread_s", [30.0, 240.0, 1_500.0])
def test_eight_in_ten_hold_in_the_long_run_whatever_the_estimates_are_worth(
    off_s: float, spread_s: float
) -> None:
    rng = Random(7)
    _, margin = share_held(rng, Margin(), 200, off_s=off_s, spread_s=spread_s)

    share, _ = share_held(rng, margin, 1_500, off_s=off_s, spread_s=spread_s)

    assert 0.78 <= share <= 0.82


def test_coverage_is_back_soon_after_the_world_has_changed() -> None:
    rng = Random(7)
    _, margin = share_held(rng, Margin(), 500, off_s=0, spread_s=240)

    broken, margin = share_held(rng, margin, 30, off_s=600, spread_s=240)
    _, margin = share_held(rng, margin, 100, off_s=600, spread_s=240)
    mended, _ = share_held(rng, margin, 800, off_s=600, spread_s=240)

    assert broken < 0.6
    assert 0.78 <= mended <= 0.82


def test_the_middle_is_led_to_where_half_ends_above() -> None:
    _, margin = share_held(Random(7), Margin(), 500, off_s=600, spread_s=120)

    assert told_by(margin).at_s == pytest.approx(1_800, abs=60)


@pytest.mark.parametrize("happened_s", [float("nan"), float("inf"), float("-inf")])
def test_an_outcome_that_is_no_time_teaches_nothing(happened_s: float) -> None:
    told = told_by(Margin())

    assert Margin().learned(told, happened_s) == Margin()


def test_one_absurd_outcome_does_not_carry_the_edges_away() -> None:
    rng = Random(7)
    _, margin = share_held(rng, Margin(), 200, off_s=0, spread_s=240)
    before = told_by(margin)

    after = told_by(margin.learned(before, 1e12))

    assert after.high_s - before.high_s < 120
    assert isinstance(after, Estimate)


def test_an_outcome_that_is_not_remembered_counts_in_the_shares_alone() -> None:
    told = told_by(Margin())

    margin = Margin().learned(told, told.high_s + 60, is_remembered=False)

    assert len(margin.outcomes) == 0
    assert margin.above < Margin().above
    assert margin.below > Margin().below


def test_orders_that_do_not_come_move_the_edges_before_they_have_come() -> None:
    rng = Random(7)
    _, margin = share_held(rng, Margin(), 50, off_s=0, spread_s=60)
    under_way = [told_by(margin)] * 50

    waiting = margin.beside(under_way, T0 + 3_600)

    assert told_by(waiting).high_s > told_by(margin).high_s + 600
    assert told_by(waiting.beside((), T0 + 3_600)) == told_by(margin)


def test_of_many_estimates_under_way_those_told_long_ago_are_looked_at_too() -> None:
    latest_first = [
        msgspec.structs.replace(told_by(Margin()), raw_s=T0 - number)
        for number in range(3 * GOING_ON_MAX + 1)
    ]

    margin = Margin().beside(latest_first, T0)

    _, at_least = Outcomes().like(T0, 1.0, margin.going_on)
    assert GOING_ON_MAX / 2 < len(margin.going_on) <= GOING_ON_MAX
    assert at_least.max() > 2 * GOING_ON_MAX / latest_first[0].width_s


def test_what_the_first_version_learned_is_read_still() -> None:
    written = msgspec.msgpack.encode(
        {"off": [[0.1, 0.2]], "under_way": [0.5], "below": 0.05, "above": 0.2}
    )

    margin = msgspec.msgpack.decode(written, type=Margin)

    assert margin == Margin(below=0.05, above=0.2)
