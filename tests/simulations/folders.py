"""A toy city folder for tests: a lattice of streets with restaurants and doors along them."""

from itertools import product
from pathlib import Path
from random import Random

from geo.point import LatLng, Point
from geo.projection import Projection
from streets.folder import Bounds, City, Counts, Door, MappedRestaurant, save_city
from tests.streets.lattices import CENTRE, lattice

SIDE, BLOCK_M = 11, 200.0
HALF_M = (SIDE - 1) * BLOCK_M / 2


def toy_city(folder: Path, restaurants: int = 20, doors: int = 300) -> Path:
    """Write a town of 2 x 2 km into a folder and return it; doors stand at whole fifties."""
    rng, plane = Random(5), Projection(CENTRE)
    network = lattice(SIDE, BLOCK_M)
    folder.mkdir()
    corners = list(product(range(SIDE), repeat=2))
    places = [
        plane.to_lat_lng(Point(x * BLOCK_M - HALF_M, y * BLOCK_M - HALF_M + 20))
        for x, y in rng.sample(corners, restaurants)
    ]
    homes = [_door(rng, plane) for _ in range(doors)]
    counts = Counts(
        junctions=network.junctions,
        arcs=network.arcs,
        restaurants=restaurants,
        doors=doors,
        addresses=0,
        with_hours=0,
    )
    bounds = Bounds(south=55.0, west=12.0, north=56.0, east=13.0)
    city = City(
        name=folder.name,
        licence="nobody's",
        timezone="Europe/Copenhagen",
        is_timezone_guessed=True,
        centre=CENTRE,
        bounds=bounds,
        counts=counts,
        has_tiles=False,
    )
    mapped = tuple(
        MappedRestaurant(id=f"n{number}", name=f"Place {number}", amenity="cafe", place=place)
        for number, place in enumerate(places)
    )
    save_city(folder, city, network, mapped, tuple(Door(at.lat, at.lng) for at in homes))
    return folder


def _door(rng: Random, plane: Projection) -> LatLng:
    """Return a place along a street."""
    along_m, street_m = rng.randrange(0, 2_000, 50) - HALF_M, rng.randrange(SIDE) * BLOCK_M - HALF_M
    ends = (along_m, street_m) if rng.random() < 0.5 else (street_m, along_m)
    return plane.to_lat_lng(Point(*ends))
