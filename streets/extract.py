"""Reading an extract of OpenStreetMap: the few things of it that a city is made of.

One pass over the file gives roads with their nodes, restaurants, house numbers, buildings, the
coast, and what a map shows. Whatever the file says is somebody else's: objects may refer to nodes
that are not there, lie nowhere on Earth, cross themselves or be without end. Those are left out and
counted; texts are cut to length; and every collection has a limit, beyond which reading stops with
`BadExtract`, whose message says what to do.

The library under this is C++ and may end the whole process on a file made to harm it, so production
reads in a process of its own (`streets.importing`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, hypot, radians
from pathlib import Path
from typing import NamedTuple

import osmium
import osmium.filter
import osmium.geom
import osmium.io
import osmium.osm
import shapely
from osmium.osm.types import OSMEntity
from shapely.geometry.base import BaseGeometry

from geo.point import LatLng
from streets.folder import CUISINES_MAX, TEXT_MAX, Door, MappedRestaurant
from streets.layers import Look, feature, look_of_area, look_of_line, look_of_place
from streets.network import RoadLine
from streets.opening import week_of
from streets.roads import Tags, passage

FILE_BYTES_MAX = 1024**3
NODES_MAX = 40_000_000
ROADS_MAX = 3_000_000
PLACES_MAX = 3_000_000
"""House numbers, and as many buildings."""
RESTAURANTS_MAX = 200_000
FEATURES_MAX = 20_000_000
WAY_NODES_MAX = 20_000
"""Ten times as many as the editors of the map allow."""
ALL_WAY_NODES_MAX = 120_000_000

AMENITIES = frozenset({"restaurant", "fast_food", "cafe"})
_NOT_HOMES = frozenset(
    {
        "no",
        "church",
        "chapel",
        "mosque",
        "garage",
        "garages",
        "shed",
        "roof",
        "ruins",
        "greenhouse",
        "industrial",
        "warehouse",
        "carport",
        "hangar",
        "farm_auxiliary",
        "barn",
        "silo",
        "construction",
    }
)
_AREA_KEYS = (
    "building",
    "natural",
    "landuse",
    "leisure",
    "waterway",
    "amenity",
    "addr:housenumber",
)
_KEYS = (*_AREA_KEYS, "highway", "route", "place")
_NODE_BYTES = 16
_METRES_PER_DEGREE = 111_195.0


class BadExtract(ValueError):
    """A file that no city can be made of; the message says why and what to do."""


@dataclass(slots=True)
class Extract:
    """What was found in a file. Coasts are lines of longitudes and latitudes, land to the left."""

    extracted_at: str = ""
    roads: list[RoadLine] = field(default_factory=list[RoadLine])
    restaurants: list[MappedRestaurant] = field(default_factory=list[MappedRestaurant])
    addresses: list[Door] = field(default_factory=list[Door])
    buildings: list[Door] = field(default_factory=list[Door])
    coasts: list[list[tuple[float, float]]] = field(default_factory=list[list[tuple[float, float]]])
    missing_nodes: int = 0
    broken_areas: int = 0
    way_nodes: int = 0
    features: int = 0


type Show = Callable[[bytes], object]
"""Takes what a map shows, one line of GeoJSON at a time; nothing of it is kept here."""


class _Stretch(NamedTuple):
    """A part of a way whose nodes are all known, in order."""

    nodes: list[int]
    lats: list[float]
    lngs: list[float]


def read_extract(path: Path, show: Show) -> Extract:
    """Read a .osm.pbf; raises BadExtract."""
    _check(path)
    found = Extract()
    try:
        found.extracted_at = _date(path)
        for thing in _things(path):
            _take(thing, found, show)
    except (RuntimeError, osmium.InvalidLocationError) as error:
        raise BadExtract(
            f"{path} is damaged or no .osm.pbf ({_plain(error)}): fetch it again"
        ) from error
    except OSError as error:
        raise BadExtract(f"{path} cannot be read: {error.strerror or error}") from error
    return found


def _check(path: Path) -> None:
    if not path.is_file():
        raise BadExtract(f"there is no file {path}")
    size = path.stat().st_size
    if not size:
        raise BadExtract(f"{path} is empty: fetch it again")
    if size > FILE_BYTES_MAX:
        raise BadExtract(f"{path} has over {FILE_BYTES_MAX // 1024**3} GB: cut out one city")


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:TEXT_MAX]


def _date(path: Path) -> str:
    with osmium.io.Reader(osmium.io.File(str(path), "pbf"), osmium.osm.NOTHING) as reader:
        return reader.header().get("osmosis_replication_timestamp", "")[:TEXT_MAX]


def _things(path: Path) -> Iterator[OSMEntity]:
    """Iterate over nodes, ways and areas that have one of the keys that matter here."""
    source = osmium.FileProcessor(osmium.io.File(str(path), "pbf"))
    source.with_locations("sparse_mem_array")
    source.with_areas(osmium.filter.KeyFilter(*_AREA_KEYS))
    source.with_filter(osmium.filter.KeyFilter(*_KEYS))
    places = source.node_location_storage
    assert places is not None
    for thing in source:
        yield thing
        _check_nodes(places.used_memory())
    _check_nodes(places.used_memory())


def _check_nodes(bytes_used: int) -> None:
    """Refuse too many nodes; those without tags are only counted once something else is read."""
    if bytes_used > NODES_MAX * _NODE_BYTES:
        raise BadExtract(f"it has over {NODES_MAX:,} nodes: cut out one city")


def _take(thing: OSMEntity, found: Extract, show: Show) -> None:
    """Keep what matters of one object; a closed way comes a second time, as an area."""
    match thing:
        case osmium.osm.Node():
            _take_node(thing, found, show)
        case osmium.osm.Way():
            _take_way(thing, found, show)
        case osmium.osm.Area():
            _take_area(thing, found, show)
        case _:
            pass


def _take_node(node: osmium.osm.Node, found: Extract, show: Show) -> None:
    if not node.location.valid():
        found.missing_nodes += 1
        return
    tags = _texts(node.tags)
    place = LatLng(node.location.lat, node.location.lon)
    _take_place(f"n{node.id}", tags, place, found)
    look = look_of_place(tags)
    if look is not None:
        _show(show, found, look, tags, shapely.Point(place.lng, place.lat))


def _take_way(way: osmium.osm.Way, found: Extract, show: Show) -> None:
    found.way_nodes += len(way.nodes)
    if found.way_nodes > ALL_WAY_NODES_MAX:
        raise BadExtract(f"its ways have over {ALL_WAY_NODES_MAX:,} nodes: cut out one city")
    tags = _texts(way.tags)
    is_line = any(key in tags for key in ("highway", "route", "waterway"))
    if not is_line and tags.get("natural") != "coastline":
        return
    if len(way.nodes) > WAY_NODES_MAX:
        found.broken_areas += 1
        return
    for stretch in _stretches(way, found):
        _take_stretch(way.id, tags, stretch, found, show)


def _take_stretch(way: int, tags: Tags, stretch: _Stretch, found: Extract, show: Show) -> None:
    line = list(zip(stretch.lngs, stretch.lats, strict=True))
    if tags.get("natural") == "coastline":
        found.coasts.append(line)
        return
    length_m = _length_m(stretch.lats, stretch.lngs) if "duration" in tags else 0.0
    allowed = passage(tags, length_m)
    if allowed is not None:
        if len(found.roads) >= ROADS_MAX:
            raise BadExtract(f"it has over {ROADS_MAX:,} roads: cut out one city")
        found.roads.append(RoadLine(way, allowed, *stretch))
    look = look_of_line(tags)
    if look is not None:
        _show(show, found, look, tags, shapely.LineString(line))


def _stretches(way: osmium.osm.Way, found: Extract) -> Iterator[_Stretch]:
    """Cut a way where the extract does not know its nodes; say each place once in a row."""
    stretch = _Stretch([], [], [])
    for node in way.nodes:
        if not node.location.valid():
            found.missing_nodes += 1
            if len(stretch.nodes) > 1:
                yield stretch
            stretch = _Stretch([], [], [])
        elif not stretch.nodes or stretch.nodes[-1] != node.ref:
            stretch.nodes.append(node.ref)
            stretch.lats.append(node.location.lat)
            stretch.lngs.append(node.location.lon)
    if len(stretch.nodes) > 1:
        yield stretch


def _length_m(lats: Sequence[float], lngs: Sequence[float]) -> float:
    """Return about how long a line is: good enough to spread a ferry's time over it."""
    narrowing = cos(radians(lats[0]))
    return _METRES_PER_DEGREE * sum(
        hypot(b[0] - a[0], narrowing * (b[1] - a[1]))
        for a, b in pairwise(zip(lats, lngs, strict=True))
    )


