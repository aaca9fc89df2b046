"""A city's people: the same seed is the same day, and real places stay where they are."""

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from geo.point import gap_m
from geo.travel import OnStreets
from simulations.city import OVERHANG_S, centre_of, populate, ways_of
from simulations.spec import CITIES, BadSpec, Peak, find_spec, with_options
from tests.simulations.folders import toy_city
from tests.streets.lattices import CENTRE

TOWN = CITIES["town"]


def test_the_same_seed_makes_the_same_people_and_another_seed_others() -> None:
    first, again, other = populate(TOWN, 7), populate(TOWN, 7), populate(TOWN, 8)

    assert first == again
    assert first != other


def test_a_population_is_as_large_as_its_spec_and_lives_within_the_opening_hours() -> None:
    people = populate(TOWN, 1)

    opens_s, closes_s = TOWN.opens_h * 3600, (TOWN.opens_h + TOWN.hours) * 3600
    assert len(people.orders) == TOWN.orders
    assert len(people.couriers) == TOWN.couriers
    assert len(people.restaurants) == TOWN.restaurants
    assert all(opens_s <= order.placed_s <= closes_s for order in people.orders)
    leave_s = closes_s + OVERHANG_S
    assert all(opens_s <= one.starts_s < one.ends_s <= leave_s for one in people.couriers)


def test_people_are_hungry_at_the_peaks() -> None:
    spec = structs.replace(TOWN, peaks=(Peak(19.0, 0.5, 1.0),), orders=1_000)

    placed_h = [order.placed_s / 3600 for order in populate(spec, 1).orders]

    assert sum(18 <= hour <= 20 for hour in placed_h) > 900


def test_more_couriers_do_not_change_what_is_ordered() -> None:
    more = with_options(TOWN, couriers=80, orders=None, hours=None)

    assert populate(more, 3).orders == populate(TOWN, 3).orders
    assert len(populate(more, 3).couriers) == 80


def test_in_a_city_folder_people_eat_and_live_where_the_map_says(tmp_path: Path) -> None:
    spec = structs.replace(
        find_spec(str(toy_city(tmp_path / "toy", restaurants=12))), orders=200, restaurants=8
    )

    people = populate(spec, 4)

    names = {restaurant.name for restaurant in people.restaurants}
    assert len(people.restaurants) == 8
    assert names < {f"Place {number}" for number in range(12)}
    doors = {(round(order.dropoff.x_m), round(order.dropoff.y_m)) for order in people.orders}
    assert {x_m % 50 for door in doors for x_m in door} == {0}
    assert populate(spec, 4) == people


def test_customers_of_a_city_folder_order_from_within_reach(tmp_path: Path) -> None:
    spec = structs.replace(find_spec(str(toy_city(tmp_path / "toy"))), orders=150, reach_km=0.4)

    people = populate(spec, 2)

    gaps_m = [
        gap_m(people.restaurants[order.restaurant].point, order.dropoff) for order in people.orders
    ]
    assert max(gaps_m) <= 400
    assert np.mean(gaps_m) > 150


def test_only_restaurants_near_the_middle_take_part(tmp_path: Path) -> None:
    spec = structs.replace(
        find_spec(str(toy_city(tmp_path / "toy", restaurants=60))), radius_km=0.5
    )

    people = populate(spec, 1)

    points = np.array([(one.point.x_m, one.point.y_m) for one in people.restaurants])
    assert 3 < len(points) < 60
    assert np.ptp(points, axis=0).max() <= 1_000


def test_what_is_promised_in_a_city_folder_is_a_ride_on_its_streets(tmp_path: Path) -> None:
    spec = structs.replace(find_spec(str(toy_city(tmp_path / "toy"))), orders=20)

    people = populate(spec, 3)

    for order in people.orders:
        restaurant = people.restaurants[order.restaurant]
        ride_s = order.promised_s - restaurant.prep_s - 60 * spec.promise_slack_min
        assert ride_s > gap_m(restaurant.point, order.dropoff) / 6.0


def test_a_city_folder_has_its_own_plane_and_ways(tmp_path: Path) -> None:
    spec = find_spec(str(toy_city(tmp_path / "toy")))

    assert centre_of(spec) == CENTRE
    assert ways_of(spec) == OnStreets(
        folder=spec.folder, vehicle=spec.vehicle, centre=CENTRE, lookup=spec.lookup
    )


def test_a_folder_in_which_nobody_lives_cannot_be_simulated(tmp_path: Path) -> None:
    spec = find_spec(str(toy_city(tmp_path / "toy", doors=0)))

    with pytest.raises(BadSpec, match="toy has no door, and without one nobody orders"):
        populate(spec, 1)


def test_a_folder_whose_streets_are_spoilt_cannot_be_simulated(tmp_path: Path) -> None:
    folder = toy_city(tmp_path / "toy")
    (folder / "network.npz").write_bytes(b"PK\x03\x04 and no more")

    with pytest.raises(BadSpec, match=r"network.npz is no road network"):
        populate(find_spec(str(folder)), 1)
