"""Where food comes from and where it goes: restaurants near a road, and doors.

A place far from any road is left out: nobody could go there, and most such places are mistakes of
the map. Doors are house numbers where there are any; where there are none near, buildings; and
where there are neither, places along the streets that people live in. So a quarter whose houses
nobody has drawn still has customers, about as dense as its streets are.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.point import Floats
from geo.projection import Projection
from streets.folder import Door, MappedRestaurant
from streets.network import Network
from streets.roads import ROADS

RESTAURANT_GAP_M_MAX = 250.0
DOOR_GAP_M_MAX = 250.0
BUILDING_SPACING_M = 30.0
"""A building this near to a house number is taken to be that house."""
STREET_SPACING_M = 40.0

_HOME_STREETS = tuple(map(ROADS.index, ("residential", "living_street", "pedestrian")))
_ROW = 1 << 32


class Near(NamedTuple):
    """Restaurants that can be reached, and those with no road near them."""

    kept: tuple[MappedRestaurant, ...]
    far: tuple[MappedRestaurant, ...]


class Roadside:
    """The lines of a network on its plane, and how far places are from them."""

    def __init__(self, network: Network) -> None:
        """Lay the lines out."""
        self.projection = Projection(network.centre)
        points = self.projection.to_points(network.line_lat, network.line_lng)
        sizes = np.diff(network.line_first)
        number = np.repeat(np.arange(len(sizes)), sizes)
        self.lines = np.asarray(shapely.linestrings(points, indices=number), dtype=np.object_)
        self._tree = shapely.STRtree(self.lines)

    def is_near(self, points: Floats, gap_m: float) -> NDArray[np.bool_]:
        """Return which points have a road within this gap."""
        is_near = np.zeros(len(points), dtype=np.bool_)
        is_known = np.isfinite(points).all(axis=1)
        found = self._tree.query_nearest(
            shapely.points(points[is_known]), max_distance=gap_m, all_matches=False
        )
        is_near[np.flatnonzero(is_known)[found[0]]] = True
        return is_near


def reachable(restaurants: Sequence[MappedRestaurant], roadside: Roadside) -> Near:
    """Part the restaurants that have a road near them from those that do not."""
    lat = np.array([restaurant.place.lat for restaurant in restaurants])
    lng = np.array([restaurant.place.lng for restaurant in restaurants])
    is_near = roadside.is_near(roadside.projection.to_points(lat, lng), RESTAURANT_GAP_M_MAX)
    marked = list(zip(restaurants, is_near.tolist(), strict=True))
    return Near(
        tuple(restaurant for restaurant, near in marked if near),
        tuple(restaurant for restaurant, near in marked if not near),
    )


def doors(
    addresses: Sequence[Door], buildings: Sequence[Door], network: Network, roadside: Roadside
) -> tuple[Door, ...]:
    """Return where customers may live: house numbers first, then what fills the gaps."""
    numbered, numbered_m = _near(addresses, roadside)
    houses, houses_m = _near(buildings, roadside)
    is_new = _is_apart(houses_m, numbered_m, BUILDING_SPACING_M)
    houses = [house for house, new in zip(houses, is_new.tolist(), strict=True) if new]
    known_m = np.concatenate((numbered_m, houses_m[is_new]))
    streets_m = _along_streets(network, roadside)
    streets_m = streets_m[_is_apart(streets_m, known_m, STREET_SPACING_M)]
    lats, lngs = roadside.projection.to_lat_lngs(streets_m).round(7).T.tolist()
    return (*numbered, *houses, *map(Door, lats, lngs))


def _near(places: Sequence[Door], roadside: Roadside) -> tuple[list[Door], Floats]:
    """Return the doors that have a road near them, and their points."""
    lat, lng = np.array([(place.lat, place.lng) for place in places]).reshape(-1, 2).T
    points = roadside.projection.to_points(lat, lng)
    is_near = roadside.is_near(points, DOOR_GAP_M_MAX)
    return [place for place, near in zip(places, is_near.tolist(), strict=True) if near], points[
        is_near
    ]


def _is_apart(points: Floats, others: Floats, spacing_m: float) -> NDArray[np.bool_]:
    """Return which points have none of the others in their square or in one of the eight around.

    Squares instead of distances: it takes a sort instead of a search, and a door more or less
    changes nothing.
    """
    taken = np.unique(
        [_squares(others, spacing_m, east, north) for east in (-1, 0, 1) for north in (-1, 0, 1)]
    )
    return ~np.isin(_squares(points, spacing_m), taken)


def _squares(points: Floats, side_m: float, east: int = 0, north: int = 0) -> NDArray[np.int64]:
    squares = np.floor(points / side_m).astype(np.int64)
    return (squares[:, 0] + east) * _ROW + squares[:, 1] + north


def _along_streets(network: Network, roadside: Roadside) -> Floats:
    """Return places at even gaps along the streets that people live in."""
    is_home = np.isin(network.road, _HOME_STREETS)
    lines = roadside.lines[np.unique(network.line[is_home])]
    lengths_m = shapely.length(lines)  # pyright: ignore[reportUnknownMemberType]
    counts = np.floor(lengths_m / STREET_SPACING_M).astype(np.int64)
    line = np.repeat(np.arange(len(lines)), counts)
    rank = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    at_m = (rank + 0.5) * lengths_m[line] / counts[line]
    spots = shapely.line_interpolate_point(lines[line], at_m)  # pyright: ignore[reportUnknownMemberType]
    return shapely.get_coordinates(spots)
