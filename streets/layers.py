"""Map layers: what of a city a map shows, from which zoom on, and where the sea is.

    roads      lines with `class` and `name`
    water      surfaces and lines, the sea among them
    green      parks, woods, fields and beaches, with `class`
    built      land that is lived or worked on, with `class`
    buildings  their outlines
    places     points with `name` and `class`

A feature is one line of GeoJSON, as tippecanoe reads it, so that a city's layers go to a file
without ever being in memory together.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import hypot
from typing import NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from streets.roads import Tags, road_of

SEA_SHARE = 0.9
"""A face of the coast is sea when so much of the coast around it says so."""

_STEP_DEG = 1e-6
"""A tenth of a metre: how far beside the coast it is asked what lies there."""


type Line = list[tuple[float, float]]
"""Longitudes and latitudes, in the order of GeoJSON."""

type Box = tuple[float, float, float, float]
"""West, south, east and north."""


class Look(NamedTuple):
    """How something is shown: in which layer, from which zoom on, and as what."""

    layer: str
    zoom: int
    kind: str


class _Shown(NamedTuple):
    layer: str
    zoom: int


_ROAD_ZOOMS: Mapping[str, int] = {
    "motorway": 8,
    "trunk": 8,
    "primary": 9,
    "secondary": 10,
    "tertiary": 11,
    "ferry": 10,
    "unclassified": 12,
    "residential": 12,
    "living_street": 12,
    "pedestrian": 12,
}
_OTHER_ROADS_ZOOM = 13
_BUILDINGS_ZOOM = 13
_AREAS: Mapping[str, Mapping[str, _Shown]] = {
    "natural": {
        "water": _Shown("water", 9),
        "wood": _Shown("green", 10),
        "scrub": _Shown("green", 11),
        "heath": _Shown("green", 11),
        "grassland": _Shown("green", 11),
        "beach": _Shown("green", 11),
        "sand": _Shown("green", 11),
        "wetland": _Shown("green", 11),
    },
    "waterway": {"riverbank": _Shown("water", 9), "dock": _Shown("water", 11)},
    "landuse": {
        "reservoir": _Shown("water", 10),
        "basin": _Shown("water", 11),
        "forest": _Shown("green", 10),
        "grass": _Shown("green", 12),
        "meadow": _Shown("green", 11),
        "cemetery": _Shown("green", 11),
        "village_green": _Shown("green", 12),
        "allotments": _Shown("green", 12),
        "recreation_ground": _Shown("green", 11),
        "orchard": _Shown("green", 11),
        "vineyard": _Shown("green", 11),
        "farmland": _Shown("green", 11),
        "residential": _Shown("built", 10),
        "commercial": _Shown("built", 11),
        "retail": _Shown("built", 11),
        "industrial": _Shown("built", 11),
    },
    "leisure": {
        "park": _Shown("green", 10),
        "garden": _Shown("green", 12),
        "pitch": _Shown("green", 13),
        "golf_course": _Shown("green", 11),
        "nature_reserve": _Shown("green", 11),
        "common": _Shown("green", 12),
        "playground": _Shown("green", 13),
    },
}
_WATER_LINES: Mapping[str, int] = {"river": 9, "canal": 10, "stream": 13}
_PLACES: Mapping[str, int] = {
    "city": 8,
    "island": 9,
    "town": 9,
    "suburb": 11,
    "village": 10,
    "hamlet": 12,
    "quarter": 12,
    "neighbourhood": 13,
}


def look_of_place(tags: Tags) -> Look | None:
    """Return how a point with these tags is shown; None when it is not."""
    kind = tags.get("place", "")
    zoom = _PLACES.get(kind)
    return Look("places", zoom, kind) if zoom is not None and tags.get("name") else None


def look_of_line(tags: Tags) -> Look | None:
    """Return how a line with these tags is shown; None when it is not."""
    road = road_of(tags)
    if road is not None:
        return Look("roads", _ROAD_ZOOMS.get(road, _OTHER_ROADS_ZOOM), road)
    kind = tags.get("waterway", "")
    zoom = _WATER_LINES.get(kind)
    return Look("water", zoom, kind) if zoom is not None else None


def look_of_area(tags: Tags) -> Look | None:
    """Return how a surface with these tags is shown; None when it is not."""
    if tags.get("building", "no") != "no":
        return Look("buildings", _BUILDINGS_ZOOM, "building")
    for key, kinds in _AREAS.items():
        kind = tags.get(key, "")
        if kind in kinds:
            layer, zoom = kinds[kind]
            return Look(layer, zoom, kind)
    return None


def feature(look: Look, name: str, geometry: BaseGeometry) -> bytes:
    """Return a feature as the line of GeoJSON that tippecanoe takes."""
    properties = {"class": look.kind, "name": name} if name else {"class": look.kind}
    return b"%b\n" % msgspec.json.encode(
        {
            "type": "Feature",
            "tippecanoe": {"layer": look.layer, "minzoom": look.zoom},
            "properties": properties,
            "geometry": msgspec.Raw(shapely.to_geojson(geometry).encode()),
        }
    )


def sea(coasts: Sequence[Line], box: Box, margin_deg: float) -> BaseGeometry:
    """Return the sea in a box and around it, from lines of coast that have land on their left.

    The coast and the box's rim cut the box into faces. What lies beside each step of the coast says
    whether its face is sea; a face of which the coast is of two minds, as where a piece of coast is
    missing, stays land, since a street under water is worse than a bay that is not blue. A coast
    that just ends, because the extract was cut there, is carried on to the nearest rim, and nobody
    knows how it goes on outside: then there is no margin.
    """
    lines = [line for line in coasts if len(line) > 1]
    if not lines:
        return shapely.Polygon()
    loose = _loose_ends(lines)
    margin_deg = 0.0 if loose else margin_deg
    frame = shapely.box(*box).buffer(margin_deg, join_style="mitre")
    shores = shapely.linestrings([shore for line in lines for shore in pairwise(line)])
    rims = [*_carried_on(loose, box), frame.exterior]
    net = shapely.unary_union([shapely.intersection(frame, shapely.MultiLineString(lines)), *rims])
    faces = shapely.get_parts(shapely.polygonize([net]))
    return shapely.unary_union(faces[_is_sea(faces, shores)])


def _loose_ends(lines: Sequence[Line]) -> list[tuple[float, float]]:
    """Return where the coast just ends: a whole one only ever closes upon itself."""
    ends = Counter(end for line in lines for end in (line[0], line[-1]))
    return [end for end, uses in ends.items() if uses == 1]


def _carried_on(loose: Sequence[tuple[float, float]], box: Box) -> list[BaseGeometry]:
    """Return straight lines from loose ends within the box to its nearest rim."""
    west, south, east, north = box
    carried = list[BaseGeometry]()
    for lng, lat in loose:
        if west < lng < east and south < lat < north:
            rims = ((west, lat), (east, lat), (lng, south), (lng, north))
            nearest = min(rims, key=lambda rim: hypot(rim[0] - lng, rim[1] - lat))
            carried.append(shapely.LineString(((lng, lat), nearest)))
    return carried


def _is_sea(faces: NDArray[np.object_], shores: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Ask the coast's steps, each with a vote as heavy as it is long, what the faces are."""
    ends = shapely.get_coordinates(shores).reshape(-1, 2, 2)
    along = ends[:, 1] - ends[:, 0]
    lengths = np.hypot(along[:, 0], along[:, 1])
    long_enough = lengths > 0
    along, lengths = along[long_enough], lengths[long_enough]
    middles = ends[long_enough].mean(axis=1)
    left = np.column_stack((-along[:, 1], along[:, 0])) / lengths[:, None] * _STEP_DEG
    tree = shapely.STRtree(faces)
    votes = np.zeros((2, len(faces)))
    for side, beside in enumerate((middles + left, middles - left)):
        shore, face = tree.query(shapely.points(beside), predicate="within")
        np.add.at(votes[side], face, lengths[shore])
    land, water = votes
    return (water > 0) & (water >= SEA_SHARE * (land + water))
