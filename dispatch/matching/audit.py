"""How far a round's plan is from the best one: a bound that holds, beside what the plan costs.

The best plan gives each courier one sequence of trips, so that every order is in one of them or is
left out at its price: a set partitioning whose columns are all sequences that `schedule.cost_s`
allows. Its relaxation is solved over the columns found so far, the prices that orders have in that
solution are put to `pricing`, and what is found below them joins the columns, until nothing is.
Prices give a bound at any time, not only in the end: every plan costs at least what its orders are
priced at, and what each courier is worth at those prices, taken at the least (Lagrange). So
`bound_s` is below every plan that keeps the limits of trips and bundles, however early the search
was broken off. It is no bound on plans with other limits, nor on what becomes known later.

Once that is tight, all columns that could be in a better plan than the best at hand are listed, and
the programme over them in whole numbers is the optimum, proven. All limits are counts, so an audit
can be repeated. It takes tenths of a second for some thirty orders and minutes for hundreds, and
belongs into a process of its own. It presumes that a detour is never a short cut.
"""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct

from dispatch.matching.columns import Column, Columns, Finder
from dispatch.matching.nearest import plan_cost_s, possible
from dispatch.matching.partition import Prices, relaxed, whole
from dispatch.matching.plan import Plan, Rows, warmed
from dispatch.matching.pool import pool_of
from dispatch.matching.pricing import Terms
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import Floats, Snapshot
from dispatch.policy import Policy
from geo.travel import TravelTimes

EXACT_S = 1e-3
"""A gap so small is none: it is what sums of many floats may be off by."""

CAP_S_MIN = 600.0
"""No order is cheaper to leave out than this, not even at first."""


class AuditRefused(Exception):
    """A plan at these prices cannot be audited; the message says why."""


class Thoroughness(Struct, frozen=True, kw_only=True):
    """How far an audit goes before it is content with a looser bound."""

    trips_max: int = 200_000
    """Trips in the pool; more cannot be audited at all."""
    labels_max: Annotated[int, Meta(ge=1)] = 50_000
    """Beginnings of plans that are looked at for one courier."""
    glance_labels_max: Annotated[int, Meta(ge=1)] = 500
    """As many as long as that finds anything."""
    turns_max: int = 200
    """Times that the relaxation is solved."""
    finds_max: int = 10
    """Columns of one courier that join in one turn."""
    lists_max: int = 20_000
    """Columns of one courier that are listed for the proof."""
    nodes_max: int = 10_000
    """Branchings on the way to a plan of whole columns."""


class Audit(Struct, frozen=True, kw_only=True):
    """What a plan costs, what none costs less than, and the best plan that was come upon."""

    orders: int
    couriers: int
    cost_s: float
    bound_s: float
    gap: float
    """What the plan costs above the bound, as a share of the bound."""
    best_s: float
    best: Rows
    columns: int
    turns: int
    is_tight: bool
    """Whether the bound is at least the relaxation's own, nothing having been broken off."""
    is_exact: bool
    """Whether the best plan is proven to be that, so that the bound is what it costs."""


def audit(
    known: Snapshot,
    plan: Plan,
    policy: Policy,
    travel: TravelTimes,
    thoroughness: Thoroughness | None = None,
) -> Audit:
    """Return how far `plan` is from the best; raises AuditRefused, PoolTooLarge."""
    p = problem(known, travel, policy)
    return audited(p, possible(p, warmed(plan, known)), thoroughness or Thoroughness())


def audited(p: Problem, rows: Rows, thoroughness: Thoroughness) -> Audit:
    """Return how far the plan that `rows` mean is from the best; raises as `audit` does."""
    if p.work_price > 1:
        raise AuditRefused("a second of work is dearer than one of waiting, so being late can pay")
    search = _Search(p, rows, thoroughness)
    if len(p.orders):
        search.relax()
        search.choose()
    if search.is_tight and not search.is_exact:
        search.prove()
    return search.audit()


