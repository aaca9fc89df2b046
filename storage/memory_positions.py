"""The positions' copy in memory, for simulations: what was saved last of each courier is loaded."""

from collections.abc import Sequence

import trio

from dispatch.ids import CourierId, ShardId
from dispatch.spot import Spot


class MemoryPositions:
    """The positions of all shards of a simulated cluster, for as long as it lasts."""

    def __init__(self) -> None:
        self._shards: dict[ShardId, dict[CourierId, Spot]] = {}

    async def save(self, shard: ShardId, spots: Sequence[Spot]) -> None:
        """Write where couriers are, each over where he was."""
        await trio.lowlevel.checkpoint()
        kept = self._shards.setdefault(shard, {})
        kept.update((spot.courier_id, spot) for spot in spots)

    async def load(self, shard: ShardId) -> tuple[Spot, ...]:
        """Return where the couriers of a shard were; each courier once."""
        await trio.lowlevel.checkpoint()
        return tuple(self._shards.get(shard, {}).values())

    def wipe(self) -> None:
        """Lose everything, as a server that is wiped does."""
        self._shards.clear()
