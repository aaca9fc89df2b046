"""How couriers of one market get about at present: its streets, those closed now, and the pace.

Before each round the legs that couriers have finished since the last one are looked at, and teach
how many times as long as the map says ways take in this hour of the market's clocks; so the
planner's times follow the weather and the traffic, and what is usual at noon is known before noon.
A copy outlives the shard (`node/paces.py`). All but `go_on_from` runs beside the event loop, and
for one round of a market at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dispatch.courier import Courier
from dispatch.hours import hour_of
from dispatch.ids import Instant
from dispatch.matching.rides import finished_rides
from geo.travel import CalibratedPace, LearnedPace, OnStreets, Open, Ways, paced
from geo.zone import Outline
from streets.soon import STAND_IN
from streets.travel import closing, opened

PACE_DIGITS = 2
"""A pace is told so exactly, so that one ride more does not change every time."""


@dataclass(slots=True, kw_only=True)
class PresentWays:
    """A market's ways, as they are now."""

    usual: Ways
    learns: bool = True
    opened: Open = opened
    timezone: str = ""
    known: CalibratedPace = field(default_factory=CalibratedPace)
    _since: Instant | None = None
    _kept: CalibratedPace | None = None

    def at(self, now: Instant, couriers: Iterable[Courier], closed: Sequence[Outline] = ()) -> Ways:
        """Learn from what couriers have done since the last time; return the ways of this hour.

        Nobody gets through the streets that run into the `closed` areas.
        """
        usual = self.opened(self.usual)
        self._take_kept()
        if self.learns and self._since is not None and usual is not STAND_IN:
            for ride in finished_rides(couriers, self._since, now, usual, self.timezone):
                self.known = self.known.learned(ride)
        self._since = now
        return paced(self._around(tuple(closed)), self._pace(now))

    @property
    def learned(self) -> LearnedPace:
        """What is known, and of which map and clocks it is true."""
        return LearnedPace(self.usual, self.timezone, self._kept or self.known)

    def go_on_from(self, kept: LearnedPace) -> None:
        """Have the next round begin from what was kept, if it is of these ways and clocks."""
        if (kept.usual, kept.timezone) == (self.usual, self.timezone):
            self._kept = kept.known

    def _take_kept(self) -> None:
        """Begin from it: in the thread of a round, so that no ride goes to what is replaced."""
        if self._kept is not None:
            self.known, self._kept = self._kept, None

    def _around(self, closed: tuple[Outline, ...]) -> Ways:
        """Return the usual ways without what is closed; streets must be open to tell what is."""
        usual = self.usual
        if not (closed and isinstance(usual, OnStreets)):
            return usual
        return usual if self.opened(usual) is STAND_IN else closing(usual, closed)

    def _pace(self, now: Instant) -> float:
        if not self.learns:
            return 1.0
        return round(self.known.during(hour_of(self.timezone, now)), PACE_DIGITS)
