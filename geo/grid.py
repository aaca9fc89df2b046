"""A grid of square buckets over slots that move: exact nearest-k at any instant.

Each bucket is a doubly linked list of the slots in it, threaded through its spots, so that a move
costs a few writes. A query searches rings of buckets outwards and stops when the nearest ground not
yet searched is farther away than the k-th slot found. Ties go to the lower slot, so that answers do
not depend on the order in which things happened.

The buckets on the rim reach outwards without end: a grid answers exactly wherever its slots are,
and laying it anew over where they are now changes only its speed.
"""

from math import floor, inf, sqrt
from typing import NamedTuple, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from geo.compiled import compiled_for
from geo.point import Floats

type Slots = NDArray[np.int32]
type Records = np.ndarray[tuple[int], np.dtype[np.void]]

NO_SLOT = -1

_SLOTS_PER_BUCKET = 0.5
"""On average: a city is many times denser in its middle, where most of the queries are."""

_RIM_PERCENT = 0.5
_SIDE_M_MIN = 1.0
_ROUNDING_M = 1e-6
"""Far above the rounding error of where a bucket ends, far below what a query would notice."""


class Spot(Protocol):
    """Where a slot is, its state as one bit, and its place in the list of its bucket.

    These stand together, apart from all else that is known of a courier, so that a search touches
    no more than one line of the cache for each slot it looks at.
    """

    x_m: float
    y_m: float
    state: int
    bucket: int
    following: int
    preceding: int


SPOT = np.dtype(
    (
        np.record,
        [
            ("x_m", "f8"),
            ("y_m", "f8"),
            ("state", "i4"),
            ("bucket", "i4"),
            ("following", "i4"),
            ("preceding", "i4"),
        ],
    )
)


class Grid(NamedTuple):
    """The buckets, row by row from the south-west, and the spots of all slots, linked or not."""

    west_m: float
    south_m: float
    side_m: float
    columns: int
    rows: int
    first: Slots
    spots: Records


class Query(NamedTuple):
    """A point that is asked about, and the bucket that it falls into."""

    x_m: float
    y_m: float
    column: int
    row: int


class Nearest(NamedTuple):
    """Slots and their squared gaps, the nearest first; one row, or a row for each query."""

    slots: Slots
    gaps_m2: Floats


def blank_spots(count: int) -> Records:
    """Return spots that are in no bucket and no state."""
    spots = np.zeros(count, dtype=SPOT)
    spots["bucket"] = NO_SLOT
    return spots


def empty_grid(spots: Records) -> Grid:
    """Return a grid of one bucket that holds none of the spots."""
    return _grid(spots, 0.0, 0.0, _SIDE_M_MIN, (1, 1))


def grid_over(spots: Records, slots: Slots) -> Grid:
    """Return a grid that holds `slots`, with twice as many buckets as them.

    The outermost hundredth does not widen the grid: it would make every bucket coarser.
    """
    if not len(slots):
        return empty_grid(spots)
    ends = (_RIM_PERCENT, 100 - _RIM_PERCENT)
    west_m, east_m = np.percentile(spots["x_m"][slots], ends).tolist()
    south_m, north_m = np.percentile(spots["y_m"][slots], ends).tolist()
    wide_m, high_m = east_m - west_m, north_m - south_m
    side_m = sqrt(wide_m * high_m * _SLOTS_PER_BUCKET / len(slots))
    side_m = max(side_m, wide_m / len(slots), high_m / len(slots), _SIDE_M_MIN)
    shape = floor(wide_m / side_m) + 1, floor(high_m / side_m) + 1
    grid = _grid(spots, west_m, south_m, side_m, shape)
    relink(grid, slots)
    return grid


def grown(grid: Grid, capacity: int) -> Grid:
    """Return the same grid with room for `capacity` slots."""
    more = blank_spots(capacity - len(grid.spots))
    return grid._replace(spots=np.concatenate((grid.spots, more)))


def no_nearest(queries: int, k: int) -> Nearest:
    """Return room for the answers: no slot anywhere, infinitely far."""
    slots = np.full((queries, k), NO_SLOT, dtype=np.int32)
    return Nearest(slots, np.full((queries, k), inf))


def _grid(
    spots: Records, west_m: float, south_m: float, side_m: float, shape: tuple[int, int]
) -> Grid:
    columns, rows = shape
    first = np.full(columns * rows, NO_SLOT, dtype=np.int32)
    spots["bucket"] = NO_SLOT
    return Grid(west_m, south_m, side_m, columns, rows, first, spots)


_GRID = empty_grid(blank_spots(1))


@numba.njit(cache=True)
def _place(value_m: float, start_m: float, side_m: float, count: int) -> int:
    """Return the row or column of a coordinate; what lies outside belongs to the rim."""
    return min(max(floor((value_m - start_m) / side_m), 0), count - 1)


@numba.njit(cache=True)
def _unlink(first: Slots, spots: Records, slot: int) -> None:
    """Take a slot out of the list it is in."""
    spot: Spot = spots[slot]
    if spot.preceding == NO_SLOT:
        first[spot.bucket] = spot.following
    else:
        spots[spot.preceding].following = spot.following
    if spot.following != NO_SLOT:
        spots[spot.following].preceding = spot.preceding
    spot.bucket = NO_SLOT


