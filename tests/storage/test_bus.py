"""The bus through Redis: what every bus does, and what becomes of it when the server is away."""

import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
from msgspec import convert

from node.ports import Bus
from storage.bridge import bridged
from storage.bus import ENTRY_BYTES, FLUSH_MAX, LETTER_BYTES_MAX, WAITING_MAX, RedisBus
from storage.redis import RedisServer, redis_server
from tests.storage.bus_conformance import EAST, WEST, BusConformance, Cluster, Mailbox, numbered
from tests.storage.valkey import Valkey, until, valkey

STREAM = f"tests:inbox:{EAST}"


@asynccontextmanager
async def _cluster(url: str) -> AsyncGenerator[Cluster]:
    async with (
        bridged() as bridge,
        redis_server(bridge, url) as server,
        trio.open_nursery() as nursery,
    ):

        def node() -> Bus:
            bus = RedisBus(server, "tests")
            nursery.start_soon(bus.run)
            return bus

        yield node
        nursery.cancel_scope.cancel()


class TestRedisBus(BusConformance):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url

    def cluster(self) -> AbstractAsyncContextManager[Cluster]:
        return _cluster(self.url)


class Line:
    """A bus whose letters come back to the node that posted them, and its server."""

    def __init__(self, bus: RedisBus, server: RedisServer) -> None:
        self.bus, self.server, self.mailbox = bus, server, Mailbox()

    async def carried(self, letter: bytes) -> None:
        """Post a letter again and again, as a source does, until it has come."""
        while letter not in self.mailbox.letters:
            self.bus.post(EAST, letter)
            await trio.sleep(0.02)


@asynccontextmanager
async def _line(url: str, entries_max: int = 100) -> AsyncGenerator[Line]:
    async with (
        bridged() as bridge,
        redis_server(bridge, url) as server,
        trio.open_nursery() as nursery,
    ):
        line = Line(RedisBus(server, "tests", entries_max), server)
        nursery.start_soon(line.bus.run)
        with trio.fail_after(9):
            yield line
        nursery.cancel_scope.cancel()


async def _counted(server: RedisServer) -> tuple[int, int]:
    """Return how many entries the stream has, and how many were ever added."""
    (reply,) = await server.exchange([("xinfo", "stream", STREAM)])
    told = convert(reply, list[object])
    by_name = dict(zip(told[::2], told[1::2], strict=True))
    return convert((by_name[b"length"], by_name[b"entries-added"]), tuple[int, int])


@pytest.fixture
def own(tmp_path: Path) -> Generator[Valkey]:
    with valkey(tmp_path) as server:
        yield server


async def test_a_server_that_was_killed_is_used_again_when_it_is_back(own: Valkey) -> None:
    await own.answering()

    async with _line(own.url) as line:
        line.bus.open(EAST, line.mailbox.take)
        await line.carried(b"before")
        own.kill()
        await until(lambda: line.server.statistics().trouble is not None)
        told = line.server.statistics().trouble
        for letter in numbered(100):
            line.bus.post(EAST, letter)
        await until(lambda: line.bus.statistics().dropped >= 100)
        own.start()
        await line.carried(b"after")

    assert told is not None
    assert told.endswith("cannot be reached: start it, or set REDIS_URL to where it runs")


async def test_a_server_that_hangs_costs_letters_and_nothing_else(own: Valkey) -> None:
    await own.answering()

    async with _line(own.url) as line:
        line.bus.open(EAST, line.mailbox.take)
        await line.carried(b"before")
        own.send(signal.SIGSTOP)
        line.bus.post(EAST, b"under way")
        await until(lambda: line.bus.statistics().dropped > 0)
        told = line.server.statistics().trouble
        own.send(signal.SIGCONT)
        await line.carried(b"after")

    assert told is not None
    assert "did not answer in time" in told


async def test_a_server_whose_clock_went_back_by_years_and_was_wiped_is_read_on(
    redis_url: str,
) -> None:
    async with _line(redis_url) as line:
        await line.server.exchange([("xadd", STREAM, "99999999999999-0", "letters", b"\x90")])
        line.bus.open(EAST, line.mailbox.take)
        await line.carried(b"of the future")
        await line.server.exchange([("flushall",)])
        await line.carried(b"of the present")

    assert line.mailbox.letters[-1] == b"of the present"


