"""Attempts to sign in, counted in Redis for all nodes; without Redis, each node counts its own.

An attempt is counted before its password is looked at, so that a thousand at once are as many as a
thousand in a row. One that has to wait is not counted: what others try can delay a person, and
never keep him out.
"""

from collections.abc import Sequence

from msgspec import convert

from storage.memory_attempts import MemoryAttempts
from storage.redis import Command, RedisServer, RedisUnreachable
from wire.accounts import Bucket

ASK_S = 0.25
"""Time that Redis has; when it is over the node counts by itself."""

_BEGIN = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local wait_ms = 0
for _, key in ipairs(KEYS) do
    wait_ms = math.max(wait_ms, tonumber(redis.call('HGET', key, 'until') or '0') - now_ms)
end
if wait_ms > 0 then
    return wait_ms
end
for place, key in ipairs(KEYS) do
    local free = tonumber(ARGV[3 * place - 2])
    local surplus = redis.call('HINCRBY', key, 'count', 1) - free
    local lock_ms = 0
    if surplus > 0 then
        lock_ms = math.min(tonumber(ARGV[3 * place - 1]), 1000 * 2 ^ math.min(surplus - 1, 30))
    end
    redis.call('HSET', key, 'until', string.format('%.0f', now_ms + lock_ms))
    redis.call('PEXPIRE', key, ARGV[3 * place])
end
return 0
"""
_FORGIVE = """
for place, key in ipairs(KEYS) do
    if ARGV[place] == '1' then
        redis.call('DEL', key)
    elseif redis.call('EXISTS', key) == 1 then
        redis.call('HSET', key, 'until', '0')
        if redis.call('HINCRBY', key, 'count', -1) < 0 then
            redis.call('HSET', key, 'count', '0')
        end
    end
end
return 0
"""


class RedisAttempts:
    """Counts that all nodes of a cluster share, and this node's own while Redis is away."""

    def __init__(self, redis: RedisServer, cluster: str, here: MemoryAttempts) -> None:
        self._redis = redis
        self._cluster = cluster
        self._here = here

    async def begin(self, buckets: Sequence[Bucket]) -> float:
        """Count an attempt and return 0; or count nothing, and return how long to wait."""
        limits: list[str | int] = []
        for bucket in buckets:
            lockout = bucket.lockout
            limits += [lockout.free, round(lockout.s_max * 1000), round(lockout.kept_s * 1000)]
        try:
            (wait_ms,) = await self._redis.exchange([self._script(_BEGIN, buckets, limits)], ASK_S)
        except RedisUnreachable:
            return await self._here.begin(buckets)
        return convert(wait_ms, int) / 1000

    async def forgive(self, buckets: Sequence[Bucket]) -> None:
        """Take the attempt back: it was good."""
        await self._here.forgive(buckets)
        resets: list[str | int] = [int(bucket.is_reset) for bucket in buckets]
        try:
            await self._redis.exchange([self._script(_FORGIVE, buckets, resets)], ASK_S)
        except RedisUnreachable:
            return

    def _script(
        self, script: str, buckets: Sequence[Bucket], arguments: Sequence[str | int]
    ) -> Command:
        # One hash tag, so that the keys of one script lie on one server of a Redis cluster.
        keys = [f"{{{self._cluster}:attempts}}:{bucket.name}" for bucket in buckets]
        return ("EVAL", script, len(keys), *keys, *arguments)
