"""Polygons that people draw: what is mended, what is refused, and the sentence they read."""

from collections.abc import Sequence
from math import cos, inf, nan, pi, radians, sin
from typing import Any

import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from geo.polygon import (
    AREAS_MAX,
    CORNERS_MAX,
    RINGS_MAX,
    Has,
    PolygonFlawed,
    checked,
    land_m2,
    shape_of,
)
from geo.zone import Outline

LAT, LNG = 55.68, 12.57


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


CITY = box(12.5, 55.6, 12.6, 55.7)
PARK = box(12.54, 55.64, 12.56, 55.66)
SPIKE = [*CITY[:1], [12.5, 55.6], [12.55, 55.65, 40.0], *CITY[2:]]


def round_city(corners: int, km: float = 5.0) -> list[list[float]]:
    """A ring around the centre that turns the way clocks do."""
    turns = [2 * pi * corner / (corners - 1) for corner in range(corners - 1)]
    north, east = km / 111.2, km / 111.2 / cos(radians(LAT))
    ring = [[LNG + east * sin(turn), LAT + north * cos(turn)] for turn in turns]
    return [*ring, ring[0]]


def flaw(
    areas: Any,  # noqa: ANN401 - whatever may come in.
    is_land: Has = lambda _lat, _lng: True,
) -> PolygonFlawed:
    with pytest.raises(PolygonFlawed) as raised:
        checked(areas, is_land)
    assert raised.value.told == str(raised.value)
    return raised.value


def is_left_turning(ring: Any) -> bool:  # noqa: ANN401
    return shapely.LinearRing(ring).is_ccw


def test_rings_come_back_turning_as_maps_have_them_whichever_way_they_were_drawn() -> None:
    backwards: Outline = checked([[CITY[::-1], PARK]])

    outer, hole = backwards[0]
    assert is_left_turning(outer)
    assert not is_left_turning(hole)
    assert backwards == checked([[CITY, PARK[::-1]]])


def test_corners_given_twice_and_altitudes_are_dropped() -> None:
    outer = checked([[SPIKE]])[0][0]

    assert len(outer) == len(CITY)
    assert all(len(corner) == 2 for corner in outer)
    assert (12.55, 55.65) in outer


FLAWED: Sequence[tuple[Any, str, str]] = (
    ([], "", "at least its outer ring"),
    ([[]], "", "at least its outer ring"),
    ([[CITY[:-1]]], "/0/0", "not closed: end it where it begins, at longitude 12.5"),
    ([[CITY], [CITY[:2]]], "/1/0", "at least 3 corners"),
    ([[[[12.5, 55.6]] * 9]], "/0/0", "fewer than 3 different corners"),
    ([[[*CITY[:2], [12.6], *CITY[3:]]]], "/0/0/2", "a longitude and a latitude"),
    ([[[*CITY[:2], [1.0, 2.0, 3.0, 4.0], *CITY[3:]]]], "/0/0/2", "a longitude and a latitude"),
    ([[[[nan, 55.6], *CITY[1:]]]], "/0/0/0", "finite"),
    ([[[[12.5, inf], *CITY[1:]]]], "/0/0/0", "finite"),
    ([[[[12.5, -91.0], *CITY[1:]]]], "/0/0/0", "no place on Earth: the longitude comes first"),
    ([[[[181.0, 55.6], *CITY[1:]]]], "/0/0/0", "longitude 181 and latitude 55.6 are no place"),
    ([[box(12.6, 55.6, 12.5, 55.7)[:2] + CITY[2:1:-1] + CITY[3:]]], "/0/0", "closed"),
    ([[[CITY[0], CITY[2], CITY[1], CITY[3], CITY[0]]]], "/0/0", "crosses itself at longitude"),
    ([[CITY, box(12.7, 55.61, 12.8, 55.62)]], "/0", "a hole lies outside of its outer ring"),
    ([[CITY, box(12.59, 55.65, 12.61, 55.66)]], "/0", "crosses itself"),
    ([[CITY, PARK, box(12.545, 55.645, 12.55, 55.65)]], "/0", "a hole lies inside another"),
    ([[CITY], [PARK]], "", "two of its areas overlap"),
    ([[CITY], [box(12.59, 55.6, 12.7, 55.7)]], "", "two of its areas overlap"),
    ([[box(-179.5, 0.0, 179.5, 0.1)]], "", "antimeridian"),
    ([[box(10.0, 55.0, 20.0, 56.0)]], "", "over 200 km far"),
    ([[box(12.0, 55.0, 12.9, 55.7)]], "", "square kilometres"),
    ([[box(12.5, 55.6, 12.50001, 55.60001)]], "", "25 are the least"),
    ([[round_city(CORNERS_MAX + 1)]], "", f"{CORNERS_MAX + 1} corners"),
    ([[CITY]] * (AREAS_MAX + 1), "", f"{AREAS_MAX + 1} areas"),
    ([[CITY, *[PARK] * RINGS_MAX]], "", f"{RINGS_MAX + 1} rings"),
)


@pytest.mark.parametrize(("areas", "pointer", "told"), FLAWED)
def test_what_cannot_be_used_is_told_in_one_sentence(
    areas: Any,  # noqa: ANN401
    pointer: str,
    told: str,
) -> None:
    found = flaw(areas)

    assert told in found.told
    assert found.pointer == pointer
    assert "\n" not in found.told


def test_the_largest_ring_that_is_allowed_is_taken() -> None:
    assert len(checked([[round_city(CORNERS_MAX)]])[0][0]) == CORNERS_MAX


def test_latitudes_before_longitudes_are_recognised_by_where_they_would_lie() -> None:
    turned = [[lat, lng] for lng, lat in CITY]

    found = flaw([[turned]], lambda lat, lng: 55 < lat < 56 and 12 < lng < 13)

    assert found.pointer == "/0/0/0"
    assert "lies outside the market's land: the longitude comes first" in found.told


def test_a_hole_and_a_second_area_count_in_how_much_land_there_is() -> None:
    whole, park = land_m2(shape_of(checked([[CITY]]))), land_m2(shape_of(checked([[PARK]])))

    assert land_m2(shape_of(checked([[CITY, PARK]]))) == pytest.approx(whole - park, rel=1e-3)
    assert whole == pytest.approx(11_130 * 6_280, rel=0.01)


corner = st.tuples(st.floats(0.2, 1.0), st.floats(0.0, 1.0))


def found_in(ring: list[list[float]]) -> Outline | None:
    """The outline of a ring, None for one that is refused."""
    try:
        return checked([[ring]])
    except PolygonFlawed:
        return None


@given(st.lists(corner, min_size=3, max_size=40), st.sampled_from([1, -1]))
def test_whatever_is_accepted_is_valid_and_is_accepted_again_unchanged(
    corners: list[tuple[float, float]], way: int
) -> None:
    turned = [(r * sin(2 * pi * t), r * cos(2 * pi * t)) for r, t in corners]
    ring = [[LNG + 0.05 * east, LAT + 0.03 * north] for east, north in turned]

    outline = found_in([*ring, ring[0]][::way])

    assume(outline is not None)
    assert outline is not None
    assert shapely.is_valid(shape_of(outline))
    assert checked(outline) == outline
