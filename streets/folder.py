"""A city folder: what is known of a city, as files that anything here can read.

    city.json         what it is, from where, what is in it (`City`)
    network.npz       the road network (`streets.network.Network`), one array for each of its fields
    restaurants.json  where food comes from (`MappedRestaurant`)
    doors.json        where customers may live (`Door`)
    tiles.pmtiles     the map for screens, unless it was left out

A folder comes into being whole or not at all: it is written beside its place under a name that
starts with a dot, and renamed. What is read is checked like anything from outside, since a folder
may have been cut short by a copy or written by another version.
"""

import shutil
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from dispatch.hours import Spans
from geo.point import LatLng
from streets.network import Network
from streets.roads import ROADS, VEHICLES

FORMAT = 1
CITY = "city.json"
NETWORK = "network.npz"
RESTAURANTS = "restaurants.json"
DOORS = "doors.json"
TILES = "tiles.pmtiles"

FILE_BYTES_MAX = 2 * 1024**3
NAME_MAX = 120
TEXT_MAX = 255
RESTAURANTS_MAX = 200_000
DOORS_MAX = 5_000_000
CUISINES_MAX = 8

ATTRIBUTION = "© OpenStreetMap contributors"

type Text = Annotated[str, Meta(max_length=TEXT_MAX)]
type Week = Annotated[tuple[Spans, ...], Meta(min_length=7, max_length=7)]


class BadFolder(ValueError):
    """A city folder that cannot be written or read; the message says what to do."""


class Bounds(Struct, frozen=True, kw_only=True):
    """The box, in degrees, around the roads of a city."""

    south: float
    west: float
    north: float
    east: float


class Counts(Struct, frozen=True, kw_only=True):
    """What came into a city, and what did not."""

    junctions: int
    arcs: int
    restaurants: int
    doors: int
    addresses: int
    """Doors that are house numbers on the map; the others are buildings or places along streets."""
    with_hours: int
    """Restaurants whose opening hours are understood."""
    missing_nodes: int = 0
    """Nodes of ways that the extract does not hold, or that are nowhere on Earth."""
    broken_areas: int = 0
    """Outlines that cross themselves or do not close, left out of the map."""
    far_restaurants: int = 0
    """Restaurants with no road near them, left out."""
    shut_arcs: dict[str, int] = {}
    """Arcs shut to a vehicle because it could not come back from them."""


class City(Struct, frozen=True, kw_only=True):
    """What a city folder holds and where it is from."""

    format: int = FORMAT
    name: Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]
    attribution: str = ATTRIBUTION
    licence: Text
    extracted_at: Text = ""
    """The date that the extract gives itself; empty when it gives none."""
    timezone: Annotated[str, Meta(min_length=1, max_length=64)]
    is_timezone_guessed: bool
    """Whether the zone is the one of the nearest city in the list of zones."""
    centre: LatLng
    bounds: Bounds
    counts: Counts
    has_tiles: bool


class MappedRestaurant(Struct, frozen=True, kw_only=True):
    """A restaurant, place of fast food or cafe, as the map knows it."""

    id: Text
    """Its object on the map: `n12` a node, `w12` a way, `r12` a relation."""
    name: Text
    """Empty when the map names none."""
    amenity: Text
    cuisines: Annotated[tuple[Text, ...], Meta(max_length=CUISINES_MAX)] = ()
    place: LatLng
    address: Text = ""
    opening_hours: Text = ""
    """As the map has it."""
    week: Week | None = None
    """The same hours, Monday first; None when there are none, or they are not understood."""


class Door(Struct, frozen=True, array_like=True):
    """Where a customer may live. Without a label it is a building, or a place along a street."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]
    label: Text = ""


_cities = msgspec.json.Decoder(City)
_restaurants = msgspec.json.Decoder(
    Annotated[tuple[MappedRestaurant, ...], Meta(max_length=RESTAURANTS_MAX)]
)
_doors = msgspec.json.Decoder(Annotated[tuple[Door, ...], Meta(max_length=DOORS_MAX)])


def save_city(
    folder: Path,
    city: City,
    network: Network,
    restaurants: tuple[MappedRestaurant, ...],
    doors: tuple[Door, ...],
) -> None:
    """Write all but the tiles; `city.json` comes last."""
    save_network(folder, network)
    (folder / RESTAURANTS).write_bytes(msgspec.json.encode(restaurants))
    (folder / DOORS).write_bytes(msgspec.json.encode(doors))
    (folder / CITY).write_bytes(msgspec.json.format(msgspec.json.encode(city)) + b"\n")


def save_network(folder: Path, network: Network) -> None:
    """Write the network."""
    centre = np.array((network.centre.lat, network.centre.lng))
    columns = {name: getattr(network, name) for name in _columns()}
    np.savez(folder / NETWORK, centre=centre, **columns)


def load_city(folder: Path) -> City:
    """Read what a folder holds; raises BadFolder."""
    city = _decoded(folder / CITY, _cities.decode)
    if city.format != FORMAT:
        raise BadFolder(
            f"{folder} is of format {city.format}, and this version reads {FORMAT}: import it again"
        )
    return city


def load_restaurants(folder: Path) -> tuple[MappedRestaurant, ...]:
    """Read a city's restaurants; raises BadFolder."""
    return _decoded(folder / RESTAURANTS, _restaurants.decode)


