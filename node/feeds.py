"""Who follows which person's feed in this process, and how each is shown every message once.

A follower is no task: messages are pushed to it as they are committed here. Only the very next
number is taken live; whatever does not fit (a message committed on another node, two shards that
spoke at once, a follower that had no room) is read from the journal, so that order and completeness
never depend on who published what. A few readers do that for all followers, many of them by one
query. That there is something to read is told by whoever follows (at the start, and when it has
room again), by what is published here, by other nodes over `Live`, and, because all of that may be
lost, by one look for all persons now and then.

`Listening` is a feed for whoever has a task of its own, as a link between nodes has.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Protocol, Self

import trio
from msgspec import Meta, Struct

from actors.codec import encode
from api.channels import feed_channel
from api.ports import Live, Show
from dispatch.journal import FeedEntry, JournalUnreachable

type Seconds = Annotated[float, Meta(gt=0, le=3_600)]
type Count = Annotated[int, Meta(ge=1, le=100_000)]
type Shown = tuple[int, bytes]

UNKNOWN = -1
"""Stands for the number of the newest message as long as nobody has said it."""


class FeedLimits(Struct, frozen=True, kw_only=True):
    """What bounds the feeds of a process."""

    waiting_max: Count = 256
    """Messages kept for one follower that has no room; what comes after them is read again."""
    page_max: Count = 256
    """Messages of one follower that are read at once."""
    batch_max: Count = 64
    """Followers for whom the journal is read at once."""
    heads_max: Count = 1_000
    """Persons whose newest numbers are asked for at once."""
    readers: Annotated[int, Meta(ge=1, le=16)] = 2
    """Readings that may be under way at once."""
    look_s: Seconds = 2.0
    """Time between two looks whether other nodes have committed something."""
    read_s: Seconds = 5.0
    """Time the journal has for one reading."""
    backoff_s: Seconds = 0.1
    """Wait before a reading that failed is tried again; each further wait is twice as long."""
    backoff_s_max: Seconds = 2.0


class FeedStatistics(Struct, frozen=True, kw_only=True):
    """Who follows now, how many of them wait for a reader, and what was done so far."""

    persons: int
    followers: int
    behind: int
    readings: int
    shown: int


class FeedJournal(Protocol):
    """Keeps the messages of every person. Raises `JournalUnreachable` to be tried again."""

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]:
        """Return, for each person and number, his next messages after it, `page_max` at most."""
        ...

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]:
        """Return the number of each person's newest message; who has none is left out."""
        ...


class Follower:
    """One device's way through a feed; fits `api.ports.Following`.

    What was shown last is `cursor`. `_waiting` is made only for who has no room; it holds messages
    that follow the cursor without a gap.
    """

    __slots__ = ("_hub", "_show", "_waiting", "cursor", "is_queued", "newest", "person")

    def __init__(self, hub: "FeedHub", person: str, after: int, show: Show) -> None:
        self._hub = hub
        self._show: Show | None = show
        self._waiting: deque[FeedEntry] | None = None
        self.person = person
        self.cursor = after
        self.newest = UNKNOWN
        self.is_queued = False

    @property
    def is_ended(self) -> bool:
        """Whether nothing is shown any more."""
        return self._show is None

    @property
    def is_behind(self) -> bool:
        """Whether there is something to read, and room for it."""
        return self.newest > self.cursor and not self._waiting and not self.is_ended

    def resume(self) -> None:
        """Show what waited; when that was all, go on with what there is since."""
        waiting = self._waiting or ()
        while waiting and self._is_shown(waiting[0]):
            waiting.popleft()
        if not waiting:
            self._waiting = None
            self._hub.catch_up(self)

    def end(self) -> None:
        """Show no more; may be said again."""
        if self._show is not None:
            self._show = self._waiting = None
            self._hub.forget(self)

    def take(self, entry: FeedEntry) -> None:
        """Show a message that is later than the last one, or keep it until there is room."""
        if entry.number <= self._tail():
            return
        if self._waiting:
            self._keep(entry)
        elif not self._is_shown(entry) and not self.is_ended:
            self._waiting = deque((entry,))

    def take_live(self, entry: FeedEntry) -> None:
        """Take a message as it is committed, if it is the very next."""
        self.newest = max(self.newest, entry.number)
        if entry.number == self._tail() + 1:
            self.take(entry)

    def _keep(self, entry: FeedEntry) -> None:
        """Keep the message in order; one too many is read again when there is room."""
        assert self._waiting
        if len(self._waiting) < self._hub.limits.waiting_max:
            self._waiting.append(entry)
        else:
            self.newest = max(self.newest, entry.number)

    def _is_shown(self, entry: FeedEntry) -> bool:
        if self._show is None or not self._show(entry.number, entry.epoch, entry.message):
            return False
        self.cursor = entry.number
        self._hub.shown += 1
        return True

    def _tail(self) -> int:
        return self._waiting[-1].number if self._waiting else self.cursor


