"""One task that waits for any number of sockets: the ground under the reactor and the door.

Waking a trio task costs ten times what a small frame does, so the sockets are watched by an epoll
of our own, and trio wakes one task when anything at all is ready there. That task calls whoever
watches, one after another, in plain functions: none may wait. A turn ends after `turn_s` at the
latest, so that the tasks of the node run in between; who was ready and had no turn comes first in
the next one. An exception out of a call is a fault of ours, and ends `run` with it.
"""

import errno
import os
import select
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Protocol

import trio

READY_MAX = 256
"""How many sockets one turn looks at."""
TURN_S = 0.002
"""A request of the API takes some thirty turns of the loop, each of which may wait so long."""
ACCEPTED_MAX = 64
"""How many connections are accepted before other tasks have their turn."""
FULL_S = 0.1
"""How long to wait when the machine has no room for another connection."""
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Watched(Protocol):
    """What is called when its socket is ready."""

    def ready(self, events: int) -> None:
        """Do what can be done without waiting; `events` are those of epoll."""
        ...

    def hang_up(self) -> None:
        """Close the connection at once, and watch it no more."""
        ...


class Deadlines[Key: Hashable]:
    """Who has been at something since when, where all are given the same time.

    Since all have the same time, the oldest is due first and nobody has to be sorted in. Who is
    not in it costs nothing.
    """

    __slots__ = ("_since_s", "_within_s")

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._since_s: OrderedDict[Key, float] = OrderedDict()

    def begin(self, key: Key, now_s: float) -> None:
        """Give the key its time, from now on."""
        self._since_s[key] = now_s
        self._since_s.move_to_end(key)

    def end(self, key: Key) -> None:
        """The key is done; it need not have begun."""
        self._since_s.pop(key, None)

    def due(self, now_s: float) -> list[Key]:
        """Return and forget those whose time is over."""
        late: list[Key] = []
        while self._since_s:
            key, since_s = next(iter(self._since_s.items()))
            if since_s + self._within_s > now_s:
                break
            late.append(key)
            del self._since_s[key]
        return late

    def __len__(self) -> int:
        return len(self._since_s)


class Poll:
    """The sockets that are watched."""

    def __init__(self, turn_s: float = TURN_S) -> None:
        self._turn_s = turn_s
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._watched: dict[int, Watched] = {}
        self._ready: deque[tuple[int, int]] = deque()
        self._soon: deque[Callable[[], None]] = deque()
        self._is_turning = False
        self.now_s = 0.0
        """The time of the present turn by trio's clock."""
        self.turns = 0
        self.busy_s = 0.0
        self.turn_s_max = 0.0

    def watch(self, sock: socket.socket, watched: Watched, events: int) -> None:
        """Have `watched` called whenever one of these events is there on the socket."""
        self._watched[sock.fileno()] = watched
        self._epoll.register(sock.fileno(), events)

    def rewatch(self, sock: socket.socket, watched: Watched, events: int) -> None:
        """Have another called, or for other events."""
        self._watched[sock.fileno()] = watched
        self._epoll.modify(sock.fileno(), events)

    def unwatch(self, sock: socket.socket) -> None:
        """Watch the socket no more; it is still open, and may be watched again."""
        del self._watched[sock.fileno()]
        self._epoll.unregister(sock.fileno())

    def soon(self, call: Callable[[], None]) -> None:
        """Call this when the present turn ends, or at once if there is none, but not from here."""
        if not self._is_turning and not self._soon:
            os.eventfd_write(self._bell, 1)
        self._soon.append(call)

    def everyone(self) -> list[Watched]:
        """Return whoever watches a socket."""
        return list(self._watched.values())

    async def run(self) -> None:
        """Call whoever is ready, until cancelled."""
        while True:
            if self._ready:  # Of those the epoll may not tell again.
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            self.turn()

    def close(self) -> None:
        """Close every connection, and the poll with them."""
        for watched in self.everyone():
            watched.hang_up()
        self._call_soon()
        self._epoll.close()
        os.close(self._bell)

    def turn(self) -> None:
        """Call those that are ready, until none is or the time is over."""
        self._is_turning = True
        began_s = time.perf_counter()
        self.now_s = trio.current_time()
        while self._call_ready(began_s + self._turn_s):
            self._call_soon()
        self._call_soon()
        self._is_turning = False
        self._note(time.perf_counter() - began_s)

    def _call_soon(self) -> None:
        while self._soon:
            self._soon.popleft()()

    def _call_ready(self, until_s: float) -> bool:
        """Call those that are ready now; False when there are none, or no time for more."""
        if not self._ready:
            self._ready.extend(self._epoll.poll(0, READY_MAX))
        ready, watched_by, clock_s = self._ready, self._watched, time.perf_counter
        if not ready:
            return False
        while ready:
            number, events = ready.popleft()
            watched = watched_by.get(number)
            if watched is not None:
                watched.ready(events)
            elif number == self._bell:
                os.eventfd_read(self._bell)
            if clock_s() > until_s:
                return False
        return True

    def _note(self, took_s: float) -> None:
        self.turns += 1
        self.busy_s += took_s
        self.turn_s_max = max(self.turn_s_max, took_s)


async def accept(listener: trio.SocketListener, take: Callable[[socket.socket], None]) -> None:
    """Give `take` every connection that comes in, until cancelled."""
    own = listener.socket
    with socket.fromfd(own.fileno(), own.family, own.type, own.proto) as sock:
        sock.settimeout(0)
        while True:
            await trio.lowlevel.wait_readable(sock)
            if not _accept_some(sock, take):
                await trio.sleep(FULL_S)


def _accept_some(sock: socket.socket, take: Callable[[socket.socket], None]) -> bool:
    """Accept those who are waiting; False when the machine has no room for more."""
    for _ in range(ACCEPTED_MAX):
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            return True
        except OSError as error:
            # Any other error is that of a connection which ended before it was accepted.
            return error.errno not in _FULL
        take(connection)
    return True
