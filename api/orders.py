"""Orders over HTTP: placing them, seeing what became of them, calling them off.

What is asked of an order is decided by its actor, and answered after the commit; what is shown of
one is what was committed last. A restaurant that will not cook it (closed, full, sold out) says so
a moment after the order was placed: it then becomes `rejected`, with the reason in `status_reason`.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api import access, placing
from api.cursors import Cursor, Limit, key_of, page
from api.endpoint import Call, Endpoints
from api.order_views import OrderView, order_etag, order_view
from api.placing import NewOrder
from api.ports import Edge
from api.replies import Declined, Page, Reply, accepted
from dispatch.delivery import Party
from dispatch.ids import CustomerId, Instant, RestaurantId, after, prefixed
from dispatch.kitchen import FINISHED, OrderStatus
from dispatch.order import Cancel
from dispatch.step import Code
from services.accounts.principal import Principal, Role, Scope
from storage import order_notes
from storage.orders import (
    NEWEST,
    OLDEST,
    OfCustomer,
    OfRestaurants,
    OfTenant,
    OrderRow,
    Stretch,
    Whose,
)
from storage.orders import fetch_page as fetch_orders
from wire.orders import Notes

LIVE_S_MAX = 10 * 86_400.0
"""No order lives longer: it may be wanted in seven days, and is given up some hours after that."""

orders = Endpoints("Orders", "What customers order, and what became of it.")


class OrderListing(Struct, frozen=True, kw_only=True):
    """Which orders to list: of one status or one restaurant, behind a cursor."""

    status: OrderStatus | None = None
    restaurant_id: Annotated[RestaurantId, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")] | None = (
        None
    )
    limit: Limit = 50
    after: Cursor | None = None


class Cancellation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is called off."""

    reason: Notes = ""


@orders.post(
    "/v1/orders",
    scope=Scope.ORDERS_WRITE,
    status=201,
    codes=(
        Code.ALREADY_EXISTS,
        Code.LOAD_EXCEEDED,
        Code.INVALID,
        Code.ZONE_PAUSED,
        Code.UNAVAILABLE,
    ),
)
async def place_order(call: Call[NewOrder]) -> Reply[OrderView]:
    """Place an order with a restaurant.

    It is placed when this is answered: it will not be lost. Whether the restaurant takes it is
    known a moment later, at once where the kitchen accepts by itself. Send an `Idempotency-Key`:
    then the same request, sent again after a broken connection, places nothing twice.
    """
    return _shown(call.edge, call.principal, await placing.place(call), is_new=True)


@orders.get("/v1/orders", scope=Scope.ORDERS_READ)
async def list_orders(call: Call[None, OrderListing]) -> Reply[Page[OrderView]]:
    """List orders, the newest first: your own, your restaurants', or all of the tenant."""
    wanted, principal = call.query, call.principal
    statuses = None if wanted.status is None else (wanted.status,)
    stretch = Stretch(
        before=key_of("orders", wanted.after) if wanted.after else NEWEST,
        since=since(call.began_at, is_live=wanted.status not in FINISHED | {None}),
        statuses=statuses,
        count_max=wanted.limit + 1,
    )
    found = await fetch_orders(call.edge.replica, whose(principal, wanted.restaurant_id), stretch)
    return Reply(
        value=page(
            "orders",
            found,
            wanted.limit,
            key=lambda row: row.order_id,
            shown=lambda row: order_view(row, principal, call.edge.map, call.began_at),
        )
    )


@orders.get("/v1/orders/{order_id}", scope=Scope.ORDERS_READ, codes=(Code.NOT_FOUND,))
async def show_order(call: Call) -> Reply[OrderView]:
    """Show an order, as committed last."""
    row = await access.order_for(call.edge, call.principal, call.path["order_id"])
    return _shown(call.edge, call.principal, row)


@orders.get(
    "/v1/orders/by-external-id/{external_id}", scope=Scope.ORDERS_READ, codes=(Code.NOT_FOUND,)
)
async def show_order_by_external_id(call: Call) -> Reply[OrderView]:
    """Show the order that you gave this id of yours."""
    row = await order_by_external_id(call.edge, call.principal, call.path["external_id"])
    return _shown(call.edge, call.principal, row)


@orders.post(
    "/v1/orders/{order_id}/cancel",
    scope=Scope.ORDERS_WRITE,
    codes=(Code.NOT_FOUND, Code.NOT_CANCELABLE, Code.STALE_ETAG, Code.UNAVAILABLE),
)
async def cancel_order(call: Call[Cancellation]) -> Reply[OrderView]:
    """Call an order off: free until a courier has it, impossible once he has the food.

    With `If-Match` only if it is still as you have seen it. An order that is called off already
    stays so.
    """
    row = await access.order_for(call.edge, call.principal, call.path["order_id"])
    call.must_match(order_etag(row))
    await call_off(call.edge, call.principal, row, call.body.reason)
    row = await access.order_for(call.edge, call.principal, row.order_id)
    return _shown(call.edge, call.principal, row)


async def call_off(edge: Edge, principal: Principal, row: OrderRow, reason: str) -> None:
    """Cancel an order that is his side's; raises `Declined`."""
    party = _PARTIES.get(principal.role)
    if party is None:
        raise Declined(Code.NOT_CANCELABLE, "a courier gives an order up by ending his shift")
    cancel = Cancel(by=party, reason=reason)
    accepted(await edge.actors.ask(row.shard, "order", row.order_id, cancel))


async def order_by_external_id(edge: Edge, principal: Principal, external_id: str) -> OrderRow:
    """Return the order that the tenant gave that id; raises `Declined`."""
    named = external_id if external_id.isascii() and external_id.isprintable() else ""
    order_id = await order_notes.find_order_id(edge.database, principal.tenant_id, named)
    return await access.order_for(edge, principal, order_id or "")


def whose(principal: Principal, restaurant_id: RestaurantId | None) -> Whose:
    """Return which orders somebody may list."""
    tenant_id = principal.tenant_id
    named = () if restaurant_id is None else (restaurant_id,)
    match principal.role:
        case Role.SUPPORT | Role.ADMIN | Role.INTEGRATOR if not named:
            return OfTenant(tenant_id=tenant_id)
        case Role.SUPPORT | Role.ADMIN | Role.INTEGRATOR:
            return OfRestaurants(tenant_id=tenant_id, restaurant_ids=named)
        case Role.RESTAURANT:
            own = tuple(sorted(principal.restaurant_ids))
            asked = tuple([one for one in named if one in own]) if named else own
            return OfRestaurants(tenant_id=tenant_id, restaurant_ids=asked)
        case _:
            return OfCustomer(
                tenant_id=tenant_id,
                customer_id=CustomerId(principal.subject),
                restaurant_id=restaurant_id,
            )


def since(now: Instant, *, is_live: bool) -> str:
    """Return the first id to look at: of those that may still live, or of all there are."""
    return prefixed("ord", after(now, -LIVE_S_MAX), bytes(10)) if is_live else OLDEST


_PARTIES = {
    Role.CUSTOMER: Party.CUSTOMER,
    Role.INTEGRATOR: Party.CUSTOMER,
    Role.RESTAURANT: Party.RESTAURANT,
    Role.SUPPORT: Party.SUPPORT,
    Role.ADMIN: Party.SUPPORT,
}


def _shown(
    edge: Edge, principal: Principal, row: OrderRow, *, is_new: bool = False
) -> Reply[OrderView]:
    headers = {"Location": f"/v1/orders/{row.order_id}"} if is_new else {}
    view = order_view(row, principal, edge.map, edge.now())
    return Reply(value=view, etag=order_etag(row), headers=headers)
