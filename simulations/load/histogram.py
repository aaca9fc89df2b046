"""Latencies counted in buckets whose width grows with the value: bounded, however many there are.

A bucket is at most 1/64 as wide as its lower end, so that a quantile is told within 1.6 percent,
and never too low. All buckets up to an hour are 1,900 numbers.
"""

from collections import Counter
from math import ceil

from msgspec import Struct

PARTS_BITS = 6
"""Each doubling of the value is cut into 2**PARTS_BITS buckets."""
US_MAX = 3_600_000_000


class Latency(Struct, frozen=True, kw_only=True):
    """How long something took, in milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    max: float


class Histogram:
    """Counts milliseconds."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._max_us = 0

    def __len__(self) -> int:
        return self._counts.total()

    def record(self, took_ms: float) -> None:
        """Count one; less than nothing, which clocks that disagree can give, counts as nothing."""
        took_us = min(max(0, round(took_ms * 1_000)), US_MAX)
        self._max_us = max(self._max_us, took_us)
        self._counts[_bucket(took_us)] += 1

    def quantile_ms(self, share: float) -> float:
        """Return the value that this share does not exceed; 0 when nothing was counted."""
        wanted, passed = ceil(share * len(self)), 0
        for bucket in sorted(self._counts):
            passed += self._counts[bucket]
            if passed >= wanted:
                return min(_end_us(bucket), self._max_us) / 1_000
        return 0.0

    def latency(self) -> Latency:
        """Return what is told of it."""
        return Latency(
            count=len(self),
            p50=round(self.quantile_ms(0.50), 2),
            p90=round(self.quantile_ms(0.90), 2),
            p99=round(self.quantile_ms(0.99), 2),
            max=round(self._max_us / 1_000, 2),
        )


def _bucket(took_us: int) -> int:
    """Return the bucket of a value: the value itself while it is small."""
    doublings = max(0, took_us.bit_length() - PARTS_BITS - 1)
    return (doublings << PARTS_BITS) + (took_us >> doublings)


def _end_us(bucket: int) -> int:
    """Return the greatest value of a bucket."""
    doublings = max(0, (bucket >> PARTS_BITS) - 1)
    return ((bucket - (doublings << PARTS_BITS) + 1) << doublings) - 1
