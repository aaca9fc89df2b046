"""The table of couriers, made from the couriers' own states in the commit itself.

A courier lives in one shard at a time. Once he has gone to another, the state that he leaves behind
says nothing about him any more, and must not overwrite the row that his new shard writes.

To whom a courier belongs is said by his account: what is read here is a tenant's courier, who has
no place to work in before his first shift.
"""

from collections.abc import Iterable, Sequence

from asyncpg import Record
from msgspec import Struct, msgpack

from dispatch.courier_state import Stage
from dispatch.ids import CourierId, Instant, MarketId, ShardId, TenantId
from dispatch.journal import Checkpoint
from storage.database import Database
from storage.queries import queries

KIND = "courier"
SQL = queries("couriers")


class CourierView(Struct, frozen=True, gc=False):
    """What the table holds of a courier; the rest of his state is not even read."""

    courier_id: CourierId
    market_id: MarketId
    stage: Stage


_decode = msgpack.Decoder(CourierView).decode


def courier_columns(checkpoints: Iterable[Checkpoint]) -> list[list[object]]:
    """Return the columns of the couriers among the checkpoints, as `commit_batch` takes them."""
    states = [_decode(row.state) for row in checkpoints if row.kind == KIND]
    couriers = [courier for courier in states if courier.stage is not Stage.GONE]
    return [
        [courier.courier_id for courier in couriers],
        [courier.market_id for courier in couriers],
        [courier.stage for courier in couriers],
    ]


class CourierRow(Struct, frozen=True, kw_only=True):
    """A tenant's courier: where he works or last worked, and since when he is in that stage."""

    courier_id: CourierId
    name: str
    shard: ShardId | None
    market_id: MarketId | None
    stage: Stage
    since: Instant | None


class Narrowed(Struct, frozen=True, kw_only=True):
    """Which couriers to list: behind that id, of one market or stage if it is named."""

    after: str = ""
    market_id: str | None = None
    stage: Stage | None = None
    count_max: int


async def find(database: Database, tenant_id: TenantId, courier_id: CourierId) -> CourierRow | None:
    """Return a courier of the tenant."""
    row = await database.call(lambda there: there.fetchrow(SQL["find"], tenant_id, courier_id))
    return None if row is None else _row(row)


async def fetch_page(
    database: Database, tenant_id: TenantId, narrowed: Narrowed
) -> Sequence[CourierRow]:
    """Return the tenant's couriers by their ids."""
    told = (narrowed.after, narrowed.market_id, narrowed.stage, narrowed.count_max)
    rows = await database.call(lambda there: there.fetch(SQL["fetch_page"], tenant_id, *told))
    return [_row(row) for row in rows]


def _row(row: Record) -> CourierRow:
    return CourierRow(
        courier_id=row["courier_id"],
        name=row["name"],
        shard=row["shard"],
        market_id=row["market_id"],
        stage=Stage(row["stage"]),
        since=row["since"],
    )
