"""The store that keeps everything in memory: simulations and tests run on it.

It promises what any store promises. A batch is checked before any of it is written, and writing
cannot fail, so that it is there whole or not at all. Feeds, facts and dead letters are kept for
ever, as a journal should, and grow without bound; a long simulation that does not read them back
says `keeps_history=False`, and then only what recovery needs is kept. Marks end at their floors.
"""

from collections.abc import Mapping, Sequence

import trio

from dispatch.ids import ShardId
from dispatch.journal import (
    Batch,
    Checkpoint,
    Committed,
    DeadLetter,
    FactRow,
    FeedEntry,
    FeedRow,
    InboxMark,
    LeaseLost,
    OutboxRow,
    Recovered,
)

type Name = tuple[str, str]


class _Shelf:
    """What is kept of one shard."""

    __slots__ = (
        "checkpoints",
        "committed",
        "epoch",
        "finished",
        "floors",
        "last",
        "marks",
        "number",
        "outbox",
    )

    def __init__(self) -> None:
        self.epoch = 0
        self.number = 0
        self.last: Batch | None = None
        self.committed = Committed()
        self.checkpoints: dict[Name, Checkpoint] = {}
        self.finished: dict[Name, Checkpoint] = {}
        self.outbox: dict[int, OutboxRow] = {}
        self.marks: dict[ShardId, dict[int, InboxMark]] = {}
        self.floors: dict[ShardId, InboxMark] = {}


class MemoryStore:
    """A journal for any number of shards, with the feeds of all persons."""

    def __init__(self, *, keeps_history: bool = True) -> None:
        self._keeps_history = keeps_history
        self._shelves: dict[ShardId, _Shelf] = {}
        self._facts: dict[Name, list[FactRow]] = {}
        self._feeds: dict[str, list[FeedEntry]] = {}
        self._feed_numbers: dict[str, int] = {}
        self._dead_letters: list[DeadLetter] = []

    async def open(self, shard: ShardId) -> Recovered:
        """Take the shard over under the next epoch and return what it starts from."""
        await trio.lowlevel.checkpoint()
        shelf = self._shelves.setdefault(shard, _Shelf())
        shelf.epoch += 1
        return Recovered(
            epoch=shelf.epoch,
            number=shelf.number,
            checkpoints=tuple(shelf.checkpoints.values()),
            outbox=tuple([shelf.outbox[sequence] for sequence in sorted(shelf.outbox)]),
            marks=tuple([mark for marks in shelf.marks.values() for mark in marks.values()]),
            floors=tuple(shelf.floors.values()),
        )

    async def commit(self, batch: Batch) -> Committed:
        """Write the batch whole, or raise `LeaseLost` and write nothing.

        The batch that was written last is not written again, and gives the same answer.
        """
        await trio.lowlevel.checkpoint()
        shelf = self._shelves.get(batch.shard)
        if shelf is None or batch.epoch != shelf.epoch:
            raise LeaseLost(f"epoch {batch.epoch} of shard {batch.shard} is over")
        if batch.number == shelf.number and batch == shelf.last:
            return shelf.committed
        if batch.number != shelf.number + 1:
            told = f"batch {batch.number} of shard {batch.shard} does not follow {shelf.number}"
            raise LeaseLost(told)
        _write(shelf, batch)
        shelf.committed = Committed(tuple([self._feed(row) for row in batch.feed]))
        if self._keeps_history:
            self._write_history(batch, shelf.committed.feed_numbers)
        return shelf.committed

    async def load(
        self, shard: ShardId, names: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | None]:
        """Return the states of the actors as last committed, finished or not; None without one."""
        await trio.lowlevel.checkpoint()
        shelf = self._shelves.get(shard) or _Shelf()
        found = [shelf.checkpoints.get(name) or shelf.finished.get(name) for name in names]
        return [None if checkpoint is None else checkpoint.state for checkpoint in found]

    async def history(self, kind: str, key: str) -> Sequence[bytes]:
        """Return the facts of an actor in the order in which they happened."""
        await trio.lowlevel.checkpoint()
        return [row.fact for row in self._facts.get((kind, key), ())]

    async def feed(self, person: str, after: int) -> Sequence[tuple[int, bytes]]:
        """Return a person's messages numbered higher than `after`, with their numbers."""
        await trio.lowlevel.checkpoint()
        entries = self._feeds.get(person, [])[after:]
        return [(entry.number, entry.message) for entry in entries]

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]:
        """Return, for each person and number, his next messages after it, `page_max` at most."""
        await trio.lowlevel.checkpoint()
        return [self._feeds.get(person, [])[after : after + page_max] for person, after in wanted]

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]:
        """Return the number of each person's newest message; who has none is left out."""
        await trio.lowlevel.checkpoint()
        numbers = self._feed_numbers
        return {person: numbers[person] for person in persons if person in numbers}

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Return all messages that failed, oldest first."""
        await trio.lowlevel.checkpoint()
        return tuple(self._dead_letters)

    def _feed(self, row: FeedRow) -> int:
        number = self._feed_numbers.get(row.person, 0) + 1
        self._feed_numbers[row.person] = number
        return number

    def _write_history(self, batch: Batch, numbers: Sequence[int]) -> None:
        for fact in batch.facts:
            self._facts.setdefault((fact.kind, fact.key), []).append(fact)
        for row, number in zip(batch.feed, numbers, strict=True):
            entry = FeedEntry(number, batch.epoch, row.message)
            self._feeds.setdefault(row.person, []).append(entry)
        self._dead_letters.extend(batch.dead_letters)


def _write(shelf: _Shelf, batch: Batch) -> None:
    shelf.number = batch.number
    shelf.last = batch
    for checkpoint in batch.checkpoints:
        _write_checkpoint(shelf, checkpoint)
    shelf.outbox.update((row.sequence, row) for row in batch.outbox)
    for sequence in batch.handled:
        shelf.outbox.pop(sequence, None)
    for mark in batch.marks:
        shelf.marks.setdefault(mark.source, {})[mark.sequence] = mark
    for floor in batch.floors:
        shelf.floors[floor.source] = floor
        _forget_below(shelf.marks.get(floor.source, {}), floor.sequence)


def _write_checkpoint(shelf: _Shelf, checkpoint: Checkpoint) -> None:
    name = (checkpoint.kind, checkpoint.key)
    kept, other = (
        (shelf.checkpoints, shelf.finished)
        if checkpoint.is_live
        else (shelf.finished, shelf.checkpoints)
    )
    other.pop(name, None)
    kept[name] = checkpoint


def _forget_below(marks: dict[int, InboxMark], floor: int) -> None:
    for sequence in [sequence for sequence in marks if sequence < floor]:
        del marks[sequence]
