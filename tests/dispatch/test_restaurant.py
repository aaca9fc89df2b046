"""The restaurant machine: when it takes orders, and what occupies its kitchen."""

import pytest

from dispatch import restaurant
from dispatch.delivery import Reject
from dispatch.hours import Hours, Span
from dispatch.ids import Instant, OrderId
from dispatch.kitchen import Accept, Leave, Request
from dispatch.restaurant import (
    LEGAL,
    RECENT_MAX,
    SOLD_OUT_MAX,
    Close,
    Configure,
    End,
    EndPause,
    HoursBegin,
    HoursEnd,
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
    moves_at,
    stage_at,
)
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake
from tests.dispatch.builders import (
    EVENINGS,
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
MOMENTS = frozenset({HoursBegin, HoursEnd, EndPause})
STAGING = frozenset(cause for row in LEGAL.values() for cause in row) - MOMENTS - {Request}


def heard(
    state: Restaurant | None, message: Message, now: Instant = NOW
) -> Step[Restaurant | None]:
    return restaurant.step(state, message, now, POLICY)


def test_the_stage_moves_exactly_where_the_table_allows_it() -> None:
    for state in RESTAURANTS.reachable():
        for message in restaurant_words(state):
            after, effects = RESTAURANTS.after(state, message)

            row = LEGAL[state.stage]
            if isinstance(message, End) and state.cooking:
                assert after is state
                continue
            stages = {row.get(type(message), state.stage)}
            if isinstance(message, Wake | Configure):
                stages |= {row[moment] for moment in MOMENTS & set(row)}
            assert sure(after).stage in stages, (state, message)
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


HOUR_S = 3_600.0
OPENS = later(8 * HOUR_S)
CLOSES = later(14 * HOUR_S)
OPENS_AGAIN = later(32 * HOUR_S)
LUNCH = Hours(timezone="Europe/Copenhagen", week=((Span(9 * 60, 14 * 60),),) * 7)


def configured(
    *messages: Message,
    hours: Hours | None = EVENINGS,
    version: int = 1,
    prep_s: float | None = 600,
    busy_prep_s: float = 0.0,
) -> Restaurant:
    """Return a restaurant with hours, at nine in the morning, that then heard these messages."""
    settings = Configure(
        restaurant_id=RESTAURANT,
        point=KITCHEN,
        prep_s=prep_s,
        busy_prep_s=busy_prep_s,
        hours=hours,
        version=version,
    )
    state = heard(None, settings).state
    for message in messages:
        state = heard(state, message).state
    return sure(state)


def changed(hours: Hours | None, version: int = 2) -> Configure:
    return Configure(restaurant_id=RESTAURANT, point=KITCHEN, hours=hours, version=version)


def woken(state: Restaurant, now: Instant) -> Restaurant:
    return sure(heard(state, Wake(), now).state)


def test_a_restaurant_opens_and_closes_itself_by_its_hours() -> None:
    state = configured()

    evening = woken(state, OPENS)
    night = woken(evening, CLOSES)

    assert (state.stage, restaurant.wakes_at(state)) == (Stage.CLOSED, OPENS)
    assert (evening.stage, restaurant.wakes_at(evening)) == (Stage.OPEN, CLOSES)
    assert (night.stage, restaurant.wakes_at(night)) == (Stage.CLOSED, OPENS_AGAIN)


def test_opening_by_its_hours_is_told_like_opening_by_hand() -> None:
    step = heard(configured(), Wake(), OPENS)

    fact = RestaurantMoved(restaurant_id=RESTAURANT, stage=Stage.OPEN, at=OPENS)
    assert step.effects == (Record(fact), Tell("feed", RESTAURANT, fact))


def test_who_wakes_late_does_what_the_hours_say_by_then() -> None:
    slept = woken(configured(), Instant(CLOSES + 60_000))

    assert (slept.stage, restaurant.wakes_at(slept)) == (Stage.CLOSED, OPENS_AGAIN)


def test_an_order_after_closing_is_rejected_also_when_the_wake_is_late() -> None:
    state = woken(configured(), OPENS)

    step = heard(state, REQUEST, CLOSES)

    assert stage_at(state, CLOSES) is Stage.CLOSED
    assert step.effects == (Tell("order", ORDER, Reject(Code.RESTAURANT_CLOSED)),)


def test_opened_by_hand_against_its_hours_it_stays_open_until_they_end() -> None:
    opened = Open(restaurant_id=RESTAURANT, point=KITCHEN, hours=EVENINGS, version=1)

    state = configured(opened)

    assert (state.stage, moves_at(state, NOW)) == (Stage.OPEN, CLOSES)
    assert woken(state, OPENS).stage is Stage.OPEN
    assert woken(woken(state, OPENS), CLOSES).stage is Stage.CLOSED


def test_closed_by_hand_during_its_hours_it_opens_with_the_next_ones() -> None:
    state = sure(heard(woken(configured(), OPENS), Close(), OPENS).state)

    night = woken(state, CLOSES)

    assert (state.stage, moves_at(state, OPENS)) == (Stage.CLOSED, OPENS_AGAIN)
    assert night.stage is Stage.CLOSED
    assert woken(night, OPENS_AGAIN).stage is Stage.OPEN


def test_a_pause_that_ends_after_the_hours_ends_closed() -> None:
    state = heard(woken(configured(), OPENS), Pause(Instant(CLOSES + 1)), OPENS).state

    over = woken(sure(state), Instant(CLOSES + 1))

    assert (over.stage, restaurant.wakes_at(over)) == (Stage.CLOSED, OPENS_AGAIN)


def test_a_pause_that_ends_within_the_hours_ends_open() -> None:
    state = heard(woken(configured(), OPENS), Pause(Instant(OPENS + 1)), OPENS).state

    over = woken(sure(state), Instant(OPENS + 1))

    assert (over.stage, over.paused_until, over.changes_at) == (Stage.OPEN, None, CLOSES)


def test_a_pause_of_who_was_opened_by_hand_ends_open() -> None:
    opened = Open(restaurant_id=RESTAURANT, point=KITCHEN, hours=EVENINGS, version=1)
    state = configured(opened, Pause(later(60)))

    assert woken(state, later(60)).stage is Stage.OPEN


def test_new_hours_count_at_once() -> None:
    state = configured()

    step = heard(state, changed(LUNCH))

    assert sure(step.state).stage is Stage.OPEN
    assert [type(effect) for effect in step.effects] == [Record, Tell, Reply]


def test_other_settings_leave_what_was_done_by_hand() -> None:
    state = configured(Close(), hours=LUNCH)

    after = sure(heard(state, changed(LUNCH)).state)

    assert (after.stage, after.prep_s, after.version) == (Stage.CLOSED, None, 2)


def test_new_hours_do_not_end_a_pause() -> None:
    state = configured(Pause(later(60)), hours=LUNCH)

    assert sure(heard(state, changed(EVENINGS)).state).stage is Stage.PAUSED


def test_new_hours_count_when_the_pause_is_over() -> None:
    state = configured(Pause(later(60)), hours=LUNCH)

    over = woken(sure(heard(state, changed(EVENINGS)).state), later(60))

    assert (over.stage, restaurant.wakes_at(over)) == (Stage.CLOSED, OPENS)


def test_a_pause_that_is_prolonged_over_closing_ends_closed() -> None:
    state = heard(woken(configured(), OPENS), Pause(Instant(CLOSES + 1)), OPENS).state
    prolonged = heard(state, Pause(Instant(CLOSES + 1_000)), CLOSES).state
    renamed = heard(prolonged, changed(EVENINGS), Instant(CLOSES + 500)).state

    assert woken(sure(renamed), Instant(CLOSES + 1_000)).stage is Stage.CLOSED


def test_settings_that_come_at_closing_before_the_wake_do_not_keep_it_open() -> None:
    state = woken(configured(), OPENS)

    step = heard(state, changed(EVENINGS), CLOSES)

    fact = RestaurantMoved(restaurant_id=RESTAURANT, stage=Stage.CLOSED, at=CLOSES)
    assert sure(step.state).stage is Stage.CLOSED
    assert step.effects == (Record(fact), Tell("feed", RESTAURANT, fact), Reply(Accepted()))


def test_settings_that_come_late_do_not_undo_newer_ones() -> None:
    state = configured(changed(LUNCH, version=3))

    assert heard(state, changed(None)) == Step(state, (Reply(Accepted()),))


def test_who_has_no_hours_any_more_stays_as_he_is() -> None:
    state = configured(changed(None), hours=LUNCH)

    assert (state.stage, restaurant.wakes_at(state)) == (Stage.OPEN, None)


def test_hours_that_cannot_be_are_refused() -> None:
    nowhere = Hours(timezone="Nowhere", week=((),) * 7)

    step = heard(configured(), changed(nowhere))

    assert refusals(step.effects) == (Code.INVALID,)


def test_each_order_in_the_kitchen_delays_the_next_one() -> None:
    state = configured(Request(order_id=OTHER_ORDER), hours=LUNCH, busy_prep_s=120)

    step = heard(state, REQUEST)

    assert step.effects == (Tell("order", ORDER, Accept(later(720))),)


def test_a_restaurant_with_hours_stays_where_its_deadline_is_known() -> None:
    assert not restaurant.may_rest(configured())
    assert restaurant.may_rest(a_restaurant(Close()))


def test_nobody_can_tell_when_who_has_no_hours_opens() -> None:
    assert moves_at(a_restaurant(Close()), NOW) is None
    assert moves_at(a_restaurant(Pause(later(60))), NOW) == later(60)


def test_a_restaurant_with_food_in_its_kitchen_does_not_close_for_good() -> None:
    cooking = sure(heard(a_restaurant(), REQUEST).state)

    refused = heard(cooking, End())
    ended = sure(heard(sure(heard(cooking, Leave(ORDER)).state), End()).state)

    assert refusals(refused.effects) == (Code.NOT_LEGAL_NOW,)
    assert ended.stage is Stage.ENDED


def test_a_restaurant_that_closed_for_good_tells_so_once_and_stays_closed() -> None:
    step = heard(a_restaurant(), End())

    ended = sure(step.state)
    fact = RestaurantMoved(restaurant_id=RESTAURANT, stage=Stage.ENDED, at=NOW)
    assert step.effects == (Record(fact), Tell("feed", RESTAURANT, fact), Reply(Accepted()))
    assert heard(ended, End()) == Step(ended, (Reply(Accepted()),))
    assert restaurant.may_rest(ended)
    assert restaurant.wakes_at(ended) is None
    for message in restaurant_words(ended):
        assert sure(heard(ended, message, later(86_400)).state).stage is Stage.ENDED
    assert tells(heard(ended, REQUEST).effects, "order") == (
        (ORDER, Reject(Code.RESTAURANT_CLOSED)),
    )
