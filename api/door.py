"""The front door: one port for sockets and for HTTP alike.

A connection waits in the reactor's poll, without a task, until enough of its first line is there to
tell what it wants; then a socket's goes to the reactor, unread, and any other to the HTTP server,
which gives it a task. So a client needs one address and one certificate, and a connection that says
nothing costs a few hundred bytes until its time is over.

What a client can do to the HTTP server by not writing or not reading is bounded here: so many
connections, so long for a head, so long for each part of an answer to be taken. The door ends in
order: it takes nobody in, has the sockets say goodbye, lets requests finish for a while, and closes
what is left. TLS is for a proxy in front of it, which is believed what it says of its clients once
it is trusted (`api.proxies`).
"""

import logging
import select
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    Scope,
)
from msgspec import Struct

from api.connection import READ_BYTES, Connection, Vacancies
from api.peers import Peers
from api.poll import Deadlines, accept
from api.proxies import NOBODY, Proxies, passed
from api.reactor import SWEEP_S, Reactor
from wire.frames import CloseCode

_NO_ROOM = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)
_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_HTTP_2 = b"PRI "

_log = logging.getLogger("dispatch.http")


class DoorLimits(Struct, frozen=True, kw_only=True):
    """What clients may take before anybody knows what they want, and from the HTTP server."""

    undecided_max: int = 4_000
    """Connections that have not said what they want."""
    undecided_s: float = 5.0
    connections_max: int = 2_000
    peer_connections_max: int = 1_000
    """HTTP connections from one address, which may be that of a whole town's phones."""
    head_bytes_max: int = 16 * 1024
    idle_s: float = 10.0
    """For the whole head of a request, and between two requests."""
    send_s: float = 10.0
    grace_s: float = 5.0
    """For requests to finish when the node leaves."""


LIMITS = DoorLimits()


