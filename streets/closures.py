"""Which streets a drawn area closes: every arc whose line touches it, in both directions.

Areas were checked when they were drawn (`geo.polygon`), and their edges are straight in degrees,
as lines of streets are here. A street that only begins inside is closed as a whole, up to its next
junction, since nobody gets through it.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.polygon import shape_of
from geo.zone import Outline
from streets.network import Network


def arcs_within(network: Network, outlines: Sequence[Outline]) -> tuple[int, ...]:
    """Return the arcs that run into any of these areas, in rising order."""
    if not outlines:
        return ()
    lines = _lines(network)
    is_met = np.zeros(len(lines), dtype=np.bool_)
    for outline in outlines:
        shape = shape_of(outline)
        shapely.prepare(shape)
        is_met |= shapely.intersects(shape, lines)
    return tuple(np.flatnonzero(is_met[network.line]).tolist())


def _lines(network: Network) -> NDArray[np.object_]:
    """Return the line of every street, by its number."""
    places = np.column_stack((network.line_lng, network.line_lat))
    sizes = np.diff(network.line_first)
    lines = shapely.linestrings(places, indices=np.repeat(np.arange(len(sizes)), sizes))
    return np.asarray(lines, dtype=np.object_)
