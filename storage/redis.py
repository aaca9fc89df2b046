"""The way to Redis: commands in one round trip, messages of a channel, and one sentence of trouble.

Everything kept in Redis can be lost at any moment, and is only a hint, a copy, or a letter that is
sent again. So nothing here tries twice: what fails raises `RedisUnreachable` with a sentence that
says what to do, and whoever asked goes on without. A connection is made when it is wanted, so a
server that was away, restarted or wiped serves the next round trip as if nothing had been.

Replies are handed over raw, as the protocol has them, and are validated by whoever reads them. No
address in a sentence shows a password.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from math import inf

import trio
from msgspec import Struct, convert, field
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - the vendor's name, for this one file.
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,  # noqa: A004
)

from storage.bridge import Bridge, Jobs, Work

EXCHANGE_S = 2.0
"""Time a round trip has before the server counts as away."""
CONNECT_S = 1.0
CONNECTIONS_MAX = 64
HEAR_S = 0.25
"""How long one look at a channel waits for the first message."""
HEARD_MAX = 1_000
"""The most messages of one look at a channel."""
EAR_S = 0.05
"""How long one look at channels that come and go waits, and so how late one may be joined."""
JOINED_MAX = 1_000
"""Channels that are joined by one command."""
CLOSE_S = 2.0
TROUBLE_S = 5.0
"""How long a failure counts as trouble. Others may succeed meanwhile: a full server still reads."""

type Command = tuple[str | bytes | int | float, ...]
type Reply = object
"""Bytes, a whole number, None, or a list of replies; `msgspec.convert` tells which."""

_ADVICE: Sequence[tuple[type[Exception], str]] = (
    (
        OutOfMemoryError,
        "is out of memory: raise its maxmemory; nothing acknowledged is lost by it",
    ),
    (AuthenticationError, "refused the password: set the right one in REDIS_URL"),
    (AuthorizationError, "refused the user: set the right one in REDIS_URL"),
    (NoPermissionError, "does not allow the user what a node needs: give him all commands"),
    (BusyLoadingError, "is still loading what it had kept: it will answer when that is done"),
    (ReadOnlyError, "is a replica and takes no writes: name the primary in REDIS_URL"),
    (TimeoutError, "did not answer in time: see whether it runs, and how loaded it is"),
    (ConnectionError, "cannot be reached: start it, or set REDIS_URL to where it runs"),
)


class RedisUnreachable(Exception):
    """Redis did not do what was asked, and why; it may have done some of it."""


class RedisStatistics(Struct, frozen=True, kw_only=True):
    """Round trips so far, those that failed, and why the last one did if that was lately."""

    round_trips: int
    failures: int
    trouble: str | None


class Patience:
    """How long to wait after each failure: twice as long as before, up to a ceiling."""

    __slots__ = ("_first_s", "_next_s", "_s_max")

    def __init__(self, first_s: float = 0.05, s_max: float = 1.0) -> None:
        """Begin with `first_s`."""
        self._first_s = self._next_s = first_s
        self._s_max = s_max

    def reset(self) -> None:
        """Begin anew: what was tried has worked."""
        self._next_s = self._first_s

    async def wait(self) -> None:
        """Wait after a failure."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._s_max)
        await trio.sleep(wait_s)


