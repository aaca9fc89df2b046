"""The rules of time and cost, worked out by hand on a street at a metre a second."""

from math import inf

import numpy as np
import pytest
from msgspec import structs

from dispatch.ids import CourierId
from dispatch.matching.construction import insert
from dispatch.matching.plan import warmed
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s, course, schedule, terms
from dispatch.matching.snapshot import NOBODY, FreeCourier, OpenOrder
from dispatch.policy import Policy
from geo.point import Point
from tests.dispatch.matching.markets import (
    POLICY,
    STREET,
    city,
    courier,
    matching,
    order,
    planned,
    street,
)

FREE = matching(work_price=0.0, end_price=0.0, ageing_s=1e9)


def test_food_changes_hands_halfway_through_the_handover() -> None:
    known = street([order(1, at=100, to=400)], [courier(1, at=0)])

    visit = schedule(known, planned({"c1": [(100, [1])]}), POLICY, STREET)[CourierId("c1")][0]

    assert (visit.leave_s, visit.arrival_s, visit.pickup_s) == (0, 100, 160)
    assert visit.dropoff_s == (160 + 60 + 300 + 60,)


def test_a_courier_waits_for_all_the_food_of_a_trip_and_could_have_left_later() -> None:
    known = street(
        [order(1, at=100, to=400, ready_s=300), order(2, at=100, to=500, ready_s=700)],
        [courier(1, at=0)],
    )

    visit = schedule(known, planned({"c1": [(100, [1, 2])]}), POLICY, STREET)[CourierId("c1")][0]

    assert visit.pickup_s == 700
    assert visit.leave_s_max == 700 - 60 - 100
    assert visit.dropoff_s == (700 + 60 + 300 + 60, 700 + 60 + 300 + 120 + 100 + 60)


def test_the_next_trip_starts_at_the_last_door_when_its_handover_is_over() -> None:
    known = street([order(1, at=0, to=100), order(2, at=300, to=300)], [courier(1, at=0)])

    visits = schedule(known, planned({"c1": [(0, [1]), (300, [2])]}), POLICY, STREET)

    first, second = visits[CourierId("c1")]
    assert second.leave_s == first.dropoff_s[-1] + 60
    assert second.arrival_s == second.leave_s + 200


def test_a_courier_who_waits_at_the_restaurant_needs_not_arrive_again() -> None:
    known = street([order(1, at=100, to=400)], [courier(1, at=100, free_s=-45, is_bound=True)])

    visit = schedule(known, planned({"c1": [(100, [1])]}), POLICY, STREET)[CourierId("c1")][0]

    assert visit.pickup_s == 15


def test_nothing_is_picked_up_in_the_past() -> None:
    known = street(
        [order(1, at=100, to=400, ready_s=-900)], [courier(1, at=100, free_s=-800, is_bound=True)]
    )

    visit = schedule(known, planned({"c1": [(100, [1])]}), POLICY, STREET)[CourierId("c1")][0]

    assert visit.pickup_s == 0


def test_an_order_brought_as_early_as_possible_costs_nothing_but_the_work() -> None:
    known = street([order(1, at=100, to=400, ready_s=160)], [courier(1, at=0)])

    assert cost_s(problem(known, STREET, FREE), 0, [[0]]) == 0
    priced = matching(work_price=0.5, end_price=0.0, ageing_s=1e9)
    assert cost_s(problem(known, STREET, priced), 0, [[0]]) == 0.5 * (100 + 120 + 300 + 120)


def test_a_delay_costs_its_seconds_and_more_the_longer_it_gets() -> None:
    known = street([order(1, at=100, to=400)], [courier(1, at=0)])

    plain = cost_s(problem(known, STREET, FREE), 0, [[0]])
    aged = cost_s(
        problem(known, STREET, matching(work_price=0, end_price=0, ageing_s=100)), 0, [[0]]
    )

    assert plain == pytest.approx(160, abs=1e-3)
    assert aged == 160 + 160**2 / (2 * 100)


def test_work_after_the_shift_is_not_counted() -> None:
    priced = matching(work_price=1.0, end_price=0.0)
    known = street([order(1, at=0, to=1_000, ready_s=60)], [courier(1, at=0, off_s=200)])

    assert cost_s(problem(known, STREET, priced), 0, [[0]]) == pytest.approx(60 + 200 - 60)


def test_a_plan_that_ends_far_from_where_orders_come_from_costs_more() -> None:
    known = street(
        [order(1, at=0, to=300, ready_s=60)],
        [courier(1, at=0)],
        demand={order(1, at=0, to=0).restaurant_id: 1.0},
    )

    assert cost_s(problem(known, STREET, matching(work_price=0, end_price=0.2)), 0, [[0]]) == 60


def test_moving_an_order_from_who_holds_it_has_its_price() -> None:
    known = street([order(1, at=0, to=300, held_by="c2")], [courier(1, at=0), courier(2, at=0)])
    p = problem(known, STREET, matching(switch_price_s=77))

    assert cost_s(p, 0, [[0]]) - cost_s(p, 1, [[0]]) == pytest.approx(77)


