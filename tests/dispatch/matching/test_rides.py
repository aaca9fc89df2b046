"""Finished rides: each leg to a restaurant teaches once, as the courier's state tells it."""

from msgspec import structs

from dispatch.courier import Courier, Heading
from dispatch.hours import hour_of
from dispatch.ids import CourierId
from dispatch.matching.rides import finished_rides
from geo.travel import Ride, StraightLine
from tests.dispatch.builders import KITCHEN, NOW, RESTAURANT, SQUARE, a_courier, later

TRAVEL = StraightLine(speed_mps=5.0)
EXPECTED_S = TRAVEL.seconds(SQUARE, KITCHEN)


def there(at_s: float | None, name: str = "pia") -> Courier:
    """Return a courier who set out from the square now, and was at the kitchen so much later."""
    heading = Heading(
        restaurant_id=RESTAURANT,
        point=KITCHEN,
        origin=SQUARE,
        departed_at=NOW,
        arrived_at=None if at_s is None else later(at_s),
    )
    return structs.replace(a_courier(), courier_id=CourierId(name), heading=heading)


def test_a_ride_is_what_the_map_says_and_what_it_took() -> None:
    rides = finished_rides([there(90.0)], NOW, later(100), TRAVEL, "Asia/Tokyo")

    hour = hour_of("Asia/Tokyo", later(90.0))
    assert rides == (Ride(expected_s=EXPECTED_S, took_s=90.0, hour=hour),)
    assert hour == (hour_of("", later(90.0)) + 9) % 24


def test_a_ride_is_seen_by_one_look_only() -> None:
    courier = there(90.0)

    looks = [
        finished_rides([courier], later(since), later(since + 10), TRAVEL)
        for since in (70, 80, 90, 100)
    ]

    assert [len(look) for look in looks] == [0, 1, 0, 0]


def test_whoever_is_still_riding_or_going_nowhere_teaches_nothing() -> None:
    assert finished_rides([there(None), a_courier()], NOW, later(3_600), TRAVEL) == ()


def test_rides_come_in_an_order_that_does_not_depend_on_who_was_asked_first() -> None:
    couriers = [there(60.0, "zoe"), there(50.0, "ann")]

    assert finished_rides(couriers, NOW, later(100), TRAVEL) == finished_rides(
        couriers[::-1], NOW, later(100), TRAVEL
    )
