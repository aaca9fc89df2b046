"""One node's right to run one shard: from a claim until it is let go, lost, or fenced.

The fence is the instant, by this node's own clock, past which another node may hold the shard. Each
renewal moves it on; once reached it stays, and the shard is cut off whatever it is doing.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Self

import trio

from dispatch.ids import ShardId
from dispatch.journal import LeaseLost


class Tenancy:
    """The right to run a shard. Whoever runs it sets `load`, what it costs as a share of a node."""

    def __init__(self, shard: ShardId, fence_s: float, monotonic_s: Callable[[], float]) -> None:
        """Begin with a lease that is good until `fence_s` by `monotonic_s`."""
        self.shard = shard
        self.stopping = trio.Event()
        self.load = 0.0
        self._is_lost = False
        self._monotonic_s = monotonic_s
        self._fence_s = fence_s
        self._stop_at = math.inf
        self._scope = trio.CancelScope()
        self._aim()

    @property
    def is_over(self) -> bool:
        """Whether another node may have the shard by now; once true it stays true."""
        return self._is_lost or self._monotonic_s() >= self._fence_s

    def check(self) -> None:
        """Raise `LeaseLost` unless the shard is still this node's for certain."""
        if self.is_over:
            raise LeaseLost(f"the lease of shard {self.shard} ran out or went to another node")

    def extend(self, fence_s: float) -> None:
        """Move the fence on, if it was not reached."""
        if not self.is_over:
            self._fence_s = max(self._fence_s, fence_s)
            self._aim()

    def stop(self, within_s: float) -> None:
        """Ask for an ordered stop, and cut the shard off when that takes longer."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._stop_at = trio.current_time() + within_s
            self._aim()

    def lose(self) -> None:
        """Cut the shard off now: it is another node's."""
        self._is_lost = True
        self._scope.cancel()

    async def run(self, work: Callable[[Self], Awaitable[None]]) -> None:
        """Do the work until it ends, is cut off, or finds the lease lost."""
        try:
            with self._scope:
                await work(self)
        except* LeaseLost:
            self._is_lost = True

    def _aim(self) -> None:
        """Have the scope end at the fence, or when the time for stopping is over."""
        fence_at = trio.current_time() + self._fence_s - self._monotonic_s()
        self._scope.deadline = min(fence_at, self._stop_at)