def _take_area(area: osmium.osm.Area, found: Extract, show: Show) -> None:
    tags = _texts(area.tags)
    look = look_of_area(tags)
    if look is None and tags.get("amenity") not in AMENITIES and "addr:housenumber" not in tags:
        return
    outline = _outline(area)
    if outline is None:
        found.broken_areas += 1
        return
    place = LatLng(outline.centroid.y, outline.centroid.x)
    prefix = "w" if area.from_way() else "r"
    is_taken = _take_place(f"{prefix}{area.orig_id()}", tags, place, found)
    if not is_taken and tags.get("building", "no") not in _NOT_HOMES:
        _limit(found.buildings, "buildings", PLACES_MAX)
        found.buildings.append(Door(place.lat, place.lng))
    if look is not None:
        _show(show, found, look, tags, outline)


_outlines = osmium.geom.WKBFactory()


def _outline(area: osmium.osm.Area) -> BaseGeometry | None:
    """Return the outline of an area, or None when it does not close or crosses itself."""
    if not area.num_rings()[0]:
        return None
    outline = shapely.from_wkb(_outlines.create_multipolygon(area))
    return outline if outline.is_valid and not outline.is_empty else None


def _take_place(id_: str, tags: Tags, place: LatLng, found: Extract) -> bool:
    """Keep a restaurant or an address; return whether it is one."""
    if tags.get("amenity") in AMENITIES:
        _limit(found.restaurants, "restaurants", RESTAURANTS_MAX)
        found.restaurants.append(_restaurant(id_, tags, place))
        return True
    if tags.get("addr:housenumber"):
        _limit(found.addresses, "house numbers", PLACES_MAX)
        found.addresses.append(Door(place.lat, place.lng, _address(tags)))
        return True
    return False


