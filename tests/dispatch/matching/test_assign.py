"""One bundle per courier at the least cost."""

from dataclasses import replace
from itertools import permutations
from math import inf

import numpy as np

from dispatch.matching.assign import UNITS_PER_S, assign, bundle_costs
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import NOBODY
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    city,
    courier,
    matching,
    order,
    street,
    told_by,
)

NO_BUNDLES = matching(bundle_max=1)


def test_the_costs_of_a_bundle_are_those_of_the_rules() -> None:
    compared = 0
    for seed in range(20):
        p = problem(city(seed), STREET, POLICY)
        couriers = list(range(len(p.couriers)))
        for restaurant in range(p.between_restaurants.shape[0]):
            bundle = np.flatnonzero(p.orders["restaurant"] == restaurant).tolist()[:2]
            for who, price_s in enumerate(bundle_costs(p, bundle, couriers)):
                is_barred = p.barred[bundle, who].any()
                expected_s = inf if is_barred else cost_s(p, who, [bundle])
                bag_is_full = expected_s == inf and price_s < inf and len(bundle) > 1
                assert bag_is_full or price_s == expected_s or abs(price_s - expected_s) < 1e-9
                compared += expected_s < inf

    assert compared > 100


def test_no_other_assignment_of_single_orders_costs_less() -> None:
    for seed in range(5):
        known = replace(city(seed, orders=4, couriers=5), held_by=np.full(4, NOBODY))
        p = problem(known, STREET, POLICY)
        left_out_s = np.tile(p.orders["leave_out_s"], (4, 1)).T
        prices_s = np.array([bundle_costs(p, [row], list(range(5))) for row in range(4)])
        choices_s = np.hstack((prices_s, left_out_s))

        plan = assign(known, None, POLICY, STREET)

        best_s = min(choices_s[range(4), chosen].sum() for chosen in permutations(range(9), 4))
        assert abs(plan.cost_s - best_s) <= 5 / UNITS_PER_S


def test_a_courier_keeps_what_he_holds_and_gets_nothing_else() -> None:
    known = street(
        [order(1, at=0, to=9, held_by="c1"), order(2, at=0, to=9)],
        [courier(1, at=900), courier(2, at=1_000)],
    )

    assert told_by(assign(known, None, POLICY, STREET)) == {"c1": [["o1"]], "c2": [["o2"]]}


def test_a_courier_who_is_still_busy_is_assigned_from_when_he_is_free() -> None:
    known = street(
        [order(1, at=1_000, to=1_100, ready_s=600)],
        [courier(1, at=0), courier(2, at=900, free_s=300)],
    )

    assert told_by(assign(known, None, POLICY, STREET)) == {"c2": [["o1"]]}


def test_orders_are_bundled_only_when_couriers_are_short() -> None:
    orders = [order(1, at=0, to=90), order(2, at=0, to=50)]

    few = assign(street(orders, [courier(1, at=0)]), None, POLICY, STREET)
    enough = assign(street(orders, [courier(1, at=0), courier(2, at=0)]), None, POLICY, STREET)

    assert told_by(few) == {"c1": [["o2", "o1"]]}
    assert sorted(map(len, told_by(enough).values())) == [1, 1]


def test_what_would_be_too_much_together_goes_one_by_one() -> None:
    too_heavy = [order(one, at=0, to=9, size=4) for one in range(2)]
    too_long = [order(0, at=0, to=2_000), order(1, at=0, to=4_000)]

    for orders in (too_heavy, too_long):
        plan = assign(street(orders, [courier(1, at=0)]), None, POLICY, STREET)

        assert [len(trip) for trip in told_by(plan)["c1"]] == [1]


def test_an_order_that_is_always_the_worst_is_taken_in_the_end() -> None:
    """One courier, and each round a fresh order at his feet that he would sooner take."""
    far_since_s, rounds = 0, 0
    taken: list[str] = []
    while "o0" not in taken and rounds < 300:
        rounds += 1
        age_s = rounds * 300 - far_since_s
        orders = [
            order(0, at=0, to=2_000, ready_s=-age_s, placed_s=-age_s),
            order(rounds, at=0, to=10),
        ]
        plan = assign(street(orders, [courier(1, at=0)]), None, NO_BUNDLES, STREET)
        taken += told_by(plan)["c1"][0]

    assert "o0" in taken
    assert 1 < rounds < 100
