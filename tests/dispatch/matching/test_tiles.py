"""Large markets in tiles: nothing twice, nothing torn, nobody worse off for living at a border."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.construction import insert
from dispatch.matching.greedy import greedy
from dispatch.matching.improve import improve
from dispatch.matching.nearest import plan_cost_s
from dispatch.matching.plan import Plan, warmed
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import NOBODY, FreeCourier, OpenOrder, Snapshot, snapshot
from dispatch.matching.tiles import in_tiles, tiles
from dispatch.policy import Policy
from geo.travel import StraightLine, TravelTimes
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

TRAVEL = StraightLine(speed_mps=5.0, detour=1.3)


class _Asked:
    """A solver that notes which snapshots it was asked about."""

    def __init__(self) -> None:
        self.parts = list[Snapshot]()

    def __call__(
        self, known: Snapshot, kept: Plan | None, policy: Policy, travel: TravelTimes
    ) -> Plan:
        self.parts.append(known)
        return insert(known, kept, policy, travel)


def _town(seed: int, *, orders: int = 200, couriers: int = 260, side_m: float = 8_000) -> Snapshot:
    """A town without anything odd, in which nobody need be left out."""
    rng = random.Random(seed)
    places = {RestaurantId(f"r{one}"): _place(rng, side_m) for one in range(orders // 4)}
    return snapshot(
        Instant(rng.randrange(10**6) * 1_000),
        places,
        [
            OpenOrder(
                id=OrderId(f"o{one}"),
                restaurant_id=(where := rng.choice(list(places))),
                dropoff=_near(rng, places[where]),
                placed_s=-rng.uniform(0, 900),
                ready_s=rng.uniform(-300, 900),
            )
            for one in range(orders)
        ],
        [
            FreeCourier(
                id=CourierId(f"c{one}"),
                place=_place(rng, side_m),
                free_s=max(0.0, rng.uniform(-900, 900)),
                off_s=rng.uniform(7_200, 14_400),
                capacity=6,
            )
            for one in range(couriers)
        ],
        {one: rng.random() for one in places},
    )


def _place(rng: random.Random, side_m: float) -> tuple[float, float]:
    return rng.uniform(0, side_m), rng.uniform(0, side_m)


def _near(rng: random.Random, place: tuple[float, float]) -> tuple[float, float]:
    return place[0] + rng.uniform(-2_000, 2_000), place[1] + rng.uniform(-2_000, 2_000)


def test_a_market_within_the_budget_is_planned_in_one_piece() -> None:
    known, solve = city(1, orders=12), _Asked()

    plan = in_tiles(solve, known, None, matching(tile_orders_max=12), STREET)

    assert solve.parts == [known]
    assert plan == insert(known, None, POLICY, STREET)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 12), sweeps=st.integers(1, 3))
def test_every_order_is_planned_once_and_no_course_breaks_a_limit(
    seed: int, most: int, sweeps: int
) -> None:
    known = city(seed, orders=24, couriers=8, restaurants=6)
    policy = matching(tile_orders_max=most, tile_sweeps=sweeps)

    plan = in_tiles(insert, known, None, policy, STREET)

    in_trips = [one for trips in plan.trips.values() for trip in trips for one in trip.order_ids]
    assert sorted([*in_trips, *plan.unplanned]) == sorted(known.order_ids)
    barred = {(known.order_ids[row], known.courier_ids[who]) for row, who in known.barred}
    assert not barred & {
        (one, who) for who, trips in plan.trips.items() for trip in trips for one in trip.order_ids
    }
    p = problem(known, STREET, policy)
    for who, trips in enumerate(warmed(plan, known)):
        if known.courier_ids[who] in plan.trips:
            assert cost_s(p, who, trips) < np.inf


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 12))
def test_tiles_are_within_the_budget_and_tear_neither_courses_nor_a_restaurants_orders(
    seed: int, most: int
) -> None:
    known = city(seed, orders=24, couriers=8, restaurants=6)
    rows = warmed(insert(known, None, POLICY, STREET), known)

    cut: list[list[int]] = [part.tolist() for part in tiles(known, rows, most, turn=seed)]

    assert sorted(itertools.chain(*cut)) == list(range(24))
    tile_of = {row: number for number, part in enumerate(cut) for row in part}
    together = [[row for trip in trips for row in trip] for trips in rows if trips]
    pool = set(range(24)) - set(itertools.chain(*together))
    together += [[row for row in pool if known.restaurant[row] == one] for one in range(6)]
    for group in together:
        assert len({tile_of[row] for row in group}) <= 1
    lie = {row: _lies_at(known, rows, row) for row in range(24)}
    for part in cut:
        assert len(part) <= most or len({lie[row] for row in part}) == 1


def _lies_at(known: Snapshot, rows: list[list[list[int]]], row: int) -> tuple[float, ...]:
    for trips in rows:
        if any(row in trip for trip in trips):
            row = trips[0][0]
    return tuple(known.restaurant_xy[known.restaurant[row]].tolist())


def test_each_part_keeps_the_rows_in_their_order_and_all_that_is_known_of_them() -> None:
    known, solve = city(3, orders=24, couriers=8, restaurants=6), _Asked()

    in_tiles(solve, known, None, matching(tile_orders_max=8), STREET)

    assert len(solve.parts) > 2
    for part in solve.parts:
        orders = [known.order_ids.index(one) for one in part.order_ids]
        couriers = [known.courier_ids.index(one) for one in part.courier_ids]
        assert orders == sorted(orders)
        assert couriers == sorted(couriers)
        assert (part.ready_s == known.ready_s[orders]).all()
        assert (part.free_xy == known.free_xy[couriers]).all()
        assert (part.bound == known.bound[couriers]).all()
        holders = [int(one) for one in known.held_by[orders]]
        assert [couriers[one] if one != NOBODY else NOBODY for one in part.held_by.tolist()] == [
            one if one in couriers else NOBODY for one in holders
        ]
        assert {(orders[row], couriers[who]) for row, who in part.barred} == {
            (row, who) for row, who in known.barred if row in orders and who in couriers
        }


def test_an_order_at_a_border_is_served_by_the_courier_across_it_and_he_is_taken_once() -> None:
    orders = [order(one, at=1_000 * one, to=1_000 * one + 50) for one in range(1, 5)]
    between = courier(9, at=2_500)
    known = street(orders, [courier(1, at=900), courier(4, at=4_100), between])

    plan = in_tiles(insert, known, None, matching(tile_orders_max=2, tile_sweeps=1), STREET)

    assert sorted(itertools.chain(*itertools.chain(*told_by(plan).values()))) == [
        "o1",
        "o2",
        "o3",
        "o4",
    ]
    assert "c9" in plan.trips
    assert not plan.unplanned


def test_no_order_waits_at_a_border_for_longer_than_the_sweeps_of_a_round() -> None:
    for seed in range(4):
        known = _town(seed)

        plan = in_tiles(insert, known, None, matching(tile_orders_max=40), TRAVEL)

        assert plan.unplanned == ()


def test_a_kept_plan_stays_with_its_couriers_when_nothing_better_is_looked_for() -> None:
    orders = [order(one, at=1_000 * one, to=1_000 * one + 50) for one in range(1, 7)]
    known = street(orders, [courier(one, at=1_000 * one) for one in range(1, 7)])
    kept = planned({f"c{7 - one}": [(1_000 * one, [one])] for one in range(1, 7)})

    plan = in_tiles(insert, known, kept, matching(tile_orders_max=2), STREET)

    assert plan.trips == kept.trips


def test_an_order_stays_with_the_courier_who_holds_it_though_no_plan_is_kept() -> None:
    orders = [
        order(one, at=1_000 * one, to=1_000 * one + 50, held_by=f"c{7 - one}")
        for one in range(1, 7)
    ]
    known = street(orders, [courier(one, at=1_000 * one) for one in range(1, 7)])

    plan = in_tiles(insert, known, None, matching(tile_orders_max=2), STREET)

    assert told_by(plan) == {f"c{7 - one}": [[f"o{one}"]] for one in range(1, 7)}


def test_borders_wander_so_that_no_neighbours_stay_parted_for_long() -> None:
    known = _town(5)
    rows = warmed(None, known)
    places = known.restaurant_xy[known.restaurant]
    gaps_m = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    gaps_m[gaps_m == 0] = np.inf
    neighbour: list[int] = gaps_m.argmin(axis=1).tolist()

    cuts = [list(tiles(known, rows, 50, turn)) for turn in range(12)]

    assert len({len(part) for cut in cuts for part in cut}) > 6
    for one, other in enumerate(neighbour):
        assert any(one in part and other in part for cut in cuts for part in cut)


def test_a_plan_in_tiles_costs_what_the_rules_say_and_tells_of_all_the_work_done_for_it() -> None:
    known = _town(6)
    policy = matching(tile_orders_max=60, iterations_min=0, iterations_per_order=3)

    plan = in_tiles(improve, known, None, policy, TRAVEL)

    whole_s = plan_cost_s(problem(known, TRAVEL, policy), warmed(plan, known))
    assert plan.cost_s == pytest.approx(whole_s)
    assert (plan.effort.orders, plan.effort.couriers) == (200, 260)
    assert plan.effort.iterations == pytest.approx(3 * 200, abs=20)


def test_the_same_round_gives_the_same_tiles_and_another_round_others() -> None:
    known, policy = _town(7), matching(tile_orders_max=40)
    later = replace(known, at=Instant(known.at + 60_000))

    plans = [in_tiles(insert, one, None, policy, TRAVEL) for one in (known, known, later)]

    assert plans[0] == plans[1]
    assert plans[0].trips != plans[2].trips


def test_orders_all_of_one_restaurant_are_one_tile_however_many() -> None:
    known, solve = (
        street([order(one, at=0, to=one) for one in range(9)], [courier(1, at=0)]),
        (_Asked()),
    )

    plan = in_tiles(solve, known, None, matching(tile_orders_max=2, tile_sweeps=1), STREET)

    assert [len(part.order_ids) for part in solve.parts] == [9]
    assert sum(len(trip.order_ids) for trip in plan.trips[CourierId("c1")]) == 9


def test_a_large_market_without_couriers_leaves_everything_out() -> None:
    known = street([order(one, at=one, to=one) for one in range(9)], [])

    plan = in_tiles(insert, known, None, matching(tile_orders_max=2), STREET)

    assert len(plan.unplanned) == 9


def test_the_greedy_plan_of_last_resort_is_made_in_tiles_too() -> None:
    known = _town(8)

    plan = in_tiles(greedy, known, None, matching(tile_orders_max=50, tile_sweeps=1), TRAVEL)

    assert plan.unplanned == ()


def test_over_rounds_that_keep_their_plan_tiles_cost_what_one_piece_does() -> None:
    policy = matching(iterations_per_order=6)
    tiled = matching(iterations_per_order=6, tile_orders_max=60)
    whole_s = tiled_s = 0.0

    for seed in range(2):
        whole: Plan | None = None
        parts: Plan | None = None
        for known in _rolling(seed, rounds=3):
            whole = improve(known, whole, policy, TRAVEL)
            parts = in_tiles(improve, known, parts, tiled, TRAVEL)
            whole_s, tiled_s = whole_s + whole.cost_s, tiled_s + parts.cost_s

    assert tiled_s <= 1.005 * whole_s, (tiled_s, whole_s)


def _rolling(seed: int, *, rounds: int) -> Iterator[Snapshot]:
    """The same town a minute later each time, when the next orders have come."""
    town = _town(seed, orders=200)
    for turn in range(rounds):
        rows = np.arange(140 + 20 * turn)
        yield replace(
            town,
            at=Instant(town.at + 60_000 * turn),
            order_ids=town.order_ids[: len(rows)],
            restaurant=town.restaurant[rows],
            dropoff_xy=town.dropoff_xy[rows],
            placed_s=town.placed_s[rows] - 60 * turn,
            ready_s=town.ready_s[rows],
            spread_s=town.spread_s[rows],
            size=town.size[rows],
            held_by=town.held_by[rows],
        )
