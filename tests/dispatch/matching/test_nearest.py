"""The simplest solver: the oldest order to the nearest idle courier, and nothing else."""

from dispatch.matching.nearest import nearest
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    courier,
    order,
    planned,
    street,
    told_by,
)


def test_the_oldest_order_gets_the_nearest_courier_even_if_a_younger_one_needs_him_more() -> None:
    known = street(
        [order(1, at=100, to=0, placed_s=-10), order(2, at=0, to=0, placed_s=-60)],
        [courier(1, at=90), courier(2, at=5_000)],
    )

    assert told_by(nearest(known, None, POLICY, STREET)) == {"c1": [["o2"]], "c2": [["o1"]]}


def test_couriers_who_are_busy_or_have_an_order_get_none() -> None:
    known = street(
        [order(1, at=0, to=9, held_by="c1"), order(2, at=0, to=9)],
        [courier(1, at=0), courier(2, at=0, free_s=60)],
    )

    plan = nearest(known, None, POLICY, STREET)

    assert told_by(plan) == {"c1": [["o1"]]}
    assert plan.unplanned == ("o2",)


def test_what_was_decided_stays_decided() -> None:
    known = street([order(1, at=0, to=9)], [courier(1, at=900), courier(2, at=0)])

    plan = nearest(known, planned({"c1": [(0, [1])]}), POLICY, STREET)

    assert told_by(plan) == {"c1": [["o1"]]}


def test_an_order_passes_over_those_who_declined_it_or_cannot_carry_it() -> None:
    known = street(
        [order(1, at=0, to=9, size=3, barred=["c1"])],
        [courier(1, at=0), courier(2, at=10, capacity=2), courier(3, at=20)],
    )

    assert told_by(nearest(known, None, POLICY, STREET)) == {"c3": [["o1"]]}


def test_a_decided_trip_that_has_become_impossible_goes_to_another() -> None:
    known = street(
        [order(1, at=0, to=9, ready_s=700)], [courier(1, at=0, off_s=600), courier(2, at=500)]
    )

    plan = nearest(known, planned({"c1": [(0, [1])]}), POLICY, STREET)

    assert told_by(plan) == {"c2": [["o1"]]}
