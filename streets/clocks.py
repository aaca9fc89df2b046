"""Which time zone a city is in, as far as the machine's own list of zones tells.

The list of the IANA (`zone.tab`) names for each zone the place of its principal city. The zone of
the nearest one is right for most cities and wrong for some near a border, so it is called a guess
wherever it is shown. Without a list, the longitude says the hour.
"""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import cos, hypot, radians
from pathlib import Path
from zoneinfo import TZPATH

from geo.point import LatLng

LIST = "zone.tab"
LIST_BYTES_MAX = 1_000_000

_DEGREES_AN_HOUR = 15
_LAT_DIGITS = 2
_LNG_DIGITS = 3
_ISO_6709 = re.compile(r"([+-]\d{4}(?:\d\d)?)([+-]\d{5}(?:\d\d)?)")


def guessed_zone(place: LatLng) -> str:
    """Return the zone whose principal city is nearest, or the one of the longitude's hour."""
    zones = _zones()
    return (
        min(zones, key=lambda zone: _apart(zones[zone], place)) if zones else _by_longitude(place)
    )


def _zones() -> dict[str, LatLng]:
    zones = dict[str, LatLng]()
    for line in _list().splitlines():
        columns = line.split("\t")
        place = _ISO_6709.fullmatch(columns[1]) if len(columns) > _LAT_DIGITS else None
        if place is not None:
            lat, lng = place.groups()
            zones[columns[2]] = LatLng(_degrees(lat, _LAT_DIGITS), _degrees(lng, _LNG_DIGITS))
    return zones


def _list() -> str:
    """Return the list of zones; empty when the machine has none."""
    candidates: list[Path | Traversable] = [Path(folder) / LIST for folder in TZPATH]
    candidates.append(files("tzdata") / "zoneinfo" / LIST)
    found = next((path for path in candidates if path.is_file()), None)
    return found.read_text("utf-8")[:LIST_BYTES_MAX] if found is not None else ""


def _degrees(text: str, digits: int) -> float:
    """Return the degrees of `+DDMM`, `+DDMMSS` and the like."""
    sign = -1 if text[0] == "-" else 1
    degrees, rest = int(text[1 : 1 + digits]), text[1 + digits :]
    return sign * (degrees + int(rest[:2]) / 60 + int(rest[2:] or 0) / 3_600)


def _apart(a: LatLng, b: LatLng) -> float:
    """Return how far apart two places are, in degrees of latitude, well enough to compare."""
    turn = (a.lng - b.lng + 180) % 360 - 180
    return hypot(a.lat - b.lat, turn * cos(radians((a.lat + b.lat) / 2)))


def _by_longitude(place: LatLng) -> str:
    """Return the zone of a whole hour; those names count west of Greenwich as positive."""
    hours = round(place.lng / _DEGREES_AN_HOUR)
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"
