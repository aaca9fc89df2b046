"""What a node needs from its stores besides the journal, as Protocols.

Simulations fit them with memory and faults, production with Postgres and Redis; the code between is
the same.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from dispatch.ids import ShardId
from dispatch.lease import NodeRow, View


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
        """Take a lease that is free, has run out or belongs to a dead node; False if it is not."""
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
