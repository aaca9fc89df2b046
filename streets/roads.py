"""Roads: what the tags of a way say of who may use it, in which direction, and how fast.

A `Passage` has a pace, in seconds for each metre, for every vehicle and both directions; infinity
where a vehicle must not go. The speeds are those of a free road in a town, stops at lights
included; what hours of the day do to them is learned elsewhere, from couriers' own legs.

Rules, after the conventions of OpenStreetMap (wiki, "Key:access", "Key:oneway"):
- The most particular tag counts: `motorcar` before `motor_vehicle`, `vehicle` and `access`. A
  courier delivers, so that `delivery`, `destination` and `customers` let him in, `private` not.
- A bicycle may be pushed wherever one may walk, which is how a courier leaves a one-way street.
- A scooter is a car that goes 45 km/h at most and keeps off motorways.
- A ferry takes its `duration`. How long one waits for it is not on the map and not counted.
Restrictions of turns, and what stands in the way at a single point (gates, bollards), are ignored.
"""

from collections.abc import Mapping
from enum import StrEnum
from math import inf, isfinite
from typing import NamedTuple

type Tags = Mapping[str, str]


class Vehicle(StrEnum):
    """How a courier goes; in arrays, each has a row, in this order."""

    BICYCLE = "bicycle"
    SCOOTER = "scooter"
    CAR = "car"
    WALK = "walk"


VEHICLES = tuple(Vehicle)

ROADS = (
    "motorway",
    "trunk",
    "primary",
    "secondary",
    "tertiary",
    "unclassified",
    "residential",
    "living_street",
    "service",
    "track",
    "pedestrian",
    "footway",
    "cycleway",
    "path",
    "bridleway",
    "steps",
    "ferry",
)
"""The classes of roads, by the numbers that stand for them in arrays."""

type Paces = tuple[float, float, float, float]
"""Seconds for each metre, in the order of `VEHICLES`."""


class Passage(NamedTuple):
    """Which class of road a way is, and its paces along it and against it."""

    road: int
    forward: Paces
    backward: Paces


_SAME_AS = {
    "busway": "service",
    "minor": "residential",
    "road": "unclassified",
    "driveway": "service",
}
_WHEELS_KMH = {
    "motorway": 95.0,
    "trunk": 62.0,
    "primary": 45.0,
    "secondary": 40.0,
    "tertiary": 36.0,
    "unclassified": 32.0,
    "residential": 26.0,
    "living_street": 10.0,
    "service": 14.0,
    "track": 12.0,
}
_PEDALS_KMH = {
    "trunk": 16.0,
    "primary": 16.5,
    "secondary": 16.5,
    "tertiary": 16.5,
    "unclassified": 16.5,
    "residential": 16.0,
    "living_street": 12.0,
    "service": 13.0,
    "track": 11.0,
    "cycleway": 17.0,
    "path": 11.0,
}
_ONLY_IF_SAID_KMH = 10.0
"""The pace of wheels on ways that are not made for them, such as a lane of a pedestrian zone."""
_WALK_KMH = 5.0
_PUSH_KMH = 4.5
_STEPS_WALK_KMH = 2.5
_STEPS_PUSH_KMH = 1.5
_FERRY_KMH = 15.0
_FERRY_KMH_MAX = 80.0
_SCOOTER_KMH_MAX = 45.0
_OF_THE_LIMIT = 0.85
"""Share of the speed limit that is driven on average, between lights and corners."""
_KMH_MAX = 130.0
_KMH_MIN = 1.0
_MPH_KMH = 1.609344

