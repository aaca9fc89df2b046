"""Travel times, prices and limits, ready for a solver."""

from dataclasses import replace
from math import inf

import numpy as np

from dispatch.ids import RestaurantId
from dispatch.matching.problem import problem
from dispatch.matching.snapshot import NOBODY
from tests.dispatch.matching.markets import POLICY, STREET, city, courier, matching, order, street


def test_only_restaurants_with_open_orders_have_a_column() -> None:
    known = street(
        [order(1, at=500, to=0)],
        [courier(1, at=900, is_bound=True), courier(2, at=500, is_bound=True)],
        demand={RestaurantId("r100"): 1.0},
    )

    p = problem(known, STREET, POLICY)

    assert p.between_restaurants.shape == (1, 1)
    assert p.couriers["bound"].tolist() == [NOBODY, 0]


def test_the_price_of_leaving_an_order_out_grows_faster_than_its_delay() -> None:
    ages_s = [0, 3_600, 7_200]
    known = street([order(age, at=0, to=0, ready_s=-age - 60) for age in ages_s], [])

    prices_s = problem(known, STREET, POLICY).orders["leave_out_s"]

    first, second = np.diff(prices_s)
    assert second > first > 3_600


def test_a_courier_who_would_arrive_too_late_does_not_reach_a_restaurant() -> None:
    known = street(
        [order(1, at=300, to=0)],
        [courier(1, at=0, off_s=359), courier(2, at=0, off_s=360), courier(3, at=0, free_s=50)],
    )

    p = problem(known, STREET, POLICY)

    assert p.reach_s.tolist() == [[inf, 300.0, 350.0]]
    assert p.near.tolist() == [[1, 2, 0]]


def test_the_near_couriers_are_the_first_to_arrive_and_ties_go_by_row() -> None:
    for seed in range(10):
        known = city(seed, couriers=30)
        known = replace(known, free_xy=known.free_xy.round(-3))

        p = problem(known, STREET, matching(candidates_now_max=7))

        assert p.near.tolist() == np.argsort(p.reach_s, axis=1, kind="stable")[:, :7].tolist()


def test_no_more_couriers_are_near_than_the_policy_looks_at() -> None:
    known = street([order(1, at=0, to=0)], [courier(one, at=one) for one in range(9)])

    p = problem(known, STREET, matching(candidates_now_max=2))

    assert p.near.tolist() == [[0, 1]]


def test_the_way_onward_weighs_restaurants_by_their_orders_and_their_nearness() -> None:
    near, far = RestaurantId("r100"), RestaurantId("r1000")
    known = street([], [courier(1, at=0)], demand={near: 1.0, far: 3.0})

    onward_s = problem(known, STREET, matching(nearness_s=600)).couriers["onward_s"][0]

    pull = 3.0 * np.exp(-900 / 600)
    assert abs(onward_s - (100 + pull * 1_000) / (1 + pull)) < 1e-9


def test_a_market_without_orders_or_without_couriers_can_be_made_ready() -> None:
    assert len(problem(street([], [courier(1, at=0)]), STREET, POLICY).orders) == 0
    assert problem(street([order(1, at=0, to=0)], []), STREET, POLICY).reach_s.shape == (1, 0)
