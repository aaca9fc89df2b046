"""One connection of the node link, the same for the side that dialled and the one that answered.

A line says who it is and proves it, then carries frames both ways. What waits to go out is bounded:
`send` waits for room, and a reader who takes nothing for `stall_s` is cut off. Both sides beat when
they have nothing to say, so that a silence of `idle_s` means that the other side is stopped or cut
off. However a line ends, whoever reads or sends on it sees `LinkLost`, and nothing else.
"""

import secrets
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Annotated

import trio
from msgspec import Meta, Struct

from wire.link import (
    FRAME_BYTES_MAX,
    NONCE_BYTES,
    VERSION,
    Beat,
    Frame,
    FrameReader,
    Hello,
    LinkBroken,
    Proof,
    Side,
    check_greeting,
    check_proof,
    framed,
    proof,
)

type Seconds = Annotated[float, Meta(gt=0, le=3_600)]
type Count = Annotated[int, Meta(ge=1, le=1_000_000)]
type Bytes = Annotated[int, Meta(ge=1, le=1 << 30)]


class LinkLost(Exception):
    """The link is down: what was asked on it may or may not have counted; ask again elsewhere."""


class LinkLimits(Struct, frozen=True, kw_only=True):
    """What bounds a link, on either side."""

    connections_max: Count = 1_000
    """Links that a node answers at once; one more is closed unread."""
    asks_max: Count = 4_096
    """Questions of one link that may be open at once; one more is refused as overload."""
    feeds_max: Count = 10_000
    """Feeds that one link may listen to at once; one more ends the link."""
    shown_max: Count = 1_024
    """Messages of one feed that wait at the listening side; the link waits when there are more."""
    read_bytes: Bytes = 65_536
    """Bytes taken from the network, or given to it, by one call."""
    waiting_bytes_max: Bytes = 1 << 20
    """Bytes that wait to go out, from which on whoever sends has to wait."""
    proof_s: Seconds = 2.0
    """Time to connect, and time to say hello and prove it."""
    beat_s: Seconds = 0.5
    """Silence after which a side says that it is still here."""
    idle_s: Seconds = 2.5
    """Silence after which the other side counts as lost."""
    stall_s: Seconds = 5.0
    """Time that `read_bytes` may take to leave; a slower reader is cut off."""


class Line:
    """One proven connection; `peer` is the name the other side gave itself."""

    def __init__(self, stream: trio.abc.Stream, limits: LinkLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._reader = FrameReader()
        self._arrived: list[Frame] = []
        self._waiting = bytearray()
        self._filled, self._emptied = trio.Event(), trio.Event()
        self._lost: str | None = None
        self.peer = ""

    @property
    def lost(self) -> str | None:
        """Return why the line ended, None while it has not."""
        return self._lost

    async def prove(self, side: Side, node: str, secret: bytes) -> None:
        """Exchange greetings and proofs; raises LinkLost, also when the other side's are wrong."""
        try:
            with _in_time(self._limits.proof_s, "it has proven nothing"):
                await self._prove(side, node, secret)
            self._reader.bytes_max = FRAME_BYTES_MAX
        except LinkBroken as error:
            raise LinkLost(str(error)) from error
        finally:
            if self._reader.bytes_max != FRAME_BYTES_MAX:
                await self.close()

    async def send(self, frame: Frame) -> None:
        """Put a frame among those that go out next, once there is room; raises LinkLost."""
        while self._lost is None and len(self._waiting) >= self._limits.waiting_bytes_max:
            await self._emptied.wait()
        if self._lost is not None:
            raise LinkLost(self._lost)
        self.post(frame)

    def post(self, frame: Frame) -> None:
        """Put a frame among those that go out next, room or not, for the few that cannot wait."""
        self._waiting += framed(frame)
        self._filled.set()

    async def run(self, take: Callable[[Frame], Awaitable[None]]) -> None:
        """Carry frames both ways until the line ends, handing what comes in to `take`.

        A `take` that raises LinkLost ends the line; one that waits holds up what comes after.
        """
        try:
            async with trio.open_nursery() as nursery:

                async def until_lost(work: Callable[[], Awaitable[None]]) -> None:
                    try:
                        await work()
                    except LinkLost as error:
                        self._lose(str(error))
                        nursery.cancel_scope.cancel()

                nursery.start_soon(until_lost, self._write)
                nursery.start_soon(until_lost, lambda: self._read(take))
        finally:
            await self.close()

    async def close(self) -> None:
        """End the connection; may be called at any time, and again."""
        self._lose("the link was closed here")
        await trio.aclose_forcefully(self._stream)

    async def _prove(self, side: Side, node: str, secret: bytes) -> None:
        mine = Hello(VERSION, node, secrets.token_bytes(NONCE_BYTES))
        if side is Side.DIALLED:
            await self._send_now(mine)
        theirs = await self._next(Hello)
        check_greeting(theirs)
        self.peer = theirs.node
        if side is Side.DIALLED:
            await self._send_now(proof(secret, side, mine, theirs))
            check_proof(secret, Side.ANSWERED, mine, theirs, await self._next(Proof))
        else:
            await self._send_now(mine)
            check_proof(secret, Side.DIALLED, theirs, mine, await self._next(Proof))
            await self._send_now(proof(secret, side, theirs, mine))

    async def _next[F: (Hello, Proof)](self, expected: type[F]) -> F:
        while not self._arrived:
            self._arrived.extend(await self._receive())
        frame = self._arrived.pop(0)
        if not isinstance(frame, expected):
            raise LinkBroken(f"a {type(frame).__name__} came where a {expected.__name__} was due")
        return frame

    async def _read(self, take: Callable[[Frame], Awaitable[None]]) -> None:
        while True:
            arrived, self._arrived = self._arrived, []
            for frame in arrived:
                await take(frame)
            with _in_time(self._limits.idle_s, "it has been silent"):
                self._arrived.extend(await self._receive())

    async def _receive(self) -> list[Frame]:
        try:
            received = await self._stream.receive_some(self._limits.read_bytes)
            self._reader.feed(received)
            frames = list(self._reader.frames())
        except (trio.BrokenResourceError, trio.ClosedResourceError, LinkBroken) as error:
            raise LinkLost(str(error) or "the connection broke") from error
        if not received:
            raise LinkLost("the other side closed the link")
        return frames

    async def _write(self) -> None:
        while True:
            if not self._waiting:
                self._filled = trio.Event()
                with trio.move_on_after(self._limits.beat_s):
                    await self._filled.wait()
            going = bytes(self._waiting[: self._limits.read_bytes]) or framed(Beat())
            del self._waiting[: len(going)]
            self._emptied.set()
            self._emptied = trio.Event()
            with _in_time(self._limits.stall_s, "it has read too slowly"):
                await self._put(going)

    async def _send_now(self, frame: Hello | Proof) -> None:
        await self._put(framed(frame))

    async def _put(self, going: bytes) -> None:
        try:
            await self._stream.send_all(going)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise LinkLost("the connection broke") from error

    def _lose(self, reason: str) -> None:
        """Remember why the line ended, and let those go who wait for room."""
        if self._lost is None:
            self._lost = reason
        self._emptied.set()


@contextmanager
def _in_time(seconds: float, told: str) -> Generator[None]:
    """Raise `LinkLost` when the block takes longer than these seconds."""
    try:
        with trio.fail_after(seconds):
            yield
    except trio.TooSlowError:
        raise LinkLost(f"{told} for {seconds:g} s") from None
