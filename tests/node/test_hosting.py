"""A shard on its node: what a tenancy opens, and what it leaves when it stops or is lost."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from math import inf

import pytest
import trio
import trio.testing
from msgspec import Struct

from actors.directory import Neighbours
from actors.shard import Shard
from dispatch.courier import StartShift
from dispatch.ids import CourierId, MarketId, RestaurantId, ShardId, after
from dispatch.journal import LeaseLost
from dispatch.policy import Policy
from dispatch.restaurant import Open
from dispatch.step import Accepted
from geo.point import Point
from geo.travel import StraightLine
from node.hosting import Hosting, Market
from node.tenancy import Tenancy
from storage.memory import MemoryStore
from tests.actors.stage import clock

SHARD = ShardId(7)
MARKET = Market(
    market_id=MarketId("m"),
    policy=Policy(round_s=5.0),
    travel=StraightLine(speed_mps=5.0),
    solver="nearest",
)


class Everywhere:
    """A directory for nodes whose shards are named outright."""

    def home(self, kind: str, key: str) -> ShardId:
        raise AssertionError(f"{kind} {key} is looked for")


class Attached:
    """A relay that notes which shards it serves."""

    def __init__(self) -> None:
        self.events: list[tuple[str, ShardId]] = []

    def open(self, shard: Shard) -> None:
        self.events.append(("open", shard.id))

    def close(self, shard: Shard) -> None:
        self.events.append(("close", shard.id))

    def send(self, target: ShardId, parcel: Struct) -> None:
        raise AssertionError((target, parcel))

    def settle(self, source: ShardId, sequence: int) -> None:
        raise AssertionError((source, sequence))


def a_hosting(store: MemoryStore, relay: Attached | None = None) -> Hosting:
    """Return the hosting of a node that knows one market."""
    return Hosting(
        clock=clock,
        journal=store,
        markets={SHARD: MARKET}.get,
        neighbours=Neighbours(Everywhere()),
        relay=relay,
    )


def a_tenancy(shard: ShardId = SHARD, fence_s: float = inf) -> Tenancy:
    return Tenancy(shard, fence_s, trio.current_time)


@asynccontextmanager
async def hosted(hosting: Hosting, tenancy: Tenancy) -> AsyncGenerator[Shard]:
    """Host the shard, and end as a crash would when the block ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hosting.host, tenancy)
        await trio.testing.wait_all_tasks_blocked()
        yield hosting.shards[tenancy.shard]
        nursery.cancel_scope.cancel()


def an_opening() -> Open:
    return Open(restaurant_id=RestaurantId("rst"), point=Point(0, 0), auto_accepts=False)


def a_shift() -> StartShift:
    return StartShift(
        courier_id=CourierId("crr"),
        market_id=MARKET.market_id,
        point=Point(0, 0),
        ends_at=after(clock(), 3_600),
        load_max=4,
    )


async def rounds_of(shard: Shard) -> int:
    """Return how many rounds the market has begun."""
    found = dict(shard.states("round"))[MARKET.market_id]
    return getattr(found, "number", -1)


async def test_a_hosted_shard_takes_messages_and_has_rounds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with hosted(a_hosting(MemoryStore()), a_tenancy()) as shard:
        answer = await shard.ask("courier", "crr", a_shift(), 1)
        await trio.sleep(21)
        begun = await rounds_of(shard)

    assert answer == Accepted()
    assert begun == 5


async def test_an_ordered_stop_commits_what_waits_and_detaches_the_shard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, relay, tenancy = MemoryStore(), Attached(), a_tenancy()
    hosting = a_hosting(store, relay)

    async with hosted(hosting, tenancy) as shard:
        shard.tell("restaurant", "rst", an_opening())
        tenancy.stopping.set()
        await trio.sleep(1)
        left = dict(hosting.shards)
    taken = await store.open(SHARD)

    assert left == {}
    assert relay.events == [("open", SHARD), ("close", SHARD)]
    assert {checkpoint.kind for checkpoint in taken.checkpoints} == {"restaurant", "round"}


async def test_the_next_host_goes_on_with_the_rounds_where_they_were(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()

    async with hosted(a_hosting(store), a_tenancy()) as shard:
        await trio.sleep(11)
        before = await rounds_of(shard)
    async with hosted(a_hosting(store), a_tenancy()) as shard:
        await trio.sleep(11)
        after_it = await rounds_of(shard)

    assert before == 3
    assert after_it > before


async def test_a_shard_that_another_node_takes_ends_with_the_loss_of_its_lease(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    hosting = a_hosting(store)

    with pytest.RaisesGroup(LeaseLost):
        async with hosted(hosting, a_tenancy()) as shard:
            await store.open(SHARD)
            shard.tell("restaurant", "rst", an_opening())
            await trio.sleep(1)

    assert hosting.shards == {}


async def test_a_shard_that_no_market_has_is_not_hosted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with pytest.raises(LeaseLost, match="no market"):
        await a_hosting(MemoryStore()).host(a_tenancy(ShardId(8)))