def load_doors(folder: Path) -> tuple[Door, ...]:
    """Read a city's doors; raises BadFolder."""
    return _decoded(folder / DOORS, _doors.decode)


def load_network(folder: Path) -> Network:
    """Read a city's road network, checked so that no arc leads out of it; raises BadFolder."""
    path = folder / NETWORK
    try:
        with _checked(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            lat, lng = arrays["centre"].tolist()
            columns = {name: arrays[name] for name in _columns()}
            network = Network(centre=LatLng(lat, lng), **columns)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BadFolder(f"{path} is no road network ({error}): import the city again") from error
    if (flaw := flaw_of(network)) is not None:
        raise BadFolder(f"{path} is no road network ({flaw}): import the city again")
    return network


def flaw_of(network: Network) -> str | None:
    """Return what is wrong with a network's arrays, or None."""
    n, m, lines = network.junctions, network.arcs, len(network.line_first) - 1
    shapes = {name: getattr(network, name).shape for name in _columns()}
    expected = {
        **dict.fromkeys(("lat", "lng"), (n,)),
        **dict.fromkeys(("tail", "head", "length_m", "road", "way", "line", "is_backward"), (m,)),
        "seconds": (len(VEHICLES), m),
        "line_first": (lines + 1,),
        **dict.fromkeys(("line_lat", "line_lng"), (int(network.line_first[-1]),)),
    }
    for name, shape in expected.items():
        if shapes[name] != shape:
            return f"{name} has the shape {shapes[name]}, not {shape}"
    return _flaw_of_numbers(network)


def _flaw_of_numbers(network: Network) -> str | None:
    lines = len(network.line_first) - 1
    ends = {"tail": network.junctions, "head": network.junctions, "line": lines, "road": len(ROADS)}
    for name, count in ends.items():
        column: NDArray[np.integer] = getattr(network, name)
        if not _within(column, 0, count - 1):
            return f"{name} has numbers outside 0 to {count - 1}"
    if network.line_first[0] != 0 or (np.diff(network.line_first) < 2).any():  # noqa: PLR2004
        return "a line has two places or more"
    if not (_within(network.lat, -90, 90) and _within(network.lng, -180, 180)):
        return "a junction is nowhere on Earth"
    if not ((network.seconds > 0).all() and (network.length_m > 0).all()):
        return "an arc takes no time"
    return None


def _within(column: NDArray[np.number], low: float, high: float) -> bool:
    return bool(((column >= low) & (column <= high)).all())


def _columns() -> list[str]:
    return [field.name for field in fields(Network) if field.name != "centre"]


def _decoded[T](path: Path, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(_checked(path).read_bytes())
    except OSError as error:
        raise BadFolder(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadFolder(f"{path} is not what an import writes ({error})") from error


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise BadFolder(
            f"{path} is missing: make the folder with `dispatch city import FILE.osm.pbf`"
        )
    if path.stat().st_size > FILE_BYTES_MAX:
        raise BadFolder(f"{path} is over {FILE_BYTES_MAX // 1024**3} GB; that is no city")
    return path


@contextmanager
def folder_in_the_making(target: Path, *, replace: bool) -> Generator[Path]:
    """Give an empty folder that becomes `target` at the end, or vanishes if anything fails.

    A folder in its place is refused, and with `replace` taken away only when the new one is ready.
    Only what is a city folder, or empty, is ever taken away.
    """
    check_target(target, replace=replace)
    making = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield making
        making.chmod(0o755)
        _put(making, target)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def check_target(target: Path, *, replace: bool) -> None:
    """Refuse a place where a city folder cannot be put."""
    if not target.parent.is_dir():
        raise BadFolder(f"there is no folder {target.parent} to put {target.name} into: make it")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise BadFolder(f"{target} is no folder; name another with --to")
    if target.is_dir() and any(target.iterdir()):
        if not (target / CITY).is_file():
            raise BadFolder(f"{target} holds other things than a city; name another with --to")
        if not replace:
            raise BadFolder(f"{target} is there already; say --replace to import it anew")


def _put(making: Path, target: Path) -> None:
    """Rename the new folder into its place; an old one is put back if that fails."""
    if not target.exists():
        making.rename(target)
        return
    old = Path(mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    target.rename(old)
    try:
        making.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
