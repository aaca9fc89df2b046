"""Attempts are counted alike in Redis and in memory, and go on being counted without Redis."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from storage.attempts import RedisAttempts
from storage.bridge import bridged
from storage.memory_attempts import BUCKETS_MAX, MemoryAttempts
from storage.redis import redis_server
from wire.accounts import Bucket, Lockout

LOCKOUT = Lockout(free=2, s_max=4.0, kept_s=60.0)
PAIR = Bucket(name="pair", lockout=LOCKOUT, is_reset=True)
ADDRESS = Bucket(name="address", lockout=Lockout(free=4, s_max=4.0, kept_s=60.0))
STORES = pytest.mark.parametrize("is_redis", [False, True], ids=["memory", "redis"])


class Attempts(Protocol):
    async def begin(self, buckets: tuple[Bucket, ...]) -> float: ...

    async def forgive(self, buckets: tuple[Bucket, ...]) -> None: ...


@asynccontextmanager
async def opened(url: str, *, is_redis: bool) -> AsyncGenerator[Attempts]:
    """Attempts at an instant that does not pass, as far as memory is concerned."""
    here = MemoryAttempts(lambda: 0.0)
    if not is_redis:
        yield here
        return
    async with bridged() as bridge, redis_server(bridge, url) as redis:
        yield RedisAttempts(redis, "test", here)


@STORES
async def test_attempts_are_free_at_first_and_then_wait(redis_url: str, *, is_redis: bool) -> None:
    async with opened(redis_url, is_redis=is_redis) as attempts:
        waits_s = [await attempts.begin((PAIR,)) for _ in range(4)]

    assert waits_s[:3] == [0, 0, 0]
    assert 0 < waits_s[3] <= 1.0


@STORES
async def test_an_attempt_that_waits_does_not_count(redis_url: str, *, is_redis: bool) -> None:
    async with opened(redis_url, is_redis=is_redis) as attempts:
        for _ in range(50):
            await attempts.begin((PAIR,))
        wait_s = await attempts.begin((PAIR,))

    assert 0 < wait_s <= 1.0, "fifty attempts in a row lock no longer than three"


@STORES
async def test_a_success_resets_what_is_ones_own_and_takes_one_back_elsewhere(
    redis_url: str, *, is_redis: bool
) -> None:
    both = (PAIR, ADDRESS)
    async with opened(redis_url, is_redis=is_redis) as attempts:
        for _ in range(2):
            await attempts.begin(both)
        await attempts.forgive(both)
        own_s = [await attempts.begin((PAIR,)) for _ in range(4)]
        elsewhere_s = [await attempts.begin((ADDRESS,)) for _ in range(5)]

    assert [wait_s > 0 for wait_s in own_s] == [False, False, False, True]
    assert [wait_s > 0 for wait_s in elsewhere_s] == [False, False, False, False, True]


async def test_a_wait_ends_and_counts_are_forgotten() -> None:
    now_s = 0.0
    attempts = MemoryAttempts(lambda: now_s)
    for _ in range(3):
        await attempts.begin((PAIR,))

    now_s = 1.0
    fourth_s = await attempts.begin((PAIR,))
    fifth_s = await attempts.begin((PAIR,))
    now_s = 100.0
    later_s = [await attempts.begin((PAIR,)) for _ in range(3)]

    assert (fourth_s, fifth_s) == (0, 2)
    assert later_s == [0, 0, 0]


async def test_without_redis_each_node_counts_by_itself() -> None:
    async with opened("redis://127.0.0.1:1/0", is_redis=True) as attempts:
        waits_s = [await attempts.begin((PAIR,)) for _ in range(4)]
        await attempts.forgive((PAIR,))
        afterwards_s = await attempts.begin((PAIR,))

    assert waits_s == [0, 0, 0, 1]
    assert afterwards_s == 0


async def test_counts_of_a_process_have_a_limit() -> None:
    attempts = MemoryAttempts(lambda: 0.0)

    for number in range(BUCKETS_MAX + 10):
        await attempts.begin((Bucket(name=str(number), lockout=LOCKOUT),))

    kept = [await attempts.begin((Bucket(name="0", lockout=LOCKOUT),)) for _ in range(3)]
    assert kept == [0, 0, 0]
    assert len(attempts) == BUCKETS_MAX
