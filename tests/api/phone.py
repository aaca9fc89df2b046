"""A phone for tests: one raw TCP connection that can speak the WebSocket protocol, or break it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from api.poll import accept
from api.proxies import NOBODY, Proxies
from api.reactor import Reactor, ReactorLimits, Socket
from tests.wire.client import ACCEPT, BINARY, CLOSE, Frame, masked, request, taken_apart

PATIENCE_S = 20.0


class Phone:
    """A connection, and what of a frame has come in on it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = b""
        self._frames: list[Frame] = []

    async def open(self, path: str = "/v1/courier", /, **headers: str | None) -> None:
        """Shake hands."""
        await self.raw(request(path, **headers))
        head = await self.head()
        assert head.startswith("HTTP/1.1 101 "), head
        assert ACCEPT in head

    async def raw(self, sent: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(sent)

    async def say(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send a message."""
        await self.raw(masked(payload, opcode))

    async def head(self) -> str:
        """The head of a response."""
        while b"\r\n\r\n" not in self._received:
            assert await self._hear(), f"the connection ended after {self._received!r}"
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return head.decode()

    async def body(self, expected: bytes) -> None:
        """Read a body, which must be this one."""
        while len(self._received) < len(expected):
            assert await self._hear(), "the connection ended"
        assert self._received == expected
        self._received = b""

    async def frame(self) -> Frame:
        """The next frame."""
        while not self._frames:
            assert await self._hear(), "the connection ended"
            self._frames, self._received = taken_apart(self._received)
        return self._frames.pop(0)

    async def close_code(self) -> int:
        """The code of the close frame, which is the next one, and the end of the connection."""
        opcode, payload = await self.frame()
        assert opcode == CLOSE
        assert await self.is_cut_off()
        return int.from_bytes(payload[:2])

    async def is_cut_off(self) -> bool:
        """Wait for the end of the connection; False if anything else came first."""
        if self._frames or self._received:
            return False
        return not await self._hear()

    async def _hear(self) -> bool:
        with trio.fail_after(PATIENCE_S):
            try:
                received = await self.stream.receive_some(65536)
            except trio.BrokenResourceError:
                return False
        self._received += received
        return bool(received)


class Listener:
    """A guest that notes what it is told, and answers `echo` texts."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.request = socket.request
        self.messages: list[bytes | str] = []
        self.drains = 0
        self.codes: list[int] = []
        self.over = trio.Event()
        self.heard = trio.Event()

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as the reactor calls it.
        """Note a message."""
        assert not self.codes, "a guest whose socket is closed is told nothing"
        self.messages.append(payload.decode() if is_text else payload)
        self.heard.set()

    def drained(self) -> None:
        """Note that there is room again."""
        self.drains += 1

    def closed(self, code: int) -> None:
        """Note the end."""
        self.codes.append(code)
        self.over.set()


class House:
    """A reactor that listens, and the guests that it let in."""

    def __init__(self, reactor: Reactor, port: int, guests: list[Listener]) -> None:
        self.reactor = reactor
        self.port = port
        self.guests = guests

    @asynccontextmanager
    async def phone(self) -> AsyncGenerator[Phone]:
        """A phone that is connected, and has not said anything."""
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            yield Phone(stream)

    @asynccontextmanager
    async def opened(self, **headers: str | None) -> AsyncGenerator[tuple[Phone, Listener]]:
        """A phone with an open socket, and its guest."""
        async with self.phone() as phone:
            await phone.open(**headers)
            yield phone, self.guests[-1]


@asynccontextmanager
async def housed(
    limits: ReactorLimits | None = None, proxies: Proxies = NOBODY
) -> AsyncGenerator[House]:
    """Run a reactor behind a listener of its own."""
    guests: list[Listener] = []

    def usher(socket: Socket) -> Listener:
        guests.append(Listener(socket))
        return guests[-1]

    reactor = Reactor({"/v1/courier": usher}, limits or ReactorLimits(), proxies=proxies)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(reactor.run)
        nursery.start_soon(accept, listener, reactor.adopt)
        yield House(reactor, listener.socket.getsockname()[1], guests)
        nursery.cancel_scope.cancel()
        await listener.aclose()
