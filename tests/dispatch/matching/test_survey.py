"""What a round may know of the actors' states, and what it must leave alone."""

from collections.abc import Mapping

from msgspec import structs

from dispatch.courier import Courier, Heading, Stage
from dispatch.ids import CourierId, RestaurantId
from dispatch.matching.survey import Survey, survey
from dispatch.order import Accept, Order
from dispatch.policy import Policy
from geo.point import Point
from geo.travel import StraightLine
from tests.dispatch.builders import (
    COURIER,
    DOOR,
    KITCHEN,
    NOW,
    RESTAURANT,
    SQUARE,
    a_courier,
    a_task,
    an_assigned_order,
    an_order,
    busy,
    later,
    loaded,
)

TRAVEL = StraightLine(speed_mps=10.0)
POLICY = Policy(pickup_s=120.0, dropoff_s=60.0)


def surveyed(
    *states: Order | Courier,
    sightings: Mapping[CourierId, Point] | None = None,
    restaurants: Mapping[RestaurantId, Point] | None = None,
) -> Survey:
    """Return the survey of these states, a minute after the tests' now."""
    return survey(
        [state for state in states if isinstance(state, Order)],
        [state for state in states if isinstance(state, Courier)],
        {RESTAURANT: KITCHEN} if restaurants is None else restaurants,
        later(60),
        POLICY,
        TRAVEL,
        sightings or {},
        since=NOW,
    )


def test_an_order_held_by_a_courier_on_a_break_stays_his() -> None:
    held = an_assigned_order()
    paused = structs.replace(busy(a_task()), stage=Stage.PAUSED)

    assert surveyed(held, paused).orders == ()
    assert [one.id for one in surveyed(held, busy(a_task())).orders] == [held.order_id]


def test_an_order_held_by_a_courier_who_thinks_about_an_offer_stays_his() -> None:
    thinking = structs.replace(busy(a_task()), offer_id="off_9")

    assert surveyed(an_assigned_order(), thinking).orders == ()
    assert surveyed(an_assigned_order(), thinking).couriers == ()


def test_a_courier_may_be_bound_to_a_place_that_nobody_else_knows_any_more() -> None:
    gone = RestaurantId("with:ord_9")
    heading = Heading(restaurant_id=gone, point=SQUARE, origin=KITCHEN, departed_at=NOW)
    bound = structs.replace(a_courier(), heading=heading)

    found = surveyed(an_order(), bound, restaurants={})

    assert found.couriers[0].bound == gone
    assert found.restaurants[gone] == (SQUARE.x_m, SQUARE.y_m)


def test_a_courier_with_food_is_free_at_his_last_door_after_its_handover() -> None:
    carrying = loaded(a_task())

    [free] = surveyed(carrying).couriers

    ride_s = TRAVEL.seconds(KITCHEN, DOOR)
    left_s = (carrying.leaves_at - later(60)) / 1000
    assert free.place == (DOOR.x_m, DOOR.y_m)
    assert free.free_s == left_s + ride_s + POLICY.dropoff_s
    assert free.bound is None


def test_where_a_courier_was_seen_counts_more_than_where_he_should_be() -> None:
    carrying = structs.replace(loaded(a_task()), leaves_at=NOW)
    halfway = Point(DOOR.x_m / 2, DOOR.y_m)

    [free] = surveyed(carrying, sightings={COURIER: halfway}).couriers

    assert free.free_s == TRAVEL.seconds(halfway, DOOR) + POLICY.dropoff_s


def test_food_that_is_late_is_not_expected_in_the_past() -> None:
    late = structs.replace(an_order(Accept(NOW)), ready_at=later(-600))

    [order] = surveyed(late, a_courier()).orders

    assert order.ready_s == 0.0
