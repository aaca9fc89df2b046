"""Travel times by table: a look-up for each pair of points, a few millionths of a second for ten.

A time is that of the two cells, with the offsets of the two stations, the straight lines to them,
and half of what the points are nearer to each other, or farther, than the cells' speakers are. In
one cell, and where the speakers are near each other, that says too little: there it is the straight
line, at the pace that short ways of this city have. No time is less than the straight line at the
pace of a good road.
"""

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.compiled import compiled_for
from geo.point import Floats, Point
from streets.exact import UNREACHABLE_S
from streets.stations import Ints
from streets.table import NO_WAY, SIDEWAYS, Offsets, Seconds, Table
from streets.terrain import Terrain

NEAR_M = 150.0
"""Speakers nearer than this stand for cells that touch, or are one."""
SHORT_M = 1_000.0
"""How far apart the speakers are of whose times the pace of short ways is worked out."""
GOOD_ROAD = 0.7
"""The pace of a good road, as a share of the usual one."""


class Ends(NamedTuple):
    """Where ways begin, or end: (n,) points, their cells, and what is to be added to a time."""

    points: Floats
    """(n, 2)"""
    row: Ints
    speakers: Floats
    """(n, 2)"""
    added_s: Floats


class Paces(NamedTuple):
    """Seconds for each metre: over all streets, and of short ways as the crow flies."""

    usual: float
    short: float


_ENDS = Ends(np.zeros((1, 2)), np.zeros(1, dtype=np.int64), np.zeros((1, 2)), np.zeros(1))
_TABLE: Seconds = np.zeros((1, 1), dtype=np.uint16)
_TABLE.flags.writeable = False


@compiled_for(_TABLE, _ENDS, _ENDS, Paces(1.0, 1.0))
def looked_up_s(table: Seconds, origins: Ends, destinations: Ends, paces: Paces) -> Floats:
    """Return the times from each of n ends to each of m, by the rule of this module."""
    times_s = np.empty((len(origins.row), len(destinations.row)))
    points, speakers, added_s = destinations.points, destinations.speakers, destinations.added_s
    sideways, floor = SIDEWAYS * paces.usual, GOOD_ROAD * paces.usual
    for i in range(len(origins.row)):
        row, leaving_s = table[origins.row[i]], origins.added_s[i]
        x_m, y_m = origins.points[i, 0], origins.points[i, 1]
        speaker_x_m, speaker_y_m = origins.speakers[i, 0], origins.speakers[i, 1]
        for j in range(len(destinations.row)):
            dx_m, dy_m = points[j, 0] - x_m, points[j, 1] - y_m
            gap_m = sqrt(dx_m * dx_m + dy_m * dy_m)
            dx_m, dy_m = speakers[j, 0] - speaker_x_m, speakers[j, 1] - speaker_y_m
            apart_m = sqrt(dx_m * dx_m + dy_m * dy_m)
            known_s = float(row[destinations.row[j]])
            time_s = known_s + leaving_s + added_s[j] + sideways * (gap_m - apart_m)
            time_s = max(time_s, floor * gap_m)
            if apart_m < NEAR_M:
                time_s = gap_m * paces.short
            times_s[i, j] = UNREACHABLE_S if known_s == NO_WAY else time_s
    return times_s


@dataclass(frozen=True, slots=True)
class Tabled:
    """Travel times by a table, `pace` times as long as it says."""

    terrain: Terrain
    table: Table
    paces: Paces
    pace: float = 1.0

    def seconds(self, a: Point, b: Point) -> float:
        """Return the travel time from `a` to `b`."""
        origin, destination = np.array(((a.x_m, a.y_m),)), np.array(((b.x_m, b.y_m),))
        return float(self.matrix_s(origin, destination)[0, 0])

    def matrix_s(self, origins: Floats, destinations: Floats) -> Floats:
        """Return the travel times from each of (n, 2) origins to each of (m, 2) destinations."""
        leaving, arriving = self._ends(origins, 0), self._ends(destinations, 1)
        times_s = looked_up_s(self.table.seconds, leaving, arriving, self.paces)
        times_s *= self.pace
        return np.minimum(times_s, UNREACHABLE_S, out=times_s)

    def _ends(self, points: Floats, side: int) -> Ends:
        station, gaps_m = self.terrain.nearest(points)
        row = self.table.cells.row[station]
        offsets_s: Offsets = self.table.offsets_s[side, station]
        return Ends(
            points=np.array(points, dtype=np.float64, order="C"),
            row=row,
            speakers=self.terrain.points[self.table.cells.speaker[row]],
            added_s=offsets_s + self.terrain.usual_pace * gaps_m,
        )


def tabled(terrain: Terrain, table: Table) -> Tabled:
    """Return the times of a table at the pace of the map."""
    table.seconds.flags.writeable = False
    return Tabled(terrain, table, Paces(terrain.usual_pace, _short_pace(terrain, table)))


def _short_pace(terrain: Terrain, table: Table) -> float:
    """Return the median pace, as the crow flies, between speakers at most `SHORT_M` apart."""
    points = terrain.points[table.cells.speaker]
    sample = np.unique(np.linspace(0, len(points) - 1, 400).astype(np.int64))
    gaps_m = np.hypot(
        np.subtract.outer(points[sample, 0], points[:, 0]),
        np.subtract.outer(points[sample, 1], points[:, 1]),
    )
    times_s = table.seconds[sample]
    is_short: NDArray[np.bool_] = (gaps_m >= NEAR_M) & (gaps_m <= SHORT_M) & (times_s != NO_WAY)
    if not is_short.any():
        return terrain.usual_pace
    return float(np.median(times_s[is_short] / gaps_m[is_short]))
