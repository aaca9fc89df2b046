"""How long a courier takes from one point to another.

A provider answers one question, `TravelTimes`: the seconds between points of a market's plane, for
two points or for a whole matrix. The planner knows nothing else about streets.

What goes into a market's settings and from process to process is a description, one of `Ways`:

- `StraightLine`: one speed, a detour factor, times rounded up if wanted. Its own provider.
- `OnStreets`: the street network of a city folder, which `streets.travel` opens.

What couriers' own finished legs teach is kept by hour of the day: `Calibrated` learns the speed of
a straight line, `CalibratedPace` how many times as long as expected a way on streets takes.
Everything here is a frozen value and may be shared by everybody. Learning makes a new one.
"""

from collections.abc import Callable
from enum import StrEnum
from itertools import chain
from math import ceil, isfinite
from statistics import median
from typing import Annotated, Protocol, Self

import numpy as np
from msgspec import Meta, Struct, structs

from geo.point import Floats, LatLng, Point, gap_m

CLOSED_MAX = 100_000
"""How many arcs may be closed at once; a city where more are is closed as a whole."""
ROADS_MAX = 64
"""More classes of roads than any map tells apart."""
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


class StraightLine(Struct, frozen=True, kw_only=True, tag="straight-line"):
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


class Lookup(StrEnum):
    """How times on streets are found; `streets.travel` says what each costs and misses."""

    EXACT = "exact"
    """The fastest way through the network, worked out for every pair."""
    TABLE = "table"
    """Times between cells, worked out once, scaled to the pair that is asked for."""


class OnStreets(Struct, frozen=True, kw_only=True, tag="on-streets"):
    """Travel through the street network of a city folder, by a vehicle that it was imported for.

    `centre` is where the market's plane touches the Earth. `pace` is how many times as long as the
    map says a way takes at present, and `road_paces` the same for each class of roads, where they
    differ; `closed` are arcs of the network that nobody gets through.
    """

    folder: str
    vehicle: str
    centre: LatLng
    lookup: Lookup = Lookup.EXACT
    pace: float = 1.0
    road_paces: Annotated[tuple[float, ...], Meta(max_length=ROADS_MAX)] = ()
    closed: Annotated[tuple[Annotated[int, Meta(ge=0)], ...], Meta(max_length=CLOSED_MAX)] = ()

    def __post_init__(self) -> None:
        """Refuse what would give no travel time."""
        for pace in (self.pace, *self.road_paces):
            if not (isfinite(pace) and pace > 0):
                raise ValueError(f"a pace is above 0 times the expected, not {pace}")


type Ways = StraightLine | OnStreets
"""How couriers of a market get about, as a description that any process can open."""


def paced(ways: Ways, pace: float) -> Ways:
    """Return ways on which everything takes `pace` times as long."""
    if isinstance(ways, OnStreets):
        return structs.replace(ways, pace=ways.pace * pace)
    return structs.replace(ways, speed_mps=ways.speed_mps / pace)


type Open = Callable[[Ways], TravelTimes]


def straight(ways: Ways) -> StraightLine:
    """Open ways that need no street network; raises ValueError for those that do."""
    if isinstance(ways, StraightLine):
        return ways
    raise ValueError(f"the streets of {ways.folder!r} have to be opened by streets.travel.opened")


class Leg(Struct, frozen=True, kw_only=True):
    """A way that a courier has finished: its straight length, its time, its local hour of day."""

    gap_m: float
    took_s: float
    hour: Annotated[int, Meta(ge=0, lt=HOURS)]


class Ride(Struct, frozen=True, kw_only=True):
    """A way on streets that a courier has finished: the time the map says, the time it took."""

    expected_s: float
    took_s: float
    hour: Annotated[int, Meta(ge=0, lt=HOURS)]


