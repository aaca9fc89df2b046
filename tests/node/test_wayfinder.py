"""Ways that are drawn: on streets once they are open, straight until then, around closed ones."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from api.ports import DrawnWay, Unavailable
from dispatch.ids import MarketId
from geo.point import LatLng, Point, gap_m
from geo.projection import Projection
from geo.travel import OnStreets, Open, TravelTimes, Ways
from geo.zone import Outline
from node.atlas import Atlas, Settings, Streets, a_market
from node.wayfinder import WAITING_MAX, Wayfinder
from streets.soon import STAND_IN
from streets.travel import NoStreets, opened
from tests.simulations.folders import toy_city
from tests.streets.lattices import CENTRE

TOY = MarketId("toy")
PLANE = Projection(CENTRE)
A, B, C = Point(-800.0, 0.0), Point(800.0, 0.0), Point(800.0, 600.0)


def wayfinder(folder: Path, closed: Sequence[Outline] = (), opened: Open = opened) -> Wayfinder:
    """The ways of a toy city's market."""
    atlas = Atlas()
    streets = Streets(folder=str(folder))
    atlas.read([a_market(TOY, Settings(centre=CENTRE, streets=streets))])
    return Wayfinder(atlas=atlas, closed=lambda _market_id: closed, opened=opened)


def not_open_yet(ways: Ways) -> TravelTimes:
    assert isinstance(ways, OnStreets)
    return STAND_IN


def length_m(way: DrawnWay) -> float:
    """The length of the line that is drawn."""
    points = [PLANE.to_point(LatLng(lat, lng)) for lng, lat in way.line]
    return sum(gap_m(a, b) for a, b in pairwise(points))


async def test_ways_on_streets_are_drawn_as_long_as_they_are(tmp_path: Path) -> None:
    found = wayfinder(toy_city(tmp_path / "toy"))

    along, around = await found.ways(TOY, [A, B, C])

    assert along.is_on_streets
    assert around.is_on_streets
    assert length_m(along) == pytest.approx(along.distance_m, rel=0.02)
    assert along.distance_m == pytest.approx(1_600, rel=0.05)
    assert along.duration_s > along.distance_m / 10
    assert along.line[-1] == around.line[0]


async def test_a_way_leads_around_what_is_closed(tmp_path: Path) -> None:
    folder = toy_city(tmp_path / "toy")
    (free,) = await wayfinder(folder).ways(TOY, [A, B])

    (around,) = await wayfinder(folder, [square_around(CENTRE)]).ways(TOY, [A, B])

    assert around.distance_m > free.distance_m + 200
    assert not [
        at for at in around.line if abs(at[0] - CENTRE.lng) + abs(at[1] - CENTRE.lat) < 5e-4
    ]


def square_around(middle: LatLng) -> Outline:
    """Return an area of some 100 x 170 m around a place."""
    corners = ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
    return ((tuple((middle.lng + x * 0.0008, middle.lat + y * 0.0008) for y, x in corners),),)


async def test_where_no_street_leads_the_way_is_straight(tmp_path: Path) -> None:
    folder, moat = toy_city(tmp_path / "toy"), square_around(PLANE.to_lat_lng(B))

    (way,) = await wayfinder(folder, [moat]).ways(TOY, [A, B])

    assert not way.is_on_streets
    assert way.duration_s < 3_600


async def test_streets_that_are_not_open_yet_are_stood_in_for(tmp_path: Path) -> None:
    found = wayfinder(tmp_path / "nowhere", opened=not_open_yet)

    (way,) = await found.ways(TOY, [A, B])

    assert not way.is_on_streets
    assert len(way.line) == 2
    assert way.duration_s == pytest.approx(STAND_IN.seconds(A, B), abs=0.1)
    assert length_m(way) == pytest.approx(1_600, rel=0.001)


async def test_streets_that_cannot_be_opened_are_stood_in_for(tmp_path: Path) -> None:
    with pytest.raises(NoStreets):
        opened(OnStreets(folder=str(tmp_path), vehicle="bicycle", centre=CENTRE))

    (way,) = await wayfinder(tmp_path).ways(TOY, [A, B])

    assert not way.is_on_streets


async def test_a_market_that_is_not_known_has_no_ways(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await wayfinder(tmp_path).ways(MarketId("elsewhere"), [A, B])


async def test_too_many_who_ask_at_once_are_sent_away(tmp_path: Path) -> None:
    found = wayfinder(tmp_path, opened=not_open_yet)
    refused = 0

    async def ask() -> None:
        nonlocal refused
        try:
            await found.ways(TOY, [A, B])
        except Unavailable:
            refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(WAITING_MAX + 11):
            nursery.start_soon(ask)

    assert refused == 10
