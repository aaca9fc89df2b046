"""Polygons that people draw: checked, mended where only one thing can be meant, refused elsewhere.

What comes in is a GeoJSON geometry (RFC 7946): areas as rings of longitude and latitude, the outer
ring first and its holes behind it, with straight edges between corners in degrees. `checked` gives
it back fit for use, or raises `PolygonFlawed` with one sentence that says what is wrong and where.
It mends what nobody can mean otherwise: rings that turn the wrong way, corners given twice in a
row, altitudes. It never guesses: a ring that crosses itself or is not closed, coordinates the wrong
way round, or land on both sides of the antimeridian are refused.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from math import isfinite

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.polygon import orient

from geo.point import LAT_MAX, LNG_MAX, LatLng
from geo.projection import REACH_M, Projection
from geo.zone import Outline, Ring

AREAS_MAX = 16
RINGS_MAX = 64
"""Rings of all areas together, holes included."""
CORNERS_MAX = 2_000
"""Corners of all rings together."""
LAND_M2_MIN = 25.0
"""Less is a slip of the finger."""
LAND_M2_MAX = 2_000e6
"""More has over 20,000 fine cells, and is not the land of one market."""

type Given = Sequence[Sequence[Sequence[Sequence[float]]]]
"""Areas, rings, corners and coordinates as they came in; nothing of them is known yet."""
type Has = Callable[[float, float], bool]
"""Tells whether a place, given by latitude and longitude, lies where polygons may be."""

_POSITION = (2, 3)
"""A corner has a longitude, a latitude, and sometimes an altitude."""
_RING_CORNERS_MIN = 4
_HALF_TURN = 180.0
_PLACE = re.compile(r"\[(\S+) ([^\]\s]+)\]")


class PolygonFlawed(ValueError):
    """A polygon cannot be used. `pointer` leads to what is wrong, inside the coordinates."""

    def __init__(self, told: str, pointer: str = "") -> None:
        super().__init__(told)
        self.told = told
        self.pointer = pointer


def checked(given: Given, is_land: Has = lambda _lat, _lng: True) -> Outline:
    """Return the areas fit for use; raises `PolygonFlawed`. All corners must lie on `is_land`."""
    _check_counts(given)
    rings = [
        [_ring(ring, f"/{a}/{r}") for r, ring in enumerate(area)] for a, area in enumerate(given)
    ]
    _check_land(rings, is_land)
    _check_span(rings)
    shape = _joined([_area(area, f"/{a}") for a, area in enumerate(rings)])
    _check_size(shape)
    return outline_of(shape)


def shape_of(outline: Outline) -> MultiPolygon:
    """Return the shape of areas that were checked."""
    return MultiPolygon([(area[0], list(area[1:])) for area in outline])


def outline_of(shape: MultiPolygon) -> Outline:
    """Return the areas of a shape, their outer rings counter-clockwise and their holes clockwise.

    That is how RFC 7946 has it, and how maps tell land from holes.
    """
    return tuple(
        tuple(_corners(ring.coords) for ring in (area.exterior, *area.interiors))
        for area in map(_wound, shape.geoms)
    )


def land_m2(shape: MultiPolygon) -> float:
    """Return how much land a shape has; raises `PolygonFlawed` when it is wider than a plane."""
    lng, lat = shape.representative_point().coords[0]
    corners = shapely.get_coordinates(shape)
    points = Projection(LatLng(lat, lng)).to_points(corners[:, 1], corners[:, 0])
    if not np.isfinite(points).all():
        raise PolygonFlawed(f"it reaches over {REACH_M / 1_000:.0f} km far: cut it into several")
    return float(shapely.transform(shape, lambda _corners: points).area)


def _wound(area: Polygon) -> Polygon:
    return orient(area)


def _corners(corners: Iterable[tuple[float, ...]]) -> Ring:
    return tuple((lng, lat) for lng, lat, *_ in corners)


def _check_counts(given: Given) -> None:
    areas, rings = len(given), sum(map(len, given))
    corners = sum(len(ring) for area in given for ring in area)
    if not areas or not all(map(len, given)):
        raise PolygonFlawed("an area has at least its outer ring")
    for count, most, word in (
        (areas, AREAS_MAX, "areas"),
        (rings, RINGS_MAX, "rings"),
        (corners, CORNERS_MAX, "corners"),
    ):
        if count > most:
            raise PolygonFlawed(f"it has {count} {word}, and {most} are allowed: make it simpler")


def _ring(given: Sequence[Sequence[float]], pointer: str) -> Ring:
    """Return a ring whose corners are places, each of them once, and which is closed."""
    corners = [_corner(corner, f"{pointer}/{c}") for c, corner in enumerate(given)]
    if len(corners) < _RING_CORNERS_MIN:
        told = f"a ring has at least 3 corners and the first once more, not {len(corners)} in all"
        raise PolygonFlawed(told, pointer)
    if corners[0] != corners[-1]:
        told = f"the ring is not closed: end it where it begins, at {_said(*corners[0])}"
        raise PolygonFlawed(told, pointer)
    kept = [corner for c, corner in enumerate(corners) if c == 0 or corner != corners[c - 1]]
    if len(kept) < _RING_CORNERS_MIN:
        raise PolygonFlawed("the ring has fewer than 3 different corners", pointer)
    return tuple(kept)


def _corner(given: Sequence[float], pointer: str) -> tuple[float, float]:
    if len(given) not in _POSITION:
        raise PolygonFlawed("a corner is a longitude and a latitude", pointer)
    lng, lat = given[0], given[1]
    if not (isfinite(lng) and isfinite(lat)):
        raise PolygonFlawed("a longitude and a latitude are finite numbers", pointer)
    if abs(lat) > LAT_MAX or abs(lng) > LNG_MAX:
        turned = abs(lng) <= LAT_MAX and abs(lat) <= LNG_MAX
        hint = ": the longitude comes first, then the latitude" if turned else ""
        told = f"longitude {lng:g} and latitude {lat:g} are no place on Earth{hint}"
        raise PolygonFlawed(told, pointer)
    return float(lng), float(lat)


def _check_land(rings: Sequence[Sequence[Ring]], is_land: Has) -> None:
    """Refuse the first corner that lies elsewhere, and say so if it was only written wrongly."""
    for a, area in enumerate(rings):
        for r, ring in enumerate(area):
            for c, (lng, lat) in enumerate(ring):
                if is_land(lat, lng):
                    continue
                is_turned = abs(lng) <= LAT_MAX and is_land(lng, lat)
                hint = ": the longitude comes first, then the latitude" if is_turned else ""
                told = f"the corner at {_said(lng, lat)} lies outside the market's land{hint}"
                raise PolygonFlawed(told, f"/{a}/{r}/{c}")


def _check_span(rings: Sequence[Sequence[Ring]]) -> None:
    """Refuse what goes round the back of the Earth, where longitudes meet."""
    lngs = [lng for area in rings for ring in area for lng, _ in ring]
    if max(lngs) - min(lngs) > _HALF_TURN:
        raise PolygonFlawed("it crosses the antimeridian: draw one zone on either side of it")


def _area(rings: Sequence[Ring], pointer: str) -> Polygon:
    """Return one area whose rings neither cross themselves nor each other."""
    for r, ring in enumerate(rings):
        reason = shapely.is_valid_reason(Polygon(ring))
        if reason != _VALID:
            raise PolygonFlawed(_told(reason, "the ring"), f"{pointer}/{r}")
    area = Polygon(rings[0], rings[1:])
    reason = shapely.is_valid_reason(area)
    if reason != _VALID:
        raise PolygonFlawed(_told(reason, "the area"), pointer)
    return area


def _joined(areas: Sequence[Polygon]) -> MultiPolygon:
    shape = MultiPolygon(areas)
    reason = shapely.is_valid_reason(shape)
    if reason != _VALID:
        where = _where(reason)
        raise PolygonFlawed(f"two of its areas overlap or share an edge{where}: join them into one")
    return shape


def _check_size(shape: MultiPolygon) -> None:
    m2 = land_m2(shape)
    if m2 < LAND_M2_MIN:
        raise PolygonFlawed(
            f"it covers {m2:.1f} square metres, and {LAND_M2_MIN:.0f} are the least"
        )
    if m2 > LAND_M2_MAX:
        told = f"it covers {m2 / 1e6:,.0f} square kilometres, and {LAND_M2_MAX / 1e6:,.0f} are"
        raise PolygonFlawed(f"{told} the most: cut it into several")


_VALID = "Valid Geometry"
_REASONS = {
    "Self-intersection": "{what} crosses itself{where}",
    "Ring Self-intersection": "{what} touches itself{where}: make it two, or move that corner",
    "Hole lies outside shell": "a hole lies outside of its outer ring{where}",
    "Holes are nested": "a hole lies inside another one{where}",
    "Interior is disconnected": "holes cut the area in two{where}: make it two areas",
    "Too few points in geometry component": "{what} has no inside{where}",
}


def _told(reason: str, what: str) -> str:
    """Say in a sentence what the geometry engine found."""
    name = reason.partition("[")[0]
    sentence = _REASONS.get(name, "{what} is not simple ({name}){where}")
    return sentence.format(what=what, name=name.lower(), where=_where(reason))


def _where(reason: str) -> str:
    found = _PLACE.search(reason)
    return f" at {_said(float(found[1]), float(found[2]))}" if found else ""


def _said(lng: float, lat: float) -> str:
    return f"longitude {lng:.6g}, latitude {lat:.6g}"
