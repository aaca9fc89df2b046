"""Where each node takes requests and sockets, so that any of them can send a client to another.

A row stays when its node dies; whoever reads it goes by who is alive.
"""

from asyncpg import Connection
from msgspec import Struct

from dispatch.lease import NodeId
from storage.database import Database
from storage.queries import queries

SQL = queries("doors")
DOORS_MAX = 1_000
FORGOTTEN_S = 3_600.0


class DoorRow(Struct, frozen=True):
    """A node's door: `host:port` as clients reach it."""

    node: NodeId
    address: str


async def open_door(database: Database, row: DoorRow) -> None:
    """Say where a node's door is, and forget doors of nodes that are long gone."""

    async def write(there: Connection) -> None:
        await there.execute(SQL["open"], row.node, row.address)
        await there.execute(SQL["forget_old"], FORGOTTEN_S)

    await database.call(write)


async def close_door(database: Database, node: NodeId) -> None:
    """Say that a node has no door any more."""
    await database.call(lambda there: there.execute(SQL["close"], node))


async def fetch_doors(database: Database) -> tuple[DoorRow, ...]:
    """Return all doors, the newest first."""
    rows = await database.call(lambda there: there.fetch(SQL["fetch_all"], DOORS_MAX))
    return tuple([DoorRow(row["node"], row["address"]) for row in rows])
