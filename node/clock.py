"""What time it is for a node: the database's, carried on by this machine's own steady clock.

All nodes of a cluster agree on it to within a round trip, whatever their wall clocks say, and one
that is set an hour on or back while the node runs changes nothing. It never runs backwards. The
steady clock goes on while the machine sleeps, as the leases of others do.
"""

import time
from collections.abc import Callable

from dispatch.ids import Instant

type Seconds = Callable[[], float]

WAIT_S_MAX = 2.0
"""An answer that took longer says too little about the time."""


def steady_s() -> float:
    """Return seconds since some moment in the past, counting those for which the machine slept."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def wall() -> Instant:
    """Return what the wall clock of this machine says."""
    return Instant(time.time_ns() // 1_000_000)


class NodeClock:
    """The clock of a node; call it for the instant. Until it is set it goes by the wall clock."""

    __slots__ = ("_last", "_offset_ms", "_steady_s")

    def __init__(self, began_at: Instant | None = None, seconds: Seconds = steady_s) -> None:
        """Begin at an instant, which is now. Nobody has been told it before the first call."""
        self._steady_s = seconds
        self._last = Instant(0)
        self._offset_ms = (began_at or wall()) - seconds() * 1000

    def __call__(self) -> Instant:
        """Return the instant, never an earlier one than before."""
        self._last = max(self._last, Instant(int(self._offset_ms + self._steady_s() * 1000)))
        return self._last

    def set(self, told: Instant, asked_s: float, answered_s: float) -> None:
        """Go by what the database told between two moments of the steady clock."""
        if answered_s - asked_s <= WAIT_S_MAX:
            self._offset_ms = told - (asked_s + answered_s) / 2 * 1000
