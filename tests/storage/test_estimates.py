"""What markets learned is read back as it was written last, and damage is no reason to fail."""

import pytest

from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import ShardId
from geo.eta import Eta, Observation, Part
from storage.bridge import bridged
from storage.estimates import TTL_S, RedisEstimates
from storage.redis import redis_server

SHARD, OTHER = ShardId(11), ShardId(12)
KEY = f"tests:eta:{SHARD}"
LEARNED = Eta().learned(Observation(Part.RIDE, "18", 1.25))
MORE = LEARNED.learned(Observation(Part.DOOR, "18", 75.0))


async def test_a_market_is_read_as_it_was_written_last(redis_url: str) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        store = RedisEstimates(server, "tests")
        await store.save(SHARD, LEARNED)
        await store.save(SHARD, MORE)

        found, (left_s,) = await store.load(SHARD), await server.exchange([("ttl", KEY)], 5.0)

    assert found == MORE
    assert left_s == TTL_S


async def test_a_market_that_was_never_written_is_unknown(redis_url: str) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        found = await RedisEstimates(server, "tests").load(OTHER)

    assert found is None


@pytest.mark.parametrize(
    "written",
    [b"", b"\x93\x01", b"\x81\xa5parts\x81\xa9future-on\x80", b"\x81\xa5parts\x01"],
    ids=("empty", "cut off", "a part of a later version", "another shape"),
)
async def test_what_cannot_be_read_counts_as_nothing(redis_url: str, written: bytes) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        await server.exchange([("set", KEY, written)], 5.0)

        found = await RedisEstimates(server, "tests").load(SHARD)

    assert found is None


async def test_a_server_that_is_away_is_named_as_such() -> None:
    async with bridged() as bridge, redis_server(bridge, "redis://127.0.0.1:1/0") as server:
        store = RedisEstimates(server, "tests")

        with pytest.raises(EstimatesUnreachable):
            await store.load(SHARD)
