"""The copy of positions: what was saved last is loaded, by the memory store and by Redis alike."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from msgspec import structs

from dispatch.ids import CourierId, Instant, ShardId
from dispatch.spot import PositionsUnreachable, Spot
from node.ports import Positions
from storage.bridge import bridged
from storage.memory_positions import MemoryPositions
from storage.positions import SAVED_MAX, TTL_S, RedisPositions
from storage.redis import RedisServer, redis_server

SHARD = ShardId(1)
KEY = f"tests:positions:{SHARD}"


def spot(name: str, lat: float = 55.6761, seen_at: int = 1_800_000_000_000) -> Spot:
    return Spot(CourierId(name), lat, 12.5683, 4.5, Instant(seen_at))


class PositionsConformance:
    """The suite. `fresh` gives a store with nothing in it."""

    def fresh(self) -> AbstractAsyncContextManager[Positions]:
        raise NotImplementedError

    async def test_a_shard_that_was_never_saved_has_nobody(self) -> None:
        async with self.fresh() as positions:
            loaded = await positions.load(SHARD)

        assert loaded == ()

    async def test_each_courier_is_loaded_where_he_was_saved_last(self) -> None:
        async with self.fresh() as positions:
            await positions.save(SHARD, [spot("ann"), spot("bob")])
            await positions.save(SHARD, [spot("bob", lat=55.7, seen_at=1_800_000_001_000)])
            loaded = await positions.load(SHARD)

        assert set(loaded) == {spot("ann"), spot("bob", lat=55.7, seen_at=1_800_000_001_000)}
        assert len(loaded) == 2

    async def test_shards_keep_their_couriers_apart(self) -> None:
        async with self.fresh() as positions:
            await positions.save(SHARD, [spot("ann")])
            await positions.save(ShardId(2), [spot("bob")])
            loaded = await positions.load(SHARD)

        assert loaded == (spot("ann"),)

    async def test_saving_nobody_changes_nothing(self) -> None:
        async with self.fresh() as positions:
            await positions.save(SHARD, [spot("ann")])
            await positions.save(SHARD, [])
            loaded = await positions.load(SHARD)

        assert loaded == (spot("ann"),)

    async def test_a_whole_city_is_saved_and_loaded(self) -> None:
        city = [spot(f"courier {number}") for number in range(2 * SAVED_MAX + 1)]

        async with self.fresh() as positions:
            await positions.save(SHARD, city)
            loaded = await positions.load(SHARD)

        assert sorted(loaded, key=structs.astuple) == sorted(city, key=structs.astuple)


@asynccontextmanager
async def _memory() -> AsyncGenerator[Positions]:
    yield MemoryPositions()


@asynccontextmanager
async def _redis(url: str) -> AsyncGenerator[tuple[RedisPositions, RedisServer]]:
    async with bridged() as bridge, redis_server(bridge, url) as server:
        yield RedisPositions(server, "tests"), server


@asynccontextmanager
async def _alone(url: str) -> AsyncGenerator[Positions]:
    async with _redis(url) as (positions, _):
        yield positions


class TestMemoryPositions(PositionsConformance):
    def fresh(self) -> AbstractAsyncContextManager[Positions]:
        return _memory()


class TestRedisPositions(PositionsConformance):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url

    def fresh(self) -> AbstractAsyncContextManager[Positions]:
        return _alone(self.url)


async def test_a_wiped_memory_has_nobody() -> None:
    positions = MemoryPositions()
    await positions.save(SHARD, [spot("ann")])

    positions.wipe()

    assert await positions.load(SHARD) == ()


async def test_a_courier_who_is_not_saved_again_is_forgotten_in_time(redis_url: str) -> None:
    async with _redis(redis_url) as (positions, server):
        await positions.save(SHARD, [spot("ann"), spot("bob")])
        await server.exchange([("hexpire", KEY, 1, "fields", 1, "ann")])
        await positions.save(SHARD, [spot("bob")])
        (ends,) = await server.exchange([("httl", KEY, "fields", 2, "ann", "bob")])

    assert ends == [1, TTL_S]


async def test_what_another_version_wrote_is_passed_over(redis_url: str) -> None:
    async with _redis(redis_url) as (positions, server):
        await positions.save(SHARD, [spot("ann")])
        await server.exchange([("hset", KEY, "bob", b"\xc1"), ("hset", KEY, "eve", b"\x91\x01")])
        loaded = await positions.load(SHARD)

    assert loaded == (spot("ann"),)


async def test_positions_of_a_server_that_is_away_are_out_of_reach() -> None:
    async with _redis("redis://127.0.0.1:1") as (positions, _):
        with pytest.raises(PositionsUnreachable, match="cannot be reached"):
            await positions.save(SHARD, [spot("ann")])
        with pytest.raises(PositionsUnreachable, match="cannot be reached"):
            await positions.load(SHARD)
