"""How much each may ask for, as all nodes together keep it: token buckets in Redis.

A bucket is one number, the instant at which it will be full again: whoever takes tokens moves it on
by the time that they take to come back, and it never lies further ahead than a whole bucket takes.
So a bucket that nobody uses is a key that has expired. The script does it in one step on the
server, by the server's own clock, so nodes need not agree on the time.
"""

from msgspec import Struct, convert

from storage.redis import RedisServer

TAKE_S = 0.05
"""Time a round trip has: who asks is waiting for it, and there is another way."""

_TAKE = """\
local t = redis.call('time')
local now = t[1] * 1000000 + t[2]
local each, whole, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = math.max(tonumber(redis.call('get', KEYS[1]) or '0'), now)
local given = math.min(wanted, math.floor((whole - (full_at - now)) / each))
if given < 1 then return {0, full_at - now} end
full_at = full_at + given * each
redis.call('set', KEYS[1], string.format('%.0f', full_at), 'px', math.ceil((full_at - now) / 1000))
return {given, full_at - now}
"""
"""Takes up to so many tokens. Answers how many it got, and in how many microseconds it is full."""

_US_PER_S = 1_000_000


class Bucket(Struct, frozen=True):
    """Whose bucket, how many tokens it holds, and how many come back in a second."""

    name: str
    burst: int
    per_s: float


class Taken(Struct, frozen=True, kw_only=True):
    """How many tokens there were for the taker, and how long until the bucket is full."""

    tokens: int
    full_s: float


class RedisBuckets:
    """The buckets of a cluster."""

    def __init__(self, server: RedisServer, cluster: str, take_s: float = TAKE_S) -> None:
        """Keep them beside those of other clusters; wait `take_s` for an answer."""
        self._server = server
        self._take_s = take_s
        self._prefix = f"{cluster}:limit:"

    async def take(self, bucket: Bucket, tokens_max: int = 1) -> Taken:
        """Take as many tokens as there are, up to `tokens_max`.

        Raises `RedisUnreachable`, also when the answer does not come at once.
        """
        each_us = round(_US_PER_S / bucket.per_s)
        key = f"{self._prefix}{bucket.name}"
        command = ("eval", _TAKE, 1, key, each_us, each_us * bucket.burst, tokens_max)
        (reply,) = await self._server.exchange([command], self._take_s)
        tokens, full_us = convert(reply, tuple[int, int])
        return Taken(tokens=tokens, full_s=full_us / _US_PER_S)
