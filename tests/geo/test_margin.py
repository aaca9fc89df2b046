"""Margins bring coverage back, however wrong the estimates are by themselves."""

from random import Random

import pytest

from geo.margin import Estimate, Margin


def share_held(
    rng: Random, margin: Margin, outcomes: int, *, off_s: float, spread_s: float
) -> tuple[float, Margin]:
    """Return what share of estimates held whose world is off by so much, and what was learned."""
    held = 0
    for _ in range(outcomes):
        told = margin.estimate(900, 1_200, 1_500)
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

    assert margin.estimate(900, 1_200, 1_500).at_s == pytest.approx(1_800, abs=60)


@pytest.mark.parametrize("happened_s", [float("nan"), float("inf"), float("-inf")])
def test_an_outcome_that_is_no_time_teaches_nothing(happened_s: float) -> None:
    told = Margin().estimate(900, 1_200, 1_500)

    assert Margin().learned(told, happened_s) == Margin()


def test_one_absurd_outcome_does_not_carry_the_edges_away() -> None:
    rng = Random(7)
    _, margin = share_held(rng, Margin(), 200, off_s=0, spread_s=240)
    before = margin.estimate(900, 1_200, 1_500)

    after = margin.learned(before, 1e12).estimate(900, 1_200, 1_500)

    assert after.high_s - before.high_s < 120
    assert isinstance(after, Estimate)
