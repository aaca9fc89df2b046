"""Why this courier and why then, over HTTP: what rounds decided about an order.

Operations read everything: what was believed, the options with their costs term by term, which plan
it was. A courier reads his own sentence and nothing of anybody else, neither name nor place nor
number; whoever has no part in the delivery of the order reads nothing.
"""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, structs

from api import access
from api.cursors import cursor, number_of
from api.endpoint import Call, Endpoints
from api.journal import JournalListing
from api.ports import Edge
from api.replies import Declined, Page, Reply
from api.times import WrittenTime, rfc3339
from dispatch.decision import Option, OrderDecided, Reason, Verdict
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, after
from dispatch.sentences import to_courier, to_operations
from dispatch.step import Code
from services.accounts.principal import Principal, Role, Scope
from storage.decisions import Filed

_OF_ORDER = "order_decisions"

decisions = Endpoints("Decisions", "Why an order went to this courier, and why then.")


class OptionView(Struct, frozen=True, kw_only=True):
    """A courier who could have had the order: when he would be there, and what it costs.

    Costs are seconds of one customer's waiting; `cost_s` is the sum of the terms.
    """

    courier_id: CourierId
    at_restaurant: WrittenTime
    picked_up: WrittenTime
    at_door: WrittenTime
    trips_ahead: int
    delay_s: float
    ageing_s: float
    work_s: float
    end_s: float
    switch_s: float
    fairness_s: float
    cost_s: float


class Grounds(Struct, frozen=True, kw_only=True):
    """What a decision was made from; for operations only."""

    round: int
    orders: int
    couriers: int
    solver: str
    policy: Annotated[str, Meta(description="The version of the policy")]
    cut: Annotated[str, Meta(description="Why the plan was not all it could have been")] = ""
    courier_id: CourierId | None
    held_by: CourierId | None
    placed_at: WrittenTime
    ready_at: WrittenTime
    chosen: OptionView | None
    others: tuple[OptionView, ...]
    leave_out_s: float
    saves_s: float
    nearer_couriers: int


class DecisionView(Struct, frozen=True, kw_only=True):
    """What was decided about an order, why, and in a sentence for whoever reads it."""

    order_id: OrderId
    at: WrittenTime
    verdict: Verdict
    reason: Reason
    sentence: str
    grounds: Grounds | None = None


@decisions.get(
    "/v1/orders/{order_id}/decisions",
    scope=Scope.DELIVERIES_READ,
    codes=(Code.NOT_FOUND, Code.FORBIDDEN),
)
async def list_decisions_of_order(call: Call[None, JournalListing]) -> Reply[Page[DecisionView]]:
    """List what rounds decided about an order, the oldest first; `next_cursor` is always there.

    Staff and integrators see everything; a courier sees what was decided about himself, without
    its grounds.
    """
    wanted, places = call.query, dict[RestaurantId, _Place]()
    above = number_of(_OF_ORDER, wanted.after) if wanted.after else 0
    found = await access.decisions_for(
        call.edge, call.principal, call.path["order_id"], above, wanted.limit + 1
    )
    taken = found[: wanted.limit]
    for one in taken:
        restaurant_id = one.decided.restaurant_id
        if restaurant_id not in places:
            places[restaurant_id] = await _place(call.edge, call.principal, restaurant_id)
    return Reply(
        value=Page(
            items=tuple(
                [_view(call.principal, one, places[one.decided.restaurant_id]) for one in taken]
            ),
            has_more=len(found) > wanted.limit,
            next_cursor=cursor(_OF_ORDER, str(taken[-1].number if taken else above)),
        )
    )


class _Place(Struct, frozen=True):
    """What a restaurant is called, and what its clock shows."""

    name: str
    timezone: str

    def clock(self, instant: Instant) -> str:
        """Return the time of day there; in UTC, and saying so, where it keeps no hours."""
        there = datetime.fromtimestamp(instant / 1_000, ZoneInfo(self.timezone or "UTC"))
        return f"{there:%H:%M}" if self.timezone else f"{there:%H:%M} UTC"


async def _place(edge: Edge, principal: Principal, restaurant_id: RestaurantId) -> _Place:
    """Return how to speak of a restaurant; of one that the reader may not know, vaguely."""
    try:
        row = (await access.restaurant_seen_by(edge, principal, restaurant_id)).row
    except Declined:
        return _Place("the restaurant", "")
    return _Place(row.name, row.hours.timezone if row.hours else "")


def _view(principal: Principal, filed: Filed, place: _Place) -> DecisionView:
    decided, courier_id = filed.decided, principal.courier_id
    if principal.role is Role.COURIER and courier_id is not None:
        return _shown(decided, to_courier(decided, courier_id, place.name, place.clock), None)
    return _shown(decided, to_operations(decided, place.clock), _grounds(decided))


def _shown(decided: OrderDecided, sentence: str, grounds: Grounds | None) -> DecisionView:
    return DecisionView(
        order_id=decided.order_id,
        at=rfc3339(decided.at),
        verdict=decided.verdict,
        reason=decided.reason,
        sentence=sentence,
        grounds=grounds,
    )


def _grounds(decided: OrderDecided) -> Grounds:
    chosen = None if decided.chosen is None else _option(decided, decided.chosen)
    return Grounds(
        round=decided.number,
        orders=decided.orders,
        couriers=decided.couriers,
        solver=decided.solver,
        policy=decided.policy,
        cut=decided.cut,
        courier_id=decided.courier_id,
        held_by=decided.held_by,
        placed_at=rfc3339(after(decided.at, decided.placed_s)),
        ready_at=rfc3339(after(decided.at, decided.ready_s)),
        chosen=chosen,
        others=tuple([_option(decided, one) for one in decided.others]),
        leave_out_s=decided.leave_out_s,
        saves_s=decided.saves_s,
        nearer_couriers=decided.sooner,
    )


def _option(decided: OrderDecided, option: Option) -> OptionView:
    return OptionView(
        courier_id=option.courier_id,
        at_restaurant=rfc3339(after(decided.at, option.arrival_s)),
        picked_up=rfc3339(after(decided.at, option.picked_up_s)),
        at_door=rfc3339(after(decided.at, option.dropped_off_s)),
        trips_ahead=option.ahead,
        **structs.asdict(option.terms),
        cost_s=option.terms.total_s,
    )
