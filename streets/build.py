"""Making a city out of an extract: every step in order, into a folder that is nobody's yet.

`python -m streets.build` does it in a process of its own: it reads a `Request` from its input and
writes an `Answer` to its output, both JSON, within the memory it is told. The folder it fills is
made, named and taken away by `streets.importing`.
"""

import resource
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from geo.point import LatLng
from streets.clocks import guessed_zone
from streets.extract import BadExtract, Extract, read_extract
from streets.folder import (
    DOORS_MAX,
    Bounds,
    City,
    Counts,
    Door,
    MappedRestaurant,
    save_city,
)
from streets.layers import Look, feature, sea
from streets.network import Built, Network, NoRoads, network_of
from streets.places import Near, Roadside, doors, reachable
from streets.request import LAYERS, Answer, Flaw, Report, Request

LICENCE = (
    "Open Data Commons Open Database License (ODbL) 1.0; extracts from before September 2012: "
    "CC BY-SA 2.0. Show the attribution wherever a map made from this is shown."
)
NAMED_MAX = 10
"""So many restaurants are named in a remark."""
SEA_MARGIN_DEG = 0.05
_SEA_ZOOM = 8


def build_city(request: Request) -> Report:
    """Fill the request's folder; raises BadExtract when no city can be made of its file."""
    folder = Path(request.folder)
    with (folder / LAYERS).open("wb") as layers:
        found = read_extract(Path(request.source), layers.write)
        built = _network(found)
        if request.has_tiles:
            layers.write(_sea(found, built.network))
    roadside = Roadside(built.network)
    near = reachable(found.restaurants, roadside)
    homes = doors(found.addresses, found.buildings, built.network, roadside)
    if len(homes) > DOORS_MAX:
        raise BadExtract(f"it has over {DOORS_MAX:,} doors: cut out one city")
    city = _city(request, found, built, _counts(found, built, near, homes))
    save_city(folder, city, built.network, near.kept, homes)
    return Report(city=city, remarks=tuple(_remarks(city, near)))


def _network(found: Extract) -> Built:
    if not found.roads:
        raise BadExtract("it has no road that a courier may use: is it an extract of a whole city?")
    try:
        return network_of(found.roads, _centre(found))
    except NoRoads as error:
        raise BadExtract(str(error)) from error


def _centre(found: Extract) -> LatLng:
    """Return the middle of the roads: half of their places lie to each side of it."""
    lats = np.fromiter(chain.from_iterable(road.lats for road in found.roads), dtype=float)
    lngs = np.fromiter(chain.from_iterable(road.lngs for road in found.roads), dtype=float)
    return LatLng(round(float(np.median(lats)), 7), round(float(np.median(lngs)), 7))


def _bounds(network: Network) -> Bounds:
    return Bounds(
        south=float(network.line_lat.min()),
        west=float(network.line_lng.min()),
        north=float(network.line_lat.max()),
        east=float(network.line_lng.max()),
    )


def _sea(found: Extract, network: Network) -> bytes:
    """Return the sea around the roads as a feature, or nothing where there is none."""
    box = _bounds(network)
    sides = (box.west, box.south, box.east, box.north)
    water = sea(found.coasts, sides, SEA_MARGIN_DEG)
    return b"" if water.is_empty else feature(Look("water", _SEA_ZOOM, "sea"), "", water)


def _counts(found: Extract, built: Built, near: Near, homes: Sequence[Door]) -> Counts:
    return Counts(
        junctions=built.network.junctions,
        arcs=built.network.arcs,
        restaurants=len(near.kept),
        doors=len(homes),
        addresses=sum(1 for home in homes if home.label),
        with_hours=sum(1 for restaurant in near.kept if restaurant.week is not None),
        missing_nodes=found.missing_nodes,
        broken_areas=found.broken_areas,
        far_restaurants=len(near.far),
        shut_arcs={vehicle.value: count for vehicle, count in built.left_out.items()},
    )


def _city(request: Request, found: Extract, built: Built, counts: Counts) -> City:
    centre = built.network.centre
    return City(
        name=request.name,
        licence=LICENCE,
        extracted_at=found.extracted_at,
        timezone=request.timezone or guessed_zone(centre),
        is_timezone_guessed=not request.timezone,
        centre=centre,
        bounds=_bounds(built.network),
        counts=counts,
        has_tiles=request.has_tiles,
    )


def _remarks(city: City, near: Near) -> list[str]:
    """Return what a person should know before he uses the city."""
    remarks = list[str]()
    counts = city.counts
    if near.far:
        remarks.append(f"left out for lack of a road near them: {_named(near.far)}")
    if not counts.restaurants:
        remarks.append("there are no restaurants in it; a simulation will have to invent some")
    if not counts.doors:
        remarks.append("there are no doors in it; customers have nowhere to live")
    if counts.broken_areas:
        remarks.append(f"{counts.broken_areas} outlines cross themselves or do not close: left out")
    if counts.missing_nodes:
        remarks.append(f"{counts.missing_nodes} nodes are not in the extract or not on Earth")
    if city.is_timezone_guessed:
        remarks.append(f"the time zone {city.timezone} is a guess; name another with --timezone")
    return remarks


def _named(restaurants: Sequence[MappedRestaurant]) -> str:
    names = [restaurant.name or restaurant.id for restaurant in restaurants[:NAMED_MAX]]
    more = len(restaurants) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def answer(request: Request) -> Answer:
    """Build, and say in a sentence why not."""
    try:
        return build_city(request)
    except BadExtract as error:
        return Flaw(str(error))
    except MemoryError:
        return Flaw(
            f"it needs over {request.memory_bytes_max // 1024**2} MB of memory: cut out one city"
        )


def main() -> None:
    """Answer the one request on the input."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    limit = request.memory_bytes_max
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))


if __name__ == "__main__":
    main()