def _limit(things: Sequence[object], name: str, most: int) -> None:
    if len(things) >= most:
        raise BadExtract(f"it has over {most:,} {name}: cut out one city")


def _restaurant(id_: str, tags: Tags, place: LatLng) -> MappedRestaurant:
    hours = tags.get("opening_hours", "")
    cuisines = (one.strip() for one in tags.get("cuisine", "").replace(",", ";").split(";"))
    return MappedRestaurant(
        id=id_,
        name=tags.get("name", ""),
        amenity=tags["amenity"],
        cuisines=tuple(dict.fromkeys(one for one in cuisines if one))[:CUISINES_MAX],
        place=place,
        address=_address(tags),
        opening_hours=hours,
        week=week_of(hours),
    )


def _address(tags: Tags) -> str:
    street = tags.get("addr:street") or tags.get("addr:place", "")
    return f"{street} {tags.get('addr:housenumber', '')}".strip()[:TEXT_MAX]


def _show(show: Show, found: Extract, look: Look, tags: Tags, geometry: BaseGeometry) -> None:
    """Put an object on the map."""
    found.features += 1
    if found.features > FEATURES_MAX:
        raise BadExtract(f"it has over {FEATURES_MAX:,} things to draw: cut out one city")
    show(feature(look, tags.get("name", ""), geometry))


def _texts(tags: osmium.osm.TagList) -> Tags:
    """Return the tags with their values cut to length."""
    return {tag.k: tag.v[:TEXT_MAX] for tag in tags}
