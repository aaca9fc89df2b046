"""Couriers' devices for tests of the sockets: real ones on a real reactor, or one in memory."""

import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from msgspec import Struct, convert, json, msgpack
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from api.ports import Following, Show
from api.reactor import Reactor, Usher
from wire.frames import (
    Act,
    AnyAction,
    Done,
    Hello,
    Message,
    Notation,
    ServerFrame,
    Welcome,
)

WAIT_S = 20.0


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    with trio.fail_after(WAIT_S):
        while not is_so():
            await trio.lowlevel.checkpoint()


class Line:
    """One device on one socket."""

    def __init__(self, ws: WebSocketConnection, notation: Notation) -> None:
        self._ws = ws
        self._notation = notation
        self._format = json if notation is Notation.JSON else msgpack
        self._unread = 0
        self.messages: list[Message] = []

    async def say(self, frame: object) -> None:
        """Send a frame."""
        await self._ws.send_message(self._written(frame))

    async def send(self, payload: str | bytes) -> None:
        """Send anything at all."""
        await self._ws.send_message(payload)

    async def hear(self) -> ServerFrame:
        """Return the next frame."""
        with trio.fail_after(WAIT_S):
            heard = await self._ws.get_message()
        written = heard.encode() if isinstance(heard, str) else heard
        return self._format.decode(written, type=ServerFrame)

    async def hear_a[F](self, kind: type[F]) -> F:
        """Return the next frame of a kind, keeping the messages that come before it."""
        while True:
            frame = await self.hear()
            if isinstance(frame, Message):
                self.messages.append(frame)
            if isinstance(frame, kind):
                return frame

    async def hear_event[E: Struct](self, kind: type[E]) -> E:
        """Return the next event of a kind from the feed, also one that came in between."""
        while True:
            if self._unread >= len(self.messages):
                await self.hear_a(Message)
            frame = self.messages[self._unread]
            self._unread += 1
            event = self._format.decode(frame.event, type=dict[str, Any])
            if event["type"] == kind.__struct_config__.tag:
                return convert(event, kind)

    async def greet(
        self, token: str, device_id: str = "dev_1", last_message_id: int | None = None
    ) -> Welcome:
        """Say hello and return the welcome."""
        hello = Hello(token=token, device_id=device_id, last_message_id=last_message_id)  # pyright: ignore[reportArgumentType]
        await self.say(hello)
        return await self.hear_a(Welcome)

    async def act(self, counter: int, action: AnyAction, at: int = 1) -> Done:
        """Do something and return what came of it."""
        await self.say(Act(counter=counter, at=at, action=action))  # pyright: ignore[reportArgumentType]
        return await self.hear_a(Done)

    async def closed(self) -> int:
        """Return the code by which the server closes, after all that it still says."""
        with trio.fail_after(WAIT_S), suppress(ConnectionClosed):
            while True:
                await self._ws.get_message()
        reason = self._ws.closed
        assert reason is not None
        return reason.code

    async def hang_up(self) -> None:
        """Close the socket."""
        await self._ws.aclose()

    def _written(self, frame: object) -> str | bytes:
        return json.encode(frame).decode() if self._format is json else msgpack.encode(frame)


@asynccontextmanager
async def served(ushers: Mapping[str, Usher]) -> AsyncGenerator[Callable[..., Any]]:
    """Serve sockets on a port of this machine; yields what opens a line to them."""
    listener = trio.socket.socket()
    await listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = listener.getsockname()[1]
    reactor = Reactor(ushers)

    async def accept() -> None:
        while True:
            sock, _ = await listener.accept()
            reactor.adopt(_plain(sock))

    @asynccontextmanager
    async def line(
        path: str = "/v1/courier", notation: Notation = Notation.MSGPACK
    ) -> AsyncGenerator[Line]:
        # The stream is ours to close: trio-websocket leaves it open when the server closes first.
        async with (
            await trio.open_tcp_stream("127.0.0.1", port) as stream,
            trio.open_nursery() as nursery,
        ):
            host = f"127.0.0.1:{port}"
            ws = await wrap_client_stream(nursery, stream, host, path, subprotocols=[notation])
            yield Line(ws, notation)
            await ws.aclose()
        stream = ws._stream  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        await trio.aclose_forcefully(stream)  # It stays open if the server has closed first.

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reactor.run)
        nursery.start_soon(accept)
        with listener:
            yield line
            nursery.cancel_scope.cancel()


def _plain(sock: trio.socket.SocketType) -> socket.socket:
    return socket.socket(fileno=sock.detach())


class MemoryFeeds:
    """Feeds in memory; fits `api.ports.Feeds`. What is published is shown at once."""

    def __init__(self) -> None:
        self.messages: dict[str, list[bytes]] = {}
        self.followers: list[MemoryFollowing] = []

    def follow(self, person: str, after: int, show: Show) -> Following:
        following = MemoryFollowing(self, person, after, show)
        self.followers.append(following)
        following.resume()
        return following

    def publish(self, person: str, number: int, message: Struct, epoch: int = 1) -> None:
        """Take a message as a shard commits it; fits `actors.ports.Feeds` too."""
        del epoch
        messages = self.messages.setdefault(person, [])
        assert number == len(messages) + 1
        messages.append(msgpack.encode(message))
        for follower in tuple(self.followers):
            follower.resume()


class MemoryFollowing:
    """One follower of a feed in memory."""

    __slots__ = ("_feeds", "_person", "_show", "cursor")

    def __init__(self, feeds: MemoryFeeds, person: str, after: int, show: Show) -> None:
        self._feeds = feeds
        self._person = person
        self._show = show
        self.cursor = after

    def resume(self) -> None:
        messages = self._feeds.messages.get(self._person, [])
        while self.cursor < len(messages):
            if not self._show(self.cursor + 1, 1, messages[self.cursor]):
                return
            self.cursor += 1

    def end(self) -> None:
        if self in self._feeds.followers:
            self._feeds.followers.remove(self)


class OneNodeLive:
    """Live channels of a single node; fits `api.ports.Live`."""

    def __init__(self) -> None:
        self.hears: dict[str, list[Callable[[bytes], None]]] = {}

    def publish(self, channel: str, message: bytes) -> None:
        for hear in tuple(self.hears.get(channel, ())):
            hear(message)

    def subscribe(self, channel: str, hear: Callable[[bytes], None]) -> Callable[[], None]:
        self.hears.setdefault(channel, []).append(hear)
        return lambda: self.hears[channel].remove(hear)
