"""Shards of different nodes tell each other things through the relay: exactly once, in order."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack, structs

from actors.codec import encode
from actors.directory import Neighbours
from actors.life import Ports
from actors.limits import Limits
from actors.ports import Parcel
from actors.shard import Shard
from actors.supervision import keep_running
from dispatch.ids import ShardId
from dispatch.step import Accepted
from node.ports import Bus
from node.relay import LETTER_BYTES_MAX, ClusterRelay, Settled
from storage.bridge import bridged
from storage.bus import RedisBus
from storage.memory import MemoryStore
from storage.memory_bus import MemoryBus
from storage.redis import RedisServer, redis_server
from tests.actors.bank import ACCOUNT, Credit, Deposit, Transfer
from tests.actors.stage import ByLetter, accounts, clock, settled
from tests.storage.valkey import Valkey, until, valkey

WEST, EAST = ShardId(1), ShardId(2)
MONEY = 100_000


class Node:
    """One node with one shard of accounts."""

    def __init__(self, shard: ShardId, bus: Bus, *, resend_s: float = 2.0) -> None:
        self.bus = bus
        self.neighbours = Neighbours(ByLetter())
        self.relay = ClusterRelay(bus, self.neighbours)
        ports = Ports(journal=MemoryStore(), clock=clock, relay=self.relay, directory=ByLetter())
        self.shard = Shard(shard, [ACCOUNT], ports, Limits(idle_s=None, resend_s=resend_s))
        self.neighbours.join(self.shard)

    async def begin(self, nursery: trio.Nursery) -> None:
        """Serve, and take the letters for the shard."""
        nursery.start_soon(self.bus.run)
        nursery.start_soon(keep_running, [self.shard], clock)
        await self.shard.opening()
        self.relay.open(self.shard)

    @property
    def unsettled(self) -> int:
        """Return how many tells to the other node are on their way."""
        return self.shard.statistics().unsettled

    def money(self) -> int:
        """Return what the accounts here have together."""
        return sum(account.balance for account in accounts(self.shard).values())


class Cluster:
    """Ann's node in the west and Zoe's in the east."""

    def __init__(self, west: Bus, east: Bus, *, resend_s: float = 2.0) -> None:
        self.west = Node(WEST, west, resend_s=resend_s)
        self.east = Node(EAST, east, resend_s=resend_s)

    async def begin(self, nursery: trio.Nursery) -> None:
        """Open both, and give Ann the money."""
        await self.west.begin(nursery)
        await self.east.begin(nursery)
        await self.west.shard.ask("account", "ann", Deposit(MONEY), 5)

    async def pay(self, id_: str) -> object:
        """Have Ann send Zoe one coin; once this is answered the coin may not get lost."""
        return await self.west.shard.ask("account", "ann", Transfer(id_, "zoe", 1), 5)

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing is on its way."""
        return not self.west.unsettled and not self.east.unsettled

    def credited(self) -> tuple[str, ...]:
        """Return what Zoe was credited with, in the order in which it came."""
        return accounts(self.east.shard)["zoe"].credited


def parcel(**fields: object) -> Parcel:
    """Return a parcel that the east would take, but for some fields."""
    good = Parcel(
        source=WEST,
        sequence=9,
        floor=9,
        previous=0,
        kind="account",
        key="zoe",
        message=encode(Credit("c", 1)),
    )
    return structs.replace(good, **fields)


async def test_what_is_told_to_another_node_arrives_once_and_in_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = MemoryBus()
    cluster = Cluster(bus.seat(), bus.seat())
    ids = tuple(f"{number}" for number in range(200))

    async with trio.open_nursery() as nursery:
        await cluster.begin(nursery)
        answers = [await cluster.pay(id_) for id_ in ids]
        await trio.sleep(1)
        credited, is_settled = cluster.credited(), cluster.is_settled
        money = cluster.west.money() + cluster.east.money()
        nursery.cancel_scope.cancel()

    assert answers == [Accepted()] * 200
    assert credited == ids
    assert is_settled
    assert money == MONEY


async def test_money_is_conserved_when_both_sides_pay_and_the_bus_is_wiped_now_and_then(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = MemoryBus()
    cluster = Cluster(bus.seat(), bus.seat(), resend_s=0.5)

    async with trio.open_nursery() as nursery:
        await cluster.begin(nursery)
        await cluster.east.shard.ask("account", "zoe", Deposit(MONEY), 5)
        for number in range(300):
            back = Transfer(f"back {number}", "ann", 2)
            cluster.west.shard.tell("account", "ann", Transfer(f"{number}", "zoe", 1))
            cluster.east.shard.tell("account", "zoe", back)
            if number % 3 == 0:
                await trio.lowlevel.checkpoint()
                bus.wipe()
        await trio.sleep(60)
        balances = (cluster.west.money(), cluster.east.money())
        is_settled = cluster.is_settled
        nursery.cancel_scope.cancel()

    assert balances == (MONEY + 300, MONEY - 300)
    assert is_settled


async def test_a_shard_of_the_same_node_is_reached_without_the_bus(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lost = MemoryBus().seat()
    node = Node(WEST, lost)
    ports = Ports(journal=MemoryStore(), clock=clock, relay=node.relay, directory=ByLetter())
    east = Shard(EAST, [ACCOUNT], ports, Limits(idle_s=None))
    node.neighbours.join(east)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_running, [node.shard, east], clock)
        await node.shard.opening()
        await east.opening()
        await node.shard.ask("account", "ann", Deposit(5), 1)
        await node.shard.ask("account", "ann", Transfer("t", "zoe", 5), 1)
        await settled(east)
        balance = accounts(east)["zoe"].balance
        nursery.cancel_scope.cancel()

    assert balance == 5
    assert node.relay.statistics().near == 2
    assert node.relay.statistics().posted == 0


async def test_a_letter_for_a_shard_that_is_not_open_yet_comes_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = MemoryBus()
    cluster = Cluster(bus.seat(), bus.seat())
    cluster.east.relay.open(cluster.east.shard)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.east.bus.run)
        await cluster.west.begin(nursery)
        await cluster.west.shard.ask("account", "ann", Deposit(5), 1)
        await cluster.pay("t")
        await trio.testing.wait_all_tasks_blocked()
        taken_too_early = cluster.east.relay.statistics().taken
        nursery.start_soon(keep_running, [cluster.east.shard], clock)
        await trio.sleep(5)
        credited = cluster.credited()
        nursery.cancel_scope.cancel()

    assert taken_too_early == 1
    assert credited == ("t",)


