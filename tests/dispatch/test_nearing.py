"""Where a courier has come by his pings: noted and told, and his orders stay as they are."""

import msgspec
import pytest
from msgspec import structs

from dispatch import courier
from dispatch.courier import Arrive, Courier, CourierNeared, Message, Near, Neared
from dispatch.delivery import ArriveAtDropOff, ArriveAtPickup
from dispatch.nearing import target_of
from dispatch.policy import Policy
from dispatch.step import Accepted, Code, Effect, Record, Reply, Tell
from tests.dispatch.builders import (
    COURIER,
    DOOR,
    KITCHEN,
    NOW,
    ORDER,
    OTHER_RESTAURANT,
    POLICY,
    RESTAURANT,
    a_courier,
    a_task,
    busy,
    later,
    loaded,
    refusals,
    sure,
)

NEAR_KITCHEN = Near(restaurant_id=RESTAURANT)
NEAR_DOOR = Near(order_id=ORDER)
TRUSTING = POLICY.evolve(arrives_by_fence=True)


def stepped(
    before: Courier, message: Message, policy: Policy = POLICY
) -> tuple[Courier, tuple[Effect, ...]]:
    step = courier.step(before, message, NOW, policy)
    return sure(step.state), step.effects


def on_his_way() -> Courier:
    return busy(a_task())


def at_the_kitchen() -> Courier:
    return stepped(on_his_way(), Arrive(restaurant_id=RESTAURANT))[0]


def with_food() -> Courier:
    return loaded(a_task())


def test_a_courier_is_on_his_way_to_a_kitchen_then_to_a_door_then_to_neither() -> None:
    driving, waiting, carrying, free = on_his_way(), at_the_kitchen(), with_food(), a_courier()

    targets = [target_of(one) for one in (driving, waiting, carrying, free)]

    assert [(one.restaurant_id, one.order_id, one.point) if one else None for one in targets] == [
        (RESTAURANT, None, KITCHEN),
        None,
        (None, ORDER, DOOR),
        None,
    ]


def test_coming_near_a_kitchen_is_noted_and_told_to_him_alone() -> None:
    before = on_his_way()

    after, effects = stepped(before, NEAR_KITCHEN)

    assert before.heading is not None
    fact = CourierNeared(courier_id=COURIER, restaurant_id=RESTAURANT, order_id=None, at=NOW)
    assert effects == (Record(fact), Tell("feed", COURIER, fact), Reply(Accepted()))
    noted = Neared(
        restaurant_id=RESTAURANT, order_id=None, departed_at=before.heading.departed_at, at=NOW
    )
    assert after == structs.replace(before, neared=noted)


def test_it_is_noted_once_for_each_leg() -> None:
    once, _ = stepped(on_his_way(), NEAR_KITCHEN)

    again, effects = stepped(once, NEAR_KITCHEN)

    assert again is once
    assert effects == (Reply(Accepted()),)


def test_a_second_way_to_the_same_kitchen_is_another_leg() -> None:
    once, _ = stepped(on_his_way(), NEAR_KITCHEN)
    assert once.heading is not None
    anew = structs.replace(once, heading=structs.replace(once.heading, departed_at=later(900)))

    after, effects = stepped(anew, NEAR_KITCHEN)

    assert after.neared != once.neared
    assert len(effects) == 3


@pytest.mark.parametrize("message", [Near(restaurant_id=OTHER_RESTAURANT), NEAR_DOOR, Near()])
def test_coming_near_what_he_is_not_on_his_way_to_is_refused(message: Near) -> None:
    before = on_his_way()

    after, effects = stepped(before, message)

    assert after is before
    assert refusals(effects) == (Code.NOT_AT_STOP,)


def test_where_policy_trusts_fences_it_counts_as_his_own_word() -> None:
    at_kitchen, kitchen_effects = stepped(on_his_way(), NEAR_KITCHEN, TRUSTING)
    _, door_effects = stepped(with_food(), NEAR_DOOR, TRUSTING)

    told = [
        type(effect.message)
        for effect in (*kitchen_effects, *door_effects)
        if isinstance(effect, Tell) and effect.kind == "order"
    ]
    assert at_kitchen.heading is not None
    assert at_kitchen.heading.arrived_at == NOW
    assert told == [ArriveAtPickup, ArriveAtDropOff]


def test_his_own_word_afterwards_is_agreed_to() -> None:
    noted, _ = stepped(on_his_way(), NEAR_KITCHEN)

    arrived, effects = stepped(noted, Arrive(restaurant_id=RESTAURANT))

    assert arrived.heading is not None
    assert arrived.heading.arrived_at == NOW
    assert refusals(effects) == ()


def test_a_state_of_before_there_were_fences_is_still_read() -> None:
    kept = msgspec.to_builtins(a_courier())
    del kept["neared"]

    assert msgspec.convert(kept, courier.Courier) == a_courier()
