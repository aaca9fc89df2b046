"""The search of a round: never worse, always possible, and the same as its plain twin."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.matching.construction import draft_of, insert, rows_of
from dispatch.matching.improve import bench_of, deal_anew, improve, never, search
from dispatch.matching.insertion import fill, find_soonest, total_s
from dispatch.matching.nearest import plan_cost_s
from dispatch.matching.plan import Rows
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import NOBODY
from dispatch.policy import Matching
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
from tests.dispatch.matching.twin import Twin

SEEDS = st.integers(0, 10**6)


def constructed(seed: int, *, orders: int = 16, couriers: int = 6) -> tuple[Problem, Rows]:
    """A drawn market, and the plan that a search of it begins with."""
    policy = matching(switch_price_s=30, ageing_s=3_600)
    p = problem(city(seed, orders=orders, couriers=couriers), STREET, policy)
    draft = draft_of(p, [[] for _ in p.couriers], Matching())
    fill(p, draft, np.arange(len(p.orders)))
    return p, rows_of(draft)


@given(seed=SEEDS)
def test_a_search_makes_the_plan_cheaper_or_leaves_it_as_cheap(seed: int) -> None:
    p, rows = constructed(seed)
    draft = draft_of(p, rows, Matching())
    before_s = total_s(p, draft)

    search(p, draft, Matching(), seed=seed, iterations=300)

    assert total_s(p, draft) <= before_s + 1e-6


@given(seed=SEEDS)
def test_what_a_search_finds_keeps_every_limit_at_the_cost_it_tells(seed: int) -> None:
    p, rows = constructed(seed)
    draft = draft_of(p, rows, Matching())

    search(p, draft, Matching(), seed=seed, iterations=300)

    found = rows_of(draft)
    orders = [order for trips in found for trip in trips for order in trip]
    assert len(orders) == len(set(orders)) == (draft.courier != NOBODY).sum()
    assert abs(total_s(p, draft) - plan_cost_s(p, found)) < 1e-6
    for one, trips in enumerate(found):
        assert cost_s(p, one, trips) < inf
        assert not any(p.barred[order, one] for trip in trips for order in trip)


@pytest.mark.parametrize("seed", range(6))
def test_the_search_ends_where_its_plain_twin_ends(seed: int) -> None:
    p, rows = constructed(seed, orders=9, couriers=4)
    draft = draft_of(p, rows, Matching())
    twin = Twin(p, rows, Matching(), seed)

    search(p, draft, Matching(), seed=seed, iterations=60)
    twin.search(60)

    assert rows_of(draft) == twin.rows


def test_the_twins_agree_on_something_worth_agreeing_on() -> None:
    changed = 0
    for seed in range(6):
        p, rows = constructed(seed, orders=9, couriers=4)
        draft = draft_of(p, rows, Matching())
        search(p, draft, Matching(), seed=seed, iterations=60)
        changed += rows_of(draft) != rows

    assert changed >= 4


def test_a_kept_plan_is_undone_where_a_better_one_is_found() -> None:
    known = street(
        [order(1, at=0, to=50), order(2, at=1_000, to=1_050)],
        [courier(1, at=0), courier(2, at=1_000)],
    )
    crossed = planned({"c1": [(1_000, [2])], "c2": [(0, [1])]})

    kept_as_it_was = insert(known, crossed, POLICY, STREET)
    searched = improve(known, crossed, POLICY, STREET)

    assert told_by(kept_as_it_was) == {"c1": [["o2"]], "c2": [["o1"]]}
    assert told_by(searched) == {"c1": [["o1"]], "c2": [["o2"]]}
    assert searched.cost_s < kept_as_it_was.cost_s
    assert searched.effort.gains > 0


@pytest.mark.parametrize(("nearer_m", "holder"), [(20, "c1"), (80, "c2")])
def test_an_order_leaves_who_holds_it_only_for_more_than_asking_another_costs(
    nearer_m: float, holder: str
) -> None:
    known = street(
        [order(1, at=0, to=-50, held_by="c1")], [courier(1, at=200), courier(2, at=200 - nearer_m)]
    )

    plan = improve(known, planned({"c1": [(0, [1])]}), POLICY, STREET)

    assert told_by(plan) == {holder: [["o1"]]}


@given(seed=SEEDS)
def test_orders_dealt_anew_cost_no_more_and_keep_every_limit(seed: int) -> None:
    p, rows = constructed(seed)
    draft = draft_of(p, rows, Matching())
    bench = bench_of(p, draft, seed)
    find_soonest(p, draft, bench)
    before_s = total_s(p, draft)

    dealt_s = deal_anew(p, draft, bench, before_s)

    assert dealt_s <= before_s + 1e-6
    assert abs(dealt_s - plan_cost_s(p, rows_of(draft))) < 1e-6


def test_whom_the_nearest_are_too_few_for_keeps_his_order() -> None:
    """Sixty come from afar for an order each; at the door are two dozen, and all want those."""
    far = [courier(one, at=3_000) for one in range(60)]
    near = [courier(60 + one, at=0) for one in range(24)]
    known = street([order(one, at=0, to=500) for one in range(60)], [*far, *near])
    p = problem(known, STREET, matching(candidates_idle_max=64))
    draft = draft_of(p, [*([[one]] for one in range(60)), *([] for _ in near)], Matching())
    bench = bench_of(p, draft, seed=1)
    find_soonest(p, draft, bench)
    before_s = total_s(p, draft)

    dealt_s = deal_anew(p, draft, bench, before_s)

    assert dealt_s < before_s
    assert all(len(trips) <= 1 for trips in rows_of(draft))


def test_a_chain_of_exchanges_is_found_at_once() -> None:
    """Everybody has the order of his neighbour; only all together can they mend it."""
    count = 6
    orders = [order(one, at=500 * one, to=500 * one + 50) for one in range(count)]
    known = street(orders, [courier(one, at=500 * one) for one in range(count)])
    p = problem(known, STREET, POLICY)
    draft = draft_of(p, [[[(one + 1) % count]] for one in range(count)], Matching())
    bench = bench_of(p, draft, seed=1)
    find_soonest(p, draft, bench)

    deal_anew(p, draft, bench, total_s(p, draft))

    assert rows_of(draft) == [[[one]] for one in range(count)]


def test_an_idle_courier_is_found_behind_however_many_busy_ones() -> None:
    """Forty stand at the door with an order each for far away; the idle one is a minute off."""
    kept = {f"c{one}": [(0.0, [one])] for one in range(40)}
    orders = [order(one, at=0, to=2_000) for one in range(40)]
    couriers = [courier(one, at=0) for one in range(40)]
    known = street([*orders, order(99, at=0, to=10)], [*couriers, courier(99, at=50)])
    policy = matching(candidates_now_max=4, candidates_after_max=4, candidates_idle_max=1)

    plan = insert(known, planned(kept), policy, STREET)

    assert told_by(plan)["c99"] == [["o99"]]


def test_couriers_exchange_all_they_have_where_single_orders_would_not_help() -> None:
    """Two couriers whose bundles fill their bags: no order can move unless another does."""
    orders = [order(one, at=0, to=100 + one, ready_s=600) for one in range(3)]
    orders += [order(3 + one, at=2_000, to=1_900 - one, ready_s=600) for one in range(3)]
    known = street(orders, [courier(1, at=0, capacity=3), courier(2, at=2_000, capacity=3)])
    crossed = planned({"c1": [(2_000, [3, 4, 5])], "c2": [(0, [0, 1, 2])]})
    policy = matching(trips_max=1)

    searched = improve(known, crossed, policy, STREET)

    assert told_by(searched) == {"c1": [["o0", "o1", "o2"]], "c2": [["o3", "o4", "o5"]]}


def test_the_same_round_is_searched_to_the_same_plan() -> None:
    plans = [improve(city(7, orders=30, couriers=9), None, POLICY, STREET) for _ in range(2)]

    assert plans[0] == plans[1]


def test_a_longer_search_finds_more() -> None:
    costs_s = [
        sum(
            improve(city(seed, orders=30), None, matching(iterations_per_order=each), STREET).cost_s
            for seed in range(10)
        )
        for each in (0, 2, 40)
    ]

    assert costs_s[0] > costs_s[1] > costs_s[2]


def test_a_search_that_is_out_of_time_hands_over_what_it_has() -> None:
    p, rows = constructed(1, orders=40)
    draft = draft_of(p, rows, Matching())
    looks = iter([False, True])

    done = search(p, draft, Matching(), seed=1, iterations=10**9, is_over=lambda: next(looks))

    assert 0 < done < 10**6
    assert total_s(p, draft) < plan_cost_s(p, rows)


def test_a_round_without_time_has_the_plan_it_began_with() -> None:
    known = city(3, orders=30)

    hurried = improve(known, None, POLICY, STREET, is_over=lambda: True)

    assert told_by(hurried) == told_by(insert(known, None, POLICY, STREET))
    assert hurried.effort.iterations == 0
    assert improve(known, None, POLICY, STREET, is_over=never).effort.iterations > 0


def test_an_empty_market_is_searched_for_nothing() -> None:
    assert improve(street([], [courier(1, at=0)]), None, POLICY, STREET).trips == {}
    assert improve(street([order(1, at=0, to=9)], []), None, POLICY, STREET).unplanned == ("o1",)
