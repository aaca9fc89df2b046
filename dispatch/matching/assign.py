"""One bundle per courier, all at once: the assignment of least cost, as a flow.

Orders that nobody holds are grouped into bundles of one restaurant (of one order each as long as
there are couriers enough), and OR-Tools' min-cost flow gives each courier at most one of them,
couriers who are still busy included, with the time at which they are free. A bundle may also flow
past all couriers, at the price of leaving it out, which grows faster with its age than any
courier's price does; so an order that is always the worst of a round is still taken some day. What
a courier holds stays his. Costs are rounded to tenths of a second, because the flow wants integers.
"""

import numpy as np

from dispatch.matching.flow import cheapest_flow
from dispatch.matching.nearest import plan_cost_s, possible, waiting
from dispatch.matching.plan import Effort, Plan, Rows, told, warmed
from dispatch.matching.problem import INSTANT_S, Problem, Records, problem
from dispatch.matching.snapshot import NOBODY, Floats, Ints, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes

UNITS_PER_S = 10
"""Costs of the flow are whole tenths of a second."""


def assign(known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes) -> Plan:
    """Return what couriers hold, with the other orders assigned at the least cost."""
    p = problem(known, travel, policy)
    rows = possible(p, _held(known, warmed(kept, known)))
    free = [courier for courier, trips in enumerate(rows) if not trips]
    bundles = _bundles(p, waiting(known, rows), len(free))
    costs = _costs(p, bundles, free)
    for bundle, courier in _assigned(p, bundles, costs):
        rows[free[courier]] = [bundles[bundle]]
    effort = Effort(
        orders=len(known.order_ids),
        couriers=len(known.courier_ids),
        candidates=int(np.isfinite(costs).sum()),
        insertions=costs.size,
    )
    return told(known, rows, plan_cost_s(p, rows), effort)


def _held(known: Snapshot, rows: Rows) -> Rows:
    """Return `rows` with only the orders that their couriers hold."""
    theirs = (
        [[row for row in trip if known.held_by[row] == courier] for trip in trips]
        for courier, trips in enumerate(rows)
    )
    return [[trip for trip in trips if trip] for trips in theirs]


