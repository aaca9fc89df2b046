"""Thousands of robots in one task: plain sockets on a nested epoll, and a heap of when each is due.

A WebSocket library spends far more on a task and its wake-ups than on a frame, which would measure
the library and not the server. What is needed of RFC 6455 at a client's end is little: masked
frames out, whole frames in. A server that sends anything else (a fragment, a masked frame) is told
off by the loss of the connection, and counted.
"""

import errno
import select
import socket
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import IntEnum
from hashlib import sha1
from heapq import heappop, heappush
from random import Random

import trio
from websockets.speedups import apply_mask

from dispatch.ids import Instant, after
from node.clock import wall
from simulations.load.api import Api, ApiFailed
from simulations.load.line import JITTER_S, PLANNED, SILENT_S, ends_token
from simulations.load.robot import Robot
from simulations.load.tally import Tally

TURN_MAX = 32
"""Sockets looked at in one turn, and as many that are due. A turn takes a few milliseconds then; an
order that is placed between them waits for some twenty, and what they take would count as the
server's."""
READ_BYTES = 65_536
BUFFER_BYTES_MAX = 1 << 20
CONNECTS_PER_S = 150
CONNECT_S = 10.0
DOORS_S = 1.0
"""Time between two looks for doors while connections are being lost."""
TURN_S_MAX = 0.1
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_LENGTH_16, _LENGTH_64 = 126, 127


class Broken(Exception):
    """The server sent what a client of ours never gets; the message says what."""


class Stage(IntEnum):
    """How far a connection has come."""

    AWAY = 0
    CONNECTING = 1
    UPGRADING = 2
    OPEN = 3


def masked(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """Return a whole frame as a client sends it."""
    length = len(payload)
    if length < _LENGTH_16:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | _LENGTH_16)) + length.to_bytes(2)
    else:
        head = bytes((0x80 | opcode, 0x80 | _LENGTH_64)) + length.to_bytes(8)
    return head + mask + apply_mask(payload, mask)


