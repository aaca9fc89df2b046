"""What is left of a plan when the next round begins."""

import msgspec

from dispatch.matching.plan import Effort, Plan, told, warmed
from tests.dispatch.matching.markets import courier, order, planned, street, told_by


def test_orders_that_are_gone_drop_out_and_empty_trips_with_them() -> None:
    kept = planned({"c1": [(0, [1, 2]), (5, [3])]})
    known = street([order(2, at=0, to=9)], [courier(1, at=0)])

    assert warmed(kept, known) == [[[0]]]


def test_the_trips_of_a_courier_who_is_gone_are_dropped() -> None:
    kept = planned({"c1": [(0, [1])], "c2": [(0, [2])]})
    known = street([order(1, at=0, to=9), order(2, at=0, to=9)], [courier(2, at=0)])

    assert warmed(kept, known) == [[[1]]]


def test_a_courier_loses_the_order_that_he_declined() -> None:
    kept = planned({"c1": [(0, [1, 2])]})
    known = street([order(1, at=0, to=9, barred=["c1"]), order(2, at=0, to=9)], [courier(1, at=0)])

    assert warmed(kept, known) == [[[1]]]


def test_without_a_kept_plan_everybody_keeps_what_he_holds() -> None:
    orders = [
        order(1, at=0, to=9, held_by="c1"),
        order(2, at=5, to=9),
        order(3, at=0, to=8, held_by="c1"),
        order(4, at=5, to=8, held_by="c1"),
    ]

    assert warmed(None, street(orders, [courier(1, at=0)])) == [[[0, 2], [3]]]


def test_a_held_order_that_the_kept_plan_left_out_stays_out() -> None:
    known = street([order(1, at=0, to=9, held_by="c1")], [courier(1, at=0)])

    assert warmed(Plan(unplanned=known.order_ids), known) == [[]]


def test_a_kept_plan_may_give_a_held_order_to_another() -> None:
    kept = planned({"c2": [(0, [1])]})
    known = street([order(1, at=0, to=9, held_by="c1")], [courier(1, at=0), courier(2, at=0)])

    assert warmed(kept, known) == [[], [[0]]]


def test_what_is_in_no_route_is_told_as_unplanned() -> None:
    known = street([order(1, at=0, to=9), order(2, at=5, to=9)], [courier(1, at=0)])

    plan = told(known, [[[1]]], 7.0, Effort(orders=2))

    assert told_by(plan) == {"c1": [["o2"]]}
    assert plan.unplanned == ("o1",)
    assert (plan.cost_s, plan.effort.orders) == (7.0, 2)


def test_a_plan_survives_the_wire() -> None:
    plan = planned({"c1": [(0, [1, 2]), (5, [3])]})

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=Plan) == plan
