"""The courier's shift and the work he is given: invitations, assignments, withdrawals, legs."""

import pytest
from msgspec import structs

from dispatch import courier, route
from dispatch.courier import (
    LEGAL,
    TASKS_MAX,
    Abort,
    Arrive,
    Collect,
    Courier,
    CourierHeard,
    CourierQuieted,
    Deliver,
    EndShift,
    GoQuiet,
    Hear,
    Message,
    Move,
    OfferGone,
    OfferMade,
    Pause,
    Resume,
    RouteChanged,
    ShiftEnded,
    ShiftStarted,
    Stage,
    StartShift,
)
from dispatch.delivery import ArriveAtPickup, Depart, LoseCourier
from dispatch.ids import Instant, OrderId
from dispatch.invitation import (
    Ask,
    Claimed,
    Disengage,
    Engage,
    Invite,
    Reposition,
    Unclaimed,
    Withdraw,
)
from dispatch.policy import Policy, Repositioning
from dispatch.route import DropOff, Pickup, Task
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake
from dispatch.work import Work
from geo.point import Point
from tests.dispatch.builders import (
    COURIER,
    DOOR,
    KITCHEN,
    MARKET,
    NOW,
    OFFER,
    ORDER,
    OTHER_KITCHEN,
    OTHER_OFFER,
    OTHER_ORDER,
    OTHER_RESTAURANT,
    POLICY,
    RESTAURANT,
    SQUARE,
    a_courier,
    a_shift,
    a_task,
    busy,
    engaged,
    later,
    loaded,
    refusals,
    said,
    sure,
    tells,
)
from tests.dispatch.explored import COURIERS, courier_words

ELSEWHERE = a_task(OTHER_ORDER, restaurant_id=OTHER_RESTAURANT, pickup=OTHER_KITCHEN)
DIVERTING = POLICY.evolve(diverts=True)
STAGING = (StartShift, EndShift, Pause, Resume, GoQuiet, Hear)


def heard(state: Courier | None, message: Message, now: Instant = NOW) -> Step[Courier | None]:
    return courier.step(state, message, now, POLICY)


def an_invite(state: Courier, *tasks: Task) -> Invite:
    return Invite(offer_id=OFFER, courier_id=COURIER, version=state.version, tasks=tasks)


def test_the_stages_of_a_shift_change_exactly_where_the_table_allows_it() -> None:
    for state in COURIERS.reachable():
        for message in courier_words(state):
            if isinstance(message, STAGING):
                after, effects = COURIERS.after(state, message)

                stage = LEGAL[state.stage].get(type(message))
                is_empty = not sure(after).route
                if stage is None:
                    assert after is state
                elif stage is Stage.ENDING and is_empty:
                    assert sure(after).stage is Stage.OFF
                else:
                    assert sure(after).stage is stage
                    assert not refusals(effects)


def test_invitations_and_advice_are_for_couriers_on_shift() -> None:
    for state in COURIERS.reachable():
        for message in courier_words(state):
            if isinstance(message, Invite | Reposition) and type(message) not in LEGAL[state.stage]:
                after, _ = COURIERS.after(state, message)

                assert after == state


def test_every_stage_is_reached() -> None:
    assert {state.stage for state in COURIERS.reachable()} == set(Stage)


def test_a_courier_can_always_drive_his_route_and_knows_all_of_it() -> None:
    for state in COURIERS.reachable():
        sizes = {task.order_id: task.size for task in state.tasks}

        assert route.is_sound(state.route, state.carried)
        assert route.load_peak(state.route, sizes) <= state.load_max
        assert set(route.order_ids(state.route)) == set(sizes)
        assert set(state.returning) <= set(state.carried)


def test_a_courier_off_shift_has_nothing_left() -> None:
    off = [state for state in COURIERS.reachable() if state.stage is Stage.OFF]

    assert off
    assert all((one.route, one.heading, one.offer_id) == ((), None, None) for one in off)


def test_a_shift_begins_where_the_courier_is() -> None:
    step = heard(None, a_shift())

    started = sure(step.state)
    assert (started.stage, started.point, started.ends_at) == (Stage.ON, SQUARE, later(3_600))
    news = RouteChanged(
        stops=(), heading=None, point=None, version=started.version, market_id=MARKET
    )
    assert step.effects == (
        Record(ShiftStarted(COURIER, later(3_600), NOW)),
        Reply(Accepted()),
        Tell("feed", COURIER, news),
    )


