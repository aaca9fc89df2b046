"""Deliveries over HTTP: the same orders, seen from the courier's side.

An order and its delivery are one state, so a delivery is its order under a name of its own
(docs/decisions/0014). An integrator who sells the food elsewhere asks for deliveries and never
hears of orders; a courier sees those that are or were in his hands.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api import access, placing
from api.cursors import Cursor, Limit, key_of, page
from api.endpoint import Call, Endpoints
from api.order_views import OrderView, order_etag, order_id_of, order_view
from api.orders import Cancellation, call_off, order_by_external_id, since, whose
from api.placing import NewOrder
from api.ports import Edge
from api.replies import Page, Reply
from dispatch.delivery import DeliveryStatus
from dispatch.ids import RestaurantId
from dispatch.step import Code
from services.accounts.principal import Principal, Role, Scope
from storage.orders import NEWEST, OfCourier, OrderRow, Stretch, Whose, fetch_page

_S = DeliveryStatus
_ENDED = frozenset({_S.DELIVERED, _S.CANCELED, _S.FAILED, _S.RETURNED})

deliveries = Endpoints("Deliveries", "What couriers carry, from the restaurant to the door.")


class DeliveryListing(Struct, frozen=True, kw_only=True):
    """Which deliveries to list: of one status or one restaurant, behind a cursor."""

    status: DeliveryStatus | None = None
    restaurant_id: Annotated[RestaurantId, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")] | None = (
        None
    )
    limit: Limit = 50
    after: Cursor | None = None


@deliveries.post(
    "/v1/deliveries",
    scope=Scope.DELIVERIES_WRITE,
    status=201,
    codes=(Code.ALREADY_EXISTS, Code.LOAD_EXCEEDED, Code.INVALID, Code.UNAVAILABLE),
)
async def request_delivery(call: Call[NewOrder]) -> Reply[OrderView]:
    """Have food of one of your restaurants delivered: what `POST /v1/orders` does."""
    return _shown(call.edge, call.principal, await placing.place(call), is_new=True)


@deliveries.get("/v1/deliveries", scope=Scope.DELIVERIES_READ)
async def list_deliveries(call: Call[None, DeliveryListing]) -> Reply[Page[OrderView]]:
    """List deliveries, the newest first: those of your orders, or those in your hands."""
    wanted, principal = call.query, call.principal
    stretch = Stretch(
        before=key_of("deliveries", wanted.after) if wanted.after else NEWEST,
        since=since(call.began_at, is_live=wanted.status not in _ENDED | {None}),
        delivery_statuses=None if wanted.status is None else (wanted.status,),
        count_max=wanted.limit + 1,
    )
    found = await fetch_page(call.edge.replica, _whose(principal, wanted.restaurant_id), stretch)
    return Reply(
        value=page(
            "deliveries",
            found,
            wanted.limit,
            key=lambda row: row.order_id,
            shown=lambda row: order_view(row, principal, call.edge.map, call.began_at),
        )
    )


@deliveries.get(
    "/v1/deliveries/{delivery_id}", scope=Scope.DELIVERIES_READ, codes=(Code.NOT_FOUND,)
)
async def show_delivery(call: Call) -> Reply[OrderView]:
    """Show a delivery, as committed last; to its courier too."""
    row = await _delivery(call.edge, call.principal, call.path["delivery_id"])
    return _shown(call.edge, call.principal, row)


@deliveries.get(
    "/v1/deliveries/by-external-id/{external_id}",
    scope=Scope.DELIVERIES_READ,
    codes=(Code.NOT_FOUND,),
)
async def show_delivery_by_external_id(call: Call) -> Reply[OrderView]:
    """Show the delivery that you gave this id of yours."""
    row = await order_by_external_id(call.edge, call.principal, call.path["external_id"])
    return _shown(call.edge, call.principal, row)


@deliveries.post(
    "/v1/deliveries/{delivery_id}/cancel",
    scope=Scope.DELIVERIES_WRITE,
    codes=(Code.NOT_FOUND, Code.NOT_CANCELABLE, Code.STALE_ETAG, Code.UNAVAILABLE),
)
async def cancel_delivery(call: Call[Cancellation]) -> Reply[OrderView]:
    """Call a delivery off, and the order with it: impossible once the courier has the food.

    From then on its `undeliverable_action` says what becomes of food that nobody takes.
    """
    row = await _delivery(call.edge, call.principal, call.path["delivery_id"])
    call.must_match(order_etag(row))
    await call_off(call.edge, call.principal, row, call.body.reason)
    row = await access.delivery_for(call.edge, call.principal, row.order_id)
    return _shown(call.edge, call.principal, row)


def _whose(principal: Principal, restaurant_id: RestaurantId | None) -> Whose:
    if principal.role is Role.COURIER and principal.courier_id is not None:
        return OfCourier(courier_id=principal.courier_id)
    return whose(principal, restaurant_id)


async def _delivery(edge: Edge, principal: Principal, delivery_id: str) -> OrderRow:
    return await access.delivery_for(edge, principal, order_id_of(delivery_id))


def _shown(
    edge: Edge, principal: Principal, row: OrderRow, *, is_new: bool = False
) -> Reply[OrderView]:
    view = order_view(row, principal, edge.map, edge.now())
    headers = {"Location": f"/v1/deliveries/{view.delivery_id}"} if is_new else {}
    return Reply(value=view, etag=order_etag(row), headers=headers)