async def test_letters_for_a_shard_that_was_closed_wait_for_its_next_owner(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bus = MemoryBus()
    cluster = Cluster(bus.seat(), bus.seat(), resend_s=1_000)

    async with trio.open_nursery() as nursery:
        await cluster.begin(nursery)
        cluster.east.relay.close(cluster.east.shard)
        await cluster.pay("t")
        await trio.sleep(1)
        before = accounts(cluster.east.shard)
        cluster.east.relay.open(cluster.east.shard)
        await trio.sleep(1)
        credited = cluster.credited()
        nursery.cancel_scope.cancel()

    assert before == {}
    assert credited == ("t",)


@pytest.mark.parametrize(
    "letter",
    [
        b"",
        b"\xc1",
        msgpack.encode({"type": "parcel"}),
        msgpack.encode(["a word of a later version", 1, 2]),
        msgpack.encode(parcel(message=bytes(LETTER_BYTES_MAX))),
        msgpack.encode(parcel(sequence=0)),
        msgpack.encode(parcel(sequence=1 << 63)),
        msgpack.encode(parcel(floor=10)),
        msgpack.encode(parcel(floor=-1)),
        msgpack.encode(parcel(previous=9)),
        msgpack.encode(parcel(previous=-1)),
        msgpack.encode(parcel(source=EAST)),
        msgpack.encode(Settled(WEST, 3)),
        msgpack.encode(Settled(EAST, -3)),
    ],
)
async def test_a_letter_that_cannot_be_meant_so_is_counted_and_changes_nothing(
    autojump_clock: trio.testing.MockClock, letter: bytes
) -> None:
    seat = MemoryBus().seat()
    east = Node(EAST, seat)

    async with trio.open_nursery() as nursery:
        await east.begin(nursery)
        seat.post(EAST, letter)
        await settled(east.shard)
        before = accounts(east.shard)
        seat.post(EAST, msgpack.encode(parcel()))
        await settled(east.shard)
        after = accounts(east.shard)
        nursery.cancel_scope.cancel()

    assert east.relay.statistics().unreadable == 1
    assert before == {}
    assert after["zoe"].balance == 1


@given(letter=st.binary(max_size=200))
def test_no_letter_whatever_it_holds_can_raise(letter: bytes) -> None:
    taken: list[int] = []

    async def main() -> None:
        seat = MemoryBus().seat()
        east = Node(EAST, seat)
        async with trio.open_nursery() as nursery:
            await east.begin(nursery)
            seat.post(EAST, letter)
            await trio.testing.wait_all_tasks_blocked()
            stood = east.relay.statistics()
            taken.append(stood.unreadable + stood.taken)
            nursery.cancel_scope.cancel()

    trio.run(main)

    assert taken == [1]


@pytest.fixture
def own(tmp_path: Path) -> Generator[Valkey]:
    with valkey(tmp_path) as server:
        yield server


@asynccontextmanager
async def _over_redis(url: str) -> AsyncGenerator[tuple[Cluster, RedisServer]]:
    async with (
        bridged() as bridge,
        redis_server(bridge, url) as server,
        trio.open_nursery() as nursery,
    ):
        west, east = RedisBus(server, "tests"), RedisBus(server, "tests")
        cluster = Cluster(west, east, resend_s=0.2)
        await cluster.begin(nursery)
        yield cluster, server
        nursery.cancel_scope.cancel()


async def test_nothing_is_lost_or_doubled_when_redis_is_killed_and_wiped_meanwhile(
    own: Valkey,
) -> None:
    await own.answering()
    ids = tuple(f"{number}" for number in range(400))

    async with _over_redis(own.url) as (cluster, server):
        for number, id_ in enumerate(ids):
            await cluster.pay(id_)
            if number % 100 == 30:
                await server.exchange([("flushall",)])
            if number % 100 == 50:
                own.kill()
            if number % 100 == 70:
                own.start()
                await own.answering()
        await until(lambda: cluster.is_settled)
        credited = cluster.credited()
        money = cluster.west.money() + cluster.east.money()

    assert server.statistics().failures > 0
    assert credited == ids
    assert money == MONEY


async def test_what_was_acknowledged_while_redis_was_full_arrives_when_it_has_room(
    own: Valkey,
) -> None:
    await own.answering()
    ids = tuple(f"{number}" for number in range(50))

    async with _over_redis(own.url) as (cluster, server):
        await server.exchange([("config", "set", "maxmemory", "1mb")])
        answers = [await cluster.pay(id_) for id_ in ids]
        await until(lambda: server.statistics().failures > 0)
        kept = cluster.west.unsettled
        await server.exchange([("config", "set", "maxmemory", "0")])
        await until(lambda: cluster.is_settled)
        credited = cluster.credited()

    assert answers == [Accepted()] * 50
    assert kept == 50
    assert credited == ids
