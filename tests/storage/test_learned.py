"""What markets learned is read back as it was written last, and damage is no reason to fail."""

import pytest

from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import ShardId
from geo.eta import Eta, Observation, Part
from geo.travel import CalibratedPace, Ride
from storage.bridge import bridged
from storage.learned import TTL_S, RedisLearned
from storage.redis import RedisServer, redis_server

SHARD, OTHER = ShardId(11), ShardId(12)
KEY = f"tests:pace:{SHARD}"
LEARNED = CalibratedPace().learned(Ride(expected_s=300.0, took_s=450.0, hour=8))
MORE = LEARNED.learned(Ride(expected_s=300.0, took_s=400.0, hour=9))


def paces(server: RedisServer) -> RedisLearned[CalibratedPace]:
    return RedisLearned(server, "tests", "pace", CalibratedPace)


async def test_a_market_is_read_as_it_was_written_last_and_others_are_unknown(
    redis_url: str,
) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        await paces(server).save(SHARD, LEARNED)
        await paces(server).save(SHARD, MORE)

        found, other = await paces(server).load(SHARD), await paces(server).load(OTHER)
        (left_s,) = await server.exchange([("ttl", KEY)], 5.0)

    assert (found, other, left_s) == (MORE, None, TTL_S)


@pytest.mark.parametrize(
    "written",
    [b"", b"\x93\x01", b"\x81\xa4legs\x90", b"\x81\xa4legs\x01"],
    ids=("empty", "cut off", "a day of other hours", "another shape"),
)
async def test_what_cannot_be_read_counts_as_nothing(redis_url: str, written: bytes) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        await server.exchange([("set", KEY, written)], 5.0)

        found = await paces(server).load(SHARD)

    assert found is None


async def test_an_estimate_with_a_part_of_a_later_version_counts_as_nothing(redis_url: str) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        etas = RedisLearned(server, "tests", "eta", Eta)
        learned = Eta().learned(Observation(Part.RIDE, "18", 1.25))
        await etas.save(SHARD, learned)
        known = await etas.load(SHARD)
        written = b"\x81\xa5parts\x81\xa9future-on\x80"
        await server.exchange([("set", f"tests:eta:{SHARD}", written)], 5.0)

        found = await etas.load(SHARD)

    assert (known, found) == (learned, None)


async def test_a_server_that_is_away_is_named_as_such() -> None:
    async with bridged() as bridge, redis_server(bridge, "redis://127.0.0.1:1/0") as server:
        with pytest.raises(EstimatesUnreachable):
            await paces(server).load(SHARD)
