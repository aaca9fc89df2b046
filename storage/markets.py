"""The markets that are run, each in a shard of its own, in Postgres.

What a market is run with is kept as the bytes of a Struct that only the node reads.
"""

from collections.abc import Sequence

from msgspec import Struct

from dispatch.ids import MarketId, ShardId
from storage.database import Database
from storage.queries import queries

_SQL = queries("markets")


class MarketRow(Struct, frozen=True, kw_only=True):
    """A market: its shard, the H3 cells that it covers, and its settings."""

    market_id: MarketId
    shard: ShardId
    cells: tuple[int, ...] = ()
    settings: bytes = b""


async def save(database: Database, market: MarketRow) -> None:
    """Write a market, and have its shard exist; a market that is there keeps the shard it has."""
    cells = list(market.cells)
    await database.call(
        lambda connection: connection.execute(
            _SQL["save"], market.market_id, market.shard, cells, market.settings
        )
    )


async def fetch_all(database: Database) -> Sequence[MarketRow]:
    """Return all markets in the order of their ids."""
    rows = await database.call(lambda connection: connection.fetch(_SQL["fetch_all"]))
    return [
        MarketRow(
            market_id=MarketId(market_id),
            shard=ShardId(shard),
            cells=tuple(cells),
            settings=settings,
        )
        for market_id, shard, cells, settings in rows
    ]
