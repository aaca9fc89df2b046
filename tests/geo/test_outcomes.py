"""Outcomes are remembered within limits, and those told in like circumstances are found."""

import msgspec
import numpy as np
import pytest

from geo.outcomes import DAY_S, LIKE_MAX, OUTCOMES_MAX, Outcomes

T0 = 1_800_000_000.0


def told(outcomes: Outcomes, count: int, *, told_s: float, load: float, off: float) -> Outcomes:
    """Return the outcomes with so many more, all alike."""
    for _ in range(count):
        outcomes = outcomes.after(told_s, load, off)
    return outcomes


def like(outcomes: Outcomes, told_s: float, load: float) -> list[float]:
    """Return by how much those were off that are most like one told then."""
    return outcomes.like(told_s, load, Outcomes())[0].tolist()


def test_a_few_outcomes_are_all_alike() -> None:
    outcomes = Outcomes().after(T0, 2.0, 0.5).after(T0 + DAY_S / 2, 0.1, -0.5)

    assert like(outcomes, T0, 0.1) == [-0.5, 0.5]


def test_a_rush_is_foretold_from_the_rush_of_the_day_before() -> None:
    rush = told(Outcomes(), LIKE_MAX, told_s=T0, load=1.2, off=2.0)
    quiet = told(rush, 3 * LIKE_MAX, told_s=T0 + DAY_S - 3_600, load=0.4, off=0.0)

    assert set(like(quiet, T0 + DAY_S, 1.2)) == {2.0}
    assert set(like(quiet, T0 + DAY_S, 0.4)) == {0.0}


def test_at_the_same_load_the_same_time_of_the_day_counts() -> None:
    lunch = told(Outcomes(), LIKE_MAX, told_s=T0, load=1.0, off=1.0)
    both = told(lunch, LIKE_MAX, told_s=T0 + 6 * 3_600, load=1.0, off=3.0)

    assert set(like(both, T0 + 3 * DAY_S + 1_800, 1.0)) == {1.0}


def test_times_of_the_day_are_alike_across_midnight() -> None:
    midnight = T0 - T0 % DAY_S
    late = told(Outcomes(), LIKE_MAX, told_s=midnight - 600, load=1.0, off=1.0)
    both = told(late, LIKE_MAX, told_s=midnight - 7_200, load=1.0, off=3.0)

    assert set(like(both, midnight + 600, 1.0)) == {1.0}


def test_of_what_is_equally_alike_the_latest_counts() -> None:
    before = told(Outcomes(), LIKE_MAX, told_s=T0, load=1.0, off=1.0)
    both = told(before, LIKE_MAX, told_s=T0 + DAY_S, load=1.0, off=3.0)

    assert set(like(both, T0 + 2 * DAY_S, 1.0)) == {3.0}


def test_others_count_that_are_no_less_like_it() -> None:
    outcomes = told(Outcomes(), LIKE_MAX, told_s=T0, load=1.0, off=1.0)
    outcomes = told(outcomes, LIKE_MAX, told_s=T0, load=0.5, off=2.0)
    others = Outcomes().after(T0, 1.0, 0.3).after(T0, 0.5, 0.4)

    _, found = outcomes.like(T0, 1.0, others)

    assert found == pytest.approx([0.3])


def test_only_so_many_outcomes_are_remembered_and_the_oldest_make_way() -> None:
    full = Outcomes(
        told(Outcomes(), 100, told_s=T0, load=1.0, off=1.0).rows * (OUTCOMES_MAX // 100)
    )

    after = full.after(T0 + DAY_S, 9.0, 9.0)

    assert len(full) == len(after) == OUTCOMES_MAX
    assert like(after, T0 + DAY_S, 9.0)[-1] == 9.0


def test_outcomes_come_back_from_their_bytes() -> None:
    outcomes = told(Outcomes(), 3, told_s=T0, load=1.5, off=-0.25)

    again = msgspec.msgpack.decode(msgspec.msgpack.encode(outcomes), type=Outcomes)

    assert again == outcomes
    np.testing.assert_array_equal(like(again, T0, 1.5), [-0.25] * 3)


def test_bytes_that_are_no_rows_are_refused() -> None:
    written = msgspec.msgpack.encode([b"12345"])

    with pytest.raises(msgspec.ValidationError, match="rows of 16 bytes"):
        msgspec.msgpack.decode(written, type=Outcomes)
