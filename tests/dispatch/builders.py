"""Values that the tests of the machines are made of: ids, places, states on their way, answers.

Everything has a default, so that a test names only what its sentence is about.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from dispatch import courier, offer, order, restaurant
from dispatch.courier import Courier, Settle, StartShift
from dispatch.delivery import Assign, Claim
from dispatch.hours import Hours, Span
from dispatch.ids import (
    CourierId,
    CustomerId,
    Instant,
    MarketId,
    OfferId,
    OrderId,
    RestaurantId,
    ShardId,
    after,
)
from dispatch.invitation import Claimed, Engage, Invite
from dispatch.offer import Offer
from dispatch.order import Accept, Order, Place
from dispatch.policy import Policy
from dispatch.restaurant import Restaurant
from dispatch.route import Task
from dispatch.step import Code, Effect, Refused, Reply, Step, Tell
from dispatch.undeliverable import UndeliverableAction
from geo.point import Point

NOW = Instant(1_800_000_000_000)
"""A Friday, at nine in the morning by the clocks of EVENINGS."""
EVENINGS = Hours(timezone="Europe/Copenhagen", week=((Span(17 * 60, 23 * 60),),) * 7)
POLICY = Policy()

ORDER = OrderId("ord_1")
OTHER_ORDER = OrderId("ord_2")
COURIER = CourierId("crr_1")
OTHER_COURIER = CourierId("crr_2")
OFFER = OfferId("off_1")
OTHER_OFFER = OfferId("off_2")
CUSTOMER = CustomerId("usr_1")
RESTAURANT = RestaurantId("rst_1")
OTHER_RESTAURANT = RestaurantId("rst_2")
MARKET = MarketId("mkt_1")
OTHER_SHARD = ShardId(2)

KITCHEN = Point(0.0, 0.0)
OTHER_KITCHEN = Point(500.0, 0.0)
DOOR = Point(1_000.0, 0.0)
SQUARE = Point(0.0, 700.0)


def later(seconds: float) -> Instant:
    """Return the instant so long after the tests' now."""
    return after(NOW, seconds)


def a_place(
    order_id: OrderId = ORDER,
    *,
    restaurant_id: RestaurantId = RESTAURANT,
    pickup: Point = KITCHEN,
    size: int = 1,
    wanted_at: Instant | None = None,
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN,
) -> Place:
    return Place(
        order_id=order_id,
        market_id=MARKET,
        customer_id=CUSTOMER,
        restaurant_id=restaurant_id,
        pickup=pickup,
        dropoff=DOOR,
        size=size,
        dish_ids=("dish_1",),
        wanted_at=wanted_at,
        undeliverable_action=undeliverable_action,
    )


def an_order(
    *messages: order.Message,
    wanted_at: Instant | None = None,
    now: Instant = NOW,
    policy: Policy = POLICY,
) -> Order:
    """Return an order that was placed and then heard these messages, all of which it followed."""
    state = order.step(None, a_place(wanted_at=wanted_at), now, policy).state
    for message in messages:
        step = order.step(state, message, now, policy)
        assert not refusals(step.effects), (message, step)
        state = step.state
    assert state is not None
    return state


def a_claim(version: int, *, offer_id: OfferId = OFFER, courier_id: CourierId = COURIER) -> Claim:
    return Claim(offer_id=offer_id, order_id=ORDER, courier_id=courier_id, version=version)


def an_assigned_order(*messages: order.Message) -> Order:
    """Return an order that the courier took, and that then heard these messages."""
    return an_order(Accept(), a_claim(version=1), Assign(OFFER, COURIER), *messages)


def said[W: Struct](
    word: Callable[..., W],
    *,
    courier_id: CourierId = COURIER,
    offer_id: OfferId | None = OFFER,
    **rest: object,
) -> W:
    """Return a courier's word to an order, in the name of the tests' usual assignment."""
    return word(courier_id=courier_id, offer_id=offer_id, **rest)


def a_task(
    order_id: OrderId = ORDER,
    *,
    restaurant_id: RestaurantId = RESTAURANT,
    pickup: Point = KITCHEN,
    dropoff: Point = DOOR,
    size: int = 1,
    offer_id: OfferId | None = None,
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN,
) -> Task:
    return Task(
        order_id=order_id,
        restaurant_id=restaurant_id,
        pickup=pickup,
        dropoff=dropoff,
        size=size,
        offer_id=offer_id,
        undeliverable_action=undeliverable_action,
    )


