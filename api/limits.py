"""How much each may ask for: token buckets, in this process.

A bucket holds so many tokens and is filled at a steady rate; a request takes one. The number of
buckets is bounded: the one that was not used for longest makes room.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from msgspec import Struct

from api.ports import Allowance

BUCKETS_MAX = 100_000


class Rate(Struct, frozen=True):
    """A bucket: how many at once, and how many a second in the long run."""

    burst: int
    per_s: float


RATES: Mapping[str, Rate] = {
    "read": Rate(200, 50.0),
    "write": Rate(60, 10.0),
    "sign-in": Rate(10, 0.2),
}


class LocalLimits:
    """The buckets of this process; fits `api.ports.Limits`."""

    def __init__(self, clock_s: Callable[[], float], rates: Mapping[str, Rate] = RATES) -> None:
        self._clock_s = clock_s
        self._rates = rates
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    async def take(self, who: str, group: str) -> Allowance:
        """Take one of what `who` has in that group."""
        rate, now_s = self._rates[group], self._clock_s()
        tokens, at_s = self._buckets.pop((who, group), (float(rate.burst), now_s))
        tokens = min(rate.burst, tokens + (now_s - at_s) * rate.per_s)
        is_allowed = tokens >= 1
        tokens -= is_allowed
        self._buckets[who, group] = (tokens, now_s)
        while len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return Allowance(
            is_allowed=is_allowed,
            limit=rate.burst,
            remaining=int(tokens),
            reset_s=(rate.burst - tokens) / rate.per_s,
            retry_s=0.0 if is_allowed else (1 - tokens) / rate.per_s,
        )
