"""What a shard needs from the outside, as Protocols. `node` fits them, simulations and tests too.

Whatever is handed out here was committed before. All of it may be handed out again after a crash or
a lost answer, so each receiver dedupes: a shard by the mark of the parcel, a service by the
sequence of its row, a person's device by the number of the feed message.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from dispatch.ids import Instant, ShardId
from dispatch.journal import Batch, Committed, Recovered

type Clock = Callable[[], Instant]


class Journal(Protocol):
    """Keeps what a shard commits. Raises `LeaseLost`, or `JournalUnreachable` to be tried again."""

    async def open(self, shard: ShardId) -> Recovered:
        """Take the shard over under a new epoch and return what it starts from."""
        ...

    async def commit(self, batch: Batch) -> Committed:
        """Write the batch whole or not at all; the same batch again gives the same answer."""
        ...

    async def load(
        self, shard: ShardId, names: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | None]:
        """Return the state of each (kind, key), finished ones too, None for who never was."""
        ...


class Parcel(Struct, frozen=True, kw_only=True, array_like=True, tag="parcel"):
    """A tell on its way to another shard.

    `floor` is the lowest sequence that the source still holds for that shard: whatever lies below
    it is settled and never sent again. `previous` is the one it holds before this row, 0 if none: a
    parcel that overtook it is not taken, because messages between two actors keep their order.
    """

    source: ShardId
    sequence: int
    floor: int
    previous: int
    kind: str
    key: str
    message: bytes


class Relay(Protocol):
    """Carries parcels to other shards, at most once each time it is asked to."""

    def send(self, target: ShardId, parcel: Parcel) -> None:
        """Bring the parcel to the shard, or lose it: what is not settled is sent again."""
        ...

    def settle(self, source: ShardId, sequence: int) -> None:
        """Tell the source that its row was handled and may be deleted."""
        ...


class Services(Protocol):
    """Takes work that awaits: `Tell("service:NAME", key, message)`.

    The worker answers through `Shard.settle` with the sequence of the row, and whom to tell what.
    """

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Take the work. It comes again after a crash, with the same sequence."""
        ...


class Feeds(Protocol):
    """Takes a person's messages to the devices that listen now; the journal keeps them anyway."""

    def publish(self, person: str, number: int, message: Struct, epoch: int) -> None:
        """Show the message, the person's number `number`, committed under that epoch."""
        ...


class Directory(Protocol):
    """Knows which shard an actor lives in."""

    def home(self, kind: str, key: str) -> ShardId:
        """Return the shard of the actor."""
        ...
