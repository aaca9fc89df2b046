"""The compiled loops against the rules in plain Python, on drawn markets."""

import os
import random
import subprocess
import sys
from math import inf, isinf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.matching.construction import draft_of, rows_of
from dispatch.matching.improve import bench_of
from dispatch.matching.insertion import (
    ALONE,
    best_slot,
    fill,
    known_slot,
    put,
    take_out,
    total_s,
)
from dispatch.matching.nearest import plan_cost_s
from dispatch.matching.plan import Rows
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s, extensions
from dispatch.matching.snapshot import NOBODY
from dispatch.policy import Matching
from tests.dispatch.matching.markets import STREET, city, matching

EXACT_S = 1e-9
SEEDS = st.integers(0, 10**6)
POLICY = matching(switch_price_s=30, ageing_s=3_600)


def scattered(p: Problem, seed: int) -> Rows:
    """Half of the orders strewn over the couriers, wherever they are allowed to be."""
    rng = random.Random(seed)
    rows: Rows = [[] for _ in p.couriers]
    for order in rng.sample(range(len(p.orders)), len(p.orders) // 2):
        courier = rng.randrange(len(rows))
        ways = list(extensions(p, rows[courier], order))
        way = rng.choice(ways)
        if cost_s(p, courier, way) < inf:
            rows[courier] = way
    return rows


def drawn(seed: int) -> tuple[Problem, Rows]:
    """A drawn market and a plan for half of it."""
    p = problem(city(seed), STREET, POLICY)
    return p, scattered(p, seed)


@given(seed=SEEDS)
def test_every_route_costs_what_the_rules_say(seed: int) -> None:
    p, rows = drawn(seed)

    draft = draft_of(p, rows, Matching())

    assert rows_of(draft) == rows
    for courier, trips in enumerate(rows):
        assert abs(draft.routes["cost_s"][courier] - cost_s(p, courier, trips)) < EXACT_S


@given(seed=SEEDS)
def test_the_best_slot_is_the_cheapest_of_all_extensions(seed: int) -> None:
    p, rows = drawn(seed)
    draft = draft_of(p, rows, Matching())

    for order in np.flatnonzero(draft.courier == NOBODY).tolist():
        for courier, trips in enumerate(rows):
            if p.barred[order, courier]:
                continue
            before_s = cost_s(p, courier, trips)
            ways_s = [cost_s(p, courier, way) for way in extensions(p, trips, order)]
            added_s, _, _ = best_slot(p, draft, courier, order, inf)

            least_s = min(ways_s) - before_s
            assert isinf(added_s) if isinf(least_s) else abs(added_s - least_s) < EXACT_S


@given(seed=SEEDS)
def test_an_order_put_into_its_best_slot_adds_what_was_said_and_can_be_taken_out(seed: int) -> None:
    p, rows = drawn(seed)
    draft = draft_of(p, rows, Matching())
    before_s = total_s(p, draft)

    for order in np.flatnonzero(draft.courier == NOBODY).tolist():
        added_s, at, kind = best_slot(p, draft, 0, order, inf)
        if isinf(added_s):
            continue
        put(p, draft, 0, order, at, kind)
        after_s = total_s(p, draft)
        assert abs(after_s - before_s - added_s + p.orders["leave_out_s"][order]) < 1e-6
        assert draft.courier[order] == 0
        take_out(p, draft, order)
        assert rows_of(draft) == rows


@given(seed=SEEDS)
def test_a_place_that_is_remembered_is_the_place_that_would_be_found(seed: int) -> None:
    """The same few couriers are asked again and again, for less and for more, between changes."""
    p, rows = drawn(seed)
    draft = draft_of(p, rows, Matching())
    memo = bench_of(p, draft, seed).memo
    rng = random.Random(seed)
    left = np.flatnonzero(draft.courier == NOBODY).tolist()

    for _ in range(60):
        order, courier = rng.choice(left), rng.randrange(len(rows))
        most_s = rng.choice([100.0, 1_000.0, 10_000.0, inf])
        remembered = known_slot(p, draft, memo, courier, order, most_s)
        found = best_slot(p, draft, courier, order, most_s)
        assert remembered == (found if found[0] < most_s else (inf, NOBODY, ALONE))
        if rng.random() < 0.2 and remembered[1] != NOBODY:
            put(p, draft, courier, order, *remembered[1:])
            if rng.random() < 0.5:
                take_out(p, draft, order)
            else:
                left.remove(order)
        if not left:
            break


def test_nobody_is_offered_what_he_is_barred_from() -> None:
    p, rows = drawn(3)
    draft = draft_of(p, rows, Matching())
    order, courier = (
        int(one) for one in np.argwhere(p.barred & (draft.courier == NOBODY)[:, None])[0]
    )

    added_s, _, _ = best_slot(p, draft, courier, order, inf)

    assert added_s == inf


@given(seed=SEEDS)
def test_filling_plans_every_order_once_at_the_cost_it_tells(seed: int) -> None:
    p, rows = drawn(seed)
    draft = draft_of(p, rows, Matching())

    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))

    filled = rows_of(draft)
    orders = [order for trips in filled for trip in trips for order in trip]
    assert len(orders) == len(set(orders)) == (draft.courier != NOBODY).sum()
    assert abs(total_s(p, draft) - plan_cost_s(p, filled)) < 1e-6


@pytest.mark.slow
def test_uncompiled_the_loops_give_the_same_plan() -> None:
    script = (
        "from dispatch.matching.solvers import solver\n"
        "from tests.dispatch.matching.markets import POLICY, STREET, city\n"
        "for seed in range(5):\n"
        "    print(solver('improve')(city(seed), None, POLICY, STREET))\n"
    )

    told = [
        subprocess.run(  # noqa: PLW1510 (the answer is what is compared)
            [sys.executable, "-c", script],
            env=os.environ | {"NUMBA_DISABLE_JIT": switch, "PYTHONHASHSEED": switch},
            capture_output=True,
            text=True,
        )
        for switch in ("0", "1")
    ]

    assert told[0].stdout.count("Plan(") == 5
    assert told[0].stdout == told[1].stdout, told[1].stderr
