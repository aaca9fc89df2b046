"""The benchmark of rounds does its work and checks it; its speed is read, not tested, here."""

import numpy as np
import pytest

from benchmarks.rounds import Length, budgets, searched
from benchmarks.rounds_drawn import POLICY, TRAVEL, Size, drawn, followed
from benchmarks.rounds_rivals import asked, read, table, worth_s
from dispatch.matching.construction import draft_of
from dispatch.matching.insertion import fill, total_s
from dispatch.matching.plan import Rows
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s, course
from dispatch.matching.snapshot import NOBODY

SMALL = Size(12, 10)
BRIEF = Length(reference_s=0.05, before_s=0.02, repeats=1)


def posed(seed: int = 1) -> Problem:
    return problem(drawn(SMALL, seed), TRAVEL, POLICY)


def test_a_seed_draws_the_same_round_again_and_another_another() -> None:
    first, again, other = (drawn(SMALL, seed) for seed in (1, 1, 2))

    assert (len(first.order_ids), len(first.courier_ids)) == (12, 10)
    assert np.array_equal(first.dropoff_xy, again.dropoff_xy)
    assert np.array_equal(first.free_s, again.free_s)
    assert not np.array_equal(first.dropoff_xy, other.dropoff_xy)


def test_the_round_after_that_has_new_orders_in_the_place_of_those_that_were_due() -> None:
    before, after = drawn(SMALL, 1), followed(SMALL, 1)
    gone = set(before.order_ids) - set(after.order_ids)

    assert len(after.order_ids) == len(before.order_ids)
    assert gone == {before.order_ids[int(before.ready_s.argmin())]}
    assert after.ready_s[0] == before.ready_s[0] - POLICY.round_s


def test_the_way_to_a_place_is_what_the_rules_take_to_get_there() -> None:
    p = posed()
    shown = table(p)

    for courier in range(shown.couriers):
        for order in range(shown.orders):
            (times,) = course(p, courier, [[order]])
            there_s = max(
                shown.opens_s[courier] + shown.way_s[courier, shown.couriers + order],
                shown.opens_s[shown.couriers + order],
            )
            is_waiting = p.couriers["free_s"][courier] < 0
            assert is_waiting or abs(there_s - times.dropped_off_s[0]) <= 2


def test_a_sequence_is_read_as_whatever_is_cheaper() -> None:
    p = posed()
    orders = p.orders["restaurant"]
    twins = next(
        [one, other]
        for one in range(len(orders))
        for other in range(len(orders))
        if one != other and orders[one] == orders[other]
    )

    rows = read(p, [twins, *([] for _ in range(len(p.couriers) - 1))])

    ways = ([twins], [[twins[0]], [twins[1]]])
    assert rows[0] in ways
    assert cost_s(p, 0, rows[0]) == min(cost_s(p, 0, way) for way in ways)


def test_what_somebody_left_out_is_inserted_before_he_is_judged() -> None:
    p = posed()
    nothing: Rows = [[] for _ in p.couriers]

    worth = worth_s(p, nothing)

    assert worth < p.orders["leave_out_s"].sum() / 2


def test_a_search_is_checked_and_never_ends_dearer_than_it_began() -> None:
    p = posed()
    draft = draft_of(p, [[] for _ in p.couriers], POLICY.matching)
    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))
    before_s = total_s(p, draft)

    run = searched(p, draft, 0.02, 1)

    assert run.iterations > 0
    assert run.cost_s <= before_s + 1e-6
    assert total_s(p, draft) == before_s


@pytest.mark.slow
def test_budgets_are_measured_from_a_cold_and_from_a_warm_start() -> None:
    figures = budgets(SMALL, BRIEF)

    gaps = figures.gap_percent
    assert set(gaps) == {"cold", "warm"}
    assert all(set(by_ms) == {20, 50, 100, 200, 400, 1_000} for by_ms in gaps.values())
    assert figures.reference_cost_s > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ortools_routing", "pyvrp", "vroom"])
def test_every_rival_plans_most_of_a_small_round_in_its_own_process(name: str) -> None:
    answered = asked(name, SMALL, 1, 0.3)

    assert answered.cost_s is not None
    assert answered.orders >= 6
    assert answered.took_s