class _Learned(Struct, frozen=True, kw_only=True):
    """What legs have shown, by hour of the day: the latest paces of each, and how many there were.

    An hour's pace is the median of its latest legs, which half of them may lie about; it is shrunk
    to the pace of all hours, and that to the prior, as if `prior_legs` legs had shown it before.
    """

    prior_legs: float = 20.0
    paces: tuple[tuple[float, ...], ...] = ((),) * HOURS
    legs: tuple[int, ...] = (0,) * HOURS
    ignored: int = 0

    def __post_init__(self) -> None:
        """Refuse a prior that counts for nothing, and a state of another shape."""
        if not (isfinite(self.prior_legs) and self.prior_legs > 0):
            raise ValueError(f"a prior counts for more than 0 legs, not {self.prior_legs}")
        if len(self.paces) != HOURS or len(self.legs) != HOURS:
            raise ValueError(f"a calibration has {HOURS} hours")

    def _with_pace(self, hour: int, pace: float) -> Self:
        """Return what is known after one more leg that was believed."""
        return structs.replace(
            self,
            paces=_with(self.paces, hour, (*self.paces[hour][1 - LEGS_MAX :], pace)),
            legs=_with(self.legs, hour, self.legs[hour] + 1),
        )

    def _with_ignored(self) -> Self:
        """Return what is known after one more leg that tells nothing."""
        return structs.replace(self, ignored=self.ignored + 1)

    def _pace(self, hour: int, prior: float) -> float:
        """Return the pace of a local hour of day, 0 to 23."""
        if not 0 <= hour < HOURS:
            raise ValueError(f"an hour of day is 0 to {HOURS - 1}, not {hour}")
        usual = self._shrunk(list(chain.from_iterable(self.paces)), sum(self.legs), prior)
        return self._shrunk(self.paces[hour], self.legs[hour], usual)

    def _shrunk(self, paces: tuple[float, ...] | list[float], legs: int, prior: float) -> float:
        """Return the median pace, drawn to the prior by as many legs as that counts for."""
        if not legs:
            return prior
        return (self.prior_legs * prior + legs * median(paces)) / (self.prior_legs + legs)


class Calibrated(_Learned, frozen=True, kw_only=True):
    """Straight-line speeds for each hour of the day, learned from couriers' own finished legs.

    What is learned is the pace (seconds per metre of straight line), so that detours are in it.
    Legs too short to tell a speed, and speeds that no courier has, are counted and ignored.
    """

    prior_mps: float
    gap_m_min: float = 150.0
    speed_mps_min: float = 0.5
    speed_mps_max: float = 40.0

    def __post_init__(self) -> None:
        """Refuse a prior outside the speeds that are believed, and a state of another shape."""
        super().__post_init__()
        if not 0 < self.speed_mps_min <= self.prior_mps <= self.speed_mps_max:
            raise ValueError(
                f"the prior speed is between {self.speed_mps_min} and {self.speed_mps_max} m/s, "
                f"not {self.prior_mps}"
            )

    def learned(self, leg: Leg) -> Self:
        """Return what is known after one more finished leg."""
        if not self._believes(leg):
            return self._with_ignored()
        return self._with_pace(leg.hour, leg.took_s / leg.gap_m)

    def during(self, hour: int) -> StraightLine:
        """Return the travel times of a local hour of day, 0 to 23."""
        return StraightLine(speed_mps=1 / self._pace(hour, 1 / self.prior_mps))

    def _believes(self, leg: Leg) -> bool:
        """Say whether a leg can tell a speed. Every comparison with NaN is false, so NaN cannot."""
        slowest_s, fastest_s = leg.gap_m / self.speed_mps_min, leg.gap_m / self.speed_mps_max
        return self.gap_m_min <= leg.gap_m and fastest_s <= leg.took_s <= slowest_s < float("inf")


class CalibratedPace(_Learned, frozen=True, kw_only=True):
    """How many times as long as the map says ways take, for each hour of the day.

    One of these is kept for each vehicle of a market. Rides too short to tell, and paces that no
    courier has, are counted and ignored.
    """

    expected_s_min: float = 30.0
    pace_min: float = 0.25
    pace_max: float = 4.0

    def learned(self, ride: Ride) -> Self:
        """Return what is known after one more finished ride."""
        if not self._believes(ride):
            return self._with_ignored()
        return self._with_pace(ride.hour, ride.took_s / ride.expected_s)

    def during(self, hour: int) -> float:
        """Return the pace of a local hour of day, 0 to 23."""
        return self._pace(hour, 1.0)

    def _believes(self, ride: Ride) -> bool:
        """Say whether a ride can tell a pace. Every comparison with NaN is false."""
        fastest_s, slowest_s = ride.expected_s * self.pace_min, ride.expected_s * self.pace_max
        is_long = self.expected_s_min <= ride.expected_s
        return is_long and fastest_s <= ride.took_s <= slowest_s < float("inf")


class LearnedPace(Struct, frozen=True):
    """The pace of a market: how many times as long as its map says, by the hours of its clocks."""

    usual: Ways
    timezone: str
    known: CalibratedPace


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
