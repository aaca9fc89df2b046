"""Live channels: heard while somebody wants them, over one connection that may be lost."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from storage.bridge import bridged
from storage.live import WAITING_MAX, RedisLive
from storage.redis import RedisServer, redis_server
from tests.storage.valkey import Valkey, until


class Hearing:
    """What one node has heard."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def hear(self, channel: str, message: bytes) -> None:
        self.told.append((channel, message))

    async def at_last(self, channel: str, message: bytes) -> None:
        """Wait until it has heard the message."""
        await until(lambda: (channel, message) in self.told)


@asynccontextmanager
async def two(url: str) -> AsyncGenerator[tuple[RedisLive, Hearing, RedisLive, RedisServer]]:
    """Two nodes: one that hears, one that speaks."""
    async with (
        bridged() as bridge,
        redis_server(bridge, url) as server,
        trio.open_nursery() as nursery,
    ):
        here, there, hearing = RedisLive(server, "c"), RedisLive(server, "c"), Hearing()
        nursery.start_soon(here.run, hearing.hear)
        nursery.start_soon(there.run, Hearing().hear)
        yield here, hearing, there, server
        nursery.cancel_scope.cancel()


async def repeated(there: RedisLive, channel: str, message: bytes, hearing: Hearing) -> None:
    """Publish until it is heard: a channel is joined soon, not at once."""
    async with trio.open_nursery() as nursery:

        async def speak() -> None:
            while True:
                there.publish(channel, message)
                await trio.sleep(0.01)

        nursery.start_soon(speak)
        await hearing.at_last(channel, message)
        nursery.cancel_scope.cancel()


async def test_channels_are_heard_from_when_they_are_joined_until_they_are_left(
    redis_url: str,
) -> None:
    async with two(redis_url) as (here, hearing, there, _):
        here.join("a")
        here.join("b")
        await repeated(there, "a", b"1", hearing)
        await repeated(there, "b", b"2", hearing)
        here.leave("a")
        await repeated(there, "b", b"3", hearing)
        there.publish("a", b"4")
        await repeated(there, "b", b"5", hearing)

    assert ("a", b"4") not in hearing.told


async def test_a_thousand_channels_are_joined_and_each_message_is_heard_once(
    redis_url: str,
) -> None:
    async with two(redis_url) as (here, hearing, there, _):
        for at in range(1_500):
            here.join(f"c{at}")
        await repeated(there, "c1499", b"now", hearing)
        hearing.told.clear()
        for at in range(1_499):
            there.publish(f"c{at}", b"%d" % at)
        await until(lambda: ("c1498", b"1498") in hearing.told)

    numbered = [told for told in hearing.told if told[1] != b"now"]
    assert numbered == [(f"c{at}", b"%d" % at) for at in range(1_499)]


async def test_other_clusters_on_the_same_server_are_not_heard(redis_url: str) -> None:
    async with two(redis_url) as (here, hearing, there, server):
        here.join("a")
        await repeated(there, "a", b"1", hearing)
        await server.exchange([("publish", "d:live:a", b"foreign")])
        await repeated(there, "a", b"2", hearing)

    assert ("a", b"foreign") not in hearing.told


@pytest.fixture
def valkey(tmp_path: Path) -> Generator[Valkey]:
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.kill()


async def test_channels_are_heard_again_after_the_server_was_lost(valkey: Valkey) -> None:
    await valkey.answering()
    async with two(valkey.url) as (here, hearing, there, _):
        here.join("a")
        await repeated(there, "a", b"before", hearing)
        valkey.kill()
        here.join("b")
        valkey.start()
        await valkey.answering()
        await repeated(there, "a", b"after", hearing)
        await repeated(there, "b", b"after", hearing)


async def test_while_the_server_is_away_only_so_much_waits(redis_url: str) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        live = RedisLive(server, "c")

        for at in range(WAITING_MAX + 10):
            live.publish("a", b"%d" % at)

    assert (live.statistics().waiting, live.statistics().lost) == (WAITING_MAX, 10)
