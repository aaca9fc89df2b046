"""A city folder as a place to simulate: its restaurants, its doors, and the streets between them.

The people of such a city are made up (`simulations.city`); where they eat and live is not. What is
read here is checked by `streets.folder`, and kept for as long as the process lives, because several
policies are tried on the same day.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from geo.point import Floats, LatLng, Point
from geo.projection import Projection
from geo.travel import Lookup, OnStreets
from streets.folder import City, load_city, load_doors, load_restaurants
from streets.roads import Vehicle

BLOCK_M = 1_000.0
"""The middle of a city is the block of this size with the most restaurants."""
TRIES = 512
"""Doors that are drawn for a customer, of which the first one within reach is his."""


class TooEmpty(ValueError):
    """A city folder without what a day needs; the message says what lacks."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a day needs to know of a city folder. Points are on the plane around its centre."""

    city: City
    restaurants: tuple[str, ...]
    restaurant_points: Floats
    door_points: Floats
    ways: OnStreets

    @property
    def centre(self) -> LatLng:
        """Return where the plane touches the Earth."""
        return self.city.centre

    def central(self, radius_m: float) -> list[int]:
        """Return the rows of the restaurants at most so far from the middle of the city."""
        points = self.restaurant_points
        blocks = np.floor(points / BLOCK_M).astype(np.int64)
        _, block, count = np.unique(blocks, axis=0, return_inverse=True, return_counts=True)
        middle = points[block == count.argmax()].mean(axis=0)
        return np.flatnonzero(np.hypot(*(points - middle).T) <= radius_m).tolist()

    def door(self, around: Point, reach_m: float, rng: np.random.Generator) -> Point:
        """Return a door within reach of a point, each as likely; the nearest one drawn if none."""
        drawn = self.door_points[rng.integers(0, len(self.door_points), TRIES)]
        gaps_m = np.hypot(drawn[:, 0] - around.x_m, drawn[:, 1] - around.y_m)
        within = np.flatnonzero(gaps_m <= reach_m)
        x_m, y_m = drawn[within[0] if len(within) else gaps_m.argmin()].tolist()
        return Point(x_m, y_m)


@lru_cache(maxsize=4)
def mapped(folder: str, vehicle: str, lookup: Lookup) -> Mapped:
    """Read a city folder; raises BadFolder, TooEmpty."""
    path = Path(folder)
    city, restaurants, doors = load_city(path), load_restaurants(path), load_doors(path)
    if not restaurants or not doors:
        lacking = "restaurant" if not restaurants else "door"
        raise TooEmpty(f"{folder} has no {lacking}, and without one nobody orders")
    if vehicle not in Vehicle:
        raise TooEmpty(f"there is no vehicle {vehicle!r}; choose one of {', '.join(Vehicle)}")
    projection = Projection(city.centre)
    return Mapped(
        city=city,
        restaurants=tuple(one.name or one.amenity.replace("_", " ") for one in restaurants),
        restaurant_points=projection.to_points(
            np.array([one.place.lat for one in restaurants]),
            np.array([one.place.lng for one in restaurants]),
        ),
        door_points=projection.to_points(
            np.array([door.lat for door in doors]), np.array([door.lng for door in doors])
        ),
        ways=OnStreets(folder=folder, vehicle=vehicle, centre=city.centre, lookup=lookup),
    )
