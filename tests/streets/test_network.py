"""The road network: junctions, arcs and the lines between them, and where nobody gets stuck."""

from dataclasses import fields
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import (
    connected_components,  # pyright: ignore[reportUnknownVariableType]
)

from geo.point import LatLng
from streets.extract import read_extract
from streets.folder import flaw_of
from streets.network import Built, NoRoads, Numbers, RoadLine, largest_piece, network_of
from streets.roads import ROADS, VEHICLES, Vehicle, passage
from tests.streets.towns import ORIGIN, Town, place_at

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "cities"


class Drawing:
    """Roads drawn through named nodes, each at a place in metres."""

    def __init__(self, **places: tuple[float, float]) -> None:
        self.places = places
        self.roads = list[RoadLine]()

    def road(self, nodes: str, **tags: str) -> None:
        found = passage({"highway": "residential", **tags}, 1_000.0)
        assert found is not None
        at = [place_at(*self.places[node]) for node in nodes]
        lats, lngs = [place.lat for place in at], [place.lng for place in at]
        self.roads.append(
            RoadLine(len(self.roads) + 1, found, [ord(node) for node in nodes], lats, lngs)
        )

    def built(self) -> Built:
        return network_of(self.roads, ORIGIN)


def square(**more: tuple[float, float]) -> Drawing:
    """Four corners, 100 m apart, and a road around them."""
    drawing = Drawing(a=(0, 0), b=(100, 0), c=(100, 100), d=(0, 100), **more)
    drawing.road("abcda")
    return drawing


def test_a_road_is_cut_where_another_meets_it_and_keeps_its_bends() -> None:
    drawing = square(e=(0, 200), f=(50, 150))
    drawing.road("dfe")

    network, _ = drawing.built()

    assert network.junctions == 3
    assert sorted(network.length_m.round().tolist()) == [100, 100, 141, 141, 300, 300]
    assert set(network.way.tolist()) == {1, 2}


def test_an_arc_and_its_way_back_share_a_line_in_both_directions() -> None:
    network, _ = square(e=(200, 200)).built()
    there = 0
    back = next(
        arc
        for arc in range(network.arcs)
        if network.tail[arc] == network.head[there] and network.line[arc] == network.line[there]
    )

    along, against = network.line_of(there), network.line_of(back)

    assert np.array_equal(along, against[::-1])
    assert network.is_backward[back] != network.is_backward[there]


def test_every_line_begins_at_its_tail_and_ends_at_its_head() -> None:
    drawing = square(e=(300, 50), f=(200, 0))
    drawing.road("bfec", oneway="yes")
    drawing.road("ceb", oneway="-1")

    network, _ = drawing.built()

    for arc in range(network.arcs):
        line, ends = network.line_of(arc), (network.tail[arc], network.head[arc])
        assert [tuple(line[0]), tuple(line[-1])] == [
            (network.lat[end], network.lng[end]) for end in ends
        ]


def test_a_loop_is_cut_so_that_no_arc_ends_where_it_began() -> None:
    drawing = Drawing(a=(0, 0), b=(100, 0), c=(200, 50), d=(200, -50))
    drawing.road("ab")
    drawing.road("bcdb")

    network, _ = drawing.built()

    assert (network.tail != network.head).all()
    assert network.length_m.sum() == pytest.approx(
        2 * (100 + 2 * np.hypot(100, 50) + 100), rel=0.01
    )


def test_a_street_that_only_leads_in_is_shut() -> None:
    drawing = square(e=(300, 100), f=(400, 100))
    drawing.road("cef", oneway="yes", foot="no")

    network, left_out = drawing.built()

    assert left_out == {**dict.fromkeys(VEHICLES, 1), Vehicle.WALK: 0}
    assert set(network.way.tolist()) == {1}


def test_each_vehicle_has_a_piece_of_its_own() -> None:
    drawing = square(e=(200, 100))
    drawing.road("ce", highway="steps")

    network, left_out = drawing.built()

    steps = network.road == ROADS.index("steps")
    assert left_out == dict.fromkeys(VEHICLES, 0)
    assert np.isinf(network.seconds_by(Vehicle.CAR)[steps]).all()
    assert np.isfinite(network.seconds_by(Vehicle.WALK)[steps]).all()
    assert network.is_reached_by(Vehicle.WALK).sum() == 1 + network.is_reached_by(Vehicle.CAR).sum()


def test_an_island_without_a_ferry_is_left_out_and_counted() -> None:
    drawing = square(x=(1_000, 0), y=(1_100, 0))
    drawing.road("xy")

    network, left_out = drawing.built()

    assert left_out == dict.fromkeys(VEHICLES, 2)
    assert network.lng.max() < place_at(500, 0).lng


