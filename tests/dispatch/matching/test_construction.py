"""The default solver: plans kept, extended and looked at again."""

from dataclasses import replace

import numpy as np

from dispatch.matching.construction import insert
from dispatch.matching.nearest import plan_cost_s
from dispatch.matching.plan import Plan, warmed
from dispatch.matching.problem import problem
from dispatch.matching.snapshot import NOBODY
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    city,
    courier,
    matching,
    order,
    planned,
    street,
    told_by,
)


def test_a_courier_who_is_still_busy_gets_the_order_when_he_will_be_there_first() -> None:
    known = street(
        [order(1, at=1_000, to=1_100, ready_s=600)],
        [courier(1, at=0), courier(2, at=900, free_s=300)],
    )

    assert told_by(insert(known, None, POLICY, STREET)) == {"c2": [["o1"]]}


def test_orders_of_one_restaurant_to_one_street_go_together() -> None:
    known = street([order(1, at=0, to=500), order(2, at=0, to=520)], [courier(1, at=0)])

    assert told_by(insert(known, None, POLICY, STREET)) == {"c1": [["o1", "o2"]]}


def test_more_orders_than_couriers_make_courses_of_several_trips() -> None:
    known = street(
        [order(one, at=one * 300, to=one * 300 + 50) for one in range(5)], [courier(1, at=0)]
    )

    plan = insert(known, None, POLICY, STREET)

    assert told_by(plan) == {"c1": [[f"o{one}"] for one in range(5)]}


def test_an_order_joins_a_courier_who_waits_at_its_restaurant() -> None:
    known = street(
        [order(1, at=0, to=500, ready_s=300, held_by="c1"), order(2, at=0, to=510, ready_s=300)],
        [courier(1, at=0, free_s=-60, is_bound=True), courier(2, at=2_000)],
    )

    plan = insert(known, planned({"c1": [(0, [1])]}), POLICY, STREET)

    assert told_by(plan) == {"c1": [["o1", "o2"]]}


def test_a_course_that_has_become_impossible_is_planned_anew() -> None:
    known = street(
        [order(1, at=0, to=50, ready_s=900)], [courier(1, at=0, off_s=600), courier(2, at=300)]
    )

    plan = insert(known, planned({"c1": [(0, [1])]}), POLICY, STREET)

    assert told_by(plan) == {"c2": [["o1"]]}


def test_an_order_that_nobody_can_take_is_left_out_and_said_so() -> None:
    known = street([order(1, at=0, to=9, size=9), order(2, at=0, to=9)], [courier(1, at=0)])

    plan = insert(known, None, POLICY, STREET)

    assert told_by(plan) == {"c1": [["o2"]]}
    assert plan.unplanned == ("o1",)


def test_a_market_without_orders_or_without_couriers_has_a_plan() -> None:
    assert insert(street([], [courier(1, at=0)]), None, POLICY, STREET).trips == {}
    assert insert(street([order(1, at=0, to=9)], []), None, POLICY, STREET).unplanned == ("o1",)


def test_a_kept_plan_longer_than_the_policy_now_allows_is_planned_anew() -> None:
    orders = [order(one, at=0, to=9 * one) for one in range(12)]
    known = street(orders, [courier(1, at=0), courier(2, at=0)])
    kept = planned({"c1": [(0, list(range(12)))]})

    plan = insert(known, kept, matching(trips_max=2, bundle_max=2), STREET)

    assert sorted(len(trips) for trips in plan.trips.values()) == [2, 2]
    assert len(plan.unplanned) == 12 - 8


def test_a_plan_costs_what_the_rules_say_and_tells_what_was_done_for_it() -> None:
    for seed in range(10):
        known = replace(city(seed, orders=20, couriers=8), held_by=np.full(20, NOBODY))

        plan = insert(known, None, POLICY, STREET)

        p = problem(known, STREET, POLICY)
        assert abs(plan.cost_s - plan_cost_s(p, warmed(plan, known))) < 1e-6
        assert (plan.effort.orders, plan.effort.couriers) == (20, 8)
        assert plan.effort.insertions > plan.effort.candidates > 20


def test_a_round_that_learns_nothing_new_makes_nothing_worse() -> None:
    for seed in range(10):
        known = city(seed)
        first = insert(known, None, POLICY, STREET)

        second = insert(known, first, POLICY, STREET)

        assert second.cost_s <= first.cost_s + 1e-6


def test_an_order_that_is_always_the_worst_is_taken_in_the_end() -> None:
    """One courier, who could always have a fresh order at his feet before he takes the far one."""
    assert rounds_until_the_far_order_is_taken(ageing_s=300, rounds_max=100) > 10


def test_without_ageing_it_would_starve() -> None:
    assert rounds_until_the_far_order_is_taken(ageing_s=1e9, rounds_max=100) == 100


def rounds_until_the_far_order_is_taken(*, ageing_s: float, rounds_max: int) -> int:
    """How many orders at his feet the courier is given before the far one, at most `rounds_max`."""
    policy = matching(ageing_s=ageing_s, bundle_max=1)
    kept: Plan | None = None
    for number in range(1, rounds_max):
        far = order(0, at=0, to=600, ready_s=-140 * number)
        near = order(number, at=0, to=10)
        kept = insert(street([far, near], [courier(1, at=0)]), kept, policy, STREET)
        if told_by(kept)["c1"][0] == ["o0"]:
            return number
    return rounds_max
