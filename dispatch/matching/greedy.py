"""The solver of last resort: every order, the oldest first, behind whatever brings it there first.

It keeps the last plan as far as that is still possible, and puts each order that is in nobody's
course at the end of the course of whoever would then be at its restaurant first: no bundles, no
second thoughts. It is for rounds whose solver is late or dead, and runs in the process that must go
on whatever happens; so, once the `problem` is ready, it is plain Python and numpy, and runs none of
the compiled code that a solver may have died of.
"""

import numpy as np

from dispatch.matching.nearest import plan_cost_s, possible, waiting
from dispatch.matching.plan import Effort, Plan, told, warmed
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s, course
from dispatch.matching.snapshot import Floats, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes

TRIES_MAX = 8
"""Couriers asked for an order, the first to arrive first; it waits when it fits with none."""

type Course = list[list[int]]


def greedy(known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes) -> Plan:
    """Return the kept plan, and behind it the orders that are not in it."""
    p = problem(known, travel, policy)
    rows = possible(p, warmed(kept, known))
    crew = _Crew(p, rows)
    for order in waiting(known, rows):
        crew.give(order)
    effort = Effort(
        orders=len(known.order_ids), couriers=len(known.courier_ids), candidates=crew.tried
    )
    return told(known, rows, plan_cost_s(p, rows), effort)


class _Crew:
    """The couriers, with when and at which origin each is through with his course."""

    def __init__(self, p: Problem, rows: list[Course]) -> None:
        self._p = p
        self._rows = rows
        self._end_s: Floats = np.maximum(p.couriers["free_s"], 0.0)
        self._end_at = np.arange(len(rows))
        self.tried = 0
        for courier, trips in enumerate(rows):
            if trips:
                self._end(courier)

    def give(self, order: int) -> None:
        """Put the order behind the course of whoever is there first, if it fits with one of few."""
        arrival_s = self._arrival_s(order)
        soonest: list[int] = np.argsort(arrival_s, kind="stable")[:TRIES_MAX].tolist()
        for courier in soonest:
            if arrival_s[courier] == np.inf:
                return
            self.tried += 1
            longer = [*self._rows[courier], [order]]
            if cost_s(self._p, courier, longer) < np.inf:
                self._rows[courier] = longer
                self._end(courier)
                return

    def _arrival_s(self, order: int) -> Floats:
        """Return (C,) when each could be at the order's restaurant; inf for who is not to."""
        p = self._p
        restaurant = int(p.orders["restaurant"][order])
        leg_s = p.to_restaurant[self._end_at, restaurant]
        is_there = (p.couriers["bound"] == restaurant) & (self._end_at < len(p.couriers))
        arrival_s = self._end_s + np.where(is_there, 0.0, leg_s)
        return np.where(p.barred[order], np.inf, arrival_s)

    def _end(self, courier: int) -> None:
        """Note when and where a courier is through with his course."""
        trips = self._rows[courier]
        *_, last = course(self._p, courier, trips)
        self._end_s[courier] = last.dropped_off_s[-1] + self._p.dropoff_s / 2
        self._end_at[courier] = len(self._p.couriers) + trips[-1][-1]
