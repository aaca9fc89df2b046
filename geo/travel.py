"""How long a courier takes from one point to another.

A provider answers one question, `TravelTimes`: the seconds between points of a market's plane, for
two points or for a whole matrix. The planner knows nothing else about streets, so a provider with a
street network can take the place of these two:

- `StraightLine`: one speed, a detour factor, times rounded up if wanted.
- `Calibrated`: one speed for each hour of the day, learned from the legs that couriers finished.

A provider is a frozen value and may be shared by everybody. Learning makes a new one.
"""

from itertools import chain
from math import ceil, isfinite
from statistics import median
from typing import Annotated, Protocol

import numpy as np
from msgspec import Meta, Struct, structs

from geo.point import Floats, Point, gap_m

HOURS = 24
LEGS_MAX = 128
"""How many legs of each hour are remembered; older ones make way."""

_NEARLY_WHOLE = 1e-9


class TravelTimes(Protocol):
    """What the planner asks about the way between points."""

    def seconds(self, a: Point, b: Point) -> float:
        """Return the travel time from `a` to `b`."""
        ...

    def matrix_s(self, origins: Floats, destinations: Floats) -> Floats:
        """Return the travel times from each of (n, 2) origins to each of (m, 2) destinations."""
        ...


class StraightLine(Struct, frozen=True, kw_only=True):
    """Travel as the crow flies at one speed, the way being `detour` times as long.

    With `rounds_up_to_s` a time is the next whole multiple of it. For `rounds_up_to_s=60` this is,
    to the last bit, `ceil(hypot(dx, dy) / metres_per_minute)` minutes, the rule of the public Meal
    Delivery Routing Problem: its referee and this provider must agree on every one of them.
    """

    speed_mps: float
    detour: float = 1.0
    rounds_up_to_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would give no travel time."""
        if not (isfinite(self.speed_mps) and self.speed_mps > 0):
            raise ValueError(f"a speed is above 0 m/s, not {self.speed_mps}")
        if not (isfinite(self.detour) and self.detour >= 1):
            raise ValueError(f"a detour makes a way at least 1.0 times as long, not {self.detour}")
        if not (isfinite(self.rounds_up_to_s) and self.rounds_up_to_s >= 0):
            raise ValueError(f"times round up to 0 s or more, not {self.rounds_up_to_s}")

    def seconds(self, a: Point, b: Point) -> float:
        """Return the travel time from `a` to `b`."""
        way_m = self.detour * gap_m(a, b)
        if not self.rounds_up_to_s:
            return way_m / self.speed_mps
        return ceil(way_m / self._step_m()) * self.rounds_up_to_s

    def matrix_s(self, origins: Floats, destinations: Floats) -> Floats:
        """Return the travel times from each of (n, 2) origins to each of (m, 2) destinations."""
        way_m = self.detour * _gaps_m(origins, destinations)
        if not self.rounds_up_to_s:
            return way_m / self.speed_mps
        return self._rounded_up_s(way_m, origins, destinations)

    def _rounded_up_s(self, way_m: Floats, origins: Floats, destinations: Floats) -> Floats:
        """Round a matrix of ways up to whole steps, exactly as `seconds` rounds each.

        A square root may differ from `math.hypot` in its last bit, which matters only where a way
        is a whole number of steps but for that bit. Those few are asked again, one at a time.
        """
        steps = way_m / self._step_m()
        whole = np.ceil(steps)
        is_doubtful = (np.abs(whole - steps - 0.5) >= 0.5 - _NEARLY_WHOLE) & (steps > 0)
        times_s = whole * self.rounds_up_to_s
        for place in np.flatnonzero(is_doubtful).tolist():
            i, j = divmod(place, len(destinations))
            a, b = origins[i].tolist(), destinations[j].tolist()
            times_s[i, j] = self.seconds(Point(*a), Point(*b))
        return times_s

    def _step_m(self) -> float:
        """Return the metres of one step of time.

        320 metres a minute are 5.333... m/s, and 60 of those need not be 320 again. Rounding to a
        billionth of a metre gives back the number that the speed was made from.
        """
        return round(self.speed_mps * self.rounds_up_to_s, 9)


class Leg(Struct, frozen=True, kw_only=True):
    """A way that a courier has finished: its straight length, its time, its local hour of day."""

    gap_m: float
    took_s: float
    hour: Annotated[int, Meta(ge=0, lt=HOURS)]


class Calibrated(Struct, frozen=True, kw_only=True):
    """Straight-line speeds for each hour of the day, learned from couriers' own finished legs.

    What is learned is the pace (seconds per metre of straight line), so that detours are in it. An
    hour's pace is the median of its latest legs, which half of them may lie about; it is shrunk to
    the pace of all hours, and that to the prior, as if `prior_legs` legs had shown it before. Legs
    too short to tell a speed, and speeds that no courier has, are counted and ignored.
    """

    prior_mps: float
    prior_legs: float = 20.0
    gap_m_min: float = 150.0
    speed_mps_min: float = 0.5
    speed_mps_max: float = 40.0
    paces: tuple[tuple[float, ...], ...] = ((),) * HOURS
    legs: tuple[int, ...] = (0,) * HOURS
    ignored: int = 0

    def __post_init__(self) -> None:
        """Refuse a prior outside the speeds that are believed, and a state of another shape."""
        if not 0 < self.speed_mps_min <= self.prior_mps <= self.speed_mps_max:
            raise ValueError(
                f"the prior speed is between {self.speed_mps_min} and {self.speed_mps_max} m/s, "
                f"not {self.prior_mps}"
            )
        if not (isfinite(self.prior_legs) and self.prior_legs > 0):
            raise ValueError(f"a prior counts for more than 0 legs, not {self.prior_legs}")
        if len(self.paces) != HOURS or len(self.legs) != HOURS:
            raise ValueError(f"a calibration has {HOURS} hours")

    def learned(self, leg: Leg) -> "Calibrated":
        """Return what is known after one more finished leg."""
        if not self._believes(leg):
            return structs.replace(self, ignored=self.ignored + 1)
        latest = (*self.paces[leg.hour][1 - LEGS_MAX :], leg.took_s / leg.gap_m)
        return structs.replace(
            self,
            paces=_with(self.paces, leg.hour, latest),
            legs=_with(self.legs, leg.hour, self.legs[leg.hour] + 1),
        )

    def during(self, hour: int) -> StraightLine:
        """Return the travel times of a local hour of day, 0 to 23."""
        if not 0 <= hour < HOURS:
            raise ValueError(f"an hour of day is 0 to {HOURS - 1}, not {hour}")
        all_paces = list(chain.from_iterable(self.paces))
        usual = self._shrunk(all_paces, sum(self.legs), 1 / self.prior_mps)
        return StraightLine(speed_mps=1 / self._shrunk(self.paces[hour], self.legs[hour], usual))

    def _believes(self, leg: Leg) -> bool:
        """Say whether a leg can tell a speed. Every comparison with NaN is false, so NaN cannot."""
        slowest_s, fastest_s = leg.gap_m / self.speed_mps_min, leg.gap_m / self.speed_mps_max
        return self.gap_m_min <= leg.gap_m and fastest_s <= leg.took_s <= slowest_s < float("inf")

    def _shrunk(self, paces: tuple[float, ...] | list[float], legs: int, prior: float) -> float:
        """Return the median pace, drawn to the prior by as many legs as that counts for."""
        if not legs:
            return prior
        return (self.prior_legs * prior + legs * median(paces)) / (self.prior_legs + legs)


def _gaps_m(origins: Floats, destinations: Floats) -> Floats:
    """Return all straight distances. Worked out in place: new memory costs more than the sums."""
    gaps_m = np.subtract.outer(origins[:, 0], destinations[:, 0])
    gaps_m *= gaps_m
    along_m = np.subtract.outer(origins[:, 1], destinations[:, 1])
    along_m *= along_m
    gaps_m += along_m
    return np.sqrt(gaps_m, out=gaps_m)


def _with[T](values: tuple[T, ...], place: int, value: T) -> tuple[T, ...]:
    """Return the tuple with one of its values replaced."""
    return (*values[:place], value, *values[place + 1 :])
