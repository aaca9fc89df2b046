"""How late the event loop is: what anything that waits for its turn has to wait besides.

A task sleeps for a moment again and again, and notes how much longer that took. The figures are of
the last LAGS_MAX sleeps.
"""

from collections import deque

import trio
from msgspec import Struct

SLEEP_S = 0.01
LAGS_MAX = 3_000
"""Half a minute of sleeps."""


class Lag(Struct, frozen=True, kw_only=True):
    """The lag of the loop in milliseconds."""

    p50: float
    p99: float
    max: float


class LagWatch:
    """Watches the loop it runs on."""

    def __init__(self) -> None:
        self._lags_s: deque[float] = deque(maxlen=LAGS_MAX)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            due_s = trio.current_time() + SLEEP_S
            await trio.sleep_until(due_s)
            self._lags_s.append(trio.current_time() - due_s)

    def lag(self) -> Lag:
        """Return how late it was lately."""
        lags_ms = sorted(lag_s * 1_000 for lag_s in self._lags_s) or [0.0]
        return Lag(
            p50=round(lags_ms[len(lags_ms) // 2], 2),
            p99=round(lags_ms[min(len(lags_ms) - 1, len(lags_ms) * 99 // 100)], 2),
            max=round(lags_ms[-1], 2),
        )
