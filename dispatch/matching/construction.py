"""The plan a round begins with: what is left of the last one, with what is new inserted.

Every order placed and not picked up is in the plan of some courier, busy or idle, however many
trips ahead. A round first drops what is over from the kept plan, then inserts the orders in none of
the routes by regret: the one that would lose most by not getting its best place comes first. Alone
it is the `insert` solver, the plan that is told when there is no time for more.
"""

import numpy as np

from dispatch.matching.draft import CHOICE, ROUTE, STOP, Draft
from dispatch.matching.insertion import (
    CANDIDATES,
    GAINS,
    INSERTIONS,
    ITERATIONS,
    fill,
    settle,
    total_s,
)
from dispatch.matching.plan import Effort, Plan, Rows, told, warmed
from dispatch.matching.problem import Problem, problem
from dispatch.matching.snapshot import NOBODY, Snapshot
from dispatch.policy import Matching, Policy
from geo.travel import TravelTimes


def insert(known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes) -> Plan:
    """Return the kept plan with new orders inserted."""
    matching = policy.matching
    p = problem(known, travel, policy)
    draft = draft_of(p, warmed(kept, known), matching)
    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))
    return told(known, rows_of(draft), float(total_s(p, draft)), effort_of(known, draft))


def _blank(p: Problem, matching: Matching) -> Draft:
    couriers, orders = len(p.couriers), len(p.orders)
    longest = matching.trips_max * matching.bundle_max
    of = np.argsort(p.orders["restaurant"], kind="stable")
    draft = Draft(
        routes=np.zeros(couriers, dtype=ROUTE),
        stops=np.zeros((couriers, longest), dtype=STOP),
        courier=np.full(orders, NOBODY),
        tally=np.zeros(5, dtype=np.int64),
        trial=np.zeros(longest + 1, dtype=STOP),
        picked=np.zeros(couriers, dtype=np.int64),
        seen=np.zeros(couriers, dtype=np.int64),
        soon=np.zeros((2, max(p.idle_max, p.after_max)), dtype=np.int64),
        soon_s=np.zeros((2, max(p.idle_max, p.after_max))),
        choices=np.zeros(orders, dtype=CHOICE),
        first=np.searchsorted(p.orders["restaurant"][of], np.arange(len(p.near) + 1)),
        of=of,
    )
    draft.routes["end_at"] = np.arange(couriers)
    return draft


def draft_of(p: Problem, rows: Rows, matching: Matching) -> Draft:
    """Return the draft of a kept plan, without the routes that are no longer possible."""
    draft = _blank(p, matching)
    for courier, trips in enumerate(rows):
        stops = [(row, place == 0) for trip in trips for place, row in enumerate(trip)]
        if 0 < len(stops) <= draft.stops.shape[1]:
            draft.stops["order"][courier, : len(stops)] = [row for row, _ in stops]
            draft.stops["opens"][courier, : len(stops)] = [opens for _, opens in stops]
            draft.routes[courier]["length"] = len(stops)
    settle(p, draft)
    return draft


def rows_of(draft: Draft) -> Rows:
    """Return a draft as trips."""
    rows: Rows = [[] for _ in draft.routes]
    for courier in np.flatnonzero(draft.routes["length"]).tolist():
        length = int(draft.routes[courier]["length"])
        for order, opens, *_ in draft.stops[courier, :length].tolist():
            if opens:
                rows[courier].append([])
            rows[courier][-1].append(order)
    return rows


def effort_of(known: Snapshot, draft: Draft) -> Effort:
    """Return what was looked at for a draft."""
    tally = draft.tally.tolist()
    return Effort(
        orders=len(known.order_ids),
        couriers=len(known.courier_ids),
        candidates=tally[CANDIDATES],
        insertions=tally[INSERTIONS],
        iterations=tally[ITERATIONS],
        gains=tally[GAINS],
    )
