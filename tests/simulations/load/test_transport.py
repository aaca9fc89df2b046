"""Requests over connections of our own: kept while they are good, broken by what is no answer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import trio
from trio.testing import MockClock

from simulations.load.transport import KEPT_S, Transport

ANSWER = b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Server:
    """Answers every request with the same bytes, and counts the connections it was asked over."""

    answer: bytes
    is_patient: bool = True
    asked: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0

    async def __call__(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async with stream:
            while part := await stream.receive_some(65_536):
                self.asked.append(part)
                await stream.send_all(self.answer)
                if not self.is_patient:
                    return


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[httpx.AsyncClient]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, server, listeners)
        transport = Transport()
        async with httpx.AsyncClient(
            transport=transport, base_url=f"http://127.0.0.1:{port}"
        ) as client:
            yield client
        nursery.cancel_scope.cancel()


async def test_a_request_is_sent_whole_and_its_answer_read_whole() -> None:
    server = Server(b"HTTP/1.1 201 \r\nContent-Length: 70000\r\nX-A: b\r\n\r\n" + b"x" * 70_000)
    async with serving(server) as client:
        shown = await client.post("/v1/orders?a=1", content=b'{"a":1}', headers={"X-Key": "k"})

    head, _, body = server.asked[0].partition(b"\r\n\r\n")
    assert (shown.status_code, shown.content, shown.headers["x-a"]) == (201, b"x" * 70_000, "b")
    assert head.startswith(b"POST /v1/orders?a=1 HTTP/1.1\r\n")
    assert {b"X-Key: k", b"Content-Length: 7"} <= set(head.split(b"\r\n"))
    assert body == b'{"a":1}'


async def test_a_connection_is_kept_for_the_next_request_for_a_while(
    mock_clock: MockClock,
) -> None:
    server = Server(ANSWER)
    async with serving(server) as client:
        await client.get("/")
        await client.get("/")
        soon = server.connections

        mock_clock.jump(KEPT_S)
        await client.get("/")

    assert (soon, server.connections) == (1, 2)


async def test_requests_at_once_have_a_connection_each() -> None:
    server = Server(ANSWER)
    async with serving(server) as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(client.get, "/")

    assert (server.connections, len(server.asked)) == (5, 5)


async def test_a_connection_that_the_server_ends_is_not_kept() -> None:
    server = Server(ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), is_patient=False)
    async with serving(server) as client:
        answers = [await client.get("/") for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 200]
    assert server.connections == 2


@pytest.mark.parametrize(
    "said",
    [
        ANSWER[:-1],
        b"",
        b"HTTP/1.1 200 \r\n\r\n{}",
        b"HTTP/1.1 200 \r\ncontent-length: -2\r\n\r\n{}",
        b"SSH-2.0\r\n\r\n",
    ],
)
async def test_what_is_no_answer_breaks_the_connection(said: bytes) -> None:
    server = Server(said, is_patient=False)
    async with serving(server) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")


async def test_a_door_that_is_closed_is_told_as_such() -> None:
    async with httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")


async def test_an_answer_that_does_not_come_is_not_waited_for_any_longer(
    autojump_clock: MockClock,
) -> None:
    server = Server(b"")
    async with serving(server) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")

    assert autojump_clock.current_time() >= 1.0