_ROUGH = {
    "cobblestone": 0.75,
    "sett": 0.85,
    "unhewn_cobblestone": 0.6,
    "unpaved": 0.75,
    "compacted": 0.85,
    "fine_gravel": 0.8,
    "gravel": 0.7,
    "pebblestone": 0.7,
    "ground": 0.7,
    "dirt": 0.7,
    "earth": 0.7,
    "grass": 0.6,
    "mud": 0.4,
    "sand": 0.4,
}
_SHUT = frozenset({"no", "private", "agricultural", "forestry", "military", "use_sidepath"})
_SHUT_TO_WHEELS = _SHUT | {"dismount", "emergency"}
_OPEN = frozenset(
    {"yes", "designated", "permissive", "official", "destination", "delivery", "customers"}
)
_ACCESS: Mapping[Vehicle, tuple[str, ...]] = {
    Vehicle.BICYCLE: ("bicycle", "vehicle", "access"),
    Vehicle.SCOOTER: ("moped", "motorcycle", "motor_vehicle", "vehicle", "access"),
    Vehicle.CAR: ("motorcar", "motor_vehicle", "vehicle", "access"),
    Vehicle.WALK: ("foot", "access"),
}
_OWN_KEYS = frozenset(
    {"bicycle", "moped", "motorcycle", "motorcar", "motor_vehicle", "vehicle", "foot"}
)
_NO_ENTRY_ON_FOOT = frozenset({"motorway"})
_YES = frozenset({"yes", "true", "1"})
_REVERSED = frozenset({"-1", "reverse"})
_ROUND = frozenset({"roundabout", "circular"})
_CYCLEWAYS = ("cycleway", "cycleway:left", "cycleway:right", "cycleway:both")


def passage(tags: Tags, length_m: float) -> Passage | None:
    """Return what a way is to couriers; None when it is no road to any of them.

    Its length matters only to a ferry, whose `duration` is spread over it.
    """
    road = road_of(tags)
    if road is None:
        return None
    kmh = _ferry_kmh(tags, length_m) if road == "ferry" else _kmh(road, tags)
    forward, backward = _by_direction(road, tags, kmh)
    found = Passage(ROADS.index(road), _paces(forward), _paces(backward))
    return found if any(map(isfinite, (*found.forward, *found.backward))) else None


def road_of(tags: Tags) -> str | None:
    """Return the class of road that a way is; None when it is none."""
    if tags.get("route") == "ferry" and "highway" not in tags:
        return "ferry"
    highway = tags.get("highway", "").removesuffix("_link")
    road = _SAME_AS.get(highway, highway)
    return road if road in ROADS and road != "ferry" else None


def _kmh(road: str, tags: Tags) -> dict[Vehicle, float]:
    """Return the speeds of those who may use a road; pushing a bicycle is not among them yet."""
    rough = _ROUGH.get(tags.get("surface", ""), 1.0)
    wheels = _wheels_kmh(road, tags) * rough
    speeds = {
        Vehicle.CAR: wheels,
        Vehicle.SCOOTER: min(wheels, _SCOOTER_KMH_MAX) if _takes_scooters(road, tags) else 0.0,
        Vehicle.BICYCLE: _PEDALS_KMH.get(road, 0.0) * rough if _takes_bicycles(tags) else 0.0,
        Vehicle.WALK: _walk_kmh(road),
    }
    return {vehicle: _allowed(vehicle, road, tags, kmh) for vehicle, kmh in speeds.items()}


def _wheels_kmh(road: str, tags: Tags) -> float:
    usual = _WHEELS_KMH.get(road, 0.0)
    limit = speed_limit_kmh(tags.get("maxspeed", ""))
    if limit is None or not usual:
        return usual
    return max(min(_OF_THE_LIMIT * limit, _KMH_MAX), _KMH_MIN)


def speed_limit_kmh(text: str) -> float | None:
    """Return the limit that a `maxspeed` names in figures: `50`, `50 km/h` or `30 mph`."""
    figures, _, unit = text.strip().partition(" ")
    if figures.endswith("mph"):
        figures, unit = figures.removesuffix("mph"), "mph"
    if not (figures.isascii() and figures.isdigit()) or unit not in {"", "km/h", "kmh", "mph"}:
        return None
    limit = min(int(figures[:4]) * (_MPH_KMH if unit == "mph" else 1.0), _KMH_MAX)
    return limit or None


def _walk_kmh(road: str) -> float:
    if road in _NO_ENTRY_ON_FOOT:
        return 0.0
    return _STEPS_WALK_KMH if road == "steps" else _WALK_KMH


def _takes_scooters(road: str, tags: Tags) -> bool:
    return road != "motorway" and tags.get("motorroad") != "yes"


def _takes_bicycles(tags: Tags) -> bool:
    return tags.get("motorroad") != "yes"


