"""What customers, restaurants, couriers and operations rely on in an order."""

import pytest

from dispatch import order
from dispatch.delivery import (
    ArriveAtDropOff,
    ArriveAtPickup,
    Assign,
    Cancel,
    CloseOffer,
    DeliveryStatus,
    Depart,
    Discard,
    HandOver,
    HandToCustomer,
    LoseCourier,
    Party,
    PickUp,
    Reject,
    Release,
    Return,
    StartReturn,
)
from dispatch.ids import CourierId, Instant, OfferId
from dispatch.invitation import Claimed, Unclaimed, Withdraw
from dispatch.kitchen import Leave, OrderStatus, Request
from dispatch.matching.survey import task_of
from dispatch.order import (
    Accept,
    Delay,
    DeliveryTroubled,
    MarkReady,
    Order,
    OrderCanceled,
    OrderMoved,
    OrderPlaced,
    StartPreparing,
)
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake, refuse
from dispatch.undeliverable import UndeliverableAction
from tests.dispatch.builders import (
    COURIER,
    CUSTOMER,
    KITCHEN,
    NOW,
    OFFER,
    ORDER,
    OTHER_COURIER,
    OTHER_OFFER,
    OTHER_RESTAURANT,
    POLICY,
    RESTAURANT,
    SQUARE,
    a_claim,
    a_place,
    an_assigned_order,
    an_order,
    answers,
    later,
    refusals,
    said,
    sure,
    tells,
)
from tests.dispatch.explored import ORDERS


def heard(state: Order | None, message: order.Message, now: Instant = NOW) -> Step[Order | None]:
    return order.step(state, message, now, POLICY)


def test_a_claim_of_a_version_that_has_passed_gets_a_no() -> None:
    for state in ORDERS.reachable():
        stale = a_claim(version=state.version - 1, offer_id=OTHER_OFFER)

        step = heard(state, stale)

        assert step == Step(state, (Tell("offer", OTHER_OFFER, Unclaimed(ORDER)),))


def test_a_placed_order_is_put_to_its_restaurant() -> None:
    place = a_place()

    step = heard(None, place)

    fact = OrderPlaced(
        order_id=ORDER, customer_id=CUSTOMER, restaurant_id=RESTAURANT, wanted_at=None, at=NOW
    )
    assert step.effects == (
        Record(fact),
        Reply(Accepted()),
        Tell("restaurant", RESTAURANT, Request(order_id=ORDER, dish_ids=("dish_1",))),
        Tell("feed", CUSTOMER, fact),
    )
    assert sure(step.state).decide_by == later(POLICY.accept_s)


def test_an_order_that_no_courier_could_carry_is_refused() -> None:
    step = heard(None, a_place(size=POLICY.load_max + 1))

    assert step.state is None
    assert refusals(step.effects) == (Code.LOAD_EXCEEDED,)


@pytest.mark.parametrize("size", [0, -1])
def test_an_order_of_nothing_is_refused(size: int) -> None:
    step = heard(None, a_place(size=size))

    assert step.state is None
    assert refusals(step.effects) == (Code.INVALID,)


def test_an_id_that_is_taken_by_another_order_is_refused() -> None:
    state = an_order()

    step = heard(state, a_place(restaurant_id=OTHER_RESTAURANT))

    assert step.state is state
    assert refusals(step.effects) == (Code.ALREADY_EXISTS,)


def test_an_order_that_was_never_placed_is_not_found() -> None:
    step = heard(None, MarkReady())

    assert step == refuse(None, Code.NOT_FOUND, "there is no such order")


def test_an_offer_that_claims_an_order_that_was_never_placed_does_not_wait_for_it() -> None:
    step = heard(None, a_claim(version=0))

    assert step == Step(None, (Tell("offer", OFFER, Unclaimed(ORDER)),))


def test_an_accepted_order_is_looked_for_at_once() -> None:
    state = an_order()

    step = heard(state, Accept())

    accepted = sure(step.state)
    assert accepted.delivery.status is DeliveryStatus.PENDING
    assert accepted.ready_at == later(POLICY.prep_default_s)
    assert accepted.give_up_at == later(POLICY.give_up_s)
    moves = [
        effect.fact
        for effect in step.effects
        if isinstance(effect, Record) and isinstance(effect.fact, OrderMoved)
    ]
    assert [move.delivery_status for move in moves] == ["scheduled", "pending"]


def test_a_scheduled_order_is_released_on_time() -> None:
    state = an_order(Accept(), wanted_at=later(7_200))
    release_at = later(7_200 - POLICY.release_lead_s)

    early = heard(state, Wake(), Instant(release_at - 1)).state
    on_time = heard(state, Wake(), release_at).state

    assert order.wakes_at(state) == release_at
    assert early is state
    assert sure(on_time).delivery.status is DeliveryStatus.PENDING


