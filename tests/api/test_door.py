"""One port for sockets and HTTP, and what strangers can do to it."""

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from api.door import DoorLimits, serve_door
from api.proxies import NOBODY, Proxies, proxies
from api.reactor import Reactor, ReactorLimits, Socket
from tests.api.phone import House, Listener, Phone
from tests.wire.client import BINARY, PING, PONG, masked, request
from wire.frames import CloseCode

HELLO = b"GET /hello HTTP/1.1\r\nHost: dispatch.example\r\n\r\n"
LARGE_BYTES = 8 * 1024 * 1024

type Farewell = Callable[[], Awaitable[None]]


class App:
    """An application that greets, one that takes its time, and one with a long answer."""

    def __init__(self) -> None:
        self.lives: list[str] = []
        self.clients: list[tuple[str, str]] = []
        self.asked = trio.Event()
        self.release = trio.Event()
        self.finished = 0

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve a request, or the application's own life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert scope["type"] == "http"
        assert scope["client"] is not None
        self.clients.append((scope["client"][0], scope["scheme"]))
        self.asked.set()
        if scope["path"] == "/slow":
            await self.release.wait()
        body = b"x" * LARGE_BYTES if scope["path"] == "/large" else b"hello"
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())],
                "trailers": False,
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self.finished += 1

    async def _live(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()
        self.lives.append("began")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.lives.append("ended")
        await send({"type": "lifespan.shutdown.complete"})


class Building(House):
    """A door with a reactor and an application behind it."""

    def __init__(self, house: House, app: App, leave: trio.Event, left: trio.Event) -> None:
        super().__init__(house.reactor, house.port, house.guests)
        self.app = app
        self.leave = leave
        self.left = left


@asynccontextmanager
async def built(
    limits: DoorLimits | None = None,
    farewell: Farewell | None = None,
    proxies: Proxies = NOBODY,
) -> AsyncGenerator[Building]:
    """Serve a door."""
    guests: list[Listener] = []

    def usher(socket: Socket) -> Listener:
        guests.append(Listener(socket))
        return guests[-1]

    ushers = {"/v1/courier": usher, "/v1/stream": usher}
    reactor, app = Reactor(ushers, ReactorLimits(), proxies=proxies), App()
    leave, left = trio.Event(), trio.Event()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    house = House(reactor, listeners[0].socket.getsockname()[1], guests)

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await serve_door(
            listeners,
            app,
            reactor,
            limits or DoorLimits(),
            leave=leave,
            farewell=farewell,
            proxies=proxies,
            task_status=task_status,
        )
        left.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        yield Building(house, app, leave, left)
        nursery.cancel_scope.cancel()


async def answered(phone: Phone, asked: bytes) -> tuple[str, Mapping[str, str]]:
    """The status line and the headers of the answer to a request."""
    await phone.raw(asked)
    line, *headers = (await phone.head()).split("\r\n")
    return line, {name.lower(): value for name, value in (line.split(": ", 1) for line in headers)}


@pytest.mark.parametrize("path", ["/v1/courier", "/v1/stream", "/v1/stream?feed=ops"])
async def test_a_socket_and_a_request_come_through_one_door(path: str) -> None:
    async with built() as building, building.phone() as courier, building.phone() as customer:
        await courier.open(path)
        line, headers = await answered(customer, HELLO)
        await courier.say(b"still here?", PING)

        assert line == "HTTP/1.1 200 "
        assert "server" not in headers
        assert await courier.frame() == (PONG, b"still here?")


async def test_a_connection_may_ask_again_and_again() -> None:
    async with built() as building, building.phone() as phone:
        lines: list[str] = []
        for _ in range(3):
            line, _ = await answered(phone, HELLO)
            lines.append(line)
            await phone.body(b"hello")

        assert lines == ["HTTP/1.1 200 "] * 3


async def test_what_it_wants_may_be_said_a_byte_at_a_time() -> None:
    async with built() as building, building.phone() as courier, building.phone() as customer:
        for asked, phone in ((request("/v1/courier"), courier), (HELLO, customer)):
            for place in range(30):
                await phone.raw(asked[place : place + 1])
                await trio.testing.wait_all_tasks_blocked()
            await phone.raw(asked[30:])

        assert "101" in await courier.head()
        assert "200" in await customer.head()


@pytest.mark.parametrize(
    "path", ["/v1/couriers", "/v1/courier/x", "/v1/stream.html", "/v1/feed", "/"]
)
async def test_a_path_that_only_looks_alike_is_for_http(path: str) -> None:
    async with built() as building, building.phone() as phone:
        line, _ = await answered(phone, HELLO.replace(b"/hello", path.encode()))

        assert line == "HTTP/1.1 200 "


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(80) + b"\r\n\r\n", "400"),
        (b"\x00" * 100 + b"\r\n\r\n", "400"),
        (b"GARBAGE\r\n\r\n", "400"),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n", "431"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200, "503"),
    ],
)
async def test_garbage_is_refused_and_harms_nobody(garbage: bytes, status: str) -> None:
    async with built() as building, building.phone() as vandal, building.phone() as customer:
        await vandal.raw(garbage)

        assert status in await vandal.head()
        assert "200" in (await answered(customer, HELLO))[0]


async def test_who_says_nothing_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with built() as building, building.phone() as silent:
        before_s = autojump_clock.current_time()

        assert await silent.is_cut_off()

        assert autojump_clock.current_time() - before_s >= DoorLimits().undecided_s


