"""Plans of single couriers, found by what orders are worth: what an audit composes plans of.

A column is one courier's whole sequence of trips and what it costs. `Finder` asks the compiled
`pricing` for a courier's columns below a threshold and reads them back from the labels; `Columns`
keeps, of columns alike in courier and orders, the cheapest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dispatch.matching.pool import Pool
from dispatch.matching.pricing import LABEL, ROOT, SPANS, Board, Nearness, Terms, grow
from dispatch.matching.problem import Problem
from dispatch.matching.snapshot import NOBODY, Floats, Ints

type Trips = tuple[tuple[int, ...], ...]

GAIN_S_MIN = 1e-6
"""A column must be so much cheaper than one alike to replace it."""


class Column(NamedTuple):
    """One courier's plan and what it costs."""

    courier: int
    trips: Trips
    cost_s: float

    @property
    def orders(self) -> frozenset[int]:
        """The orders of all its trips."""
        return frozenset(order for trip in self.trips for order in trip)


@dataclass(slots=True)
class Columns:
    """All columns found so far."""

    _kept: dict[tuple[int, frozenset[int]], Column] = field(
        default_factory=dict[tuple[int, frozenset[int]], Column]
    )

    def add(self, column: Column) -> bool:
        """Keep a column; False when one alike is as cheap."""
        key = column.courier, column.orders
        alike = self._kept.get(key)
        if alike is not None and column.cost_s >= alike.cost_s - GAIN_S_MIN:
            return False
        self._kept[key] = column
        return True

    def __iter__(self) -> Iterator[Column]:
        return iter(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(frozen=True, slots=True)
class Found:
    """A courier's columns below a threshold, the cheapest first.

    `least_s` is the least that any of his plans can be worth, found or not; `is_all` says whether
    there was room to look at everything.
    """

    columns: list[Column]
    least_s: float
    is_all: bool


class Finder:
    """Finds the columns of one problem's couriers."""

    def __init__(self, p: Problem, pool: Pool, labels_max: int) -> None:
        self._p = p
        self._pool = pool
        self._near = nearness(p, pool)
        self._board = _board(p, pool, labels_max)

    def find(self, terms: Terms, most: int) -> Found:
        """Return at most so many columns whose cost less what is paid is below `terms.keep_s`."""
        assert 1 <= terms.labels_max < len(self._board.labels), terms.labels_max
        courier, dual_s, keep_s = terms.courier, terms.dual_s, terms.keep_s
        count, undone_s = grow(self._p, self._pool, self._near, terms, self._board)
        values_s = self._values_s(courier, count)
        below = np.flatnonzero(values_s < keep_s)
        chosen = below[np.argsort(values_s[below], kind="stable")][:most].tolist()
        columns = [self._column(courier, label, float(values_s[label]), dual_s) for label in chosen]
        least_s = min(keep_s, undone_s, float(values_s.min(initial=np.inf)))
        return Found(columns, least_s, undone_s == np.inf and len(below) <= most)

    def _values_s(self, courier: int, count: int) -> Floats:
        """Return what each label is worth as a whole plan, inf for those that are none."""
        labels = self._board.labels[:count]
        last = self._last(labels["trip"])
        end_s = self._p.orders["onward_s"][last] - self._p.couriers["onward_s"][courier]
        values_s = labels["value_s"] + self._p.end_price * end_s
        values_s[labels["is_beaten"] != 0] = np.inf
        values_s[ROOT] = np.inf
        return values_s

    def _last(self, trips: Ints) -> Ints:
        return self._pool.rows[trips, self._pool.lengths[trips] - 1]

    def _column(self, courier: int, label: int, value_s: float, dual_s: Floats) -> Column:
        trips = list[tuple[int, ...]]()
        while label != ROOT:
            trip = int(self._board.labels["trip"][label])
            length = int(self._pool.lengths[trip])
            trips.append(tuple(self._pool.rows[trip, :length].tolist()))
            label = int(self._board.labels["before"][label])
        paid_s = sum(float(dual_s[order]) for trip in trips for order in trip)
        return Column(courier, tuple(reversed(trips)), value_s + paid_s)


def nearness(p: Problem, pool: Pool) -> Nearness:
    """Return the least ways to restaurants and doors."""
    restaurant_s = p.to_restaurant[len(p.couriers) :].min(axis=0, initial=np.inf)
    door_s = p.orders["first_leg_s"].copy()
    offset_s = np.full(len(p.orders), np.inf)
    for rows, length, offsets_s in zip(pool.rows, pool.lengths, pool.offsets_s, strict=True):
        trip = rows[:length]
        offset_s[trip] = np.minimum(offset_s[trip], offsets_s[:length])
        _shorten(p, door_s, trip.tolist())
    return Nearness(restaurant_s=restaurant_s, door_s=door_s, offset_s=offset_s)


def _shorten(p: Problem, door_s: Floats, trip: Sequence[int]) -> None:
    for here, there in pairwise(trip):
        door_s[there] = min(door_s[there], p.between_dropoffs[here, there])


def _board(p: Problem, pool: Pool, labels_max: int) -> Board:
    orders = len(p.orders)
    return Board(
        labels=np.zeros(labels_max + 1, dtype=LABEL),
        sets=np.zeros((labels_max + 1, pool.sets.shape[1]), dtype=np.uint64),
        latest=np.full(orders, NOBODY),
        hopes=np.zeros(orders, dtype=np.int64),
        hopes_s=np.zeros(orders),
        trips=np.zeros(len(pool.rows), dtype=np.int64),
        onward_s=np.zeros((SPANS, orders)),
        at_once_s=np.zeros((SPANS, p.between_restaurants.shape[0])),
        instead_s=np.zeros((SPANS, orders)),
    )