def test_a_scheduled_order_is_expected_to_be_ready_when_it_is_wanted() -> None:
    state = an_order(Accept(), wanted_at=later(7_200))

    assert state.ready_at == later(7_200)


def test_a_restaurant_that_does_not_answer_rejects_by_its_silence() -> None:
    state = an_order()

    step = heard(state, Wake(), state.decide_by)

    rejected = sure(step.state)
    assert (rejected.status, rejected.reason) == (OrderStatus.REJECTED, "no-answer")
    assert tells(step.effects, "restaurant") == ((RESTAURANT, Leave(ORDER)),)


def test_a_restaurant_rejects_with_its_reason() -> None:
    rejected = an_order(Reject("sold-out"))

    assert (rejected.status, rejected.reason) == (OrderStatus.REJECTED, "sold-out")
    assert rejected.delivery.status is DeliveryStatus.CANCELED


def test_a_rejected_order_was_not_canceled_by_who_tries_to_now() -> None:
    state = an_order(Reject("sold-out"))

    step = heard(state, Cancel(Party.CUSTOMER))

    assert refusals(step.effects) == (Code.NOT_CANCELABLE,)


def test_food_cannot_be_ready_before_it_was_ordered() -> None:
    state = an_order(Accept())

    step = heard(state, Delay(Instant(NOW - 1)))

    assert step.state is state
    assert refusals(step.effects) == (Code.INVALID,)


def test_a_delay_is_told_to_the_customer() -> None:
    state = an_order(Accept(), StartPreparing())

    step = heard(state, Delay(later(1_500)))

    ((_, fact), _) = tells(step.effects, "feed")
    assert isinstance(fact, OrderMoved)
    assert fact.ready_at == later(1_500)


def test_the_courier_on_his_way_hears_that_the_food_is_ready() -> None:
    state = an_assigned_order(said(Depart))

    step = heard(state, MarkReady(), later(60))

    assert COURIER in dict(tells(step.effects, "feed"))
    assert sure(step.state).ready_at == later(60)


@pytest.mark.parametrize("by", [Party.CUSTOMER, Party.RESTAURANT, Party.SUPPORT, Party.SYSTEM])
@pytest.mark.parametrize("is_assigned", [False, True])
def test_only_the_customer_pays_for_canceling_and_only_once_a_courier_has_it(
    *, by: Party, is_assigned: bool
) -> None:
    state = an_assigned_order() if is_assigned else an_order(Accept())

    step = heard(state, Cancel(by, "changed my mind"))

    (canceled,) = (
        effect.fact
        for effect in step.effects
        if isinstance(effect, Record) and isinstance(effect.fact, OrderCanceled)
    )
    is_free = not (by is Party.CUSTOMER and is_assigned)
    assert canceled == OrderCanceled(
        order_id=ORDER, by=by, reason="changed my mind", is_free=is_free, at=NOW
    )
    assert sure(step.state).status is OrderStatus.CANCELED


def test_a_courier_cannot_cancel_an_order() -> None:
    state = an_assigned_order()

    step = heard(state, Cancel(Party.COURIER))

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_CANCELABLE,)


def test_nobody_cancels_an_order_that_was_picked_up() -> None:
    state = an_assigned_order(said(PickUp))

    for by in Party:
        step = heard(state, Cancel(by))

        assert step.state is state
        assert refusals(step.effects) == (Code.NOT_CANCELABLE,)


def test_a_canceled_order_lets_kitchen_and_offer_go() -> None:
    state = an_order(Accept(), a_claim(version=1))

    step = heard(state, Cancel(Party.CUSTOMER))

    assert tells(step.effects, "restaurant", "offer", "courier") == (
        (RESTAURANT, Leave(ORDER)),
        (OFFER, Unclaimed(ORDER)),
    )


def test_a_canceled_order_lets_its_courier_go() -> None:
    state = an_assigned_order()

    step = heard(state, Cancel(Party.CUSTOMER))

    assert tells(step.effects, "offer", "courier") == (
        (COURIER, Withdraw(ORDER, "customer", OFFER)),
    )


def test_a_claimed_order_stands_in_one_offer_only() -> None:
    state = an_order(Accept(), a_claim(version=1))

    again = heard(state, a_claim(version=1))
    other = heard(state, a_claim(version=state.version, offer_id=OTHER_OFFER))

    assert again == Step(state, (Tell("offer", OFFER, Claimed(ORDER)),))
    assert other == Step(state, (Tell("offer", OTHER_OFFER, Unclaimed(ORDER)),))


