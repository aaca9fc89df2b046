"""What hostile clients get: a clear refusal, soon, and no more memory than they are worth.

Bytes go to a real door over a real socket, because what a client library would never send is what
matters here.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec import Struct
from quart_trio import QuartTrio

from api.app import BODY_BYTES_MAX
from api.door import DoorLimits, serve_door
from api.endpoint import Call, Endpoints
from api.reactor import Reactor
from api.replies import Reply
from services.accounts.principal import Scope
from tests.api.stage import Stage, on_stage

GROWTH_BYTES_MAX = 8 * 1024 * 1024
PATIENCE_S = 3.0
CALM = DoorLimits(grace_s=0.2)
QUICK = DoorLimits(idle_s=0.4, undecided_s=0.4, grace_s=0.2)

caves = Endpoints("Caves", "Something that takes a body and a query.")


class Shout(Struct, frozen=True, kw_only=True):
    word: str
    times: int = 1


class Listen(Struct, frozen=True, kw_only=True):
    word: str = ""


@caves.post("/v1/caves/{cave_id}")
async def shout(call: Call[Shout]) -> Reply[str]:
    """Shout into a cave."""
    return Reply(value=call.body.word)


@caves.get("/v1/caves/{cave_id}")
async def listen(call: Call[None, Listen]) -> Reply[tuple[str, str]]:
    """Listen at a cave."""
    return Reply(value=(call.path["cave_id"], call.query.word))


@caves.get("/v1/treasure", scope=Scope.ORDERS_READ)
async def dig(call: Call) -> Reply[str]:
    """Dig for what is not everybody's."""
    del call
    return Reply(value="gold")


class Answered(Struct, frozen=True):
    """What came back on a connection until it was closed, or until nothing more came."""

    status: int
    head: str
    body: bytes
    is_closed: bool

    @property
    def code(self) -> str:
        """The code of the problem."""
        return msgspec.json.decode(self.body)["code"]


@asynccontextmanager
async def served(app: QuartTrio, limits: DoorLimits) -> AsyncGenerator[int]:
    """Serve an application at a door of its own, whose port is handed out."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    leave = trio.Event()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_door, [listener], app, Reactor({}), limits, leave=leave)
        await nursery.start(serve)
        yield port
        leave.set()


@asynccontextmanager
async def at_the_door(
    database: str, redis_url: str, limits: DoorLimits = CALM
) -> AsyncGenerator[tuple[Stage, int]]:
    async with (
        on_stage(database, redis_url, [caves]) as stage,
        served(stage.app, limits) as port,
    ):
        yield stage, port


async def said(port: int, *parts: bytes) -> Answered:
    """Send bytes as they are, and return what comes back."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        with trio.move_on_after(PATIENCE_S):
            try:
                for part in parts:
                    await stream.send_all(part)
            except trio.BrokenResourceError:
                pass
        return await heard(stream)


async def heard(stream: trio.SocketStream) -> Answered:
    """Return what comes back until the connection is closed, or the body is there."""
    came, is_closed = b"", False
    with trio.move_on_after(PATIENCE_S):
        while not _is_whole(came):
            try:
                more = await stream.receive_some(65536)
            except trio.BrokenResourceError:
                more = b""
            is_closed = not more
            if is_closed:
                break
            came += more
    head, _, body = came.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1]) if head else 0
    return Answered(status, head.decode("latin-1").lower(), body, is_closed)


def _is_whole(came: bytes) -> bool:
    head, found, body = came.partition(b"\r\n\r\n")
    named = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and named) and len(body) >= int(named[0].partition(b":")[2])


