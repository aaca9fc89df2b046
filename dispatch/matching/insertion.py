"""The inner loops of a round, compiled: what a route costs, and where an order fits best.

A route is a row of stops in the order of their drop-offs, each marked if it opens a new trip; the
pickup before a marked one is implied. An order can enter a route as a trip of its own before any
trip or behind the last, or join a trip of its restaurant at any place. Each entry is priced by
walking the whole route, so nothing is approximated. `schedule` says the same in plain Python and
referees this module in the tests; with NUMBA_DISABLE_JIT=1 in the environment the code below runs
uncompiled, a hundred times slower and with the same results.

It is one file because of the compiler's cache (see `compiled`). The functions change the arrays of
a `Draft` and nothing else.
"""

from typing import NamedTuple

import numpy as np

from dispatch.matching.compiled import compiled, inlined
from dispatch.matching.problem import Problem, Records
from dispatch.matching.snapshot import NOBODY, Bools, Ints

ALONE = 0
"""The order becomes a trip of its own."""
FIRST = 1
"""The order joins a trip as its first drop-off."""
LATER = 2
"""The order joins the trip of the drop-off before it."""

CANDIDATES, INSERTIONS, EJECTIONS, GAINS = 0, 1, 2, 3
"""The places of the counters in a draft's tally."""

GAIN_S_MIN = 1e-6
"""A plan must be so much cheaper to be better; less may be the rounding of sums."""

STOP = np.dtype([("order", np.int32), ("opens", np.int32)])

ROUTE = np.dtype(
    [
        ("length", np.int64),
        ("cost_s", np.float64),
        ("end_s", np.float64),
        ("end_at", np.int64),
    ]
)
"""A route's stops, what it costs, and when and at which origin the courier is through with it."""

CHOICE = np.dtype(
    [
        ("order", np.int64),
        ("courier", np.int64),
        ("at", np.int64),
        ("kind", np.int64),
        ("added_s", np.float64),
        ("second_s", np.float64),
        ("is_stale", np.int64),
    ]
)
"""Where an order fits best, what it adds there, and what it would add with another courier."""


class Draft(NamedTuple):
    """A plan in the making. L is the longest that a route can get."""

    routes: Records
    """(C,)"""
    stops: Records
    """(C, L)"""
    courier: Ints
    """(N,) who has the order, or NOBODY."""
    tally: Ints
    """(4,) what has been looked at so far."""
    trial: Records
    """(L + 1,) the route being priced."""
    picked: Ints
    """(C,) the candidates found for the order in hand."""
    is_picked: Bools
    """(C,) all False between two searches for candidates."""
    choices: Records
    """(N,) of the orders waiting to be inserted."""


@inlined
def price(  # noqa: C901 (one walk, which a call per trip would make slow)
    p: Problem, courier: int, stops: Records, length: int
) -> tuple[float, float]:
    """Return a route's cost and the time it ends, both inf when it breaks a limit."""
    who = p.couriers[courier]
    off_s = who["off_s"]
    clock_s: float = who["free_s"]
    origin = courier
    delay_s = 0.0
    work_s = 0.0
    trips = 0
    start = 0
    while start < length:
        order = p.orders[int(stops[start]["order"])]
        restaurant = order["restaurant"]
        ready_s = order["ready_s"]
        load = order["size"]
        stop = start + 1
        while stop < length and not stops[stop]["opens"]:
            other = p.orders[int(stops[stop]["order"])]
            ready_s = max(ready_s, other["ready_s"])
            load += other["size"]
            stop += 1
        trips += 1
        if load > who["capacity"] or trips > p.trips_max or stop - start > p.bundle_max:
            return np.inf, np.inf
        if start > 0 or who["bound"] != restaurant:
            leg_s = float(p.to_restaurant[origin, restaurant])
            clock_s = max(clock_s, 0.0) + leg_s
            work_s += leg_s
        picked_up_s = max(ready_s, clock_s + p.pickup_s / 2, 0.0)
        if picked_up_s > off_s:
            return np.inf, np.inf
        clock_s = picked_up_s + p.pickup_s / 2
        work_s += p.pickup_s / 2 + min(clock_s, off_s) - picked_up_s
        leg_s = order["first_leg_s"]
        for k in range(start, stop):
            order = p.orders[int(stops[k]["order"])]
            if k > start:
                leg_s = float(p.between_dropoffs[stops[k - 1]["order"], stops[k]["order"]])
            leave_s = clock_s + leg_s + p.dropoff_s
            late_s = leave_s - p.dropoff_s / 2 - order["earliest_s"]
            delay_s += late_s + late_s * late_s * p.ageing_per_s
            if order["held_by"] not in (NOBODY, courier):
                delay_s += p.switch_price_s
            work_s += max(0.0, min(leave_s, off_s) - clock_s)
            clock_s = leave_s
        if stop - start > 1 and clock_s - p.dropoff_s / 2 - picked_up_s > p.bag_s_max:
            return np.inf, np.inf
        origin = p.couriers.shape[0] + stops[stop - 1]["order"]
        start = stop
    onward_s = who["onward_s"]
    if length > 0:
        onward_s = p.orders[stops[length - 1]["order"]]["onward_s"]
    end_s = p.end_price * (onward_s - who["onward_s"])
    fair_s = who["order_price_s"] * length
    return delay_s + p.work_price * work_s + end_s + fair_s, clock_s


