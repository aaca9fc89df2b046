"""Map layers: where the sea is, and features that the program for tiles understands."""

import msgspec
import pytest
import shapely

from streets.layers import Box, Line, Look, feature, look_of_area, look_of_line, look_of_place, sea

BOX: Box = (0.0, 0.0, 10.0, 10.0)


def ring(west: float, south: float, east: float, north: float) -> Line:
    """The coast of a square island: land on its left, that is, against the clock."""
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def test_around_an_island_is_sea_and_on_it_is_land() -> None:
    water = sea([ring(4, 4, 6, 6)], BOX, 0.0)

    assert water.area == pytest.approx(100 - 4)
    assert not water.contains(shapely.Point(5, 5))
    assert water.contains(shapely.Point(1, 1))


def test_a_coast_the_other_way_round_is_a_lagoon() -> None:
    water = sea([ring(4, 4, 6, 6)[::-1]], BOX, 0.0)

    assert water.area == pytest.approx(4)
    assert water.contains(shapely.Point(5, 5))


def test_an_island_in_a_lagoon_on_an_island_is_land() -> None:
    water = sea([ring(1, 1, 9, 9), ring(2, 2, 8, 8)[::-1], ring(4, 4, 6, 6)], BOX, 0.0)

    assert water.area == pytest.approx(100 - 64 + 36 - 4)
    assert not water.contains(shapely.Point(5, 5))


def test_a_coast_across_the_box_has_land_to_its_left() -> None:
    northward: Line = [(4, -5), (4, 15)]

    water = sea([northward], BOX, 0.0)

    assert water.area == pytest.approx(60)
    assert water.contains(shapely.Point(9, 5))


def test_a_coast_that_the_extract_cuts_off_is_carried_on_to_the_rim() -> None:
    cut_short: Line = [(4, 1), (4, 5), (4, 9)]

    water = sea([cut_short], BOX, 3.0)

    assert water.bounds == (4, 0, 10, 10)


def test_a_whole_coast_has_a_margin_of_sea() -> None:
    water = sea([ring(4, 4, 6, 6)], BOX, 1.0)

    assert water.bounds == (-1, -1, 11, 11)


def test_a_face_of_which_the_coast_is_of_two_minds_stays_land() -> None:
    coasts: list[Line] = [[(2, -1), (2, 11)], [(8, -1), (8, 11)]]

    water = sea(coasts, BOX, 0.0)

    assert not water.contains(shapely.Point(1, 5))
    assert not water.contains(shapely.Point(5, 5))
    assert water.contains(shapely.Point(9, 5))


def test_without_a_coast_there_is_no_sea() -> None:
    assert sea([], BOX, 1.0).is_empty
    assert sea([[(1, 1)]], BOX, 1.0).is_empty


def test_a_feature_is_one_line_that_names_its_layer_and_zoom() -> None:
    line = feature(Look("roads", 12, "residential"), 'A "B" \\ \n', shapely.Point(14.5, 35.9))

    assert line.count(b"\n") == 1
    assert msgspec.json.decode(line) == {
        "type": "Feature",
        "tippecanoe": {"layer": "roads", "minzoom": 12},
        "properties": {"class": "residential", "name": 'A "B" \\ \n'},
        "geometry": {"type": "Point", "coordinates": [14.5, 35.9]},
    }


def test_the_larger_a_road_the_farther_away_it_is_seen() -> None:
    kinds = ("motorway_link", "primary", "secondary", "tertiary", "residential", "steps")

    looks = [look_of_line({"highway": kind}) for kind in kinds]

    zooms = [look.zoom for look in looks if look is not None]
    assert len(zooms) == len(kinds)
    assert zooms == sorted(zooms)


def test_what_has_no_look_is_not_shown() -> None:
    assert look_of_place({"place": "village"}) is None
    assert look_of_place({"place": "planet", "name": "Earth"}) is None
    assert look_of_line({"power": "line"}) is None
    assert look_of_area({"building": "no"}) is None
    assert look_of_area({"landuse": "brownfield"}) is None
