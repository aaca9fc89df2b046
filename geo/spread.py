"""What an uncertain number may turn out to be, as equally likely values in ascending order.

A `Spread` is a quantile function known at LEVELS places. It can be moved, stretched, added to
another one (as if the two had nothing to do with each other), drawn to another one, and asked what
is left of it once part of it is ruled out. Above its highest value it goes on as an exponential
tail, so that what is overdue stays uncertain and is still expected. All of this is deterministic:
nothing is drawn, and the same spreads give the same answers on every machine.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import exp, isfinite, log, log1p

import numpy as np
from msgspec import Struct

LEVELS = 20
"""How many values a spread has; each stands for a twentieth of what may happen."""
SHARES = tuple((level + 0.5) / LEVELS for level in range(LEVELS))
_TAIL_LEVELS = 3
_TAIL_DECADES = log((1 - SHARES[-_TAIL_LEVELS]) / (1 - SHARES[-1]))


class Spread(Struct, frozen=True):
    """LEVELS finite values, ascending."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what is not a quantile function."""
        if len(self.values) != LEVELS or not all(map(isfinite, self.values)):
            raise ValueError(f"a spread has {LEVELS} finite values, not {self.values[:LEVELS]}")
        if any(low > high for low, high in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("the values of a spread ascend")

    @property
    def median(self) -> float:
        """The value that it is as likely above as below."""
        return (self.values[LEVELS // 2 - 1] + self.values[LEVELS // 2]) / 2

    @property
    def tail(self) -> float:
        """How much further it reaches above its highest value, in the mean."""
        return (self.values[-1] - self.values[-_TAIL_LEVELS]) / _TAIL_DECADES

    def quantile(self, share: float) -> float:
        """Return the value below which it is with that likelihood, 0 to under 1."""
        assert 0 <= share < 1, share
        if share > SHARES[-1]:
            return self.values[-1] + self.tail * log((1 - SHARES[-1]) / (1 - share))
        return _between(self.values, max(0.0, share * LEVELS - 0.5))

    def share_below(self, value: float) -> float:
        """Return how likely it is at or below that value."""
        if value < self.values[0]:
            return 0.0
        if value >= self.values[-1]:
            over = (value - self.values[-1]) / self.tail if self.tail > 0 else float("inf")
            return 1 - (1 - SHARES[-1]) * exp(-over)
        low = bisect_right(self.values, value) - 1
        within = (value - self.values[low]) / (self.values[low + 1] - self.values[low])
        return SHARES[low] + within / LEVELS

    def shifted(self, by: float) -> "Spread":
        """Return it with so much added to every value."""
        return Spread(tuple([value + by for value in self.values]))

    def scaled(self, by: float) -> "Spread":
        """Return it with every value so many times as large; `by` is not negative."""
        assert by >= 0, by
        return Spread(tuple([value * by for value in self.values]))

    def plus(self, other: "Spread") -> "Spread":
        """Return the sum of two numbers that have nothing to do with each other."""
        sums = np.add.outer(self.values, other.values).ravel()
        sums.sort()
        return Spread(tuple(sums.reshape(LEVELS, LEVELS).mean(axis=1).tolist()))

    def beyond(self, value: float) -> "Spread":
        """Return what is left of it now that it is known to be above that value."""
        if value < self.values[0]:
            return self
        if value >= self.values[-1]:
            return Spread(tuple([value - self.tail * log1p(-share) for share in SHARES]))
        gone = self.share_below(value)
        left = [self.quantile(gone + share * (1 - gone)) for share in SHARES]
        return Spread(tuple([max(value, one) for one in left]))

    def toward(self, other: "Spread", weight: float) -> "Spread":
        """Return a spread between the two, level by level; at `weight` 1 it is `other`."""
        assert 0 <= weight <= 1, weight
        pairs = zip(self.values, other.values, strict=True)
        return Spread(tuple([(1 - weight) * mine + weight * its for mine, its in pairs]))


def certainly(value: float) -> Spread:
    """Return the spread of a number that is known."""
    return Spread((value,) * LEVELS)


def evenly(low: float, high: float) -> Spread:
    """Return the spread of what is equally likely anywhere between the two."""
    return Spread(tuple([low + share * (high - low) for share in SHARES]))


def spread_of(seen: Sequence[float]) -> Spread:
    """Return the spread of what was seen, which is at least one number."""
    ascending = sorted(seen)
    return Spread(tuple([_between(ascending, share * (len(ascending) - 1)) for share in SHARES]))


def spread_of_some(seen: Sequence[float], at_least: Sequence[float]) -> Spread:
    """Return the spread of what was seen and of what is not over yet, by Kaplan and Meier (1958).

    Of each number in `at_least` only that is known. Whoever took only what is over would take the
    short ones for all of them.
    """
    values = np.sort(np.asarray(seen, dtype=np.float64))
    open_ended = np.sort(np.asarray(at_least, dtype=np.float64))
    ahead = len(values) - np.arange(len(values))
    ahead = ahead + len(open_ended) - np.searchsorted(open_ended, values)
    left = np.cumprod(1 - 1 / ahead)
    weights = -np.diff(left, prepend=1.0)
    if left[-1] > 0:
        values = np.append(values, max(values[-1], open_ended[-1]))
        weights = np.append(weights, left[-1])
    middles = np.cumsum(weights) - weights / 2
    return Spread(tuple(np.interp(SHARES, middles, values).tolist()))


def _between(ascending: Sequence[float], place: float) -> float:
    low = int(place)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (place - low) * (ascending[high] - ascending[low])
