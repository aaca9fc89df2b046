"""Why this courier, and why now: what a round has to say for each of its decisions.

A plan is explained after it has been made, by the rules it was made by: every order it decides
about is taken out of the plan once more and priced with each courier who could have it, in the best
place of his present trips. What the chosen courier adds to the plan and what the next best would
add stand side by side, term by term (`schedule.terms`). An order that is kept waiting is explained
too, once in a while.

The work is bounded: so many decisions of a round, the rest of them counted; for each restaurant so
many couriers, the first to be there. So it looks at a small part of the market, whatever its size.
Nothing here changes what is decided.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dispatch.decision import OTHERS_MAX, Option, OrderDecided, Reason, Terms, Verdict
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, elapsed_s
from dispatch.matching.construction import draft_of, rows_of
from dispatch.matching.departures import Decisions, Departure
from dispatch.matching.draft import CHOICE, Draft
from dispatch.matching.insertion import ALONE, FIRST, best_slot, rivals
from dispatch.matching.plan import Plan, Trip, warmed
from dispatch.matching.problem import Problem, Records, problem
from dispatch.matching.schedule import course, terms
from dispatch.matching.snapshot import NOBODY, FreeCourier, OpenOrder, Snapshot, snapshot
from dispatch.matching.survey import Survey
from dispatch.policy import Policy, version
from geo.travel import StraightLine, TravelTimes

type Trips = Sequence[Sequence[int]]

_SOONER_S = 1.0
"""Who would be there by less than this is not sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a round knew, and by what it was planned."""

    number: int
    survey: Survey
    demand: Mapping[RestaurantId, float]
    policy: Policy
    travel: TravelTimes
    solver: str
    since: Instant
    """When the round before looked."""


class Explained(NamedTuple):
    """The decisions that are kept, and how many more there were."""

    decided: tuple[OrderDecided, ...]
    left: int


class Finding(NamedTuple):
    """What is decided about an order: who is to have it, now or later."""

    order: OpenOrder
    what: Verdict
    courier_id: CourierId | None


def explained(asked: Circumstances, plan: Plan, decided: Decisions) -> Explained:
    """Return what there is to say for a round's decisions, those to act on before those to wait."""
    found = tuple(findings(asked, plan, decided))
    kept = found[: asked.policy.explained_max]
    if not kept:
        return Explained((), len(found))
    near = _near(asked, plan, kept)
    desk = _Desk(asked, near, plan)
    return Explained(tuple(desk.decided(finding) for finding in kept), len(found) - len(kept))


def findings(asked: Circumstances, plan: Plan, decided: Decisions) -> Iterator[Finding]:
    """Yield what is decided about each order that anything is decided about."""
    orders = {order.id: order for order in asked.survey.orders}
    planned = dict(_planned(plan))
    given = tuple(_given(orders, decided))
    yield from given
    known = {finding.order.id for finding in given}
    for order_id in decided.leaving:
        if order_id not in known:
            yield Finding(orders[order_id], Verdict.TAKEN_BACK, planned.get(order_id))
    for order in asked.survey.orders:
        if order.held_by is None and order.id not in known and _waits_again(asked, order):
            yield Finding(order, Verdict.KEPT_WAITING, planned.get(order.id))


def _given(orders: Mapping[OrderId, OpenOrder], decided: Decisions) -> Iterator[Finding]:
    """Yield the orders that somebody gets who has not had them."""
    leaving = frozenset(decided.leaving)
    sent = ((Verdict.SENT, one.courier_id, one.order_ids) for one in decided.departures)
    joined = ((Verdict.JOINED, one.courier_id, one.joining) for one in decided.joins)
    for verdict, courier_id, order_ids in (*sent, *joined):
        for order_id in order_ids:
            if orders[order_id].held_by != courier_id:
                what = Verdict.MOVED if order_id in leaving else verdict
                yield Finding(orders[order_id], what, courier_id)


