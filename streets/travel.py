"""Travel times on real streets: which of them a market is given, and what opens them.

A market's settings and a round's request carry a description (`geo.travel.Ways`); `opened` makes a
provider of it in whichever process asks, and keeps what is dear to make: a network cut up and put
in order once for a folder and vehicle, its times once for a set of closed streets and slow roads.
How fast couriers are at present is a factor on the answer and costs nothing.

Which one to choose (two busy cores; errors against the streets, on pairs up to 5 km apart):

| | 100 x 500 | 1,300 x 300 | error, Copenhagen / Malta by bicycle |
|---|---|---|---|
| straight line, its constant fitted | 1 ms | 3 ms | 12 % / 26 % |
| table (cells of 350 m; of 130 m where there are few) | 0.4 ms | 3 ms | 3 %; 2 % / 4 % |
| exact | 10-15 ms; 60 ms | 110 ms; 400 ms | none |

A round asks for couriers and doors by restaurants, and for doors by doors, each few seconds: up to
some 100 open orders that is nothing for the exact times, and above it the table is right. Its
errors are below those of kitchens and of couriers' own pace. A table is worked out when a city is
opened for the first time (1-13 s) and kept in its folder. Streets that are closed are known to the
exact times after 2-50 ms; a table is worked out anew without its folder being touched, so closing
streets in a large city of tables takes those seconds.

A folder is read once for each process: import a city anew, and start the nodes anew.
"""

import threading
import zlib
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from msgspec import structs

from geo.point import LatLng
from geo.travel import CLOSED_MAX, Lookup, OnStreets, StraightLine, TravelTimes, Ways
from geo.zone import Outline
from streets.closures import arcs_within
from streets.exact import Exact
from streets.folder import BadFolder, load_network
from streets.roads import VEHICLES, Vehicle
from streets.routing import BadGraph, Weighed
from streets.table import Cells, TooWide, cells, find_table, save_table, table
from streets.tabled import Tabled, tabled
from streets.terrain import Terrain, check

TERRAINS_MAX = 8
"""Folders and vehicles that one process keeps open."""
TIMES_MAX = 8
"""Sets of closed streets and slow roads whose times one process keeps, of each kind."""
LOCKS_MAX = 1_000
TABLES = "tables"
"""Where in a city folder its tables are."""


class NoStreets(ValueError):
    """The streets of a market cannot be opened; the message says what to do."""


def opened(ways: Ways) -> TravelTimes:
    """Return the travel times of a description; raises NoStreets."""
    if isinstance(ways, StraightLine):
        return ways
    return exact(ways) if ways.lookup is Lookup.EXACT else by_table(ways)


def exact(ways: OnStreets) -> Exact:
    """Return the exact times on streets, however those are looked up; raises NoStreets."""
    with _lock(ways.folder):
        terrain = _terrain(ways.folder, ways.vehicle, ways.centre)
        return Exact(terrain, _weighed(_at_usual_pace(ways)), ways.pace)


def by_table(ways: OnStreets) -> Tabled:
    """Return the times on streets by a table, however they are looked up; raises NoStreets."""
    with _lock(ways.folder):
        return replace(_tabled(_at_usual_pace(ways)), pace=ways.pace)


def closing(ways: OnStreets, outlines: tuple[Outline, ...]) -> OnStreets:
    """Return the ways with the streets in these areas closed as well; raises NoStreets."""
    if not outlines:
        return ways
    with _lock(ways.folder):
        closed = _closed(ways.folder, ways.vehicle, ways.centre, outlines)
    return structs.replace(ways, closed=tuple(sorted({*ways.closed, *closed}))[:CLOSED_MAX])


@lru_cache(maxsize=LOCKS_MAX)
def _lock(_folder: str) -> threading.RLock:
    """Return what sees to it that streets are opened once, when several rounds ask for them."""
    return threading.RLock()


def _at_usual_pace(ways: OnStreets) -> OnStreets:
    """Return what times depend on that are dear to make."""
    return structs.replace(ways, pace=1.0, lookup=Lookup.EXACT)


@lru_cache(maxsize=TERRAINS_MAX)
def _terrain(folder: str, vehicle: str, centre: LatLng) -> Terrain:
    if vehicle not in VEHICLES:
        raise NoStreets(f"there is no vehicle {vehicle!r}; choose one of {', '.join(VEHICLES)}")
    try:
        terrain = Terrain(load_network(Path(folder)), Vehicle(vehicle), centre)
        check(terrain)
    except (BadFolder, BadGraph) as error:
        raise NoStreets(f"the streets of {folder} cannot be opened: {error}") from error
    return terrain


@lru_cache(maxsize=TIMES_MAX)
def _closed(
    folder: str, vehicle: str, centre: LatLng, outlines: tuple[Outline, ...]
) -> tuple[int, ...]:
    return arcs_within(_terrain(folder, vehicle, centre).network, outlines)


@lru_cache(maxsize=TIMES_MAX)
def _weighed(ways: OnStreets) -> Weighed:
    terrain = _terrain(ways.folder, ways.vehicle, ways.centre)
    try:
        return terrain.weighed(ways.closed, ways.road_paces)
    except BadGraph as error:
        raise NoStreets(f"the streets of {ways.folder} cannot be weighed: {error}") from error


@lru_cache(maxsize=TIMES_MAX)
def _tabled(ways: OnStreets) -> Tabled:
    """Return the times of a table; that of free streets is kept in their folder."""
    terrain = _terrain(ways.folder, ways.vehicle, ways.centre)
    rows = _rows(terrain, ways)
    if ways.closed or ways.road_paces:
        return tabled(terrain, table(terrain, _weighed(ways), rows))
    kept = Path(ways.folder) / TABLES / f"{ways.vehicle}-{_digest(terrain):08x}"
    if (found := find_table(kept, rows)) is not None:
        return tabled(terrain, found)
    made = table(terrain, _weighed(ways), rows)
    with suppress(OSError):  # A folder that cannot be written is read as well.
        save_table(kept, made)
    return tabled(terrain, find_table(kept, rows) or made)


def _rows(terrain: Terrain, ways: OnStreets) -> Cells:
    try:
        return cells(terrain)
    except TooWide as error:
        raise NoStreets(f"{ways.folder} has no table: {error}; or look times up exactly") from error


def _digest(terrain: Terrain) -> int:
    """Return a number that differs for other streets, and for streets cut up otherwise."""
    parts = terrain.stations
    return zlib.crc32(parts.graph.heads.tobytes(), zlib.crc32(parts.seconds.tobytes()))