def test_a_courier_who_declined_is_not_asked_again() -> None:
    state = an_order(Accept(), a_claim(version=1), CloseOffer(OFFER, declined_by=COURIER))

    again = heard(state, a_claim(version=state.version, offer_id=OTHER_OFFER))
    other = heard(state, a_claim(version=state.version, courier_id=OTHER_COURIER))

    assert again.effects == (Tell("offer", OTHER_OFFER, Unclaimed(ORDER)),)
    assert other.effects == (Tell("offer", OFFER, Claimed(ORDER)),)


def test_only_the_latest_who_declined_are_remembered() -> None:
    policy = POLICY.evolve(declines_max=2)
    state = an_order(Accept())

    for number in range(4):
        courier_id, offer_id = CourierId(f"crr_{number}"), OfferId(f"off_{number}")
        claim = a_claim(version=state.version, offer_id=offer_id, courier_id=courier_id)
        for message in (claim, CloseOffer(offer_id, declined_by=courier_id)):
            state = sure(order.step(state, message, NOW, policy).state)

    assert state.delivery.declined_by == ("crr_2", "crr_3")


def test_an_order_nobody_takes_is_canceled_with_apologies() -> None:
    state = an_order(Accept())

    step = heard(state, Wake(), later(POLICY.give_up_s))

    canceled = sure(step.state)
    assert (canceled.status, canceled.reason) == (OrderStatus.CANCELED, "no-courier")
    assert tells(step.effects, "restaurant") == ((RESTAURANT, Leave(ORDER)),)


def test_the_time_to_find_a_courier_counts_from_the_first_search() -> None:
    state = an_order(Accept(), a_claim(version=1))

    freed = heard(state, CloseOffer(OFFER), later(500)).state

    assert order.wakes_at(sure(freed)) == later(POLICY.give_up_s)


def test_a_search_is_never_given_up_the_moment_it_begins() -> None:
    hasty = POLICY.evolve(give_up_s=0)
    scheduled = an_order(Accept(), wanted_at=later(7_200), policy=hasty)
    release_at = sure(order.wakes_at(scheduled))

    searched = sure(order.step(scheduled, Wake(), release_at, hasty).state)

    assert searched.delivery.status is DeliveryStatus.PENDING
    assert sure(order.wakes_at(searched)) > release_at


def test_an_order_taken_back_from_its_courier_is_looked_for_again() -> None:
    state = an_assigned_order(said(Depart))

    step = heard(state, Release(state.version))

    freed = sure(step.state)
    assert freed.delivery.status is DeliveryStatus.PENDING
    assert freed.delivery.courier_id is None
    assert freed.version == state.version + 1
    assert tells(step.effects, "courier") == ((COURIER, Withdraw(ORDER, "order.release", OFFER)),)


def test_an_order_taken_back_stays_with_the_courier_who_had_collected_it_before_he_heard() -> None:
    state = an_assigned_order(said(ArriveAtPickup))
    freed = sure(heard(state, Release(state.version)).state)

    step = heard(freed, said(PickUp))

    his = sure(step.state).delivery
    assert (his.status, his.courier_id, his.offer_id) == (
        DeliveryStatus.PICKED_UP,
        COURIER,
        OFFER,
    )
    assert answers(step.effects) == (Accepted(),)
    assert tells(step.effects, "courier") == ()


def test_whoever_was_to_have_it_in_his_place_is_let_go_before() -> None:
    state = an_assigned_order(said(ArriveAtPickup))
    freed = sure(heard(state, Release(state.version)).state)
    claim = a_claim(version=freed.version, offer_id=OTHER_OFFER, courier_id=OTHER_COURIER)
    offered = sure(heard(freed, claim).state)
    assigned = sure(heard(offered, Assign(OTHER_OFFER, OTHER_COURIER)).state)

    from_offer, from_courier = (heard(one, said(PickUp)) for one in (offered, assigned))

    assert sure(from_offer.state).delivery.courier_id == COURIER
    assert tells(from_offer.effects, "offer") == ((OTHER_OFFER, Unclaimed(ORDER)),)
    assert sure(from_courier.state).delivery.courier_id == COURIER
    withdrawn = Withdraw(ORDER, "order.release", OTHER_OFFER)
    assert tells(from_courier.effects, "courier") == ((OTHER_COURIER, withdrawn),)
    facts = [effect.fact for effect in from_courier.effects if isinstance(effect, Record)]
    moved = [fact for fact in facts if isinstance(fact, OrderMoved)]
    assert [one.courier_id for one in moved] == [None, COURIER]


