"""The copy of couriers' positions that a shard's next owner starts from.

A hash for each shard, with a field for each courier that ends by itself when nothing new has come
for `TTL_S`. It is a copy for the moment after a failover and nothing more: who has not been written
lately, or was lost with the server, is found again by his next ping.
"""

from collections.abc import Sequence

from msgspec import DecodeError, convert, msgpack

from dispatch.ids import CourierId, ShardId
from dispatch.spot import PositionsUnreachable, Spot
from storage.redis import EXCHANGE_S, Command, RedisServer, RedisUnreachable, Reply

TTL_S = 120
"""How long a position outlives the last time it was written."""
SAVED_MAX = 500
"""Positions of one round trip: more would keep commits waiting on the bridge."""
LOAD_S = 5.0
"""Time that reading a shard's positions has."""


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Spot).decode


class RedisPositions:
    """The positions of all shards of a cluster. All calls raise `PositionsUnreachable`."""

    def __init__(self, server: RedisServer, cluster: str) -> None:
        """Keep positions beside those of other clusters."""
        self._server = server
        self._prefix = f"{cluster}:positions:"

    async def save(self, shard: ShardId, spots: Sequence[Spot]) -> None:
        """Write where couriers are, each over where he was; many by one round trip."""
        for start in range(0, len(spots), SAVED_MAX):
            saved = spots[start : start + SAVED_MAX]
            fields = [part for spot in saved for part in (spot.courier_id, _encode(spot))]
            expiring = ("ex", TTL_S, "fields", len(saved), *fields)
            await self._exchange([("hsetex", self._key(shard), *expiring)], EXCHANGE_S)

    async def load(self, shard: ShardId) -> tuple[Spot, ...]:
        """Return where the couriers of a shard were, as far as it is known; each courier once."""
        (reply,) = await self._exchange([("hvals", self._key(shard))], LOAD_S)
        found = [_find_spot(value) for value in convert(reply, list[bytes])]
        return tuple([spot for spot in found if spot is not None])

    async def find(self, shard: ShardId, courier_id: CourierId) -> Spot | None:
        """Return where one courier of a shard was, as far as it is known."""
        (reply,) = await self._exchange([("hget", self._key(shard), courier_id)], EXCHANGE_S)
        return _find_spot(reply) if isinstance(reply, bytes) else None

    async def _exchange(self, commands: Sequence[Command], timeout_s: float) -> list[Reply]:
        try:
            return await self._server.exchange(commands, timeout_s)
        except RedisUnreachable as error:
            raise PositionsUnreachable(str(error)) from error

    def _key(self, shard: ShardId) -> str:
        return f"{self._prefix}{shard}"


def _find_spot(value: bytes) -> Spot | None:
    """Return what was written, None if it is of another version or damaged."""
    try:
        return _decode(value)
    except DecodeError:
        return None
