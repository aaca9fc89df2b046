"""What a round may know of the actors' states, and what it must leave alone."""

from collections.abc import Mapping

from msgspec import structs

from dispatch import courier
from dispatch.courier import Courier, Heading, Stage
from dispatch.ids import CourierId, RestaurantId
from dispatch.matching.demand import Asked
from dispatch.matching.kitchens import Cooked
from dispatch.matching.survey import Survey, survey
from dispatch.order import Accept, MarkReady, Order
from dispatch.policy import Fairness, Policy, Repositioning
from dispatch.work import Work
from geo.point import Point
from geo.travel import StraightLine
from tests.dispatch.builders import (
    COURIER,
    DOOR,
    KITCHEN,
    NOW,
    ORDER,
    OTHER_COURIER,
    RESTAURANT,
    SQUARE,
    a_courier,
    a_task,
    an_assigned_order,
    an_order,
    busy,
    later,
    loaded,
    sure,
)

TRAVEL = StraightLine(speed_mps=10.0)
POLICY = Policy(pickup_s=120.0, dropoff_s=60.0)


def surveyed(
    *states: Order | Courier,
    sightings: Mapping[CourierId, Point] | None = None,
    restaurants: Mapping[RestaurantId, Point] | None = None,
    policy: Policy = POLICY,
) -> Survey:
    """Return the survey of these states, a minute after the tests' now."""
    return survey(
        [state for state in states if isinstance(state, Order)],
        [state for state in states if isinstance(state, Courier)],
        {RESTAURANT: KITCHEN} if restaurants is None else restaurants,
        later(60),
        policy,
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


def test_a_kitchens_word_goes_with_an_order_until_its_food_is_ready() -> None:
    cooking = an_order(Accept(later(300)))
    ready = an_order(Accept(later(300)), MarkReady())

    assert surveyed(cooking).orders[0].said_s == 240
    assert surveyed(ready).orders[0].said_s is None


def test_orders_that_became_ready_since_the_last_round_tell_how_far_off_the_word_was() -> None:
    before = an_order(Accept(later(300)), MarkReady())
    ready = structs.replace(before, ready_at=later(30))
    cooking = an_order(Accept(later(30)))

    assert surveyed(ready, before, cooking).cooked == (
        Cooked(RESTAURANT, (later(30) - ready.placed_at) / 1_000, -270.0),
    )


def counting(courier_id: CourierId = COURIER, **changes: object) -> Courier:
    """A courier an hour into his shift, all of it at work, three orders delivered."""
    began = later(60 - 3_600)
    work = Work(since=began, turned_at=began, stretch_at=began, is_working=True, delivered=3)
    counted = structs.replace(a_courier(), courier_id=courier_id, ends_at=later(36_000))
    return structs.replace(counted, work=structs.replace(work, **changes))


def test_who_has_brought_more_is_dearer_for_the_next_order() -> None:
    crew = counting(), counting(OTHER_COURIER, delivered=0)
    fair = POLICY.evolve(fairness=Fairness(price_s_max=60.0))

    couriers = surveyed(*crew, policy=fair).couriers

    prices_s = {one.id: one.order_price_s for one in couriers}
    assert prices_s[COURIER] > 0 > prices_s[OTHER_COURIER]


def test_whose_work_is_not_counted_has_no_price_and_no_limit_but_his_shift() -> None:
    (one,) = surveyed(structs.replace(a_courier(), ends_at=later(360_000))).couriers

    assert one.order_price_s == 0
    assert one.off_s == 360_000 - 60


def test_a_courier_picks_nothing_up_after_his_stretch_without_a_rest() -> None:
    (one,) = surveyed(counting()).couriers

    assert one.off_s == POLICY.safety.stretch_s_max - 3_600


def test_a_courier_past_his_stretch_is_free_when_he_has_rested() -> None:
    long_ago = later(60 - POLICY.safety.stretch_s_max - 300)
    resting = counting(
        since=long_ago, stretch_at=long_ago, is_working=False, turned_at=later(60 - 100)
    )

    (one,) = surveyed(resting).couriers

    assert one.free_s == POLICY.safety.rest_s - 100


def test_a_courier_past_the_longest_shift_gets_nothing_more() -> None:
    (one,) = surveyed(counting(since=later(60 - POLICY.safety.shift_s_max - 1))).couriers

    assert one.off_s < 0


def _advised() -> Courier:
    heading = Heading(
        restaurant_id=RESTAURANT, point=KITCHEN, origin=DOOR, departed_at=NOW, is_advised=True
    )
    return structs.replace(a_courier(), point=DOOR, heading=heading)


def test_who_is_on_his_way_to_wait_somewhere_is_free_where_he_was_seen() -> None:
    found = surveyed(_advised(), sightings={COURIER: SQUARE})

    [row] = found.couriers
    assert (row.place, row.free_s, row.bound) == ((SQUARE.x_m, SQUARE.y_m), 0.0, None)
    assert found.advised == {COURIER: RESTAURANT}


def test_where_advice_binds_he_is_free_when_he_has_got_there() -> None:
    binding = POLICY.evolve(repositioning=Repositioning(binds=True))

    found = surveyed(_advised(), policy=binding)

    [row] = found.couriers
    assert (row.place, row.bound) == ((KITCHEN.x_m, KITCHEN.y_m), RESTAURANT)
    assert row.free_s == 1_000.0 / 10.0 - 60.0
    assert found.advised == {}


def test_an_order_that_came_up_tells_how_soon_its_food_was_to_be_ready() -> None:
    before, since = an_order(Accept(later(900))), an_order(Accept(later(900)), now=later(30))

    assert surveyed(since).asked == (Asked(RESTAURANT, 870.0),)
    assert surveyed(before).asked == ()


def test_a_courier_who_brings_food_back_is_free_where_and_when_he_has() -> None:
    impatient = POLICY.evolve(door_wait_s=0)
    state = loaded(a_task())
    for message in (courier.Arrive(ORDER), courier.Abort(ORDER, "nobody opens")):
        state = sure(courier.step(state, message, NOW, impatient).state)

    (row,) = surveyed(state).couriers

    back_s = impatient.dropoff_s / 2 + TRAVEL.seconds(DOOR, KITCHEN) + impatient.dropoff_s
    assert row.place == (KITCHEN.x_m, KITCHEN.y_m)
    assert row.free_s == back_s - 60
