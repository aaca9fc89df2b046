"""What estimates have been off by lately, made up for, so that their intervals keep their coverage.

Each outcome tells how far an estimate was off, in widths of its own, so that near and far can be
told together. The latest of these say where the edges belong: where a tenth fell below and a tenth
above. That follows a world that changes without swinging, although an outcome is known only half an
hour after its estimate. What it still misses is made up for by the shares themselves: each miss of
an edge that was told lets fewer fall beyond the next one, each hit a few more (adaptive conformal
inference, Gibbs and Candès 2021), so that in the long run a tenth does, whatever the world does.

Orders that are quick are heard of first, and as a rush begins they are all that is heard of. So
those still under way count too, as being off by at least so much as they are by now.
"""

from collections.abc import Iterable
from functools import lru_cache
from math import isfinite
from typing import Annotated

from msgspec import Meta, Struct, structs

from geo.sample import Sample
from geo.spread import Spread, evenly, spread_of, spread_of_some

TAIL_SHARE = 0.1
"""What is to end below the low edge, and as much above the high one."""
STEP = 0.003
"""How far a share moves by one miss."""
TAIL_SHARE_MIN, TAIL_SHARE_MAX = 0.005, 0.4
OUTCOMES_MAX = 80
UNDER_WAY_MAX = 256
FIRST_MAX = 40
"""Outcomes after which nothing is assumed any more of what estimates are off by."""
SPREADS_MAX = 64
OFF_MAX = 20.0
"""An outcome further off, in widths, counts as being so far off."""
WIDTH_S_MIN = 60.0
_AT_FIRST = evenly(-0.625, 0.625)
"""With nothing known a tenth lies half a width or more off to either side."""

type TailShare = Annotated[float, Meta(ge=TAIL_SHARE_MIN, le=TAIL_SHARE_MAX)]


class Estimate(Struct, frozen=True, kw_only=True):
    """When it is expected, and between which two times in eight of ten cases; ascending.

    `raw_s` and `width_s` are its middle and its width before any margin.
    """

    low_s: float
    at_s: float
    high_s: float
    raw_s: float
    width_s: float


class Margin(Struct, frozen=True, kw_only=True):
    """How far off estimates were lately, in widths, and what share to leave beyond each edge."""

    off: Sample = Sample()
    under_way: tuple[float, ...] = ()
    """Of estimates whose outcome is still to come, how far they are off at least; ascending."""
    below: TailShare = TAIL_SHARE
    above: TailShare = TAIL_SHARE

    def estimate(self, low_s: float, at_s: float, high_s: float) -> Estimate:
        """Return the estimate with what was learned of its like."""
        width_s = max(WIDTH_S_MIN, high_s - low_s)
        off = _off(self.off, self.under_way)
        return Estimate(
            low_s=at_s + width_s * off.quantile(self.below),
            at_s=at_s + width_s * off.median,
            high_s=at_s + width_s * off.quantile(1 - self.above),
            raw_s=at_s,
            width_s=width_s,
        )

    def beside(self, under_way: Iterable[float]) -> "Margin":
        """Return the margin with the estimates now under way, the furthest off of them."""
        furthest = sorted(max(-OFF_MAX, min(OFF_MAX, off)) for off in under_way if isfinite(off))
        return structs.replace(self, under_way=tuple(furthest[-UNDER_WAY_MAX:]))

    def learned(self, told: Estimate, happened_s: float) -> "Margin":
        """Return the margin after one more outcome of an estimate that was told."""
        off = (happened_s - told.raw_s) / told.width_s
        if not isfinite(off):
            return self
        return structs.replace(
            self,
            off=self.off.learned(min(OFF_MAX, max(-OFF_MAX, off)), OUTCOMES_MAX),
            below=_within(self.below + STEP * (TAIL_SHARE - (happened_s < told.low_s))),
            above=_within(self.above + STEP * (TAIL_SHARE - (happened_s > told.high_s))),
        )


@lru_cache(SPREADS_MAX)
def _off(off: Sample, under_way: tuple[float, ...]) -> Spread:
    """Return what estimates are off by: at first as was assumed, soon only as was seen."""
    if not off.latest:
        return _AT_FIRST
    seen = spread_of_some(off.latest, under_way) if under_way else spread_of(off.latest)
    return seen.toward(_AT_FIRST, max(0.0, 1 - len(off.latest) / FIRST_MAX))


def _within(share: float) -> float:
    return min(TAIL_SHARE_MAX, max(TAIL_SHARE_MIN, share))
