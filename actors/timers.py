"""Alarms of all actors of a shard: one heap, checked against the states when it rings.

An alarm that moved is not looked for in the heap. It rings, the kernel asks the state whether it
still means it, and one that nobody means is dropped. The heap is rebuilt without those before they
outnumber the others, so that its size stays within twice the alarms that count.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple

from dispatch.ids import Instant

REBUILD_MIN = 1_024


class Alarm(NamedTuple):
    """When to look at which actor."""

    at: Instant
    kind: str
    key: str


class Timers:
    """A heap of alarms; `is_meant` tells whether one still counts."""

    __slots__ = ("_forgotten", "_heap", "_is_meant", "_rebuild_at")

    def __init__(self, is_meant: Callable[[Alarm], bool]) -> None:
        self._heap: list[Alarm] = []
        self._forgotten: set[Alarm] = set()
        self._is_meant = is_meant
        self._rebuild_at = REBUILD_MIN

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, alarm: Alarm) -> None:
        """Add an alarm."""
        if len(self._heap) >= self._rebuild_at:
            self._rebuild()
        heapq.heappush(self._heap, alarm)

    def next_at(self) -> Instant | None:
        """Return when the next alarm rings."""
        return self._heap[0].at if self._heap else None

    def forget(self, alarm: Alarm) -> None:
        """Never ring an alarm that was set, because its actor has finished."""
        self._forgotten.add(alarm)

    def find_due(self, now: Instant) -> Alarm | None:
        """Take the earliest alarm that is due, if any is."""
        while self._heap and self._heap[0].at <= now:
            alarm = heapq.heappop(self._heap)
            if alarm not in self._forgotten:
                return alarm
            self._forgotten.discard(alarm)
        return None

    def _rebuild(self) -> None:
        forgotten, self._forgotten = self._forgotten, set()
        meant = [a for a in self._heap if a not in forgotten and self._is_meant(a)]
        self._heap = list(dict.fromkeys(meant))
        heapq.heapify(self._heap)
        self._rebuild_at = max(REBUILD_MIN, 2 * len(self._heap))