def _bundles(p: Problem, pool: list[int], couriers: int) -> list[list[int]]:
    """Return the orders of `pool` in bundles just large enough for so many couriers."""
    size = min(p.bundle_max, -(-len(pool) // max(1, couriers)))
    by_restaurant: dict[int, list[int]] = {}
    for row in sorted(pool, key=lambda row: float(p.orders["ready_s"][row])):
        by_restaurant.setdefault(int(p.orders["restaurant"][row]), []).append(row)
    return [
        bundle
        for rows in by_restaurant.values()
        for start in range(0, len(rows), size)
        for bundle in _sequenced(p, rows[start : start + size])
    ]


def _sequenced(p: Problem, rows: list[int]) -> list[list[int]]:
    """Return `rows` as a bundle, each drop-off the nearest to the last; one by one if too much."""
    left = sorted(rows, key=lambda row: float(p.orders["first_leg_s"][row]))
    bundle = [left.pop(0)]
    while left:
        nearest = min(left, key=lambda row: float(p.between_dropoffs[bundle[-1], row]))
        left.remove(nearest)
        bundle.append(nearest)
    is_too_long = len(bundle) > 1 and _after_pickup_s(p, bundle)[-1] > p.bag_s_max
    is_too_large = p.orders["size"][bundle].sum() > p.couriers["capacity"].max(initial=0)
    return [[row] for row in bundle] if is_too_long or is_too_large else [bundle]


def _after_pickup_s(p: Problem, bundle: list[int]) -> Floats:
    """Return how long after the pickup each order of a bundle is dropped off."""
    ways_s = p.between_dropoffs[bundle[:-1], bundle[1:]]
    legs_s = np.concatenate((p.orders["first_leg_s"][bundle[:1]], ways_s))
    return p.pickup_s / 2 + np.cumsum(legs_s + p.dropoff_s) - p.dropoff_s / 2


def _costs(p: Problem, bundles: list[list[int]], free: list[int]) -> Floats:
    """Return the cost of each bundle with each free courier, inf where it breaks a limit."""
    return np.array([bundle_costs(p, bundle, free) for bundle in bundles]).reshape(
        len(bundles), len(free)
    )


def bundle_costs(p: Problem, bundle: list[int], free: list[int]) -> Floats:
    """Return what `schedule.cost_s` says of the bundle as the only trip of each courier."""
    orders, whom = p.orders[bundle], p.couriers[free]
    restaurant = orders["restaurant"][0]
    off_s = whom["off_s"]
    # Too late stays too late, but finite.
    reach_s = np.minimum(p.reach_s[restaurant, free], off_s + 1.0)
    picked_up_s = _picked_up_s(orders, np.maximum(reach_s + p.pickup_s / 2, 0.0))
    after_s = _after_pickup_s(p, bundle)
    delays_s = picked_up_s[:, None] + after_s - orders["earliest_s"]
    aged_s = (delays_s + delays_s**2 * p.ageing_per_s).sum(axis=1)
    is_there = whom["bound"] == restaurant
    out_s = np.where(is_there, 0.0, reach_s - np.maximum(whom["free_s"], 0.0))
    free_again_s = picked_up_s + after_s[-1] + p.dropoff_s / 2
    work_s = out_s + p.pickup_s / 2 + np.minimum(free_again_s, off_s) - picked_up_s
    end_s = orders["onward_s"][-1] - whom["onward_s"]
    fits = (
        (picked_up_s <= off_s)
        & (orders["size"].sum() <= whom["capacity"])
        & ~p.barred[np.ix_(bundle, free)].any(axis=0)
    )
    held_by = orders["held_by"][:, None]
    moved = ((held_by != NOBODY) & (held_by != np.array(free, dtype=np.int64))).sum(axis=0)
    whose_s = whom["order_price_s"] * len(bundle) + p.switch_price_s * moved
    return np.where(fits, aged_s + p.work_price * work_s + p.end_price * end_s + whose_s, np.inf)


def _picked_up_s(orders: Records, there_s: Floats) -> Floats:
    """Return when a bundle is expected to change hands, couriers being there from `there_s` on."""
    soonest_s, latest_s = orders["soonest_s"].max(), orders["latest_s"].max()
    into_s = np.clip(there_s - soonest_s, 0.0, latest_s - soonest_s)
    mean_s = (soonest_s + latest_s) / 2 + into_s**2 / max(2 * (latest_s - soonest_s), INSTANT_S)
    return np.maximum(there_s, mean_s)


def _assigned(p: Problem, bundles: list[list[int]], costs: Floats) -> list[tuple[int, int]]:
    """Return the pairs of bundle and courier that cost least, leaving out what costs less so."""
    count, couriers = len(bundles), int(costs.shape[1])
    sink = count + couriers
    bundle, courier = np.nonzero(np.isfinite(costs))
    left_out_s = np.array([p.orders["leave_out_s"][rows].sum() for rows in bundles])
    every: Ints = np.arange(count)
    last: Ints = np.arange(count, sink)
    used = cheapest_flow(
        tails=np.concatenate((bundle, every, last)),
        heads=np.concatenate((count + courier, np.full(count + couriers, sink))),
        costs=_units(np.concatenate((costs[bundle, courier], left_out_s, np.zeros(couriers)))),
        supplies=np.append(np.ones(count, dtype=np.int64), -count),
        sources=np.append(every, sink),
    )[: len(bundle)]
    return list(zip(bundle[used].tolist(), courier[used].tolist(), strict=True))


def _units(costs_s: Floats) -> Ints:
    return np.rint(costs_s * UNITS_PER_S).astype(np.int64)
