"""Spreads keep the order of their values, whatever is done with them."""

import math
import random
from math import isfinite, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.spread import LEVELS, SHARES, Spread, certainly, evenly, spread_of, spread_of_some

SECONDS = st.floats(min_value=-7_200, max_value=14_400, allow_nan=False)
SPREADS = st.lists(SECONDS, min_size=1, max_size=30).map(spread_of)


def is_ascending(spread: Spread) -> bool:
    pairs = zip(spread.values, spread.values[1:], strict=False)
    return all(low <= high for low, high in pairs) and all(map(isfinite, spread.values))


@settings(max_examples=40)
@given(SPREADS, SPREADS, SECONDS, st.floats(min_value=0, max_value=1))
def test_a_spread_stays_one_whatever_is_done_with_it(
    one: Spread, other: Spread, value: float, weight: float
) -> None:
    for made in (
        one.plus(other),
        one.beyond(value),
        one.toward(other, weight),
        one.shifted(value),
        one.scaled(weight),
    ):
        assert is_ascending(made)


@settings(max_examples=40)
@given(SPREADS)
def test_quantiles_ascend_with_their_shares(spread: Spread) -> None:
    found = [spread.quantile(share / 200) for share in range(200)]

    assert found == sorted(found)


@settings(max_examples=40)
@given(SPREADS, SECONDS)
def test_what_is_left_of_a_spread_lies_beyond_what_was_ruled_out(
    spread: Spread, value: float
) -> None:
    assert spread.beyond(value).values[0] >= min(value, spread.values[0])
    assert spread.beyond(value).median >= spread.median - 1e-6


def test_a_quantile_and_the_share_below_it_are_each_others_inverse() -> None:
    spread = evenly(100, 300)

    shares = [spread.share_below(spread.quantile(share)) for share in SHARES[1:-1]]

    assert shares == pytest.approx(SHARES[1:-1])


def test_the_sum_of_two_even_spreads_is_narrower_than_their_edges_added() -> None:
    one = evenly(0, 100)

    both = one.plus(one)

    assert both.median == pytest.approx(100, abs=1)
    assert 100 < both.quantile(0.9) - both.quantile(0.1) < 160


def test_a_sum_has_the_mean_of_its_parts() -> None:
    one, other = evenly(0, 60), spread_of([5, 50, 500])

    both = one.plus(other)

    assert math.fsum(both.values) == pytest.approx(math.fsum(one.values) + math.fsum(other.values))


def test_what_is_overdue_is_still_expected_and_no_more_surely_than_before() -> None:
    spread = evenly(0, 600)

    soon, late = spread.beyond(1_000), spread.beyond(2_000)

    assert soon.median > 1_000
    assert late.median - 2_000 == pytest.approx(soon.median - 1_000)


def test_what_is_known_is_known_in_all_its_quantiles() -> None:
    known = certainly(42)

    assert {known.quantile(share) for share in (0, 0.1, 0.5, 0.9, 0.999)} == {42}
    assert known.beyond(50).median == 50


@pytest.mark.parametrize(
    "values",
    [(), (1.0,) * (LEVELS - 1), (*range(LEVELS - 1), math.nan), tuple(range(LEVELS, 0, -1))],
    ids=("none", "too few", "not a number", "descending"),
)
def test_what_is_no_quantile_function_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="spread"):
        Spread(values)


def test_what_is_all_over_is_as_it_was_seen() -> None:
    seen = [float(one) for one in range(400)]

    assert spread_of_some(seen, ()).values == pytest.approx(spread_of(seen).values, abs=2.0)


def test_what_is_not_over_yet_makes_the_rest_look_short() -> None:
    rng = random.Random(1)
    took = [rng.expovariate(1 / 600) for _ in range(2_000)]
    asked_after = [rng.uniform(0, 900) for _ in took]
    over = [one for one, at in zip(took, asked_after, strict=True) if one <= at]
    going_on = [at for one, at in zip(took, asked_after, strict=True) if one > at]

    naive, fair = spread_of(over), spread_of_some(over, going_on)

    true_median = 600 * log(2)
    assert naive.median < 0.75 * true_median
    assert fair.median == pytest.approx(true_median, rel=0.1)


@given(
    seen=st.lists(st.floats(-20, 20), min_size=1, max_size=80),
    at_least=st.lists(st.floats(-20, 20), max_size=80),
)
def test_what_goes_on_can_only_lengthen(seen: list[float], at_least: list[float]) -> None:
    fair = spread_of_some(seen, at_least)

    assert all(
        low <= high + 1e-9
        for low, high in zip(spread_of_some(seen, ()).values, fair.values, strict=True)
    )