class _Search:
    """An audit under way."""

    def __init__(self, p: Problem, rows: Rows, thoroughness: Thoroughness) -> None:
        self._p = p
        self._most = thoroughness
        self._finder = Finder(p, pool_of(p, thoroughness.trips_max), thoroughness.labels_max)
        self._columns = _first_columns(p, rows)
        self._given_s = self._best_s = plan_cost_s(p, rows)
        self._best = rows
        self._bound_s = -np.inf if len(p.orders) else 0.0
        self._order_s = np.zeros(len(p.orders))
        self._least_s = np.zeros(len(p.couriers))
        self._turns = 0
        self.is_tight = False

    @property
    def is_exact(self) -> bool:
        """Whether nothing can be cheaper than the best plan so far."""
        return self._best_s - self._bound_s < EXACT_S

    def relax(self) -> None:
        """Find columns until the relaxation needs no more, or as long as it may take.

        To leave an order out is dear, and prices as high as that would make everything look worth
        while. So it is cheap at first, and as dear as it is for those that are left out then. As
        long as a quick look finds columns there is no need for a thorough one.
        """
        glance = min(self._most.glance_labels_max, self._most.labels_max)
        caps_s, labels = self._caps_s(), glance
        while self._turns < self._most.turns_max and not self.is_tight:
            self._turns += 1
            prices = relaxed(self._p, self._columns, caps_s)
            gained = self._look(prices, labels)
            is_real = caps_s >= self._p.orders["leave_out_s"]
            is_whole = bool(is_real[prices.left_out].all())
            self.is_tight = is_whole and prices.value_s - self._bound_s < EXACT_S
            if gained:
                labels = glance
            elif not is_whole:
                dearer_s = np.where(prices.left_out, 2 * caps_s, caps_s)
                caps_s = np.minimum(dearer_s, self._p.orders["leave_out_s"])
            elif labels < self._most.labels_max:
                labels = self._most.labels_max
            else:
                break

    def _caps_s(self) -> Floats:
        """Return what leaving an order out costs at first: more than serving it by itself."""
        caps_s = self._p.orders["leave_out_s"].copy()
        for column in self._columns:
            for order in column.orders:
                caps_s[order] = min(caps_s[order], 2 * max(0.0, column.cost_s) + CAP_S_MIN)
        return caps_s

    def _look(self, prices: Prices, labels: int) -> int:
        """Add what is worth more than it is priced at, and note the bound these prices give."""
        least_s, gained = np.zeros(len(self._p.couriers)), 0
        slack_s = EXACT_S / (2 * max(1, len(least_s)))
        for courier in range(len(least_s)):
            keep_s = float(prices.courier_s[courier]) - slack_s
            terms = Terms(courier, prices.order_s, keep_s, keeps_twins=False, labels_max=labels)
            found = self._finder.find(terms, self._most.finds_max)
            least_s[courier] = min(0.0, found.least_s)
            gained += sum(map(self._columns.add, found.columns))
        bound_s = lagrangian_s(self._p, prices.order_s, least_s)
        if bound_s > self._bound_s:
            self._bound_s, self._order_s, self._least_s = bound_s, prices.order_s, least_s
        return gained

    def choose(self) -> bool:
        """Make the best plan of the columns there are; say whether it is proven to be."""
        chosen = whole(self._p, self._columns, self._most.nodes_max)
        price_s = plan_cost_s(self._p, chosen.rows)
        if price_s < self._best_s:
            self._best, self._best_s = chosen.rows, price_s
        return chosen.is_proven

    def prove(self) -> None:
        """List all columns that a better plan could have, and choose among them.

        A plan with a column costs at least the bound and what that column is worth less than the
        least of its courier.
        """
        within_s = self._best_s - self._bound_s + EXACT_S
        for courier, least_s in enumerate(self._least_s.tolist()):
            keep_s, labels = least_s + within_s, self._most.labels_max
            terms = Terms(courier, self._order_s, keep_s, keeps_twins=True, labels_max=labels)
            found = self._finder.find(terms, self._most.lists_max)
            if not found.is_all:
                return
            for column in found.columns:
                self._columns.add(column)
        if self.choose():
            self._bound_s = max(self._bound_s, self._best_s)

    def audit(self) -> Audit:
        """Return how it stands."""
        bound_s = self._best_s if self.is_exact else self._bound_s
        return Audit(
            orders=len(self._p.orders),
            couriers=len(self._p.couriers),
            cost_s=self._given_s,
            bound_s=bound_s,
            gap=(self._given_s - bound_s) / max(1.0, abs(bound_s)),
            best_s=self._best_s,
            best=self._best,
            columns=len(self._columns),
            turns=self._turns,
            is_tight=self.is_tight,
            is_exact=self.is_exact,
        )


def lagrangian_s(p: Problem, order_s: Floats, least_s: Floats) -> float:
    """Return what every plan costs at least, by prices of orders and the least worth of couriers.

    `least_s` is the least that a courier's plan costs beyond its orders' prices, at most 0, which
    is to have none.
    """
    left_out_s = np.minimum(0.0, p.orders["leave_out_s"] - order_s)
    return float(order_s.sum() + left_out_s.sum() + least_s.sum())


def _first_columns(p: Problem, rows: Rows) -> Columns:
    """Return the given plan's columns, and each order alone with each courier: a first price."""
    columns = Columns()
    for courier, trips in enumerate(rows):
        if trips:
            columns.add(Column(courier, tuple(map(tuple, trips)), cost_s(p, courier, trips)))
    for courier in range(len(p.couriers)):
        for order in range(len(p.orders)):
            price_s = cost_s(p, courier, [[order]])
            if price_s < np.inf and not p.barred[order, courier]:
                columns.add(Column(courier, ((order,),), price_s))
    return columns