def test_a_ferry_joins_two_islands_and_one_to_nowhere_is_dropped() -> None:
    drawing = square(x=(1_000, 0), y=(1_100, 0), z=(5_000, 0), w=(6_000, 0))
    drawing.road("xy")
    ferry = passage({"route": "ferry"}, 900.0)
    assert ferry is not None
    for nodes in ("bx", "yz", "zw"):
        drawing.road(nodes)
        drawing.roads[-1] = drawing.roads[-1]._replace(passage=ferry)

    network, left_out = drawing.built()

    assert set(network.way.tolist()) == {1, 2, 3}
    assert left_out == {**dict.fromkeys(VEHICLES, 0), Vehicle.CAR: 2, Vehicle.SCOOTER: 2}


def test_roads_that_lead_nowhere_and_back_make_no_city() -> None:
    drawing = Drawing(a=(0, 0), b=(100, 0))
    drawing.road("ab", highway="motorway")

    with pytest.raises(NoRoads, match="from one place to another and back"):
        drawing.built()


def test_roads_across_half_a_continent_make_no_city() -> None:
    drawing = Drawing(a=(-150_000, 0), b=(150_000, 0))
    drawing.road("ab")

    with pytest.raises(NoRoads, match="over 200 km from their middle; cut out one city"):
        network_of(drawing.roads, place_at(100_000, 0))


def test_two_junctions_on_one_spot_are_still_apart() -> None:
    drawing = square(e=(100, 0), f=(200, 0))
    drawing.road("bef")
    drawing.road("ef")

    network, _ = drawing.built()

    assert (network.length_m > 0).all()
    assert (network.seconds > 0).all()


graphs = st.integers(1, 24).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=60)
    )
)


@given(graphs)
def test_the_largest_piece_is_the_one_that_scipy_finds(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    junctions, arcs = graph
    tail, head = np.array(arcs, dtype=np.int32).reshape(-1, 2).T

    inside = largest_piece(junctions, tail, head)

    sizes = piece_sizes(junctions, tail, head)
    expected = max(sizes) if max(sizes) > 1 else 0
    assert inside.sum() == expected
    assert all(size == expected for size, is_in in zip(sizes, inside, strict=True) if is_in)


def piece_sizes(junctions: int, tail: Numbers, head: Numbers) -> list[int]:
    """The size of the strongly connected piece of each junction, by another's reckoning."""
    graph = coo_array((np.ones(len(tail)), (tail, head)), shape=(junctions, junctions))
    piece = np.empty(junctions, dtype=np.int32)
    piece[:] = connected_components(graph, connection="strong")[1]
    return np.bincount(piece)[piece].tolist()


def test_a_street_of_a_hundred_thousand_bends_does_not_exhaust_the_stack() -> None:
    count = 100_000
    tail = np.arange(count, dtype=np.int32)

    inside = largest_piece(count, tail, (tail + 1) % count)

    assert inside.all()


@pytest.mark.slow
def test_a_real_city_has_a_sound_network_without_dead_ends() -> None:
    path = SHARED / "copenhagen.osm.pbf"
    if not path.is_file():
        pytest.skip(f"there is no {path.name} beside the repository")
    found = read_extract(path, len)

    network, _ = network_of(found.roads, LatLng(found.roads[0].lats[0], found.roads[0].lngs[0]))

    assert flaw_of(network) is None
    straight_m = np.hypot(*(network.points()[network.tail] - network.points()[network.head]).T)
    assert (network.length_m >= straight_m * (1 - 1e-5) - 0.01).all()
    for vehicle in VEHICLES:
        is_open = network.seconds_by(vehicle) < inf
        sizes = piece_sizes(network.junctions, network.tail[is_open], network.head[is_open])
        assert max(sizes) == network.is_reached_by(vehicle).sum() > 3_000


def test_the_same_roads_make_the_same_network_byte_for_byte(tmp_path: Path) -> None:
    town = Town()
    corners = [town.node(x, y) for x, y in ((0, 0), (90, 0), (90, 90), (0, 90))]
    town.way([*corners, corners[0]], highway="residential")
    town.way([corners[0], corners[2]], highway="footway")
    path = town.save(tmp_path / "town.osm.pbf")

    first, second = (network_of(read_extract(path, len).roads, ORIGIN).network for _ in range(2))

    for one in fields(first):
        a, b = getattr(first, one.name), getattr(second, one.name)
        assert a == b if one.name == "centre" else (a.tobytes(), a.dtype) == (b.tobytes(), b.dtype)
