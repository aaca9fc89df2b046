"""H3 cells: which one a place lies in, the coarser ones around it, and the shard it belongs to.

A cell is the 64-bit H3 index as an int, or an int64 in an array: the highest bit of an H3 index is
never set. Couriers, restaurants and zones live in cells of resolution `FINE` (edges of 200 m).

The shard of anything is the parent of its fine cell, found by bit mask. It must never be found by
locating the place a second time at the coarse resolution: H3 cells do not nest exactly, so 6-7 % of
places lie in a coarse cell that is not the parent of their fine one, and two ways of asking would
name two owners for them.
"""

from math import hypot
from typing import NamedTuple, NewType

import h3.api.basic_int as h3
import h3.api.memview_int as h3_views
import numpy as np
from numpy.typing import NDArray

from geo.point import LatLng, Point
from geo.projection import Projection

Cell = NewType("Cell", int)
type Cells = NDArray[np.int64]

FINE = 9
"""The resolution at which positions are kept."""

SHARD = 4
"""The resolution of shards; a dense city may use 5."""

RINGS_MAX = 50
"""The widest disk that may be asked for: 7,651 cells, 17 km across at resolution 9."""

NOWHERE = Cell(0)
"""Stands for "no cell" in columns: it is no valid index."""

_RESOLUTION_SHIFT = 52
_RESOLUTION_BITS = 0xF << _RESOLUTION_SHIFT
_DIGIT_BITS = 3
_FINEST = 15
_CORE_SHARE = 0.99


def cell_at(lat: float, lng: float, resolution: int = FINE) -> Cell:
    """Return the cell that a place given in degrees lies in."""
    return Cell(h3.latlng_to_cell(lat, lng, resolution))


def resolution_of(cell: Cell) -> int:
    """Return the resolution of a cell, 0 (coarsest) to 15."""
    return (cell & _RESOLUTION_BITS) >> _RESOLUTION_SHIFT


def parent(cell: Cell, resolution: int) -> Cell:
    """Return the cell around `cell` at a resolution no finer than its own."""
    if not 0 <= resolution <= resolution_of(cell):
        raise ValueError(f"{cell:x} has no parent of resolution {resolution}")
    return Cell(cell & ~_RESOLUTION_BITS | _parent_bits(resolution))


def parents(cells: Cells, resolution: int) -> Cells:
    """Return the parents of many cells, shape as given, by the rule of `parent`."""
    own = (cells & _RESOLUTION_BITS) >> _RESOLUTION_SHIFT
    if resolution < 0 or (own < resolution).any():
        raise ValueError(f"not every cell has a parent of resolution {resolution}")
    return cells & ~_RESOLUTION_BITS | _parent_bits(resolution)


def shard_of(cell: Cell, resolution: int = SHARD) -> Cell:
    """Return the shard that owns whatever is in `cell`: always its parent, never a second look."""
    return parent(cell, resolution)


def disk(cell: Cell, rings: int) -> Cells:
    """Return the cells at most `rings` steps away, `cell` among them, in rising order."""
    if not 0 <= rings <= RINGS_MAX:
        raise ValueError(f"a disk has 0 to {RINGS_MAX} rings, not {rings}")
    return np.sort(np.frombuffer(h3_views.grid_disk(cell, rings), dtype=np.int64))


class Core(NamedTuple):
    """A disc on a market's plane of which every point lies in one cell."""

    x_m: float
    y_m: float
    radius_m: float


def core(cell: Cell, projection: Projection) -> Core:
    """Return the disc around the cell's centre that surely lies inside it: some 80 % of it.

    An edge of a cell is an arc of a great circle and not quite straight on the plane. The disc is
    therefore 1 % smaller than the largest that fits between the chords; at resolution 9 the arcs
    stray from them by millimetres.
    """
    centre = projection.to_point(LatLng(*h3.cell_to_latlng(cell)))
    corners = [projection.to_point(LatLng(*corner)) for corner in h3.cell_to_boundary(cell)]
    edges = zip(corners, corners[1:] + corners[:1], strict=True)
    radius_m = min(_depth_m(centre, a, b) for a, b in edges)
    return Core(centre.x_m, centre.y_m, _CORE_SHARE * radius_m)


def _parent_bits(resolution: int) -> int:
    """Return the new resolution, and ones for every digit finer than it."""
    unused = (1 << _DIGIT_BITS * (_FINEST - resolution)) - 1
    return resolution << _RESOLUTION_SHIFT | unused


def _depth_m(inside: Point, a: Point, b: Point) -> float:
    """Return the distance of a point from the line through `a` and `b`."""
    dx_m, dy_m = b.x_m - a.x_m, b.y_m - a.y_m
    twice_area = dx_m * (inside.y_m - a.y_m) - dy_m * (inside.x_m - a.x_m)
    return abs(twice_area) / hypot(dx_m, dy_m)
