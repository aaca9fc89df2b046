"""The tables of orders and deliveries, made from the orders' own states in the commit itself.

People and reports ask these tables; nothing is decided by them. They hold what was committed last,
because a batch that changes an order writes its row with it. What people read is an `OrderRow`: the
order, its delivery and its note (`storage.order_notes`); an order that was placed without a note is
nobody's to see. Lists go back in time, from key to key.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from asyncpg import Connection, Record
from msgspec import Struct, json, msgpack

from dispatch.delivery import DeliveryStatus
from dispatch.ids import (
    CourierId,
    CustomerId,
    Instant,
    MarketId,
    OrderId,
    RestaurantId,
    ShardId,
    TenantId,
)
from dispatch.journal import Checkpoint
from dispatch.kitchen import OrderStatus
from dispatch.order_state import Order
from storage.database import Database
from storage.queries import queries
from wire.orders import Asked

KIND = "order"
SQL = queries("orders")
NEWEST = "p"
"""Sorts behind every id of an order, in whatever way the database sorts text."""
OLDEST = ""

_decode = msgpack.Decoder(Order).decode
_decode_asked = json.Decoder(Asked).decode


def order_columns(checkpoints: Iterable[Checkpoint]) -> list[list[object]]:
    """Return the columns of the orders among the checkpoints, as `commit_batch` takes them."""
    orders = [_decode(row.state) for row in checkpoints if row.kind == KIND]
    deliveries = [order.delivery for order in orders]
    return [
        [order.order_id for order in orders],
        [order.market_id for order in orders],
        [order.customer_id for order in orders],
        [order.restaurant_id for order in orders],
        [delivery.courier_id for delivery in deliveries],
        [order.status for order in orders],
        [order.reason for order in orders],
        [order.placed_at for order in orders],
        [order.wanted_at for order in orders],
        [order.ready_at for order in orders],
        [delivery.status for delivery in deliveries],
        [delivery.assigned_at for delivery in deliveries],
        [delivery.picked_up_at for delivery in deliveries],
        [delivery.ended_at for delivery in deliveries],
    ]


class OrderRow(Struct, frozen=True, kw_only=True):
    """An order with its delivery and its note, as committed last.

    `courier_id` is also that of a courier who is merely being offered it.
    """

    order_id: OrderId
    tenant_id: TenantId
    market_id: MarketId
    shard: ShardId
    customer_id: CustomerId
    restaurant_id: RestaurantId
    external_id: str | None
    courier_id: CourierId | None
    status: OrderStatus
    delivery_status: DeliveryStatus
    reason: str
    total_minor: int | None
    currency: str | None
    asked: Asked
    created_at: Instant
    wanted_at: Instant | None
    ready_at: Instant | None
    assigned_at: Instant | None
    picked_up_at: Instant | None
    completed_at: Instant | None
    updated_at: Instant


class OfTenant(Struct, frozen=True, kw_only=True):
    """All orders of a tenant."""

    tenant_id: TenantId


class OfCustomer(Struct, frozen=True, kw_only=True):
    """A customer's orders, of one restaurant if it is named."""

    tenant_id: TenantId
    customer_id: CustomerId
    restaurant_id: RestaurantId | None = None


class OfRestaurants(Struct, frozen=True, kw_only=True):
    """The orders of some restaurants."""

    tenant_id: TenantId
    restaurant_ids: tuple[RestaurantId, ...]


class OfCourier(Struct, frozen=True, kw_only=True):
    """The orders that are or were in a courier's hands."""

    courier_id: CourierId


type Whose = OfTenant | OfCustomer | OfRestaurants | OfCourier


class Stretch(Struct, frozen=True, kw_only=True):
    """Which part of a list: before that id and not before this one, of these statuses if any."""

    before: str = NEWEST
    since: str = OLDEST
    statuses: tuple[OrderStatus, ...] | None = None
    delivery_statuses: tuple[DeliveryStatus, ...] | None = None
    count_max: int


async def find(database: Database, order_id: OrderId) -> OrderRow | None:
    """Return an order, as committed last."""
    rows = await database.call(lambda there: there.fetch(SQL["fetch"], [order_id]))
    return _row(rows[0]) if rows else None


async def fetch_page(database: Database, whose: Whose, stretch: Stretch) -> Sequence[OrderRow]:
    """Return the newest orders of a stretch, the newest first."""

    async def read(there: Connection) -> list[Record]:
        query, arguments = _page(whose, stretch)
        found = await there.fetch(query, *arguments)
        return await there.fetch(SQL["fetch"], [order_id for (order_id,) in found])

    return [_row(row) for row in await database.call(read)]


def _page(whose: Whose, stretch: Stretch) -> tuple[str, tuple[object, ...]]:
    """Return the query that finds the ids of a page, and its arguments."""
    part = (
        stretch.before,
        stretch.since,
        stretch.statuses,
        stretch.delivery_statuses,
        stretch.count_max,
    )
    match whose:
        case OfTenant():
            return SQL["page_of_tenant"], (*part, whose.tenant_id)
        case OfCustomer():
            own = (whose.tenant_id, whose.customer_id, whose.restaurant_id)
            return SQL["page_of_customer"], (*part, *own)
        case OfRestaurants():
            own = (whose.tenant_id, whose.restaurant_ids)
            return SQL["page_of_restaurants"], (*part, *own)
        case OfCourier():
            return SQL["page_of_courier"], (*part, whose.courier_id)


def _row(row: Record) -> OrderRow:
    return OrderRow(
        order_id=row["order_id"],
        tenant_id=row["tenant_id"],
        market_id=row["market_id"],
        shard=row["shard"],
        customer_id=row["customer_id"],
        restaurant_id=row["restaurant_id"],
        external_id=row["external_id"],
        courier_id=row["courier_id"],
        status=OrderStatus(row["status"]),
        delivery_status=DeliveryStatus(row["delivery_status"]),
        reason=row["reason"],
        total_minor=row["total_minor"],
        currency=row["currency"],
        asked=_decode_asked(row["asked"]),
        created_at=_instant(row["created_at"]),
        wanted_at=_find_instant(row["wanted_at"]),
        ready_at=_find_instant(row["ready_at"]),
        assigned_at=_find_instant(row["assigned_at"]),
        picked_up_at=_find_instant(row["picked_up_at"]),
        completed_at=_find_instant(row["completed_at"]),
        updated_at=_instant(row["updated_at"]),
    )


def _instant(time: datetime) -> Instant:
    return Instant(round(time.timestamp() * 1000))


def _find_instant(time: datetime | None) -> Instant | None:
    return None if time is None else _instant(time)