async def test_who_says_too_little_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with built() as building, building.phone() as slow:
        before_s = autojump_clock.current_time()
        await slow.raw(b"GET /v1/cou")

        assert await slow.is_cut_off()

        assert autojump_clock.current_time() - before_s >= DoorLimits().undecided_s


async def dripped(phone: Phone) -> int:
    """Send a byte a second until nobody takes it, and return how long that went on."""
    for dripped_s in range(1000):
        try:
            await phone.raw(b"X")
        except trio.BrokenResourceError:
            return dripped_s
        await trio.sleep(1)
    raise AssertionError("somebody took a thousand bytes")


async def test_a_head_that_drips_in_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with built() as building, building.phone() as slow:
        await slow.raw(HELLO[:20])

        dripped_s = await dripped(slow)

        assert dripped_s <= DoorLimits().idle_s + 2
        assert not building.app.asked.is_set()
        assert autojump_clock.current_time() >= DoorLimits().idle_s


async def test_who_does_not_read_his_answer_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with built() as building, building.phone() as deaf:
        await deaf.raw(HELLO.replace(b"/hello", b"/large"))
        await building.app.asked.wait()

        await trio.sleep(DoorLimits().send_s + 1)
        building.leave.set()
        with trio.fail_after(1):
            await building.left.wait()

        assert autojump_clock.current_time() < DoorLimits().send_s + 5


async def test_only_so_many_connections_may_be_undecided() -> None:
    async with (
        built(DoorLimits(undecided_max=1)) as building,
        building.phone() as first,
        building.phone() as second,
    ):
        assert await second.is_cut_off()

        assert "200" in (await answered(first, HELLO))[0]


async def served(building: Building) -> bool:
    """Ask on a connection of its own, and tell whether there was room."""
    async with building.phone() as phone:
        line, headers = await answered(phone, HELLO)
    assert line == "HTTP/1.1 200 " or "retry-after" in headers
    return line == "HTTP/1.1 200 "


async def test_one_address_has_only_so_many_connections() -> None:
    async with built(DoorLimits(peer_connections_max=1)) as building:
        async with building.phone() as first:
            await answered(first, HELLO)
            was_served = await served(building)

        with trio.fail_after(5):
            while not await served(building):
                await trio.lowlevel.checkpoint()

        assert not was_served


async def test_a_request_is_its_clients_when_the_proxy_is_trusted() -> None:
    passed = HELLO.replace(
        b"\r\n\r\n",
        b"\r\nX-Forwarded-For: 1.1.1.1, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n",
    )
    async with built(proxies=proxies("127.0.0.1")) as trusting, trusting.phone() as phone:
        await answered(phone, passed)
    async with built() as wary, wary.phone() as phone:
        await answered(phone, passed)

    assert trusting.app.clients == [("203.0.113.9", "https")]
    assert wary.app.clients == [("127.0.0.1", "http")]


async def test_a_trusted_proxy_has_more_connections_than_anybody_else() -> None:
    limits = DoorLimits(peer_connections_max=1)
    trusted = proxies("127.0.0.0/8")
    async with built(limits, proxies=trusted) as building, building.phone() as first:
        await answered(first, HELLO)
        was_served = await served(building)

    assert was_served


async def test_the_door_ends_in_order() -> None:
    async with (
        built() as building,
        building.opened() as (courier, guest),
        building.phone() as customer,
        building.phone() as undecided,
    ):
        await customer.raw(HELLO.replace(b"/hello", b"/slow"))
        await building.app.asked.wait()

        building.leave.set()
        assert await courier.close_code() == CloseCode.RESTART
        await courier.stream.aclose()
        assert await undecided.is_cut_off()
        was_over = building.left.is_set()
        building.app.release.set()
        line = await customer.head()
        await building.left.wait()

        assert "200" in line
        assert not was_over
        assert guest.codes == [CloseCode.RESTART]
        assert building.app.lives == ["began", "ended"]
        with pytest.raises(OSError, match="failed"):
            await trio.open_tcp_stream("127.0.0.1", building.port)


async def test_a_request_that_never_ends_is_ended(autojump_clock: trio.testing.MockClock) -> None:
    async with built() as building, building.phone() as customer:
        await customer.raw(HELLO.replace(b"/hello", b"/slow"))
        await building.app.asked.wait()
        before_s = autojump_clock.current_time()

        building.leave.set()
        await building.left.wait()

        assert await customer.is_cut_off()
        assert building.app.finished == 0
        took_s = autojump_clock.current_time() - before_s
        assert DoorLimits().grace_s <= took_s < DoorLimits().grace_s + 2


async def test_the_farewell_is_the_callers() -> None:
    said: list[int] = []

    async def farewell() -> None:
        said.append(len(building.guests))
        await building.reactor.close_all(CloseCode.MOVED, "go there")

    async with built(farewell=farewell) as building, building.opened() as (courier, _):
        await courier.raw(masked(b"x", BINARY))
        building.leave.set()

        assert await courier.close_code() == CloseCode.MOVED
        assert said == [1]


async def test_who_speaks_at_once_does_not_wait_behind_the_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with built() as building:
        monkeypatch.setattr(building.reactor.poll, "turn", lambda: None)  # All others are before.
        with socket.create_connection(("127.0.0.1", building.port)) as customer:
            customer.sendall(HELLO)  # Before the door has had a turn to take the connection.

            with trio.fail_after(5):
                await trio.lowlevel.wait_readable(customer)
            answer = customer.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 200 ")