def unframed(received: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole frames off the buffer: the opcode and the payload of each. Raises Broken."""
    while len(received) >= 2:  # noqa: PLR2004 - the shortest head.
        length, begins = received[1] & 0x7F, 2
        if received[1] & 0x80 or not received[0] & 0x80:
            raise Broken("masked or fragmented frame")
        if length >= _LENGTH_16:
            begins = 4 if length == _LENGTH_16 else 10
            length = int.from_bytes(received[2:begins])
        if length > BUFFER_BYTES_MAX:
            raise Broken("frame too large")
        if len(received) < begins + length:
            return
        opcode, payload = received[0] & 0x0F, bytes(received[begins : begins + length])
        del received[: begins + length]
        yield opcode, payload


class _Wire:
    """One robot's connection."""

    __slots__ = ("came_in", "due_at", "goes_out", "heard_at", "key", "robot", "sock", "stage")

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self.stage = Stage.AWAY
        self.sock: socket.socket | None = None
        self.came_in = bytearray()
        self.goes_out = b""
        self.key = b""
        self.due_at = self.heard_at = Instant(0)


class Flood:
    """All robots of one sort, connected for as long as `run` does."""

    def __init__(self, robots: Sequence[Robot], api: Api, tally: Tally, chance: Random) -> None:
        self._api, self._tally, self._chance = api, tally, chance
        self._wires = [_Wire(robot) for robot in robots]
        self._by_fd: dict[int, _Wire] = {}
        self._due: list[tuple[Instant, int, _Wire]] = []
        self._turns = 0
        self._has_lost = False
        self._epoll = select.epoll()

    @property
    def open_count(self) -> int:
        """Return how many are connected and known to the server."""
        return sum(wire.stage is Stage.OPEN and wire.robot.is_welcome for wire in self._wires)

    async def run(self) -> None:
        """Keep all of them connected until cancelled."""
        for number, wire in enumerate(self._wires):
            self._wake(wire, after(wall(), number / CONNECTS_PER_S))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._look_for_doors)
                while True:
                    await self._turn()
        finally:
            for wire in self._by_fd.values():
                assert wire.sock is not None
                wire.sock.close()
            self._epoll.close()

    async def _look_for_doors(self) -> None:
        while True:
            if self._has_lost:
                self._has_lost = False
                with suppress(ApiFailed):
                    await self._api.look_for_doors()
            await trio.sleep(DOORS_S)

    async def _turn(self) -> None:
        """Wait until something comes in or somebody is due, and do some of what there is."""
        next_at = self._due[0][0] if self._due else after(wall(), TURN_S_MAX)
        wait_s = min(max(0.0, (next_at - wall()) / 1_000), TURN_S_MAX)
        with trio.move_on_after(wait_s):
            await trio.lowlevel.wait_readable(self._epoll.fileno())
        for fd, event in self._epoll.poll(0, TURN_MAX):
            wire = self._by_fd.get(fd)
            if wire is not None:
                self._attend(wire, event)
        self._attend_some_due(wall())

    def _attend_some_due(self, now: Instant) -> None:
        for _ in range(TURN_MAX):
            if not self._due or self._due[0][0] > now:
                return
            due_at, _, wire = heappop(self._due)
            if due_at == wire.due_at:
                self._attend_due(wire, now)

    def _wake(self, wire: _Wire, at: Instant) -> None:
        """Look at a connection then, and not when it was to be looked at before."""
        if at != wire.due_at:
            wire.due_at = at
            self._turns += 1
            heappush(self._due, (at, self._turns, wire))

    def _attend_due(self, wire: _Wire, now: Instant) -> None:
        wire.due_at = Instant(-1)
        if wire.stage is Stage.AWAY:
            self._connect(wire, now)
        elif wire.stage is not Stage.OPEN:
            self._lose(wire, "no handshake in time")
        elif now > after(wire.heard_at, SILENT_S):
            self._lose(wire, "silence")
        else:
            self._say(wire, now)

    def _connect(self, wire: _Wire, now: Instant) -> None:
        host, _, port = (wire.robot.go_to or self._api.doors.first()).rpartition(":")
        wire.sock = sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)  # noqa: FBT003 - the library's own way.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.stage, wire.heard_at = Stage.CONNECTING, now
        self._by_fd[sock.fileno()] = wire
        self._epoll.register(sock.fileno(), select.EPOLLOUT)
        self._wake(wire, after(now, CONNECT_S))
        error = sock.connect_ex((host, int(port)))
        if error not in {0, errno.EINPROGRESS}:
            self._lose(wire, errno.errorcode.get(error, "no connection"))

    def _attend(self, wire: _Wire, event: int) -> None:
        """Do what a socket is ready for."""
        try:
            if wire.stage is Stage.CONNECTING:
                self._upgrade(wire)
            elif event & select.EPOLLOUT:
                self._send(wire, b"")
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._receive(wire)
        except (OSError, Broken) as error:
            self._lose(wire, _told(error))

    def _upgrade(self, wire: _Wire) -> None:
        assert wire.sock is not None
        error = wire.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "no connection")
        host, port = wire.sock.getpeername()
        wire.key = b64encode(self._chance.randbytes(16))
        wire.stage = Stage.UPGRADING
        self._epoll.modify(wire.sock.fileno(), select.EPOLLIN)
        self._send(
            wire,
            b"GET %b HTTP/1.1\r\nHost: %b:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: %b\r\n\r\n"
            % (
                wire.robot.path.encode(),
                host.encode(),
                port,
                wire.key,
                wire.robot.device.notation.encode(),
            ),
        )

    def _receive(self, wire: _Wire) -> None:
        assert wire.sock is not None
        try:
            part = wire.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not part:
            raise Broken("closed without a word")
        now = wall()
        wire.came_in += part
        wire.heard_at = now
        if wire.stage is Stage.UPGRADING and not self._upgraded(wire, now):
            return
        for opcode, payload in unframed(wire.came_in):
            if not self._hear(wire, opcode, payload, now):
                return
        self._say(wire, now)

    def _upgraded(self, wire: _Wire, now: Instant) -> bool:
        """Read the answer to the upgrade, if it is all there; raises Broken."""
        head, end, rest = bytes(wire.came_in).partition(b"\r\n\r\n")
        if not end:
            return False
        status = head.split(b" ", 2)[1:2]
        accept = b64encode(sha1(wire.key + _GUID, usedforsecurity=False).digest())
        if status != [b"101"] or accept not in head:
            raise Broken(f"handshake answered {b''.join(status).decode(errors='replace')[:8]}")
        wire.came_in[:] = rest
        wire.stage = Stage.OPEN
        self._tally.count("connections")
        hello = wire.robot.connected(now)
        self._send(wire, self._framed(wire, hello))
        return True

    def _hear(self, wire: _Wire, opcode: int, payload: bytes, now: Instant) -> bool:
        """Take one frame; tell whether the connection goes on."""
        if opcode in {_TEXT, _BINARY}:
            wire.robot.received(payload, now)
        elif opcode == _PING:
            self._send(wire, masked(_PONG, payload, self._chance.randbytes(4)))
        elif opcode == _CLOSE:
            code = int.from_bytes(payload[:2])
            self._tally.count(f"closed with {code}")
            is_planned = code in PLANNED or ends_token(code, wire.robot.device)
            self._lose(wire, "" if is_planned else f"closed with {code}")
            return False
        elif opcode != _PONG:
            raise Broken("fragmented frame")
        return True

    def _say(self, wire: _Wire, now: Instant) -> None:
        """Send what the robot has to say, and be back when it has more."""
        robot = wire.robot
        if robot.is_welcome and robot.due_at < now:
            self._tally.time("lateness", now - robot.due_at)
        try:
            frames = b"".join([self._framed(wire, frame) for frame in robot.frames(now)])
            if frames:
                self._send(wire, frames)
        except (OSError, Broken) as error:
            self._lose(wire, _told(error))
            return
        self._wake(wire, max(robot.due_at, Instant(now + 1)))

    def _framed(self, wire: _Wire, frame: bytes) -> bytes:
        opcode = _TEXT if wire.robot.device.is_text else _BINARY
        return masked(opcode, frame, self._chance.randbytes(4))

    def _send(self, wire: _Wire, part: bytes) -> None:
        """Send what waits and this; raises OSError, and Broken when too much waits."""
        assert wire.sock is not None
        out = wire.goes_out + part
        try:
            sent = wire.sock.send(out) if out else 0
        except BlockingIOError:
            sent = 0
        had, wire.goes_out = bool(wire.goes_out), out[sent:]
        if len(wire.goes_out) > BUFFER_BYTES_MAX:
            raise Broken("the server does not read")
        if had != bool(wire.goes_out):
            events = select.EPOLLIN | (select.EPOLLOUT if wire.goes_out else 0)
            self._epoll.modify(wire.sock.fileno(), events)

    def _lose(self, wire: _Wire, why: str) -> None:
        """Give a connection up, and come back after a while."""
        if wire.sock is None:
            return
        if why:
            self._tally.fail(f"connection: {why}")
        del self._by_fd[wire.sock.fileno()]
        wire.sock.close()
        wire.sock, wire.stage, wire.goes_out = None, Stage.AWAY, b""
        wire.came_in.clear()
        wire.robot.is_welcome = False
        self._has_lost = True
        self._wake(wire, after(wall(), self._chance.uniform(*JITTER_S)))


def _told(error: OSError | Broken) -> str:
    return str(error) if isinstance(error, Broken) else type(error).__name__