@inlined
def enter(stops: Records, length: int, order: int, at: int, kind: int) -> None:
    """Make room at `at` in a row of stops and put `order` there."""
    for k in range(length, at, -1):
        stops[k]["order"] = stops[k - 1]["order"]
        stops[k]["opens"] = stops[k - 1]["opens"]
    stops[at]["order"] = order
    stops[at]["opens"] = kind != LATER
    if kind == FIRST:
        stops[at + 1]["opens"] = False


@compiled
def best_slot(p: Problem, d: Draft, courier: int, order: int) -> tuple[float, int, int]:
    """Return the least cost that `order` adds, the place and the kind; inf if it fits nowhere."""
    best_s, best_at, best_kind = np.inf, 0, ALONE
    stops, length = d.stops[courier], d.routes[courier]["length"]
    restaurant = p.orders[order]["restaurant"]
    if p.barred[order, courier] or length >= stops.shape[0]:
        return best_s, best_at, best_kind
    for at in range(length + 1):
        is_border = at == length or stops[at]["opens"]
        for kind in range(ALONE, LATER + 1):
            neighbour = at if kind == FIRST else at - 1
            if kind != LATER and not is_border:
                continue
            if kind != ALONE and not 0 <= neighbour < length:
                continue
            if kind != ALONE and p.orders[stops[neighbour]["order"]]["restaurant"] != restaurant:
                continue
            for k in range(length):
                d.trial[k]["order"] = stops[k]["order"]
                d.trial[k]["opens"] = stops[k]["opens"]
            enter(d.trial, length, order, at, kind)
            added_s = price(p, courier, d.trial, length + 1)[0] - d.routes[courier]["cost_s"]
            d.tally[INSERTIONS] += 1
            if added_s < best_s:
                best_s, best_at, best_kind = added_s, at, kind
    return best_s, best_at, best_kind


@compiled
def refresh(p: Problem, d: Draft, courier: int) -> None:
    """Price a courier's route anew after it changed."""
    route, stops = d.routes[courier], d.stops[courier]
    length = route["length"]
    cost_s, end_s = price(p, courier, stops, length)
    route["cost_s"] = cost_s
    route["end_s"] = max(end_s, 0.0)
    route["end_at"] = courier
    if length > 0:
        route["end_at"] = p.couriers.shape[0] + stops[length - 1]["order"]


@compiled
def settle(p: Problem, d: Draft) -> None:
    """Price the routes of a draft just laid out, and empty those that are not possible."""
    for courier in range(p.couriers.shape[0]):
        refresh(p, d, courier)
        if d.routes[courier]["cost_s"] == np.inf:
            d.routes[courier]["length"] = 0
            refresh(p, d, courier)
        for k in range(d.routes[courier]["length"]):
            d.courier[d.stops[courier, k]["order"]] = courier


