"""What the two servers say of themselves: versions, roles, and whether they keep what is told.

Only what a node depends on is asked for, and nothing is judged here: what is good enough, and what
to do about the rest, is the doctor's to say.
"""

import re

from msgspec import Struct, convert

from dispatch.ids import Instant
from storage.database import Database
from storage.queries import queries
from storage.redis import RedisServer

_SQL = queries("health")


class DatabaseHealth(Struct, frozen=True):
    """How a Postgres stands. `version` is like 180006; `now` is the time that it has.

    `awaits_standby` is whether it acknowledges only what is on a standby too.
    """

    version: int
    is_standby: bool
    now: Instant
    is_durable: bool
    connections_max: int
    awaits_standby: bool = False


class RedisHealth(Struct, frozen=True, kw_only=True):
    """How a Redis or a Valkey stands. `version` is like (9, 1); policies are in its own words."""

    product: str
    version: tuple[int, int]
    role: str
    eviction: str
    is_kept: bool


async def database_health(database: Database) -> DatabaseHealth:
    """Ask a database how it stands; raises DatabaseUnreachable or DatabaseRefused."""
    row = await database.call(lambda connection: connection.fetchrow(_SQL["fetch_health"]))
    assert row is not None
    return DatabaseHealth(*row)


async def redis_health(server: RedisServer) -> RedisHealth:
    """Ask a server how it stands; raises RedisUnreachable."""
    (reply,) = await server.exchange([("INFO",)])
    told = dict(re.findall(r"^(\w+):(.*?)\r?$", convert(reply, bytes).decode(), re.MULTILINE))
    product = "Valkey" if "valkey_version" in told else "Redis"
    major, minor = re.findall(r"\d+", told[f"{product.lower()}_version"])[:2]
    return RedisHealth(
        product=product,
        version=(int(major), int(minor)),
        role=told["role"],
        eviction=told["maxmemory_policy"],
        is_kept=told["aof_enabled"] == "1",
    )
