"""The city folder: read back as written, whole or not there, and never believed unseen."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import structs

from dispatch.hours import Span
from geo.point import LatLng
from streets.extract import read_extract
from streets.folder import (
    CITY,
    DOORS,
    NETWORK,
    RESTAURANTS,
    BadFolder,
    Bounds,
    City,
    Counts,
    Door,
    MappedRestaurant,
    flaw_of,
    folder_in_the_making,
    load_city,
    load_doors,
    load_network,
    load_restaurants,
    save_city,
    save_network,
)
from streets.network import Network, network_of
from tests.streets.towns import ORIGIN, grid_town

CITY_OF_GRID = City(
    name="Grid",
    licence="none",
    timezone="Europe/Malta",
    is_timezone_guessed=False,
    centre=ORIGIN,
    bounds=Bounds(south=35, west=14, north=36, east=15),
    counts=Counts(junctions=16, arcs=48, restaurants=1, doors=2, addresses=1, with_hours=1),
    has_tiles=False,
)
RESTAURANTS_OF_GRID = (
    MappedRestaurant(
        id="n1",
        name="Il-Forn",
        amenity="restaurant",
        cuisines=("pizza",),
        place=LatLng(35.9, 14.5),
        opening_hours="11:00-23:00",
        week=((Span(660, 1_380),),) * 7,
    ),
)
DOORS_OF_GRID = (Door(35.9, 14.5, "Triq il-Kbira 3"), Door(35.91, 14.51))


@pytest.fixture
def network(tmp_path: Path) -> Network:
    path = grid_town().save(tmp_path / "grid.osm.pbf")
    return network_of(read_extract(path, len).roads, ORIGIN).network


@pytest.fixture
def folder(tmp_path: Path, network: Network) -> Path:
    folder = tmp_path / "grid"
    folder.mkdir()
    save_city(folder, CITY_OF_GRID, network, RESTAURANTS_OF_GRID, DOORS_OF_GRID)
    return folder


def test_a_city_is_read_back_as_it_was_written(folder: Path, network: Network) -> None:
    read = load_network(folder)

    assert load_city(folder) == CITY_OF_GRID
    assert load_restaurants(folder) == RESTAURANTS_OF_GRID
    assert load_doors(folder) == DOORS_OF_GRID
    for column in fields(Network):
        assert np.array_equal(getattr(read, column.name), getattr(network, column.name))


def test_a_city_is_the_same_bytes_whenever_it_is_written(
    tmp_path: Path, folder: Path, network: Network
) -> None:
    again = tmp_path / "again"
    again.mkdir()

    save_city(again, CITY_OF_GRID, network, RESTAURANTS_OF_GRID, DOORS_OF_GRID)

    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("name", "load"),
    [
        (CITY, load_city),
        (NETWORK, load_network),
        (RESTAURANTS, load_restaurants),
        (DOORS, load_doors),
    ],
)
def test_a_file_that_is_missing_cut_short_or_scrambled_is_told(
    folder: Path, name: str, load: Callable[[Path], object]
) -> None:
    path = folder / name
    whole = path.read_bytes()

    path.unlink()
    with pytest.raises(BadFolder, match="is missing: make the folder with `dispatch city import"):
        load(folder)
    for content in (whole[: len(whole) // 2], whole[:-2], b"", bytes(reversed(whole)), b"\xff[]"):
        path.write_bytes(content)
        with pytest.raises(BadFolder, match="import"):
            load(folder)


def test_another_format_is_to_be_imported_again(folder: Path) -> None:
    newer = structs.replace(CITY_OF_GRID, format=99)
    (folder / CITY).write_bytes(msgspec.json.encode(newer))

    with pytest.raises(BadFolder, match=r"format 99.*import it again"):
        load_city(folder)


def test_an_arc_that_leads_out_of_the_network_is_found(folder: Path, network: Network) -> None:
    damaged = replace(network, head=network.head + np.int32(1))
    save_network(folder, damaged)

    with pytest.raises(BadFolder, match="head has numbers outside 0 to 15"):
        load_network(folder)


def test_every_array_is_looked_at(network: Network) -> None:
    flaws = {
        "lat": network.lat + 90,
        "tail": network.tail - 1,
        "line": network.line + 1_000,
        "road": network.road + 99,
        "length_m": network.length_m[:-1],
        "seconds": network.seconds[:2],
        "line_first": network.line_first[::-1],
        "line_lat": network.line_lat[1:],
    }
    negative = replace(network, seconds=-network.seconds)
    nowhere = replace(network, lng=network.lng * np.nan)

    assert flaw_of(network) is None
    for name, column in flaws.items():
        assert flaw_of(replace(network, **{name: column})) is not None, name
    assert flaw_of(negative) == "an arc takes no time"
    assert flaw_of(nowhere) == "a junction is nowhere on Earth"


class Interrupted(Exception):
    """Something went wrong half-way."""


def half_make(target: Path) -> None:
    with folder_in_the_making(target, replace=True) as making:
        (making / CITY).write_text("half")
        raise Interrupted


def test_nothing_is_there_when_the_making_fails(tmp_path: Path) -> None:
    target = tmp_path / "city"

    with pytest.raises(Interrupted):
        half_make(target)

    assert list(tmp_path.iterdir()) == []


def test_an_old_city_stays_when_the_making_of_the_new_one_fails(folder: Path) -> None:
    with pytest.raises(Interrupted):
        half_make(folder)

    assert load_city(folder) == CITY_OF_GRID
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_city_makes_way_only_when_that_is_said(folder: Path) -> None:
    with (
        pytest.raises(BadFolder, match="there already; say --replace"),
        folder_in_the_making(folder, replace=False),
    ):
        pass

    with folder_in_the_making(folder, replace=True) as making:
        (making / CITY).write_text("new")

    assert [path.name for path in folder.iterdir()] == [CITY]
    assert [path for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_other_things_never_makes_way(tmp_path: Path) -> None:
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "cat.png").touch()

    with (
        pytest.raises(BadFolder, match="holds other things"),
        folder_in_the_making(precious, replace=True),
    ):
        pass

    assert (precious / "cat.png").exists()


def test_a_file_a_link_or_a_place_in_no_folder_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)

    for name, said in (("file", "is no folder"), ("link", "is no folder"), ("a/b", "no folder")):
        with (
            pytest.raises(BadFolder, match=said),
            folder_in_the_making(tmp_path / name, replace=True),
        ):
            pass
