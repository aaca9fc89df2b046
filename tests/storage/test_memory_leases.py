"""The table of leases in memory does what every table of leases must."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from dispatch.ids import ShardId
from dispatch.lease import NodeId
from storage.memory_leases import FORGOTTEN_S, MemoryLeases, Seat
from tests.storage.lease_conformance import ANN, BOB, LeaseConformance, Table, row


class _MemoryTable:
    """A table in memory that remembers its seats, so that a test can cut them."""

    def __init__(self, ttl_s: float) -> None:
        self._leases = MemoryLeases(trio.current_time, ttl_s)
        self._seats: list[tuple[NodeId, Seat]] = []

    async def ensure(self, shards: Sequence[ShardId]) -> None:
        await trio.lowlevel.checkpoint()
        self._leases.ensure(shards)

    def seat(self, node: NodeId) -> Seat:
        seat = self._leases.seat(node)
        self._seats.append((node, seat))
        return seat

    async def cut(self, node: NodeId) -> None:
        await trio.lowlevel.checkpoint()
        for name, seat in self._seats:
            if name == node:
                seat.cut()


@asynccontextmanager
async def _memory(ttl_s: float) -> AsyncGenerator[Table]:
    await trio.lowlevel.checkpoint()
    yield _MemoryTable(ttl_s)


class TestMemoryLeases(LeaseConformance):
    def fresh(self, ttl_s: float) -> AbstractAsyncContextManager[Table]:
        return _memory(ttl_s)


async def test_a_node_long_dead_is_taken_off_the_list(autojump_clock: object) -> None:
    del autojump_clock
    table = MemoryLeases(trio.current_time)
    ann, bob = table.seat(ANN), table.seat(BOB)
    await ann.join(row(ANN))
    ann.cut()

    await trio.sleep(FORGOTTEN_S + 1)
    await bob.join(row(BOB))

    assert [node.node for node in table.view().nodes] == [BOB]
