"""Areas: what the cells say at once is exactly what the polygon says."""

from math import cos, pi, sin

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.area import Area, area_of
from geo.cell import FINE, Cell, cell_at, disk, parent, resolution_of
from geo.point import LatLng
from geo.polygon import checked

LAT, LNG = 55.68, 12.57


def star(radii: list[float], size_deg: float = 0.02, lng: float = LNG) -> Area:
    """An area around the centre with a corner in each direction, as far away as it is told."""
    turns = [2 * pi * place / len(radii) for place in range(len(radii))]
    ring = [
        (lng + size_deg * radius * sin(turn), LAT + size_deg * radius * cos(turn))
        for radius, turn in zip(radii, turns, strict=True)
    ]
    return area_of(checked([[[*ring, ring[0]]]]))


CITY = star([1.0, 0.4, 0.9, 1.0, 0.3, 0.8, 1.0])


@given(
    st.lists(st.floats(0.1, 1.0), min_size=3, max_size=12),
    st.lists(st.tuples(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2)), min_size=30, max_size=30),
)
def test_a_place_lies_in_an_area_exactly_where_it_lies_in_its_polygon(
    radii: list[float], places: list[tuple[float, float]]
) -> None:
    area = star(radii)
    for east, north in places:
        where = LatLng(LAT + 0.02 * north, LNG + 0.02 * east)

        is_inside = bool(shapely.intersects_xy(area.shape, where.lng, where.lat))

        assert area.contains(where) is is_inside
        assert not is_inside or cell_at(where.lat, where.lng) in area.cells


def test_a_place_on_the_border_and_every_corner_are_inside() -> None:
    for lng, lat in CITY.outline[0][0]:
        assert CITY.contains(LatLng(lat, lng))


def test_a_place_in_a_hole_is_outside_however_deep() -> None:
    ring, hole = [
        [[LNG - r, LAT - r], [LNG + r, LAT - r], [LNG + r, LAT + r], [LNG - r, LAT + r]]
        for r in (0.03, 0.02)
    ]
    area = area_of(checked([[[*ring, ring[0]], [*hole, hole[0]]]]))

    assert not area.contains(LatLng(LAT, LNG))
    assert area.contains(LatLng(LAT + 0.025, LNG))
    assert cell_at(LAT, LNG) not in area.cells


def test_most_of_a_city_is_decided_without_asking_the_polygon() -> None:
    area = star([1.0] * 24, size_deg=0.1)

    assert len(area.border) < 0.2 * len(area.cells)
    assert len(area.inside) < 0.3 * len(area.cells)
    assert min(resolution_of(Cell(cell)) for cell in area.inside) < FINE


def test_cells_inside_share_no_land_with_those_on_the_border() -> None:
    covered = {
        parent(Cell(cell), resolution)
        for cell in CITY.border
        for resolution in {resolution_of(Cell(one)) for one in CITY.inside}
    }

    assert covered.isdisjoint(CITY.inside)


def test_an_area_smaller_than_a_cell_has_a_border_and_no_inside() -> None:
    square = [[LNG, LAT], [LNG + 2e-4, LAT], [LNG + 2e-4, LAT + 1e-4], [LNG, LAT + 1e-4]]
    yard = area_of(checked([[[*square, square[0]]]]))

    assert not yard.inside
    assert set(yard.border) <= set(disk(cell_at(LAT, LNG), 1).tolist())
    assert yard.contains(LatLng(LAT + 5e-5, LNG + 1e-4))
    assert not yard.contains(LatLng(LAT - 5e-5, LNG + 1e-4))


@pytest.mark.parametrize("lng", [179.9, -179.9])
def test_land_close_to_the_antimeridian_is_land_like_any_other(lng: float) -> None:
    area = star([1.0] * 8, lng=lng)

    assert area.contains(LatLng(LAT, lng))
    assert not area.contains(LatLng(LAT, -lng))


def test_many_places_are_told_as_each_of_them_is() -> None:
    generator = np.random.default_rng(5)
    lat = LAT + generator.uniform(-0.02, 0.02, 500)
    lng = LNG + generator.uniform(-0.02, 0.02, 500)

    found = CITY.contains_all(lat, lng)

    alone = [
        CITY.contains(LatLng(*place)) for place in zip(lat.tolist(), lng.tolist(), strict=True)
    ]
    assert found.tolist() == alone
    assert 50 < found.sum() < 450


def test_a_way_is_closed_where_it_touches_the_area_though_both_ends_are_outside() -> None:
    west, east = [LAT, LNG - 0.1], [LAT, LNG + 0.1]
    starts = np.array([west, west, [LAT, LNG], west])
    ends = np.array([east, [LAT + 0.1, LNG - 0.1], [LAT + 1e-4, LNG], [LAT, LNG - 0.05]])

    assert CITY.crossed_by(starts, ends).tolist() == [True, False, True, False]


def test_no_way_is_closed_where_there_are_none() -> None:
    nothing = np.zeros((0, 2))

    assert CITY.crossed_by(nothing, nothing).tolist() == []