@pytest.mark.parametrize("shift", [a_shift(ends_s=0), a_shift(load_max=0)])
def test_a_shift_that_cannot_be_is_refused(shift: StartShift) -> None:
    step = heard(None, shift)

    assert step.state is None
    assert refusals(step.effects) == (Code.INVALID,)


def test_a_shift_that_is_on_is_not_changed_by_another() -> None:
    state = a_courier()

    step = heard(state, a_shift(ends_s=7_200))

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_LEGAL_NOW,)


def test_a_courier_nobody_knows_is_told_to_start_a_shift() -> None:
    assert refusals(heard(None, Hear()).effects) == (Code.NOT_FOUND,)


def test_an_offer_does_not_wait_for_a_courier_nobody_knows() -> None:
    invite = Invite(offer_id=OFFER, courier_id=COURIER, version=0, tasks=(a_task(),))

    assert heard(None, invite) == Step(None, (Tell("offer", OFFER, Unclaimed(COURIER)),))


def test_a_pickup_at_the_very_end_of_a_shift_still_counts() -> None:
    state = sure(heard(busy(a_task()), courier.Arrive()).state)

    woken_at_the_end = heard(state, Wake(), state.ends_at).state
    collected = sure(heard(state, courier.Collect((ORDER,)), state.ends_at).state)
    after_it = sure(heard(collected, Wake(), Instant(state.ends_at + 1)).state)

    assert woken_at_the_end is state
    assert (after_it.stage, after_it.carried) == (Stage.ENDING, (ORDER,))


def test_a_shift_that_ends_frees_what_was_not_collected() -> None:
    state = busy(a_task())

    step = heard(state, Wake(), Instant(state.ends_at + 1))

    at = Instant(state.ends_at + 1)
    lose = said(LoseCourier, reason="off-shift")
    news = RouteChanged(
        stops=(), heading=RESTAURANT, point=KITCHEN, version=state.version, market_id=MARKET
    )
    assert sure(step.state).stage is Stage.OFF
    assert step.effects == (
        Record(ShiftEnded(COURIER, (), at)),
        Reply(Accepted()),
        Tell("order", ORDER, lose),
        Tell("feed", COURIER, news),
    )


def test_a_leaving_courier_delivers_what_he_carries_and_then_is_off() -> None:
    leaving = sure(heard(loaded(a_task()), EndShift()).state)

    done = sure(heard(leaving, courier.Deliver(ORDER)).state)

    assert (leaving.stage, leaving.carried) == (Stage.ENDING, (ORDER,))
    assert (done.stage, done.route) == (Stage.OFF, ())


def test_a_leaving_courier_waits_for_no_more_food() -> None:
    waiting = sure(heard(busy(a_task(), a_task(OTHER_ORDER)), courier.Arrive()).state)
    half = sure(heard(waiting, courier.Collect((ORDER,))).state)

    leaving = sure(heard(half, EndShift()).state)

    assert (leaving.stage, leaving.heading) == (Stage.ENDING, None)
    assert leaving.route == (DropOff(ORDER, DOOR),)


def test_a_leaving_courier_may_go_on_with_a_new_shift() -> None:
    leaving = sure(heard(loaded(a_task()), EndShift()).state)

    back = sure(heard(leaving, a_shift(ends_s=9_000)).state)

    assert (back.stage, back.ends_at, back.carried) == (Stage.ON, later(9_000), (ORDER,))
    assert back.point == leaving.point


def test_ending_a_shift_twice_is_agreed_to() -> None:
    leaving = sure(heard(loaded(a_task()), EndShift()).state)

    assert heard(leaving, EndShift()) == Step(leaving, (Reply(Accepted()),))


def test_a_quiet_courier_loses_what_he_has_not_collected() -> None:
    step = heard(busy(a_task()), GoQuiet())

    quiet = sure(step.state)
    assert (quiet.stage, quiet.route) == (Stage.QUIET, ())
    assert tells(step.effects, "order") == ((ORDER, said(LoseCourier, reason="quiet")),)
    assert Record(CourierQuieted(COURIER, NOW)) in step.effects


