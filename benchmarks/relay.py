"""What it costs that two shards live on different nodes, through a Redis started for it.

Writers in one shard each tell their reader in the other one numbers that only rise; a reader notes
each in its state and shows it to a person. Throughput: so many numbers, until every row of the
outbox is settled; turns over Redis and over the memory bus alternate, and each is judged by its
median. Delay: numbers at fixed instants, each counted from the instant at which it was due to the
one at which it is shown, after the commits of both shards; beside it stands what a bare round trip
to the same server takes. The stores are in memory, so that what is measured is the way between
them. That every number came once and in order is checked.
"""

import json
import resource
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TypedDict

import trio
from msgspec import Struct

from actors.directory import Neighbours
from actors.kind import Kind
from actors.life import Ports
from actors.limits import Limits
from actors.shard import Shard
from actors.supervision import keep_running
from dispatch.ids import Instant, ShardId
from dispatch.step import Step, Tell
from node.embedded import embedded
from node.ports import Bus
from node.relay import ClusterRelay
from storage.bridge import bridged
from storage.bus import RedisBus
from storage.memory import MemoryStore
from storage.memory_bus import MemoryBus
from storage.redis import RedisServer, redis_server

WEST, EAST = ShardId(1), ShardId(2)
WRITERS = 500
TELLS = 30_000
TURNS = 3
RATE = 500
DELAY_S = 6
ROUND_TRIPS = 1_000
SETTLE_S = 60.0
LOOK_S = 0.001


class Measured(TypedDict):
    """The figures of the benchmark."""

    tells_per_s: int
    memory_tells_per_s: int
    cpu_us_per_tell: float
    memory_cpu_us_per_tell: float
    ratio: float
    delay_ms_p50: float
    delay_ms_p99: float
    memory_delay_ms_p50: float
    memory_delay_ms_p99: float
    round_trip_ms_p50: float
    round_trip_ms_p99: float


class Turn(TypedDict):
    """One turn of throughput: numbers a second, and what one of them cost."""

    per_s: float
    cpu_us: float


class Noted(Struct, frozen=True):
    """What an actor has seen: how many numbers, and the last one."""

    count: int = 0
    last: int = -1


class Write(Struct, frozen=True, tag="write"):
    """Tell the reader of your name this number."""

    number: int


class Note(Struct, frozen=True, tag="note"):
    """Note this number, which is higher than those before."""

    number: int


def _write(state: Noted | None, message: Write, now: Instant) -> Step[Noted | None]:
    del now
    before = state or Noted()
    told = Tell("reader", f"{message.number % WRITERS}", Note(message.number))
    return Step(Noted(before.count + 1, message.number), (told,))


def _read(state: Noted | None, message: Note, now: Instant) -> Step[Noted | None]:
    del now
    before = state or Noted()
    assert message.number > before.last, f"{message.number} came after {before.last}"
    return Step(Noted(before.count + 1, message.number), (Tell("feed", "ann", message),))


WRITER = Kind(name="writer", step=_write, state_type=Noted, message_type=Write)
READER = Kind(name="reader", step=_read, state_type=Noted, message_type=Note)


class ByKind:
    """A directory: writers in the west, readers in the east."""

    def home(self, kind: str, key: str) -> ShardId:
        """Return the shard of the actor."""
        del key
        return WEST if kind == WRITER.name else EAST


class Arrivals:
    """When each number was shown."""

    def __init__(self) -> None:
        self.at_s: dict[int, float] = {}

    def publish(self, person: str, number: int, message: Struct, epoch: int) -> None:
        """Note the instant."""
        del person, number, epoch
        assert isinstance(message, Note)
        self.at_s[message.number] = time.perf_counter()


class Pair:
    """Two nodes with a shard each."""

    def __init__(self, west: Bus, east: Bus) -> None:
        self.arrivals = Arrivals()
        self.buses = (west, east)
        self.west, self.relay = self._node(WEST, west)
        self.east, self.relay_back = self._node(EAST, east)

    async def begin(self, nursery: trio.Nursery) -> None:
        """Open the shards and attach them to the bus."""
        for bus in self.buses:
            nursery.start_soon(bus.run)
        nursery.start_soon(keep_running, (self.west, self.east), clock)
        await self.west.opening()
        await self.east.opening()
        self.relay.open(self.west)
        self.relay_back.open(self.east)

    async def settled(self, count: int) -> None:
        """Wait until so many numbers have been shown and no row is left; raises TooSlowError."""
        with trio.fail_after(SETTLE_S):
            while not self._is_settled(count):  # noqa: ASYNC110 - two shards ring no common bell.
                await trio.sleep(LOOK_S)
        noted = [state for _, state in self.east.states("reader")]
        assert sum(state.count for state in noted if isinstance(state, Noted)) == count

    def _is_settled(self, count: int) -> bool:
        return len(self.arrivals.at_s) >= count and not self.west.statistics().unsettled

    def _node(self, shard_id: ShardId, bus: Bus) -> tuple[Shard, ClusterRelay]:
        neighbours = Neighbours(ByKind())
        relay = ClusterRelay(bus, neighbours)
        ports = Ports(
            journal=MemoryStore(keeps_history=False),
            clock=clock,
            feeds=self.arrivals,
            relay=relay,
            directory=ByKind(),
        )
        shard = Shard(shard_id, (WRITER, READER), ports, Limits(idle_s=None))
        neighbours.join(shard)
        return shard, relay


