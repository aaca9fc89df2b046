"""Projections, held against an independent geodesic on the WGS 84 ellipsoid."""

from math import atan, atan2, cos, hypot, inf, nan, pi, radians, sin, sqrt, tan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.point import LatLng, Point, gap_m
from geo.projection import REACH_M, OutOfReach, Projection


def geodesic_m(a: LatLng, b: LatLng) -> float:
    """Return the length of the geodesic, by Vincenty's inverse formula (1975)."""
    equator_m, flattening = 6378137.0, 1 / 298.257223563
    pole_m = (1 - flattening) * equator_m
    u1 = atan((1 - flattening) * tan(radians(a.lat)))
    u2 = atan((1 - flattening) * tan(radians(b.lat)))
    span = (radians(b.lng - a.lng) + pi) % (2 * pi) - pi
    turn, sin_arc, cos_arc, arc, cos2_azimuth, middle = span, 0.0, 0.0, 0.0, 0.0, 0.0
    for _ in range(50):
        across = cos(u2) * sin(turn)
        along = cos(u1) * sin(u2) - sin(u1) * cos(u2) * cos(turn)
        sin_arc = hypot(across, along)
        if sin_arc == 0:
            return 0.0
        cos_arc = sin(u1) * sin(u2) + cos(u1) * cos(u2) * cos(turn)
        arc = atan2(sin_arc, cos_arc)
        sin_azimuth = cos(u1) * cos(u2) * sin(turn) / sin_arc
        cos2_azimuth = 1 - sin_azimuth**2
        middle = cos_arc - 2 * sin(u1) * sin(u2) / cos2_azimuth if cos2_azimuth > 1e-15 else 0.0
        c = flattening / 16 * cos2_azimuth * (4 + flattening * (4 - 3 * cos2_azimuth))
        bend = middle + c * cos_arc * (2 * middle**2 - 1)
        turn = span + (1 - c) * flattening * sin_azimuth * (arc + c * sin_arc * bend)
    squash = cos2_azimuth * (equator_m**2 - pole_m**2) / pole_m**2
    k = (sqrt(1 + squash) - 1) / (sqrt(1 + squash) + 1)
    scale, b1 = (1 + k**2 / 4) / (1 - k), k * (1 - 3 * k**2 / 8)
    cubic = b1 / 6 * middle * (4 * sin_arc**2 - 3) * (4 * middle**2 - 3)
    bend = cos_arc * (2 * middle**2 - 1) - cubic
    return pole_m * scale * (arc - b1 * sin_arc * (middle + b1 / 4 * bend))


latitudes = st.floats(-85, 85)
longitudes = st.floats(-180, 180)
offsets_m = st.floats(-35_000, 35_000)


def test_the_referee_knows_a_published_geodesic() -> None:
    flinders_peak = LatLng(-37.95103341666667, 144.42486788888889)
    buninyong = LatLng(-37.65282113888889, 143.92649552777777)

    assert geodesic_m(flinders_peak, buninyong) == pytest.approx(54972.271, abs=0.001)


@given(latitudes, longitudes, offsets_m, offsets_m)
def test_a_point_becomes_a_place_and_the_same_point_again(
    lat: float, lng: float, x_m: float, y_m: float
) -> None:
    projection = Projection(LatLng(lat, lng))

    back = projection.to_point(projection.to_lat_lng(Point(x_m, y_m)))

    assert gap_m(back, Point(x_m, y_m)) < 1e-6


@given(latitudes, longitudes, st.tuples(offsets_m, offsets_m), st.tuples(offsets_m, offsets_m))
def test_lengths_within_50_km_of_the_origin_are_a_ten_thousandth_wrong_at_most(
    lat: float, lng: float, a: tuple[float, float], b: tuple[float, float]
) -> None:
    projection = Projection(LatLng(lat, lng))

    on_earth_m = geodesic_m(projection.to_lat_lng(Point(*a)), projection.to_lat_lng(Point(*b)))

    assert gap_m(Point(*a), Point(*b)) == pytest.approx(on_earth_m, rel=1e-4, abs=1e-3)


def test_east_is_right_and_north_is_up() -> None:
    projection = Projection(LatLng(55.7, 12.6))

    east, north = projection.to_point(LatLng(55.7, 12.7)), projection.to_point(LatLng(55.8, 12.6))

    assert east.x_m > 6_000
    assert abs(east.y_m) < 10
    assert north.y_m > 11_000
    assert abs(north.x_m) < 1e-6


def test_a_market_may_lie_across_the_antimeridian() -> None:
    projection = Projection(LatLng(-16.8, 179.99))
    west, east = LatLng(-16.8, 179.98), LatLng(-16.8, -179.98)

    width_m = gap_m(projection.to_point(west), projection.to_point(east))

    assert width_m == pytest.approx(geodesic_m(west, east), rel=1e-4)
    assert projection.to_lat_lng(projection.to_point(east)).lng == pytest.approx(-179.98)


def test_many_places_become_the_same_points_as_one_at_a_time() -> None:
    rng = np.random.default_rng(7)
    projection = Projection(LatLng(35.9, 14.4))
    lat, lng = 35.9 + rng.uniform(-0.3, 0.3, 500), 14.4 + rng.uniform(-0.3, 0.3, 500)

    points = projection.to_points(lat, lng)
    places = projection.to_lat_lngs(points)

    singly = [projection.to_point(LatLng(*place)) for place in zip(lat, lng, strict=True)]
    assert np.allclose(points, [(point.x_m, point.y_m) for point in singly], rtol=0, atol=1e-7)
    assert np.allclose(places, np.stack((lat, lng), axis=1), rtol=0, atol=1e-11)


@pytest.mark.parametrize("place", [LatLng(58.0, 12.6), LatLng(-55.7, -167.4), LatLng(55.7, -20.0)])
def test_a_place_out_of_reach_is_refused(place: LatLng) -> None:
    projection = Projection(LatLng(55.7, 12.6))

    with pytest.raises(OutOfReach, match="over 200 km"):
        projection.to_point(place)
    assert np.isnan(projection.to_points(np.array([place.lat]), np.array([place.lng]))).all()


def test_a_point_out_of_reach_is_refused() -> None:
    projection = Projection(LatLng(55.7, 12.6))

    with pytest.raises(OutOfReach, match="over 200 km"):
        projection.to_lat_lng(Point(REACH_M, 1_000.0))
    with pytest.raises(OutOfReach, match="over 200 km"):
        projection.to_lat_lng(Point(nan, 0.0))


def test_what_is_no_place_among_many_becomes_nan_and_hurts_no_other() -> None:
    projection = Projection(LatLng(55.7, 12.6))
    lat = np.array([55.7, nan, inf, 95.0, 55.7, 55.7])
    lng = np.array([12.6, 12.6, 12.6, 12.6, 372.6, -inf])

    points = projection.to_points(lat, lng)

    assert points[0].tolist() == [0.0, 0.0]
    assert np.isnan(points[1:]).all()


def test_projections_of_one_origin_are_equal() -> None:
    assert Projection(LatLng(1.0, 2.0)) == Projection(LatLng(1.0, 2.0))
    assert Projection(LatLng(1.0, 2.0)) != Projection(LatLng(1.0, 2.5))