@pytest.mark.parametrize("first", [None, Pause(), EndShift()])
def test_a_quiet_courier_has_what_he_carries_looked_at(first: Message | None) -> None:
    state = loaded(a_task())
    state = sure(heard(state, first).state) if first else state

    step = heard(state, GoQuiet())

    assert sure(step.state).carried == (ORDER,)
    assert tells(step.effects, "order") == ((ORDER, said(LoseCourier, reason="quiet")),)


@pytest.mark.parametrize("first", [Hear(), Pause()])
def test_a_quiet_courier_does_not_keep_an_offer_waiting(first: Message) -> None:
    invited = sure(heard(a_courier(), an_invite(a_courier(), a_task())).state)
    state = sure(heard(invited, first).state)

    step = heard(state, GoQuiet())

    assert sure(step.state).offer_id is None
    assert tells(step.effects, "offer") == ((OFFER, Unclaimed(COURIER)),)
    assert tells(step.effects, "feed") == ((COURIER, OfferGone(OFFER)),)


def test_a_courier_who_is_heard_again_works_again() -> None:
    quiet = a_courier(GoQuiet())

    step = heard(quiet, Hear())

    assert sure(step.state).stage is Stage.ON
    assert step.effects == (Record(CourierHeard(COURIER, NOW)), Reply(Accepted()))


def test_a_pausing_courier_gets_no_offers_and_keeps_his_route() -> None:
    state = sure(heard(busy(a_task()), Pause()).state)

    step = heard(state, an_invite(state, ELSEWHERE))

    assert step == Step(state, (Tell("offer", OFFER, Unclaimed(COURIER)),))
    assert route.order_ids(state.route) == (ORDER,)


def test_a_courier_keeps_himself_free_for_one_offer_at_a_time() -> None:
    state = a_courier()
    invite = an_invite(state, a_task())

    invited = sure(heard(state, invite).state)
    again = heard(invited, invite)
    other = heard(invited, structs.replace(invite, offer_id=OTHER_OFFER))

    assert again == Step(invited, (Tell("offer", OFFER, Claimed(COURIER)),))
    assert other == Step(invited, (Tell("offer", OTHER_OFFER, Unclaimed(COURIER)),))


def test_a_courier_who_moved_on_since_the_round_is_not_invited() -> None:
    state = a_courier()
    invite = structs.replace(an_invite(state, a_task()), version=state.version - 1)

    assert heard(state, invite) == Step(state, (Tell("offer", OFFER, Unclaimed(COURIER)),))


@pytest.mark.parametrize(("size", "fits"), [(2, True), (3, False)])
def test_a_courier_is_invited_only_to_what_he_can_carry(size: int, *, fits: bool) -> None:
    state = busy(a_task(size=2), load_max=4)

    step = heard(state, an_invite(state, a_task(OTHER_ORDER, size=size)))

    answer = Claimed(COURIER) if fits else Unclaimed(COURIER)
    assert tells(step.effects, "offer") == ((OFFER, answer),)


def test_what_is_dropped_off_before_makes_room_for_the_next_trip() -> None:
    state = busy(a_task(size=4), load_max=4)

    step = heard(state, an_invite(state, structs.replace(ELSEWHERE, size=4)))

    assert tells(step.effects, "offer") == ((OFFER, Claimed(COURIER)),)


def test_a_route_cannot_grow_without_limit() -> None:
    state = a_courier()
    tasks = tuple(
        a_task(OrderId(f"ord_{number}"), size=0, pickup=Point(float(number), 0.0))
        for number in range(TASKS_MAX + 1)
    )

    fits = heard(state, an_invite(state, *tasks[1:]))
    exceeds = heard(state, an_invite(state, *tasks))

    assert tells(fits.effects, "offer") == ((OFFER, Claimed(COURIER)),)
    assert tells(exceeds.effects, "offer") == ((OFFER, Unclaimed(COURIER)),)


def test_an_invited_courier_sees_what_he_is_asked() -> None:
    state = sure(heard(a_courier(), an_invite(a_courier(), a_task())).state)
    ask = Ask(offer_id=OFFER, tasks=(a_task(),), expires_at=later(30))

    step = heard(state, ask)

    made = OfferMade(offer_id=OFFER, tasks=(a_task(),), expires_at=later(30), market_id=MARKET)
    assert step == Step(state, (Tell("feed", COURIER, made),))