@compiled
def put(p: Problem, d: Draft, courier: int, order: int, at: int, kind: int) -> None:
    """Put `order` into a courier's route as `best_slot` said."""
    enter(d.stops[courier], d.routes[courier]["length"], order, at, kind)
    d.routes[courier]["length"] += 1
    d.courier[order] = courier
    refresh(p, d, courier)


@compiled
def take_out(p: Problem, d: Draft, order: int) -> None:
    """Take `order` out of the route it is in, if any; the rest of its trip stays together."""
    courier = d.courier[order]
    if courier == NOBODY:
        return
    stops = d.stops[courier]
    last = d.routes[courier]["length"] - 1
    at = 0
    while stops[at]["order"] != order:
        at += 1
    if stops[at]["opens"] and at < last:
        stops[at + 1]["opens"] = True
    for k in range(at, last):
        stops[k]["order"] = stops[k + 1]["order"]
        stops[k]["opens"] = stops[k + 1]["opens"]
    d.routes[courier]["length"] = last
    d.courier[order] = NOBODY
    refresh(p, d, courier)


@inlined
def _soonest_after(p: Problem, d: Draft, restaurant: int, soonest: Ints) -> None:
    """Fill `soonest` with the busy couriers who would be there first after all they have to do."""
    room = soonest.shape[0]
    arrival_s = np.full(room, np.inf)
    soonest[:] = NOBODY
    for courier in range(p.couriers.shape[0]):
        route = d.routes[courier]
        if route["length"] == 0:
            continue
        there_s = route["end_s"] + p.to_restaurant[route["end_at"], restaurant]
        if there_s >= arrival_s[room - 1] or there_s > p.couriers[courier]["off_s"]:
            continue
        k = room - 1
        while k > 0 and arrival_s[k - 1] > there_s:
            arrival_s[k], soonest[k] = arrival_s[k - 1], soonest[k - 1]
            k -= 1
        arrival_s[k], soonest[k] = there_s, courier


@compiled
def find_candidates(p: Problem, d: Draft, order: int) -> int:
    """Fill `d.picked` with couriers worth pricing for `order`, and return their number.

    They are everyone already serving its restaurant, the first to arrive as of now, and the first
    to arrive once they are through with their present routes.
    """
    restaurant = p.orders[order]["restaurant"]
    orders, near = p.orders.shape[0], p.near.shape[1]
    after = np.full(p.after_max, NOBODY)
    if p.after_max > 0:
        _soonest_after(p, d, restaurant, after)
    count = 0
    for k in range(orders + near + p.after_max):
        if k >= orders + near:
            courier = after[k - orders - near]
        elif k >= orders:
            courier = p.near[restaurant, k - orders]
        elif p.orders[k]["restaurant"] == restaurant:
            courier = d.courier[k]
        else:
            continue
        if courier == NOBODY or d.is_picked[courier] or p.barred[order, courier]:
            continue
        if p.reach_s[restaurant, courier] == np.inf:
            continue
        d.is_picked[courier] = True
        d.picked[count] = courier
        count += 1
    for k in range(count):
        d.is_picked[d.picked[k]] = False
    d.tally[CANDIDATES] += count
    return count


@compiled
def choose(p: Problem, d: Draft, choice: np.void) -> None:
    """Find where the order of `choice` fits best, and what it would add with another courier."""
    order = choice["order"]
    choice["courier"] = NOBODY
    choice["added_s"] = np.inf
    choice["second_s"] = np.inf
    choice["is_stale"] = False
    ready_s, restaurant = p.orders[order]["ready_s"], p.orders[order]["restaurant"]
    slack_s = p.end_price * p.onward_span_s
    for k in range(find_candidates(p, d, order)):
        courier = d.picked[k]
        late_s = p.reach_s[restaurant, courier] + p.pickup_s / 2 - ready_s
        if late_s - slack_s < choice["second_s"]:
            offer(p, d, choice, courier)


@compiled
def offer(p: Problem, d: Draft, choice: np.void, courier: int) -> None:
    """Note what the order of `choice` would add with `courier`, if it is the least or second."""
    added_s, at, kind = best_slot(p, d, courier, choice["order"])
    if added_s < choice["added_s"]:
        choice["second_s"] = choice["added_s"]
        choice["added_s"] = added_s
        choice["courier"] = courier
        choice["at"] = at
        choice["kind"] = kind
    elif added_s < choice["second_s"]:
        choice["second_s"] = added_s


