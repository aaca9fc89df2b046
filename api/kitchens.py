"""What the people in a kitchen do over HTTP: with an order, and with a dish that they are out of.

An order is reached through its restaurant, and only by whoever runs that. What is done with it goes
to the order's own actor in the restaurant's shard and is answered after the commit, with the order
as it then stands. Doing it again does nothing more.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, ValidationError, convert

from api import access
from api.cursors import Cursor, Limit, key_of, page
from api.endpoint import Call, Endpoints
from api.order_views import OrderView, order_etag, order_view
from api.orders import since
from api.replies import Declined, Flaw, Page, Reply, accepted
from api.restaurants import ask_restaurant
from api.times import Time, instant_of
from dispatch.delivery import Reject
from dispatch.ids import Instant, after
from dispatch.kitchen import FINISHED, Accept, Delay, MarkReady, OrderStatus, StartPreparing
from dispatch.order import Message
from dispatch.restaurant import MarkAvailable, MarkSoldOut
from dispatch.step import Code
from services.accounts.principal import Scope
from storage.orders import NEWEST, OfRestaurants, OrderRow, Stretch
from storage.orders import fetch_page as fetch_orders
from storage.restaurants import Kept
from wire.orders import DishId

AHEAD_S_MAX = 8 * 86_400.0
"""How far ahead food can be promised."""
LIST = "kitchen"
ACTIVE = tuple(status for status in OrderStatus if status not in FINISHED)
_S_PER_MINUTE = 60
_ORDER = "/v1/restaurants/{restaurant_id}/orders/{order_id}"
_CODES = (Code.NOT_FOUND, Code.NOT_LEGAL_NOW, Code.STALE_ETAG, Code.UNAVAILABLE)

kitchens = Endpoints("Kitchens", "What a restaurant does with its orders and its dishes.")


class RejectReason(StrEnum):
    """Why a restaurant will not cook an order. Wire names; never renamed."""

    KITCHEN_FULL = "kitchen-full"
    SOLD_OUT = "sold-out"
    RESTAURANT_CLOSED = "restaurant-closed"
    CANNOT_BE_MADE = "cannot-be-made"
    OTHER = "other"


class Acceptance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When it will be ready: then, or after so long; after the usual time if nothing is said."""

    ready_at: Time | None = None
    preparation_minutes: Annotated[float, Meta(ge=0, le=24 * 60)] | None = None


class Rejection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is not cooked; the customer is told."""

    reason: RejectReason


class Postponement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When it will be ready instead."""

    ready_at: Time


class Queue(Struct, frozen=True, kw_only=True):
    """Which orders to list: those of a status, or all that have not ended."""

    status: OrderStatus | None = None
    limit: Limit = 50
    after: Cursor | None = None


class SoldOut(Struct, frozen=True, kw_only=True):
    """What a restaurant is out of."""

    dish_ids: tuple[str, ...]


@kitchens.get(
    "/v1/restaurants/{restaurant_id}/orders", scope=Scope.ORDERS_READ, codes=(Code.NOT_FOUND,)
)
async def list_queue(call: Call[None, Queue]) -> Reply[Page[OrderView]]:
    """List a restaurant's orders, the newest first: those that have not ended, or of one status."""
    wanted, principal = call.query, call.principal
    kept = await access.restaurant_for(call.edge, principal, call.path["restaurant_id"])
    is_live = wanted.status not in FINISHED
    stretch = Stretch(
        before=key_of(LIST, wanted.after) if wanted.after else NEWEST,
        since=since(call.began_at, is_live=is_live),
        statuses=ACTIVE if wanted.status is None else (wanted.status,),
        count_max=wanted.limit + 1,
    )
    own = OfRestaurants(tenant_id=kept.row.tenant_id, restaurant_ids=(kept.row.restaurant_id,))
    found = await fetch_orders(call.edge.database, own, stretch)
    return Reply(
        value=page(
            LIST,
            found,
            wanted.limit,
            key=lambda row: row.order_id,
            shown=lambda row: order_view(row, principal, call.edge.map, call.began_at),
        )
    )


@kitchens.post(f"{_ORDER}/accept", scope=Scope.ORDERS_WRITE, codes=(*_CODES, Code.INVALID))
async def accept_order(call: Call[Acceptance]) -> Reply[OrderView]:
    """Say that it will be cooked, and when it will be ready."""
    kept = await access.restaurant_for(call.edge, call.principal, call.path["restaurant_id"])
    row = await _order(call)
    return await _done(call, row, Accept(_ready_at(call, kept, row)))


@kitchens.post(f"{_ORDER}/reject", scope=Scope.ORDERS_WRITE, codes=_CODES)
async def reject_order(call: Call[Rejection]) -> Reply[OrderView]:
    """Say that it will not be cooked. Only before it was accepted."""
    return await _done(call, await _order(call), Reject(str(call.body.reason)))


