"""The restaurant machine: when it takes orders, and what occupies its kitchen."""

import pytest

from dispatch import restaurant
from dispatch.delivery import Reject
from dispatch.ids import Instant, OrderId
from dispatch.kitchen import Accept, Leave, Request
from dispatch.restaurant import (
    LEGAL,
    RECENT_MAX,
    SOLD_OUT_MAX,
    Close,
    MarkAvailable,
    MarkSoldOut,
    Message,
    Open,
    OrderRequested,
    Pause,
    Restaurant,
    RestaurantMoved,
    Resume,
    Stage,
)
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake
from tests.dispatch.builders import (
    KITCHEN,
    NOW,
    ORDER,
    OTHER_ORDER,
    POLICY,
    RESTAURANT,
    a_restaurant,
    later,
    refusals,
    sure,
    tells,
)
from tests.dispatch.explored import RESTAURANTS, restaurant_words

THIRD = OrderId("ord_3")
REQUEST = Request(order_id=ORDER, dish_ids=("dish_1",))
STAGING = frozenset(cause for row in LEGAL.values() for cause in row) - {Request}


def heard(
    state: Restaurant | None, message: Message, now: Instant = NOW
) -> Step[Restaurant | None]:
    return restaurant.step(state, message, now, POLICY)


def test_the_stage_moves_exactly_where_the_table_allows_it() -> None:
    for state in RESTAURANTS.reachable():
        for message in restaurant_words(state):
            after, effects = RESTAURANTS.after(state, message)

            stage = LEGAL[state.stage].get(type(message), state.stage)
            assert sure(after).stage is stage, (state, message)
            if type(message) in STAGING and type(message) not in LEGAL[state.stage]:
                assert after is state
            elif type(message) in STAGING:
                assert not refusals(effects)


def test_every_stage_is_reached_and_no_kitchen_is_ever_too_full() -> None:
    reached = RESTAURANTS.reachable()

    assert {state.stage for state in reached} == set(Stage)
    assert all(len(state.cooking) <= state.capacity_max for state in reached)


def test_a_restaurant_opens_and_says_so() -> None:
    opened = Open(restaurant_id=RESTAURANT, point=KITCHEN)

    step = heard(None, opened)

    fact = RestaurantMoved(restaurant_id=RESTAURANT, stage=Stage.OPEN, at=NOW)
    assert step.effects == (Record(fact), Tell("feed", RESTAURANT, fact), Reply(Accepted()))


@pytest.mark.parametrize(("capacity_max", "prep_s"), [(0, None), (5, -1.0)])
def test_a_kitchen_that_cannot_be_does_not_open(capacity_max: int, prep_s: float | None) -> None:
    opened = Open(restaurant_id=RESTAURANT, point=KITCHEN, capacity_max=capacity_max, prep_s=prep_s)

    step = heard(None, opened)

    assert step.state is None
    assert refusals(step.effects) == (Code.INVALID,)


def test_a_request_is_accepted_with_the_time_it_takes_to_cook() -> None:
    step = heard(a_restaurant(prep_s=600), REQUEST)

    assert step.effects == (Tell("order", ORDER, Accept(later(600))),)
    assert sure(step.state).cooking == (ORDER,)


def test_food_that_is_wanted_later_is_ready_when_it_is_wanted() -> None:
    request = Request(order_id=ORDER, wanted_at=later(7_200))

    step = heard(a_restaurant(prep_s=600), request)

    assert step.effects == (Tell("order", ORDER, Accept(later(7_200))),)


def test_the_staff_is_asked_where_nothing_is_accepted_by_itself() -> None:
    step = heard(a_restaurant(auto_accepts=False), REQUEST)

    assert step.effects == (Tell("feed", RESTAURANT, OrderRequested(ORDER, NOW)),)
    assert sure(step.state).cooking == (ORDER,)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (None, Code.RESTAURANT_CLOSED),
        (a_restaurant(Close()), Code.RESTAURANT_CLOSED),
        (a_restaurant(Pause(later(60))), Code.RESTAURANT_PAUSED),
        (a_restaurant(Request(order_id=OTHER_ORDER), capacity_max=1), Code.KITCHEN_FULL),
        (a_restaurant(MarkSoldOut("dish_1")), Code.SOLD_OUT),
    ],
    ids=["unknown", "closed", "paused", "full", "sold out"],
)
def test_a_request_is_rejected_where_the_restaurant_is(
    state: Restaurant | None, code: Code
) -> None:
    step = heard(state, REQUEST)

    assert step == Step(state, (Tell("order", ORDER, Reject(code)),))


def test_a_request_that_comes_again_is_answered_again_even_when_the_kitchen_is_full() -> None:
    state = a_restaurant(REQUEST, capacity_max=1)

    step = heard(state, REQUEST)

    assert step == Step(state, (Tell("order", ORDER, Accept(later(600))),))


def test_an_order_that_left_makes_room_for_another() -> None:
    state = a_restaurant(REQUEST, Leave(ORDER), capacity_max=1)

    step = heard(state, Request(order_id=OTHER_ORDER))

    assert sure(step.state).cooking == (OTHER_ORDER,)


def test_a_request_that_comes_again_late_does_not_bring_an_order_back() -> None:
    state = a_restaurant(REQUEST, Leave(ORDER))

    assert heard(state, REQUEST) == Step(state)


def test_an_order_that_left_before_its_request_came_is_not_cooked() -> None:
    state = a_restaurant(Leave(ORDER))

    assert heard(state, REQUEST) == Step(state)


def test_only_the_latest_who_left_are_remembered() -> None:
    leaves = (Leave(OrderId(f"ord_{number}")) for number in range(RECENT_MAX + 5))

    state = a_restaurant(*leaves)

    assert len(state.recent) == RECENT_MAX
    assert state.recent[-1] == f"ord_{RECENT_MAX + 4}"


def test_a_pause_ends_by_itself_on_time() -> None:
    state = a_restaurant(Pause(later(60)))

    early = heard(state, Wake(), Instant(later(60) - 1)).state
    on_time = sure(heard(state, Wake(), later(60)).state)

    assert early is state
    assert (on_time.stage, on_time.paused_until) == (Stage.OPEN, None)


def test_a_pause_can_be_prolonged_and_ended_early() -> None:
    state = a_restaurant(Pause(later(60)), Pause(later(600)))

    resumed = sure(heard(state, Resume()).state)

    assert restaurant.wakes_at(state) == later(600)
    assert restaurant.wakes_at(resumed) is None


def test_a_pause_that_is_over_before_it_begins_is_refused() -> None:
    state = a_restaurant()

    step = heard(state, Pause(NOW))

    assert step.state is state
    assert refusals(step.effects) == (Code.INVALID,)


def test_a_closed_restaurant_keeps_cooking_what_it_accepted() -> None:
    assert a_restaurant(REQUEST, Close()).cooking == (ORDER,)


def test_a_dish_that_can_be_had_again_is_cooked_again() -> None:
    state = a_restaurant(MarkSoldOut("dish_1"), MarkAvailable("dish_1"))

    step = heard(state, REQUEST)

    assert tells(step.effects, "order") == ((ORDER, Accept(later(600))),)


def test_a_menu_cannot_be_sold_out_without_limit() -> None:
    state = a_restaurant(*(MarkSoldOut(f"dish_{number}") for number in range(SOLD_OUT_MAX)))

    step = heard(state, MarkSoldOut("one too many"))

    assert step.state is state
    assert refusals(step.effects) == (Code.OVERLOADED,)
