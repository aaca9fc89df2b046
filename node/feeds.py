"""Who listens to which person's feed in this process, and how each hears every message once.

A listening has a cursor: the number of the last message it handed out. It reads what the journal
has after the cursor, then takes what is published here as it is committed. Only the very next
number is taken live; whatever does not fit (a message committed on another node, an overflow, two
shards that spoke at once) is read from the journal again, so that order and completeness never
depend on who published what. A listening that hears nothing looks into the journal now and then,
because the person's next message may be committed on another node.
"""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Annotated, Protocol, Self

import trio
from msgspec import Meta, Struct

from actors.codec import encode
from dispatch.journal import JournalUnreachable

type Seconds = Annotated[float, Meta(gt=0, le=3_600)]
type Shown = tuple[int, bytes]


class FeedLimits(Struct, frozen=True, kw_only=True):
    """What bounds the feeds of a process."""

    live_max: Annotated[int, Meta(ge=1, le=100_000)] = 256
    """Live messages that wait for one listening; with more it reads the journal again."""
    look_s: Seconds = 2.0
    """Silence after which a listening looks whether another node has committed something."""
    read_s: Seconds = 5.0
    """Time the journal has for one reading."""
    backoff_s: Seconds = 0.1
    """Wait before a reading that failed is tried again; each further wait is twice as long."""
    backoff_s_max: Seconds = 2.0


class FeedJournal(Protocol):
    """Keeps the messages of every person."""

    async def feed(self, person: str, after: int) -> Sequence[Shown]:
        """Return a person's messages numbered higher than `after`, or the first of them.

        Raises `JournalUnreachable` to be tried again.
        """
        ...


class Listening:
    """One listener's way through a person's feed: iterate over it, for ever."""

    __slots__ = (
        "_backlog",
        "_cursor",
        "_heard",
        "_is_behind",
        "_journal",
        "_limits",
        "_live",
        "_person",
    )

    def __init__(self, journal: FeedJournal, limits: FeedLimits, person: str, after: int) -> None:
        self._journal = journal
        self._limits = limits
        self._person = person
        self._cursor = after
        self._is_behind = True
        self._backlog: deque[Shown] = deque()
        self._live: deque[Shown] = deque(maxlen=limits.live_max)
        self._heard = trio.Event()

    def hear(self, shown: Shown) -> None:
        """Take a live message; the oldest makes room when too many wait."""
        self._live.append(shown)
        self._heard.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Shown:
        while True:
            shown = self._next_read() or self._next_live()
            if shown is not None:
                self._cursor = shown[0]
                return shown
            if self._is_behind or self._live or not await self._was_heard():
                self._live.clear()
                self._backlog.extend(await self._read())
                self._is_behind = bool(self._backlog)  # One reading may not have brought it all.

    def _next_read(self) -> Shown | None:
        return self._backlog.popleft() if self._backlog else None

    def _next_live(self) -> Shown | None:
        """Return the live message that comes next; None where a number is missing."""
        while self._live and self._live[0][0] <= self._cursor:
            self._live.popleft()
        is_next = self._live and self._live[0][0] == self._cursor + 1
        return self._live.popleft() if is_next else None

    async def _was_heard(self) -> bool:
        """Wait for a live message; False when it is time to look into the journal."""
        self._heard = trio.Event()
        with trio.move_on_after(self._limits.look_s):
            await self._heard.wait()
        return bool(self._live)

    async def _read(self) -> Sequence[Shown]:
        wait_s = self._limits.backoff_s
        while True:
            try:
                with trio.fail_after(self._limits.read_s):
                    return await self._journal.feed(self._person, self._cursor)
            except (JournalUnreachable, trio.TooSlowError):
                await trio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._limits.backoff_s_max)


class FeedHub:
    """The listenings of one process; fits `actors.ports.Feeds`."""

    __slots__ = ("_journal", "_limits", "_listenings")

    def __init__(self, journal: FeedJournal, limits: FeedLimits | None = None) -> None:
        self._journal = journal
        self._limits = limits or FeedLimits()
        self._listenings: dict[str, set[Listening]] = {}

    def publish(self, person: str, number: int, message: Struct) -> None:
        """Hand a committed message to whoever listens here; the journal has it for the others."""
        listenings = self._listenings.get(person)
        if listenings:
            shown = (number, encode(message))
            for listening in listenings:
                listening.hear(shown)

    @contextmanager
    def listening(self, person: str, after: int) -> Generator[Listening]:
        """Listen to a person's feed from the message after number `after` on."""
        listening = Listening(self._journal, self._limits, person, after)
        self._listenings.setdefault(person, set()).add(listening)
        try:
            yield listening
        finally:
            self._listenings[person].discard(listening)
            if not self._listenings[person]:
                del self._listenings[person]

    def listening_count(self) -> int:
        """Return how many listenings there are."""
        return sum(map(len, self._listenings.values()))
