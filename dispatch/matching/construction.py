"""The default solver: keep the last plan, insert what is new, and look again at what was decided.

Every order placed and not picked up is in the plan of some courier, busy or idle, however many
trips ahead. A round first drops what is over from the kept plan, then inserts the orders in none of
the routes by regret, and then takes each order out once more, together with those closest to it in
place and time, and inserts them anew where that makes the whole plan cheaper. The work is bounded
by counts and not by the clock, so the same knowledge gives the same plan everywhere.
"""

import numpy as np

from dispatch.matching.insertion import (
    CANDIDATES,
    CHOICE,
    EJECTIONS,
    GAINS,
    INSERTIONS,
    ROUTE,
    STOP,
    Draft,
    eject_each,
    fill,
    settle,
    total_s,
)
from dispatch.matching.plan import Effort, Plan, Rows, told, warmed
from dispatch.matching.problem import Problem, problem
from dispatch.matching.snapshot import NOBODY, Ints, Snapshot
from dispatch.policy import Matching, Policy
from geo.travel import TravelTimes

_MS_PER_S = 1000


def insert(known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes) -> Plan:
    """Return the kept plan with new orders inserted, and improved where it was found wanting."""
    matching = policy.matching
    p = problem(known, travel, policy)
    draft = draft_of(p, warmed(kept, known), matching)
    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))
    seeds = _seeds(known, policy)
    if len(seeds):
        eject_each(p, draft, _blank(p, matching), seeds, matching.ejection_size)
    return told(known, rows_of(draft), float(total_s(p, draft)), _effort(known, draft))


def _blank(p: Problem, matching: Matching) -> Draft:
    couriers, orders = len(p.couriers), len(p.orders)
    longest = matching.trips_max * matching.bundle_max
    draft = Draft(
        routes=np.zeros(couriers, dtype=ROUTE),
        stops=np.zeros((couriers, longest), dtype=STOP),
        courier=np.full(orders, NOBODY),
        tally=np.zeros(4, dtype=np.int64),
        trial=np.zeros(longest + 1, dtype=STOP),
        picked=np.zeros(couriers, dtype=np.int64),
        is_picked=np.zeros(couriers, dtype=np.bool_),
        choices=np.zeros(orders, dtype=CHOICE),
    )
    draft.routes["end_at"] = np.arange(couriers)
    return draft


def draft_of(p: Problem, rows: Rows, matching: Matching) -> Draft:
    """Return the draft of a kept plan, without the routes that are no longer possible."""
    draft = _blank(p, matching)
    for courier, trips in enumerate(rows):
        stops = [(row, place == 0) for trip in trips for place, row in enumerate(trip)]
        if 0 < len(stops) <= draft.stops.shape[1]:
            draft.stops[courier, : len(stops)] = stops
            draft.routes[courier]["length"] = len(stops)
    settle(p, draft)
    return draft


def _seeds(known: Snapshot, policy: Policy) -> Ints:
    """Return the orders to look at again: all of them by readiness, or as many as this round may.

    Where there are more than that, rounds take turns, by the instant and not by a memory.
    """
    seeds = np.argsort(known.ready_s, kind="stable")
    most = policy.matching.ejections_max
    turn = int(known.at / (policy.round_s * _MS_PER_S))
    return np.roll(seeds, -turn * most)[:most] if len(seeds) else seeds


def rows_of(draft: Draft) -> Rows:
    """Return a draft as trips."""
    rows: Rows = [[] for _ in draft.routes]
    for courier in np.flatnonzero(draft.routes["length"]).tolist():
        for order, opens in draft.stops[courier, : draft.routes[courier]["length"]].tolist():
            if opens:
                rows[courier].append([])
            rows[courier][-1].append(order)
    return rows


def _effort(known: Snapshot, draft: Draft) -> Effort:
    tally = draft.tally.tolist()
    return Effort(
        orders=len(known.order_ids),
        couriers=len(known.courier_ids),
        candidates=tally[CANDIDATES],
        insertions=tally[INSERTIONS],
        ejections=tally[EJECTIONS],
        gains=tally[GAINS],
    )