def test_an_offer_that_is_gone_leaves_the_screen_and_the_courier_free() -> None:
    state = sure(heard(a_courier(), an_invite(a_courier(), a_task())).state)

    step = heard(state, Disengage(OFFER))

    assert sure(step.state).offer_id is None
    assert step.effects == (Tell("feed", COURIER, OfferGone(OFFER)),)


def test_an_engaged_courier_sets_out_and_his_orders_hear_of_it() -> None:
    state = a_courier()

    step = engaged(state, a_task(), now=later(5))

    under_way = sure(step.state)
    stops = (Pickup(RESTAURANT, KITCHEN, (ORDER,)), DropOff(ORDER, DOOR))
    assert under_way.route == stops
    assert under_way.heading == courier.Heading(
        restaurant_id=RESTAURANT, point=KITCHEN, origin=SQUARE, departed_at=later(5)
    )
    assert under_way.version == state.version + 1
    news = RouteChanged(
        stops=stops,
        heading=RESTAURANT,
        point=KITCHEN,
        version=under_way.version,
        market_id=MARKET,
    )
    assert step.effects == (Tell("order", ORDER, said(Depart)), Tell("feed", COURIER, news))


def test_orders_that_join_a_pickup_hear_how_far_the_courier_is() -> None:
    driving = busy(a_task())
    waiting = sure(heard(driving, courier.Arrive()).state)

    joined_driving = engaged(driving, a_task(OTHER_ORDER), offer_id=OTHER_OFFER)
    joined_waiting = engaged(waiting, a_task(OTHER_ORDER), offer_id=OTHER_OFFER)

    assert tells(joined_driving.effects, "order") == (
        (OTHER_ORDER, said(Depart, offer_id=OTHER_OFFER)),
    )
    assert tells(joined_waiting.effects, "order") == (
        (OTHER_ORDER, said(ArriveAtPickup, offer_id=OTHER_OFFER)),
    )


def test_a_round_says_in_which_sequence_the_doors_are_visited() -> None:
    step = engaged(
        busy(a_task()),
        a_task(OTHER_ORDER),
        offer_id=OTHER_OFFER,
        sequence=(OTHER_ORDER, ORDER),
    )

    assert route.order_ids(sure(step.state).route) == (OTHER_ORDER, ORDER)


def test_a_sequence_that_cannot_be_driven_is_passed_over() -> None:
    step = engaged(busy(a_task()), ELSEWHERE, offer_id=OTHER_OFFER, sequence=(OTHER_ORDER, ORDER))

    assert route.order_ids(sure(step.state).route) == (ORDER, OTHER_ORDER)


def test_a_courier_who_let_go_of_an_offer_gives_its_orders_back() -> None:
    state = a_courier()

    step = heard(state, Engage(offer_id=OFFER, tasks=(a_task(),)))

    assert step == Step(state, (Tell("order", ORDER, said(LoseCourier, reason="unavailable")),))


def test_an_engagement_that_comes_again_changes_nothing() -> None:
    state = busy(a_task())

    assert heard(state, Engage(offer_id=OFFER, tasks=(a_task(),))) == Step(state)


def test_an_engagement_that_comes_again_after_the_delivery_changes_nothing() -> None:
    state = sure(heard(loaded(a_task()), courier.Deliver(ORDER)).state)

    assert heard(state, Engage(offer_id=OFFER, tasks=(a_task(),))) == Step(state)


def test_an_order_is_his_anew_when_he_takes_it_a_second_time() -> None:
    state = busy(a_task())

    retaken = sure(engaged(state, a_task(), offer_id=OTHER_OFFER).state)
    late = heard(retaken, Withdraw(ORDER, offer_id=OFFER))

    assert [task.offer_id for task in retaken.tasks] == [OTHER_OFFER]
    assert late == Step(retaken)


