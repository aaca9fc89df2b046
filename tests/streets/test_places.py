"""Restaurants and doors: what is near a road, and where customers live when nobody drew houses."""

from pathlib import Path

import numpy as np
import pytest

from geo.projection import Projection
from streets.extract import Extract, read_extract
from streets.folder import Door
from streets.network import network_of
from streets.places import Roadside, doors, reachable
from tests.streets.towns import ORIGIN, Town, grid_town, place_at


def drawn(town: Town, folder: Path) -> tuple[Extract, Roadside, tuple[Door, ...]]:
    """What is read of a town, its roadside, and its doors."""
    found = read_extract(town.save(folder / "town.osm.pbf"), len)
    network = network_of(found.roads, ORIGIN).network
    roadside = Roadside(network)
    return found, roadside, doors(found.addresses, found.buildings, network, roadside)


def house(town: Town, x_m: float, y_m: float, **tags: str) -> None:
    town.ring(
        [(x_m, y_m), (x_m + 10, y_m), (x_m + 10, y_m + 10), (x_m, y_m + 10)],
        building="yes",
        **tags,
    )


def points(doors: tuple[Door, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    lat, lng = np.array([(door.lat, door.lng) for door in doors]).T
    return Projection(ORIGIN).to_points(lat, lng)


def test_a_restaurant_in_the_sea_is_told_apart(tmp_path: Path) -> None:
    town = grid_town()
    town.node(100, 100, amenity="restaurant", name="Il-Forn")
    town.node(-5_000, 0, amenity="restaurant", name="Atlantis")
    found, roadside, _ = drawn(town, tmp_path)

    near = reachable(found.restaurants, roadside)

    assert [restaurant.name for restaurant in near.kept] == ["Il-Forn"]
    assert [restaurant.name for restaurant in near.far] == ["Atlantis"]


def test_a_restaurant_on_the_other_side_of_the_earth_is_far_from_any_road(tmp_path: Path) -> None:
    town = grid_town()
    town.node_at(-165.5, -35.9, amenity="restaurant")
    found, roadside, _ = drawn(town, tmp_path)

    near = reachable(found.restaurants, roadside)

    assert near.kept == ()
    assert len(near.far) == 1


def test_a_town_without_houses_has_doors_along_its_streets(tmp_path: Path) -> None:
    _, roadside, found = drawn(grid_town(blocks=2, block_m=210), tmp_path)

    assert len(found) == 2 * 6 * 5
    assert roadside.is_near(points(found), 0.1).all()
    assert {door.label for door in found} == {""}


def test_house_numbers_come_first_and_what_is_near_them_is_not_doubled(tmp_path: Path) -> None:
    town = grid_town(blocks=1, block_m=400)
    town.node(100, 10, addr__housenumber="1")
    house(town, 95, 5)
    house(town, 300, 5)

    _, _, found = drawn(town, tmp_path)

    assert found[0].label == "1"
    assert points(found)[1] == pytest.approx((305, 10), abs=0.5)
    gaps_m = np.hypot(*(points(found)[2:] - points(found)[0]).T)
    assert gaps_m.min() > 40
    assert len(found) == 2 + 4 * 10 - 6


def test_a_door_far_from_any_road_is_no_door(tmp_path: Path) -> None:
    town = grid_town()
    town.node(-5_000, 0, addr__housenumber="1")

    _, _, found = drawn(town, tmp_path)

    assert all(door.label == "" for door in found)


def test_a_town_of_main_roads_has_only_the_doors_that_are_drawn(tmp_path: Path) -> None:
    town = Town()
    corners = [town.node(x_m, y_m) for x_m, y_m in ((0, 0), (900, 0), (900, 900))]
    town.way([*corners, corners[0]], highway="primary")
    house(town, 100, 20)

    _, _, found = drawn(town, tmp_path)

    assert len(found) == 1
    assert found[0].lat == pytest.approx(place_at(105, 25).lat, abs=1e-5)
