"""What a round's search finds in how little time, beside proven optima and everybody else's.

Three questions, on rounds drawn from seeds (`rounds_drawn`), all costs being `schedule.cost_s`:

- `budgets`: how far is the search after 20 to 1,000 milliseconds from where a long run of itself
  ends, on the same round? From a plan just constructed (`cold`), and as a live round begins
  (`warm`): with the plan of ten seconds ago, in which one order in fifty has gone and as many are
  new. The budget is the search's own; what comes before it, which is the same for every budget, is
  told beside it.
- `exact`: how far is it from the optimum of rounds of 28 orders, which the audit proves?
- `rivals`: what do OR-Tools Routing, PyVRP, VROOM, the one-to-one assignment and our own insertion
  make of the same rounds in the same time?

Budgets are processor time, of which a round has one core's for itself: on a machine that is busy
with other things a wall clock would measure those. A short run measures how many iterations go into
a second, the search is given as many as fit its budget, so that it cools in time, and the clock
ends it if it is slower all the same. Rivals keep their limit by the wall clock, and what they took
is told. Every plan is checked: each order once, no limit broken, and the cost that was
claimed is what the rules say.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct, to_builtins

from benchmarks.rounds_drawn import POLICY, TRAVEL, Size, drawn, followed
from benchmarks.rounds_rivals import RIVALS, asked
from dispatch.matching.audit import Thoroughness, audited
from dispatch.matching.construction import draft_of, rows_of
from dispatch.matching.improve import copied, search
from dispatch.matching.insertion import Draft, fill, total_s
from dispatch.matching.nearest import plan_cost_s
from dispatch.matching.plan import Effort, Plan, told, warmed
from dispatch.matching.problem import Problem, problem
from dispatch.matching.snapshot import NOBODY, Snapshot
from dispatch.matching.solvers import SOLVERS, warm_up

SIZES = (Size(100, 100), Size(500, 800), Size(2_000, 3_000))
BUDGETS_MS = (20, 50, 100, 200, 400, 1_000)
WITHIN_PERCENT = 1.5
"""How near a search is to be to where a long one ends,"""
CLAIMED_MS: Mapping[str, int] = {"100x100": 20, "500x800": 100, "2000x3000": 400}
"""and after which budget."""
EXACT_SIZES = (Size(28, 28), Size(28, 20), Size(28, 14), Size(28, 10))
EXACT_MS = (50, 1_000)
RIVAL_SIZES = (Size(28, 14), Size(100, 100), Size(500, 800))
SEED = 1
GAUGED = 512
"""Iterations by which the machine's pace is measured."""


class Length(NamedTuple):
    """How long the benchmark runs."""

    reference_s: float = 10.0
    before_s: float = 3.0
    """Search that the plan of ten seconds ago has had."""
    repeats: int = 3
    """Searches with different dice for each budget."""
    exact_rounds: int = 1
    """Rounds of each size that are solved exactly."""
    rival_s: float = 2.0


LONG = Length(reference_s=30.0, before_s=10.0, repeats=5, exact_rounds=5, rival_s=10.0)


SHORT = Length()


def rounds(length: Length = SHORT, *, sizes: Sequence[Size] = SIZES) -> dict[str, object]:
    """Return the figures of all three questions."""
    warm_up()
    return {
        "reference_s": length.reference_s,
        "budgets": {str(size): to_builtins(budgets(size, length)) for size in sizes},
        "exact": exact(length),
        "rivals": {str(size): rivals(size, length.rival_s) for size in RIVAL_SIZES},
    }


class Budgets(Struct, frozen=True, kw_only=True):
    """How far a search is after each budget from where a long one ends: `cold` and `warm`."""

    reference_cost_s: float
    problem_ms: float
    begun_ms: dict[str, float]
    begun_gap_percent: dict[str, float]
    gap_percent: dict[str, dict[int, float]]
    iterations: dict[str, dict[int, int]]
    is_as_claimed: dict[str, bool]


def budgets(size: Size, length: Length) -> Budgets:
    """Return how far a search is after each budget from where a long one ends."""
    before, known = drawn(size, SEED), followed(size, SEED)
    kept = _kept(before, length.before_s)
    began_s = time.process_time()
    p = problem(known, TRAVEL, POLICY)
    posed_s = time.process_time() - began_s
    cold, cold_s = _begun(p, known, None)
    warm, warm_s = _begun(p, known, kept)
    reference_s = searched(p, warm, length.reference_s, SEED).cost_s
    runs = {
        name: {ms: _runs(p, start, ms / 1_000, length.repeats) for ms in BUDGETS_MS}
        for name, start in (("cold", cold), ("warm", warm))
    }
    gaps = {
        name: {ms: _gap_percent(run, reference_s) for ms, run in by_ms.items()}
        for name, by_ms in runs.items()
    }
    return Budgets(
        reference_cost_s=round(reference_s, 1),
        problem_ms=round(posed_s * 1_000, 1),
        begun_ms={"cold": round(cold_s * 1_000, 1), "warm": round(warm_s * 1_000, 1)},
        begun_gap_percent={
            name: round(100 * (total_s(p, start) / reference_s - 1), 2)
            for name, start in (("cold", cold), ("warm", warm))
        },
        gap_percent=gaps,
        iterations={
            name: {ms: run[0].iterations for ms, run in by_ms.items()}
            for name, by_ms in runs.items()
        },
        is_as_claimed={
            name: by_ms[claimed_ms] <= WITHIN_PERCENT
            for name, by_ms in gaps.items()
            if (claimed_ms := CLAIMED_MS.get(str(size)))
        },
    )


