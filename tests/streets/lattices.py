"""Networks for tests: lattices of streets drawn in metres, without a file in between."""

from collections.abc import Callable
from random import Random

import numpy as np

from geo.point import LatLng
from geo.projection import Projection
from streets.network import Network, RoadLine, network_of
from streets.roads import passage

CENTRE = LatLng(55.676, 12.568)

type Tagged = Callable[[int, int, bool], dict[str, str] | None]
"""From a corner's column and row, and whether the street goes east of it (else north), to tags."""


def plain(_column: int, _row: int, _goes_east: bool) -> dict[str, str]:  # noqa: FBT001
    """Have all streets alike."""
    return {"highway": "residential"}


def untidy(seed: int) -> Tagged:
    """Have streets of several classes, some of them one-way, some missing."""
    rng = Random(seed)

    def tags(_column: int, _row: int, _goes_east: bool) -> dict[str, str] | None:  # noqa: FBT001
        kind = rng.choice(("residential", "residential", "secondary", "footway", "living_street"))
        oneway = rng.choice(("no", "no", "no", "yes", "-1"))
        return None if rng.random() < 0.12 else {"highway": kind, "oneway": oneway}

    return tags


def lattice(side: int, block_m: float = 150.0, tagged: Tagged = plain) -> Network:
    """Return a square town of `side` x `side` corners around its centre."""
    plane = Projection(CENTRE)
    roads: list[RoadLine] = []
    middle_m = (side - 1) * block_m / 2
    for column in range(side):
        for row in range(side):
            for goes_east in (True, False):
                there = (column + goes_east, row + (not goes_east))
                tags = tagged(column, row, goes_east)
                if max(there) >= side or tags is None:
                    continue
                found = passage(tags, block_m)
                assert found is not None
                ends = ((column, row), there)
                points = np.array(ends, dtype=float) * block_m - middle_m
                places: list[tuple[float, float]] = plane.to_lat_lngs(points).tolist()
                roads.append(
                    RoadLine(
                        way=len(roads),
                        passage=found,
                        nodes=[x * side + y for x, y in ends],
                        lats=[lat for lat, _ in places],
                        lngs=[lng for _, lng in places],
                    )
                )
    return network_of(roads, CENTRE).network
