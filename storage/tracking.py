"""The links by which anybody who has one follows an order, and who belongs to a tenant.

A link's token is never stored, only its digest, so that whoever reads the table can follow nobody.
An order has a few links at most; a new one takes the place of the oldest.
"""

import hashlib

from asyncpg import Connection

from dispatch.ids import Instant, OrderId, TenantId
from storage.database import Database
from storage.queries import queries

SQL = queries("tracking")
LINKS_MAX = 8
"""Links of one order."""


async def create_link(
    database: Database, token: str, order_id: OrderId, expires_at: Instant
) -> None:
    """Have the token open the order until then; links that are over are forgotten."""

    async def write(there: Connection) -> None:
        await there.execute(SQL["forget_links"])
        await there.execute(SQL["create_link"], _digest(token), order_id, expires_at, LINKS_MAX)

    await database.call(write)


async def find_link(database: Database, token: str) -> OrderId | None:
    """Return the order that the token opens now."""
    found = await database.call(lambda there: there.fetchval(SQL["find_link"], _digest(token)))
    return None if found is None else OrderId(found)


async def is_of_tenant(database: Database, tenant_id: TenantId, person: str) -> bool:
    """Tell whether the person is a user, a courier, a restaurant or a customer of the tenant."""
    return await database.call(lambda there: there.fetchval(SQL["is_of_tenant"], tenant_id, person))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
