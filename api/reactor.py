"""The reactor: every WebSocket of a node in one trio task, spoken to by plain functions.

A `Guest` is what a session is here: it is told what came in, and it says what goes out through its
`Socket`. Nothing of it may wait. It is told everything from the reactor's own turn and never from
within a call that it makes itself, so that sending to a thousand sockets in a loop cannot change
the loop's list. An exception out of a guest is a fault of this program, and goes up to the node.

What a peer can do has a limit: how large its frames are and how many a second, how much it is sent
that it does not read, how long it takes to shake hands and to hang up, how many sockets come from
one address and how many there are. Beyond it the socket is closed with a code that says so, and
nobody else notices. An idle socket has no task, no timer and no buffer.
"""

import select
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Protocol

import trio
from msgspec import Struct

from api.peers import Peers
from api.poll import Deadlines, Poll
from api.proxies import NOBODY, Passed, Proxies
from wire.frames import FRAME_BYTES_MAX, CloseCode, Notation
from wire.websocket import (
    HEAD_BYTES_MAX,
    LOST,
    FrameReader,
    Handshake,
    Opcode,
    Refusal,
    Upgrade,
    close_code,
    closing,
    framed,
    read_handshake,
)

SWEEP_S = 0.25
"""How late a deadline may be noticed."""
SLICE = 256
"""How many sockets are closed in a row before others have their turn."""
FRAMES_A_CALL_MAX = 64
"""How many waiting frames are handed to the kernel at once."""

_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_NOT_OUT = ~select.EPOLLOUT


class Guest(Protocol):
    """What takes what comes in on one socket; the state of one session."""

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - always both, in order.
        """Take a whole message."""
        ...

    def drained(self) -> None:
        """The send buffer is empty again, after `Socket.send` had said False."""
        ...

    def closed(self, code: int) -> None:
        """It is over, whatever ended it; said exactly once, and nothing is said after it."""
        ...


class ReactorLimits(Struct, frozen=True, kw_only=True):
    """What one peer, and all of them, may take."""

    sockets_max: int = 40_000
    peer_sockets_max: int = 20_000
    """For one address: whole cities of phones can share one."""
    message_bytes_max: int = FRAME_BYTES_MAX
    read_bytes: int = 64 * 1024
    """What one socket may bring in one turn."""
    frames_per_s: float = 100.0
    frames_burst: int = 500
    room_bytes: int = 64 * 1024
    """With more than this waiting, `Socket.send` says that there is no room."""
    waiting_bytes_max: int = 256 * 1024
    """With more than this waiting, the socket is cut off."""
    stall_s: float = 10.0
    """So long something may wait without a byte being taken."""
    handshake_s: float = 5.0
    close_s: float = 3.0


class ReactorStatistics(Struct, frozen=True, kw_only=True):
    """How the reactor is doing; what is counted is counted from its beginning."""

    sockets: int
    arriving: int
    handshakes: int
    handshakes_refused: int
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    too_slow: int
    too_many: int
    faults: int
    turns: int
    busy_s: float
    turn_s_max: float


