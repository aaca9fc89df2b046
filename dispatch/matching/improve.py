"""The default solver: the kept plan with new orders inserted, then searched for a better one.

The search is a large neighbourhood search on whole routes. An iteration takes a few related orders
out of the plan, or all that one courier has to do, and puts them back in drawn order, each where it
costs least; or two couriers exchange trips, or all they have from a trip on. First of all, and now
and then, every courier hands in an order and all of those are dealt anew, as costs least together:
that finds the long chains of exchanges that no single step does. What became cheaper is kept; what
became dearer is kept now and then, by a temperature that falls to nothing while the round lasts,
and is undone otherwise. A low temperature is enough, and more does harm: it starts from a plan that
is good already, because it was the last round's. Only a search that lasts longer than usual starts
hotter, by how much longer.

The work is counted in iterations and the dice are thrown from a seed, so the same knowledge gives
the same plan everywhere. A clock may only end it early (`is_over`, asked between chunks); whoever
lends one says so in the record. The plan handed back is the cheapest that stood at the end of a
chunk or after a deal, and never dearer than the one it began with.
"""

from collections.abc import Callable

import numpy as np

from dispatch.matching.construction import draft_of, effort_of, rows_of
from dispatch.matching.draft import CHOICE, ROUTE, SEAT, STOP, Bench, Draft
from dispatch.matching.insertion import (
    GAIN_S_MIN,
    GAINS,
    anneal,
    copy,
    deal,
    fill,
    find_places,
    find_soonest,
    hand_in,
    total_s,
)
from dispatch.matching.kin import find_kin
from dispatch.matching.pairing import Arcs, cheapest_pairs
from dispatch.matching.plan import Plan, told, warmed
from dispatch.matching.problem import Problem, Records, problem
from dispatch.matching.snapshot import NOBODY, Snapshot
from dispatch.policy import Matching, Policy
from geo.travel import TravelTimes

type IsOver = Callable[[], bool]
"""Whether the time for a round is over; asked often."""

KIN_MAX = 12
"""Orders that are remembered as closest to each."""
PLACES_MAX = 24
"""Couriers that an order dealt anew may go to: those with whom it costs least."""
SEATS_PER_ORDER = 64
"""Prices that are remembered during a search."""
CHUNK = 256
"""Iterations between two looks at the clock: about ten milliseconds of the largest markets."""

HOTTER_MAX = 8.0
"""How much hotter a search may start that lasts longer than usual, and so can undo more."""

_MS_PER_S = 1_000
_DICE = (2_147_483_562, 2_147_483_398)
"""How many places the generators of the dice have."""


def never() -> bool:
    """Tell that there is time: the search ends with its iterations."""
    return False