def _planned(plan: Plan) -> Iterator[tuple[OrderId, CourierId]]:
    for courier_id, trips in plan.trips.items():
        for trip in trips:
            yield from ((order_id, courier_id) for order_id in trip.order_ids)


def _waits_again(asked: Circumstances, order: OpenOrder) -> bool:
    """Tell whether the order's food has waited for another whole stretch since the last round."""
    each_s = asked.policy.waiting_told_s
    before_s = -order.ready_s - elapsed_s(asked.since, asked.survey.at)
    return -order.ready_s >= each_s and -order.ready_s // each_s > max(before_s, 0.0) // each_s


def _near(asked: Circumstances, plan: Plan, kept: Sequence[Finding]) -> Snapshot:
    """Return the part of the market that these findings are about."""
    survey = asked.survey
    concerned = {finding.courier_id for finding in kept} | {one.order.held_by for one in kept}
    seats = {finding.order.restaurant_id for finding in kept}
    concerned |= {
        courier_id
        for courier_id, trips in plan.trips.items()
        if any(trip.restaurant_id in seats for trip in trips)
    }
    concerned |= _soonest(asked, sorted(seats))
    couriers = [one for one in survey.couriers if one.id in concerned]
    meant = {finding.order.id for finding in kept} | {
        order_id
        for courier in couriers
        for trip in plan.trips.get(courier.id, ())
        for order_id in trip.order_ids
    }
    orders = [one for one in survey.orders if one.id in meant]
    return snapshot(survey.at, survey.restaurants, orders, couriers, asked.demand)


def _soonest(asked: Circumstances, seats: Sequence[RestaurantId]) -> set[CourierId]:
    """Return the couriers who could be at each of these restaurants first."""
    couriers, each = asked.survey.couriers, asked.policy.matching.candidates_now_max
    if not couriers or not each:
        return set()
    free_s = np.array([max(one.free_s, 0.0) for one in couriers])
    origins = np.array([one.place for one in couriers], dtype=np.float64)
    goals = np.array([asked.survey.restaurants[one] for one in seats], dtype=np.float64)
    arrival_s = free_s[:, None] + asked.travel.matrix_s(origins, goals)
    first = np.argsort(arrival_s, axis=0, kind="stable")[:each]
    rows: list[int] = np.unique(first).tolist()
    return {couriers[row].id for row in rows}


def warm_up() -> None:
    """Explain a decision once, so that all it needs is loaded and compiled before a round waits."""
    restaurant_id, courier_id, order_id = RestaurantId("r"), CourierId("c"), OrderId("o")
    order = OpenOrder(
        id=order_id, restaurant_id=restaurant_id, dropoff=(0, 0), placed_s=0, ready_s=0
    )
    courier = FreeCourier(id=courier_id, place=(0, 0), free_s=0, off_s=3_600, capacity=1)
    survey = Survey(
        at=Instant(0),
        restaurants={restaurant_id: (0, 0)},
        orders=(order,),
        couriers=(courier,),
        asked=(),
        tasks={},
        order_versions={},
        courier_versions={},
    )
    asked = Circumstances(
        number=0,
        survey=survey,
        demand={},
        policy=Policy(),
        travel=StraightLine(speed_mps=1.0),
        solver="",
        since=Instant(0),
    )
    leaving = Departure(courier_id=courier_id, restaurant_id=restaurant_id, order_ids=(order_id,))
    plan = Plan(trips={courier_id: (Trip(restaurant_id, (order_id,)),)})
    explained(asked, plan, Decisions(departures=(leaving,)))


