"""A snapshot made ready for a solver: travel times, prices and limits in one tuple of arrays.

Only the restaurants that open orders come from have columns, so the work grows with what there is
to decide and not with the size of the market. Rows are structured arrays, and a `Problem` a plain
NamedTuple of few fields, because that is what compiled code takes as it is and passes on cheaply.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.matching.compiled import compiled
from dispatch.matching.snapshot import NOBODY, Bools, Floats, Ints, Snapshot
from dispatch.policy import Matching, Policy
from geo.travel import TravelTimes

type Records = NDArray[np.void]

COURIER = np.dtype(
    [
        ("free_s", np.float64),
        ("off_s", np.float64),
        ("onward_s", np.float64),
        ("order_price_s", np.float64),
        ("capacity", np.int64),
        ("bound", np.int64),
    ]
)
"""A courier. `bound` is an index among the active restaurants; `onward_s` is the expected empty
trip from where he stands to a pickup."""

ORDER = np.dtype(
    [
        ("restaurant", np.int64),
        ("size", np.int64),
        ("held_by", np.int64),
        ("ready_s", np.float64),
        ("soonest_s", np.float64),
        ("latest_s", np.float64),
        ("share_per_s", np.float64),
        ("first_leg_s", np.float64),
        ("earliest_s", np.float64),
        ("leave_out_s", np.float64),
        ("onward_s", np.float64),
    ]
)
"""An order. Its food is expected at `ready_s`, and taken to become ready at any time from
`soonest_s` to `latest_s`, one as likely as another; `share_per_s` is what share of these times a
second is. `first_leg_s` leads from its restaurant to its drop-off; `earliest_s` is the drop-off by
a courier who stands ready as the food is; `leave_out_s` is the price of leaving it out, that of a
delay which grows with its age; `onward_s` is the expected empty trip from its drop-off to a
pickup."""

EVENLY = sqrt(3.0)
"""Standard deviations from the mean to either end of times that are all as likely."""
INSTANT_S = 1e-6
"""Times closer together than that are one."""


class Problem(NamedTuple):
    """N orders, C couriers, A active restaurants: those with open orders. Seconds from now.

    A courier sets out from an origin: 0..C-1 are the couriers' free points, C..C+N-1 the drop-offs.
    """

    couriers: Records
    orders: Records
    barred: Bools
    """(N, C) whether the courier is not to get the order."""
    to_restaurant: Floats
    """(C + N, A) from origin to restaurant."""
    between_restaurants: Floats
    """(A, A)"""
    between_dropoffs: Floats
    """(N, N)"""
    reach_s: Floats
    """(A, C) arrival of a courier who does nothing else before; inf when that is too late."""
    near: Ints
    """(A, K) the first couriers to reach a restaurant, the soonest first."""
    onward_span_s: float
    """The most by which two origins differ in the expected trip onward."""
    pickup_s: float
    dropoff_s: float
    bag_s_max: float
    ageing_per_s: float
    """A delay d counts d + d * d * this, so that waiting gets dearer the longer it lasts."""
    work_price: float
    end_price: float
    switch_price_s: float
    bundle_max: int
    trips_max: int
    idle_max: int
    after_max: int


def problem(known: Snapshot, travel: TravelTimes, policy: Policy) -> Problem:
    """Return what a solver needs to know to plan `known`.

    Numbers and arrays are given the one form that code was compiled for: a whole number where a
    fraction is expected would have it compiled anew, in the midst of a round.
    """
    matching = policy.matching
    active, restaurant = np.unique(known.restaurant, return_inverse=True)
    active_xy = known.restaurant_xy[active]
    origins = np.concatenate((known.free_xy, known.dropoff_xy))
    onward_s = _onward_s(known, travel, origins, matching)
    couriers = _couriers(known, active, onward_s)
    to_restaurant = np.ascontiguousarray(travel.matrix_s(origins, active_xy))
    reach_s = _reach_s(couriers, to_restaurant, policy.pickup_s)
    return Problem(
        couriers=couriers,
        orders=_orders(
            known, restaurant, travel.matrix_s(active_xy, known.dropoff_xy), onward_s, policy
        ),
        barred=_barred(known),
        to_restaurant=to_restaurant,
        between_restaurants=np.ascontiguousarray(travel.matrix_s(active_xy, active_xy)),
        between_dropoffs=np.ascontiguousarray(travel.matrix_s(known.dropoff_xy, known.dropoff_xy)),
        reach_s=reach_s,
        near=_smallest(reach_s, min(matching.candidates_now_max, len(couriers))),
        onward_span_s=float(np.ptp(onward_s)) if len(onward_s) else 0.0,
        pickup_s=float(policy.pickup_s),
        dropoff_s=float(policy.dropoff_s),
        bag_s_max=float(policy.bag_s_max),
        ageing_per_s=_ageing_per_s(matching),
        work_price=float(matching.work_price),
        end_price=float(matching.end_price),
        switch_price_s=float(matching.switch_price_s),
        bundle_max=matching.bundle_max,
        trips_max=matching.trips_max,
        idle_max=matching.candidates_idle_max,
        after_max=matching.candidates_after_max,
    )


def _couriers(known: Snapshot, active: Ints, onward_s: Floats) -> Records:
    # The last rank is what NOBODY, which is -1, picks.
    rank = np.full(len(known.restaurant_ids) + 1, NOBODY)
    rank[active] = np.arange(len(active))
    couriers = np.zeros(len(known.courier_ids), dtype=COURIER)
    couriers["free_s"] = known.free_s
    couriers["off_s"] = known.off_s
    couriers["onward_s"] = onward_s[: len(couriers)]
    couriers["order_price_s"] = known.order_price_s
    couriers["capacity"] = known.capacity
    couriers["bound"] = rank[known.bound]
    return couriers


def _orders(
    known: Snapshot, restaurant: Ints, outward_s: Floats, onward_s: Floats, policy: Policy
) -> Records:
    orders = np.zeros(len(known.order_ids), dtype=ORDER)
    orders["restaurant"] = restaurant
    orders["size"] = known.size
    orders["held_by"] = known.held_by
    orders["ready_s"] = known.ready_s
    # What is not ready yet cannot have been before now.
    within_s = np.minimum(EVENLY * known.spread_s, np.maximum(known.ready_s, 0.0))
    orders["soonest_s"] = known.ready_s - within_s
    orders["latest_s"] = known.ready_s + within_s
    orders["share_per_s"] = 1 / np.maximum(2 * within_s, INSTANT_S)
    orders["first_leg_s"] = outward_s[restaurant, np.arange(len(orders))]
    handover_s = (policy.pickup_s + policy.dropoff_s) / 2
    orders["earliest_s"] = known.ready_s + handover_s + orders["first_leg_s"]
    put_off_s = policy.matching.unplanned_price_s - np.minimum(0.0, orders["earliest_s"])
    orders["leave_out_s"] = put_off_s + put_off_s**2 * _ageing_per_s(policy.matching)
    orders["onward_s"] = onward_s[len(known.courier_ids) :]
    return orders


def _ageing_per_s(matching: Matching) -> float:
    return 1 / (2 * matching.ageing_s)


def _reach_s(couriers: Records, to_restaurant: Floats, pickup_s: float) -> Floats:
    reach_s = np.maximum(couriers["free_s"], 0.0) + to_restaurant[: len(couriers)].T
    there = np.flatnonzero(couriers["bound"] != NOBODY)
    reach_s[couriers["bound"][there], there] = couriers["free_s"][there]
    soonest_s = np.maximum(reach_s + pickup_s / 2, 0.0)
    # One layout whatever the number of restaurants: another would be compiled for anew.
    return np.ascontiguousarray(np.where(soonest_s <= couriers["off_s"], reach_s, np.inf))


@compiled
def _smallest(times_s: Floats, count: int) -> Ints:
    """Return the columns of each row's smallest times, the smallest first, ties by column."""
    columns = np.empty((times_s.shape[0], count), dtype=np.int64)
    for row in range(times_s.shape[0]):
        found = 0
        for column in range(times_s.shape[1]):
            time_s = times_s[row, column]
            if found == count and (count == 0 or time_s >= times_s[row, columns[row, -1]]):
                continue
            k = min(found, count - 1)
            found = min(found + 1, count)
            while k > 0 and times_s[row, columns[row, k - 1]] > time_s:
                columns[row, k] = columns[row, k - 1]
                k -= 1
            columns[row, k] = column
    return columns


def _barred(known: Snapshot) -> Bools:
    barred = np.zeros((len(known.order_ids), len(known.courier_ids)), dtype=np.bool_)
    for order, courier in known.barred:
        barred[order, courier] = True
    return barred


def _onward_s(known: Snapshot, travel: TravelTimes, origins: Floats, matching: Matching) -> Floats:
    """Return a mean of the ways to all restaurants, the busy and the near ones weighing most."""
    asked = np.flatnonzero(known.demand)
    if not len(asked):
        return np.zeros(len(origins))
    leg_s = travel.matrix_s(origins, known.restaurant_xy[asked])
    closest_s = leg_s.min(axis=1, keepdims=True)
    weight = known.demand[asked] * np.exp((closest_s - leg_s) / matching.nearness_s)
    return (weight * leg_s).sum(axis=1) / weight.sum(axis=1)
