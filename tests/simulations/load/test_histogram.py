"""A histogram against the sorted list that it stands for."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.load.histogram import Histogram


@given(
    took_ms=st.lists(st.integers(0, 2_000_000).map(lambda us: us / 1_000), min_size=1),
    share=st.sampled_from([0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_is_that_of_the_sorted_list(took_ms: list[float], share: float) -> None:
    histogram = Histogram()

    for one_ms in took_ms:
        histogram.record(one_ms)

    exact_ms = sorted(took_ms)[ceil(share * len(took_ms)) - 1]
    assert exact_ms <= histogram.quantile_ms(share) <= exact_ms * (1 + 1 / 64) + 0.001


def test_nothing_counted_takes_no_time() -> None:
    assert Histogram().latency().p99 == 0.0


def test_it_stays_small_and_tells_the_worst() -> None:
    histogram = Histogram()

    for us in range(0, 40_000_000, 997):
        histogram.record(us / 1_000)
    histogram.record(1e12)
    histogram.record(-5.0)

    assert len(vars(histogram)["_counts"]) < 2_000
    assert histogram.latency().max == pytest.approx(3_600_000)
    assert histogram.quantile_ms(0.5) == pytest.approx(20_000, rel=0.02)
