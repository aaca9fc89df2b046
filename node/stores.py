"""The servers that a node stands on, as it reaches them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from node.config import Config
from storage import leases
from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable, Terms
from storage.migrate import check
from storage.redis import RedisServer, redis_server

EDGE = Terms(pool_max=12)
"""The edge of a node asks for many requests at once."""
LATE = Terms(host="prefer-standby", pool_max=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What a node's servers are reached by. The leases have connections that nobody else uses.

    `replica` is for reads that may be late; without one it is the database itself.
    """

    database: Database
    replica: Database
    leases: Database
    redis: RedisServer
    cluster: str


@asynccontextmanager
async def stored(config: Config) -> AsyncGenerator[Stores]:
    """Reach the servers of a node, and let go of them in the end."""
    assert config.database_url is not None
    assert config.redis_url is not None
    async with bridged() as bridge, redis_server(bridge, config.redis_url) as redis:
        database = Database(bridge, config.database_url, EDGE)
        hold = Database(bridge, config.database_url, leases.TERMS)
        late = config.replica_url and Database(bridge, config.replica_url, LATE)
        try:
            yield Stores(
                database=database,
                replica=late or database,
                leases=hold,
                redis=redis,
                cluster=config.cluster_name,
            )
        finally:
            with trio.CancelScope(shield=True):
                for one in (late, hold, database):
                    if one:
                        await one.close()


async def reached(database: Database, tell: Callable[[str], None]) -> None:
    """Wait for the database to answer, then see whether its schema is the one of this version.

    Raises DatabaseRefused, with one sentence, for what an operator must mend.
    """
    while True:
        try:
            return await check(database)
        except DatabaseUnreachable as error:
            tell(f"waiting: {error}")
            await trio.sleep(1)
