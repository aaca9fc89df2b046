"""Virtual time, and what happens in a simulated city as it passes.

The world is a heap of things that will happen, run by one task on trio's virtual clock beside the
very actors that run in production. Ties decide days, so they are settled here: what happens `ahead`
of an instant (a customer orders, a kitchen finishes) happens a millisecond before it, and what
follows `at` an instant (a courier acts) happens within that millisecond but after the round that
began with it. So a round always sees the orders of its minute, and a courier always acts on the
last round's word, whatever order tasks are scheduled in.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from math import floor

import trio

from dispatch.ids import Instant

DAWN = Instant(1_767_225_600_000)
"""The midnight at which simulated days begin: 2026-01-01, UTC."""
EVENTS_MAX = 20_000_000

_PER_MS = 10
_AHEAD = -1 * _PER_MS
_BEHIND = 4


class TooManyEvents(RuntimeError):
    """A simulated day that schedules without end; simulate fewer orders, couriers or hours."""


class World:
    """Things to come, in order. `lead_s` of virtual time pass before the day's first instant."""

    def __init__(self, starts_at: Instant = DAWN, lead_s: float = 60.0) -> None:
        """Begin `lead_s` before `starts_at`."""
        self.starts_at = starts_at
        self._zero_ms = starts_at - round(lead_s * 1000)
        self._heap: list[tuple[int, int, Callable[[], object]]] = []
        self._numbers = count()
        self._sleep: trio.CancelScope | None = None
        self._sleeps_for = 0

    def now(self) -> Instant:
        """Return the virtual instant: the clock of every actor in this world."""
        return Instant(self._zero_ms + floor(trio.current_time() * 1000 + 1e-3))

    def until_s(self, instant: Instant) -> float:
        """Return the virtual seconds to an instant, to be slept through without a remainder."""
        return (instant - self._zero_ms) / 1000 - trio.current_time()

    def ahead(self, instant: Instant, act: Callable[[], object]) -> None:
        """Have this happen so that whatever begins at `instant` already knows of it."""
        self._push(instant * _PER_MS + _AHEAD, act)

    def at(self, instant: Instant, act: Callable[[], object]) -> None:
        """Have this happen at `instant`, once what begins at that instant has been done."""
        self._push(instant * _PER_MS + _BEHIND, act)

    async def run(self, until: Instant) -> None:
        """Let everything happen up to and with `until`, then return at that instant."""
        last = until * _PER_MS + _BEHIND
        while True:
            moment = min(last, self._heap[0][0]) if self._heap else last
            if not await self._slept_until(moment):
                continue
            while self._heap and self._heap[0][0] <= moment:
                heappop(self._heap)[2]()
            if moment == last:
                return

    async def _slept_until(self, moment: int) -> bool:
        """Sleep until then; False when something that comes earlier turned up meanwhile."""
        self._sleeps_for = moment
        with trio.CancelScope() as self._sleep:
            await trio.sleep_until(self._trio_s(moment))
        return not self._sleep.cancelled_caught

    def _push(self, moment: int, act: Callable[[], object]) -> None:
        number = next(self._numbers)
        if number >= EVENTS_MAX:
            raise TooManyEvents(f"more than {EVENTS_MAX} events in one simulated day")
        heappush(self._heap, (moment, number, act))
        if moment < self._sleeps_for and self._sleep is not None:
            self._sleep.cancel()

    def _trio_s(self, moment: int) -> float:
        return max(0.0, (moment / _PER_MS - self._zero_ms) / 1000)


@contextmanager
def deterministic(seed: int) -> Generator[None]:
    """Make trio's scheduling follow from `seed` alone while the block runs.

    Trio runs ready tasks in a random order, on purpose. It has a switch for tests like its own,
    which is private: trio is pinned to a minor version, and a test fails if the switch goes.
    """
    run = trio._core._run  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    before = run._ALLOW_DETERMINISTIC_SCHEDULING  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    run._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    run._r.seed(seed)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING = before  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
