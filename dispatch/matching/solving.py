"""One round, from a survey to what is decided: the whole of it, as one pure function.

A `Problem` in a solver's hands is arrays; what goes between processes is this module's `Request`
and `Answer`, plain frozen values. The solver is named, not passed, and the plan it keeps from round
to round travels with the request, so that any process can answer the next one.
"""

from collections.abc import Mapping

from msgspec import Struct

from dispatch.ids import CourierId, OrderId
from dispatch.matching.demand import Demand
from dispatch.matching.departures import Decisions, decisions
from dispatch.matching.plan import Plan
from dispatch.matching.snapshot import snapshot
from dispatch.matching.solvers import solver
from dispatch.matching.survey import Survey
from dispatch.policy import Policy
from dispatch.round import Dispatch, Solved, TakeBack
from geo.travel import StraightLine


class Request(Struct, frozen=True, kw_only=True):
    """Everything a round is decided by."""

    number: int
    survey: Survey
    kept: Plan | None
    demand: Demand
    policy: Policy
    travel: StraightLine
    solver: str = "insert"


class Answer(Struct, frozen=True, kw_only=True):
    """What the market is told, and what the next round starts from."""

    solved: Solved
    plan: Plan
    demand: Demand


def answer(request: Request) -> Answer:
    """Make the round's plan and decide what of it must be said now."""
    survey, policy = request.survey, request.policy
    demand = request.demand.after(survey.at, survey.asked, memory_s=policy.matching.demand_memory_s)
    known = snapshot(survey.at, survey.restaurants, survey.orders, survey.couriers, demand.counts)
    plan = solver(request.solver)(known, request.kept, policy, request.travel)
    decided = decisions(known, plan, policy, request.travel)
    return Answer(solved=_solved(request, plan, decided), plan=plan, demand=demand)


def _solved(request: Request, plan: Plan, decided: Decisions) -> Solved:
    survey = request.survey
    leaving = frozenset(decided.leaving)
    held = {order.id: order.held_by for order in survey.orders}
    dispatches = [
        _dispatch(survey, one.courier_id, one.order_ids, held, leaving)
        for one in (*decided.departures, *decided.joins)
    ]
    return Solved(
        number=request.number,
        take_backs=tuple(
            TakeBack(order_id, survey.order_versions[order_id]) for order_id in decided.leaving
        ),
        dispatches=tuple(one for one in dispatches if one is not None),
        orders=len(survey.orders),
        couriers=len(survey.couriers),
        unplanned=len(plan.unplanned),
        cost_s=plan.cost_s,
    )


def _dispatch(
    survey: Survey,
    courier_id: CourierId,
    order_ids: tuple[OrderId, ...],
    held: Mapping[OrderId, CourierId | None],
    leaving: frozenset[OrderId],
) -> Dispatch | None:
    """Return the decision in the market's words; None when the courier has all of it already."""
    fresh = tuple(one for one in order_ids if held[one] != courier_id)
    if not fresh:
        return None
    return Dispatch(
        courier_id=courier_id,
        courier_version=survey.courier_versions[courier_id],
        tasks=tuple(survey.tasks[one] for one in fresh),
        versions=tuple(survey.order_versions[one] + (one in leaving) for one in fresh),
        sequence=order_ids,
    )
