"""One HTTP connection: what the server of `api.door` does differently from the one it is made of.

- It stays with HTTP/1.1, whatever it is asked for.
- It gives its loop up as seldom as it can. Each turn of the loop is one in which everybody else on
  the node is served first; Hypercorn takes eleven of them from the first byte of a small request to
  the last one of its answer, and nine more until it reads the next. So what can be sent is sent at
  once, the head of an answer together with its first part, and a connection that nobody has a
  request on is known by a deadline and not by a task.
- A client must take what it is sent, in time, and may do nothing for only so long.
"""

import socket
from math import inf

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

PIECE_BYTES = 64 * 1024
"""How much of an answer is given its own time to be taken."""
READ_BYTES = 64 * 1024

_HEAD, _WITH_BODY = b"HTTP/1.1 ", b"content-length:"


class Vacancies:
    """The connections that no request is on: each is closed when its time is over.

    A connection waits until it has the whole head of a request. Single reads are not timed: who
    listens to an event stream says nothing for hours.
    """

    def __init__(self, idle_s: float) -> None:
        self.idle_s = idle_s
        self.is_over = False
        self._waiting: set[trio.CancelScope] = set()

    def begin(self, reading: trio.CancelScope) -> None:
        """Let it wait for a request, in vain after a while, or at once if it is all over."""
        reading.deadline = trio.current_time() + self.idle_s
        self._waiting.add(reading)
        if self.is_over:
            reading.cancel()

    def end(self, reading: trio.CancelScope) -> None:
        """It has a request, or is closed."""
        reading.deadline = inf
        self._waiting.discard(reading)

    def close(self) -> None:
        """Have nobody wait for a request any more."""
        self.is_over = True
        for reading in tuple(self._waiting):
            reading.cancel()


class _Idle:
    """Whether a connection waits for a request; fits what Hypercorn tells of that."""

    def __init__(self, vacancies: Vacancies) -> None:
        self._vacancies = vacancies
        self.reading = trio.CancelScope()

    async def restart(self, _group: object, _action: object) -> None:
        """Wait for a request from now on."""
        self._vacancies.begin(self.reading)

    async def stop(self) -> None:
        """There is one, or there will be none."""
        self._vacancies.end(self.reading)


class Connection(TCPServer):
    """A connection, served by awaiting it.

    Hypercorn would follow `Upgrade: h2c` to HTTP/2, which nobody needs without TLS and of which
    nothing is bounded here. Without that check the request is answered as any other is.
    """

    def __init__(
        self,
        app: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        sock: socket.socket,
        send_s: float,
        vacancies: Vacancies,
    ) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        impatient = _Impatient(stream, send_s)
        super().__init__(
            app,
            config,
            context,
            ConnectionState({}),
            impatient,  # pyright: ignore[reportArgumentType]
        )
        self._sock = sock
        self._close_socket = stream.socket.close
        self._idle = _Idle(vacancies)
        self._held = b""
        self.idle_task = self._idle

    def close(self) -> None:
        """Let go of the connection, whatever became of it."""
        self._close_socket()

    async def protocol_send(self, event: Event) -> None:
        """Send a part of an answer, or do what else the protocol wants of its connection."""
        if not isinstance(event, RawData):
            await self._send(b"")
            await super().protocol_send(event)
        elif event.data.startswith(_HEAD) and _WITH_BODY in event.data.lower():
            self._held += event.data  # At least the end of the body comes behind it, at once.
        else:
            await self._send(event.data)

    async def _send(self, part: bytes) -> None:
        """Send what was held and this: as much as is taken at once, then the rest in its time."""
        await trio.lowlevel.checkpoint_if_cancelled()  # Who is being ended says nothing more.
        part, self._held = self._held + part, b""
        if part and not self.send_lock.locked():
            part = self._not_taken(part)
        if part:
            await super().protocol_send(RawData(part))

    def _not_taken(self, part: bytes) -> bytes:
        """Send what the other end takes now, and return the rest."""
        try:
            return part[self._sock.send(part) :]
        except OSError:  # It may be full, or gone: the patient way finds out which.
            return part

    async def _read_data(self) -> None:
        """Read until the client hangs up, or has waited too long with its request."""
        with self._idle.reading:
            part = b" "
            while part:
                part = await self._part()
                await self.protocol.handle(RawData(part))
        await self._idle.stop()
        await self.protocol.handle(Closed())

    async def _part(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(READ_BYTES))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return b""

    @property
    def protocol(self) -> ProtocolWrapper:
        """Return what reads the connection."""
        return self._protocol

    @protocol.setter
    def protocol(  # pyright: ignore[reportIncompatibleVariableOverride] - a value there.
        self, protocol: ProtocolWrapper
    ) -> None:
        setattr(protocol.protocol, "_check_protocol", _stay)  # noqa: B010 - it is not ours.
        self._protocol = protocol


async def _stay(request: object) -> None:
    """Follow no request to another protocol."""
    del request


class _Impatient:
    """A stream whose other end must take what it is sent; fits what the HTTP server expects."""

    def __init__(self, stream: trio.SocketStream, send_s: float) -> None:
        self._stream = stream
        self._send_s = send_s
        self.socket = stream.socket
        self.receive_some = stream.receive_some
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose

    async def send_all(self, answer: bytes) -> None:
        """Send all of it; raises BrokenResourceError when a part of it is not taken in time."""
        pieces = memoryview(answer)
        for start in range(0, len(answer), PIECE_BYTES):
            with trio.move_on_after(self._send_s) as patience:
                await self._stream.send_all(pieces[start : start + PIECE_BYTES])
            if patience.cancelled_caught:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("the client does not read its answer")
