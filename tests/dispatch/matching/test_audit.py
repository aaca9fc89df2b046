"""The audit against every plan there is, on markets small enough to try them all."""

from collections.abc import Sequence
from functools import cache
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from dispatch.matching.audit import (
    EXACT_S,
    AuditRefused,
    Thoroughness,
    audit,
    audited,
    lagrangian_s,
)
from dispatch.matching.columns import Finder
from dispatch.matching.nearest import plan_cost_s
from dispatch.matching.plan import Plan, Rows
from dispatch.matching.pool import PoolTooLarge, pool_of
from dispatch.matching.pricing import Terms
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s, extensions
from dispatch.matching.snapshot import Snapshot
from dispatch.matching.solvers import SOLVERS
from tests.dispatch.matching.markets import POLICY, STREET, city, courier, matching, order, street

THOROUGH = Thoroughness(labels_max=5_000)
SEEDS = st.integers(0, 10**6)
PRICES = matching(switch_price_s=30, ageing_s=3_600)

type Course = list[list[int]]


def courses(p: Problem, orders: Sequence[int]) -> list[Course]:
    """Every way in which one courier could serve exactly these orders."""
    found: list[Course] = [[]]
    for one in orders:
        found = [longer for course in found for longer in extensions(p, course, one)]
    return found


def members(subset: int) -> list[int]:
    """The orders of a subset, which is a number with a bit for each."""
    return [row for row in range(subset.bit_length()) if subset >> row & 1]


def least_by_courier(p: Problem) -> list[list[float]]:
    """What each subset of the orders costs with each courier, at the least."""

    def least_s(who: int, subset: int) -> float:
        rows = members(subset)
        if p.barred[rows, who].any():
            return inf
        return min(cost_s(p, who, course) for course in courses(p, rows))

    subsets = range(1 << len(p.orders))
    return [[least_s(who, subset) for subset in subsets] for who in range(len(p.couriers))]


def optimum_s(p: Problem) -> float:
    """What the best of all plans costs."""
    table = least_by_courier(p)

    @cache
    def rest_s(who: int, left: int) -> float:
        if who == len(table):
            return float(p.orders["leave_out_s"][members(left)].sum())
        costs_s = list[float]()
        taken = left
        while True:
            costs_s.append(table[who][taken] + rest_s(who + 1, left & ~taken))
            if not taken:
                return min(costs_s)
            taken = (taken - 1) & left

    return rest_s(0, (1 << len(p.orders)) - 1)


def small(seed: int, orders: int) -> Snapshot:
    """A drawn market with few enough of everything."""
    return city(seed, orders=orders, couriers=3, restaurants=2)


def nothing(p: Problem) -> Rows:
    """The plan of leaving everything out."""
    return [[] for _ in p.couriers]


@pytest.mark.parametrize("seed", range(6))
def test_the_audit_finds_the_best_of_all_plans_and_proves_it(seed: int) -> None:
    p = problem(small(seed, 4), STREET, PRICES)

    found = audited(p, nothing(p), THOROUGH)

    assert found.is_exact
    assert abs(found.best_s - optimum_s(p)) < EXACT_S
    assert abs(plan_cost_s(p, found.best) - found.best_s) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_the_audit_is_right_about_five_orders_too(seed: int) -> None:
    p = problem(small(100 + seed, 5), STREET, PRICES)

    found = audited(p, nothing(p), THOROUGH)

    assert found.is_exact
    assert abs(found.best_s - optimum_s(p)) < EXACT_S


@pytest.mark.parametrize("labels_max", [1, 2, 4])
@pytest.mark.parametrize("turns_max", [1, 3])
def test_an_audit_broken_off_early_still_bounds_every_plan(labels_max: int, turns_max: int) -> None:
    brief = Thoroughness(
        labels_max=labels_max, glance_labels_max=labels_max, turns_max=turns_max, nodes_max=0
    )
    for seed in range(2):
        p = problem(small(seed, 4), STREET, PRICES)

        found = audited(p, nothing(p), brief)

        assert found.bound_s <= optimum_s(p) + EXACT_S


