"""Attempts to sign in, counted in this process: for simulations, and while Redis is away.

The number of counts is bounded; the one that was not touched for longest makes room.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from wire.accounts import Bucket

BUCKETS_MAX = 50_000


class MemoryAttempts:
    """Counts of this process alone."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._counts: OrderedDict[str, tuple[int, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    async def begin(self, buckets: Sequence[Bucket]) -> float:
        """Count an attempt and return 0; or count nothing, and return how long to wait."""
        now_s = self._clock_s()
        counts = [self._count(bucket, now_s) for bucket in buckets]
        wait_s = max((until_s - now_s for _, until_s in counts), default=0.0)
        if wait_s > 0:
            return wait_s
        for bucket, (count, _) in zip(buckets, counts, strict=True):
            until_s = now_s + bucket.lockout.wait_s(count + 1)
            self._keep(bucket.name, (count + 1, until_s, now_s + bucket.lockout.kept_s))
        return 0.0

    async def forgive(self, buckets: Sequence[Bucket]) -> None:
        """Take the attempt back: it was good."""
        for bucket in buckets:
            kept = self._counts.pop(bucket.name, None)
            if kept is not None and not bucket.is_reset:
                self._keep(bucket.name, (max(kept[0] - 1, 0), 0.0, kept[2]))

    def _count(self, bucket: Bucket, now_s: float) -> tuple[int, float]:
        count, until_s, kept_until_s = self._counts.get(bucket.name, (0, 0.0, 0.0))
        return (count, until_s) if now_s < kept_until_s else (0, 0.0)

    def _keep(self, name: str, count: tuple[int, float, float]) -> None:
        self._counts[name] = count
        self._counts.move_to_end(name)
        while len(self._counts) > BUCKETS_MAX:
            self._counts.popitem(last=False)