class Listening:
    """A feed to iterate over, for ever."""

    __slots__ = ("_heard", "_kept", "_kept_max", "following")

    def __init__(self, kept_max: int) -> None:
        self._kept: deque[Shown] = deque()
        self._kept_max = kept_max
        self._heard = trio.Event()
        self.following: Follower | None = None

    def show(self, number: int, epoch: int, message: bytes) -> bool:
        """Keep a message until it is asked for."""
        del epoch
        if len(self._kept) >= self._kept_max:
            return False
        self._kept.append((number, message))
        self._heard.set()
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Shown:
        assert self.following is not None
        while not self._kept:
            self._heard = trio.Event()
            self.following.resume()
            await self._heard.wait()
        return self._kept.popleft()


class FeedHub:
    """The followers of one process; fits `actors.ports.Feeds` and `api.ports.Feeds`.

    Nothing is read from the journal, so nobody catches up, unless `run` runs.
    """

    __slots__ = (
        "_behind",
        "_followers",
        "_idle",
        "_journal",
        "_live",
        "_readings",
        "_silences",
        "limits",
        "shown",
    )

    def __init__(
        self, journal: FeedJournal, limits: FeedLimits | None = None, live: Live | None = None
    ) -> None:
        """Tell other nodes over `live` of what is committed here, and hear of what they commit."""
        self.limits = limits or FeedLimits()
        self.shown = 0
        self._journal = journal
        self._live = live
        self._followers: dict[str, tuple[Follower, ...]] = {}
        self._silences: dict[str, Callable[[], None]] = {}
        self._behind: OrderedDict[Follower, None] = OrderedDict()
        self._idle = trio.lowlevel.ParkingLot()
        self._readings = 0

    def publish(self, person: str, number: int, message: Struct, epoch: int = 0) -> None:
        """Show a committed message to whoever follows here; the journal has it for the others."""
        if followers := self._followers.get(person):
            entry = FeedEntry(number, epoch, encode(message))
            for follower in followers:
                follower.take_live(entry)
                self.catch_up(follower)
        if self._live is not None:
            self._live.publish(feed_channel(person), b"%d" % number)

    def follow(self, person: str, after: int, show: Show) -> Follower:
        """Show the person's messages after that number, each once, in order, as they come."""
        follower = Follower(self, person, after, show)
        others = self._followers.get(person, ())
        if self._live is not None and not others:
            self._silences[person] = self._live.subscribe(
                feed_channel(person), lambda told: self._hear(person, told)
            )
        self._followers[person] = (*others, follower)
        self._queue(follower)
        return follower

    @contextmanager
    def listening(self, person: str, after: int) -> Generator[Listening]:
        """Listen to a person's feed from the message after number `after` on."""
        listening = Listening(self.limits.waiting_max)
        listening.following = self.follow(person, after, listening.show)
        try:
            yield listening
        finally:
            listening.following.end()

    async def run(self) -> None:
        """Read for those who are behind, and look for what nobody told of, until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(self.limits.readers):
                nursery.start_soon(self._read)
            nursery.start_soon(self._look)

    def catch_up(self, follower: Follower) -> None:
        """Have the journal read for a follower that is behind."""
        if follower.is_behind:
            self._queue(follower)

    def forget(self, follower: Follower) -> None:
        """Follow no more for it."""
        person = follower.person
        self._behind.pop(follower, None)
        left = tuple(one for one in self._followers[person] if one is not follower)
        if left:
            self._followers[person] = left
            return
        del self._followers[person]
        if silence := self._silences.pop(person, None):
            silence()

    def listening_count(self) -> int:
        """Return how many follow."""
        return sum(map(len, self._followers.values()))

    def statistics(self) -> FeedStatistics:
        """Return how the feeds stand."""
        return FeedStatistics(
            persons=len(self._followers),
            followers=self.listening_count(),
            behind=len(self._behind),
            readings=self._readings,
            shown=self.shown,
        )

    def _hear(self, person: str, told: bytes) -> None:
        """Another node says that it has committed the person's message of that number."""
        if told.isdigit() and len(told) < len(str(2**63)):
            self._note(person, int(told))

    def _note(self, person: str, newest: int) -> None:
        for follower in self._followers.get(person, ()):
            follower.newest = max(follower.newest, newest)
            self.catch_up(follower)

    def _queue(self, follower: Follower) -> None:
        if not follower.is_queued:
            follower.is_queued = True
            self._behind[follower] = None
            self._idle.unpark()

    async def _read(self) -> None:
        """Read for those who are behind, as many as there are, again and again."""
        wait_s = self.limits.backoff_s
        while True:
            while not self._behind:
                await self._idle.park()
            batch = self._next_batch()
            try:
                await self._read_for(batch)
                wait_s = self.limits.backoff_s
            except (JournalUnreachable, trio.TooSlowError):
                self._behind.update((one, None) for one in batch if not one.is_ended)
                await trio.sleep(wait_s)
                wait_s = min(2 * wait_s, self.limits.backoff_s_max)

    def _next_batch(self) -> list[Follower]:
        count = min(len(self._behind), self.limits.batch_max)
        return [self._behind.popitem(last=False)[0] for _ in range(count)]

    async def _read_for(self, batch: Sequence[Follower]) -> None:
        wanted = [(follower.person, follower.cursor) for follower in batch]
        newest = [follower.newest for follower in batch]
        self._readings += 1
        with trio.fail_after(self.limits.read_s):
            pages = await self._journal.feeds(wanted, self.limits.page_max)
        for follower, asked, page in zip(batch, newest, pages, strict=True):
            follower.is_queued = False
            self._bring(follower, asked, page)

    def _bring(self, follower: Follower, asked: int, page: Sequence[FeedEntry]) -> None:
        """Show what was read. What was told meanwhile, or is on the next page, is read next.

        What was told before, and is not there, was told wrongly: then the next look knows better.
        """
        for entry in page:
            follower.take(entry)
        if len(page) == self.limits.page_max:
            follower.newest = max(follower.newest, page[-1].number + 1)
        elif not page and follower.newest == asked:
            follower.newest = UNKNOWN
        self.catch_up(follower)

    async def _look(self) -> None:
        """Ask for the newest numbers of all who are followed, now and then."""
        while True:
            await trio.sleep(self.limits.look_s)
            persons = tuple(self._followers)
            for start in range(0, len(persons), self.limits.heads_max):
                await self._look_for(persons[start : start + self.limits.heads_max])

    async def _look_for(self, persons: Sequence[str]) -> None:
        with suppress(JournalUnreachable, trio.TooSlowError), trio.fail_after(self.limits.read_s):
            heads = await self._journal.feed_heads(persons)
            for person, newest in heads.items():
                self._note(person, newest)
