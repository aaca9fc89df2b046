"""Areas: checked polygons that answer at once whether a place lies in them.

An area knows the fine cells that lie wholly inside it and those that its border may run through. A
place in one of the first is inside without looking further; in one of the second the polygon itself
decides; anywhere else it is outside. Which of the two a cell belongs to is decided by a simpler
shape, some metres within the polygon or around it: the answer is exactly the polygon's, whatever
the edges of hexagons do, and a border with many corners takes no longer. Cells inside are kept as
few coarser ones, so that an area costs what its border is long.

The border itself counts as inside. Making an area takes milliseconds for a city; asking it is for
every order, and the columns at the end are for whoever has a whole road network to ask about.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import h3.api.basic_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from geo.cell import FINE, Cell, cell_at, parent, resolution_of
from geo.point import Floats, LatLng
from geo.polygon import PolygonFlawed, shape_of
from geo.zone import Outline, cell_name

DETAIL_DEG = 2e-4
"""Corners that lie closer than 20 m to the line without them do not count in finding cells."""
MARGIN_DEG = 2 * DETAIL_DEG
"""How far the simpler shapes are from the border before they lose corners."""

type Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Area:
    """A polygon and its cells.

    `inside` are cells of any resolution from `FINE` up, `border` fine ones; they share no land.
    """

    outline: Outline
    shape: MultiPolygon
    inside: frozenset[int]
    border: frozenset[int]

    def contains(self, where: LatLng, cell: Cell | None = None) -> bool:
        """Tell whether a place lies in the area; `cell` spares asking for its fine cell."""
        cell = cell_at(where.lat, where.lng) if cell is None else cell
        if cell in self.border:
            return bool(shapely.intersects_xy(self.shape, where.lng, where.lat))
        return any(parent(cell, one) in self.inside for one in self._resolutions)

    def contains_all(self, lat: Floats, lng: Floats) -> Flags:
        """Tell for many places whether they lie in the area."""
        return shapely.intersects_xy(self.shape, lng, lat)

    def crossed_by(self, starts: Floats, ends: Floats) -> Flags:
        """Tell which straight ways touch the area; both are latitudes and longitudes, (n, 2)."""
        corners = np.stack((starts[:, ::-1], ends[:, ::-1]), axis=1)
        west, south, east, north = self.shape.bounds
        low, high = corners.min(axis=1), corners.max(axis=1)
        near = (high >= (west, south)).all(axis=1) & (low <= (east, north)).all(axis=1)
        touched = np.zeros(len(corners), dtype=np.bool_)
        touched[near] = shapely.intersects(self.shape, shapely.linestrings(corners[near]))
        return touched

    @cached_property
    def cells(self) -> frozenset[int]:
        """All fine cells that some part of the area may lie in."""
        return self.border.union(h3.uncompact_cells(self.inside, FINE))

    @cached_property
    def names_inside(self) -> tuple[str, ...]:
        """How the cells inside are written outside, in the order of their numbers."""
        return tuple([cell_name(cell) for cell in sorted(self.inside)])

    @cached_property
    def _resolutions(self) -> tuple[int, ...]:
        """The resolutions of the cells inside, the finest first."""
        found = {resolution_of(Cell(cell)) for cell in self.inside}
        return tuple(sorted(found, reverse=True))


def area_of(outline: Outline) -> Area:
    """Return the area of an outline that was checked.

    Raises PolygonFlawed for one that no cells can be found for, close to a pole for instance.
    """
    shape = shape_of(outline)
    shapely.prepare(shape)
    try:
        touched = _cells(_simpler(shape, MARGIN_DEG), "overlap")
        inside = _cells(_simpler(shape, -MARGIN_DEG), "full") & touched
    except h3.H3BaseException as error:
        raise PolygonFlawed("no cells can be found for it: draw it anew, and simpler") from error
    return Area(outline, shape, frozenset(h3.compact_cells(inside)), touched - inside)


def _simpler(shape: MultiPolygon, margin_deg: float) -> BaseGeometry:
    """Return a shape of few corners that holds this one, or, of a negative margin, lies in it."""
    return shape.buffer(margin_deg, quad_segs=1).simplify(DETAIL_DEG)


def _cells(shape: BaseGeometry, contain: Literal["full", "overlap"]) -> frozenset[int]:
    """Return the fine cells that overlap a shape, or lie in it in full."""
    found: set[int] = set()
    for area in shapely.get_parts(shape):
        if not area.is_empty:
            outer, *holes = [[(lat, lng) for lng, lat in ring.coords] for ring in _rings(area)]
            polygon = h3.LatLngPoly(outer, *holes)
            found.update(h3.h3shape_to_cells_experimental(polygon, FINE, contain=contain))
    return frozenset(found)


def _rings(area: shapely.Polygon) -> list[shapely.LinearRing]:
    return [area.exterior, *area.interiors]
