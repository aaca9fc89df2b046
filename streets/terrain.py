"""A city's streets as one vehicle meets them: its stations on a market's plane, and their times.

Whatever asks for travel times asks about points; what the hierarchy knows are stations. Here is the
way from the one to the other: the station nearest to any point, and the seconds of every part of a
street when some streets are closed and some classes of roads slow. All of it is read only once it
is made, and may be shared by threads.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geo.grid import blank_spots, grid_over, no_nearest, search
from geo.point import Floats, LatLng
from geo.projection import Projection
from streets.dijkstra import Arcs, seconds_from
from streets.network import Network
from streets.roads import ROADS, Vehicle
from streets.routing import BadGraph, Hierarchy, Weighed
from streets.stations import Ints, stations

TRIALS = 1
"""Stations from which the hierarchy is compared with Dijkstra's rule whenever one is made."""

_IS_STATION = 1


class Snapped(NamedTuple):
    """The station that each of n points is taken to be at, and how far it is from there."""

    station: Ints
    gap_m: Floats


class Terrain:
    """The streets of a network that a vehicle may use."""

    def __init__(self, network: Network, vehicle: Vehicle, centre: LatLng) -> None:
        """Cut the network up and order it; raises BadGraph when it cannot be trusted."""
        self.network, self.vehicle = network, vehicle
        self.projection = Projection(centre)
        self.stations = stations(network, vehicle)
        self.points = self.projection.to_points(self.stations.lat, self.stations.lng)
        if not np.isfinite(self.points).all():
            raise BadGraph(f"some streets are too far from the market's centre at {centre}")
        self.usual_pace = float(self.stations.seconds.sum() / self.stations.metres.sum())
        """Seconds a metre, over all streets: of the way to the nearest of them."""
        self.hierarchy = Hierarchy(self.stations.graph)
        spots = blank_spots(len(self.points))
        spots["x_m"], spots["y_m"] = self.points.T
        spots["state"] = _IS_STATION
        self.parts_of = np.bincount(self.stations.arc, minlength=network.arcs)
        """How many parts each arc of the network is cut into."""
        self._grid = grid_over(spots, np.arange(len(spots), dtype=np.int32))

    def nearest(self, points: Floats) -> Snapped:
        """Return the station nearest to each of (n, 2) points."""
        found = no_nearest(len(points), 1)
        search(self._grid, _IS_STATION, np.ascontiguousarray(points, dtype=np.float64), found)
        return Snapped(found.slots[:, 0].astype(np.int64), np.sqrt(found.gaps_m2[:, 0]))

    def seconds(self, closed: Sequence[int] = (), road_paces: Sequence[float] = ()) -> Floats:
        """Return how long each part takes when arcs are closed and classes of roads are slow."""
        seconds = self.stations.seconds
        if road_paces:
            if len(road_paces) != len(ROADS):
                raise BadGraph(f"{len(road_paces)} paces are given for {len(ROADS)} kinds of roads")
            seconds = seconds * np.asarray(road_paces)[self.stations.road]
        if closed:
            seconds = np.where(np.isin(self.stations.arc, closed), np.inf, seconds)
        return seconds

    def weighed(self, closed: Sequence[int] = (), road_paces: Sequence[float] = ()) -> Weighed:
        """Return the fastest ways at such times."""
        return self.hierarchy.weighed(self.seconds(closed, road_paces))


def check(terrain: Terrain) -> None:
    """Compare the ways from a few stations with Dijkstra's; raises BadGraph if any differs."""
    count = len(terrain.points)
    seconds = terrain.stations.seconds
    weighed = terrain.hierarchy.weighed(seconds)
    arcs, every = Arcs(terrain.stations.graph), np.arange(count, dtype=np.uint32)
    whole_ms = np.rint(seconds * 1_000)
    for origin in range(0, count, -(-count // TRIALS)):
        quick_s = weighed.matrix_s(every[origin : origin + 1], every)[0]
        if not np.array_equal(quick_s, seconds_from(arcs, whole_ms, count, origin) / 1_000):
            raise BadGraph(
                f"the hierarchy is wrong from station {origin}: use straight lines, and look for "
                "another version of pyroutingkit"
            )
