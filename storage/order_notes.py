"""The notes of orders: whose each is, and what was asked for that no machine needs to know.

A note is written before its order is placed, so that no order is without one, and dropped when the
order is refused. One whose order never came about (its node died in between) holds its
`external_id` only until somebody asks for it again a while later; by then no request can still be
placing it.
"""

from collections.abc import Sequence
from enum import Enum, auto

from asyncpg import Connection
from msgspec import Struct, json

from dispatch.ids import CustomerId, MarketId, OrderId, RestaurantId, TenantId
from storage.database import Database
from storage.queries import queries
from wire.orders import Asked

SQL = queries("order_notes")
ABANDONED_S = 60.0
"""Age at which a note without an order stands for nothing; no request may take so long."""

_encode = json.Encoder().encode


class OrderNote(Struct, frozen=True, kw_only=True):
    """One order's note. `total_minor` and `currency` are both there or neither."""

    order_id: OrderId
    tenant_id: TenantId
    market_id: MarketId
    customer_id: CustomerId
    restaurant_id: RestaurantId
    external_id: str | None = None
    total_minor: int | None = None
    currency: str | None = None
    asked: Asked


class Kept(Enum):
    """What became of a note that was to be kept."""

    KEPT = auto()
    EXTERNAL_ID_TAKEN = auto()


async def keep(database: Database, note: OrderNote) -> Kept:
    """Keep a note, unless another order has its external id; one that is there stays as it is."""
    columns = _columns(note)

    async def write(there: Connection) -> Kept:
        if await there.fetchval(SQL["keep"], *columns) is not None:
            return Kept.KEPT
        if await there.fetchval(SQL["is_kept"], note.order_id):
            return Kept.KEPT
        await there.execute(SQL["forget_abandoned"], note.tenant_id, note.external_id, ABANDONED_S)
        made = await there.fetchval(SQL["keep"], *columns)
        return Kept.EXTERNAL_ID_TAKEN if made is None else Kept.KEPT

    return await database.call(write)


async def drop(database: Database, order_id: OrderId) -> None:
    """Drop the note of an order that was refused; that of one that exists stays."""
    await database.call(lambda there: there.execute(SQL["drop"], order_id))


async def find_order_id(
    database: Database, tenant_id: TenantId, external_id: str
) -> OrderId | None:
    """Return which order of the tenant has that id of its own."""
    return await database.call(
        lambda there: there.fetchval(SQL["find_order_id"], tenant_id, external_id)
    )


async def fetch_own(
    database: Database, tenant_id: TenantId, order_ids: Sequence[OrderId]
) -> frozenset[OrderId]:
    """Return which of these orders are the tenant's."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_own"], tenant_id, list(order_ids))
    )
    return frozenset(OrderId(row["order_id"]) for row in rows)


def _columns(note: OrderNote) -> tuple[object, ...]:
    return (
        note.order_id,
        note.tenant_id,
        note.market_id,
        note.customer_id,
        note.restaurant_id,
        note.external_id,
        note.total_minor,
        note.currency,
        _encode(note.asked).decode(),
    )