@numba.njit(cache=True)
def _link(first: Slots, spots: Records, slot: int, bucket: int) -> None:
    """Put a slot in front of a bucket's list."""
    spot: Spot = spots[slot]
    spot.bucket, spot.preceding, spot.following = bucket, NO_SLOT, first[bucket]
    first[bucket] = slot
    if spot.following != NO_SLOT:
        spots[spot.following].preceding = slot


@compiled_for(_GRID, np.zeros(1, dtype=np.int32))
def relink(grid: Grid, slots: Slots) -> None:
    """Bring the lists up to date for slots that are new or may have moved."""
    for i in range(len(slots)):
        slot = int(slots[i])
        spot: Spot = grid.spots[slot]
        column = _place(spot.x_m, grid.west_m, grid.side_m, grid.columns)
        row = _place(spot.y_m, grid.south_m, grid.side_m, grid.rows)
        bucket = row * grid.columns + column
        if bucket != spot.bucket:
            if spot.bucket != NO_SLOT:
                _unlink(grid.first, grid.spots, slot)
            _link(grid.first, grid.spots, slot, bucket)


@compiled_for(_GRID, 0)
def unlink(grid: Grid, slot: int) -> None:
    """Take a slot out of the grid, if it is in it."""
    if grid.spots[slot].bucket != NO_SLOT:
        _unlink(grid.first, grid.spots, slot)


@numba.njit(cache=True)
def _gap_to_unsearched_m(grid: Grid, query: Query, rings: int) -> float:
    """Return how near a slot may be that lies in none of the buckets of the first `rings` rings."""
    west, east = query.column - rings, query.column + rings
    south, north = query.row - rings, query.row + rings
    gap_m = inf
    if west >= 0:
        gap_m = min(gap_m, query.x_m - grid.west_m - (west + 1) * grid.side_m)
    if east < grid.columns:
        gap_m = min(gap_m, grid.west_m + east * grid.side_m - query.x_m)
    if south >= 0:
        gap_m = min(gap_m, query.y_m - grid.south_m - (south + 1) * grid.side_m)
    if north < grid.rows:
        gap_m = min(gap_m, grid.south_m + north * grid.side_m - query.y_m)
    return max(gap_m - _ROUNDING_M, 0.0)


@numba.njit(cache=True)
def _insert(slot: int, gap_m2: float, found: int, nearest: Nearest) -> int:
    """Keep a slot if it is among the nearest so far; return how many are kept."""
    slots, gaps_m2 = nearest
    place = min(found, len(slots) - 1)
    if found == len(slots) and not _comes_before(gap_m2, slot, gaps_m2[place], slots[place]):
        return found
    while place > 0 and _comes_before(gap_m2, slot, gaps_m2[place - 1], slots[place - 1]):
        slots[place], gaps_m2[place] = slots[place - 1], gaps_m2[place - 1]
        place -= 1
    slots[place], gaps_m2[place] = slot, gap_m2
    return min(found + 1, len(slots))


@numba.njit(cache=True)
def _comes_before(gap_m2: float, slot: int, other_m2: float, other: int) -> bool:
    return gap_m2 < other_m2 or (gap_m2 == other_m2 and slot < other)


@numba.njit(cache=True)
def _search_bucket(
    grid: Grid, among: int, query: Query, bucket: int, found: int, nearest: Nearest
) -> int:
    slot = int(grid.first[bucket])
    while slot != NO_SLOT:
        spot: Spot = grid.spots[slot]
        if spot.state & among:
            dx_m, dy_m = spot.x_m - query.x_m, spot.y_m - query.y_m
            found = _insert(slot, dx_m * dx_m + dy_m * dy_m, found, nearest)
        slot = spot.following
    return found


@numba.njit(cache=True)
def _search_ring(
    grid: Grid, among: int, query: Query, ring: int, found: int, nearest: Nearest
) -> int:
    """Search the buckets `ring` steps away: whole rows above and below, two buckets in between."""
    for row in range(max(query.row - ring, 0), min(query.row + ring + 1, grid.rows)):
        step = 1 if abs(row - query.row) == ring else 2 * ring
        for column in range(query.column - ring, query.column + ring + 1, step):
            if 0 <= column < grid.columns:
                bucket = row * grid.columns + column
                found = _search_bucket(grid, among, query, bucket, found, nearest)
    return found


@compiled_for(_GRID, 0, np.zeros((1, 2)), no_nearest(1, 1))
def search(grid: Grid, among: int, points: Floats, nearest: Nearest) -> None:
    """Fill row i of `nearest` with the slots nearest to point i whose state has a bit of `among`.

    Where there are fewer than a row has room for, the rest of it stays as it was. The gaps come out
    squared.
    """
    for i in range(len(points)):
        x_m, y_m = points[i, 0], points[i, 1]
        column = _place(x_m, grid.west_m, grid.side_m, grid.columns)
        row = _place(y_m, grid.south_m, grid.side_m, grid.rows)
        query, best = Query(x_m, y_m, column, row), Nearest(nearest.slots[i], nearest.gaps_m2[i])
        found, k = 0, len(best.slots)
        for ring in range(max(grid.columns, grid.rows)):
            if found == k and _gap_to_unsearched_m(grid, query, ring) ** 2 > best.gaps_m2[k - 1]:
                break
            found = _search_ring(grid, among, query, ring, found, best)
