"""The table of leases in memory: simulations and tests share it between their nodes.

It promises what the table in Postgres promises, by the clock that it is handed. A node speaks
through its seat. A seat that is cut has lost its session, as when its process was killed: the
others see the node dead at the same instant, and the seat itself is refused until it joins again.
"""

from collections.abc import Callable, Iterable, Mapping

import trio
from msgspec import Struct, structs

from dispatch.ids import ShardId
from dispatch.lease import LeaseRow, LeasesUnreachable, NodeId, NodeRow, View

TTL_S = 3.0
FORGOTTEN_S = 60.0
"""A dead node that has not renewed for so long is taken off the list."""


class _Node(Struct):
    row: NodeRow
    renewed_at_s: float


class _Lease(Struct):
    """`ends_at_s` is when the lease is over, or was let go."""

    node: NodeId | None
    ends_at_s: float
    load: float = 0.0


class _Table:
    """The rows, and the rules by which nodes change them. A session is whatever object joined."""

    def __init__(self, clock_s: Callable[[], float], ttl_s: float) -> None:
        self._clock_s = clock_s
        self._ttl_s = ttl_s
        self._nodes: dict[NodeId, _Node] = {}
        self._leases: dict[ShardId, _Lease] = {}
        self._sessions: dict[NodeId, object] = {}
        self._turned = trio.Event()
        self.version = 0

    def ensure(self, shards: Iterable[ShardId]) -> None:
        for shard in shards:
            self._leases.setdefault(shard, _Lease(None, self._clock_s()))
        self.wake()

    def view(self) -> View:
        now = self._clock_s()
        return View(
            tuple([self._row(self._nodes[node], now) for node in sorted(self._nodes)]),
            tuple([_row(shard, lease, now) for shard, lease in sorted(self._leases.items())]),
        )

    def has(self, node: NodeId, session: object) -> bool:
        return self._sessions.get(node) is session

    def join(self, session: object, row: NodeRow) -> None:
        if self._sessions.get(row.node, session) is not session:
            raise LeasesUnreachable(f"node {row.node} is running already: give one another name")
        self._forget()
        self._sessions[row.node] = session
        self._nodes[row.node] = _Node(row, self._clock_s())
        self.wake()

    def renew(self, node: NodeId, load: float, loads: Mapping[ShardId, float]) -> None:
        now = self._clock_s()
        self._nodes[node] = _Node(structs.replace(self._nodes[node].row, load=load), now)
        for shard, lease in self._leases.items():
            if lease.node == node and shard in loads:
                lease.ends_at_s, lease.load = now + self._ttl_s, loads[shard]
        self.let_go(node, self._leases.keys() - loads.keys())

    def claim(self, node: NodeId, shard: ShardId) -> bool:
        self._nodes[node].renewed_at_s = self._clock_s()
        lease = self._leases.get(shard)
        if lease is None or not self._is_claimable(lease, node):
            return False
        lease.node, lease.ends_at_s = node, self._clock_s() + self._ttl_s
        return True

    def let_go(self, node: NodeId, shards: Iterable[ShardId]) -> None:
        leases = [self._leases[shard] for shard in shards if shard in self._leases]
        for lease in leases:
            if lease.node == node:
                lease.node, lease.ends_at_s = None, self._clock_s()
                self.wake()

    def leave(self, node: NodeId) -> None:
        self.let_go(node, tuple(self._leases))
        del self._nodes[node]
        del self._sessions[node]
        self.wake()

    def cut(self, node: NodeId, session: object) -> None:
        if self.has(node, session):
            del self._sessions[node]

    def wake(self) -> None:
        self.version += 1
        self._turned.set()
        self._turned = trio.Event()

    async def turned(self, version: int) -> None:
        """Wait until the version is another one."""
        while self.version == version:
            await self._turned.wait()

    def _row(self, node: _Node, now: float) -> NodeRow:
        is_recent = now - node.renewed_at_s < self._ttl_s
        return structs.replace(node.row, is_alive=is_recent and node.row.node in self._sessions)

    def _is_claimable(self, lease: _Lease, claimant: NodeId) -> bool:
        """A lease that runs is not had from a node that is merely silent: it may act until then."""
        if lease.node is None or lease.node == claimant or lease.ends_at_s <= self._clock_s():
            return True
        return lease.node not in self._sessions

    def _forget(self) -> None:
        limit_s = self._clock_s() - FORGOTTEN_S
        self._nodes = {
            name: node
            for name, node in self._nodes.items()
            if node.renewed_at_s > limit_s or name in self._sessions
        }


class Seat:
    """One node's hold on the table."""

    def __init__(self, table: _Table, node: NodeId) -> None:
        """Sit down; nothing is known of the node before it joins."""
        self._table = table
        self._node = node
        self._seen = 0

    def cut(self) -> None:
        """End the session, as the death of the process would. Only the seat itself is woken."""
        self._table.cut(self._node, self)
        self._seen = -1

    async def join(self, node: NodeRow) -> None:
        """Make the node known and begin a session, or change the row of one that runs."""
        assert node.node == self._node
        await trio.lowlevel.checkpoint()
        self._table.join(self, node)

    async def renew(self, load: float, loads: Mapping[ShardId, float]) -> View:
        """Let the leases of the shards that `loads` names run for the whole time from now."""
        await self._reach()
        self._table.renew(self._node, load, loads)
        return self._table.view()

    async def look(self) -> View:
        """Return the view."""
        await self._reach()
        return self._table.view()

    async def claim(self, shard: ShardId) -> bool:
        """Take a lease that is free, over, or of a node whose session has ended."""
        await self._reach()
        return self._table.claim(self._node, shard)

    async def release(self, shard: ShardId) -> None:
        """Let go of a lease."""
        await self._reach()
        self._table.let_go(self._node, [shard])

    async def changed(self) -> None:
        """Wait until something has changed since the last time that this returned."""
        await self._reach()
        await self._table.turned(self._seen)
        self._seen = self._table.version
        await self._reach()

    async def leave(self) -> None:
        """Let go of everything and end the session."""
        await self._reach()
        self._table.leave(self._node)

    async def _reach(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self._table.has(self._node, self):
            raise LeasesUnreachable(f"node {self._node} has no session: join first")


class MemoryLeases:
    """The table that all nodes share."""

    def __init__(self, clock_s: Callable[[], float], ttl_s: float = TTL_S) -> None:
        """Begin with no node and no shard; a lease runs for `ttl_s` by `clock_s`."""
        self._table = _Table(clock_s, ttl_s)

    def ensure(self, shards: Iterable[ShardId]) -> None:
        """Have these shards exist, free if they are new."""
        self._table.ensure(shards)

    def seat(self, node: NodeId) -> Seat:
        """Return a node's hold on the table."""
        return Seat(self._table, node)

    def view(self) -> View:
        """Return how the table stands now."""
        return self._table.view()


def _row(shard: ShardId, lease: _Lease, now: float) -> LeaseRow:
    return LeaseRow(shard=shard, node=lease.node, left_s=lease.ends_at_s - now, load=lease.load)