class RedisServer:
    """A Redis server that may be away. For the thread that runs trio."""

    def __init__(self, bridge: Bridge, url: str) -> None:
        """Name the server; nothing is connected yet. Raises ValueError for what is no address."""
        self._bridge = bridge
        # One try: a second one would hide that the server is away, and send letters twice.
        self._client: Redis = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_S,
            socket_timeout=EXCHANGE_S,
            max_connections=CONNECTIONS_MAX,
        )
        self._client.response_callbacks.clear()
        self._jobs = Jobs()
        self._place = _place(self._client)
        self._round_trips = self._failures = 0
        self._trouble, self._failed_at = "", -inf

    async def exchange(
        self, commands: Sequence[Command], timeout_s: float = EXCHANGE_S
    ) -> list[Reply]:
        """Run the commands in their order, in one round trip, and return a reply for each.

        Raises `RedisUnreachable`, also when the server refused only one of them. Calls that are
        under way at the same time use connections of their own, so one that blocks is in nobody's
        way.
        """
        self._round_trips += 1
        return await self._tried(lambda: self._replies(commands), timeout_s)

    async def hear(self, name: str, act: Callable[[bytes], None]) -> None:
        """Hand what is published in the channel `name` to `act`, until cancelled.

        Raises `RedisUnreachable` when the channel is lost; what was published since then is lost.
        """
        channel = _Channel(self._client, name)
        try:
            while True:
                for message in await self._tried(channel.look, HEAR_S + EXCHANGE_S):
                    act(message)
        finally:
            self._bridge.post(self._jobs.counted(channel.close))

    def ear(self) -> "Ear":
        """Return what hears many channels, which come and go, over one connection."""
        channels = _Channels(self._client)
        end = self._jobs.counted(channels.close)
        return Ear(channels, self._tried, lambda: self._bridge.post(end))

    async def close(self) -> None:
        """Let the connections go."""
        await self._bridge.call(self._end, CLOSE_S)

    def statistics(self) -> RedisStatistics:
        """Return how the server has answered."""
        is_lately = trio.current_time() - self._failed_at < TROUBLE_S
        return RedisStatistics(
            round_trips=self._round_trips,
            failures=self._failures,
            trouble=self._trouble if is_lately else None,
        )

    async def _end(self) -> None:
        """Close the client when no job is about to connect: it would lose that connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S / 2):
                await self._jobs.none.wait()
        await self._client.aclose()

    async def _replies(self, commands: Sequence[Command]) -> list[Reply]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)  # pyright: ignore[reportUnknownMemberType]
        replies = await pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    async def _tried[T](self, work: Work[T], timeout_s: float) -> T:
        """Do it over the bridge; whatever goes wrong becomes one sentence."""
        try:
            return await self._bridge.call(self._jobs.counted(work), timeout_s)
        # uvloop calls writing to a connection that has just been lost a RuntimeError.
        except (RedisError, OSError, RuntimeError, trio.TooSlowError) as error:
            self._failures += 1
            self._failed_at = trio.current_time()
            self._trouble = f"Redis at {self._place} {_advice(error)}"
            raise RedisUnreachable(self._trouble) from error


class _Published(Struct, frozen=True):
    """What of a message in a channel matters here."""

    content: bytes = field(name="data")


type _Heard = _Published | None


class _Channel:
    """One subscription. A look at it and its end never overlap: they share a connection."""

    __slots__ = ("_name", "_pubsub", "_turn")

    def __init__(self, client: Redis, name: str) -> None:
        self._name = name
        self._pubsub: PubSub = client.pubsub(  # pyright: ignore[reportUnknownMemberType]
            ignore_subscribe_messages=True
        )
        self._turn = asyncio.Lock()

    async def look(self) -> list[bytes]:
        """Return what has been published, waiting a moment for the first."""
        heard: list[bytes] = []
        async with self._turn:
            if not self._pubsub.subscribed:
                await self._pubsub.subscribe(self._name)
            while len(heard) < HEARD_MAX:
                wait_s = 0.0 if heard else HEAR_S
                message = convert(await self._pubsub.get_message(timeout=wait_s), _Heard)
                if message is None:
                    break
                heard.append(message.content)
        return heard

    async def close(self) -> None:
        """Let the connection go."""
        async with self._turn:
            await self._pubsub.aclose()


class Ear:
    """Channels that come and go over one connection, until that is lost. For trio's thread."""

    __slots__ = ("_channels", "_tried", "close")

    def __init__(self, channels: "_Channels", tried: "_Tried", close: Callable[[], None]) -> None:
        self._channels = channels
        self._tried = tried
        self.close = close
        """Let the connection go."""

    async def hear(
        self, join: Sequence[str], leave: Sequence[str]
    ) -> Sequence[tuple[bytes, bytes]]:
        """Join and leave channels, and return what was published, each message with its channel.

        Waits a moment for the first message. Raises `RedisUnreachable` when the connection is
        lost: all that was joined is left then, and this ear is of no more use.
        """
        return await self._tried(lambda: self._channels.look(join, leave), EAR_S + EXCHANGE_S)


type _Tried = Callable[
    [Work[list[tuple[bytes, bytes]]], float], Awaitable[list[tuple[bytes, bytes]]]
]


class _Told(Struct, frozen=True):
    """A message of a channel, or, of another type, that a channel was joined or left."""

    type: str
    channel: bytes
    content: bytes | int = field(name="data")


class _Channels:
    """The asyncio side of an ear."""

    __slots__ = ("_pubsub", "_turn")

    def __init__(self, client: Redis) -> None:
        self._pubsub: PubSub = client.pubsub()  # pyright: ignore[reportUnknownMemberType]
        self._turn = asyncio.Lock()

    async def look(self, join: Sequence[str], leave: Sequence[str]) -> list[tuple[bytes, bytes]]:
        """Join, leave, and return what has been published."""
        async with self._turn:
            for start in range(0, len(join), JOINED_MAX):
                await self._pubsub.subscribe(*join[start : start + JOINED_MAX])
            for start in range(0, len(leave), JOINED_MAX):
                left = leave[start : start + JOINED_MAX]
                await self._pubsub.unsubscribe(*left)  # pyright: ignore[reportUnknownMemberType]
            if not self._pubsub.subscribed:
                await asyncio.sleep(EAR_S)
                return []
            return await self._heard()

    async def _heard(self) -> list[tuple[bytes, bytes]]:
        heard: list[tuple[bytes, bytes]] = []
        while len(heard) < HEARD_MAX:
            wait_s = 0.0 if heard else EAR_S
            told = convert(await self._pubsub.get_message(timeout=wait_s), _Told | None)
            if told is None:
                break
            if told.type == "message" and isinstance(told.content, bytes):
                heard.append((told.channel, told.content))
        return heard

    async def close(self) -> None:
        """Let the connection go."""
        async with self._turn:
            await self._pubsub.aclose()


@asynccontextmanager
async def redis_server(bridge: Bridge, url: str) -> AsyncGenerator[RedisServer]:
    """Name the server, and let its connections go in the end."""
    server = RedisServer(bridge, url)
    try:
        yield server
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
            await server.close()


def _advice(error: Exception) -> str:
    if isinstance(error, trio.TooSlowError):
        return _advice(TimeoutError())
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return advice
    if "unknown command" in str(error):
        return f"is too old, at least Redis 8 or Valkey 9 is needed: {error}"
    return f"did not do what it was asked: {error}"


def _place(client: Redis) -> str:
    """Return where the server is, and nothing else of its address."""
    where = client.connection_pool.connection_kwargs
    return str(where.get("path") or f"{where.get('host')}:{where.get('port')}")
