"""Watches every shard's head in the database, to see when a new owner commits for the first time.

It looks many times a second, on a connection of its own, and times by this machine's steady clock.
Between two looks it can be wrong by the time between them, and never less.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import trio

from dispatch.ids import ShardId
from node.clock import steady_s
from storage.audit import Head, fetch_heads
from storage.database import Database, DatabaseUnreachable

LOOK_S = 0.01


@dataclass(slots=True)
class Sight:
    """How a shard stands, when its owner committed last, and since when the epoch is."""

    head: Head
    committed_s: float
    gap_s: float = 0.0
    """Between the last commit of the epoch before and the first of this one."""
    took_over_s: float = 0.0
    """When the first commit of this epoch was seen."""
    committed_in: int = 0


@dataclass(slots=True)
class Vigil:
    """What has been seen of the heads so far."""

    database: Database
    sights: dict[ShardId, Sight] = field(default_factory=dict[ShardId, Sight])
    _seen: trio.Event = field(default_factory=trio.Event)

    async def run(self) -> None:
        """Look until cancelled; a database that is away is looked at again."""
        while True:
            with suppress(DatabaseUnreachable):
                self._take(await fetch_heads(self.database), steady_s())
            await trio.sleep(LOOK_S)

    def epochs(self) -> Mapping[ShardId, int]:
        """Return the epoch of each shard as last seen."""
        return {shard: sight.head.epoch for shard, sight in self.sights.items()}

    def batches(self) -> Mapping[ShardId, int]:
        """Return the last batch of each shard as last seen."""
        return {shard: sight.head.batch for shard, sight in self.sights.items()}

    async def looked(self) -> None:
        """Wait until the heads have been seen once more."""
        self._seen = trio.Event()
        await self._seen.wait()

    async def advanced(self, since: Mapping[ShardId, int]) -> None:
        """Wait until each shard has committed since."""
        while not all(self.sights[shard].head.batch > batch for shard, batch in since.items()):
            self._seen = trio.Event()
            await self._seen.wait()

    async def taken_over(
        self, shards: Collection[ShardId], since: Mapping[ShardId, int]
    ) -> Mapping[ShardId, Sight]:
        """Wait until each shard has a commit of a later epoch than it had."""
        while not all(self.sights[shard].committed_in > since[shard] for shard in shards):
            self._seen = trio.Event()
            await self._seen.wait()
        return {shard: self.sights[shard] for shard in shards}

    def _take(self, heads: Mapping[ShardId, Head], now_s: float) -> None:
        for shard, head in heads.items():
            sight = self.sights.get(shard)
            if sight is None:
                self.sights[shard] = Sight(head, now_s, committed_in=head.epoch)
            elif sight.head != head:
                self._note(sight, head, now_s)
        self._seen.set()

    def _note(self, sight: Sight, head: Head, now_s: float) -> None:
        if head.batch > sight.head.batch:
            if head.epoch > sight.committed_in:
                sight.gap_s = now_s - sight.committed_s
                sight.took_over_s = now_s
                sight.committed_in = head.epoch
            sight.committed_s = now_s
        sight.head = head
