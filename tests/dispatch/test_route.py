"""Routes: joining, leaving, collecting, and what makes one sound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.ids import OrderId, RestaurantId
from dispatch.route import (
    DropOff,
    Pickup,
    Route,
    Task,
    bag_peak_s,
    bundles,
    collected,
    is_sound,
    load_peak,
    order_ids,
    resequenced,
    to_collect,
    trip,
    with_trip,
    without,
)
from geo.point import Point
from tests.dispatch.builders import (
    DOOR,
    KITCHEN,
    ORDER,
    OTHER_KITCHEN,
    OTHER_ORDER,
    OTHER_RESTAURANT,
    RESTAURANT,
    SQUARE,
    a_task,
)

THIRD = OrderId("ord_3")
FIRST_TASK = a_task(size=2)
SECOND_TASK = a_task(OTHER_ORDER, size=3)
ELSEWHERE = a_task(THIRD, restaurant_id=OTHER_RESTAURANT, pickup=OTHER_KITCHEN)
SIZES = {ORDER: 2, OTHER_ORDER: 3, THIRD: 1}


def test_a_trip_collects_a_bundle_and_drops_it_off_in_its_order() -> None:
    route = trip((FIRST_TASK, SECOND_TASK))

    assert route == (
        Pickup(RESTAURANT, KITCHEN, (ORDER, OTHER_ORDER)),
        DropOff(ORDER, DOOR),
        DropOff(OTHER_ORDER, DOOR),
    )


def test_a_trip_has_one_pickup() -> None:
    with pytest.raises(AssertionError):
        trip((FIRST_TASK, ELSEWHERE))


def test_orders_are_bundled_by_where_they_are_fetched() -> None:
    assert bundles((FIRST_TASK, ELSEWHERE, SECOND_TASK)) == (
        (FIRST_TASK, SECOND_TASK),
        (ELSEWHERE,),
    )


def test_a_bundle_joins_the_pickup_of_its_restaurant() -> None:
    route = (*trip((FIRST_TASK,)), *trip((ELSEWHERE,)))

    joined = with_trip(route, (SECOND_TASK,))

    assert joined == (*trip((FIRST_TASK, SECOND_TASK)), *trip((ELSEWHERE,)))


def test_a_bundle_of_another_restaurant_is_the_last_trip() -> None:
    route = with_trip(trip((FIRST_TASK,)), (ELSEWHERE,))

    assert route == (*trip((FIRST_TASK,)), *trip((ELSEWHERE,)))


def test_food_of_one_restaurant_that_is_handed_over_elsewhere_is_fetched_there() -> None:
    handed_over = a_task(OTHER_ORDER, pickup=SQUARE)

    route = with_trip(trip((FIRST_TASK,)), (handed_over,))

    assert route == (*trip((FIRST_TASK,)), *trip((handed_over,)))


def test_an_order_leaves_a_route_without_a_trace() -> None:
    route = trip((FIRST_TASK, SECOND_TASK))

    assert without(route, ORDER) == trip((SECOND_TASK,))
    assert without(without(route, ORDER), OTHER_ORDER) == ()


def test_what_is_collected_is_still_to_be_dropped_off() -> None:
    route = trip((FIRST_TASK, SECOND_TASK))

    assert collected(route, (ORDER,)) == (
        Pickup(RESTAURANT, KITCHEN, (OTHER_ORDER,)),
        DropOff(ORDER, DOOR),
        DropOff(OTHER_ORDER, DOOR),
    )
    assert to_collect(collected(route, (ORDER, OTHER_ORDER))) == ()


def test_drop_offs_are_put_in_another_sequence_and_strangers_passed_over() -> None:
    route = trip((FIRST_TASK, SECOND_TASK))

    assert order_ids(resequenced(route, (OTHER_ORDER, THIRD, ORDER))) == (OTHER_ORDER, ORDER)


def test_the_load_is_highest_where_most_is_in_the_bag() -> None:
    apart = (*trip((FIRST_TASK,)), *trip((SECOND_TASK,)))

    assert load_peak(apart, SIZES) == 3
    assert load_peak(trip((FIRST_TASK, SECOND_TASK)), SIZES) == 5


def test_what_is_carried_counts_until_it_is_dropped_off() -> None:
    route = (*trip((SECOND_TASK,)), DropOff(ORDER, DOOR))

    assert load_peak(route, SIZES) == 5


def test_the_time_in_the_bag_counts_from_one_handover_to_the_other() -> None:
    route = (DropOff(THIRD, DOOR), *trip((FIRST_TASK, SECOND_TASK)))

    peak_s = bag_peak_s(route, (999.0, 10.0, 100.0, 200.0), service_s=60.0)

    assert peak_s == 60 + 100 + 60 + 200


@pytest.mark.parametrize(
    ("route", "carried"),
    [
        ((DropOff(ORDER, DOOR),), ()),
        (trip((FIRST_TASK,)), (ORDER,)),
        ((*trip((FIRST_TASK,)), DropOff(ORDER, DOOR)), ()),
        (trip((FIRST_TASK,))[:1], ()),
        ((Pickup(RESTAURANT, KITCHEN, ()),), ()),
        ((), (ORDER,)),
        (trip((FIRST_TASK,))[::-1], ()),
    ],
    ids=[
        "drops off what it never collected",
        "collects what is carried",
        "drops off twice",
        "never drops off",
        "collects nothing",
        "forgets what is carried",
        "drops off before it collects",
    ],
)
def test_a_route_is_unsound_that(route: Route, carried: tuple[OrderId, ...]) -> None:
    assert not is_sound(route, carried)


def tasks_of(places: list[int]) -> list[Task]:
    """Return a task for each of these restaurants."""
    return [
        a_task(
            OrderId(f"ord_{number}"),
            restaurant_id=RestaurantId(f"rst_{place}"),
            pickup=Point(float(place), 0.0),
        )
        for number, place in enumerate(places)
    ]


@given(places=st.lists(st.integers(0, 2), max_size=8), gone=st.sets(st.integers(0, 7)))
def test_a_route_stays_sound_whatever_joins_and_leaves(places: list[int], gone: set[int]) -> None:
    tasks, route = tasks_of(places), ()
    for task in tasks:
        route = with_trip(route, (task,))
    carried = to_collect(route[:1])
    route = collected(route, carried)

    for number in sorted(gone):
        route = without(route, OrderId(f"ord_{number}"))

    lost = {f"ord_{number}" for number in gone}
    left = tuple(order_id for order_id in carried if order_id not in lost)
    assert is_sound(route, left)
    assert set(order_ids(route)) == {task.order_id for task in tasks} - lost