class Run(NamedTuple):
    """What a search ended with."""

    cost_s: float
    iterations: int
    took_s: float


def searched(p: Problem, start: Draft, budget_s: float, seed: int) -> Run:
    """Return what a search from `start` ends with, and check it."""
    iterations = max(1, int(_pace(p, start) * budget_s))
    draft = copied(start)
    began_s = time.process_time()
    over_s = began_s + budget_s
    done = search(
        p,
        draft,
        POLICY.matching,
        seed=seed,
        iterations=iterations,
        is_over=lambda: time.process_time() > over_s,
    )
    took_s = time.process_time() - began_s
    return Run(_checked_s(p, draft), done, took_s)


def _pace(p: Problem, start: Draft) -> float:
    """Return how many iterations a second the machine does on this plan now."""
    draft = copied(start)
    began_s = time.process_time()
    done = search(p, draft, POLICY.matching, seed=0, iterations=GAUGED)
    return done / (time.process_time() - began_s)


def _runs(p: Problem, start: Draft, budget_s: float, repeats: int) -> list[Run]:
    return [searched(p, start, budget_s, seed) for seed in range(repeats)]


def _gap_percent(runs: Sequence[Run], reference_s: float) -> float:
    return round(100 * (float(np.mean([run.cost_s for run in runs])) / reference_s - 1), 2)


def _begun(p: Problem, known: Snapshot, kept: Plan | None) -> tuple[Draft, float]:
    """Return the plan that a search begins with, and the seconds it takes to lay it out."""
    began_s = time.process_time()
    draft = draft_of(p, warmed(kept, known), POLICY.matching)
    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))
    return draft, time.process_time() - began_s


def _kept(known: Snapshot, budget_s: float) -> Plan:
    """Return the plan that rounds so far have made of what is known."""
    p = problem(known, TRAVEL, POLICY)
    draft = _begun(p, known, None)[0]
    over_s = time.process_time() + budget_s
    iterations = int(_pace(p, draft) * budget_s)
    search(
        p,
        draft,
        POLICY.matching,
        seed=SEED,
        iterations=iterations,
        is_over=lambda: time.process_time() > over_s,
    )
    return told(known, rows_of(draft), float(total_s(p, draft)), Effort())


def exact(length: Length) -> dict[str, object]:
    """Return how far the search is from proven optima, in percent, and how many were proven."""
    gaps: dict[int, list[float]] = {ms: [] for ms in EXACT_MS}
    unproven, audit_s = 0, list[float]()
    for size in EXACT_SIZES:
        for seed in range(length.exact_rounds):
            known = drawn(size, seed)
            p = problem(known, TRAVEL, POLICY)
            start = _begun(p, known, None)[0]
            runs = {ms: _runs(p, start, ms / 1_000, length.repeats) for ms in EXACT_MS}
            began_s = time.process_time()
            found = audited(p, rows_of(start), Thoroughness())
            audit_s.append(time.process_time() - began_s)
            unproven += not found.is_exact
            for ms, some in runs.items():
                assert min(run.cost_s for run in some) > found.bound_s - 1, "the bound lies"
                gaps[ms] += [100 * (run.cost_s / found.bound_s - 1) for run in some]
    return {
        "rounds": len(audit_s),
        "unproven": unproven,
        "audit_s_mean": round(float(np.mean(audit_s)), 2),
        "gap_percent_mean": {ms: round(float(np.mean(some)), 2) for ms, some in gaps.items()},
        "gap_percent_worst": {ms: round(max(some), 2) for ms, some in gaps.items()},
    }


def rivals(size: Size, limit_s: float) -> dict[str, object]:
    """Return what each makes of a round within the limit, beside what the search makes of it."""
    known = drawn(size, SEED)
    p = problem(known, TRAVEL, POLICY)
    ours = searched(p, _begun(p, known, None)[0], limit_s, SEED)
    told_of: dict[str, object] = {"limit_s": limit_s, "search": {"cost_s": round(ours.cost_s, 1)}}
    for name in ("assign", "insert"):
        began_s = time.process_time()
        cost = SOLVERS[name](known, None, POLICY, TRAVEL).cost_s
        took_s = time.process_time() - began_s
        told_of[name] = _beside(cost, size.orders, took_s, ours)
    for name in RIVALS:
        answered = asked(name, size, SEED, limit_s)
        told_of[name] = _beside(answered.cost_s, answered.orders, answered.took_s, ours)
    return told_of


def _beside(cost: float | None, orders: int, took_s: float | None, ours: Run) -> dict[str, object]:
    if cost is None or took_s is None:
        return {"cost_s": None, "orders": orders, "took_s": took_s}
    return {
        "cost_s": round(cost, 1),
        "dearer_percent": round(100 * (cost / ours.cost_s - 1), 1),
        "orders": orders,
        "took_s": round(took_s, 2),
    }


def _checked_s(p: Problem, draft: Draft) -> float:
    """Return what a plan costs by the rules in plain Python; it breaks no limit."""
    rows = rows_of(draft)
    planned = [order for trips in rows for trip in trips for order in trip]
    assert len(planned) == len(set(planned)), "an order is planned twice"
    cost = plan_cost_s(p, rows)
    assert np.isfinite(cost), "a plan breaks a limit"
    assert abs(cost - total_s(p, draft)) < 1e-6 * abs(cost), "a plan costs other than it says"
    return cost


if __name__ == "__main__":
    print(json.dumps(rounds()))
