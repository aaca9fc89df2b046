"""The solver of last resort: plain, quick, and never wrong."""

import pytest

from dispatch.matching.greedy import greedy
from dispatch.matching.plan import Trip
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import Snapshot
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    city,
    courier,
    order,
    planned,
    street,
    told_by,
)


def test_an_order_goes_to_whoever_is_there_first_busy_or_idle() -> None:
    known = street(
        [order(1, at=1_000, to=1_100, ready_s=600)],
        [courier(1, at=0), courier(2, at=900, free_s=300)],
    )

    assert told_by(greedy(known, None, POLICY, STREET)) == {"c2": [["o1"]]}


def test_what_is_new_goes_behind_what_is_kept() -> None:
    known = street([order(1, at=0, to=100), order(2, at=200, to=300)], [courier(1, at=0)])

    plan = greedy(known, planned({"c1": [(0, [1])]}), POLICY, STREET)

    assert told_by(plan) == {"c1": [["o1"], ["o2"]]}


def test_a_courier_is_taken_for_as_late_as_what_he_was_just_given_makes_him() -> None:
    orders = [order(1, at=0, to=2_000), order(2, at=10, to=20)]
    known = street(orders, [courier(1, at=0), courier(2, at=1_000)])

    plan = greedy(known, None, POLICY, STREET)

    assert told_by(plan) == {"c1": [["o1"]], "c2": [["o2"]]}


def test_the_oldest_order_is_given_out_first() -> None:
    orders = [order(1, at=0, to=9, placed_s=-60), order(2, at=0, to=9, placed_s=-600)]
    known = street(orders, [courier(1, at=0, off_s=100)])

    plan = greedy(known, None, POLICY, STREET)

    assert told_by(plan) == {"c1": [["o2"]]}
    assert plan.unplanned == ("o1",)


def test_who_declined_an_order_and_who_has_no_room_for_it_are_passed_over() -> None:
    orders = [order(1, at=0, to=9, barred=["c1"]), order(2, at=0, to=9, size=5)]
    known = street(orders, [courier(1, at=0), courier(2, at=500, capacity=4)])

    assert told_by(greedy(known, None, POLICY, STREET)) == {"c1": [["o2"]], "c2": [["o1"]]}


def test_a_plan_costs_what_the_rules_say() -> None:
    for seed in range(5):
        known = city(seed)

        plan = greedy(known, None, POLICY, STREET)

        p = problem(known, STREET, POLICY)
        unplanned = [known.order_ids.index(one) for one in plan.unplanned]
        left_out_s = float(p.orders["leave_out_s"][unplanned].sum())
        courses_s = sum(
            cost_s(p, known.courier_ids.index(one), _rows(known, trips))
            for one, trips in plan.trips.items()
        )
        assert plan.cost_s == pytest.approx(courses_s + left_out_s)


def _rows(known: Snapshot, trips: tuple[Trip, ...]) -> list[list[int]]:
    return [[known.order_ids.index(one) for one in trip.order_ids] for trip in trips]