@pytest.mark.parametrize(
    ("orders", "who", "policy", "trips"),
    [
        ([order(1, at=0, to=9, ready_s=500)], courier(1, at=0, off_s=499), FREE, [[0]]),
        ([order(1, at=0, to=9, size=3)], courier(1, at=0, capacity=2), FREE, [[0]]),
        ([order(one, at=0, to=9) for one in range(4)], courier(1, at=0), FREE, [[0, 1, 2, 3]]),
        ([order(one, at=0, to=3_000) for one in range(2)], courier(1, at=0), FREE, [[0, 1]]),
        (
            [order(one, at=0, to=9) for one in range(2)],
            courier(1, at=0),
            matching(trips_max=1),
            [[0], [1]],
        ),
    ],
    ids=[
        "after the shift",
        "too heavy",
        "too many together",
        "too long in the bag",
        "too many trips",
    ],
)
def test_a_course_that_breaks_a_limit_costs_infinitely_much(
    orders: list[OpenOrder], who: FreeCourier, policy: Policy, trips: list[list[int]]
) -> None:
    known = street(orders, [who])

    assert cost_s(problem(known, STREET, policy), 0, trips) == inf


def test_a_single_order_may_be_in_the_bag_for_as_long_as_its_way_takes() -> None:
    known = street([order(1, at=0, to=9_000)], [courier(1, at=0)])

    assert cost_s(problem(known, STREET, FREE), 0, [[0]]) < inf


@pytest.mark.parametrize("seed", range(20))
def test_the_terms_of_a_plan_add_up_to_what_it_costs(seed: int) -> None:
    known = city(seed)
    p = problem(known, STREET, matching(switch_price_s=30.0))

    for who, trips in enumerate(warmed(insert(known, None, POLICY, STREET), known)):
        times = tuple(course(p, who, trips))

        assert terms(p, who, times).total_s == cost_s(p, who, trips)


def test_each_term_holds_what_it_is_called() -> None:
    priced = matching(work_price=0.5, end_price=0.2, ageing_s=100, switch_price_s=77)
    who = structs.replace(courier(1, at=0), order_price_s=-30.0)
    known = street(
        [order(1, at=100, to=400, held_by="c2")],
        [who, courier(2, at=0)],
        demand={order(1, at=100, to=0).restaurant_id: 1.0},
    )
    p = problem(known, STREET, priced)

    found = terms(p, 0, tuple(course(p, 0, [[0]])))

    assert (found.delay_s, found.ageing_s) == (160, 160**2 / 200)
    assert found.work_s == 0.5 * (100 + 120 + 300 + 120)
    assert found.end_s == pytest.approx(0.2 * (300 - 100))
    assert (found.switch_s, found.fairness_s) == (77, -30)


@pytest.mark.parametrize("seed", range(20))
def test_no_plan_takes_a_courier_to_be_faster_than_the_ways_are(seed: int) -> None:
    known = city(seed)
    places = dict(zip(known.restaurant_ids, known.restaurant_xy.tolist(), strict=True))
    doors = dict(zip(known.order_ids, known.dropoff_xy.tolist(), strict=True))

    visits = schedule(known, insert(known, None, POLICY, STREET), POLICY, STREET)

    for who, theirs in visits.items():
        row = known.courier_ids.index(who)
        bound = int(known.bound[row])
        here = known.free_xy[row].tolist()
        for place, visit in enumerate(theirs):
            there = places[visit.restaurant_id]
            is_there = place == 0 and bound != NOBODY and here == there
            ride_s = visit.arrival_s - visit.leave_s
            assert is_there or ride_s >= STREET.seconds(Point(*here), Point(*there)) - 1e-6
            left_s, here = visit.pickup_s + POLICY.pickup_s / 2, there
            for order_id, at_s in zip(visit.order_ids, visit.dropoff_s, strict=True):
                way_s = STREET.seconds(Point(*here), Point(*doors[order_id]))
                assert at_s >= left_s + way_s + POLICY.dropoff_s / 2 - 1e-6
                left_s, here = at_s + POLICY.dropoff_s / 2, doors[order_id]


@pytest.mark.parametrize("arrival_s", [0.0, 500.0, 700.0, 1_000.0, 1_300.0, 1_499.0, 3_000.0])
def test_a_pickup_of_uncertain_food_is_the_mean_over_all_times_it_may_be_ready(
    arrival_s: float,
) -> None:
    known = street([order(1, at=0, to=9, ready_s=1_000, spread_s=289)], [courier(1, at=arrival_s)])
    p = problem(known, STREET, FREE)

    (times,) = course(p, 0, [[0]])

    likely_s = np.linspace(1_000 - 289 * 3**0.5, 1_000 + 289 * 3**0.5, 20_001)
    there_s = arrival_s + FREE.pickup_s / 2
    assert times.picked_up_s == pytest.approx(np.maximum(likely_s, there_s).mean(), abs=0.1)


def test_food_that_is_not_ready_yet_was_not_ready_before() -> None:
    known = street([order(1, at=0, to=9, ready_s=100, spread_s=400)], [courier(1, at=0)])

    p = problem(known, STREET, FREE)

    assert p.orders["soonest_s"] == 0
    assert p.orders["latest_s"] == 200


def test_a_courier_has_to_leave_for_the_first_moment_at_which_food_may_be_ready() -> None:
    sure = street([order(1, at=100, to=400, ready_s=700)], [courier(1, at=0)])
    vague = street([order(1, at=100, to=400, ready_s=700, spread_s=100)], [courier(1, at=0)])
    plan = planned({"c1": [(100, [1])]})

    in_time, sooner = (
        schedule(one, plan, FREE, STREET)[CourierId("c1")][0] for one in (sure, vague)
    )

    assert in_time.leave_s_max - sooner.leave_s_max == pytest.approx(100 * 3**0.5)