def _allowed(vehicle: Vehicle, road: str, tags: Tags, kmh: float) -> float:
    """Return the speed if the tags let the vehicle in, 0 if they do not.

    A tag that names the vehicle opens ways that are not made for it, as `bicycle=yes` does a
    footway; `access=yes` alone does not.
    """
    key = next((key for key in _ACCESS[vehicle] if key in tags), None)
    if key is None:
        return kmh
    shut = _SHUT if vehicle is Vehicle.WALK else _SHUT_TO_WHEELS
    if tags[key] in shut:
        return 0.0
    if kmh or road == "steps" or key not in _OWN_KEYS or tags[key] not in _OPEN:
        return kmh
    return _ONLY_IF_SAID_KMH if _takes_scooters(road, tags) else 0.0


def _ferry_kmh(tags: Tags, length_m: float) -> dict[Vehicle, float]:
    took_s = duration_s(tags.get("duration", ""))
    kmh = min(3.6 * length_m / took_s, _FERRY_KMH_MAX) if took_s else _FERRY_KMH
    takes_cars = any(tags.get(key) in _OPEN for key in _ACCESS[Vehicle.CAR][:-1])
    wheels = kmh if takes_cars else 0.0
    speeds = {Vehicle.CAR: wheels, Vehicle.SCOOTER: wheels, Vehicle.BICYCLE: kmh, Vehicle.WALK: kmh}
    return {vehicle: _allowed(vehicle, "steps", tags, speed) for vehicle, speed in speeds.items()}


def duration_s(text: str) -> int | None:
    """Return the seconds of a `duration`: `HH:MM`, `HH:MM:SS` or whole minutes."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(  # noqa: PLR2004
        part.isascii() and part.isdigit() and len(part) <= 4  # noqa: PLR2004
        for part in parts
    ):
        return None
    hours, minutes, seconds = (0, int(parts[0]), 0) if len(parts) == 1 else _clock(parts)
    return hours * 3_600 + minutes * 60 + seconds or None


def _clock(parts: list[str]) -> tuple[int, int, int]:
    hours, minutes, *seconds = map(int, parts)
    return hours, minutes, seconds[0] if seconds else 0


def _by_direction(
    road: str, tags: Tags, kmh: dict[Vehicle, float]
) -> tuple[dict[Vehicle, float], dict[Vehicle, float]]:
    """Return the speeds along and against the way, bicycles pushed where that is all one may."""
    forward, backward = dict(kmh), dict(kmh)
    push_kmh = _push_kmh(road, kmh[Vehicle.WALK])
    for vehicle in VEHICLES:
        goes_forward, goes_backward = _directions(vehicle, road, tags)
        forward[vehicle] *= goes_forward
        backward[vehicle] *= goes_backward
    for speeds in (forward, backward):
        speeds[Vehicle.BICYCLE] = max(speeds[Vehicle.BICYCLE], push_kmh)
    return forward, backward


def _push_kmh(road: str, walk_kmh: float) -> float:
    if not walk_kmh or road == "ferry":
        return 0.0
    return _STEPS_PUSH_KMH if road == "steps" else _PUSH_KMH


def _directions(vehicle: Vehicle, road: str, tags: Tags) -> tuple[bool, bool]:
    """Return whether a vehicle may go along the way, and whether against it."""
    if vehicle is Vehicle.WALK:
        return True, True
    oneway = tags.get("oneway", "")
    if vehicle is Vehicle.BICYCLE:
        oneway = _bicycles_oneway(tags, oneway)
    elif vehicle is Vehicle.SCOOTER:
        oneway = tags.get("oneway:moped", oneway)
    if not oneway and (road == "motorway" or tags.get("junction") in _ROUND):
        oneway = "yes"
    return oneway not in _REVERSED, oneway not in _YES


def _bicycles_oneway(tags: Tags, oneway: str) -> str:
    if "oneway:bicycle" in tags:
        return tags["oneway:bicycle"]
    is_opposed = any(tags.get(key, "").startswith("opposite") for key in _CYCLEWAYS)
    return "no" if is_opposed else oneway


def _paces(kmh: dict[Vehicle, float]) -> Paces:
    bicycle, scooter, car, walk = (
        3.6 / kmh[vehicle] if kmh[vehicle] > 0 else inf for vehicle in VEHICLES
    )
    return bicycle, scooter, car, walk
