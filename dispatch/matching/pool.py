"""Every trip that a courier could make: the pool that an audit composes plans of.

A trip is an ordered bundle of one restaurant's orders. What it takes from the pickup on does not
depend on who makes it or when, and so it is worked out once for all couriers. The pool holds all
that keep the limits which bind everybody (how many orders, how long food is in the bag); what one
courier can carry or must not have is for whoever uses the pool.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.matching.problem import Problem
from dispatch.matching.snapshot import NOBODY, Bools, Floats, Ints

type Words = NDArray[np.uint64]

WORD = 64
"""Orders in a word of a set of orders."""


class PoolTooLarge(Exception):
    """More trips are possible than may be looked at; the message says how many may."""


class Pool(NamedTuple):
    """T trips of at most B orders."""

    rows: Ints
    """(T, B) the orders as they are dropped off, NOBODY behind the last."""
    sets: Words
    """(T, W) the same orders as a set, a bit each."""
    offsets_s: Floats
    """(T, B) from the pickup to each drop-off."""
    lengths: Ints
    sizes: Ints
    soonest_s: Floats
    """(T,) from when on the last of the orders may be ready."""
    latest_s: Floats
    """(T,) by when it is."""


def pool_of(p: Problem, trips_max: int) -> Pool:
    """Return all trips; raises PoolTooLarge when there are more than `trips_max`."""
    trips = list[tuple[int, ...]]()
    for trip in _trips(p):
        if len(trips) == trips_max:
            raise PoolTooLarge(f"there are more than {trips_max:,} ways to bundle the open orders")
        trips.append(trip)
    lengths = np.array([len(trip) for trip in trips], dtype=np.int64)
    rows = np.full((len(trips), p.bundle_max), NOBODY)
    for place, trip in enumerate(trips):
        rows[place, : len(trip)] = trip
    offsets_s = np.array([_offsets_s(p, trip) for trip in trips]).reshape(rows.shape)
    is_there = rows != NOBODY
    return Pool(
        rows=rows,
        sets=_sets(rows, len(p.orders)),
        offsets_s=offsets_s,
        lengths=lengths,
        sizes=np.where(is_there, p.orders["size"][rows], 0).sum(axis=1),
        soonest_s=_last(p.orders["soonest_s"][rows], is_there),
        latest_s=_last(p.orders["latest_s"][rows], is_there),
    )


def _last(times_s: Floats, is_there: Bools) -> Floats:
    return np.where(is_there, times_s, -np.inf).max(axis=1, initial=-np.inf)


def _trips(p: Problem) -> Iterator[tuple[int, ...]]:
    """Yield all ordered bundles that keep the bag's limit, the shorter of each restaurant first."""
    for restaurant in range(p.between_restaurants.shape[0]):
        orders = np.flatnonzero(p.orders["restaurant"] == restaurant).tolist()
        shorter = [(order,) for order in orders]
        while shorter:
            yield from shorter
            shorter = [
                longer
                for trip in shorter
                if len(trip) < p.bundle_max
                for order in orders
                if order not in trip and _is_quick(p, longer := (*trip, order))
            ]


def _is_quick(p: Problem, trip: tuple[int, ...]) -> bool:
    return _offsets_s(p, trip)[len(trip) - 1] <= p.bag_s_max


def _offsets_s(p: Problem, trip: tuple[int, ...]) -> list[float]:
    """Return the time from the pickup to each drop-off, filled up to the largest bundle."""
    clock_s, offsets_s = p.pickup_s / 2, [0.0] * p.bundle_max
    for place, order in enumerate(trip):
        if place == 0:
            clock_s += float(p.orders["first_leg_s"][order])
        else:
            clock_s += float(p.between_dropoffs[trip[place - 1], order])
        offsets_s[place] = clock_s + p.dropoff_s / 2
        clock_s += p.dropoff_s
    return offsets_s


def _sets(rows: Ints, orders: int) -> Words:
    sets = np.zeros((len(rows), max(1, -(-orders // WORD))), dtype=np.uint64)
    for place, order in zip(*np.nonzero(rows != NOBODY), strict=True):
        bit = int(rows[place, order])
        sets[place, bit // WORD] |= np.uint64(1) << np.uint64(bit % WORD)
    return sets
