"""One HTTP connection: what leaves it when, how long it may be idle, and what it costs the loop."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from trio.testing import MockClock

from api.door import DoorLimits, serve_door
from api.reactor import Reactor

ASKED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nsoup"
TURNS_MAX = 4
"""From the bytes of a request to the last of its answer: the library's own way takes seven."""

type Say = Callable[[ASGISendCallable], Awaitable[None]]


async def begin(send: ASGISendCallable, *headers: tuple[bytes, bytes]) -> None:
    """Say how the answer begins."""
    start = {"type": "http.response.start", "status": 200, "headers": headers, "trailers": False}
    await send(start)  # pyright: ignore[reportArgumentType] - a union of typed dictionaries.


async def part(send: ASGISendCallable, body: bytes, *, is_last: bool = True) -> None:
    """Say a part of the body."""
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def soup(send: ASGISendCallable) -> None:
    """Answer as an endpoint does."""
    await begin(send, (b"content-length", b"4"))
    await part(send, b"soup", is_last=False)
    await part(send, b"")


@dataclass
class Served:
    """A door, whom it lets in, and how often the loop has turned."""

    port: int
    leave: trio.Event = field(default_factory=trio.Event)
    left: trio.Event = field(default_factory=trio.Event)

    async def asked(self, sent: bytes = ASKED) -> trio.SocketStream:
        """Return a connection over which this has been sent."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        await stream.send_all(sent)
        return stream


@asynccontextmanager
async def served(say: Say = soup, limits: DoorLimits | None = None) -> AsyncGenerator[Served]:
    """Serve a door behind which every request is answered like this."""

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})  # pyright: ignore[reportArgumentType]
            return
        await say(send)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    here = Served(listeners[0].socket.getsockname()[1])

    async def serve() -> None:
        reactor = Reactor({})
        await serve_door(listeners, app, reactor, limits or DoorLimits(), leave=here.leave)
        here.left.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield here
        nursery.cancel_scope.cancel()


class Turns(trio.abc.Instrument):
    """Counts the turns of the loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        del timeout
        self.count += 1


async def test_an_answer_leaves_in_one_piece_after_few_turns_of_the_loop() -> None:
    async with served() as here, await here.asked() as stream:
        await stream.receive_some()
        turns = Turns()
        trio.lowlevel.add_instrument(turns)

        await stream.send_all(ASKED)
        answer = bytes(await stream.receive_some())

        trio.lowlevel.remove_instrument(turns)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nsoup")
        assert turns.count <= TURNS_MAX


async def test_an_answer_whose_length_nobody_knows_begins_at_once() -> None:
    release = trio.Event()

    async def stream_on(send: ASGISendCallable) -> None:
        await begin(send)
        await release.wait()
        await part(send, b"soup")

    async with served(stream_on) as here, await here.asked() as stream:
        with trio.fail_after(5):
            head = bytes(await stream.receive_some())
        release.set()
        rest = bytes(await stream.receive_some())

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"soup" not in head
    assert b"soup" in rest


async def test_an_answer_without_its_body_is_said_too() -> None:
    async with served() as here, await here.asked(ASKED.replace(b"POST", b"HEAD")) as stream:
        with trio.fail_after(5):
            answer = bytes(await stream.receive_some())

    assert b"content-length: 4" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    async with served() as here, await here.asked(3 * ASKED) as stream:
        received = b""
        with trio.fail_after(5):
            while received.count(b"soup") < 3:
                received += await stream.receive_some()

    assert received.count(b"HTTP/1.1 200 ") == 3


async def test_a_long_answer_comes_whole() -> None:
    long = bytes(range(256)) * 40_000

    async def long_answer(send: ASGISendCallable) -> None:
        await begin(send, (b"content-length", str(len(long)).encode()))
        for start in range(0, len(long), 1_000_000):
            await part(send, long[start : start + 1_000_000], is_last=False)
        await part(send, b"")

    async with served(long_answer) as here, await here.asked() as stream:
        received = b""
        while len(received) < len(long):
            received += await stream.receive_some()

    assert received.endswith(long)


@pytest.mark.parametrize("said", [b"", ASKED])
async def test_who_asks_nothing_more_is_cut_off(said: bytes, autojump_clock: MockClock) -> None:
    limits = DoorLimits(idle_s=3.0)
    async with served(limits=limits) as here, await here.asked(said or b"POST / ") as stream:
        if said:
            await stream.receive_some()
        before_s = autojump_clock.current_time()

        assert not await stream.receive_some()

        assert 0.0 < autojump_clock.current_time() - before_s <= limits.idle_s + 1.0


async def test_nobody_who_asks_nothing_keeps_the_door_from_ending() -> None:
    async with served() as here, await here.asked() as stream:
        await stream.receive_some()

        here.leave.set()
        with trio.fail_after(2):
            await here.left.wait()

        assert not await stream.receive_some()
