"""Travel times without waiting: what is not open yet is opened beside, and stood in for meanwhile.

A city of many streets takes seconds to open, and a table around closed streets as long to work out;
a round has less. `opened_soon` therefore answers at once: with the ways that were asked for if they
are open in this process, else with the same streets as if none were closed, else with a straight
line at the speed couriers usually have. What it says depends on the moment; simulations, which must
not, call `streets.travel.opened`.
"""

import threading
from collections.abc import Callable

from msgspec import structs

from geo.travel import OnStreets, Open, StraightLine, TravelTimes, Ways
from streets.travel import NoStreets, opened

STAND_IN = StraightLine(speed_mps=4.5, detour=1.4)
OPENINGS_MAX = 32
"""Ways whose opening is remembered; of more, the oldest are opened again."""

type Begin = Callable[[Callable[[], None]], None]
"""Has something done beside what goes on."""


def in_a_thread(work: Callable[[], None]) -> None:
    """Do the work in a thread that does not keep the process alive."""
    threading.Thread(target=work, daemon=True).start()


class Opener:
    """Opens ways beside what goes on, each once."""

    def __init__(self, begin: Begin = in_a_thread, opened: Open = opened) -> None:
        """Open nothing yet."""
        self._begin, self._opened = begin, opened
        self._lock = threading.Lock()
        self._openings: dict[OnStreets, NoStreets | bool] = {}
        """Whether ways are open, or why they never will be."""

    def opened_soon(self, ways: Ways) -> TravelTimes:
        """Return the times of these ways, or what stands in for them; raises NoStreets."""
        if isinstance(ways, StraightLine):
            return ways
        if self._is_open(ways):
            return self._opened(ways)
        free = structs.replace(ways, closed=(), road_paces=())
        return self._opened(free) if self._is_open(free) else STAND_IN

    def _is_open(self, ways: OnStreets) -> bool:
        """Tell whether the ways are open; begin to open them when they were never asked for."""
        key = structs.replace(ways, pace=1.0)
        with self._lock:
            state = self._openings.get(key)
            if state is None:
                self._openings[key] = False
                while len(self._openings) > OPENINGS_MAX:
                    del self._openings[next(iter(self._openings))]
        if state is None:
            self._begin(lambda: self._open(key))
            state = self._openings.get(key)
        if isinstance(state, NoStreets):
            raise state
        return bool(state)

    def _open(self, key: OnStreets) -> None:
        try:
            self._opened(key)
        except NoStreets as error:
            self._openings[key] = error
        else:
            self._openings[key] = True


opened_soon: Open = Opener().opened_soon
"""The one of this process."""
