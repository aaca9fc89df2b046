"""Rounds larger than a solver's budget: the market in tiles, each planned by itself.

What a round costs grows with the square of what it looks at together, and most of it is far apart.
So a large market is cut, across its longer side and again across the parts, until no tile has more
orders than the policy allows. These rules hold:

- An order lies where the course begins that it is in, or at its restaurant when it is in none.
  Whatever lies at one place stays together; so a course is never torn, and neither are the orders
  of a restaurant that nobody has yet.
- Whoever has a course is planned in its tile. Whoever has none belongs to no tile: he is offered
  to every one with a restaurant that he is among the first to reach, on whichever side of a border,
  one tile after the other, until one has taken him.
- The cuts turn and wander from round to round, and from sweep to sweep within a round, by the
  instant and not by a memory. So nobody lives at a border, and what one sweep could not exchange
  another can. To wander is not enough: some neighbours were parted by each of a hundred cuts.

A sweep starts from the plan of the one before, as a round starts from the last. Rows keep their
order in every tile, so the same knowledge gives the same plan.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import cos, pi, sin

import numpy as np
from msgspec import structs

from dispatch.matching.plan import Effort, Plan, Rows, Trip, warmed
from dispatch.matching.snapshot import NOBODY, Bools, Floats, Ints, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes

type Solve = Callable[[Snapshot, Plan | None, Policy, TravelTimes], Plan]

CUT_MIN, CUT_SPAN = 0.35, 0.3
"""A cut leaves at least this share of the orders on one side, and wanders over that much more."""

STRIDE = (5**0.5 - 1) / 2
"""Of what it has, how far a cut moves on each time: so it comes near no former place soon."""

_MS_PER_S = 1000


def in_tiles(
    solve: Solve, known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes
) -> Plan:
    """Return the plan of `solve`, which is asked tile by tile where the market is too large."""
    matching = policy.matching
    if len(known.order_ids) <= matching.tile_orders_max:
        return solve(known, kept, policy, travel)
    turn = int(known.at / (policy.round_s * _MS_PER_S)) * matching.tile_sweeps
    share = _share_of(policy)
    swept = _swept(solve, known, kept, share, travel, turn)
    effort = swept.effort
    for sweep in range(1, matching.tile_sweeps):
        swept = _swept(solve, known, swept, share, travel, turn + sweep)
        effort = _added(effort, swept.effort)
    return structs.replace(swept, effort=effort)


def _share_of(policy: Policy) -> Policy:
    """Return the policy of one sweep, which has its share of the iterations of a round."""
    iterations = policy.matching.iterations_per_order / policy.matching.tile_sweeps
    matching = structs.replace(policy.matching, iterations_per_order=iterations)
    return structs.replace(policy, matching=matching)


def _swept(
    solve: Solve,
    known: Snapshot,
    kept: Plan | None,
    policy: Policy,
    travel: TravelTimes,
    turn: int,
) -> Plan:
    """Return the plan after every tile of this turn has been planned once."""
    rows = warmed(kept, known)
    courier = _courier(rows, len(known.order_ids))
    is_idle = np.array([not trips for trips in rows], dtype=np.bool_)
    parts = list[Plan]()
    for orders in tiles(known, rows, policy.matching.tile_orders_max, turn):
        busy = np.unique(courier[orders])
        is_in = _first_to_reach(known, orders, is_idle, policy, travel)
        is_in[busy[busy != NOBODY]] = True
        couriers = np.flatnonzero(is_in)
        part = solve(_part(known, orders, couriers), kept, policy, travel)
        is_idle[couriers] = [known.courier_ids[one] not in part.trips for one in couriers.tolist()]
        parts.append(part)
    return _merged(known, parts)


def tiles(known: Snapshot, rows: Rows, orders_max: int, turn: int) -> Iterator[Ints]:
    """Yield the orders of each tile, in the order of their rows; every order is in one."""
    part = turn * STRIDE % 1.0
    places = _turned(known.restaurant_xy, part * pi)[_lies_at(known, rows)]
    yield from _cut(places, np.arange(len(known.order_ids)), orders_max, CUT_MIN + CUT_SPAN * part)


def _turned(places: Floats, angle: float) -> Floats:
    """Return the places after a turn of the plane, so that cuts run another way through it."""
    x_m, y_m = places[:, 0], places[:, 1]
    return np.column_stack(
        (x_m * cos(angle) - y_m * sin(angle), x_m * sin(angle) + y_m * cos(angle))
    )


def _cut(places: Floats, orders: Ints, orders_max: int, share: float) -> Iterator[Ints]:
    if len(orders) <= orders_max or not np.ptp(places[orders], axis=0).any():
        yield orders
        return
    is_before = _is_before(places[orders], share)
    yield from _cut(places, orders[is_before], orders_max, share)
    yield from _cut(places, orders[~is_before], orders_max, share)


def _is_before(places: Floats, share: float) -> Bools:
    """Tell who lies before the cut across the longer side; nobody only where all lie together."""
    along = places[:, np.argmax(np.ptp(places, axis=0))]
    at = np.quantile(along, share, method="lower")
    return along <= at if at < along.max() else along < at


def _lies_at(known: Snapshot, rows: Rows) -> Ints:
    """Return (N,) at which restaurant each order lies: where its course begins, else at its own."""
    restaurant = known.restaurant.copy()
    for trips in rows:
        if trips:
            restaurant[[row for trip in trips for row in trip]] = known.restaurant[trips[0][0]]
    return restaurant


def _courier(rows: Rows, orders: int) -> Ints:
    """Return (N,) in whose course each order is, or NOBODY."""
    courier = np.full(orders, NOBODY)
    for who, trips in enumerate(rows):
        for trip in trips:
            courier[trip] = who
    return courier


def _first_to_reach(
    known: Snapshot, orders: Ints, is_idle: Bools, policy: Policy, travel: TravelTimes
) -> Bools:
    """Return (C,) which of the idle are among the first to reach a restaurant of these orders."""
    is_first = np.zeros(len(is_idle), dtype=np.bool_)
    idle = np.flatnonzero(is_idle & (known.off_s >= 0))
    count = min(policy.matching.candidates_idle_max, len(idle))
    if count:
        restaurants = known.restaurant_xy[np.unique(known.restaurant[orders])]
        reach_s = travel.matrix_s(restaurants, known.free_xy[idle])
        reach_s = reach_s + np.maximum(known.free_s[idle], 0.0)
        is_first[idle[np.argpartition(reach_s, count - 1, axis=1)[:, :count]]] = True
    return is_first


def _part(known: Snapshot, orders: Ints, couriers: Ints) -> Snapshot:
    """Return the snapshot with only these rows, all of its restaurants and all of its demand."""
    order_rows: list[int] = orders.tolist()
    courier_rows: list[int] = couriers.tolist()
    order_rank = {row: rank for rank, row in enumerate(order_rows)}
    courier_rank = {row: rank for rank, row in enumerate(courier_rows)}
    held_by: list[int] = known.held_by[orders].tolist()
    return replace(
        known,
        order_ids=tuple(known.order_ids[row] for row in order_rows),
        restaurant=known.restaurant[orders],
        dropoff_xy=known.dropoff_xy[orders],
        placed_s=known.placed_s[orders],
        ready_s=known.ready_s[orders],
        spread_s=known.spread_s[orders],
        size=known.size[orders],
        held_by=np.array([courier_rank.get(one, NOBODY) for one in held_by], dtype=np.int64),
        barred=tuple(
            (order_rank[order], courier_rank[courier])
            for order, courier in known.barred
            if order in order_rank and courier in courier_rank
        ),
        courier_ids=tuple(known.courier_ids[row] for row in courier_rows),
        free_xy=known.free_xy[couriers],
        free_s=known.free_s[couriers],
        off_s=known.off_s[couriers],
        capacity=known.capacity[couriers],
        bound=known.bound[couriers],
        order_price_s=known.order_price_s[couriers],
    )


def _merged(known: Snapshot, parts: Sequence[Plan]) -> Plan:
    """Return the plans of all tiles as one, in the order of the rows."""
    trips = dict[str, tuple[Trip, ...]]()
    for part in parts:
        trips |= part.trips
    unplanned = {one for part in parts for one in part.unplanned}
    return Plan(
        trips={one: trips[one] for one in known.courier_ids if one in trips},
        unplanned=tuple(one for one in known.order_ids if one in unplanned),
        cost_s=sum(part.cost_s for part in parts),
        effort=_summed(known, (part.effort for part in parts)),
    )


def _summed(known: Snapshot, efforts: Iterable[Effort]) -> Effort:
    total = Effort()
    for effort in efforts:
        total = _added(total, effort)
    return structs.replace(total, orders=len(known.order_ids), couriers=len(known.courier_ids))


def _added(one: Effort, other: Effort) -> Effort:
    """Return the work of both on the market of the latter."""
    return Effort(
        orders=other.orders,
        couriers=other.couriers,
        candidates=one.candidates + other.candidates,
        insertions=one.insertions + other.insertions,
        iterations=one.iterations + other.iterations,
        gains=one.gains + other.gains,
    )
