"""Zones: land as H3 cells, and its outline for a map.

The cells are what counts: a place lies in a zone when the cell around it is one of them. The
outline is for people to look at; its edges are chords, so that along them it strays from the cells
by metres.
"""

from collections.abc import Iterable
from functools import lru_cache

import h3.api.basic_int as h3

from geo.cell import Cell, resolution_of

ZONES_MAX = 256
"""Outlines that are kept, since making one takes milliseconds and zones seldom change."""

type Ring = tuple[tuple[float, float], ...]
"""Longitudes and latitudes around an area, the last the same as the first."""
type Outline = tuple[tuple[Ring, ...], ...]
"""Areas, each as its outer ring and its holes: the coordinates of a GeoJSON MultiPolygon."""


@lru_cache(ZONES_MAX)
def outline(cells: tuple[int, ...]) -> Outline:
    """Return the outline of cells of one resolution, or of several."""
    if not cells:
        return ()
    finest = max(resolution_of(Cell(cell)) for cell in cells)
    shape = h3.cells_to_h3shape(h3.uncompact_cells(cells, finest), tight=False)
    return tuple(tuple(_ring(ring) for ring in (area.outer, *area.holes)) for area in shape.polys)


def cell_name(cell: int) -> str:
    """Return how a cell is written outside: its index in hexadecimal digits."""
    return f"{cell:x}"


def _ring(corners: Iterable[tuple[float, float]]) -> Ring:
    around = [(lng, lat) for lat, lng in corners]
    return (*around, around[0])
