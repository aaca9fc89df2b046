"""The plane of a market: from places on the Earth to points in metres, and back.

The plane touches the WGS 84 ellipsoid at the market's origin, and a place is dropped onto it at
right angles (an orthographic projection of the ellipsoid). Chosen over degrees times a constant,
which is 2 % wrong at 50 km in the north, while here a length is wrong by 1 - cos(distance / Earth
radius) at most: 0.01 % within 50 km of the origin, at any latitude. The tests hold that against
Vincenty's geodesics. The antimeridian needs no care, since longitudes only meet sines and cosines.

Beyond `REACH_M` (0.05 % there) the plane bends away, and far beyond it places on the other side of
the Earth would fall onto the same points, so a projection refuses what is out of its reach.
"""

from dataclasses import dataclass, field
from math import atan2, cos, degrees, hypot, isnan, nan, radians, sin, sqrt
from typing import NamedTuple

import numba
import numpy as np

from geo.compiled import compiled_for
from geo.point import LAT_MAX, LNG_MAX, Floats, LatLng, Point

REACH_M = 200_000.0
"""How far from its origin a projection goes."""

_EQUATOR_RADIUS_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY_2 = _FLATTENING * (2 - _FLATTENING)
_POLE_STRETCH = 1 / (1 - _ECCENTRICITY_2)


class OutOfReach(ValueError):
    """A place or a point that lies too far from the origin of a market's plane."""


class Plane(NamedTuple):
    """Where a plane touches the Earth, seen in the plane of the origin's own meridian.

    `out_m` is the origin's distance from the Earth's axis, `up_m` that from the equator's plane.
    """

    lng: float
    sin_lat: float
    cos_lat: float
    out_m: float
    up_m: float


def plane_at(origin: LatLng) -> Plane:
    """Return the plane that touches the Earth at a place."""
    lat = radians(origin.lat)
    return Plane(origin.lng, sin(lat), cos(lat), *_from_axis_and_equator_m(sin(lat), cos(lat)))


@numba.njit(cache=True)
def _from_axis_and_equator_m(sin_lat: float, cos_lat: float) -> tuple[float, float]:
    normal_m = _EQUATOR_RADIUS_M / sqrt(1 - _ECCENTRICITY_2 * sin_lat * sin_lat)
    return normal_m * cos_lat, normal_m * sin_lat / _POLE_STRETCH


_PLANE = plane_at(LatLng(0.0, 0.0))


@compiled_for(0.0, 0.0, _PLANE)
def _dropped(lat: float, lng: float, plane: Plane) -> tuple[float, float]:
    """Return a place's point, NaN if it is no place on Earth or out of reach."""
    if not (abs(lat) <= LAT_MAX and abs(lng) <= LNG_MAX):
        return nan, nan
    turn = radians(lng - plane.lng)
    from_axis_m, up_m = _from_axis_and_equator_m(sin(radians(lat)), cos(radians(lat)))
    x_m = from_axis_m * sin(turn)
    out_m, up_m = from_axis_m * cos(turn) - plane.out_m, up_m - plane.up_m
    y_m = plane.cos_lat * up_m - plane.sin_lat * out_m
    depth_m = -plane.cos_lat * out_m - plane.sin_lat * up_m
    if hypot(x_m, y_m) > REACH_M or depth_m > REACH_M:
        return nan, nan
    return x_m, y_m


@compiled_for(0.0, 0.0, _PLANE)
def _lifted(x_m: float, y_m: float, plane: Plane) -> tuple[float, float]:
    """Return a point's place, NaN if it is out of reach.

    A point is lifted from the plane, along its normal, until it meets the ellipsoid: the near root
    of a quadratic, in the form that does not subtract two large numbers.
    """
    if not hypot(x_m, y_m) <= REACH_M:
        return nan, nan
    out_m, up_m = plane.out_m - plane.sin_lat * y_m, plane.up_m + plane.cos_lat * y_m
    square = plane.cos_lat**2 + _POLE_STRETCH * plane.sin_lat**2
    half = plane.cos_lat * out_m + _POLE_STRETCH * plane.sin_lat * up_m
    rest = x_m**2 + out_m**2 + _POLE_STRETCH * up_m**2 - _EQUATOR_RADIUS_M**2
    lift_m = -rest / (half + sqrt(half**2 - square * rest))
    out_m, up_m = out_m + plane.cos_lat * lift_m, up_m + plane.sin_lat * lift_m
    lat = degrees(atan2(_POLE_STRETCH * up_m, hypot(x_m, out_m)))
    return lat, (plane.lng + degrees(atan2(x_m, out_m)) + 180) % 360 - 180


@compiled_for(np.zeros(1), np.zeros(1), _PLANE)
def _all_dropped(lat: Floats, lng: Floats, plane: Plane) -> Floats:
    points = np.empty((len(lat), 2))
    for i in range(len(lat)):
        points[i] = _dropped(lat[i], lng[i], plane)
    return points


@compiled_for(np.zeros((1, 2)), _PLANE)
def _all_lifted(points: Floats, plane: Plane) -> Floats:
    places = np.empty((len(points), 2))
    for i in range(len(points)):
        places[i] = _lifted(points[i, 0], points[i, 1], plane)
    return places


@dataclass(frozen=True, slots=True)
class Projection:
    """The plane of the market around `origin`."""

    origin: LatLng
    _plane: Plane = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Lay the plane against the Earth at the origin."""
        object.__setattr__(self, "_plane", plane_at(self.origin))

    def to_point(self, place: LatLng) -> Point:
        """Return the point of a place; raises `OutOfReach` when it is too far away."""
        x_m, y_m = _dropped(place.lat, place.lng, self._plane)
        if isnan(x_m):
            raise OutOfReach(
                f"{place} is over {REACH_M / 1000:.0f} km from {self.origin}: the wrong market?"
            )
        return Point(x_m, y_m)

    def to_lat_lng(self, point: Point) -> LatLng:
        """Return the place of a point; raises `OutOfReach` when it is too far away."""
        lat, lng = _lifted(point.x_m, point.y_m, self._plane)
        if isnan(lat):
            raise OutOfReach(f"{point} is over {REACH_M / 1000:.0f} km from its plane's origin")
        return LatLng(lat, lng)

    def to_points(self, lat: Floats, lng: Floats) -> Floats:
        """Return the points of many places, shape (n, 2); NaN for what is no place or too far."""
        return _all_dropped(np.array(lat, dtype=float), np.array(lng, dtype=float), self._plane)

    def to_lat_lngs(self, points: Floats) -> Floats:
        """Return the places of many points as latitudes and longitudes; NaN for what is too far."""
        return _all_lifted(np.array(points, dtype=float, order="C"), self._plane)