def improve(
    known: Snapshot,
    kept: Plan | None,
    policy: Policy,
    travel: TravelTimes,
    is_over: IsOver = never,
) -> Plan:
    """Return the kept plan with new orders inserted, and what a search made of it."""
    matching = policy.matching
    p = problem(known, travel, policy)
    draft = draft_of(p, warmed(kept, known), matching)
    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))
    search(p, draft, matching, seed=known.at // _MS_PER_S, is_over=is_over)
    return told(known, rows_of(draft), float(total_s(p, draft)), effort_of(known, draft))


def search(
    p: Problem,
    draft: Draft,
    matching: Matching,
    *,
    seed: int,
    iterations: int | None = None,
    is_over: IsOver = never,
) -> int:
    """Improve `draft`, and return after how many iterations of those it was to have.

    Those are as many as `matching` gives a round of this size, unless it is told otherwise.
    """
    usual = int(matching.iterations_min + matching.iterations_per_order * len(p.orders))
    if iterations is None:
        iterations = min(usual, matching.iterations_max)
    if not len(p.orders) or not len(p.couriers):
        return 0
    bench, best = bench_of(p, draft, seed), copied(draft)
    cost_s = best_s = total_s(p, draft)
    heat_s = matching.temperature_s * min(HOTTER_MAX, max(1.0, iterations / max(1, usual)))
    done = stale = 0
    while done < iterations and not is_over():
        if done >= stale:
            find_soonest(p, draft, bench)
            cost_s = deal_anew(p, draft, bench, cost_s)
            best_s = _noted(draft, cost_s, best, best_s)
            stale = done + max(CHUNK, len(p.orders))
        last = min(done + CHUNK, iterations)
        cost_s -= anneal(p, draft, bench, matching.removed_max, heat_s, done, last, iterations)
        done = last
        best_s = _noted(draft, cost_s, best, best_s)
    if best_s < cost_s - GAIN_S_MIN:
        copy(best, draft)
    return done


def _noted(draft: Draft, cost_s: float, best: Draft, best_s: float) -> float:
    """Make `best` what the draft is, if that is cheaper; return what `best` costs then."""
    if cost_s >= best_s - GAIN_S_MIN:
        return best_s
    copy(draft, best)
    return cost_s


def deal_anew(p: Problem, draft: Draft, bench: Bench, cost_s: float) -> float:
    """Have every courier hand in one of his orders, and deal them all anew as costs least.

    Each gets one of them at most, or one that was left out. That everybody gets back what he handed
    in is among the ways there are. Returns what the plan costs then, which cost `cost_s`.
    """
    count = hand_in(p, draft, bench)
    found = find_places(p, draft, bench, count)
    first, places = bench.first[: count + 1], bench.places[:found]
    arcs = Arcs(
        first=first,
        row=np.repeat(np.arange(count), np.diff(first)),
        column=np.ascontiguousarray(places["courier"]),
        cost_s=np.ascontiguousarray(places["added_s"]),
        alone_s=np.ascontiguousarray(p.orders["leave_out_s"][bench.group[:count]]),
    )
    deal(p, draft, bench, cheapest_pairs(arcs, len(p.couriers)))
    dealt_s = float(total_s(p, draft))
    draft.tally[GAINS] += dealt_s < cost_s - GAIN_S_MIN
    return dealt_s


def bench_of(p: Problem, draft: Draft, seed: int) -> Bench:
    """Return what a search works with, its dice thrown from `seed`."""
    couriers, orders, longest = len(p.couriers), len(p.orders), draft.stops.shape[1]
    kin = np.full((orders, min(KIN_MAX, orders - 1)), NOBODY)
    find_kin(p, kin)
    return Bench(
        kin=kin,
        idle=np.full((len(p.between_restaurants), p.idle_max), NOBODY),
        after=np.full((len(p.between_restaurants), p.after_max), NOBODY),
        group=np.zeros(orders, dtype=np.int64),
        was_with=np.zeros(orders, dtype=np.int64),
        touched=np.zeros(couriers, dtype=np.int64),
        touched_in=np.zeros(couriers, dtype=np.int64),
        kept=np.zeros(couriers, dtype=ROUTE),
        kept_stops=np.zeros((couriers, longest), dtype=STOP),
        spare=np.zeros((2, 2 * longest), dtype=STOP),
        memo=_memo(orders),
        places=np.zeros(orders * PLACES_MAX, dtype=CHOICE),
        first=np.zeros(orders + 1, dtype=np.int64),
        dice=np.array([1 + seed * 7_919 % places for places in _DICE]),
        counts=np.zeros(3, dtype=np.int64),
    )


def _memo(orders: int) -> Records:
    """Return an empty memory: a pair of nobody is in every seat."""
    memo = np.zeros(1 << (SEATS_PER_ORDER * orders).bit_length(), dtype=SEAT)
    memo["pair"] = NOBODY
    return memo


def copied(draft: Draft) -> Draft:
    """Return another draft of the same plan."""
    return draft._replace(
        routes=draft.routes.copy(), stops=draft.stops.copy(), courier=draft.courier.copy()
    )
