"""Closed areas: exactly the streets that run into them are shut, both ways."""

import numpy as np

from geo.point import Point
from geo.zone import Outline
from streets.closures import arcs_within
from streets.network import Network
from streets.roads import Vehicle
from streets.terrain import Terrain
from tests.streets.lattices import CENTRE, lattice

NETWORK: Network = lattice(5, 200.0)
TERRAIN = Terrain(NETWORK, Vehicle.WALK, CENTRE)


def square(middle: Point, half_m: float) -> Outline:
    """Return a square on the plane as what somebody drew."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    places = [
        TERRAIN.projection.to_lat_lng(Point(middle.x_m + x * half_m, middle.y_m + y * half_m))
        for x, y in corners
    ]
    return ((tuple((place.lng, place.lat) for place in places),),)


def middles(arcs: tuple[int, ...]) -> set[tuple[int, int]]:
    """Return the middles of these arcs in whole metres."""
    points = NETWORK.points()
    ends = points[NETWORK.tail[list(arcs)]] + points[NETWORK.head[list(arcs)]]
    return {(round(x_m), round(y_m)) for x_m, y_m in (ends / 2).tolist()}


def test_an_area_across_one_street_closes_it_in_both_directions() -> None:
    arcs = arcs_within(NETWORK, [square(Point(100.0, 0.0), 20.0)])

    assert len(arcs) == 2
    assert middles(arcs) == {(100, 0)}
    assert (NETWORK.tail[arcs[0]], NETWORK.head[arcs[0]]) == (
        NETWORK.head[arcs[1]],
        NETWORK.tail[arcs[1]],
    )


def test_an_area_around_a_corner_closes_all_streets_that_meet_there() -> None:
    arcs = arcs_within(NETWORK, [square(Point(0.0, 0.0), 30.0)])

    assert middles(arcs) == {(100, 0), (-100, 0), (0, 100), (0, -100)}


def test_an_area_between_the_streets_closes_none() -> None:
    assert arcs_within(NETWORK, [square(Point(100.0, 100.0), 60.0)]) == ()
    assert arcs_within(NETWORK, []) == ()


def test_several_areas_close_what_each_of_them_does() -> None:
    one, other = square(Point(100.0, 0.0), 20.0), square(Point(-100.0, 200.0), 20.0)

    together = arcs_within(NETWORK, [one, other])

    assert set(together) == {*arcs_within(NETWORK, [one]), *arcs_within(NETWORK, [other])}
    assert list(together) == sorted(together)


def test_nobody_is_routed_through_a_closed_area() -> None:
    closed = arcs_within(NETWORK, [square(Point(0.0, 0.0), 150.0)])
    weighed = TERRAIN.weighed(closed)
    ends = TERRAIN.nearest(np.array([(-400.0, 0.0), (400.0, 0.0)])).station

    path = weighed.find_path(*ends.tolist())

    assert path is not None
    assert np.abs(TERRAIN.points[list(path.nodes)]).max(axis=1).min() >= 199
