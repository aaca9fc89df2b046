"""The dialling side of the node link: one connection to one node, many questions at once.

A link that is lost stays lost: everything that waits on it, and everything asked of it later, ends
in `LinkLost`. Dialling again, and finding out whom to dial, is for `node.cluster`.
"""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Protocol, Self

import trio
from msgspec import Struct

from actors.envelope import Question
from dispatch.ids import MarketId, ShardId
from geo.ping import Track
from node.line import Line, LinkLimits, LinkLost
from wire.link import (
    MESSAGE_BYTES_MAX,
    TRACKS_MAX,
    Answer,
    Ask,
    Beat,
    Frame,
    Late,
    Listen,
    Outcome,
    Owner,
    Pinged,
    Shown,
    Side,
    Unlisten,
    Where,
    check_secret,
)

LIMITS = LinkLimits()


class Showing(Protocol):
    """What a hearing needs of its link."""

    def listen(self, hearing: "Hearing") -> int:
        """Have a feed shown to `hearing` from where it is; return the number of the listening."""
        ...

    def unlisten(self, number: int) -> None:
        """Have no more shown under that number."""
        ...

    def check(self) -> None:
        """Raise LinkLost when the link is down."""
        ...


class Hearing:
    """One person's feed over one link. Iterate over it: numbers with messages, in order.

    When more messages wait here than may, the rest is dropped and asked for again later, so that a
    slow listener holds up nobody else on the link.
    """

    def __init__(self, link: Showing, person: str, after: int, shown_max: int) -> None:
        self._link = link
        self._shown: deque[Shown] = deque()
        self._shown_max = shown_max
        self._listening: int | None = None
        self._woken = trio.Event()
        self.person = person
        self.cursor = after

    def hear(self, shown: Shown) -> None:
        """Take the next message, or stop listening when too many wait."""
        if len(self._shown) >= self._shown_max:
            self.end()
        else:
            self._shown.append(shown)
        self.wake()

    def wake(self) -> None:
        """Have the listener look what there is."""
        self._woken.set()

    def end(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._link.unlisten(self._listening)
            self._listening = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, bytes]:
        while not self._shown:
            self._link.check()
            if self._listening is None:
                self._listening = self._link.listen(self)
            self._woken = trio.Event()
            await self._woken.wait()
        shown = self._shown.popleft()
        self.cursor = shown.number
        return shown.number, shown.message


class LinkClient:
    """A link to one node."""

    def __init__(self, line: Line, address: str, limits: LinkLimits) -> None:
        self._line = line
        self._limits = limits
        self._numbers = count(1)
        self._room = trio.Semaphore(limits.asks_max)
        self._questions: dict[int, Question] = {}
        self._hearings: dict[int, Hearing] = {}
        self.address = address

    @property
    def is_lost(self) -> bool:
        """Tell whether the link is down."""
        return self._line.lost is not None

    async def run(self) -> None:
        """Carry frames until the link is lost, then let everybody go who waits on it."""
        try:
            await self._line.run(self._take)
        finally:
            for question in self._questions.values():
                question.settle(LinkLost(self._line.lost or "the link ends"))
            for hearing in self._hearings.values():
                hearing.wake()

    async def ask(
        self, shard: ShardId, kind: str, key: str, message: bytes, timeout_s: float
    ) -> Outcome:
        """Ask an actor of the shard and return what became of it; raises LinkLost.

        It is `Late` when no answer came in time, whoever is to blame for that.
        """
        assert len(message) <= MESSAGE_BYTES_MAX, f"{kind} is asked with {len(message)} bytes"
        number = next(self._numbers)
        asked = Ask(number, shard, kind, key, message, timeout_s)
        with trio.move_on_after(timeout_s):
            answer = await self._answered(number, asked)
            assert isinstance(answer, Answer)
            return answer.outcome
        return Late()

    def bring(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        """Bring a shard of that node the pings of its couriers; raises LinkLost."""
        self.check()
        for start in range(0, len(tracks), TRACKS_MAX):
            self._line.post(Pinged(shard, tuple(tracks[start : start + TRACKS_MAX])))

    async def owner(self, place: ShardId | MarketId) -> Owner:
        """Return what the node knows of who owns the shard or market; raises LinkLost."""
        number = next(self._numbers)
        owner = await self._answered(number, Where(number, place))
        assert isinstance(owner, Owner)
        return owner

    @contextmanager
    def listening(self, person: str, after: int) -> Generator[Hearing]:
        """Hear the person's messages after that number: iterate, until LinkLost is raised."""
        hearing = Hearing(self, person, after, self._limits.shown_max)
        try:
            yield hearing
        finally:
            hearing.end()

    def listen(self, hearing: Hearing) -> int:
        """Have a feed shown to `hearing` from where it is; return the number of the listening."""
        number = next(self._numbers)
        self._hearings[number] = hearing
        self._line.post(Listen(number, hearing.person, hearing.cursor))
        return number

    def unlisten(self, number: int) -> None:
        """Have no more shown under that number."""
        if self._hearings.pop(number, None) is not None:
            self._line.post(Unlisten(number))

    def check(self) -> None:
        """Raise LinkLost when the link is down."""
        if self._line.lost is not None:
            raise LinkLost(self._line.lost)

    async def _answered(self, number: int, asked: Ask | Where) -> Struct:
        async with self._room:
            question = self._questions[number] = Question()
            try:
                await self._line.send(asked)
                return await question.answer()
            finally:
                del self._questions[number]

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Answer(number=number) | Owner(number=number):
                if question := self._questions.get(number):
                    question.settle(frame)
            case Shown():
                if hearing := self._hearings.get(frame.listening):
                    hearing.hear(frame)
            case Beat():
                await trio.lowlevel.checkpoint()
            case _:
                raise LinkLost(f"a {type(frame).__name__} is not for the side that dialled")


async def dialled(
    nursery: trio.Nursery, address: str, secret: bytes, *, name: str, limits: LinkLimits = LIMITS
) -> LinkClient:
    """Return a proven link to `address` (`host:port`), kept up by `nursery`; raises LinkLost."""
    check_secret(secret)
    host, _, port = address.rpartition(":")
    try:
        with trio.fail_after(limits.proof_s):
            stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
    except (OSError, ValueError, trio.TooSlowError) as error:
        told = str(error) or "it took too long"
        raise LinkLost(f"nobody answers at {address}: {told}") from error
    line = Line(stream, limits)
    await line.prove(Side.DIALLED, name, secret)
    client = LinkClient(line, address, limits)
    nursery.start_soon(client.run)
    return client
