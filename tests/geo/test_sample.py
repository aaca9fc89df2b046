"""A sample believes its parent until it has seen enough itself."""

import pytest

from geo.sample import LATEST_MAX, Sample
from geo.spread import evenly

PARENT = evenly(600, 1_200)


def seen(*values: float) -> Sample:
    sample = Sample()
    for value in values:
        sample = sample.learned(value)
    return sample


def test_of_what_was_never_seen_the_parent_is_believed() -> None:
    assert Sample().spread(PARENT) == PARENT


def test_the_middle_leaves_the_parent_with_each_number_seen() -> None:
    middles = [seen(*[1_800.0] * count).spread(PARENT).median for count in (1, 3, 10, 60)]

    assert middles == sorted(middles)
    assert 900 < middles[0] < 1_500
    assert middles[-1] == pytest.approx(1_800, abs=30)


def test_the_width_leaves_the_parent_later_than_the_middle() -> None:
    few = seen(1_795, 1_800, 1_805).spread(PARENT)

    width_s = few.quantile(0.9) - few.quantile(0.1)

    assert few.median - PARENT.median > 500
    assert width_s > 0.7 * (PARENT.quantile(0.9) - PARENT.quantile(0.1))


def test_old_numbers_make_way_for_new_ones() -> None:
    moved = seen(*[600.0] * 500, *[1_800.0] * LATEST_MAX)

    assert len(moved.latest) == LATEST_MAX
    assert set(moved.latest) == {1_800.0}