def test_a_courier_it_was_not_taken_from_cannot_pick_up_what_is_looked_for() -> None:
    state = an_assigned_order(said(ArriveAtPickup))
    freed = sure(heard(state, Release(state.version)).state)

    step = heard(freed, PickUp(courier_id=OTHER_COURIER, offer_id=OFFER))

    assert step.state is freed
    assert refusals(step.effects) == (Code.NOT_YOURS,)


def test_an_order_that_moved_on_is_not_taken_back() -> None:
    state = an_assigned_order(said(Depart))

    step = heard(state, Release(state.version - 1))

    assert step.state is state
    assert refusals(step.effects) == (Code.STALE_VERSION,)


def test_a_courier_who_goes_quiet_before_pickup_loses_the_order() -> None:
    state = an_assigned_order(said(ArriveAtPickup))

    freed = sure(heard(state, said(LoseCourier, reason="quiet")).state)

    assert freed.delivery.status is DeliveryStatus.PENDING
    assert freed.delivery.attention == ""


def test_a_courier_who_goes_quiet_after_pickup_is_looked_at() -> None:
    state = an_assigned_order(said(PickUp))

    step = heard(state, said(LoseCourier, reason="quiet"))

    watched = sure(step.state)
    assert watched.delivery.status is DeliveryStatus.PICKED_UP
    assert watched.delivery.attention == "quiet"
    assert (
        Record(DeliveryTroubled(order_id=ORDER, courier_id=COURIER, reason="quiet", at=NOW))
        in step.effects
    )


def test_a_courier_who_goes_on_is_not_looked_at_any_more() -> None:
    state = an_assigned_order(said(PickUp), said(LoseCourier, reason="quiet"))

    heard_again = sure(heard(state, said(ArriveAtDropOff)).state)

    assert heard_again.delivery.attention == ""


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (Depart, DeliveryStatus.ENROUTE_TO_PICKUP),
        (ArriveAtPickup, DeliveryStatus.ARRIVED_AT_PICKUP),
        (PickUp, DeliveryStatus.PICKED_UP),
    ],
)
def test_a_courier_is_followed_even_when_he_is_heard_before_his_offer(
    word: type[Depart | ArriveAtPickup | PickUp], status: DeliveryStatus
) -> None:
    offered = an_order(Accept(), a_claim(version=1))

    followed = sure(heard(offered, said(word)).state)
    told_late = heard(followed, Assign(OFFER, COURIER))

    assert followed.delivery.status is status
    assert followed.delivery.assigned_at == NOW
    assert told_late == Step(followed, (Reply(Accepted()),))


def test_a_word_that_is_not_possible_yet_does_not_cost_the_courier_his_order() -> None:
    state = an_assigned_order()

    step = heard(state, said(HandToCustomer))

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_LEGAL_NOW,)
    assert tells(step.effects, "courier") == ()


def test_a_courier_who_is_lost_before_his_offer_is_heard_leaves_the_order_free() -> None:
    offered = an_order(Accept(), a_claim(version=1))

    freed = sure(heard(offered, said(LoseCourier, reason="unavailable")).state)
    told_late = heard(freed, Assign(OFFER, COURIER))

    assert freed.delivery.status is DeliveryStatus.PENDING
    assert told_late.state is freed
    assert tells(told_late.effects, "courier") == ((COURIER, Withdraw(ORDER, "not-yours", OFFER)),)


def test_a_pickup_frees_the_kitchen_and_cannot_be_undone() -> None:
    state = an_assigned_order(said(ArriveAtPickup))

    step = heard(state, said(PickUp), later(900))

    taken = sure(step.state)
    assert (taken.status, taken.delivery.picked_up_at) == (OrderStatus.HANDED_OVER, later(900))
    assert tells(step.effects, "restaurant") == ((RESTAURANT, Leave(ORDER)),)


def test_an_order_left_at_the_door_says_so() -> None:
    state = an_assigned_order(said(PickUp))

    delivered = sure(heard(state, said(HandToCustomer, left_at_door=True)).state)

    assert (delivered.status, delivered.reason) == (OrderStatus.COMPLETED, "left-at-door")
    assert delivered.delivery.status is DeliveryStatus.DELIVERED


def test_food_that_nobody_takes_goes_back_and_the_order_is_over_when_it_is_there() -> None:
    state = an_assigned_order(said(PickUp), said(StartReturn, reason="nobody there"))

    returned = sure(heard(state, said(Return)).state)

    assert (state.status, state.delivery.ended_at) == (OrderStatus.HANDED_OVER, None)
    assert (returned.status, returned.reason) == (OrderStatus.CANCELED, "nobody there")
    assert returned.delivery.status is DeliveryStatus.RETURNED


