"""The fastest ways themselves, between any points of a market's plane: a travel-time provider.

A point is taken to be at its nearest station, plus the straight line to there at the usual pace of
the network, so that a place off the streets, even in the sea, has a time that is finite and long.
Two points at one station are as far apart as the straight line. A pair that no way joins, because
streets are closed, takes `UNREACHABLE_S`: finite, because a planner adds and weighs times, and so
long that leaving the order out is cheaper.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from geo.point import Floats, Point, gap_m
from streets.routing import Numbers, Path, Weighed
from streets.stations import Ints
from streets.terrain import Snapped, Terrain

UNREACHABLE_S = 86_400.0
"""How long a way takes that there is none of."""


class Way(NamedTuple):
    """How a courier gets from one point to another, to be driven and drawn."""

    seconds: float
    metres: float
    points: Floats
    """(n, 2) on the market's plane, at most a station's step apart, both ends included."""
    at_s: Floats
    """(n,) when he is at each of them, seconds after he sets out."""
    parts: tuple[int, ...]
    """The parts of streets that he uses, from station to station; empty if there is no way."""


@dataclass(frozen=True, slots=True)
class Exact:
    """Travel times on the fastest ways, `pace` times as long as the weights say."""

    terrain: Terrain
    weighed: Weighed
    pace: float = 1.0

    def seconds(self, a: Point, b: Point) -> float:
        """Return the travel time from `a` to `b`."""
        return float(self.matrix_s(_row(a), _row(b))[0, 0])

    def matrix_s(self, origins: Floats, destinations: Floats) -> Floats:
        """Return the travel times from each of (n, 2) origins to each of (m, 2) destinations."""
        a, b = self.terrain.nearest(origins), self.terrain.nearest(destinations)
        times_s = self._between_s(a.station, b.station)
        times_s += self.terrain.usual_pace * np.add.outer(a.gap_m, b.gap_m)
        self._straighten(times_s, a, b, origins, destinations)
        times_s *= self.pace
        return np.minimum(times_s, UNREACHABLE_S, out=times_s)

    def way(self, a: Point, b: Point) -> Way:
        """Return the way from `a` to `b`: where there is none, a line of `UNREACHABLE_S`."""
        ends = np.concatenate((_row(a), _row(b)))
        (origin, destination), gaps_m = self.terrain.nearest(ends)
        path = self.weighed.find_path(int(origin), int(destination))
        if path is None or not path.arcs:
            seconds = self.seconds(a, b)
            return Way(seconds, gap_m(a, b), ends, np.array((0.0, seconds)), ())
        points = np.concatenate((ends[:1], self.terrain.points[list(path.nodes)], ends[1:]))
        metres = float(self.terrain.stations.metres[list(path.arcs)].sum() + gaps_m.sum())
        at_s = self._at_s(path, gaps_m)
        return Way(float(at_s[-1]), metres, points, at_s, path.arcs)

    def line(self, way: Way) -> Floats:
        """Return latitudes and longitudes along a way, every bend of its streets included.

        Only streets that are used from end to end are known bend by bend; of the first and the
        last one, and where there is no street at all, the points of the way are all there is.
        """
        terrain = self.terrain
        places = terrain.projection.to_lat_lngs(way.points)
        if not way.parts:
            return places
        arcs = terrain.stations.arc[list(way.parts)]
        bounds = [0, *(np.flatnonzero(np.diff(arcs)) + 1).tolist(), len(arcs)]
        lines = [places[:2]]
        for first, end in pairwise(bounds):
            arc = int(arcs[first])
            is_whole = end - first == int(terrain.parts_of[arc])
            lines.append(
                terrain.network.line_of(arc)[1:] if is_whole else places[first + 2 : end + 2]
            )
        return np.concatenate((*lines, places[-1:]))

    def _between_s(self, origins: Ints, destinations: Ints) -> Floats:
        """Return the times between stations; each pair of them is worked out only once."""
        a, a_row = _distinct(origins)
        b, b_row = _distinct(destinations)
        return self.weighed.matrix_s(a, b)[np.ix_(a_row, b_row)]

    def _straighten(
        self, times_s: Floats, a: Snapped, b: Snapped, origins: Floats, destinations: Floats
    ) -> None:
        """Give points at one station the time of the straight line between them."""
        rows, columns = np.nonzero(np.equal.outer(a.station, b.station))
        gaps = origins[rows] - destinations[columns]
        times_s[rows, columns] = self.terrain.usual_pace * np.hypot(gaps[:, 0], gaps[:, 1])

    def _at_s(self, path: Path, gaps_m: Floats) -> Floats:
        """Return when each point of a way is passed: its ends, and the stations of its path.

        The times of the parts are those of the map, drawn to what the path takes in all: some of
        its streets may be slow at present.
        """
        parts_s = self.terrain.stations.seconds[list(path.arcs)]
        parts_s = parts_s * (path.seconds / max(float(parts_s.sum()), 1e-9))
        first_s, last_s = (self.terrain.usual_pace * gaps_m).tolist()
        return self.pace * np.cumsum((0.0, first_s, *parts_s.tolist(), last_s))


def _row(point: Point) -> Floats:
    return np.array(((point.x_m, point.y_m),))


def _distinct(stations: Ints) -> tuple[Numbers, Ints]:
    distinct, rows = np.unique(stations, return_inverse=True)
    return distinct.astype(np.uint32), rows
