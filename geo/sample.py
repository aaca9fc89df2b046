"""What was seen of one thing lately, and how much of that is believed when little was seen.

A `Sample` keeps the latest numbers and no more; older ones make way, so that it follows a world
that changes. Its `spread` is drawn to that of its parent (all restaurants, all hours), as if the
parent had been seen a few times before: the middle soon goes by what was seen here, the width only
after more, since few numbers tell a middle better than a width.
"""

from functools import lru_cache

from msgspec import Struct

from geo.spread import Spread, spread_of

LATEST_MAX = 64
SPREADS_MAX = 1_024
"""Spreads that are kept, because most are asked for again before anything new is seen."""
MIDDLE_PRIOR = 1.5
"""The parent's middle counts for as many numbers seen here."""
WIDTH_PRIOR = 12.0
"""The parent's width counts for as many numbers seen here."""


class Sample(Struct, frozen=True, array_like=True):
    """The latest numbers, oldest first."""

    latest: tuple[float, ...] = ()

    def learned(self, value: float, latest_max: int = LATEST_MAX) -> "Sample":
        """Return the sample with one more number."""
        return Sample((*self.latest[1 - latest_max :], value) if latest_max > 1 else (value,))

    def spread(self, parent: Spread) -> Spread:
        """Return what the next number may be."""
        return _spread(self, parent) if self.latest else parent


@lru_cache(SPREADS_MAX)
def _spread(sample: Sample, parent: Spread) -> Spread:
    count, seen = len(sample.latest), spread_of(sample.latest)
    middle = _drawn(seen.median, parent.median, count, MIDDLE_PRIOR)
    own = seen.shifted(-seen.median)
    shape = own.toward(parent.shifted(-parent.median), WIDTH_PRIOR / (WIDTH_PRIOR + count))
    return shape.shifted(middle)


def _drawn(own: float, parent: float, count: int, prior: float) -> float:
    return (count * own + prior * parent) / (count + prior)
