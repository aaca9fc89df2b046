"""What markets have learned of one thing, as one value for each shard in Redis.

It is a copy for the next owner and for nodes that do not have the shard: whoever has it writes it
each minute, the latest wins, and what was lost is learned again.
"""

from msgspec import DecodeError, msgpack

from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import ShardId
from storage.redis import EXCHANGE_S, Command, RedisServer, RedisUnreachable, Reply

TTL_S = 30 * 86_400
"""A market that has rested for longer begins anew."""
SAVE_S = 5.0
BYTES_MAX = 64 * 1024 * 1024


class RedisLearned[T]:
    """What all markets of a cluster know of one thing. All calls raise `EstimatesUnreachable`."""

    def __init__(self, server: RedisServer, cluster: str, noun: str, kind: type[T]) -> None:
        """Keep what is of this kind, and called so, beside that of other clusters."""
        self._server = server
        self._prefix = f"{cluster}:{noun}:"
        self._decoder = msgpack.Decoder(kind)

    async def save(self, shard: ShardId, learned: T) -> None:
        """Write what a market has learned, over what it had."""
        written = msgpack.encode(learned)
        if len(written) <= BYTES_MAX:
            await self._exchange(("set", self._key(shard), written, "ex", TTL_S), SAVE_S)

    async def load(self, shard: ShardId) -> T | None:
        """Return what a market had learned; None for nothing, or what cannot be read."""
        reply = await self._exchange(("get", self._key(shard)), EXCHANGE_S)
        return self._find(reply) if isinstance(reply, bytes) else None

    async def _exchange(self, command: Command, timeout_s: float) -> Reply:
        try:
            (reply,) = await self._server.exchange([command], timeout_s)
        except RedisUnreachable as error:
            raise EstimatesUnreachable(str(error)) from error
        return reply

    def _find(self, value: bytes) -> T | None:
        """Return what was written, None if it is of another version or damaged."""
        try:
            return self._decoder.decode(value)
        except (DecodeError, ValueError, RecursionError):
            return None

    def _key(self, shard: ShardId) -> str:
        return f"{self._prefix}{shard}"
