"""Exact times: those of the fastest way, wherever its ends are and whatever is closed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.point import Floats, Point, gap_m
from streets.dijkstra import Arcs, seconds_from
from streets.exact import UNREACHABLE_S, Exact
from streets.folder import load_network
from streets.importing import Import, import_city
from streets.roads import ROADS, Vehicle
from streets.routing import BadGraph, Hierarchy, Weighed
from streets.terrain import Terrain, check
from tests.streets.lattices import CENTRE, lattice, untidy
from tests.streets.towns import grid_town

BLOCK_M = 150.0
TOWN = Terrain(lattice(7, BLOCK_M), Vehicle.BICYCLE, CENTRE)
OLD_TOWN = Terrain(lattice(9, BLOCK_M, untidy(2)), Vehicle.CAR, CENTRE)
PACE = TOWN.usual_pace

metres = st.floats(-900, 900)
points = st.builds(Point, metres, metres)


def exact(terrain: Terrain = TOWN, pace: float = 1.0, closed: tuple[int, ...] = ()) -> Exact:
    return Exact(terrain, terrain.weighed(closed), pace)


def arcs_touching(terrain: Terrain, point: Point) -> tuple[int, ...]:
    """Return the arcs that begin or end at the junction at a point."""
    (station,) = terrain.nearest(np.array([(point.x_m, point.y_m)])).station
    graph = terrain.stations.graph
    parts = (graph.tails == station) | (graph.heads == station)
    return tuple(np.unique(terrain.stations.arc[parts]).tolist())


def test_streets_are_followed_around_the_corner() -> None:
    corner, across = Point(-450.0, -450.0), Point(450.0, 450.0)

    took_s = exact().seconds(corner, across)

    assert took_s == pytest.approx(1_800 * PACE, rel=1e-3)


@given(st.lists(points, min_size=1, max_size=6), st.lists(points, min_size=1, max_size=6))
def test_a_matrix_holds_the_times_of_its_pairs(some: list[Point], others: list[Point]) -> None:
    travel = exact(OLD_TOWN)

    times_s = travel.matrix_s(
        np.array([(one.x_m, one.y_m) for one in some]),
        np.array([(one.x_m, one.y_m) for one in others]),
    )

    assert times_s.tolist() == [[travel.seconds(a, b) for b in others] for a in some]


@given(points, points)
def test_a_way_takes_the_time_that_is_told_and_ends_where_it_should(a: Point, b: Point) -> None:
    travel = exact(OLD_TOWN, pace=1.3)

    way = travel.way(a, b)

    assert way.seconds == pytest.approx(travel.seconds(a, b), abs=0.01)
    assert way.points[0].tolist() == [a.x_m, a.y_m]
    assert way.points[-1].tolist() == [b.x_m, b.y_m]
    assert way.at_s[0] == 0
    assert way.at_s[-1] == pytest.approx(way.seconds)
    assert (np.diff(way.at_s) >= 0).all()
    assert way.metres >= gap_m(a, b) * 0.999
    steps_m = np.hypot(*np.diff(way.points, axis=0).T).sum()
    assert way.metres == pytest.approx(steps_m, rel=2e-3, abs=0.1)


def test_a_line_to_be_drawn_follows_every_street_of_its_way() -> None:
    travel = exact()
    way = travel.way(Point(-450.0, -440.0), Point(320.0, 450.0))

    places = travel.line(way)

    drawn = TOWN.projection.to_points(places[:, 0], places[:, 1])
    assert drawn[0] == pytest.approx(way.points[0], abs=0.01)
    assert drawn[-1] == pytest.approx(way.points[-1], abs=0.01)
    length_m = np.hypot(*np.diff(drawn, axis=0).T).sum()
    assert length_m == pytest.approx(way.metres, rel=1e-3)


def test_one_way_streets_make_there_and_back_differ() -> None:
    here, there = OLD_TOWN.points[:40], OLD_TOWN.points[-40:]
    travel = exact(OLD_TOWN)

    forth_s, back_s = travel.matrix_s(here, there), travel.matrix_s(there, here).T

    assert not np.allclose(forth_s, back_s)


def test_a_place_in_the_sea_is_far_but_can_be_reached() -> None:
    shore, afloat = Point(450.0, 0.0), Point(2_450.0, 0.0)

    took_s = exact().seconds(afloat, Point(-450.0, 0.0))

    assert took_s == pytest.approx(exact().seconds(shore, Point(-450.0, 0.0)) + 2_000 * PACE)


def test_two_doors_of_one_station_are_a_straight_line_apart() -> None:
    assert exact().seconds(Point(2.0, 1.0), Point(2.0, 7.0)) == pytest.approx(6 * PACE)


def test_a_closed_street_is_gone_round() -> None:
    a, b = Point(-450.0, 0.0), Point(450.0, 0.0)
    closed = arcs_touching(TOWN, Point(0.0, 0.0))

    took_s = exact(closed=closed).seconds(a, b)

    assert exact().seconds(a, b) == pytest.approx(900 * PACE, rel=1e-3)
    assert took_s == pytest.approx((900 + 2 * BLOCK_M) * PACE, rel=1e-3)
    assert not set(TOWN.stations.arc[list(exact(closed=closed).way(a, b).parts)]) & set(closed)


def test_a_corner_cut_off_by_closed_streets_takes_finitely_for_ever() -> None:
    corner, middle = Point(-450.0, -450.0), Point(0.0, 0.0)
    travel = exact(closed=arcs_touching(TOWN, corner))

    way = travel.way(corner, middle)

    assert travel.seconds(corner, middle) == UNREACHABLE_S
    assert (way.seconds, way.parts) == (UNREACHABLE_S, ())
    assert travel.line(way).shape == (2, 2)


def test_a_slow_hour_makes_every_way_as_much_longer() -> None:
    times_s = exact().matrix_s(TOWN.points[:20], TOWN.points[20:50])

    slow_s = exact(pace=1.5).matrix_s(TOWN.points[:20], TOWN.points[20:50])

    assert slow_s == pytest.approx(1.5 * times_s)


def test_a_slow_class_of_roads_is_avoided() -> None:
    slow = tuple(9.0 if road == "secondary" else 1.0 for road in ROADS)
    before, after = exact(OLD_TOWN), Exact(OLD_TOWN, OLD_TOWN.weighed((), slow))
    classes = OLD_TOWN.stations.road

    ends = OLD_TOWN.points[::7]
    a, b = Point(*ends[0].tolist()), Point(*ends[-1].tolist())

    used = [
        (classes[list(one.way(a, b).parts)] == ROADS.index("secondary")).sum()
        for one in (before, after)
    ]
    assert used[0] > used[1]
    assert after.seconds(a, b) > before.seconds(a, b)


def test_paces_of_other_roads_than_there_are_are_refused() -> None:
    with pytest.raises(BadGraph, match="2 paces are given for"):
        TOWN.weighed((), (1.0, 2.0))


@pytest.mark.slow
def test_an_imported_town_is_routed_as_dijkstra_would(tmp_path: Path) -> None:
    source = grid_town(5).save(tmp_path / "town.osm.pbf")
    target = tmp_path / "town"
    import_city(Import(source=source, target=target, name="town", has_tiles=False))
    network = load_network(target)

    terrain = Terrain(network, Vehicle.BICYCLE, network.centre)

    arcs, count = Arcs(terrain.stations.graph), len(terrain.points)
    whole_ms = np.rint(terrain.stations.seconds * 1_000)
    every = np.arange(count, dtype=np.uint32)
    plain_s = [seconds_from(arcs, whole_ms, count, origin) / 1_000 for origin in range(count)]
    assert count > 36
    assert np.array_equal(terrain.weighed().matrix_s(every, every), np.array(plain_s))


class Mistaken(Hierarchy):
    """A hierarchy that takes one street for longer than it is."""

    def weighed(self, seconds: Floats) -> Weighed:
        return super().weighed(np.concatenate((seconds[:-1] + 0.5, seconds[-1:])))


def test_a_hierarchy_that_is_wrong_is_found_out() -> None:
    terrain = Terrain(lattice(4), Vehicle.BICYCLE, CENTRE)
    check(terrain)

    terrain.hierarchy = Mistaken(terrain.stations.graph)

    with pytest.raises(BadGraph, match="the hierarchy is wrong from station 0"):
        check(terrain)