def clock() -> Instant:
    """Return the time of this machine."""
    return Instant(time.time_ns() // 1_000_000)


def relay(tells: int = TELLS, seconds: int = DELAY_S) -> Measured:
    """Run the benchmark and return its figures; raises `AssertionError` if work was left undone."""
    return trio.run(_relay, tells, seconds)


async def _relay(tells: int, seconds: int) -> Measured:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="relay"))
        servers = await stack.enter_async_context(embedded(Path(folder)))
        bridge = await stack.enter_async_context(bridged())
        redis = await stack.enter_async_context(redis_server(bridge, servers.redis_url))
        return await measured(redis, tells, seconds)


async def measured(redis: RedisServer, tells: int, seconds: int) -> Measured:
    """Run all of it over this server and in memory, turn by turn."""

    def seats(turn: int) -> tuple[Bus, Bus]:
        return RedisBus(redis, f"turn {turn}"), RedisBus(redis, f"turn {turn}")

    far: list[Turn] = []
    near: list[Turn] = []
    for turn in range(TURNS):
        near.append(await throughput(*_memory_seats(), tells))
        far.append(await throughput(*seats(turn), tells))
    near_ms = quantiles(await delays_ms(*_memory_seats(), seconds), n=100)
    far_ms = quantiles(await delays_ms(*seats(TURNS), seconds), n=100)
    bare_ms = quantiles(await round_trips_ms(redis), n=100)
    cost_us, near_cost_us = _cost_us(far), _cost_us(near)
    return {
        "tells_per_s": _rate(far),
        "memory_tells_per_s": _rate(near),
        "cpu_us_per_tell": round(cost_us, 1),
        "memory_cpu_us_per_tell": round(near_cost_us, 1),
        "ratio": round(cost_us / near_cost_us, 2),
        "delay_ms_p50": round(far_ms[49], 2),
        "delay_ms_p99": round(far_ms[98], 2),
        "memory_delay_ms_p50": round(near_ms[49], 2),
        "memory_delay_ms_p99": round(near_ms[98], 2),
        "round_trip_ms_p50": round(bare_ms[49], 2),
        "round_trip_ms_p99": round(bare_ms[98], 2),
    }


async def throughput(west: Bus, east: Bus, tells: int) -> Turn:
    """Have the writers tell their readers `tells` numbers, as fast as they are taken."""
    async with _running(west, east) as pair:
        began, cpu_s = time.perf_counter(), _cpu_s()
        for number in range(tells):
            await _told(pair.west, number)
        await pair.settled(tells)
        spent_s, cpu_s = time.perf_counter() - began, _cpu_s() - cpu_s
    return {"per_s": tells / spent_s, "cpu_us": cpu_s / tells * 1e6}


async def delays_ms(west: Bus, east: Bus, seconds: int) -> list[float]:
    """Tell numbers at a fixed rate and return how long after its instant each was shown."""
    count = RATE * seconds
    async with _running(west, east) as pair:
        began = time.perf_counter()
        for number in range(count):
            due_s = began + number / RATE
            await trio.sleep(max(0.0, due_s - time.perf_counter()))
            await _told(pair.west, number)
        await pair.settled(count)
    at_s = pair.arrivals.at_s
    return [(at_s[number] - began - number / RATE) * 1e3 for number in range(count)]


async def round_trips_ms(redis: RedisServer) -> list[float]:
    """Return how long each of some round trips took that ask for nothing."""
    spent_ms: list[float] = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        replies = await redis.exchange([("ping",)])
        spent_ms.append((time.perf_counter() - began) * 1e3)
        assert replies == [b"PONG"]
    return spent_ms


async def _told(shard: Shard, number: int) -> None:
    """Have a writer tell the number; while there is no room, wait for it."""
    key = f"{number % WRITERS}"
    while shard.tell("writer", key, Write(number)):  # noqa: ASYNC110 - a shard rings no bell.
        await trio.sleep(LOOK_S)
    if number % WRITERS == 0:
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def _running(west: Bus, east: Bus) -> AsyncGenerator[Pair]:
    pair = Pair(west, east)
    async with trio.open_nursery() as nursery:
        await pair.begin(nursery)
        yield pair
        nursery.cancel_scope.cancel()


def _memory_seats() -> tuple[Bus, Bus]:
    bus = MemoryBus()
    return bus.seat(), bus.seat()


def _rate(turns: list[Turn]) -> int:
    return round(median([turn["per_s"] for turn in turns]))


def _cost_us(turns: list[Turn]) -> float:
    return median([turn["cpu_us"] for turn in turns])


def _cpu_s() -> float:
    """Return the processor time of this process, the bridge's thread included."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Print the figures as one line of JSON."""
    print(json.dumps(relay()))


if __name__ == "__main__":
    main()
