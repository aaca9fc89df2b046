"""What estimates have been off by, made up for, so that their intervals keep their coverage.

Each outcome tells how far an estimate was off, in widths of its own, so that near and far can be
told together. Those told in like circumstances (`geo.outcomes`) say where the edges belong: where
a tenth fell below and a tenth above. An outcome is known only half an hour after its estimate, and
the quick orders are heard of first, so going by the latest alone is too sure as a rush begins and
too wary after it. In a market's first rush they are all that is known; so those still under way
count too, as being off by at least so much as they are by now.

What is missed still is made up for by the shares themselves: each miss of an edge that was told
lets fewer fall beyond the next one, each hit a few more (adaptive conformal inference, Gibbs and
Candès 2021), so that in the long run a tenth does, whatever the world does.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated

import numpy as np
from msgspec import Meta, Struct, structs

from geo.outcomes import Outcomes
from geo.point import Floats
from geo.spread import Spread, evenly, spread_of_some

TAIL_SHARE = 0.1
"""What is to end below the low edge, and as much above the high one."""
STEP = 0.003
"""How far a share moves by one miss."""
TAIL_SHARE_MIN, TAIL_SHARE_MAX = 0.005, 0.4
GOING_ON_MAX = 256
FIRST_MAX = 40
"""Outcomes after which nothing is assumed any more of what estimates are off by."""
SHARE_MAX = 0.995
OFF_MAX = 20.0
"""An outcome further off, in widths, counts as being so far off."""
WIDTH_S_MIN = 60.0
_AT_FIRST = evenly(-0.625, 0.625)
"""With nothing known a tenth lies half a width or more off to either side."""

type TailShare = Annotated[float, Meta(ge=TAIL_SHARE_MIN, le=TAIL_SHARE_MAX)]


class Estimate(Struct, frozen=True, kw_only=True):
    """When it is expected, and between which two times in eight of ten cases; ascending.

    `raw_s` and `width_s` are its middle and its width before any margin; it was told at `told_s`,
    when there were `load` orders to fetch for each courier.
    """

    low_s: float
    at_s: float
    high_s: float
    raw_s: float
    width_s: float
    told_s: float
    load: float


class Margin(Struct, frozen=True, kw_only=True):
    """How far off estimates were, in widths, and what share to leave beyond each edge."""

    outcomes: Outcomes = Outcomes()
    going_on: Outcomes = Outcomes()
    """Of estimates whose outcome is still to come, how far they are off at least."""
    below: TailShare = TAIL_SHARE
    above: TailShare = TAIL_SHARE

    def estimate(self, found: Spread, *, told_s: float, load: float) -> Estimate:
        """Return the estimate of what was found, with what was learned of its like."""
        width_s = max(WIDTH_S_MIN, found.quantile(0.9) - found.quantile(0.1))
        off, at_least = self.outcomes.like(told_s, load, self.going_on)
        low, middle, high = _off(off, at_least, (self.below, 0.5, 1 - self.above))
        return Estimate(
            low_s=found.median + width_s * low,
            at_s=found.median + width_s * middle,
            high_s=found.median + width_s * high,
            raw_s=found.median,
            width_s=width_s,
            told_s=told_s,
            load=load,
        )

    def beside(self, told: Sequence[Estimate], now_s: float) -> "Margin":
        """Return the margin with the estimates now under way, at most GOING_ON_MAX of them.

        Of more, every second is taken, or every third: those told longest ago say most.
        """
        going_on = Outcomes()
        for one in told[:: max(1, -(-len(told) // GOING_ON_MAX))]:
            off = (now_s - one.raw_s) / one.width_s
            going_on = going_on.after(one.told_s, one.load, _believed(off))
        return structs.replace(self, going_on=going_on)

    def learned(self, told: Estimate, happened_s: float, *, is_remembered: bool = True) -> "Margin":
        """Return the margin after one more outcome of an estimate that was told."""
        off = (happened_s - told.raw_s) / told.width_s
        if not isfinite(off):
            return self
        known = self.outcomes
        return structs.replace(
            self,
            outcomes=known.after(told.told_s, told.load, _believed(off))
            if is_remembered
            else known,
            below=_within(self.below + STEP * (TAIL_SHARE - (happened_s < told.low_s))),
            above=_within(self.above + STEP * (TAIL_SHARE - (happened_s > told.high_s))),
        )


def _off(ascending: Floats, at_least: Floats, shares: Sequence[float]) -> list[float]:
    """Return what the next one is off by at most in each share of cases, if it is one of them.

    It is as likely to come between any two of them as beyond either end; and of those in `at_least`
    only that is known. Before there are enough, it is drawn to what was assumed at first.
    """
    first, count = [_AT_FIRST.quantile(share) for share in shares], len(ascending)
    if not count:
        return first
    ranks = [share * (count + 1) - 1 for share in shares]
    if len(at_least):
        spread = spread_of_some(ascending.tolist(), at_least.tolist())
        places = [min(SHARE_MAX, max(0.0, (rank + 0.5) / count)) for rank in ranks]
        seen = [spread.quantile(place) for place in places]
    else:
        seen = np.interp(ranks, np.arange(count), ascending).tolist()
    weight = min(1.0, count / FIRST_MAX)
    return [weight * off + (1 - weight) * one for off, one in zip(seen, first, strict=True)]


def _believed(off: float) -> float:
    return min(OFF_MAX, max(-OFF_MAX, off))


def _within(share: float) -> float:
    return min(TAIL_SHARE_MAX, max(TAIL_SHARE_MIN, share))
