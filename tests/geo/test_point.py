"""Points and places: what they are, and what is none."""

from math import inf, nan

import msgspec
import pytest

from geo.point import LatLng, Point, gap_m


def test_a_gap_is_the_straight_line() -> None:
    assert gap_m(Point(1.0, 2.0), Point(4.0, 6.0)) == 5.0


@pytest.mark.parametrize(
    ("lat", "lng"), [(90.1, 0.0), (-91.0, 0.0), (0.0, 180.5), (nan, 0.0), (0.0, inf)]
)
def test_what_is_no_place_on_earth_cannot_be_made(lat: float, lng: float) -> None:
    with pytest.raises(ValueError, match="itude is between"):
        LatLng(lat, lng)


def test_what_is_no_place_on_earth_cannot_be_decoded() -> None:
    with pytest.raises(msgspec.ValidationError, match="latitude is between"):
        msgspec.json.decode(b'{"lat": 95.0, "lng": 12.0}', type=LatLng)