def test_food_that_he_handed_over_and_takes_again_is_to_be_fetched_again() -> None:
    state = sure(heard(loaded(a_task()), courier.Deliver(ORDER)).state)

    retaken = sure(engaged(state, a_task(pickup=SQUARE), offer_id=OTHER_OFFER).state)
    again = heard(retaken, courier.Deliver(ORDER))

    assert route.to_collect(retaken.route) == (ORDER,)
    assert refusals(again.effects) == (Code.NOT_AT_STOP,)


def test_a_leg_that_has_begun_is_finished_when_its_orders_are_withdrawn() -> None:
    state = busy(a_task())

    step = heard(state, Withdraw(ORDER, "customer", OFFER))

    left = sure(step.state)
    assert left.route == ()
    assert left.heading == state.heading
    assert left.version == state.version


def test_a_courier_who_arrives_where_nothing_is_left_goes_on_to_the_next() -> None:
    withdrawn = sure(heard(busy(a_task()), Withdraw(ORDER)).state)
    given = engaged(withdrawn, ELSEWHERE, offer_id=OTHER_OFFER)

    arrived = heard(sure(given.state), courier.Arrive(), later(300))

    assert tells(given.effects, "order") == ()
    heading = sure(sure(arrived.state).heading)
    assert (heading.restaurant_id, heading.origin) == (OTHER_RESTAURANT, KITCHEN)
    assert heading.departed_at == later(300)
    assert tells(arrived.effects, "order") == ((OTHER_ORDER, said(Depart, offer_id=OTHER_OFFER)),)


def test_a_courier_may_be_diverted_where_policy_says_so() -> None:
    withdrawn = sure(heard(busy(a_task()), Withdraw(ORDER)).state)
    moved = sure(courier.step(withdrawn, Move(DOOR), NOW, DIVERTING).state)

    diverted = engaged(moved, ELSEWHERE, offer_id=OTHER_OFFER, policy=DIVERTING)

    heading = sure(sure(diverted.state).heading)
    assert (heading.restaurant_id, heading.origin) == (OTHER_RESTAURANT, DOOR)
    assert tells(diverted.effects, "order") == ((OTHER_ORDER, said(Depart, offer_id=OTHER_OFFER)),)


def test_a_withdrawal_for_a_better_plan_comes_too_late_for_who_has_collected() -> None:
    waiting = sure(engaged(a_courier(), a_task()).state)
    there = sure(heard(waiting, Arrive(restaurant_id=RESTAURANT)).state)
    loaded = sure(heard(there, Collect((ORDER,))).state)

    released = heard(loaded, Withdraw(ORDER, "order.release", OFFER))
    canceled = heard(loaded, Withdraw(ORDER, "by-customer", OFFER))

    assert released == Step(loaded)
    assert sure(canceled.state).carried == ()


def test_a_courier_who_waits_for_one_more_order_leaves_when_it_is_withdrawn() -> None:
    waiting = sure(heard(busy(a_task(), a_task(OTHER_ORDER)), courier.Arrive()).state)
    half = sure(heard(waiting, courier.Collect((ORDER,))).state)

    left = sure(heard(half, Withdraw(OTHER_ORDER)).state)

    assert half.heading is not None
    assert (left.heading, left.route) == (None, (DropOff(ORDER, DOOR),))


def test_an_idle_courier_goes_where_work_is_expected() -> None:
    state = a_courier()
    advice = Reposition(version=state.version, restaurant_id=RESTAURANT, point=KITCHEN)

    moved = sure(heard(state, advice).state)

    assert sure(moved.heading).point == KITCHEN
    assert moved.version == state.version + 1


@pytest.mark.parametrize(
    ("state", "version", "code"),
    [
        (busy(a_task()), 2, Code.COURIER_UNAVAILABLE),
        (a_courier(Pause()), 2, Code.COURIER_UNAVAILABLE),
        (a_courier(), 0, Code.STALE_VERSION),
    ],
    ids=["busy", "pausing", "moved on"],
)
def test_a_courier_does_not_follow_advice_who_is(state: Courier, version: int, code: Code) -> None:
    advice = Reposition(version=version, restaurant_id=RESTAURANT, point=KITCHEN)

    step = heard(state, advice)

    assert step.state is state
    assert refusals(step.effects) == (code,)


def _advised(policy: Policy = POLICY) -> Courier:
    idle = a_courier()
    advice = Reposition(version=idle.version, restaurant_id=RESTAURANT, point=KITCHEN)
    return sure(courier.step(idle, advice, NOW, policy).state)


