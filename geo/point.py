"""Points on a market's plane in metres, and places on the Earth in degrees."""

from math import hypot

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

type Floats = NDArray[np.float64]

LAT_MAX = 90
LNG_MAX = 180


class Point(Struct, frozen=True, gc=False):
    """A point on a market's plane, in metres east and north of its origin."""

    x_m: float
    y_m: float


def gap_m(a: Point, b: Point) -> float:
    """Return the straight distance between two points of one plane."""
    return hypot(b.x_m - a.x_m, b.y_m - a.y_m)


class LatLng(Struct, frozen=True, gc=False):
    """A place on the Earth in degrees (WGS 84), checked whenever one is made or decoded."""

    lat: float
    lng: float

    def __post_init__(self) -> None:
        """Refuse what is no place."""
        if not abs(self.lat) <= LAT_MAX:
            raise ValueError(f"a latitude is between -90 and 90 degrees, not {self.lat}")
        if not abs(self.lng) <= LNG_MAX:
            raise ValueError(f"a longitude is between -180 and 180 degrees, not {self.lng}")
