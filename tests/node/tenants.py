"""Nodes that share shards through a table in memory, and all that can befall them.

A node here is a keeper on a seat of the table. Its shards do nothing but be there, so that what is
watched is who has them: whenever a tenancy begins, no other one of that shard may still be good.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import trio

from dispatch.ids import ShardId
from dispatch.lease import LeasesUnreachable, NodeId, NodeRow, View
from node.keeper import Keeper, Terms
from node.tenancy import Tenancy
from storage.memory_leases import MemoryLeases, Seat

TERMS = Terms()
STOP_S = 0.1


class ShakySeat:
    """A seat whose calls stand still during a stall, before or after they count, or fail."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.is_late = False
        self.is_failing = False
        self.lag_s = 0.0
        self._flowing = trio.Event()
        self._flowing.set()

    def stall(self, *, is_late: bool = False) -> None:
        """Let no call return; with `is_late` calls count although their answers do not come."""
        self.is_late = is_late
        self._flowing = trio.Event()

    def flow(self) -> None:
        """Let everything be as it should."""
        self.is_failing = False
        self._flowing.set()

    async def join(self, node: NodeRow) -> None:
        await self._passed(lambda: self.seat.join(node))

    async def renew(self, load: float, loads: Mapping[ShardId, float]) -> View:
        return await self._passed(lambda: self.seat.renew(load, loads))

    async def look(self) -> View:
        return await self._passed(self.seat.look)

    async def claim(self, shard: ShardId) -> bool:
        return await self._passed(lambda: self.seat.claim(shard))

    async def release(self, shard: ShardId) -> None:
        await self._passed(lambda: self.seat.release(shard))

    async def changed(self) -> None:
        await self.seat.changed()
        await self._flowing.wait()

    async def leave(self) -> None:
        await self._passed(self.seat.leave)

    async def _passed[T](self, call: Callable[[], Awaitable[T]]) -> T:
        if self.is_failing:
            await trio.lowlevel.checkpoint()
            raise LeasesUnreachable("the table is away")
        if not self.is_late:
            await self._flowing.wait()
        await trio.sleep(self.lag_s)
        answer = await call()
        await self._flowing.wait()
        return answer


@dataclass(slots=True)
class Stay:
    """One tenancy from its begin to its end, in seconds of virtual time."""

    node: NodeId
    tenancy: Tenancy
    began_at: float
    ended_at: float = math.inf


class Inhabitant:
    """A node: a process that can be killed."""

    def __init__(
        self,
        begin: Callable[[Stay], None],
        leases: MemoryLeases,
        name: NodeId,
        monotonic_s: Callable[[], float],
    ) -> None:
        self.name = name
        self.is_up = True
        self.stop_s: dict[int, float] = {}
        self.linger_s = 0.0
        self.fails_with: Exception | None = None
        self.seat = ShakySeat(leases.seat(name))
        me = NodeRow(node=name, address="", version="")
        self.keeper = Keeper(self.seat, me, self.host, TERMS, monotonic_s)
        self._begin = begin
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        with self._scope:
            await self.keeper.run()

    async def host(self, tenancy: Tenancy) -> None:
        """Be there until asked to stop. Stopping takes a while, and so may being cut off."""
        stay = Stay(self.name, tenancy, trio.current_time())
        self._begin(stay)
        try:
            if self.fails_with is not None:
                raise self.fails_with
            await tenancy.stopping.wait()
            await trio.sleep(self.stop_s.get(tenancy.shard, STOP_S))
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.linger_s)
            stay.ended_at = trio.current_time()

    def kill(self) -> None:
        """End the process where it stands."""
        self.is_up = False
        self.seat.seat.cut()
        self._scope.cancel()


@dataclass(slots=True)
class Town:
    """The nodes, and every tenancy that there was."""

    nursery: trio.Nursery
    leases: MemoryLeases
    stays: list[Stay] = field(default_factory=list[Stay])
    nodes: dict[NodeId, Inhabitant] = field(default_factory=dict[NodeId, Inhabitant])
    conflicts: list[str] = field(default_factory=list[str])

    def found(self, *shards: int) -> None:
        """Have these shards exist."""
        self.leases.ensure(map(ShardId, shards))

    def settle(self, name: str, monotonic_s: Callable[[], float] = trio.current_time) -> Inhabitant:
        """Start a node."""
        node = self.inhabitant(name, monotonic_s)
        self.nursery.start_soon(node.run)
        return node

    def inhabitant(
        self, name: str, monotonic_s: Callable[[], float] = trio.current_time
    ) -> Inhabitant:
        """Return a node that is yet to run."""
        node = Inhabitant(self.begin, self.leases, NodeId(name), monotonic_s)
        self.nodes[node.name] = node
        return node

    def owners(self) -> dict[int, str]:
        """Return who acts for each shard now."""
        return {stay.tenancy.shard: stay.node for stay in self.stays if self.is_acting(stay)}

    def owned(self, name: str) -> list[int]:
        """Return what a node acts for now."""
        return sorted(shard for shard, node in self.owners().items() if node == name)

    def is_acting(self, stay: Stay) -> bool:
        """Whether the tenancy is still good for whoever has it."""
        is_up = self.nodes[stay.node].is_up
        return is_up and stay.ended_at == math.inf and not stay.tenancy.is_over

    def begin(self, stay: Stay) -> None:
        """Note a tenancy, and whether another one of the shard is still good."""
        for other in self.stays:
            if other.tenancy.shard == stay.tenancy.shard and self.is_acting(other):
                what = f"{stay.node} and {other.node} both have shard {stay.tenancy.shard}"
                self.conflicts.append(f"{what} at {stay.began_at:.3f} s")
        self.stays.append(stay)