RETURNED = said(StartReturn, reason="nobody there")
UNTAKEN = said(Discard, reason="nobody there", has_waited=True)
SPOILED = said(Discard, reason="spilled")
LOST = said(Discard, offer_id=None, reason="lost")


@pytest.mark.parametrize(
    ("words", "by", "is_free"),
    [
        ((RETURNED, said(Return)), Party.COURIER, False),
        ((UNTAKEN,), Party.COURIER, False),
        ((SPOILED,), Party.COURIER, True),
        ((LOST,), Party.SUPPORT, True),
        ((RETURNED, SPOILED), Party.COURIER, False),
    ],
    ids=["brought back", "nobody there", "spoiled", "lost", "spoiled on the way back"],
)
def test_an_order_that_reached_nobody_says_who_bears_it(
    words: tuple[order.Message, ...], by: Party, *, is_free: bool
) -> None:
    state = an_assigned_order(said(PickUp), *words[:-1])

    step = heard(state, words[-1], later(900))

    ended = sure(step.state)
    fact = OrderCanceled(order_id=ORDER, by=by, reason=ended.reason, is_free=is_free, at=later(900))
    assert ended.status is OrderStatus.CANCELED
    assert [one.fact for one in step.effects if isinstance(one, Record)][1:] == [fact]


def test_an_order_keeps_what_becomes_of_it_where_nobody_opens() -> None:
    place = a_place(undeliverable_action=UndeliverableAction.DISCARD)

    placed = sure(order.step(None, place, NOW, POLICY).state)

    assert task_of(placed).undeliverable_action is UndeliverableAction.DISCARD


def test_food_that_was_handed_over_still_belongs_to_its_kitchen() -> None:
    state = an_assigned_order(said(PickUp), HandOver(SQUARE))

    task = task_of(state)

    assert (task.pickup, task.kitchen) == (SQUARE, KITCHEN)


def test_food_that_is_spoiled_is_thrown_away() -> None:
    state = an_assigned_order(said(PickUp))

    spoiled = sure(heard(state, said(Discard, reason="spilled")).state)

    assert spoiled.status is OrderStatus.CANCELED
    assert spoiled.delivery.status is DeliveryStatus.FAILED


def test_an_order_that_operations_end_for_a_courier_is_taken_off_his_route() -> None:
    state = an_assigned_order(said(PickUp), said(LoseCourier, reason="quiet"))

    step = heard(state, said(Discard, offer_id=None, reason="lost"))

    assert sure(step.state).delivery.status is DeliveryStatus.FAILED
    assert tells(step.effects, "courier") == ((COURIER, Withdraw(ORDER, "ended", OFFER)),)


def test_operations_cannot_say_for_a_courier_where_he_is() -> None:
    state = an_assigned_order()

    step = heard(state, said(PickUp, offer_id=None))

    assert step.state is state
    assert refusals(step.effects) == (Code.NOT_YOURS,)


def test_another_courier_fetches_the_food_from_the_first_one() -> None:
    carried = an_assigned_order(said(PickUp))

    step = heard(carried, HandOver(SQUARE), later(60))
    waiting = sure(step.state)
    claim = a_claim(version=waiting.version, offer_id=OTHER_OFFER, courier_id=OTHER_COURIER)
    pick_up = said(PickUp, courier_id=OTHER_COURIER, offer_id=OTHER_OFFER)
    state = waiting
    for message in (claim, Assign(OTHER_OFFER, OTHER_COURIER), pick_up):
        state = sure(heard(state, message, later(120)).state)

    assert waiting.delivery.pickup == SQUARE
    assert waiting.delivery.attention == "hand-over"
    assert order.wakes_at(waiting) == later(60 + POLICY.give_up_s)
    assert tells(step.effects, "courier") == ((COURIER, Withdraw(ORDER, "order.hand_over", OFFER)),)
    assert (state.delivery.courier_id, state.delivery.status) == (OTHER_COURIER, "picked_up")
    assert state.delivery.attention == ""


def test_food_that_nobody_comes_to_fetch_is_given_up() -> None:
    state = an_assigned_order(said(PickUp), HandOver(SQUARE))

    given_up = sure(heard(state, Wake(), later(POLICY.give_up_s)).state)

    assert given_up.status is OrderStatus.CANCELED


def test_the_customer_hears_of_no_offer_before_somebody_took_it() -> None:
    state = an_order(Accept())

    claimed = heard(state, a_claim(version=1))

    assert tells(claimed.effects, "feed") == ()