def test_work_elsewhere_turns_a_courier_round_who_was_only_to_wait() -> None:
    under_way = sure(heard(_advised(), Move(SQUARE)).state)

    turned = sure(engaged(under_way, ELSEWHERE).state)

    assert sure(turned.heading).restaurant_id == OTHER_RESTAURANT
    assert (sure(turned.heading).origin, sure(turned.heading).is_advised) == (SQUARE, False)


def test_where_advice_binds_a_courier_gets_there_before_he_goes_elsewhere() -> None:
    binding = POLICY.evolve(repositioning=Repositioning(binds=True))
    under_way = _advised(binding)

    moved = courier.step(under_way, Move(SQUARE), NOW, binding).state
    given = sure(engaged(under_way, ELSEWHERE, policy=binding).state)
    there = sure(courier.step(given, courier.Arrive(), later(60), binding).state)

    assert moved is under_way
    assert given.heading == under_way.heading
    assert sure(there.heading).restaurant_id == OTHER_RESTAURANT


def test_an_order_from_where_he_was_to_wait_makes_the_way_there_work() -> None:
    given = sure(engaged(_advised(), a_task()).state)
    withdrawn = sure(heard(given, Withdraw(ORDER)).state)

    elsewhere = sure(engaged(withdrawn, ELSEWHERE, offer_id=OTHER_OFFER).state)

    assert sure(given.heading).departed_at == NOW
    assert sure(elsewhere.heading).restaurant_id == RESTAURANT


def test_a_position_counts_only_while_nothing_better_is_known() -> None:
    free, driving, carrying = a_courier(), busy(a_task()), loaded(a_task())

    assert sure(heard(free, Move(DOOR)).state).point == DOOR
    assert heard(driving, Move(DOOR)).state is driving
    assert heard(carrying, Move(DOOR)).state is carrying


def a_counted_shift() -> Courier:
    """A courier on shift whose work is counted."""
    return sure(heard(None, structs.replace(a_shift(), is_counted=True)).state)


def test_work_is_counted_only_where_that_was_asked_for() -> None:
    plain = sure(heard(None, a_shift()).state)

    assert plain.work is None
    assert a_counted_shift().work == Work(since=NOW, turned_at=NOW, stretch_at=NOW)


def test_a_courier_is_at_work_from_his_first_order_until_his_last_delivery() -> None:
    sent = engaged(a_counted_shift(), a_task(), now=later(100))
    under_way = sure(sent.state)
    for message, at_s in ((Arrive(), 200), (Collect((ORDER,)), 260), (Deliver(ORDER), 700)):
        under_way = sure(heard(under_way, message, later(at_s)).state)

    assert under_way.work == Work(
        since=NOW, turned_at=later(700), stretch_at=NOW, worked_ms=600_000, delivered=1
    )


def test_a_delivery_that_is_told_twice_counts_once() -> None:
    state = sure(engaged(a_counted_shift(), a_task(), now=later(100)).state)
    for message in (Arrive(), Collect((ORDER,)), Deliver(ORDER)):
        state = sure(heard(state, message, later(300)).state)

    assert heard(state, Deliver(ORDER), later(400)).state is state


def test_an_order_that_is_thrown_away_is_no_delivery() -> None:
    state = sure(engaged(a_counted_shift(), a_task()).state)
    for message in (Arrive(), Collect((ORDER,)), Abort(ORDER, "nobody there", returns=False)):
        state = sure(heard(state, message, later(300)).state)

    assert state.work is not None
    assert (state.work.delivered, state.work.is_working) == (0, False)


def test_a_shift_that_begins_after_a_rest_counts_from_nothing() -> None:
    began = a_counted_shift()
    ended = sure(heard(began, EndShift(), later(1_000)).state)
    again = structs.replace(a_shift(ends_s=9_000), is_counted=True)

    soon = sure(heard(ended, again, later(1_100)).state)
    rested = sure(heard(ended, again, later(1_000 + POLICY.safety.rest_s)).state)

    assert soon.work == began.work
    assert rested.work is not None
    assert rested.work.since == later(1_000 + POLICY.safety.rest_s)
