"""One round, from a survey to what is decided: the whole of it, as one pure function.

A `Problem` in a solver's hands is arrays; what goes between processes is this module's `Request`
and `Answer`, plain frozen values. The solver is named, not passed, and the plan it keeps from round
to round travels with the request, so that any process can answer the next one.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from dispatch.ids import CourierId, OrderId
from dispatch.matching.demand import Demand
from dispatch.matching.departures import Decisions, decisions
from dispatch.matching.explain import Circumstances, explained
from dispatch.matching.improve import IsOver, never
from dispatch.matching.kitchens import Kitchens
from dispatch.matching.plan import Plan
from dispatch.matching.reposition import Move, reposition
from dispatch.matching.snapshot import snapshot
from dispatch.matching.solvers import solver
from dispatch.matching.survey import Survey
from dispatch.matching.tiles import in_tiles
from dispatch.policy import DEFAULT_SOLVER, Policy
from dispatch.round import Dispatch, Relocation, Solved, TakeBack
from geo.point import Point
from geo.travel import Open, TravelTimes, Ways, straight


class Request(Struct, frozen=True, kw_only=True):
    """Everything a round is decided by."""

    number: int
    survey: Survey
    kept: Plan | None
    demand: Demand
    kitchens: Kitchens = Kitchens()
    policy: Policy
    travel: Ways
    solver: str = DEFAULT_SOLVER


class Answer(Struct, frozen=True, kw_only=True):
    """What the market is told, and what the next round starts from."""

    solved: Solved
    plan: Plan
    demand: Demand
    kitchens: Kitchens = Kitchens()


def answer(request: Request, opened: Open = straight, is_over: IsOver = never) -> Answer:
    """Make the round's plan and decide what of it must be said now.

    `opened` opens the request's ways; a search ends when `is_over`, whether or not it is done.
    """
    kitchens = request.kitchens.after(request.survey.cooked)
    policy, travel = request.policy, opened(request.travel)
    orders = tuple(map(kitchens.believed, request.survey.orders))
    survey = structs.replace(request.survey, orders=orders)
    request = structs.replace(request, survey=survey)
    demand = request.demand.after(survey.at, survey.asked, memory_s=policy.matching.demand_memory_s)
    known = snapshot(survey.at, survey.restaurants, survey.orders, survey.couriers, demand.counts)
    plan = in_tiles(solver(request.solver, is_over), known, request.kept, policy, travel)
    decided = decisions(known, plan, policy, travel)
    forecast = demand.forecast(known.restaurant_ids, memory_s=policy.matching.demand_memory_s)
    moves = reposition(known, plan, forecast, policy, travel, survey.advised)
    reasons = explained(_circumstances(request, demand, travel), plan, decided)
    solved = structs.replace(
        _solved(request, plan, decided, moves), decided=reasons.decided, unexplained=reasons.left
    )
    return Answer(solved=solved, plan=plan, demand=demand, kitchens=kitchens)


def _circumstances(request: Request, demand: Demand, travel: TravelTimes) -> Circumstances:
    return Circumstances(
        number=request.number,
        survey=request.survey,
        demand=demand.counts,
        policy=request.policy,
        travel=travel,
        solver=request.solver,
        since=request.demand.at,
    )


def _solved(request: Request, plan: Plan, decided: Decisions, moves: Iterable[Move]) -> Solved:
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
        relocations=tuple(_relocation(survey, move) for move in moves),
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


def _relocation(survey: Survey, move: Move) -> Relocation:
    return Relocation(
        courier_id=move.courier_id,
        courier_version=survey.courier_versions[move.courier_id],
        restaurant_id=move.restaurant_id,
        point=Point(*survey.restaurants[move.restaurant_id]),
    )