async def test_what_was_handed_over_does_not_stay_in_the_server(redis_url: str) -> None:
    async with _line(redis_url) as line:
        line.bus.open(EAST, line.mailbox.take)
        for letter in numbered(500):
            line.bus.post(EAST, letter)
        await line.mailbox.holding(500)
        lengths: list[object] = []
        while lengths[-1:] != [0]:
            lengths = await line.server.exchange([("xlen", STREAM)])

    assert line.mailbox.letters == numbered(500)


async def test_a_stream_that_nobody_reads_stays_within_its_limit(redis_url: str) -> None:
    async with _line(redis_url, entries_max=100) as line:
        line.bus.post(EAST, b"the first")
        await until(lambda: line.server.statistics().round_trips > 0)
        for letter in numbered(1_000):
            line.bus.post(EAST, letter.rjust(20_000))
        length, added = 0, 0
        while added <= 1_000:
            length, added = await _counted(line.server)

    assert 100 <= length <= 300


async def test_an_entry_that_cannot_be_read_is_counted_and_passed_over(redis_url: str) -> None:
    async with _line(redis_url) as line:
        await line.server.exchange([("xadd", STREAM, "*", "letters", b"\xc1 no msgpack")])
        line.bus.open(EAST, line.mailbox.take)
        await line.carried(b"good")
        stood = line.bus.statistics()

    assert stood.unreadable == 1
    assert set(line.mailbox.letters) == {b"good"}


async def test_a_server_that_is_full_says_so_and_is_used_again_when_it_has_room(
    own: Valkey,
) -> None:
    await own.answering()

    async with _line(own.url) as line:
        await line.server.exchange([("config", "set", "maxmemory", "1mb")])
        line.bus.post(EAST, b"no room for it")
        await until(lambda: line.bus.statistics().dropped == 1)
        told = line.server.statistics().trouble
        await line.server.exchange([("config", "set", "maxmemory", "0")])
        line.bus.open(EAST, line.mailbox.take)
        await line.carried(b"after")

    assert told is not None
    assert told.endswith(
        "is out of memory: raise its maxmemory; nothing acknowledged is lost by it"
    )


async def test_letters_for_a_server_that_is_away_are_dropped_at_once() -> None:
    async with _line("redis://127.0.0.1:1") as line:
        for letter in numbered(FLUSH_MAX + 10):
            line.bus.post(EAST, letter)
        await until(lambda: line.bus.statistics().dropped > 0)
        under_way_and_behind = line.bus.statistics().dropped
        line.bus.post(EAST, b"another")
        stood = line.bus.statistics()

    assert under_way_and_behind == FLUSH_MAX + 10
    assert (stood.dropped, stood.waiting) == (FLUSH_MAX + 11, 0)


async def test_letters_beyond_the_limits_are_dropped_and_counted() -> None:
    async with bridged() as bridge, redis_server(bridge, "redis://127.0.0.1:1") as server:
        bus = RedisBus(server, "tests")

        bus.post(EAST, bytes(LETTER_BYTES_MAX + 1))
        too_long = bus.statistics()
        for _ in range(WAITING_MAX + 10):
            bus.post(EAST, b"")
        too_many = bus.statistics()

    assert (too_long.dropped, too_long.waiting) == (1, 0)
    assert (too_many.dropped, too_many.waiting) == (11, WAITING_MAX)


async def test_what_was_read_for_a_shard_that_closed_meanwhile_is_left_to_its_next_owner(
    redis_url: str,
) -> None:
    rest, west = Mailbox(), Mailbox()

    async with _cluster(redis_url) as node:
        ours, theirs = node(), node()

        def take(_letter: bytes) -> None:
            ours.close(EAST)
            theirs.post(WEST, b"closed")

        for letter in numbered(5):
            theirs.post(EAST, letter.rjust(ENTRY_BYTES))
        ours.open(WEST, west.take)
        ours.open(EAST, take)
        await west.holding(1)
        theirs.open(EAST, rest.take)
        taken = await rest.holding(4)

    assert [letter.strip() for letter in taken[-4:]] == numbered(5)[1:]
