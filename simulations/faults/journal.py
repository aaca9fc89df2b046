"""The journal that all nodes share, and each node's wire to it: what can happen to a commit.

A commit may come late, long after its node has given it up; its answer may be lost; its node may
die just before or just after it is written. A `Guard` is one of the four rules that the safety of
everything rests on. A run can leave one out, here in the simulation and nowhere in the product, to
show that the invariants notice.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import partial

import trio
from msgspec import structs

from dispatch.ids import Instant, ShardId
from dispatch.journal import (
    Batch,
    Committed,
    FeedEntry,
    JournalUnreachable,
    LeaseLost,
    Recovered,
)
from dispatch.lease import NodeId
from simulations.faults.network import Network, NoAnswer, Wire
from simulations.faults.plan import Fault
from simulations.faults.witness import Witness
from simulations.world import DAWN
from storage.memory import MemoryStore

WRITE_BEHIND_S = 0.3
CLASHES_MAX = 100


class Guard(StrEnum):
    """A rule without which something acknowledged is lost, or counts twice."""

    EPOCH = "epoch"
    OUTPUT_AFTER_COMMIT = "output-after-commit"
    DEDUPE_MARK = "dedupe-mark"
    OUTBOX_ROW = "outbox-row"


class SharedJournal:
    """The store itself, watched; without one of its guards if a run wants to see it fail."""

    def __init__(self, witness: Witness, without: Guard | None = None) -> None:
        self.store = MemoryStore()
        self.without = without
        self._witness = witness
        self._written: dict[tuple[ShardId, int, int], Committed] = {}
        self._heads: dict[ShardId, tuple[int, int]] = {}
        self._promises: Counter[str] = Counter()

    async def open(self, node: NodeId, shard: ShardId) -> Recovered:
        """Take a shard over for a node."""
        recovered = await self.store.open(shard)
        self._heads[shard] = (recovered.epoch, recovered.number)
        self._witness.opened(node, shard, recovered)
        return recovered

    async def commit(self, node: NodeId, batch: Batch) -> Committed:
        """Write a node's batch, if the guards that there are let it."""
        name = (batch.shard, batch.epoch, batch.number)
        if self.without is Guard.EPOCH:
            committed = self._written.get(name) or await self._forced(batch)
        else:
            committed = await self.store.commit(self._unguarded(batch))
        if name not in self._written:
            self._written[name] = committed
            self._heads[batch.shard] = self._next_head(batch)
            self._witness.applied(node, batch, committed)
        return committed

    async def now(self) -> Instant:
        """Return the time, which is the right one."""
        await trio.lowlevel.checkpoint()
        return Instant(DAWN + round(trio.current_time() * 1000))

    def promised(self, batch: Batch) -> Committed:
        """Return what the store would probably answer, before it has seen the batch."""
        numbers: list[int] = []
        for row in batch.feed:
            written = len(self._witness.chronicle.feeds.get(row.person, ()))
            self._promises[row.person] = max(written, self._promises[row.person]) + 1
            numbers.append(self._promises[row.person])
        return Committed(tuple(numbers))

    def _unguarded(self, batch: Batch) -> Batch:
        match self.without:
            case Guard.DEDUPE_MARK:
                return structs.replace(batch, marks=(), floors=())
            case Guard.OUTBOX_ROW:
                return structs.replace(batch, outbox=())
            case _:
                return batch

    async def _forced(self, batch: Batch) -> Committed:
        """Write a batch whoever sends it, as a store that does not look at epochs would."""
        for _ in range(CLASHES_MAX):
            epoch, number = self._heads[batch.shard]
            try:
                return await self.store.commit(
                    structs.replace(batch, epoch=epoch, number=number + 1)
                )
            except LeaseLost:
                continue
        raise AssertionError(batch.shard)

    def _next_head(self, batch: Batch) -> tuple[int, int]:
        epoch, number = self._heads[batch.shard]
        return epoch, number + 1


class JournalSeat:
    """One node's way to the journal; fits `actors.ports.Journal` and `node.feeds.FeedJournal`."""

    def __init__(self, shared: SharedJournal, network: Network, node: NodeId) -> None:
        self._shared, self._network, self._node = shared, network, node
        self.dies: Callable[[Fault], None] = lambda _fault: None
        """Called when the node is to die at a commit."""
        self.crashes_at: Fault | None = None
        """Whether the next commit is the node's last, and on which side of the writing."""
        self._behind: list[Batch] = []

    async def open(self, shard: ShardId) -> Recovered:
        """Take the shard over."""
        return await self._call(lambda: self._shared.open(self._node, shard))

    async def commit(self, batch: Batch) -> Committed:
        """Write the batch."""
        if self._shared.without is Guard.OUTPUT_AFTER_COMMIT:
            return await self._promised(batch)
        return await self._call(lambda: self._written(batch))

    async def load(
        self, shard: ShardId, names: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | None]:
        """Return the states of actors."""
        return await self._call(lambda: self._shared.store.load(shard, names), is_read=True)

    async def feed(self, person: str, after: int) -> Sequence[tuple[int, bytes]]:
        """Return a person's messages after a number."""
        return await self._call(lambda: self._shared.store.feed(person, after), is_read=True)

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]:
        """Return, for each person and number, his next messages after it."""
        return await self._call(lambda: self._shared.store.feeds(wanted, page_max), is_read=True)

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]:
        """Return the number of each person's newest message."""
        return await self._call(lambda: self._shared.store.feed_heads(persons), is_read=True)

    async def now(self) -> Instant:
        """Return what time it is for the store."""
        return await self._call(self._shared.now, is_read=True)

    async def write_behind(self) -> None:
        """Write what was promised before it was written, for as long as the node lives."""
        while True:
            await trio.sleep(WRITE_BEHIND_S)
            behind, self._behind = self._behind, []
            for batch in behind:
                with suppress(JournalUnreachable, LeaseLost):
                    await self._call(partial(self._written, batch))

    async def _promised(self, batch: Batch) -> Committed:
        await trio.lowlevel.checkpoint()
        self._behind.append(batch)
        return self._shared.promised(batch)

    async def _call[T](self, work: Callable[[], Awaitable[T]], *, is_read: bool = False) -> T:
        through = self._network.read if is_read else self._network.write
        try:
            return await through(self._node, Wire.JOURNAL, work)
        except NoAnswer as error:
            raise JournalUnreachable("the journal did not answer") from error

    async def _written(self, batch: Batch) -> Committed:
        if self._dies_at(Fault.CRASH_BEFORE_COMMIT):
            raise JournalUnreachable("the node died before it was written")
        committed = await self._shared.commit(self._node, batch)
        self._dies_at(Fault.CRASH_AFTER_COMMIT)
        return committed

    def _dies_at(self, point: Fault) -> bool:
        if self.crashes_at is not point:
            return False
        self.crashes_at = None
        self.dies(point)
        return True
