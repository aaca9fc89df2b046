"""What one commit of a shard holds, and what a shard reads back when it recovers.

These are plain rows of bytes, so that every store (memory, Postgres) keeps the same thing and one
conformance suite can hold them all. A batch is written whole or not at all, guarded by the shard's
epoch and by its own number: a store that already has the batch, or a newer epoch, refuses it with
`LeaseLost`, and then nothing of the batch was ever said.
"""

from msgspec import Struct

from dispatch.ids import Instant, ShardId


class LeaseLost(Exception):
    """Another owner has taken the shard: whatever was not committed must be dropped unsaid."""


class JournalUnreachable(Exception):
    """The store did not answer; whether it wrote is told by sending the same batch again."""


class Checkpoint(Struct, frozen=True):
    """An actor's state after the batch; `is_live` is False once it has finished."""

    kind: str
    key: str
    state: bytes
    is_live: bool = True


class FactRow(Struct, frozen=True):
    """One fact of one actor. Facts of an actor are in the order in which they happened."""

    kind: str
    key: str
    fact: bytes


class OutboxRow(Struct, frozen=True):
    """A tell that was not handled within its batch. `sequence` is unique and rising in a shard.

    `target` is the shard it is for when the tell named one.
    """

    sequence: int
    kind: str
    key: str
    message: bytes
    target: ShardId | None = None


class InboxMark(Struct, frozen=True):
    """Proof that outbox row `sequence` of the shard `source` was handled here."""

    source: ShardId
    sequence: int


class FeedRow(Struct, frozen=True):
    """A message for a person; the store gives it the next number of that person's feed."""

    person: str
    message: bytes


class FeedEntry(Struct, frozen=True, gc=False):
    """A message of a person's feed: its number there, and the epoch it was committed under."""

    number: int
    epoch: int
    message: bytes


class DeadLetter(Struct, frozen=True):
    """A message whose handler failed, with the error, for operations to see and replay."""

    kind: str
    key: str
    message: bytes
    error: str


class Batch(Struct, frozen=True):
    """Everything one group commit writes. `handled` are outbox rows that are done with.

    `floors` tell how far each source shard has come: marks of a source below its floor may go,
    because whatever lies below a floor counts as handled.
    """

    shard: ShardId
    epoch: int
    number: int
    at: Instant
    checkpoints: tuple[Checkpoint, ...] = ()
    facts: tuple[FactRow, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    handled: tuple[int, ...] = ()
    marks: tuple[InboxMark, ...] = ()
    floors: tuple[InboxMark, ...] = ()
    feed: tuple[FeedRow, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()


class Committed(Struct, frozen=True):
    """What the store gave: the feed number of each `FeedRow` of the batch, in its order."""

    feed_numbers: tuple[int, ...] = ()


class Recovered(Struct, frozen=True):
    """What a new owner starts from: its epoch, the last batch, live states, unhandled rows."""

    epoch: int
    number: int
    checkpoints: tuple[Checkpoint, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    marks: tuple[InboxMark, ...] = ()
    floors: tuple[InboxMark, ...] = ()
