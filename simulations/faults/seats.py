"""A node's faulty ways to the table of leases and to the bus.

The bus loses, doubles and delays letters, which also lets later ones overtake; a delayed letter
comes whether or not the shard has moved meanwhile. A session with the leases may end although the
node lives, as when the store is restarted.
"""

from collections.abc import Awaitable, Callable, Mapping

import trio

from dispatch.ids import ShardId
from dispatch.lease import LeasesUnreachable, NodeId, NodeRow, View
from node.ports import Bus
from simulations.faults.network import Network, NoAnswer, Wire
from simulations.faults.plan import Fault
from storage.memory_leases import MemoryLeases, Seat

LATE_S = (0.05, 3.0)
HEALED_S = 0.5
"""Time between two looks whether a wire that is cut carries again."""


class LeasesSeat:
    """Fits `node.ports.Leases`. A call without an answer ends the session, as in production."""

    def __init__(
        self, table: MemoryLeases, network: Network, node: NodeId, excuse: Callable[[NodeId], None]
    ) -> None:
        """Call `excuse` when a session ends although the node lives."""
        self._table, self._network, self._node, self._excuse = table, network, node, excuse
        self._session = table.seat(node)
        self._past: list[Seat] = []
        self._is_lost = False
        self._is_closed = False

    def cut(self) -> None:
        """End the session, as a connection that breaks does."""
        self._session.cut()

    def close(self) -> None:
        """End the session for good, as the death of the process does."""
        self._is_closed = True
        self._session.cut()

    async def join(self, node: NodeRow) -> None:
        """Make the node known, by a new session if the one before is lost."""
        if self._is_lost:
            self._past.append(self._session)
            self._session, self._is_lost = self._table.seat(self._node), False
        session = self._session
        await self._call(lambda: self._begin(session, node))

    async def renew(self, load: float, loads: Mapping[ShardId, float]) -> View:
        """Let the node's leases run from now."""
        session = self._reached()
        return await self._call(lambda: session.renew(load, loads))

    async def look(self) -> View:
        """Return the view."""
        session = self._reached()
        return await self._call(session.look)

    async def claim(self, shard: ShardId) -> bool:
        """Take a lease."""
        session = self._reached()
        return await self._call(lambda: session.claim(shard))

    async def release(self, shard: ShardId) -> None:
        """Let go of a lease."""
        session = self._reached()
        await self._call(lambda: session.release(shard))

    async def changed(self) -> None:
        """Wait for news, which do not come over a wire that is cut."""
        await self._reached().changed()
        while self._network.is_cut(self._node, Wire.LEASES):  # noqa: ASYNC110 - cuts overlap.
            await trio.sleep(HEALED_S)

    async def leave(self) -> None:
        """Let go of everything."""
        await self._call(self._reached().leave)

    def _reached(self) -> Seat:
        if self._is_lost:
            raise LeasesUnreachable(f"node {self._node} has no session: join first")
        return self._session

    async def _begin(self, session: Seat, node: NodeRow) -> None:
        """Let a session take the place of those that were lost, unless it is past by now, too."""
        if self._is_closed or session is not self._session:
            raise LeasesUnreachable(f"the connection of node {self._node} is closed")
        while self._past:
            self._past.pop().cut()
        await session.join(node)

    async def _call[T](self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._network.write(self._node, Wire.LEASES, work)
        except NoAnswer as error:
            self._lose()
            raise LeasesUnreachable("the store of the leases did not answer") from error
        except LeasesUnreachable:
            self._is_lost = True
            raise
        except trio.Cancelled:
            self._lose()
            raise

    def _lose(self) -> None:
        """Hang up. The store notices at once, unless the wire is cut."""
        self._is_lost = True
        if not self._network.is_cut(self._node, Wire.LEASES):
            self._excuse(self._node)
            self._session.cut()


class BusSeat:
    """Fits `node.ports.Bus`."""

    def __init__(self, inner: Bus, network: Network, node: NodeId) -> None:
        self._inner, self._network, self._node = inner, network, node

    def post(self, shard: ShardId, letter: bytes) -> None:
        """Send a letter, perhaps."""
        weather = self._network.weather
        if self._network.is_cut(self._node, Wire.BUS) or weather.strikes(Fault.LETTER_LOST):
            return
        if weather.strikes(Fault.LETTER_DOUBLED):
            self._network.start(lambda: self._post_late(shard, letter))
        if weather.strikes(Fault.LETTER_LATE):
            self._network.start(lambda: self._post_late(shard, letter))
        else:
            self._inner.post(shard, letter)

    def open(self, shard: ShardId, take: Callable[[bytes], None]) -> None:
        """Have the letters of a shard handed to `take`, unless the wire is cut."""

        def take_through(letter: bytes) -> None:
            if not self._network.is_cut(self._node, Wire.BUS):
                take(letter)

        self._inner.open(shard, take_through)

    def close(self, shard: ShardId) -> None:
        """Hand over no more letters of the shard."""
        self._inner.close(shard)

    async def run(self) -> None:
        """Carry letters."""
        await self._inner.run()

    async def _post_late(self, shard: ShardId, letter: bytes) -> None:
        await trio.sleep(self._network.weather.uniform(*LATE_S))
        self._inner.post(shard, letter)
