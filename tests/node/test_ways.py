"""A market's ways at present: as slow as couriers are, and around what is closed."""

from pathlib import Path

import pytest
from msgspec import structs

from dispatch.courier import Courier, Heading, Stage
from dispatch.hours import hour_of
from dispatch.ids import CourierId, Instant, MarketId, RestaurantId, after
from geo.point import LatLng, Point
from geo.travel import OnStreets, StraightLine
from geo.zone import Outline
from node.ways import PresentWays
from streets.travel import exact
from tests.simulations.folders import toy_city
from tests.streets.lattices import CENTRE

DAWN = Instant(1_800_000_000_000)
LINE = StraightLine(speed_mps=5.0)
A, B = Point(-800.0, 0.0), Point(800.0, 0.0)


def arrived(number: int, took_s: float, at: Instant) -> Courier:
    """Return a courier who has just ridden 1.6 km."""
    return Courier(
        courier_id=CourierId(f"crr_{number:03}"),
        market_id=MarketId("m"),
        stage=Stage.ON,
        ends_at=after(at, 3_600),
        load_max=6,
        point=A,
        leaves_at=at,
        heading=Heading(
            restaurant_id=RestaurantId("rst"),
            point=B,
            origin=A,
            departed_at=after(at, -took_s),
            arrived_at=at,
        ),
    )


def after_rides(present: PresentWays, took_s: float, rounds: int = 12) -> StraightLine | OnStreets:
    """Return the ways after rounds in each of which ten couriers took so long."""
    ways = present.at(DAWN, [])
    for number in range(1, rounds + 1):
        now = after(DAWN, 10.0 * number)
        ways = present.at(now, [arrived(one, took_s, now) for one in range(10)])
    return ways


def test_couriers_who_are_slower_than_the_map_make_its_ways_longer() -> None:
    ways = after_rides(PresentWays(usual=LINE), took_s=1.5 * 320)

    assert isinstance(ways, StraightLine)
    assert LINE.speed_mps / ways.speed_mps == pytest.approx(1.45, abs=0.06)


def test_a_ride_that_nobody_can_have_ridden_changes_nothing() -> None:
    present = PresentWays(usual=LINE)

    assert after_rides(present, took_s=3.0) == LINE
    assert present.known.ignored == 120


def test_a_pace_is_that_of_the_hour_that_the_markets_clocks_show() -> None:
    present = PresentWays(usual=LINE, timezone="Europe/Copenhagen")
    after_rides(present, took_s=1.5 * 320)  # At eight by UTC.
    slow_hour = hour_of("Europe/Copenhagen", DAWN)

    assert [hour for hour in range(24) if present.known.legs[hour]] == [slow_hour]
    assert slow_hour == hour_of("UTC", DAWN) + 1


def test_what_was_kept_is_where_the_next_round_begins_and_goes_on_learning() -> None:
    before, present = PresentWays(usual=LINE), PresentWays(usual=LINE)
    slow = after_rides(before, took_s=1.5 * 320)

    present.go_on_from(before.learned)
    first = present.at(DAWN, [])
    present.at(after(DAWN, 10.0), [arrived(1, 480.0, after(DAWN, 10.0))])

    assert first == slow
    assert sum(present.known.legs) == sum(before.known.legs) + 1


def test_where_nothing_is_learned_the_ways_are_as_they_were_told() -> None:
    assert after_rides(PresentWays(usual=LINE, learns=False), took_s=1.5 * 320) == LINE


def test_the_first_look_learns_nothing_of_rides_from_before_it() -> None:
    present = PresentWays(usual=LINE)

    assert present.at(DAWN, [arrived(1, 480.0, DAWN)]) == LINE
    assert sum(present.known.legs) == 0


def test_streets_are_slowed_and_closed_at_once(tmp_path: Path) -> None:
    usual = OnStreets(folder=str(toy_city(tmp_path / "toy")), vehicle="bicycle", centre=CENTRE)
    free_s = exact(usual).seconds(A, B)
    present = PresentWays(usual=usual)
    present.at(DAWN, [])
    now = after(DAWN, 10.0)
    couriers = [arrived(one, 1.4 * free_s, now) for one in range(200)]

    ways = present.at(now, couriers, [_around(LatLng(CENTRE.lat, CENTRE.lng))])

    assert isinstance(ways, OnStreets)
    assert ways.pace == pytest.approx(1.4, abs=0.03)
    assert ways.closed
    around_s = exact(structs.replace(ways, pace=1.0)).seconds(A, B)
    assert around_s > free_s + 60


def test_nothing_closed_leaves_streets_as_they_are(tmp_path: Path) -> None:
    usual = OnStreets(folder=str(toy_city(tmp_path / "toy")), vehicle="bicycle", centre=CENTRE)

    assert PresentWays(usual=usual).at(DAWN, []) == usual


def _around(middle: LatLng) -> Outline:
    """Return an area of some 100 x 170 m around a place."""
    north, east = 0.0008, 0.0008
    corners = ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
    return ((tuple((middle.lng + x * east, middle.lat + y * north) for y, x in corners),),)
