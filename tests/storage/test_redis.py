"""The way to Redis: round trips, channels, and a sentence for whatever goes wrong."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing
from msgspec import convert

from storage.bridge import bridged
from storage.redis import TROUBLE_S, Command, Patience, RedisServer, RedisUnreachable, redis_server
from tests.storage.valkey import Valkey, until, valkey


@asynccontextmanager
async def _server(url: str) -> AsyncGenerator[RedisServer]:
    async with bridged() as bridge, redis_server(bridge, url) as server:
        yield server


async def _told(url: str, *commands: Command) -> str:
    """Return the sentence with which the last of these commands fails."""
    async with _server(url) as server:
        *before, failing = commands
        if before:
            await server.exchange(before)
        with pytest.raises(RedisUnreachable) as caught:
            await server.exchange([failing])
        assert server.statistics().trouble == str(caught.value)
    return str(caught.value)


@pytest.fixture
def own(tmp_path: Path) -> Generator[Valkey]:
    with valkey(tmp_path) as server:
        yield server


async def test_commands_are_run_in_order_and_answered_raw(redis_url: str) -> None:
    async with _server(redis_url) as server:
        replies = await server.exchange(
            [("set", "k", b"\xff"), ("get", "k"), ("get", "none"), ("rpush", "l", 1, 2.5)]
        )
        (listed,) = await server.exchange([("lrange", "l", 0, -1)])

    assert replies == [b"OK", b"\xff", None, 2]
    assert listed == [b"1", b"2.5"]


async def test_a_round_trip_that_blocks_is_in_nobodys_way(redis_url: str) -> None:
    ended: list[str] = []

    async with _server(redis_url) as server, trio.open_nursery() as nursery:

        async def block() -> None:
            await server.exchange([("blpop", "bell", 5)])
            ended.append("blocked")

        nursery.start_soon(block)
        await server.exchange([("ping",)])
        ended.append("pinged")
        await server.exchange([("rpush", "bell", "now")])

    assert ended == ["pinged", "blocked"]


async def test_a_server_that_is_not_there_is_told_by_where_it_should_be() -> None:
    told = await _told("redis://:secret@127.0.0.1:1/0", ("ping",))

    assert told == (
        "Redis at 127.0.0.1:1 cannot be reached: start it, or set REDIS_URL to where it runs"
    )


async def test_a_wrong_password_is_told_without_showing_it(redis_url: str) -> None:
    port = urlsplit(redis_url).port

    told = await _told(f"redis://:wr0ng@127.0.0.1:{port}", ("ping",))

    assert "refused the password" in told
    assert "wr0ng" not in told


async def test_a_missing_password_is_told(own: Valkey) -> None:
    await own.answering()
    async with _server(own.url) as server:
        await server.exchange([("config", "set", "requirepass", "pass")])

    told = await _told(own.url, ("ping",))

    assert "refused the password" in told


async def test_a_user_who_may_too_little_is_told(own: Valkey) -> None:
    await own.answering()
    async with _server(own.url) as server:
        await server.exchange([("acl", "setuser", "ann", "on", "nopass", "+@all", "-xadd", "~*")])

    told = await _told(own.url.replace("//", "//ann:x@"), ("xadd", "s", "*", "a", "b"))

    assert "does not allow the user" in told


async def test_a_replica_is_told_from_its_primary(own: Valkey) -> None:
    await own.answering()

    told = await _told(own.url, ("replicaof", "127.0.0.1", 1), ("set", "k", "v"))

    assert told.endswith("is a replica and takes no writes: name the primary in REDIS_URL")


async def test_a_server_that_is_too_old_for_a_command_is_told(redis_url: str) -> None:
    told = await _told(redis_url, ("fly",))

    assert "is too old, at least Redis 8 or Valkey 9 is needed: unknown command 'fly'" in told


async def test_any_other_refusal_is_told_in_the_servers_words(redis_url: str) -> None:
    told = await _told(redis_url, ("set", "k", "v"), ("xadd", "k", "*", "a", "b"))

    assert "did not do what it was asked" in told
    assert "wrong kind of value" in told


async def test_a_server_that_hangs_up_is_tried_once_and_no_more() -> None:
    calls: list[trio.SocketStream] = []

    async def hang_up(stream: trio.SocketStream) -> None:
        calls.append(stream)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        port = convert(listener.socket.getsockname(), tuple[str, int])[1]
        told = await _told(f"redis://127.0.0.1:{port}", ("ping",))
        nursery.cancel_scope.cancel()

    assert "cannot be reached" in told
    assert len(calls) == 1


async def test_a_command_that_fails_fails_its_round_trip_and_leaves_the_server_usable(
    redis_url: str,
) -> None:
    async with _server(redis_url) as server:
        with pytest.raises(RedisUnreachable):
            await server.exchange([("set", "a", 1), ("fly",), ("set", "b", 2)])
        replies = await server.exchange([("get", "a"), ("get", "b")])
        stood = server.statistics()

    assert replies == [b"1", b"2"]
    assert (stood.round_trips, stood.failures) == (2, 1)


async def test_trouble_is_told_while_it_is_new(
    autojump_clock: trio.testing.MockClock,
) -> None:
    autojump_clock.autojump_threshold = inf  # The server's answers take no virtual time.

    async with _server("redis://127.0.0.1:1") as server:
        told = [server.statistics().trouble]
        with pytest.raises(RedisUnreachable):
            await server.exchange([("ping",)])
        told.append(server.statistics().trouble)
        autojump_clock.jump(TROUBLE_S)
        told.append(server.statistics().trouble)

    assert told[0] is None
    assert told[1] is not None
    assert told[2] is None


async def test_what_is_no_address_is_refused_at_once() -> None:
    async with bridged() as bridge:
        with pytest.raises(ValueError, match="redis://"):
            RedisServer(bridge, "localhost:6379")


async def test_a_server_that_was_killed_and_started_again_serves_the_next_round_trip(
    own: Valkey,
) -> None:
    await own.answering()

    async with _server(own.url) as server:
        await server.exchange([("ping",)])
        own.kill()
        with pytest.raises(RedisUnreachable):
            await server.exchange([("ping",)])
        own.start()
        await own.answering()
        replies = await server.exchange([("ping",)])

    assert replies == [b"PONG"]


async def test_what_is_published_is_heard_in_order_until_the_channel_is_lost(own: Valkey) -> None:
    await own.answering()
    heard: list[bytes] = []

    async with _server(own.url) as server, trio.open_nursery() as nursery:

        async def hear() -> None:
            with pytest.raises(RedisUnreachable):
                await server.hear("news", heard.append)
            heard.append(b"lost")

        nursery.start_soon(hear)
        subscribers: list[object] = [0]
        while subscribers == [0]:
            subscribers = await server.exchange([("publish", "news", "are you there?")])
        await server.exchange([("publish", "news", f"{number}") for number in range(100)])
        await until(lambda: len(heard) == 101)
        own.kill()

    assert heard == [b"are you there?", *[f"{number}".encode() for number in range(100)], b"lost"]


async def test_whoever_stops_listening_leaves_a_server_that_others_can_use(redis_url: str) -> None:
    async with _server(redis_url) as server:
        for _ in range(20):
            with trio.move_on_after(0.01):
                await server.hear("news", print)
        replies = [await server.exchange([("ping",)]) for _ in range(20)]

    assert replies == [[b"PONG"]] * 20


async def test_patience_doubles_up_to_its_ceiling_and_begins_anew(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001
) -> None:
    patience = Patience(first_s=1.0, s_max=3.0)
    waits: list[float] = []

    for is_reset in (False, False, False, True):
        if is_reset:
            patience.reset()
        began = trio.current_time()
        await patience.wait()
        waits.append(trio.current_time() - began)

    assert waits == pytest.approx([1.0, 2.0, 3.0, 1.0])