def a_shift(
    courier_id: CourierId = COURIER,
    *,
    ends_s: float = 3_600,
    load_max: int = 4,
    crossings: int = 0,
) -> StartShift:
    return StartShift(
        courier_id=courier_id,
        market_id=MARKET,
        point=SQUARE,
        ends_at=later(ends_s),
        load_max=load_max,
        crossings=crossings,
    )


def a_settling(crossings: int, *, version: int = 5) -> Settle:
    return Settle(
        courier_id=COURIER,
        market_id=MARKET,
        point=SQUARE,
        ends_at=later(3_600),
        load_max=4,
        version=version,
        crossings=crossings,
    )


def a_courier(
    *messages: courier.Message,
    load_max: int = 4,
    now: Instant = NOW,
    policy: Policy = POLICY,
) -> Courier:
    """Return a courier on shift who then heard these messages, all of which he followed."""
    state = courier.step(None, a_shift(load_max=load_max), now, policy).state
    for message in messages:
        step = courier.step(state, message, now, policy)
        assert not refusals(step.effects), (message, step)
        state = step.state
    assert state is not None
    return state


def engaged(
    state: Courier,
    *tasks: Task,
    offer_id: OfferId = OFFER,
    sequence: tuple[OrderId, ...] = (),
    now: Instant = NOW,
    policy: Policy = POLICY,
) -> Step[Courier | None]:
    """Return the step by which a courier who was invited to these tasks gets them."""
    invite = Invite(
        offer_id=offer_id, courier_id=state.courier_id, version=state.version, tasks=tasks
    )
    invited = courier.step(state, invite, now, policy)
    assert invited.effects == (Tell("offer", offer_id, Claimed(state.courier_id)),)
    engage = Engage(offer_id=offer_id, tasks=tasks, sequence=sequence)
    return courier.step(invited.state, engage, now, policy)


def busy(*tasks: Task, load_max: int = 4, policy: Policy = POLICY) -> Courier:
    """Return a courier who has just been given these tasks."""
    return sure(engaged(a_courier(load_max=load_max), *tasks, policy=policy).state)


def loaded(*tasks: Task, load_max: int = 4) -> Courier:
    """Return a courier who has collected these tasks of one restaurant."""
    state = busy(*tasks, load_max=load_max)
    for message in (courier.Arrive(), courier.Collect(tuple(task.order_id for task in tasks))):
        state = sure(courier.step(state, message, NOW, POLICY).state)
    return state


def an_open(
    *tasks: Task, is_direct: bool = False, courier_version: int = 1, offer_id: OfferId = OFFER
) -> offer.Open:
    asked = tasks or (a_task(),)
    return offer.Open(
        offer_id=offer_id,
        courier_id=COURIER,
        courier_version=courier_version,
        tasks=asked,
        versions=(1,) * len(asked),
        is_direct=is_direct,
    )


def an_offer(
    *messages: offer.Message, tasks: tuple[Task, ...] = (), is_direct: bool = False
) -> Offer:
    """Return an offer of these tasks that then heard these messages."""
    state = offer.step(None, an_open(*tasks, is_direct=is_direct), NOW, POLICY).state
    for message in messages:
        state = offer.step(state, message, NOW, POLICY).state
    assert state is not None
    return state


def a_restaurant(
    *messages: restaurant.Message,
    capacity_max: int = 2,
    prep_s: float | None = 600,
    auto_accepts: bool = True,
) -> Restaurant:
    """Return an open restaurant that then heard these messages."""
    opened = restaurant.Open(
        restaurant_id=RESTAURANT,
        point=KITCHEN,
        capacity_max=capacity_max,
        prep_s=prep_s,
        auto_accepts=auto_accepts,
    )
    state = restaurant.step(None, opened, NOW, POLICY).state
    for message in messages:
        state = restaurant.step(state, message, NOW, POLICY).state
    assert state is not None
    return state


def sure[S](state: S | None) -> S:
    """Return a state that must be there."""
    assert state is not None
    return state


def answers(effects: Iterable[Effect]) -> tuple[Struct, ...]:
    """Return what the asker is answered."""
    return tuple(effect.answer for effect in effects if isinstance(effect, Reply))


def refusals(effects: Iterable[Effect]) -> tuple[Code, ...]:
    """Return the codes with which the asker is refused."""
    return tuple(answer.code for answer in answers(effects) if isinstance(answer, Refused))


def tells(effects: Iterable[Effect], *kinds: str) -> tuple[tuple[str, Struct], ...]:
    """Return who is told what, those of these kinds only."""
    return tuple(
        (effect.key, effect.message)
        for effect in effects
        if isinstance(effect, Tell) and effect.kind in kinds
    )
