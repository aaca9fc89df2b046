"""Building a city: what a whole town comes to, and what no city can be made of."""

import json
from pathlib import Path

import pytest
from msgspec import structs

from streets.build import answer, build_city
from streets.extract import BadExtract
from streets.folder import load_city, load_doors, load_network, load_restaurants
from streets.request import LAYERS, Flaw, Report, Request
from tests.streets.towns import ORIGIN, Town, grid_town

HOURS = "Mo-Su 11:00-23:00"


def request(town: Town, folder: Path) -> Request:
    """Ask for a town to be built into a folder of its own."""
    built = folder / "built"
    built.mkdir(exist_ok=True)
    return Request(
        source=str(town.save(folder / "town.osm.pbf")),
        folder=str(built),
        name="Town",
        has_tiles=True,
        memory_bytes_max=1,
    )


def seaside() -> Town:
    """A town on an island, with a restaurant in it and one in the sea."""
    town = grid_town()
    town.ring([(-400, -400), (1_000, -400), (1_000, 1_000), (-400, 1_000)], natural="coastline")
    town.node(100, 10, amenity="restaurant", name="Il-Forn", opening_hours=HOURS)
    town.node(9_000, 10, amenity="cafe", name="Atlantis")
    town.node(300, 10, addr__housenumber="7", addr__street="Triq il-Kbira")
    return town


def test_a_town_comes_to_a_folder_that_can_be_read(tmp_path: Path) -> None:
    report = build_city(request(seaside(), tmp_path))

    folder = tmp_path / "built"
    assert load_city(folder) == report.city
    assert report.city.timezone == "Europe/Malta"
    assert report.city.centre.lat == pytest.approx(ORIGIN.lat, abs=0.01)
    assert [one.name for one in load_restaurants(folder)] == ["Il-Forn"]
    assert load_doors(folder)[0].label == "Triq il-Kbira 7"
    assert load_network(folder).arcs == report.city.counts.arcs == 48


def test_what_a_person_should_know_is_remarked(tmp_path: Path) -> None:
    town = seaside()
    town.ring([(0, 0), (20, 20), (20, 0), (0, 20)], leisure="park")
    town.way([1, 2, 999], highway="footway")

    remarks = "\n".join(build_city(request(town, tmp_path)).remarks)

    assert "left out for lack of a road near them: Atlantis" in remarks
    assert "1 outlines cross themselves or do not close" in remarks
    assert "1 nodes are not in the extract or not on Earth" in remarks
    assert "Europe/Malta is a guess; name another with --timezone" in remarks


def test_a_city_without_restaurants_or_doors_is_one_and_says_so(tmp_path: Path) -> None:
    town = Town()
    corners = [town.node(x_m, y_m) for x_m, y_m in ((0, 0), (900, 0), (900, 900))]
    town.way([*corners, corners[0]], highway="primary")

    report = build_city(request(town, tmp_path))

    assert (report.city.counts.restaurants, report.city.counts.doors) == (0, 0)
    assert [one for one in report.remarks if "no restaurants" in one or "no doors" in one] != []
    assert load_restaurants(tmp_path / "built") == ()


def test_the_layers_have_the_sea_and_the_streets(tmp_path: Path) -> None:
    build_city(request(seaside(), tmp_path))

    lines = (tmp_path / "built" / LAYERS).read_text().splitlines()
    features = [json.loads(line) for line in lines]
    kinds = [feature["properties"]["class"] for feature in features]
    assert kinds.count("residential") == 8
    assert kinds[-1] == "sea"
    assert features[-1]["geometry"]["type"] == "Polygon"
    assert len(features[-1]["geometry"]["coordinates"]) == 2


def test_the_same_file_makes_the_same_bytes(tmp_path: Path) -> None:
    wanted = request(seaside(), tmp_path)
    again = tmp_path / "again"
    again.mkdir()

    build_city(wanted)
    build_city(structs.replace(wanted, folder=str(again)))

    for path in (tmp_path / "built").iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_an_extract_without_roads_makes_no_city(tmp_path: Path) -> None:
    town = Town()
    town.node(0, 0, amenity="restaurant")

    with pytest.raises(BadExtract, match="no road that a courier may use"):
        build_city(request(town, tmp_path))


def test_roads_without_a_way_back_make_no_city(tmp_path: Path) -> None:
    town = Town()
    town.way([town.node(0, 0), town.node(500, 0)], highway="motorway")

    with pytest.raises(BadExtract, match="leads from one place to another and back"):
        build_city(request(town, tmp_path))


def test_a_way_around_the_world_makes_no_city(tmp_path: Path) -> None:
    town = grid_town()
    town.way([1, town.node_at(-100.0, 10.0)], highway="residential")

    assert answer(request(town, tmp_path)) == Flaw(
        "its roads reach over 200 km from their middle; cut out one city"
    )


def test_a_zone_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    wanted = structs.replace(request(seaside(), tmp_path), timezone="Europe/Rome")

    report = answer(wanted)

    assert isinstance(report, Report)
    assert (report.city.timezone, report.city.is_timezone_guessed) == ("Europe/Rome", False)
    assert not any("guess" in remark for remark in report.remarks)