class _Desk:
    """The plan of a part of the market, laid out so that orders can be tried elsewhere in it."""

    def __init__(self, asked: Circumstances, known: Snapshot, plan: Plan) -> None:
        self._asked, self._known = asked, known
        self._p: Problem = problem(known, asked.travel, asked.policy)
        self._draft: Draft = draft_of(self._p, warmed(plan, known), asked.policy.matching)
        self._rows = rows_of(self._draft)
        self._found: Records = np.zeros(len(known.courier_ids), dtype=CHOICE)
        self._order = {one: row for row, one in enumerate(known.order_ids)}
        self._courier = {one: row for row, one in enumerate(known.courier_ids)}
        self._priced = dict[int, Terms]()
        self._policy = version(asked.policy)

    def decided(self, finding: Finding) -> OrderDecided:
        """Return the finding with everything that speaks for it."""
        order, survey = finding.order, self._asked.survey
        chosen, others = self._options(finding)
        saves_s = _saves_s(chosen, _of(others, order.held_by))
        return OrderDecided(
            order_id=order.id,
            restaurant_id=order.restaurant_id,
            number=self._asked.number,
            at=survey.at,
            verdict=finding.what,
            reason=self._reason(finding, chosen, others),
            courier_id=finding.courier_id,
            held_by=order.held_by,
            placed_s=order.placed_s,
            ready_s=order.ready_s,
            chosen=chosen,
            others=others,
            leave_out_s=float(self._p.orders["leave_out_s"][self._order[order.id]]),
            saves_s=saves_s,
            sooner=self._sooner(order, chosen),
            orders=len(survey.orders),
            couriers=len(survey.couriers),
            solver=self._asked.solver,
            policy=self._policy,
        )

    def _options(self, finding: Finding) -> tuple[Option | None, tuple[Option, ...]]:
        """Return the chosen option, if any, and the best others, the best of them first."""
        order, held_by = self._order[finding.order.id], finding.order.held_by
        chosen = self._chosen(finding.courier_id, order)
        choices = self._choices(order, held_by)
        options = [
            self._option(int(one["courier"]), order, int(one["at"]), int(one["kind"]))
            for one in self._worth_keeping(choices, chosen, held_by)
        ]
        return chosen, tuple(sorted(options, key=lambda one: one.terms.total_s))

    def _choices(self, order: int, held_by: CourierId | None) -> Records:
        """Return what the order would add with each courier; the plan is as it was afterwards."""
        p, draft = self._p, self._draft
        before = draft.routes.copy(), draft.stops.copy(), draft.courier.copy()
        count = rivals(p, draft, order, self._found)
        found = self._found[:count].copy()
        holder = self._courier.get(held_by, NOBODY) if held_by is not None else NOBODY
        if holder != NOBODY and holder not in found["courier"]:
            added_s, at, kind = best_slot(p, draft, holder, order, np.inf)
            if np.isfinite(added_s):
                more = np.zeros(1, dtype=CHOICE)
                more["order"], more["courier"], more["added_s"] = order, holder, added_s
                more["at"], more["kind"] = at, kind
                found = np.concatenate((found, more))
        for now, then in zip((draft.routes, draft.stops, draft.courier), before, strict=True):
            now[...] = then
        return found

    def _worth_keeping(
        self, choices: Records, chosen: Option | None, held_by: CourierId | None
    ) -> Records:
        """Return the cheapest of the choices, and that of who holds the order, but the chosen."""
        ids = self._known.courier_ids
        who = chosen.courier_id if chosen else None
        others = choices[[ids[one] != who for one in choices["courier"].tolist()]]
        others = others[np.argsort(others["added_s"], kind="stable")]
        is_his = np.array([ids[one] == held_by for one in others["courier"].tolist()], dtype=bool)
        kept = others[~is_his][: OTHERS_MAX - int(is_his.any())]
        return np.concatenate((others[is_his], kept))

    def _chosen(self, courier_id: CourierId | None, order: int) -> Option | None:
        """Return what the order adds where the plan has it; None where the plan leaves it out."""
        if courier_id is None or courier_id not in self._courier:
            return None
        courier = self._courier[courier_id]
        if all(order not in trip for trip in self._rows[courier]):
            return None
        return self._told(courier, order, self._rows[courier])

    def _option(self, courier: int, order: int, at: int, kind: int) -> Option:
        trips = _entered(self._without(courier, order), order, at, kind)
        return self._told(courier, order, trips)

    def _without(self, courier: int, order: int) -> Trips:
        left = ([row for row in trip if row != order] for trip in self._rows[courier])
        return [trip for trip in left if trip]

    def _told(self, courier: int, order: int, trips: Trips) -> Option:
        """Return what `trips` cost more than those without the order, and when it would happen."""
        whole = tuple(course(self._p, courier, trips))
        ahead = next(place for place, times in enumerate(whole) if order in times.rows)
        trip = whole[ahead]
        return Option(
            courier_id=self._known.courier_ids[courier],
            terms=terms(self._p, courier, whole).less(self._terms_without(courier, order)),
            arrival_s=float(trip.arrival_s),
            picked_up_s=float(trip.picked_up_s),
            dropped_off_s=float(trip.dropped_off_s[trip.rows.index(order)]),
            ahead=ahead,
        )

    def _terms_without(self, courier: int, order: int) -> Terms:
        """Return what his other trips cost; a plan that is left as it is is priced only once."""
        if all(order not in trip for trip in self._rows[courier]):
            return self._terms(courier)
        without = self._without(courier, order)
        return terms(self._p, courier, tuple(course(self._p, courier, without)))

    def _terms(self, courier: int) -> Terms:
        if courier not in self._priced:
            whole = tuple(course(self._p, courier, self._rows[courier]))
            self._priced[courier] = terms(self._p, courier, whole)
        return self._priced[courier]

    def _sooner(self, order: OpenOrder, chosen: Option | None) -> int:
        """Return how many could be at the restaurant before the chosen one, if they dropped all."""
        if chosen is None:
            return 0
        p, row = self._p, self._order[order.id]
        reach_s = p.reach_s[int(p.orders["restaurant"][row])]
        can = (reach_s < chosen.arrival_s - _SOONER_S) & ~p.barred[row]
        can &= p.couriers["capacity"] >= order.size
        can[self._courier[chosen.courier_id]] = False
        return int(can.sum())

    def _reason(
        self, finding: Finding, chosen: Option | None, others: tuple[Option, ...]
    ) -> Reason:
        match finding.what:
            case Verdict.KEPT_WAITING:
                return Reason.NOBODY if chosen is None else Reason.BUSY
            case Verdict.MOVED | Verdict.TAKEN_BACK:
                could_keep = _of(others, finding.order.held_by) is not None
                is_his = finding.courier_id == finding.order.held_by
                return Reason.CHEAPER if could_keep or is_his else Reason.IMPOSSIBLE
            case Verdict.JOINED:
                return Reason.ON_HIS_WAY
            case Verdict.SENT:
                is_timed = chosen is not None and self._is_in_time(finding.order, chosen)
                return Reason.IN_TIME if is_timed else Reason.AT_ONCE

    def _is_in_time(self, order: OpenOrder, chosen: Option) -> bool:
        """Tell whether he is there no later than the food; a round's length is not late."""
        there_s = chosen.arrival_s + self._p.pickup_s / 2
        return there_s <= max(order.ready_s + self._asked.policy.round_s, chosen.picked_up_s - 1.0)


def _entered(trips: Trips, order: int, at: int, kind: int) -> Trips:
    """Return `trips` with the order in the place that `best_slot` named."""
    stops = [(row, place == 0) for trip in trips for place, row in enumerate(trip)]
    if kind == FIRST:
        stops[at] = (stops[at][0], False)
    stops.insert(at, (order, kind in {ALONE, FIRST}))
    entered = list[list[int]]()
    for row, opens in stops:
        if opens:
            entered.append([])
        entered[-1].append(row)
    return entered


def _of(options: Sequence[Option], courier_id: CourierId | None) -> Option | None:
    return next((one for one in options if one.courier_id == courier_id), None)


def _saves_s(chosen: Option | None, kept: Option | None) -> float:
    """Return what the plan gains by not leaving the order with who held it, as far as one knows."""
    return kept.terms.total_s - chosen.terms.total_s if chosen and kept else 0.0
