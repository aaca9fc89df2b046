"""Which shard an actor lives in, and how the shards of one process reach each other.

Between processes parcels go through a relay of `storage`; within one they are handed over at once.
Either way a parcel may be lost when its target is not open: what is not settled is sent again.
"""

from contextlib import suppress

from msgspec import Struct

from actors.failures import ActorGone
from actors.ports import Directory, Parcel
from actors.shard import Shard
from dispatch.ids import ShardId
from dispatch.step import Refused


class Neighbours:
    """The shards of one process: their relay, and the edges' way to whoever an actor lives with."""

    __slots__ = ("_directory", "_shards")

    def __init__(self, directory: Directory | None = None) -> None:
        """Gather shards; without a directory they are only reached by their ids."""
        self._directory = directory
        self._shards: dict[ShardId, Shard] = {}

    def join(self, shard: Shard) -> None:
        """Make a shard known to the others."""
        assert shard.id not in self._shards, f"two shards are called {shard.id}"
        self._shards[shard.id] = shard

    def leave(self, shard: Shard) -> None:
        """Forget a shard that another process owns now."""
        del self._shards[shard.id]

    def holds(self, shard: ShardId) -> bool:
        """Tell whether a shard is in this process."""
        return shard in self._shards

    def send(self, target: ShardId, parcel: Parcel) -> None:
        """Hand the parcel to its shard; it is lost when that is not open."""
        shard = self._shards.get(target)
        if shard is not None:
            with suppress(ActorGone):
                shard.deliver(parcel)

    def settle(self, source: ShardId, sequence: int) -> None:
        """Tell the source that its row was handled; it asks again when it is not open now."""
        shard = self._shards.get(source)
        if shard is not None:
            with suppress(ActorGone):
                shard.settle(sequence)

    def tell(self, kind: str, key: str, message: Struct) -> Refused | None:
        """Tell an actor something from the edge, wherever it lives."""
        return self._home(kind, key).tell(kind, key, message)

    async def ask(self, kind: str, key: str, message: Struct, timeout_s: float) -> Struct:
        """Ask an actor from the edge, wherever it lives; ends as `Shard.ask` does."""
        return await self._home(kind, key).ask(kind, key, message, timeout_s)

    def _home(self, kind: str, key: str) -> Shard:
        assert self._directory is not None, f"nobody tells where {kind} {key} lives"
        home = self._directory.home(kind, key)
        shard = self._shards.get(home)
        if shard is None:
            raise ActorGone(f"shard {home}, where {kind} {key} lives, is not in this process")
        return shard
