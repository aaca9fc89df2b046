"""The batch that is being filled: what the transitions since the last seal changed and said.

A draft is in memory what a batch is in the journal. It also holds what may leave the shard only
after the commit: answers, feed messages and tells to others, each list in the order of its making.
"""

from msgspec import Struct

from actors.codec import encode
from actors.envelope import Envelope
from actors.failures import ShardFailed
from actors.row import Row
from dispatch.ids import Instant, ShardId
from dispatch.journal import (
    Batch,
    Checkpoint,
    DeadLetter,
    FactRow,
    FeedRow,
    InboxMark,
    OutboxRow,
)


class Draft:
    """What one group commit will write, and what is said once it has."""

    __slots__ = (
        "answered",
        "changed",
        "dead_letters",
        "facts",
        "feed",
        "floors",
        "handled",
        "marks",
        "outbox",
        "outward",
        "serial",
        "shown",
        "told",
        "transitions",
    )

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.transitions = 0
        self.changed: list[Row] = []
        self.facts: list[FactRow] = []
        self.feed: list[FeedRow] = []
        self.shown: list[Struct] = []
        self.outbox: list[OutboxRow] = []
        self.outward: list[OutboxRow] = []
        self.handled: list[int] = []
        self.marks: list[InboxMark] = []
        self.floors: dict[ShardId, int] = {}
        self.dead_letters: list[DeadLetter] = []
        self.answered: list[Envelope] = []
        self.told: list[Row] = []

    @property
    def is_durable(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(
            self.changed
            or self.facts
            or self.feed
            or self.outbox
            or self.handled
            or self.marks
            or self.floors
            or self.dead_letters
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing has happened since the last seal."""
        return not (self.transitions or self.answered or self.is_durable)

    def settle(self, envelope: Envelope) -> None:
        """Note what the handling of the envelope's message is done with."""
        if envelope.question is not None:
            self.answered.append(envelope)
        if envelope.sequence is not None:
            self.handled.append(envelope.sequence)
        if envelope.mark is not None:
            self.marks.append(envelope.mark)

    def batch(self, shard: ShardId, epoch: int, number: int, at: Instant) -> Batch:
        """Return the rows to commit, with the states as they are now."""
        return Batch(
            shard=shard,
            epoch=epoch,
            number=number,
            at=at,
            checkpoints=tuple([_checkpoint(row) for row in self.changed]),
            facts=tuple(self.facts),
            outbox=tuple(self.outbox),
            handled=tuple(self.handled),
            marks=tuple(self.marks),
            floors=tuple([InboxMark(*floor) for floor in self.floors.items()]),
            feed=tuple(self.feed),
            dead_letters=tuple(self.dead_letters),
        )


def _checkpoint(row: Row) -> Checkpoint:
    kind = row.kind
    try:
        state = encode(row.state)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShardFailed(f"the state of {kind.name} {row.key} cannot be written") from error
    return Checkpoint(kind.name, row.key, state, is_live=not kind.is_finished(row.state))