def request(verb: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire; `content_type` is the header Content-Type."""
    told = {"Host": "dispatch", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"{verb} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def rss_bytes() -> int:
    """The memory that this process has resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def shouted(body: bytes, content_type: str = "application/json") -> bytes:
    """A request with such a body."""
    return request("POST", "/v1/caves/c", body, Content_Type=content_type)


async def test_a_body_that_says_it_is_huge_is_refused_before_it_is_read(
    database: str, redis_url: str
) -> None:
    head = request("POST", "/v1/caves/c", Content_Type="application/json")
    huge = head.replace(b"Content-Length: 0", b"Content-Length: 10485760")

    async with at_the_door(database, redis_url) as (_, port):
        answered = await said(port, huge, b"x" * 65536)

    assert (answered.status, answered.code) == (413, "too-large")


async def test_a_body_without_end_is_cut_off_and_not_kept(database: str, redis_url: str) -> None:
    head = request(
        "POST", "/v1/caves/c", b"", Content_Type="application/json", Transfer_Encoding="chunked"
    ).replace(b"Content-Length: 0\r\n", b"")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    most = before = rss_bytes()

    async with at_the_door(database, redis_url) as (_, port):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream, trio.open_nursery() as nursery:

            async def flood() -> None:
                nonlocal sent, most
                await stream.send_all(head)
                while sent < 500 * 65536:
                    try:
                        await stream.send_all(chunk)
                    except trio.BrokenResourceError:
                        return
                    sent += 65536
                    most = max(most, rss_bytes())

            nursery.start_soon(flood)
            answered = await heard(stream)
            nursery.cancel_scope.cancel()

    assert (answered.status, answered.code) == (413, "too-large")
    assert sent < 400 * 65536
    assert most - before < GROWTH_BYTES_MAX


async def test_a_head_of_100_kb_is_refused_and_the_connection_closed(
    database: str, redis_url: str
) -> None:
    filler = {f"X-{count}": "x" * 1000 for count in range(100)}
    line = "GET /v1/caves/c?word=" + "x" * 100_000 + " HTTP/1.1\r\nHost: d\r\n\r\n"

    async with at_the_door(database, redis_url) as (_, port):
        headers = await said(port, request("GET", "/v1/caves/c", b"", **filler))
        query = await said(port, line.encode())

    for answered in (headers, query):
        assert answered.status in {400, 431}
        assert "connection: close" in answered.head


DEEP = 120_000


BODIES = (
    (b"[" * DEEP, "application/json", 422),
    (b'{"word":' + b"[" * DEEP, "application/json", 422),
    (b'{"else":' + b"[" * DEEP + b"]" * DEEP + b',"word":"x"}', "application/json", 400),
    (b'{"a":' * (DEEP // 4), "application/json", 400),
    (b"[" * 1_000_000, "application/json", 413),
    (b"\x81\xa1x" + b"\x91" * DEEP, "application/msgpack", 400),
    (b"\xdd\xff\xff\xff\xff", "application/msgpack", 422),
    (b"\x81\xa4word\xdb\xff\xff\xff\xff", "application/msgpack", 400),
    (b"\xc1", "application/msgpack", 400),
    (b"\x81\xa4word\xa1\xff", "application/msgpack", 400),
    (b"", "application/json", 400),
    (b'{"word":"\xff\xfe"}', "application/json", 400),
    (b'{"word":"\\ud800"}', "application/json", 400),
    (b'{"word":NaN}', "application/json", 400),
    (b'{"word":"a\\u0000b"}', "application/json", 422),
    (b"\x81\xa4word\xa3a\x00b", "application/msgpack", 422),
    (b'{"word":"x","times":1e999}', "application/json", 422),
    (b'{"word":"x","times":"1"}', "application/json", 422),
    (b'{"word":null}', "application/json", 422),
    (b'{"word":"x"}', "text/plain", 415),
    (b'{"word":"x"}', "application/x-www-form-urlencoded", 415),
    (b'{"word":"x"}', "multipart/form-data; boundary=x", 415),
    (b'{"word":"x"}', "application/json; charset=utf-16; \x01", 200),
    (b'{"word":"\\\\u0000"}', "application/json", 200),
)
"""Bodies, as what they are sent, and what they are answered."""


async def test_a_body_that_is_not_what_it_should_be_is_told_so(
    database: str, redis_url: str
) -> None:
    told: list[int] = []

    async with on_stage(database, redis_url, [caves]) as stage:
        before = rss_bytes()
        for body, content_type, _ in BODIES:
            headers = {"Content-Type": content_type}
            told.append((await stage.asked("POST", "/v1/caves/c", headers, data=body))[0])
        grown = rss_bytes() - before

    assert told == [status for _, _, status in BODIES]
    assert grown < GROWTH_BYTES_MAX


HARDLY_HTTP = (
    (b"GET /v1/caves/a%00b HTTP/1.1\r\nHost: d\r\n\r\n", {404}),
    (b"GET /v1/caves/a\x00b HTTP/1.1\r\nHost: d\r\n\r\n", {400}),
    (b"GET /v1/caves/a?word=%00 HTTP/1.1\r\nHost: d\r\n\r\n", {422}),
    (b"GET /v1/caves/%ff%fe HTTP/1.1\r\nHost: d\r\n\r\n", {200, 404}),
    (b"GET /v1/caves/a?word=%ff HTTP/1.1\r\nHost: d\r\n\r\n", {200, 422}),
    (b"GET /v1/caves/\xff HTTP/1.1\r\nHost: d\r\n\r\n", {400}),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: d\r\n\r\n", {404}),
    (b"GET //v1//caves//a HTTP/1.1\r\nHost: d\r\n\r\n", {404}),
    (b"GET /v1/caves/a HTTP/1.1\r\n\r\n", {400}),
    (b"GET /v1/caves/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
    (b"GET /v1/caves/a HTTP/9.9\r\nHost: d\r\n\r\n", {200, 400, 505}),
    (b"GET /v1/caves/a HTTP/1.1\r\nHost: d\r\nBad Name: x\r\n\r\n", {400}),
    (b"GET /v1/caves/a HTTP/1.1\r\nHost: d\r\nX: a\r\n b\r\n\r\n", {200, 400}),
    (b"BREW /v1/caves/a HTTP/1.1\r\nHost: d\r\n\r\n", {405}),
    (b"TRACE /v1/caves/a HTTP/1.1\r\nHost: d\r\n\r\n", {405}),
    (b"OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n", {400, 404}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {0, 400}),
    (b"GET /v1/caves/a HTTP/1.1\r\nHost: d\r\nAccept: \x7f;;q=z,,,\r\n\r\n", {200, 400, 406}),
    (b"GET /v1/caves/a HTTP/1.1\r\nHost: d\r\nAccept: image/png\r\n\r\n", {406}),
    (b"GET /v1/treasure HTTP/1.1\r\nHost: d\r\nAuthorization: x\r\n\r\n", {401}),
    (
        b"GET /v1/treasure HTTP/1.1\r\nHost: d\r\nAuthorization: Bearer \xe9\xff\r\n\r\n",
        {400, 401},
    ),
    (
        (
            b"GET /v1/treasure HTTP/1.1\r\nHost: d\r\n"
            b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"
        ),
        {401},
    ),
    (
        (
            b"POST /v1/caves/a HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n"
            b"Content-Length: 6\r\n\r\nhello"
        ),
        {400},
    ),
    (
        b"POST /v1/caves/a HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n",
        {400},
    ),
    (
        (
            b"POST /v1/caves/a HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"
        ),
        {0, 400},
    ),
    (
        (
            b"POST /v1/caves/a HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        ),
        {400, 501},
    ),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 503, 505}),
    (
        (
            b"GET /v1/caves/a HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
        {404},
    ),
    (
        (
            b"GET /v1/caves/a HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        ),
        {200, 400},
    ),
)
"""What is sent, and the statuses of which it gets one; 0 is a connection closed without a word."""


async def test_what_is_hardly_http_is_answered_or_cut_off_and_others_are_served(
    database: str, redis_url: str
) -> None:
    wrong: list[tuple[bytes, Answered]] = []

    async with at_the_door(database, redis_url, QUICK) as (_, port):
        for raw, statuses in HARDLY_HTTP:
            answered = await said(port, raw)
            if answered.status not in statuses:
                wrong.append((raw, answered))
        after = await said(port, request("GET", "/v1/caves/still"))

    assert wrong == []
    assert after.status == 200


async def test_who_is_refused_before_his_body_came_is_answered_on_the_same_connection(
    database: str, redis_url: str
) -> None:
    body = b'{"word":"x"}'
    head = request("POST", "/v1/treasure", b"", Content_Type="application/json").replace(
        b"Content-Length: 0", b"Content-Length: %d" % len(body)
    )
    told: list[int] = []

    async with at_the_door(database, redis_url) as (_, port):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            for count in range(60):
                await stream.send_all(head)
                await trio.sleep(0.002 * (count % 3))
                await stream.send_all(body)
                told.append((await heard(stream)).status)

    assert told == [405] * 60


async def test_who_never_sends_the_body_of_what_was_refused_is_let_go(
    database: str, redis_url: str
) -> None:
    head = request("POST", "/v1/treasure", b"", Content_Type="application/json").replace(
        b"Content-Length: 0", b"Content-Length: 1000"
    )

    async with at_the_door(database, redis_url) as (_, port):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(head)
            refused = await heard(stream)
            rest = b"the connection is still open"
            with trio.move_on_after(PATIENCE_S):
                rest = await stream.receive_some(1)

    assert refused.status == 405
    assert rest == b""


async def dripped(port: int, head: bytes, drops: Sequence[bytes], gap_s: float) -> Answered:
    """Send the head, then a drop now and then, and return what comes back."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)

    async def drip() -> None:
        try:
            for drop in drops:
                await stream.send_all(drop)
                await trio.sleep(gap_s)
        except trio.BrokenResourceError:
            return

    async with stream, trio.open_nursery() as nursery:
        await stream.send_all(head)
        nursery.start_soon(drip)
        answered = await heard(stream)
        nursery.cancel_scope.cancel()
    return answered


async def test_a_head_that_comes_in_drops_is_not_waited_for(database: str, redis_url: str) -> None:
    drops = [b"X-%d: y\r\n" % count for count in range(100)]

    async with at_the_door(database, redis_url, QUICK) as (_, port):
        began_s = trio.current_time()
        answered = await dripped(port, b"GET /v1/caves/a HTTP/1.1\r\n", drops, 0.05)
        took_s = trio.current_time() - began_s

    assert answered.is_closed
    assert answered.status in {0, 400, 408}
    assert took_s < 2


async def test_who_says_nothing_at_all_is_not_waited_for(database: str, redis_url: str) -> None:
    async with at_the_door(database, redis_url, QUICK) as (_, port):
        began_s = trio.current_time()
        answered = await dripped(port, b"G", [], 0)
        took_s = trio.current_time() - began_s

    assert answered.is_closed
    assert took_s < 2


async def test_a_body_that_comes_in_drops_is_refused_in_time(database: str, redis_url: str) -> None:
    head = request("POST", "/v1/caves/c", Content_Type="application/json").replace(
        b"Content-Length: 0", b"Content-Length: 1000"
    )

    async with at_the_door(database, redis_url, QUICK) as (stage, port):
        stage.app.config["BODY_TIMEOUT"] = 0.3
        began_s = trio.current_time()
        answered = await dripped(port, head, [b"x"] * 100, 0.05)
        took_s = trio.current_time() - began_s

    assert (answered.status, answered.code) == (400, "malformed")
    assert took_s < 2


async def test_fifty_half_sent_bodies_at_once_take_no_more_than_their_bound(
    database: str, redis_url: str
) -> None:
    body = b'{"word":"' + b"x" * (BODY_BYTES_MAX - 100) + b'"}'
    whole = request("POST", "/v1/caves/c", body, Content_Type="application/json")
    statuses: list[int] = []

    async def send(port: int) -> None:
        statuses.append((await said(port, whole[: len(whole) // 2])).status)

    async with at_the_door(database, redis_url) as (stage, port):
        stage.app.config["BODY_TIMEOUT"] = 1.0
        before = rss_bytes()
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(send, port)
            await trio.sleep(0.5)
            grown = rss_bytes() - before

    assert set(statuses) == {400}
    assert grown < 50 * 2 * BODY_BYTES_MAX


async def test_a_fault_of_ours_shows_nothing_of_us(database: str, redis_url: str) -> None:
    faults = Endpoints("Faults", "What goes wrong.")

    @faults.get("/v1/faults")
    async def fail(call: Call) -> Reply[str]:
        """Fail."""
        raise AssertionError(call.request_id)

    async with on_stage(database, redis_url, [faults]) as stage, served(stage.app, QUICK) as port:
        answered = await said(port, request("GET", "/v1/faults"))

    told: dict[str, Any] = msgspec.json.decode(answered.body)
    assert (answered.status, told["code"], told["retryable"]) == (500, "failed", False)
    assert "AssertionError" not in answered.body.decode()
    assert f"x-request-id: {told['request_id']}" in answered.head
    assert "server:" not in answered.head