class _Totals:
    """What is counted while it happens."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "faults",
        "frames_in",
        "frames_out",
        "handshakes",
        "handshakes_refused",
        "too_many",
        "too_slow",
    )

    def __init__(self) -> None:
        self.handshakes = self.handshakes_refused = 0
        self.frames_in = self.frames_out = 0
        self.bytes_in = self.bytes_out = 0
        self.too_slow = self.too_many = self.faults = 0


class _Waiting:
    """The frames that a socket has not taken yet; the first may be the rest of one."""

    __slots__ = ("frames", "size", "was_full")

    def __init__(self, rest: bytes) -> None:
        self.frames = deque((rest,))
        self.size = len(rest)
        self.was_full = False

    def add(self, frame: bytes) -> None:
        """Let a frame wait behind the others."""
        self.frames.append(frame)
        self.size += len(frame)

    def took(self, size: int) -> None:
        """Forget so many bytes, the first ones."""
        self.size -= size
        while size:
            first = self.frames.popleft()
            if size < len(first):
                self.frames.appendleft(first[size:])
                return
            size -= len(first)

    def keep_only_first(self) -> None:
        """Forget all but the first, of which the peer may already have a part."""
        first = self.frames[0]
        self.frames = deque((first,))
        self.size = len(first)


class Socket:
    """One WebSocket.

    Its `request` is whole while the usher looks at it. Afterwards the path and the subprotocol are
    left: headers are long, may hold secrets, and would lie there for as long as the socket is open.
    """

    __slots__ = (
        "_code",
        "_due_s",
        "_guest",
        "_reactor",
        "_reader",
        "_sock",
        "_waiting",
        "peer",
        "request",
    )

    def __init__(
        self, reactor: "Reactor", sock: socket.socket, peer: str, request: Handshake
    ) -> None:
        self._reactor = reactor
        self._sock = sock
        self._reader = FrameReader(reactor.limits.message_bytes_max)
        self._guest: Guest | None = None
        self._waiting: _Waiting | None = None
        self._code = 0
        self._due_s = 0.0
        self.peer = peer
        self.request = request

    @property
    def is_closed(self) -> bool:
        """Whether it is closed, or about to be: nothing comes in, and nothing goes out."""
        return self._code != 0

    def send(self, frame: bytes) -> bool:
        """Send a frame made by `wire.websocket.framed`; False when there is no room for more.

        The frame itself is on its way either way, unless the socket is closed. After False, the
        guest is told by `drained` that there is room.
        """
        if self._code:
            return False
        return self._put(frame)

    def close(self, code: int, reason: str = "") -> None:
        """Close it, behind what has been sent; the guest is told soon, and once."""
        if not self._code:
            self._leave(code, closing(code, reason))

    def welcome(self, guest: Guest, received: bytes) -> None:
        """Let the guest in, who takes what was already received."""
        self._guest = guest
        if received and not self._code:
            self._take(received)

    def ready(self, events: int) -> None:
        """Read, write, or hang up."""
        if events & select.EPOLLOUT:
            self._flush()
        if self._code:
            if events & _ENDED:
                self._reactor.hang_up(self._sock, self)
        elif events & _NOT_OUT:
            self._read()

    def give_up(self) -> None:
        """Close it, since the peer does not read; what it has not begun to read is lost."""
        if self._code:
            return
        self._reactor.totals.too_slow += 1
        if self._waiting is not None:
            self._waiting.keep_only_first()
        self._leave(CloseCode.TOO_SLOW, closing(CloseCode.TOO_SLOW, "too slow to be sent more"))

    def _read(self) -> None:
        try:
            received = self._sock.recv(self._reactor.limits.read_bytes)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if received:
            self._take(received)
        else:
            self._end(LOST)

    def _take(self, received: bytes) -> None:
        """Give the guest what is in these bytes, as long as it is not too much."""
        reader, reactor = self._reader, self._reactor
        events = reader.read(received)
        totals, now_s = reactor.totals, reactor.poll.now_s
        totals.bytes_in += len(received)
        totals.frames_in += reader.frames
        due_s = max(self._due_s, now_s) + (reader.frames or 1) * reactor.frame_s
        if due_s - now_s > reactor.burst_s:
            totals.too_many += 1
            self.close(CloseCode.TOO_MANY, "too many frames a second")
            return
        self._due_s = due_s
        guest = self._guest
        assert guest is not None
        for opcode, payload in events:
            if opcode <= Opcode.BINARY:
                guest.received(payload, opcode == Opcode.TEXT)
            else:
                self._take_control(opcode, payload)
            if self._code:
                return
        if reader.fault is not None:
            totals.faults += 1
            self.close(reader.fault.code, reader.fault.reason)

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            self._put(framed(payload, Opcode.PONG))
        elif opcode == Opcode.CLOSE:
            code = close_code(payload)
            self._leave(code, closing(code))

    def _put(self, frame: bytes) -> bool:
        totals = self._reactor.totals
        totals.frames_out += 1
        totals.bytes_out += len(frame)
        if self._waiting is not None:
            return self._wait(frame)
        try:
            sent = self._sock.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:  # The peer is gone, as the next turn's read finds and tells.
            return False
        return sent == len(frame) or self._begin_waiting(frame[sent:])

    def _begin_waiting(self, rest: bytes) -> bool:
        self._waiting = _Waiting(rest)
        self._reactor.poll.rewatch(self._sock, self, select.EPOLLIN | select.EPOLLOUT)
        self._reactor.stalled.begin(self, trio.current_time())
        return self._has_room(self._waiting)

    def _wait(self, frame: bytes) -> bool:
        assert self._waiting is not None
        self._waiting.add(frame)
        if self._waiting.size > self._reactor.limits.waiting_bytes_max:
            self.give_up()
            return False
        return self._has_room(self._waiting)

    def _has_room(self, waiting: _Waiting) -> bool:
        if waiting.size <= self._reactor.limits.room_bytes:
            return True
        waiting.was_full = True
        return False

    def _flush(self) -> None:
        """Send what waits, as much as is taken."""
        waiting = self._waiting
        if waiting is None:
            return
        try:
            sent = self._sock.sendmsg(list(islice(waiting.frames, FRAMES_A_CALL_MAX)))
        except BlockingIOError:
            return
        except OSError:
            self._end(LOST)
            return
        waiting.took(sent)
        self._reactor.stalled.begin(self, self._reactor.poll.now_s)
        if not waiting.frames:
            self._drained(waiting)

    def _drained(self, waiting: _Waiting) -> None:
        self._waiting = None
        self._reactor.stalled.end(self)
        if self._code:
            self._half_close()
            return
        self._reactor.poll.rewatch(self._sock, self, select.EPOLLIN)
        if waiting.was_full and self._guest is not None:
            self._guest.drained()

    def _leave(self, code: int, frame: bytes) -> None:
        """Send the last frame, read no more, and wait a while for the peer to hang up."""
        self._code = code
        if self._waiting is None:
            self._put(frame)
        else:
            self._waiting.add(frame)
        self._reactor.leaving.begin(self, trio.current_time())
        self._reactor.poll.soon(self._depart)
        if self._waiting is None:
            self._half_close()
        else:
            watched_for = select.EPOLLRDHUP | select.EPOLLOUT
            self._reactor.poll.rewatch(self._sock, self, watched_for)

    def _half_close(self) -> None:
        """End our side, so that the peer sees the end after the close frame, and not a reset."""
        self._reactor.poll.rewatch(self._sock, self, select.EPOLLRDHUP)
        with suppress(OSError):  # If it is gone already, the next turn hears of it.
            self._sock.shutdown(socket.SHUT_WR)

    def _end(self, code: int) -> None:
        """Be done at once: there is nobody to say goodbye to."""
        if not self._code:
            self._code = code
            self._reactor.poll.soon(self._depart)
        self._reactor.hang_up(self._sock, self)

    def hang_up(self) -> None:
        """Close the connection, whether or not the peer has heard why."""
        self._end(LOST)

    def _depart(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.closed(self._code)


type Usher = Callable[[Socket], Guest]
"""Makes the guest of a socket that has just been opened."""


class _Arrival:
    """A connection whose request is not all here yet."""

    __slots__ = ("_reactor", "_received", "_sock", "peer")

    def __init__(self, reactor: "Reactor", sock: socket.socket, peer: str) -> None:
        self._reactor = reactor
        self._sock = sock
        self._received = bytearray()
        self.peer = peer

    def ready(self, events: int) -> None:
        """Read more of the request, and answer it when it is whole."""
        del events
        try:
            received = self._sock.recv(HEAD_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self.hang_up()
            return
        self._received += received
        answer = read_handshake(self._received, self._reactor.subprotocols)
        if isinstance(answer, Refusal):
            self._reactor.refuse(self._sock, answer)
            self.hang_up()
        elif answer is not None:
            self._reactor.let_in(self._sock, self, answer, bytes(self._received[answer.end :]))

    def hang_up(self) -> None:
        """Close the connection."""
        self._reactor.hang_up(self._sock, self)


LIMITS = ReactorLimits()
_FULL = Refusal(503, "there are too many sockets here: come again, or ask /v1/connect where to go")
_CROWDED = Refusal(503, "there are too many sockets from your address: close some, and come again")
_LEAVING = Refusal(503, "this node is leaving: ask /v1/connect where to go")
_NOWHERE = Refusal(404, "there is no socket at this path")


class Reactor:
    """The sockets of a node, each at the path of its usher."""

    def __init__(
        self,
        ushers: Mapping[str, Usher],
        limits: ReactorLimits = LIMITS,
        *,
        subprotocols: Sequence[str] = tuple(Notation),
        proxies: Proxies = NOBODY,
    ) -> None:
        self._ushers = ushers
        self._peers = Peers(limits.peer_sockets_max, proxies)
        self._is_leaving = False
        self._briefs: dict[tuple[str, str | None], Handshake] = {}
        self._vacated = trio.Event()
        self.limits = limits
        self.subprotocols = subprotocols
        self.frame_s = 1 / limits.frames_per_s
        self.burst_s = limits.frames_burst / limits.frames_per_s
        self.poll = Poll()
        self.totals = _Totals()
        self.arriving = Deadlines[_Arrival](limits.handshake_s)
        self.stalled = Deadlines[Socket](limits.stall_s)
        self.leaving = Deadlines[Socket](limits.close_s)

    @property
    def paths(self) -> Sequence[str]:
        """The paths at which sockets are opened."""
        return tuple(self._ushers)

    async def run(self) -> None:
        """Serve what is adopted, until cancelled; then every connection is closed at once."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                await self.poll.run()
        finally:
            self._is_leaving = True
            self.poll.close()

    def adopt(self, sock: socket.socket) -> None:
        """Take a TCP connection over, of whose request nothing has been read yet."""
        try:
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer: str = sock.getpeername()[0]
        except OSError:
            sock.close()
            return
        if (refusal := self._refusal(peer)) is not None:
            self._turn_away(sock, refusal)
            return
        self._peers.arrive(peer)
        arrival = _Arrival(self, sock, peer)
        self.poll.watch(sock, arrival, select.EPOLLIN)
        self.arriving.begin(arrival, trio.current_time())

    async def close_all(self, code: int, reason: str = "") -> None:
        """Take nobody in any more, close all sockets, and wait a while for them to hang up."""
        self._is_leaving = True
        for number, watched in enumerate(self.poll.everyone()):
            if isinstance(watched, Socket):
                watched.close(code, reason)
            elif isinstance(watched, _Arrival):
                watched.hang_up()
            if number % SLICE == SLICE - 1:
                await trio.lowlevel.checkpoint()
        with trio.move_on_after(self.limits.close_s + 2 * SWEEP_S):
            while self._peers.count:
                self._vacated = trio.Event()
                await self._vacated.wait()

    def statistics(self) -> ReactorStatistics:
        """Return how it is doing."""
        totals, poll = self.totals, self.poll
        return ReactorStatistics(
            sockets=self._peers.count - len(self.arriving),
            arriving=len(self.arriving),
            turns=poll.turns,
            busy_s=poll.busy_s,
            turn_s_max=poll.turn_s_max,
            **{name: getattr(totals, name) for name in totals.__slots__},
        )

    def let_in(
        self, sock: socket.socket, arrival: "_Arrival", upgrade: Upgrade, rest: bytes
    ) -> None:
        """Open a socket for whoever asked rightly, and give it its guest."""
        usher = self._ushers.get(upgrade.handshake.path)
        if usher is None:
            self.refuse(sock, _NOWHERE)
            arrival.hang_up()
            return
        asked = upgrade.handshake
        passed = Passed(forwarded=asked.forwarded, forwarded_for=asked.forwarded_for)
        client = self._peers.moved(arrival.peer, passed)
        if client is None:
            self.refuse(sock, _CROWDED)
            arrival.hang_up()
            return
        arrival.peer = client
        try:
            sock.send(upgrade.answer)
        except OSError:
            arrival.hang_up()
            return
        self.totals.handshakes += 1
        self.arriving.end(arrival)
        opened = Socket(self, sock, arrival.peer, upgrade.handshake)
        self.poll.rewatch(sock, opened, select.EPOLLIN)
        guest = usher(opened)
        opened.request = self._brief(upgrade.handshake)
        opened.welcome(guest, rest)

    def refuse(self, sock: socket.socket, refusal: Refusal) -> None:
        """Tell somebody why not; the connection is for the caller to close."""
        self.totals.handshakes_refused += 1
        with suppress(OSError):  # Who does not wait for the answer does not get it.
            sock.send(refusal.answer)

    def hang_up(self, sock: socket.socket, watched: "Socket | _Arrival") -> None:
        """Close a connection, if it is still open, and forget it."""
        if sock.fileno() < 0:
            return
        self.poll.unwatch(sock)
        sock.close()
        self._peers.leave(watched.peer)
        if isinstance(watched, Socket):
            self.stalled.end(watched)
            self.leaving.end(watched)
        else:
            self.arriving.end(watched)
        if not self._peers.count:
            self._vacated.set()

    def _brief(self, handshake: Handshake) -> Handshake:
        """Return what is kept of a request, one for all that asked the same."""
        path, subprotocol = handshake.path, handshake.subprotocol
        brief = Handshake(path=path, subprotocol=subprotocol)
        return self._briefs.setdefault((path, subprotocol), brief)

    def _turn_away(self, sock: socket.socket, refusal: Refusal) -> None:
        # What lies unread as a connection is closed resets it, and takes the answer along.
        with suppress(OSError):
            sock.recv(HEAD_BYTES_MAX)
        self.refuse(sock, refusal)
        sock.close()

    def _refusal(self, peer: str) -> Refusal | None:
        if self._is_leaving:
            return _LEAVING
        if self._peers.count >= self.limits.sockets_max:
            return _FULL
        if not self._peers.has_room(peer):
            return _CROWDED
        return None

    async def _sweep(self) -> None:
        """Look again and again whose time is over."""
        while True:
            await trio.sleep(SWEEP_S)
            now_s = trio.current_time()
            for arrival in self.arriving.due(now_s):
                arrival.hang_up()
            for stalled in self.stalled.due(now_s):
                stalled.give_up()
            for leaving in self.leaving.due(now_s):
                leaving.hang_up()
