"""A robot's way: where it is at each instant, also on a way that takes no time."""

import pytest

from dispatch.ids import Instant
from geo.point import LatLng
from simulations.load.way import Way

HERE, THERE = LatLng(55.0, 12.0), LatLng(55.2, 12.4)


@pytest.mark.parametrize(
    ("now", "place"),
    [
        (500, HERE),
        (1_000, HERE),
        (2_000, LatLng(55.1, 12.2)),
        (3_000, THERE),
        (9_000, THERE),
    ],
)
def test_who_is_under_way_is_so_far_along_it(now: int, place: LatLng) -> None:
    way = Way(
        origin=HERE, goal=THERE, starts_at=Instant(1_000), ends_at=Instant(3_000), speed_mps=5.0
    )

    found = way.place(Instant(now))

    assert (found.lat, found.lng) == pytest.approx((place.lat, place.lng))


def test_a_way_of_no_length_is_where_it_begins_before_and_after() -> None:
    way = Way(
        origin=HERE, goal=HERE, starts_at=Instant(1_000), ends_at=Instant(1_000), speed_mps=5.0
    )

    assert [way.place(Instant(now)) for now in (900, 1_000, 1_100)] == [HERE] * 3
