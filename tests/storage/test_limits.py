"""The buckets in Redis: as many tokens as they hold, however many nodes take them."""

import pytest
import trio

from storage.bridge import bridged
from storage.limits import Bucket, RedisBuckets
from storage.redis import RedisUnreachable, redis_server

SLOW = Bucket("read:usr_1", burst=5, per_s=0.001)


async def test_a_bucket_gives_as_many_tokens_as_it_holds(redis_url: str) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        buckets = RedisBuckets(server, "test", 5.0)
        taken = [await buckets.take(SLOW) for _ in range(7)]

    assert [one.tokens for one in taken] == [1] * 5 + [0] * 2
    assert taken[0].full_s == 1000
    assert 4990 < taken[-1].full_s <= 5000


async def test_nodes_that_take_at_once_never_take_more_than_there_is(redis_url: str) -> None:
    tokens: list[int] = []

    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        nodes = [RedisBuckets(server, "test", 5.0), RedisBuckets(server, "test", 5.0)]

        async def take(node: RedisBuckets) -> None:
            tokens.append((await node.take(SLOW, 2)).tokens)

        async with trio.open_nursery() as nursery:
            for count in range(20):
                nursery.start_soon(take, nodes[count % 2])

    assert sum(tokens) == 5
    assert sorted(tokens)[-3:] == [1, 2, 2]


async def test_each_has_a_bucket_of_his_own_which_is_forgotten_when_full(redis_url: str) -> None:
    quick = Bucket("read:usr_2", burst=5, per_s=100.0)

    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        buckets = RedisBuckets(server, "test", 5.0)
        others = RedisBuckets(server, "another", 5.0)
        for _ in range(5):
            await buckets.take(SLOW)
        mine = await buckets.take(quick)
        elsewhere = await others.take(SLOW)
        keys, life_ms = await server.exchange(
            [("keys", "*:limit:*"), ("pttl", "test:limit:read:usr_1")]
        )

    assert mine.tokens == 1
    assert elsewhere.tokens == 1
    assert isinstance(keys, list)
    assert b"test:limit:read:usr_1" in keys
    assert isinstance(life_ms, int)
    assert 4_990_000 < life_ms <= 5_000_000


async def test_a_bucket_that_cannot_be_reached_says_so() -> None:
    async with bridged() as bridge, redis_server(bridge, "redis://127.0.0.1:1") as server:
        with pytest.raises(RedisUnreachable):
            await RedisBuckets(server, "test", 5.0).take(SLOW)
