"""The grid's nearest slots, held against looking at every slot, ties and outliers included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.grid import (
    NO_SLOT,
    Grid,
    Records,
    Slots,
    blank_spots,
    empty_grid,
    grid_over,
    grown,
    no_nearest,
    relink,
    search,
    unlink,
)
from geo.point import Floats

IDLE, BUSY = 2, 4

# Few coordinates make many ties; the far ones lie outside whatever the grid was laid over.
coordinates = st.sampled_from([0.0, 10.0, 20.0, 30.0, 30.5, 700.0, -700.0, 90_000.0])
places = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=40)


def spots_at(points: Floats, state: int = IDLE) -> Records:
    """Return spots at these points, linked to nothing yet."""
    spots = blank_spots(len(points))
    spots["x_m"], spots["y_m"] = points[:, 0], points[:, 1]
    spots["state"] = state
    return spots


def grid_at(points: Floats) -> Grid:
    """Return a grid laid over spots at these points, holding them all."""
    return grid_over(spots_at(points), all_slots(points))


def all_slots(points: Floats) -> Slots:
    """Return the slots of the points."""
    return np.arange(len(points), dtype=np.int32)


def found(grid: Grid, queries: Floats, k: int, among: int = IDLE) -> list[list[int]]:
    """Return the slots that the grid finds for each query."""
    answer = no_nearest(len(queries), k)
    search(grid, among, queries, answer)
    return [[slot for slot in row if slot != NO_SLOT] for row in answer.slots.tolist()]


def by_looking_at_all(spots: Records, queries: Floats, k: int) -> list[list[int]]:
    """Return the slots nearest to each query, equal gaps by rising slot."""
    answers: list[list[int]] = []
    for x_m, y_m in queries.tolist():
        gaps_m2 = (spots["x_m"] - x_m) ** 2 + (spots["y_m"] - y_m) ** 2
        answers.append(np.argsort(gaps_m2, stable=True)[:k].tolist())
    return answers


@given(places, places, st.integers(1, 12))
def test_the_nearest_are_those_found_by_looking_at_all(
    at: list[tuple[float, float]], asked: list[tuple[float, float]], k: int
) -> None:
    points, queries = np.array(at), np.array(asked)
    grid = grid_at(points)

    answer = found(grid, queries, k)

    assert answer == by_looking_at_all(grid.spots, queries, k)


@given(places, st.lists(st.tuples(st.integers(0, 39), coordinates, coordinates), max_size=80))
def test_the_nearest_stay_exact_as_slots_move(
    at: list[tuple[float, float]], moves: list[tuple[int, float, float]]
) -> None:
    points = np.array(at)
    grid = grid_at(points)

    for number, x_m, y_m in moves:
        slot = number % len(at)
        grid.spots["x_m"][slot], grid.spots["y_m"][slot] = x_m, y_m
        relink(grid, np.array([slot], dtype=np.int32))

    assert found(grid, points, 40) == by_looking_at_all(grid.spots, points, 40)


@pytest.mark.parametrize("spread_m", [1.0, 3_000.0])
def test_a_city_of_couriers_is_searched_exactly(spread_m: float) -> None:
    rng = np.random.default_rng(17)
    queries = rng.normal(0, 2 * spread_m, (100, 2))
    grid = grid_at(rng.normal(0, spread_m, (3_000, 2)))

    answer = found(grid, queries, 10)

    assert answer == by_looking_at_all(grid.spots, queries, 10)


def test_only_the_states_asked_for_are_found() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    grid = grid_at(points)
    grid.spots["state"][1] = BUSY

    assert found(grid, points[:1], 3, IDLE) == [[0, 2]]
    assert found(grid, points[:1], 3, BUSY) == [[1]]
    assert found(grid, points[:1], 3, IDLE | BUSY) == [[0, 1, 2]]


def test_the_gaps_come_out_squared_and_the_rest_stays_infinite() -> None:
    points, answer = np.array([[0.0, 0.0], [3.0, 4.0]]), no_nearest(1, 3)

    search(grid_at(points), IDLE, points[:1], answer)

    assert answer.slots.tolist() == [[0, 1, NO_SLOT]]
    assert answer.gaps_m2.tolist() == [[0.0, 25.0, np.inf]]


def test_an_unlinked_slot_is_not_found_and_unlinking_it_again_is_harmless() -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.0], [0.2, 0.0]])
    grid = grid_at(points)

    unlink(grid, 1)
    unlink(grid, 1)

    assert found(grid, points[:1], 3) == [[0, 2]]


def test_an_empty_grid_finds_nobody_and_grows_with_what_it_holds() -> None:
    points = np.array([[5.0, 5.0], [6.0, 5.0], [1.0, 1.0]])
    grid = empty_grid(spots_at(points[:2]))
    assert found(grid, points, 2) == [[], [], []]
    relink(grid, all_slots(points)[:2])

    larger = grown(grid, 3)
    larger.spots[2:] = spots_at(points[2:])
    relink(larger, all_slots(points)[2:])

    assert found(larger, points[2:], 3) == [[2, 0, 1]]


@pytest.mark.parametrize("high_m", [0.0, 90_000.0])
def test_a_grid_has_only_as_many_buckets_as_slots_need(high_m: float) -> None:
    rng = np.random.default_rng(4)
    points = rng.uniform(0, 1, (2_000, 2)) * [90_000.0, high_m]

    grid = grid_at(points)

    assert grid.columns * grid.rows <= 2.2 * len(points)
