"""The simplest solver: each order, the oldest first, to the nearest idle courier.

No bundles, no couriers who are still busy, and what is decided stays decided. It is what many
services started with, and here to be compared with.
"""

import numpy as np

from dispatch.matching.plan import Effort, Plan, Rows, told, warmed
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import NOBODY, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes


def nearest(known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes) -> Plan:
    """Return the kept plan with idle couriers given the oldest orders that nobody has."""
    p = problem(known, travel, policy)
    rows = possible(p, warmed(kept, known))
    idle = _idle(known, rows)
    candidates = 0
    for order in waiting(known, rows):
        candidates += len(idle)
        courier = _nearest(p, order, idle)
        if courier != NOBODY:
            rows[courier] = [[order]]
            idle.remove(courier)
    effort = Effort(
        orders=len(known.order_ids), couriers=len(known.courier_ids), candidates=candidates
    )
    return told(known, rows, plan_cost_s(p, rows), effort)


def possible(p: Problem, rows: Rows) -> Rows:
    """Return `rows` without the routes that break a limit by now."""
    return [
        trips if cost_s(p, courier, trips) < np.inf else [] for courier, trips in enumerate(rows)
    ]


def waiting(known: Snapshot, rows: Rows) -> list[int]:
    """Return the orders that are in no route, the oldest first."""
    planned = {row for trips in rows for trip in trips for row in trip}
    by_age: list[int] = np.argsort(known.placed_s, kind="stable").tolist()
    return [row for row in by_age if row not in planned]


def plan_cost_s(p: Problem, rows: Rows) -> float:
    """Return the cost of a whole plan, orders left out included."""
    planned = {row for trips in rows for trip in trips for row in trip}
    left_out = [row for row in range(len(p.orders)) if row not in planned]
    routes_s = sum(cost_s(p, courier, trips) for courier, trips in enumerate(rows))
    return routes_s + float(p.orders["leave_out_s"][left_out].sum())


def _idle(known: Snapshot, rows: Rows) -> list[int]:
    return [courier for courier in np.flatnonzero(known.free_s <= 0).tolist() if not rows[courier]]


def _nearest(p: Problem, order: int, idle: list[int]) -> int:
    fitting = [courier for courier in idle if _fits(p, order, courier)]
    if not fitting:
        return NOBODY
    reach_s = p.reach_s[p.orders["restaurant"][order], fitting]
    return fitting[int(np.argmin(reach_s))]


def _fits(p: Problem, order: int, courier: int) -> bool:
    return not p.barred[order, courier] and cost_s(p, courier, [[order]]) < np.inf
