"""The memory bus does what every bus must, and loses letters only when too many wait."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio
import trio.testing

from node.ports import Bus
from storage.memory_bus import MemoryBus
from tests.storage.bus_conformance import EAST, BusConformance, Cluster, Mailbox, numbered


@asynccontextmanager
async def _cluster() -> AsyncGenerator[Cluster]:
    bus = MemoryBus()
    async with trio.open_nursery() as nursery:

        def node() -> Bus:
            seat = bus.seat()
            nursery.start_soon(seat.run)
            return seat

        yield node
        nursery.cancel_scope.cancel()


class TestMemoryBus(BusConformance):
    def cluster(self) -> AbstractAsyncContextManager[Cluster]:
        return _cluster()


async def test_the_oldest_letters_give_way_when_too_many_wait() -> None:
    bus, mailbox = MemoryBus(waiting_max=3), Mailbox()
    seat = bus.seat()

    async with trio.open_nursery() as nursery:
        for letter in numbered(5):
            seat.post(EAST, letter)
        seat.open(EAST, mailbox.take)
        nursery.start_soon(seat.run)
        taken = await mailbox.holding(3)
        nursery.cancel_scope.cancel()

    assert taken == numbered(5)[2:]


async def test_a_shard_that_a_letter_closes_takes_no_more() -> None:
    seat, taken = MemoryBus().seat(), list[bytes]()

    def take(letter: bytes) -> None:
        taken.append(letter)
        seat.close(EAST)

    async with trio.open_nursery() as nursery:
        for letter in numbered(3):
            seat.post(EAST, letter)
        seat.open(EAST, take)
        nursery.start_soon(seat.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert taken == numbered(1)


async def test_a_wiped_bus_has_lost_what_waited_and_carries_on() -> None:
    bus, mailbox = MemoryBus(), Mailbox()
    seat = bus.seat()

    async with trio.open_nursery() as nursery:
        seat.post(EAST, b"lost")
        bus.wipe()
        seat.open(EAST, mailbox.take)
        nursery.start_soon(seat.run)
        await trio.testing.wait_all_tasks_blocked()
        seat.post(EAST, b"kept")
        taken = await mailbox.holding(1)
        nursery.cancel_scope.cancel()

    assert taken == [b"kept"]
