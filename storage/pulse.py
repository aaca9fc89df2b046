"""How a cluster, or one tenant in it, stands, in numbers that name nobody.

Orders are found by their ids, which sort by the time at which they were placed, and never more than
COUNTED_MAX of the newest are looked at, however many there are.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from asyncpg import Record
from msgspec import Struct

from dispatch.ids import Instant, TenantId, prefixed
from storage.database import Database
from storage.queries import queries

SQL = queries("pulse")
COUNTED_MAX = 20_000
LATEST_MAX = 8
_NO_CHANCE = bytes(10)


class Moved(NamedTuple):
    """An order that came to another status, and when."""

    status: str
    delivery_status: str
    at: Instant


class PulseRow(Struct, frozen=True, kw_only=True):
    """Orders placed since an instant by their status, couriers by their stage, and what moved."""

    orders: Mapping[str, int]
    couriers: Mapping[str, int]
    latest: tuple[Moved, ...]


async def fetch_pulse(
    database: Database, since: Instant, tenant_id: TenantId | None = None
) -> PulseRow:
    """Return how a tenant's orders and couriers stand; without one, how everybody's do."""
    first = prefixed("ord", since, _NO_CHANCE)
    whose, owner = ("", ()) if tenant_id is None else ("_of_tenant", (tenant_id,))

    async def fetch(name: str, *told: object) -> Sequence[Record]:
        query = SQL[f"{name}{whose}"]
        return await database.call(lambda there: there.fetch(query, *told, *owner))

    orders = await fetch("fetch_orders", first, COUNTED_MAX)
    couriers = await fetch("fetch_couriers")
    latest = await fetch("fetch_latest", first, COUNTED_MAX, LATEST_MAX)
    return PulseRow(
        orders={row["status"]: row["times"] for row in orders},
        couriers={row["stage"]: row["times"] for row in couriers},
        latest=tuple([_moved(row) for row in latest]),
    )


def _moved(row: Record) -> Moved:
    at: datetime = row["updated_at"]
    return Moved(row["status"], row["delivery_status"], Instant(round(at.timestamp() * 1_000)))
