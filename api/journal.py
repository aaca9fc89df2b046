"""The journal over HTTP: what happened to orders, in the order in which it happened.

`GET /v1/events` goes through all orders of a tenant; whoever keeps the last `next_cursor` and asks
again gets everything that happened since, each fact once. It costs little to ask when nothing has
happened. Instants inside an event are milliseconds since 1970, as on the sockets.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api import access
from api.cursors import Cursor, Limit, cursor, number_of
from api.endpoint import Call, Endpoints
from api.events import public
from api.ports import Map
from api.replies import Declined, Page, Reply
from api.times import WrittenTime, rfc3339
from dispatch.ids import OrderId
from dispatch.step import Code
from services.accounts.principal import Scope
from storage import facts
from storage.facts import FactsGone, Happened, HorizonHidden
from wire.events import AnyEvent

_ALL, _OF_ORDER = "events", "order_events"

journal = Endpoints("Events", "What happened to orders, fact by fact, to be read on at any time.")


class JournalListing(Struct, frozen=True, kw_only=True):
    """Which events to list: those behind a cursor, the oldest first."""

    limit: Limit = 50
    after: Cursor | None = None


class EventView(Struct, frozen=True, kw_only=True):
    """Something that happened to an order. `event_id` names it for ever, for whoever dedupes."""

    event_id: Annotated[str, Meta(examples=["evt_0000000000000001042"])]
    order_id: OrderId
    at: WrittenTime
    event: AnyEvent


@journal.get(
    "/v1/events",
    scope=Scope.EVENTS_READ,
    codes=(Code.FORBIDDEN, Code.CURSOR_GONE, Code.UNAVAILABLE),
)
async def list_events(call: Call[None, JournalListing]) -> Reply[Page[EventView]]:
    """List what happened to the tenant's orders, the oldest first.

    `next_cursor` is always there: ask with it later to read on. A page may hold fewer than there
    are, or none, and still say `has_more`: ask on at once. Without `after` it begins with the
    oldest that are kept; a cursor that points before them is answered with 410. For integrators
    and staff.
    """
    access.only_staff(call.principal)
    wanted = call.query
    after = number_of(_ALL, wanted.after) if wanted.after else 0
    try:
        read = await facts.read_of_tenant(
            call.edge.database, call.principal.tenant_id, after, wanted.limit
        )
    except HorizonHidden as error:
        raise Declined(Code.UNAVAILABLE, f"{error}: ask again", retry_s=1) from error
    except FactsGone as error:
        told = (
            f"{error}: read orders afresh, then go on with after={cursor(_ALL, str(error.number))}"
        )
        raise Declined(Code.CURSOR_GONE, told) from error
    return Reply(
        value=Page(
            items=tuple([_view(one, call.edge.map) for one in read.found]),
            has_more=not read.is_all,
            next_cursor=cursor(_ALL, str(max(read.number, after))),
        )
    )


@journal.get("/v1/orders/{order_id}/events", scope=Scope.ORDERS_READ, codes=(Code.NOT_FOUND,))
async def list_events_of_order(call: Call[None, JournalListing]) -> Reply[Page[EventView]]:
    """List what happened to one order, the oldest first; `next_cursor` is always there."""
    row = await access.order_for(call.edge, call.principal, call.path["order_id"])
    wanted = call.query
    after = number_of(_OF_ORDER, wanted.after) if wanted.after else 0
    found = await facts.fetch_of_order(call.edge.database, row.order_id, after, wanted.limit + 1)
    taken = found[: wanted.limit]
    return Reply(
        value=Page(
            items=tuple([_view(one, call.edge.map) for one in taken]),
            has_more=len(found) > wanted.limit,
            next_cursor=cursor(_OF_ORDER, str(taken[-1].number if taken else after)),
        )
    )


def _view(happened: Happened, markets: Map) -> EventView:
    return EventView(
        event_id=f"evt_{happened.number:019d}",
        order_id=happened.order_id,
        at=rfc3339(happened.at),
        event=public(happened.fact, markets),
    )
