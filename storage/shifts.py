"""The shifts of couriers, as the shards in which they work committed them last.

Where a courier works is what the table of couriers says, written with his state. A shift is begun
in one shard at a time: who starts one says so first, and nobody else starts him elsewhere until he
has settled it, or until `START_S` are over, longer than any start can be under way.
"""

from collections.abc import Sequence

from asyncpg import Record
from msgspec import Struct, msgpack

from dispatch.courier_state import Courier
from dispatch.ids import CourierId, ShardId, TenantId
from storage.database import Database
from storage.queries import queries

SQL = queries("shifts")
START_S = 30.0


class ShiftRow(Struct, frozen=True, kw_only=True):
    """In which shard a courier works or last worked, and his state there."""

    shard: ShardId
    courier: Courier


_courier = msgpack.Decoder(Courier).decode


async def find(database: Database, courier_id: CourierId) -> ShiftRow | None:
    """Return where the courier works or last worked; None if he never did."""
    row = await database.call(lambda there: there.fetchrow(SQL["find"], courier_id))
    return None if row is None else _row(row)


async def find_of_tenant(
    database: Database, tenant_id: TenantId, courier_id: str
) -> ShiftRow | None:
    """Return the same of a courier who belongs to that tenant."""
    row = await database.call(
        lambda there: there.fetchrow(SQL["find_of_tenant"], tenant_id, courier_id)
    )
    return None if row is None else _row(row)


async def fetch_page(
    database: Database,
    tenant_id: TenantId,
    *,
    after: str = "",
    limit: int,
    market_id: str | None = None,
) -> Sequence[ShiftRow]:
    """Return the shifts of a tenant's couriers who are not off, by courier, behind that id."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_page"], tenant_id, after, market_id, limit)
    )
    return [_row(row) for row in rows]


async def begin(
    database: Database, courier_id: CourierId, shard: ShardId, *, start_s: float = START_S
) -> bool:
    """Say that he is about to start there; False while he is about to start elsewhere."""
    done = await database.call(
        lambda there: there.execute(SQL["begin"], courier_id, shard, start_s)
    )
    return done == "INSERT 0 1"


async def settle(database: Database, courier_id: CourierId, shard: ShardId) -> None:
    """Say that it is known whether he has started there."""
    await database.call(lambda there: there.execute(SQL["settle"], courier_id, shard))


def _row(row: Record) -> ShiftRow:
    return ShiftRow(shard=row["shard"], courier=_courier(row["state"]))
