"""The connections over which robots ask HTTP: plain ones, kept for a while for the next request.

A pool that is made for everything spends more on a request than the server does, and looks through
all of its connections for each of them: under load that is most of what would be measured. What is
needed here is little: a request that is whole, an answer of a length that is told. Anything else
that a server answers breaks the connection, and is counted.
"""

import socket
from collections import defaultdict, deque

import httpx
import trio

KEPT_S = 5.0
"""A server may close a connection that was idle for longer."""
KEPT_MAX = 256
"""Connections that are kept for one door."""
WAIT_S = 10.0
"""Time in which a request is answered."""
READ_BYTES = 65_536
ANSWER_BYTES_MAX = 1 << 24
NO_CONTENT, NOT_MODIFIED = 204, 304
_END = b"\r\n\r\n"


class Transport(httpx.AsyncBaseTransport):
    """All connections of one client."""

    def __init__(self) -> None:
        self._kept: defaultdict[tuple[str, int], deque[tuple[float, trio.SocketStream]]]
        self._kept = defaultdict(deque)

    async def ask(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer; raises `httpx.TransportError`."""
        place = (request.url.host, request.url.port or 80)
        with trio.move_on_after(WAIT_S):
            line = await self._line(place)
            is_good = False
            try:
                await line.send_all(_written(request) + await request.aread())
                answer = await _answer(line)
                is_good = answer.headers.get("connection") != "close"
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise httpx.RemoteProtocolError("the connection broke") from error
            finally:
                self._let_go(place, line, is_good=is_good)
            return answer
        raise httpx.ReadTimeout(f"no answer within {WAIT_S:.0f} s")

    handle_async_request = ask
    """What the library calls it."""

    async def aclose(self) -> None:
        """Close what is kept."""
        for kept in self._kept.values():
            for _, line in kept:
                line.socket.close()
        self._kept.clear()

    async def _line(self, place: tuple[str, int]) -> trio.SocketStream:
        """Return the connection that was used last, if it is still good, or a new one."""
        kept, now_s = self._kept[place], trio.current_time()
        while kept:
            since_s, line = kept.pop()
            if now_s - since_s < KEPT_S:
                return line
            line.socket.close()
        own = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            await own.connect(place)
        except OSError as error:
            own.close()
            raise httpx.ConnectError(str(error)) from error
        return trio.SocketStream(own)

    def _let_go(self, place: tuple[str, int], line: trio.SocketStream, *, is_good: bool) -> None:
        kept = self._kept[place]
        if is_good and len(kept) < KEPT_MAX:
            kept.append((trio.current_time(), line))
        else:
            line.socket.close()


def _written(request: httpx.Request) -> bytes:
    """Return the head of a request."""
    headers = [name + b": " + value for name, value in request.headers.raw]
    first = f"{request.method} {request.url.raw_path.decode()} HTTP/1.1".encode()
    return b"\r\n".join([first, *headers]) + _END


async def _answer(line: trio.SocketStream) -> httpx.Response:
    """Read one answer; raises `httpx.RemoteProtocolError`."""
    came_in = bytearray()
    while _END not in came_in:
        await _read(line, came_in)
    head, _, body = bytes(came_in).partition(_END)
    first, *rest = head.split(b"\r\n")
    headers = httpx.Headers([_field(each) for each in rest])
    status = _whole(first.split(b" ")[1:2])
    length = 0
    if status not in {NO_CONTENT, NOT_MODIFIED}:
        length = _whole([value.encode() for value in headers.get_list("content-length")])
    content = bytearray(body)
    while len(content) < length:
        await _read(line, content)
    return httpx.Response(status, headers=headers, content=bytes(content))


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip(), value.strip()


def _whole(said: list[bytes]) -> int:
    """Return the one whole number that was said; raises `httpx.RemoteProtocolError`."""
    if len(said) != 1 or not said[0].isdigit():
        raise httpx.RemoteProtocolError("an answer without a status or a length")
    return int(said[0])


async def _read(line: trio.SocketStream, came_in: bytearray) -> None:
    """Read more of an answer."""
    part = await line.receive_some(READ_BYTES)
    if not part or len(came_in) > ANSWER_BYTES_MAX:
        raise httpx.RemoteProtocolError("the connection ended within an answer")
    came_in += part
