"""The restaurants as their tenants describe them, and what their actors committed last.

A row says where a restaurant is and how it is to be run; each change of it has a version, which its
actor is told with it. What the restaurant does at the moment is read from the actor's checkpoint,
beside the row: nothing is decided by that, it is for showing.
"""

from collections.abc import Sequence
from enum import Enum, auto

import msgspec
from asyncpg import Connection, Record, UniqueViolationError
from msgspec import Struct

from dispatch.hours import Hours
from dispatch.ids import Instant, MarketId, RestaurantId, ShardId, TenantId
from dispatch.restaurant import Restaurant
from storage.database import Database
from storage.queries import queries
from wire.orders import Address

SQL = queries("restaurants")


class RestaurantRow(Struct, frozen=True, kw_only=True):
    """One restaurant. `change_id` names the change that wrote the row last.

    `external_id` is its tenant's own name for it. Once it has `ended_at` it is history.
    """

    restaurant_id: RestaurantId
    tenant_id: TenantId
    market_id: MarketId
    shard: ShardId
    name: str
    lat: float
    lng: float
    address: Address = Address()
    phone: str | None = None
    hours: Hours | None = None
    capacity_max: int = 100
    prep_s: float | None = None
    busy_prep_s: float = 0.0
    auto_accepts: bool = True
    external_id: str | None = None
    version: int = 1
    change_id: str = ""
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    ended_at: Instant | None = None


class Written(Enum):
    """What became of a row that was to be written."""

    WRITTEN = auto()
    EXTERNAL_ID_TAKEN = auto()
    OVERTAKEN = auto()


class Kept(Struct, frozen=True):
    """A restaurant, and the state that its actor committed last; None if it never had any."""

    row: RestaurantRow
    state: Restaurant | None


_state = msgspec.msgpack.Decoder(Restaurant).decode
_hours = msgspec.json.Decoder(Hours).decode
_address = msgspec.json.Decoder(Address).decode


async def create(database: Database, row: RestaurantRow) -> Written:
    """Write a new restaurant, unless another of its tenant has its external id.

    One of that id that is there already stays as it is.
    """
    names = (row.restaurant_id, row.tenant_id, row.market_id, row.shard)
    columns = (row.name, row.lat, row.lng, *_settings(row))

    async def write(there: Connection) -> Written:
        if await there.fetchval(SQL["create"], *names, *columns) is not None:
            return Written.WRITTEN
        is_there = await there.fetchval(SQL["is_created"], row.restaurant_id)
        return Written.WRITTEN if is_there else Written.EXTERNAL_ID_TAKEN

    return await database.call(write)


async def save(database: Database, row: RestaurantRow) -> Written:
    """Write the restaurant over the version that it names, unless it is another or has ended."""
    columns = (row.name, row.lat, row.lng, *_settings(row))

    async def write(there: Connection) -> Written:
        try:
            done = await there.fetchval(SQL["save"], row.restaurant_id, row.version, *columns)
        except UniqueViolationError:
            return Written.EXTERNAL_ID_TAKEN
        return Written.OVERTAKEN if done is None else Written.WRITTEN

    return await database.call(write)


async def end(database: Database, restaurant_id: RestaurantId) -> None:
    """Note that the restaurant has closed for good; one that had stays as it was."""
    await database.call(lambda there: there.execute(SQL["end"], restaurant_id))


async def find(database: Database, restaurant_id: str) -> RestaurantRow | None:
    """Return the restaurant of that id."""
    row = await database.call(lambda there: there.fetchrow(SQL["find"], restaurant_id))
    return None if row is None else _row(row)


async def find_restaurant_id(
    database: Database, tenant_id: TenantId, external_id: str
) -> RestaurantId | None:
    """Return which restaurant of the tenant has that id of its own, and has not ended."""
    return await database.call(
        lambda there: there.fetchval(SQL["find_by_external_id"], tenant_id, external_id)
    )


async def find_kept(database: Database, restaurant_id: str) -> Kept | None:
    """Return the restaurant of that id with its state."""
    row = await database.call(lambda there: there.fetchrow(SQL["find_kept"], restaurant_id))
    return None if row is None else _kept(row)


async def fetch_page(
    database: Database,
    tenant_id: TenantId,
    *,
    after: str = "",
    limit: int,
    market_id: str | None = None,
    restaurant_ids: Sequence[str] | None = None,
) -> Sequence[Kept]:
    """Return a tenant's restaurants behind that id that have not ended, by their ids.

    Only those of `restaurant_ids`, if any are given.
    """
    ids = None if restaurant_ids is None else list(restaurant_ids)
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_page"], tenant_id, after, market_id, ids, limit)
    )
    return [_kept(row) for row in rows]


def _settings(row: RestaurantRow) -> tuple[object, ...]:
    """Return what can be changed but name and place, in the order of the statements."""
    return (
        msgspec.json.encode(row.address).decode(),
        row.phone,
        None if row.hours is None else msgspec.json.encode(row.hours).decode(),
        row.capacity_max,
        row.prep_s,
        row.busy_prep_s,
        row.auto_accepts,
        row.external_id,
        row.change_id,
    )


def _kept(row: Record) -> Kept:
    state = row["state"]
    return Kept(_row(row), None if state is None else _state(state))


def _row(row: Record) -> RestaurantRow:
    hours = row["hours"]
    return RestaurantRow(
        restaurant_id=row["restaurant_id"],
        tenant_id=row["tenant_id"],
        market_id=row["market_id"],
        shard=row["shard"],
        name=row["name"],
        lat=row["lat"],
        lng=row["lng"],
        address=_address(row["address"]),
        phone=row["phone"],
        hours=None if hours is None else _hours(hours),
        capacity_max=row["capacity_max"],
        prep_s=row["prep_s"],
        busy_prep_s=row["busy_prep_s"],
        auto_accepts=row["auto_accepts"],
        external_id=row["external_id"],
        version=row["version"],
        change_id=row["change_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
    )
