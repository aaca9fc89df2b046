"""Rows and columns paired at the least cost, against SciPy's dense solution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportUnknownVariableType]

from dispatch.matching.pairing import Arcs, cheapest_pairs
from dispatch.matching.snapshot import NOBODY, Floats, Ints

IMPOSSIBLE_S = 1e9
SEEDS = st.integers(0, 10**6)


def drawn(seed: int, *, is_tied: bool) -> tuple[Arcs, int]:
    """Some rows with some arcs each; of few different costs if they are to be tied."""
    rng = np.random.default_rng(seed)
    rows, columns = int(rng.integers(0, 24)), int(rng.integers(1, 24))
    degree = int(rng.integers(0, min(columns, 8) + 1))
    to = [rng.choice(columns, degree, replace=False) for _ in range(rows)]
    cost_s = rng.uniform(0.0, 40.0, rows * degree)
    if is_tied:
        cost_s = np.round(cost_s, -1)
    return arcs_of(to, cost_s, rng.choice([0.3, 15.0, 5_000.0], rows)), columns


def arcs_of(to: list[Ints], cost_s: Floats, alone_s: Floats) -> Arcs:
    degrees = np.array([len(some) for some in to], dtype=np.int64)
    return Arcs(
        first=np.concatenate(([0], np.cumsum(degrees))).astype(np.int64),
        row=np.repeat(np.arange(len(to)), degrees),
        column=np.concatenate([np.zeros(0, dtype=np.int64), *to]),
        cost_s=np.asarray(cost_s, dtype=np.float64),
        alone_s=np.asarray(alone_s, dtype=np.float64),
    )


def total_s(arcs: Arcs, chosen: Ints) -> float:
    paired = chosen[chosen != NOBODY]
    return float(arcs.cost_s[paired].sum() + arcs.alone_s[chosen == NOBODY].sum())


def least_s(arcs: Arcs, columns: int) -> float:
    rows = len(arcs.alone_s)
    costs_s = np.full((rows, columns + rows), IMPOSSIBLE_S)
    costs_s[arcs.row, arcs.column] = arcs.cost_s
    costs_s[np.arange(rows), columns + np.arange(rows)] = arcs.alone_s
    return float(costs_s[linear_sum_assignment(costs_s)].sum())


@pytest.mark.parametrize("is_tied", [False, True])
@given(seed=SEEDS)
def test_no_pairing_costs_less(seed: int, *, is_tied: bool) -> None:
    arcs, columns = drawn(seed, is_tied=is_tied)

    chosen = cheapest_pairs(arcs, columns)

    assert total_s(arcs, chosen) == pytest.approx(least_s(arcs, columns))


@given(seed=SEEDS)
def test_a_row_takes_an_arc_of_its_own_and_a_column_one_row(seed: int) -> None:
    arcs, columns = drawn(seed, is_tied=True)

    chosen = cheapest_pairs(arcs, columns)

    paired = chosen[chosen != NOBODY]
    assert np.array_equal(arcs.row[paired], np.flatnonzero(chosen != NOBODY))
    assert len(set(arcs.column[paired].tolist())) == len(paired)


def test_a_row_that_comes_last_moves_all_before_it() -> None:
    """Each row would rather have the first of its two columns; the last has but that one."""
    to = [np.array([one, one + 1]) for one in range(9)] + [np.array([0])]
    costs_s = np.array([0.0, 1.0] * 9 + [0.0])

    chosen = cheapest_pairs(arcs_of(to, costs_s, np.full(10, 100.0)), 10)

    assert chosen.tolist() == [2 * one + 1 for one in range(9)] + [18]


def test_a_row_stays_alone_where_making_room_for_it_costs_more() -> None:
    to = [np.array([0]), np.array([0])]

    chosen = cheapest_pairs(arcs_of(to, np.array([5.0, 6.0]), np.array([50.0, 40.0])), 1)

    assert chosen.tolist() == [0, NOBODY]
