"""The set partitioning over an audit's columns, as programmes for OR-Tools.

Each order is in one chosen column or left out at its price, and each courier has one column at
most. `relaxed` lets columns be chosen in part (GLOP) and tells what orders and couriers are worth
then; `whole` takes or leaves each (HiGHS). Solvers are bounded by counts, so that an audit can be
repeated, and their module takes a third of a second to load, which only an audit should pay.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ortools.math_opt.python import mathopt

from dispatch.matching.columns import Column
from dispatch.matching.plan import Rows
from dispatch.matching.problem import Problem
from dispatch.matching.snapshot import Bools, Floats

NOUGHT = 1e-6
"""A solver's zero may be as much as this."""

_OPTIMAL = mathopt.TerminationReason.OPTIMAL


class ProgrammeFailed(Exception):
    """A solver found no optimum of a programme that has one; the message says what it said."""


class Prices(NamedTuple):
    """What the relaxation costs, and what its orders and couriers are worth."""

    value_s: float
    order_s: Floats
    """(N,) what an order more would cost; no more than leaving it out."""
    courier_s: Floats
    """(C,) at most 0: what would be saved by a second such courier."""
    left_out: Bools
    """(N,) whether the order is left out, in part at least."""


class Chosen(NamedTuple):
    """The columns of a plan, and whether no choice of others is cheaper."""

    rows: Rows
    is_proven: bool


class _Programme:
    """The variables and rows of one programme."""

    def __init__(
        self, p: Problem, columns: Iterable[Column], leave_out_s: Floats, *, is_whole: bool
    ) -> None:
        self.columns = list(columns)
        self.model = mathopt.Model()
        self.orders = [self._row(1.0) for _ in p.orders]
        self.couriers = [self._row(0.0) for _ in p.couriers]
        self.left_out = [self._variable(one, is_whole=is_whole) for one in leave_out_s.tolist()]
        for order, variable in zip(self.orders, self.left_out, strict=True):
            order.set_coefficient(variable, 1.0)
        self.chosen = [self._variable(one.cost_s, is_whole=is_whole) for one in self.columns]
        for one, variable in zip(self.columns, self.chosen, strict=True):
            self.couriers[one.courier].set_coefficient(variable, 1.0)
            for order in one.orders:
                self.orders[order].set_coefficient(variable, 1.0)

    def _row(self, least: float) -> mathopt.LinearConstraint:
        """Add what columns must add up to: between `least` and one."""
        return self.model.add_linear_constraint(  # pyright: ignore[reportUnknownMemberType]
            lb=least, ub=1.0
        )

    def _variable(self, price_s: float, *, is_whole: bool) -> mathopt.Variable:
        variable = self.model.add_variable(lb=0.0, is_integer=is_whole)
        self.model.objective.set_linear_coefficient(variable, price_s)
        return variable


def relaxed(p: Problem, columns: Iterable[Column], leave_out_s: Floats) -> Prices:
    """Return the relaxation's prices, orders being left out at these; raises ProgrammeFailed."""
    programme = _Programme(p, columns, leave_out_s, is_whole=False)
    result = mathopt.solve(programme.model, mathopt.SolverType.GLOP)
    if result.termination.reason != _OPTIMAL:
        raise ProgrammeFailed(f"GLOP stopped with {result.termination}")
    return Prices(
        value_s=result.objective_value(),
        order_s=np.array(result.dual_values(programme.orders)),
        courier_s=np.minimum(np.array(result.dual_values(programme.couriers)), 0.0),
        left_out=np.array(result.variable_values(programme.left_out)) > NOUGHT,
    )


def whole(p: Problem, columns: Iterable[Column], nodes_max: int) -> Chosen:
    """Return the cheapest plan of whole columns, as far as so many branchings lead."""
    programme = _Programme(p, columns, p.orders["leave_out_s"], is_whole=True)
    # The gaps at which a solver stops of itself are far wider than what an audit tells apart.
    limits = mathopt.SolveParameters(
        node_limit=nodes_max, relative_gap_tolerance=0.0, absolute_gap_tolerance=0.0
    )
    result = mathopt.solve(programme.model, mathopt.SolverType.HIGHS, params=limits)
    rows: Rows = [[] for _ in p.couriers]
    if result.has_primal_feasible_solution():
        values = result.variable_values(programme.chosen)
        for one, value in zip(programme.columns, values, strict=True):
            if value > 0.5:  # noqa: PLR2004 (a whole number, but for rounding)
                rows[one.courier] = [list(trip) for trip in one.trips]
    return Chosen(rows, is_proven=result.termination.reason == _OPTIMAL)
