"""The ways of making a plan, by the name an operator chooses them with."""

from collections.abc import Callable, Mapping
from functools import partial

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching import explain, reposition
from dispatch.matching.assign import assign
from dispatch.matching.construction import insert
from dispatch.matching.greedy import greedy
from dispatch.matching.improve import IsOver, improve, never
from dispatch.matching.nearest import nearest
from dispatch.matching.plan import Plan
from dispatch.matching.snapshot import FreeCourier, OpenOrder, Snapshot, snapshot
from dispatch.policy import Policy
from geo.travel import StraightLine, TravelTimes

type Solver = Callable[[Snapshot, Plan | None, Policy, TravelTimes], Plan]
"""From what is known and the plan of the last round to a plan; the same for the same input."""

SOLVERS: Mapping[str, Solver] = {
    "nearest": nearest,
    "assign": assign,
    "insert": insert,
    "improve": improve,
    "greedy": greedy,
}


class SolverUnknown(Exception):
    """No solver has this name."""


def solver(name: str, is_over: IsOver = never) -> Solver:
    """Return the solver of that name; an unknown name raises SolverUnknown.

    The one that searches stops when `is_over`; the others take the time they take.
    """
    found = SOLVERS.get(name)
    if found is None:
        raise SolverUnknown(f"no solver is called {name!r}; choose one of {', '.join(SOLVERS)}")
    return partial(improve, is_over=is_over) if found is improve else found


def warm_up() -> None:
    """Run every solver once, so that all they need is loaded and compiled before a round waits."""
    at = Instant(0)
    order = OpenOrder(
        id=OrderId("o"), restaurant_id=RestaurantId("r"), dropoff=(0, 0), placed_s=0, ready_s=0
    )
    courier = FreeCourier(id=CourierId("c"), place=(0, 0), free_s=0, off_s=3_600, capacity=1)
    known = snapshot(at, {RestaurantId("r"): (0, 0)}, [order], [courier])
    for solve in SOLVERS.values():
        solve(known, None, Policy(), StraightLine(speed_mps=1.0))
    explain.warm_up()
    reposition.warm_up()