async def serve_door(
    listeners: Sequence[trio.SocketListener],
    app: ASGIFramework,
    reactor: Reactor,
    limits: DoorLimits = LIMITS,
    *,
    leave: trio.Event | None = None,
    farewell: Callable[[], Awaitable[None]] | None = None,
    proxies: Proxies = NOBODY,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve sockets and HTTP, and run the reactor, until `leave` is set or this is cancelled.

    After `leave` nobody is let in any more, then `farewell` is awaited, whose work it is to close
    the sockets; without one they are closed with 1012, the code of a restart.
    """
    config = _config(limits)
    context = WorkerContext(None)
    wrapped = ASGIWrapper(_BehindProxies(app, proxies))
    lifespan = Lifespan(wrapped, config, {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reactor.run)
        await nursery.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as requests:
            peers = Peers(limits.peer_connections_max, proxies)
            http = _Http(wrapped, config, context, requests, limits, peers)
            door = _Door(reactor, limits, http)
            try:
                async with trio.open_nursery() as entrance:
                    for listener in listeners:
                        entrance.start_soon(accept, listener, door.meet)
                    entrance.start_soon(door.sweep)
                    task_status.started()
                    await (trio.Event() if leave is None else leave).wait()
                    entrance.cancel_scope.cancel()
            finally:
                for listener in listeners:
                    listener.socket.close()
            door.shut()
            await context.terminated.set()
            requests.cancel_scope.deadline = trio.current_time() + limits.grace_s
            await (farewell() if farewell else reactor.close_all(CloseCode.RESTART, "restart"))
        await lifespan.wait_for_shutdown()
        nursery.cancel_scope.cancel()


def _config(limits: DoorLimits) -> Config:
    """Return the HTTP server's configuration."""
    config = Config()
    config.accesslog = None
    config.errorlog = _log
    config.include_server_header = False
    config.h11_max_incomplete_size = limits.head_bytes_max
    return config


class _Door:
    """Where connections wait until they have said what they want."""

    def __init__(self, reactor: Reactor, limits: DoorLimits, http: "_Http") -> None:
        self._limits = limits
        self._wanted = [f"GET {path}".encode() for path in reactor.paths]
        self.undecided = Deadlines[_Newcomer](limits.undecided_s)
        self.reactor = reactor
        self.http = http
        self.peek_bytes = max(map(len, [*self._wanted, _HTTP_2])) + 1

    def meet(self, sock: socket.socket) -> None:
        """Wait for what a new connection says first."""
        if len(self.undecided) >= self._limits.undecided_max:
            sock.close()
            return
        sock.settimeout(0)
        newcomer = _Newcomer(self, sock)
        # Told once for each arrival of bytes and not as long as they lie there: they stay unread.
        events = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
        self.reactor.poll.watch(sock, newcomer, events)
        self.undecided.begin(newcomer, trio.current_time())
        newcomer.ready(0)  # What is there already need not wait behind all who say something now.

    def route(self, first: bytes) -> Callable[[socket.socket], None] | None:
        """Return who takes a connection that begins like this; None while that is not clear."""
        for wanted in self._wanted:
            if first.startswith(wanted) and first[len(wanted) :][:1] in {b" ", b"?"}:
                return self.reactor.adopt
        if any(wanted.startswith(first) for wanted in (*self._wanted, _HTTP_2)):
            return None
        return self.http.refuse if first.startswith(_HTTP_2) else self.http.adopt

    def shut(self) -> None:
        """Close the connections that have not said what they want, or want nothing now."""
        for watched in self.reactor.poll.everyone():
            if isinstance(watched, _Newcomer):
                watched.hang_up()
        self.http.shut()

    async def sweep(self) -> None:
        """Close those that take too long to say it."""
        while True:
            await trio.sleep(SWEEP_S)
            for newcomer in self.undecided.due(trio.current_time()):
                newcomer.hang_up()


class _Newcomer:
    """A connection of which nobody knows what it wants."""

    __slots__ = ("_door", "_sock")

    def __init__(self, door: _Door, sock: socket.socket) -> None:
        self._door = door
        self._sock = sock

    def ready(self, events: int) -> None:
        """Look at the first bytes, and leave them for whoever takes the connection."""
        try:
            first = self._sock.recv(self._door.peek_bytes, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        take = self._door.route(first) if first else None
        if take is not None:
            self._leave()
            take(self._sock)
        elif not first or events & _ENDED:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        self._leave()
        self._sock.close()

    def _leave(self) -> None:
        self._door.undecided.end(self)
        self._door.reactor.poll.unwatch(self._sock)


class _BehindProxies:
    """An application whose requests come from who asks, and not from the proxy in between."""

    def __init__(self, app: ASGIFramework, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve a request."""
        if scope["type"] == "http" and scope["client"] is not None and self._proxies.networks:
            address, port = scope["client"][:2]
            client = self._proxies.client(address, scope["scheme"], passed(scope["headers"]))
            scope["client"], scope["scheme"] = (client.address, port), client.scheme
        await self._app(scope, receive, send)


class _Http:
    """The HTTP server, a task for each connection."""

    def __init__(
        self,
        app: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        nursery: trio.Nursery,
        limits: DoorLimits,
        peers: Peers,
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._nursery = nursery
        self._limits = limits
        self._peers = peers
        self._vacancies = Vacancies(limits.idle_s)

    def shut(self) -> None:
        """Close the connections that no request is on."""
        self._vacancies.close()

    def adopt(self, sock: socket.socket) -> None:
        """Serve a connection, if there is room for it."""
        try:
            peer: str = sock.getpeername()[0]
        except OSError:
            sock.close()
            return
        has_room = self._peers.count < self._limits.connections_max
        if has_room and self._peers.has_room(peer):
            self._peers.arrive(peer)
            self._nursery.start_soon(self._serve, sock, peer)
        else:
            self.refuse(sock)

    def refuse(self, sock: socket.socket) -> None:
        """Tell somebody to come later, and close the connection."""
        # What lies unread as a connection is closed resets it, and takes the answer along.
        with suppress(OSError):
            sock.recv(READ_BYTES)
            sock.send(_NO_ROOM)
        sock.close()

    async def _serve(self, sock: socket.socket, peer: str) -> None:
        served = Connection(
            self._app, self._config, self._context, sock, self._limits.send_s, self._vacancies
        )
        try:
            await served
        finally:
            served.close()
            self._peers.leave(peer)