@kitchens.post(f"{_ORDER}/preparing", scope=Scope.ORDERS_WRITE, codes=_CODES)
async def start_preparing(call: Call) -> Reply[OrderView]:
    """Say that the kitchen has begun."""
    return await _done(call, await _order(call), StartPreparing())


@kitchens.post(f"{_ORDER}/delay", scope=Scope.ORDERS_WRITE, codes=(*_CODES, Code.INVALID))
async def delay_order(call: Call[Postponement]) -> Reply[OrderView]:
    """Say that it will be ready at another time."""
    ready_at = _in_reach(instant_of(call.body.ready_at), call.began_at)
    return await _done(call, await _order(call), Delay(ready_at))


@kitchens.post(f"{_ORDER}/ready", scope=Scope.ORDERS_WRITE, codes=_CODES)
async def mark_ready(call: Call) -> Reply[OrderView]:
    """Say that the food waits to be picked up."""
    return await _done(call, await _order(call), MarkReady())


@kitchens.get(
    "/v1/restaurants/{restaurant_id}/sold-out",
    scope=Scope.RESTAURANTS_READ,
    codes=(Code.NOT_FOUND,),
)
async def list_sold_out(call: Call) -> Reply[SoldOut]:
    """List the dishes that a restaurant is out of."""
    kept = await access.restaurant_seen_by(call.edge, call.principal, call.path["restaurant_id"])
    return Reply(value=_sold_out(kept))


@kitchens.put(
    "/v1/restaurants/{restaurant_id}/sold-out/{dish_id}",
    scope=Scope.RESTAURANTS_WRITE,
    codes=(Code.NOT_FOUND, Code.INVALID, Code.OVERLOADED, Code.UNAVAILABLE),
)
async def mark_sold_out(call: Call) -> Reply[SoldOut]:
    """Say that the kitchen is out of a dish: orders with it are rejected."""
    return await _stocked(call, MarkSoldOut(_dish_id(call)))


@kitchens.delete(
    "/v1/restaurants/{restaurant_id}/sold-out/{dish_id}",
    scope=Scope.RESTAURANTS_WRITE,
    codes=(Code.NOT_FOUND, Code.INVALID, Code.UNAVAILABLE),
)
async def mark_available(call: Call) -> Reply[SoldOut]:
    """Say that the kitchen has a dish again."""
    return await _stocked(call, MarkAvailable(_dish_id(call)))


type _OrderCall = Call | Call[Acceptance] | Call[Rejection] | Call[Postponement]


async def _order(call: _OrderCall) -> OrderRow:
    return await access.kitchen_order_for(
        call.edge, call.principal, call.path["restaurant_id"], call.path["order_id"]
    )


async def _done(call: _OrderCall, row: OrderRow, message: Message) -> Reply[OrderView]:
    """Have the order hear it and return the order as it then stands."""
    call.must_match(order_etag(row))
    accepted(await call.edge.actors.ask(row.shard, "order", row.order_id, message))
    row = await _order(call)
    view = order_view(row, call.principal, call.edge.map, call.edge.now())
    return Reply(value=view, etag=order_etag(row))


def _ready_at(call: Call[Acceptance], kept: Kept, row: OrderRow) -> Instant | None:
    """Return when the food is promised; None for the market's usual time."""
    body, now = call.body, call.began_at
    if body.ready_at is not None and body.preparation_minutes is not None:
        raise Declined(Code.INVALID, "say either `ready_at` or `preparation_minutes`")
    if body.ready_at is not None:
        return _in_reach(instant_of(body.ready_at), now)
    if body.preparation_minutes is not None:
        return after(now, body.preparation_minutes * _S_PER_MINUTE)
    if kept.row.prep_s is None:
        return row.wanted_at
    return max(after(now, kept.row.prep_s), row.wanted_at or now)


def _in_reach(ready_at: Instant, now: Instant) -> Instant:
    if not now <= ready_at <= after(now, AHEAD_S_MAX):
        told = f"a time from now on, at most {AHEAD_S_MAX / 86_400:.0f} days ahead"
        flaw = Flaw("/ready_at", Code.INVALID, told)
        raise Declined(Code.INVALID, f"{flaw.pointer}: {told}", flaws=(flaw,))
    return ready_at


def _dish_id(call: Call) -> str:
    try:
        return convert(call.path["dish_id"], DishId)
    except ValidationError as error:
        raise Declined(Code.INVALID, f"the dish's id: {error}") from error


async def _stocked(call: Call, message: MarkSoldOut | MarkAvailable) -> Reply[SoldOut]:
    kept = await access.restaurant_for(call.edge, call.principal, call.path["restaurant_id"])
    await ask_restaurant(call.edge, kept, message)
    kept = await access.restaurant_for(call.edge, call.principal, kept.row.restaurant_id)
    return Reply(value=_sold_out(kept))


def _sold_out(kept: Kept) -> SoldOut:
    return SoldOut(dish_ids=kept.state.sold_out if kept.state else ())
