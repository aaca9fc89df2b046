"""What every way of making a plan must keep."""

import os
import subprocess
import sys

import pytest

from dispatch.matching import insertion
from dispatch.matching.plan import warmed
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.solvers import SOLVERS, SolverUnknown, solver, warm_up
from tests.dispatch.matching.markets import POLICY, STREET, city, matching

EACH = pytest.mark.parametrize("name", sorted(SOLVERS))


@EACH
def test_every_order_is_planned_once_or_said_to_be_left_out(name: str) -> None:
    for seed in range(10):
        known = city(seed)

        plan = SOLVERS[name](known, None, POLICY, STREET)

        planned = [one for trips in plan.trips.values() for trip in trips for one in trip.order_ids]
        assert sorted([*planned, *plan.unplanned]) == sorted(known.order_ids)


@EACH
def test_no_course_breaks_a_limit(name: str) -> None:
    courses = 0
    for seed in range(10):
        known = city(seed)

        plan = SOLVERS[name](known, None, POLICY, STREET)

        p = problem(known, STREET, POLICY)
        for courier, trips in enumerate(warmed(plan, known)):
            if known.courier_ids[courier] in plan.trips:
                assert cost_s(p, courier, trips) < float("inf")
                courses += 1
    assert courses > 20


@EACH
def test_a_trip_stays_at_one_restaurant_and_spares_who_declined(name: str) -> None:
    for seed in range(10):
        known = city(seed)

        plan = SOLVERS[name](known, None, POLICY, STREET)

        barred = {(known.order_ids[row], known.courier_ids[who]) for row, who in known.barred}
        rows = {one: row for row, one in enumerate(known.order_ids)}
        for courier_id, trips in plan.trips.items():
            for trip in trips:
                froms = {
                    known.restaurant_ids[int(known.restaurant[rows[one]])] for one in trip.order_ids
                }
                assert froms == {trip.restaurant_id}
                assert not barred & {(one, courier_id) for one in trip.order_ids}


@pytest.mark.slow
@EACH
def test_the_same_knowledge_gives_the_same_plan_in_any_process(name: str) -> None:
    script = (
        "from dispatch.matching.solvers import solver\n"
        "from tests.dispatch.matching.markets import POLICY, STREET, city\n"
        f"for seed in range(5): print(solver({name!r})(city(seed), None, POLICY, STREET))\n"
    )

    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert told[0].count("Plan(") == 5
    assert told[0] == told[1]


def test_an_unknown_solver_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(SolverUnknown, match="assign, insert"):
        solver("best")


def test_whole_numbers_in_a_policy_do_not_have_a_round_compiled_anew() -> None:
    whole = POLICY.evolve(pickup_s=120, matching=matching(work_price=1, switch_price_s=0).matching)
    fractions = POLICY.evolve(
        pickup_s=120.0, matching=matching(work_price=1.0, switch_price_s=0.0).matching
    )

    forms = [
        [type(value) for value in problem(city(1), STREET, policy)] for policy in (whole, fractions)
    ]

    assert forms[0] == forms[1]


def test_warming_up_compiles_what_a_round_runs() -> None:
    warm_up()
    kernels_before = _compiled_forms()

    solver("insert")(city(1), None, POLICY, STREET)

    assert _compiled_forms() == kernels_before > 0


def _compiled_forms() -> int:
    """How many forms of arguments the loops of a round have been compiled for."""
    return sum(len(getattr(one, "signatures", ())) for one in vars(insertion).values())
