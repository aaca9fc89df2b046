"""The paces that markets have learned for each hour of the day, as they outlive their shards.

How long ways take at noon is known from noons, so it must not be forgotten when a shard moves or a
node is started anew. What is known goes to the store every minute, and the next owner goes on from
there (`node/learned.py`).
"""

from contextlib import suppress
from dataclasses import dataclass, field

import trio

from actors.shard import Shard
from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import ShardId
from geo.travel import LearnedPace
from node.learned import SAVE_S, read_kept
from node.ports import Learned
from node.tenancy import Tenancy
from node.ways import PresentWays


@dataclass(slots=True)
class Paces:
    """Keeps what the markets of this node learn of how long ways take."""

    store: Learned[LearnedPace]
    _opening: dict[ShardId, PresentWays] = field(default_factory=dict[ShardId, PresentWays])

    def follow(self, shard: ShardId, present: PresentWays) -> None:
        """Hear how the couriers of a shard get about that is about to open here."""
        self._opening[shard] = present

    async def attend(self, shard: Shard, tenancy: Tenancy) -> None:
        """Go on from what was kept, and keep what is learned while the shard is hosted here."""
        del tenancy
        present = self._opening.pop(shard.id)
        saved, has_read = present.known, False
        while True:
            has_read = has_read or await read_kept(self.store, shard.id, present.go_on_from)
            await trio.sleep(SAVE_S)
            learned = present.learned
            if has_read and learned.known is not saved:
                with suppress(EstimatesUnreachable):
                    await self.store.save(shard.id, learned)
                    saved = learned.known