@settings(max_examples=10)
@given(seed=SEEDS, price_s=st.floats(0, 20_000))
def test_any_prices_of_orders_bound_every_plan(seed: int, price_s: float) -> None:
    p = problem(small(seed, 3), STREET, PRICES)
    finder = Finder(p, pool_of(p, 1_000), 1_000)
    order_s = np.full(len(p.orders), price_s)

    least_s = [
        finder.find(Terms(who, order_s, 0.0, keeps_twins=False, labels_max=1_000), 1).least_s
        for who in range(len(p.couriers))
    ]

    assert lagrangian_s(p, order_s, np.array(least_s)) <= optimum_s(p) + EXACT_S


@settings(max_examples=10)
@given(seed=SEEDS, price_s=st.floats(0, 20_000))
def test_every_column_costs_what_the_rules_say_and_the_cheapest_is_found(
    seed: int, price_s: float
) -> None:
    p = problem(small(seed, 3), STREET, PRICES)
    finder = Finder(p, pool_of(p, 1_000), 1_000)
    order_s = np.full(len(p.orders), price_s)

    for who, table in enumerate(least_by_courier(p)):
        terms = Terms(who, order_s, 0.0, keeps_twins=True, labels_max=1_000)
        found = finder.find(terms, 1_000)

        worth_s = [one - order_s[members(subset)].sum() for subset, one in enumerate(table)]
        wanted = {
            frozenset(members(subset)): table[subset]
            for subset in range(1, len(table))
            if worth_s[subset] < -EXACT_S
        }
        cheapest: dict[frozenset[int], float] = {}
        for column in found.columns:
            assert abs(column.cost_s - cost_s(p, who, column.trips)) < 1e-6
            cheapest[column.orders] = min(column.cost_s, cheapest.get(column.orders, inf))
        assert found.is_all
        assert all(abs(cheapest[one] - price) < 1e-6 for one, price in wanted.items())


@pytest.mark.parametrize("name", SOLVERS)
def test_no_solver_is_better_than_the_bound(name: str) -> None:
    for seed in range(3):
        known = city(seed, orders=7, couriers=4)
        plan = SOLVERS[name](known, None, POLICY, STREET)

        found = audit(known, plan, POLICY, STREET, THOROUGH)

        assert found.is_exact
        assert found.bound_s <= found.best_s <= found.cost_s
        assert abs(found.cost_s - plan.cost_s) < 1e-3
        assert found.gap >= 0


def test_a_plan_that_is_plainly_worse_shows_its_gap() -> None:
    known = street([order(1, at=0, to=100)], [courier(1, at=0), courier(2, at=900)])
    rows: Rows = [[], [[0]]]
    p = problem(known, STREET, POLICY)

    found = audited(p, rows, THOROUGH)

    assert found.best == [[[0]], []]
    assert found.cost_s - found.bound_s > 900
    assert found.gap == (found.cost_s - found.bound_s) / max(1.0, found.bound_s)


def test_a_market_without_orders_or_couriers_is_no_matter() -> None:
    for known in (street([], [courier(1, at=0)]), street([order(1, at=0, to=9)], [])):
        found = audit(known, Plan(), POLICY, STREET)

        assert found.is_exact
        assert found.gap == 0


def test_a_pool_that_would_be_too_large_is_refused_before_it_is_made() -> None:
    known = street([order(one, at=0, to=9 * one) for one in range(9)], [courier(1, at=0)])

    with pytest.raises(PoolTooLarge, match="more than 100 ways"):
        audit(known, Plan(), POLICY, STREET, Thoroughness(trips_max=100))


def test_prices_at_which_being_late_could_pay_are_refused() -> None:
    known = street([order(1, at=0, to=9)], [courier(1, at=0)])
    dear = structs.replace(POLICY, matching=structs.replace(POLICY.matching, work_price=1.5))

    with pytest.raises(AuditRefused, match="being late can pay"):
        audit(known, Plan(), dear, STREET)