@inlined
def _most_regretted(p: Problem, choices: Records) -> int:
    """Return the choice that would lose most by not getting its best."""
    most, most_s = 0, -np.inf
    for k in range(choices.shape[0]):
        left_out_s = p.orders[choices[k]["order"]]["leave_out_s"]
        regret_s = min(choices[k]["second_s"], left_out_s) - choices[k]["added_s"]
        if regret_s > most_s:
            most, most_s = k, regret_s
    return most


@compiled
def fill(p: Problem, d: Draft, pool: Ints) -> None:
    """Insert the orders of `pool`, the most regretted first, where leaving out does not cost less.

    An insertion changes one route, so the other orders look again only at that courier, or at all
    of them if he was the best.
    """
    count = pool.shape[0]
    for k in range(count):
        d.choices[k]["order"] = pool[k]
        d.choices[k]["is_stale"] = True
    for left in range(count, 0, -1):
        for k in range(left):
            if d.choices[k]["is_stale"]:
                choose(p, d, d.choices[k])
        most = _most_regretted(p, d.choices[:left])
        order, courier = d.choices[most]["order"], d.choices[most]["courier"]
        added_s = d.choices[most]["added_s"]
        at, kind = d.choices[most]["at"], d.choices[most]["kind"]
        d.choices[most] = d.choices[left - 1]
        if courier == NOBODY or added_s >= p.orders[order]["leave_out_s"]:
            continue
        put(p, d, courier, order, at, kind)
        for k in range(left - 1):
            if d.choices[k]["courier"] == courier:
                d.choices[k]["is_stale"] = True
            else:
                offer(p, d, d.choices[k], courier)


@compiled
def total_s(p: Problem, d: Draft) -> float:
    """Return the cost of the whole plan, orders left out included."""
    cost_s = 0.0
    for courier in range(d.routes.shape[0]):
        cost_s += d.routes[courier]["cost_s"]
    for order in range(d.courier.shape[0]):
        if d.courier[order] == NOBODY:
            cost_s += p.orders[order]["leave_out_s"]
    return cost_s


@compiled
def _copy(source: Draft, target: Draft) -> None:
    """Make `target` the same plan as `source`."""
    for courier in range(source.routes.shape[0]):
        target.routes[courier] = source.routes[courier]
        for k in range(source.routes[courier]["length"]):
            target.stops[courier, k] = source.stops[courier, k]
    for order in range(source.courier.shape[0]):
        target.courier[order] = source.courier[order]


@inlined
def _akin(p: Problem, order: int, size: int) -> Ints:
    """Return `order` and the others closest to it in place and time of pickup."""
    orders = p.orders.shape[0]
    apart_s = np.empty(orders)
    here, ready_s = p.orders[order]["restaurant"], p.orders[order]["ready_s"]
    for other in range(orders):
        there = p.orders[other]["restaurant"]
        gap_s = abs(p.orders[other]["ready_s"] - ready_s)
        apart_s[other] = gap_s + p.between_restaurants[here, there]
    apart_s[order] = -1.0
    group = np.empty(min(size, orders), dtype=np.int64)
    for k in range(group.shape[0]):
        group[k] = np.argmin(apart_s)
        apart_s[group[k]] = np.inf
    return group


@compiled
def eject_each(p: Problem, d: Draft, spare: Draft, seeds: Ints, size: int) -> None:
    """Take each of `seeds` out with the orders akin to it and insert them anew, if that is cheaper.

    `spare` is overwritten with the plan to return to.
    """
    before_s = total_s(p, d)
    _copy(d, spare)
    for seed in seeds:
        group = _akin(p, seed, size)
        for order in group:
            take_out(p, d, order)
        fill(p, d, group)
        d.tally[EJECTIONS] += 1
        after_s = total_s(p, d)
        if after_s < before_s - GAIN_S_MIN:
            d.tally[GAINS] += 1
            before_s = after_s
            _copy(d, spare)
        else:
            _copy(spare, d)
