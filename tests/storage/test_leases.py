"""The table of leases in Postgres does what every table of leases must, on a real server."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from dispatch.ids import MarketId, ShardId
from dispatch.lease import LeasesUnreachable, NodeId
from storage.bridge import Bridge, bridged
from storage.database import Database
from storage.leases import TERMS, PostgresLeases, ensure
from storage.markets import MarketRow, fetch_all, save
from tests.storage.lease_conformance import ANN, BOB, LONG_S, ONE, TWO, LeaseConformance, Table, row

CUT = """
    select pg_terminate_backend(pid, 5000) from pg_locks join node on lock_number::oid = objid
    where node = $1 and locktype = 'advisory'
"""


class _PostgresTable:
    """A table in a database, with a pool of connections for each node."""

    def __init__(self, bridge: Bridge, url: str, ttl_s: float) -> None:
        self._bridge, self._url, self._ttl_s = bridge, url, ttl_s
        self.database = Database(bridge, url)
        self._opened = [self.database]

    async def ensure(self, shards: Sequence[ShardId]) -> None:
        await ensure(self.database, shards)

    def seat(self, node: NodeId) -> PostgresLeases:
        del node
        self._opened.append(Database(self._bridge, self._url, TERMS))
        return PostgresLeases(self._opened[-1], self._ttl_s)

    async def cut(self, node: NodeId) -> None:
        assert await self.database.call(lambda connection: connection.fetchval(CUT, node))

    async def close(self) -> None:
        for database in self._opened:
            await database.close()


@asynccontextmanager
async def _postgres(url: str, ttl_s: float) -> AsyncGenerator[_PostgresTable]:
    async with bridged() as bridge:
        table = _PostgresTable(bridge, url, ttl_s)
        try:
            yield table
        finally:
            await table.close()


class TestPostgresLeases(LeaseConformance):
    @pytest.fixture(autouse=True)
    def _given(self, database: str) -> None:
        self._url = database

    def fresh(self, ttl_s: float) -> AbstractAsyncContextManager[Table]:
        return _postgres(self._url, ttl_s)


async def test_what_an_older_session_sends_late_changes_nothing(database: str) -> None:
    async with _postgres(database, LONG_S) as table:
        await table.ensure([ONE, TWO])
        ann = table.seat(ANN)
        await ann.join(row(ANN))
        number = await table.database.call(lambda c: c.fetchval("select lock_number from node"))
        await table.cut(ANN)
        with pytest.raises(LeasesUnreachable):
            await ann.look()
        await ann.join(row(ANN))
        await ann.claim(ONE)

        late = await table.database.call(
            lambda c: c.fetchrow(
                "select renew_leases($1, $2, 0, '{}', '{}', 9), claim_lease($1, $2, 2, 9),"
                " release_lease($1, $2, 1), leave_leases($1, $2)",
                ANN,
                number,
            )
        )
        view = await ann.look()

    assert late is not None
    assert list(late) == [None] * 4
    assert [node.node for node in view.nodes] == [ANN]
    assert [lease.node for lease in view.leases] == [ANN, None]


async def test_a_server_that_lost_all_locks_makes_nobody_look_dead(database: str) -> None:
    async with _postgres(database, LONG_S) as table:
        await table.ensure([ONE])
        ann, bob = table.seat(ANN), table.seat(BOB)
        await ann.join(row(ANN))
        await ann.claim(ONE)
        await bob.join(row(BOB))

        await table.database.call(
            lambda c: c.execute("update node set lock_era = 'before the crash' where node = 'ann'")
        )
        await table.cut(ANN)
        view = await bob.look()

        assert [node.is_alive for node in view.nodes] == [True, True]
        assert not await bob.claim(ONE)


async def test_a_node_long_dead_is_taken_off_the_list(database: str) -> None:
    async with _postgres(database, LONG_S) as table:
        ann, bob = table.seat(ANN), table.seat(BOB)
        await ann.join(row(ANN))
        await table.cut(ANN)
        await table.database.call(
            lambda c: c.execute("update node set renewed_at = renewed_at - interval '2 minutes'")
        )

        await bob.join(row(BOB))
        view = await bob.look()

    assert [node.node for node in view.nodes] == [BOB]


async def test_a_market_brings_its_shard_and_can_be_given_other_settings(database: str) -> None:
    first = MarketRow(market_id=MarketId("mkt_a"), shard=ONE, cells=(7, 2**62), settings=b"{}")
    second = MarketRow(market_id=MarketId("mkt_b"), shard=TWO)
    changed = MarketRow(market_id=MarketId("mkt_a"), shard=ONE, cells=(7,), settings=b"\x00\xff")

    async with _postgres(database, LONG_S) as table:
        for market in (second, first, changed):
            await save(table.database, market)
        markets = await fetch_all(table.database)
        ann = table.seat(ANN)
        await ann.join(row(ANN))
        view = await ann.look()

    assert markets == [changed, second]
    assert [lease.shard for lease in view.leases] == [ONE, TWO]
