"""What a node needs from its stores besides the journal, as Protocols.

Simulations fit them with memory and faults, production with Postgres and Redis; the code between is
the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from dispatch.claim import Busy, Taken, WorkId
from dispatch.ids import ShardId
from dispatch.lease import NodeId, NodeRow, View
from dispatch.letter import Letter
from dispatch.spot import Spot


class Leases(Protocol):
    """One node's hold on the table of leases. All but `close` raise `LeasesUnreachable`."""

    async def join(self, node: NodeRow) -> None:
        """Make the node known and begin the session whose end tells the others of its death.

        Joining again replaces a session that was lost.
        """
        ...

    async def renew(self, load: float, loads: Mapping[ShardId, float]) -> View:
        """Let all of this node's leases run for the whole time from now, and return the view.

        A lease that ran out is renewed too, as long as nobody has claimed it. `loads` are the
        shards that the node still wants: a lease of its own that is not among them is let go.
        """
        ...

    async def look(self) -> View:
        """Return the view, changing nothing."""
        ...

    async def claim(self, shard: ShardId) -> bool:
        """Take a lease that is free, over, or of a node whose session ended; False if none is."""
        ...

    async def release(self, shard: ShardId) -> None:
        """Let go of a shard that is closed, if it is still this node's, and wake the others."""
        ...

    async def changed(self) -> None:
        """Wait until somebody joined, left, or released a lease. May return for no reason."""
        ...

    async def leave(self) -> None:
        """Let go of everything and end the session."""
        ...


class Bus(Protocol):
    """Carries letters to whichever node owns a shard: in order, more than once, or not at all."""

    def post(self, shard: ShardId, letter: bytes) -> None:
        """Send a letter to the owner of the shard. Never waits; may lose it."""
        ...

    def open(self, shard: ShardId, take: Callable[[bytes], None]) -> None:
        """Have the letters of a shard handed to `take`, in the thread that runs trio."""
        ...

    def close(self, shard: ShardId) -> None:
        """Hand over no more letters of the shard."""
        ...

    async def run(self) -> None:
        """Carry letters until cancelled; a server that is away is waited for."""
        ...


class Positions(Protocol):
    """Keeps where couriers were seen last, for the next owner. Raises `PositionsUnreachable`."""

    async def save(self, shard: ShardId, spots: Sequence[Spot]) -> None:
        """Write where couriers are, each over where he was."""
        ...

    async def load(self, shard: ShardId) -> tuple[Spot, ...]:
        """Return where the couriers of a shard were, as far as it is known; each courier once."""
        ...


class Learned[T](Protocol):
    """Keeps what markets learned of one thing. Raises `EstimatesUnreachable`."""

    async def save(self, shard: ShardId, learned: T) -> None:
        """Write what a market has learned, over what it had."""
        ...

    async def load(self, shard: ShardId) -> T | None:
        """Return what a market had learned; None for nothing, or what cannot be read."""
        ...


class Claims(Protocol):
    """Who does which piece of service work. All raise `ClaimsUnreachable`."""

    async def claim(self, work: WorkId, node: NodeId, hold_s: float) -> Taken | Busy:
        """Take the work for `hold_s`, if it is due and nobody else has it."""
        ...

    async def put_off(self, work: WorkId, node: NodeId, due_s: float, error: str) -> None:
        """Let go of the work, which is due again in `due_s`; nothing if another has it now."""
        ...

    async def settle(self, work: WorkId, node: NodeId) -> None:
        """Forget the work, which is done with; nothing if another has it now."""
        ...

    async def prune(self, age_s: float) -> int:
        """Forget claims that were due so long ago; return how many there were."""
        ...


class Letters(Protocol):
    """The dead letters of all shards. All raise `LettersUnreachable`."""

    async def requested(self, shards: Iterable[ShardId], count_max: int) -> Sequence[Letter]:
        """Return letters of these shards that are to be replayed, oldest first."""
        ...

    async def settle(self, letter: int, outcome: str) -> None:
        """Note that the letter was replayed and what came of it."""
        ...
