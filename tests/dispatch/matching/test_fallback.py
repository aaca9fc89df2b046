"""What a round falls back to: the greedy plan of that round, by way of plain code if need be."""

import subprocess
import sys

import pytest
from msgspec import structs

from dispatch.ids import Instant
from dispatch.matching.demand import Demand
from dispatch.matching.fallback import cut_off, hasty, plain
from dispatch.matching.plan import Plan, Trip
from dispatch.matching.solving import Request, answer
from dispatch.matching.survey import survey
from dispatch.order import Accept
from dispatch.policy import Policy, Repositioning
from geo.point import Point
from geo.travel import StraightLine
from tests.dispatch.builders import COURIER, NOW, ORDER, RESTAURANT, a_courier, an_order

TRAVEL = StraightLine(speed_mps=5.0)


def request(solver: str = "improve", kept: Plan | None = None) -> Request:
    """Return a round of one order that is ready and one courier."""
    policy = Policy(repositioning=Repositioning(drive_price=0.1))
    seen = survey(
        [an_order(Accept(NOW))],
        [a_courier()],
        {RESTAURANT: Point(0.0, 0.0)},
        NOW,
        policy,
        TRAVEL,
        {},
        since=Instant(0),
    )
    return Request(
        number=4,
        survey=seen,
        kept=kept,
        demand=Demand(),
        policy=policy,
        travel=TRAVEL,
        solver=solver,
    )


def test_only_a_solver_that_searches_has_a_hasty_answer() -> None:
    sooner = hasty(request("improve"))

    assert sooner is not None
    assert sooner.solver == "insert"
    assert [hasty(request(name)) for name in ("insert", "nearest", "assign")] == [None] * 3


def test_the_hasty_the_plain_and_the_solvers_own_answer_all_send_the_only_courier() -> None:
    asked = request()
    sooner = hasty(asked)
    assert sooner is not None

    answers = [answer(one) for one in (asked, sooner, plain(asked))]

    for answered in answers:
        assert answered.solved.number == 4
        assert [one.courier_id for one in answered.solved.dispatches] == [COURIER]
        assert answered.plan.trips == {COURIER: (Trip(RESTAURANT, (ORDER,)),)}


def test_a_plain_answer_keeps_the_plan_and_learns_the_demand() -> None:
    kept = Plan(trips={COURIER: (Trip(RESTAURANT, (ORDER,)),)})

    answered = answer(plain(request(kept=kept)))

    assert answered.plan.trips == kept.trips
    assert answered.demand == answer(request()).demand


def test_what_was_cut_off_says_why_and_is_else_the_same() -> None:
    answered = answer(request())

    cut = cut_off(answered, "it was late")

    assert cut.solved.cut == "it was late"
    assert cut.plan == answered.plan
    assert structs.replace(cut.solved, cut="") == answered.solved


@pytest.mark.slow
def test_a_plain_answer_runs_none_of_the_code_that_a_solver_may_have_died_of() -> None:
    script = (
        "import sys\n"
        "from dispatch.matching.fallback import plain\n"
        "from dispatch.matching.solving import answer\n"
        "from tests.dispatch.matching.test_fallback import request\n"
        "answer(plain(request()))\n"
        "print(sorted({one.__name__ for name, module in sys.modules.items()\n"
        "    if name.startswith('dispatch.') for one in vars(module).values()\n"
        "    if getattr(one, 'signatures', None)}))\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout

    assert told.strip() == "['_smallest']"
