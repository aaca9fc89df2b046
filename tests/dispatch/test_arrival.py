"""How far an order has come follows from its state, or from the facts told of it, alike."""

import pytest
from msgspec import structs

from dispatch.arrival import came_on, epoch_s, hour_of, instant_of, progress_of
from dispatch.delivery import DeliveryStatus, HandOver, HandToCustomer, PickUp
from dispatch.ids import Instant, after
from dispatch.kitchen import OrderStatus
from dispatch.order import Accept, MarkReady, OrderMoved
from geo.eta import Phase, Progress
from tests.dispatch.builders import (
    COURIER,
    NOW,
    ORDER,
    SQUARE,
    an_assigned_order,
    an_order,
    later,
    said,
    sure,
)

PLACED = sure(progress_of(an_order(), way_s=600, load=0.5))


def moved(
    status: OrderStatus,
    delivery_status: DeliveryStatus,
    *,
    at: Instant = NOW,
    ready_at: Instant | None = None,
) -> OrderMoved:
    return OrderMoved(
        order_id=ORDER,
        status=status,
        delivery_status=delivery_status,
        courier_id=COURIER,
        ready_at=ready_at,
        reason="",
        at=at,
    )


def told(*facts: OrderMoved) -> Progress:
    progress = PLACED
    for fact in facts:
        progress = sure(came_on(progress, fact))
    return progress


WAY = (
    moved(OrderStatus.ACCEPTED, DeliveryStatus.PENDING, ready_at=later(600)),
    moved(OrderStatus.READY_FOR_PICKUP, DeliveryStatus.ASSIGNED, ready_at=later(700)),
    moved(OrderStatus.READY_FOR_PICKUP, DeliveryStatus.ARRIVED_AT_PICKUP, at=later(760)),
    moved(OrderStatus.HANDED_OVER, DeliveryStatus.PICKED_UP, at=later(800)),
    moved(OrderStatus.HANDED_OVER, DeliveryStatus.ARRIVED_AT_DROPOFF, at=later(1_400)),
    moved(OrderStatus.COMPLETED, DeliveryStatus.DELIVERED, at=later(1_460)),
)


def test_the_facts_of_an_order_tell_each_moment_of_its_way() -> None:
    done = told(*WAY)

    now_s = epoch_s(NOW)
    assert done == structs.replace(
        PLACED,
        said_s=now_s + 600,
        ready_s=now_s + 700,
        here_s=now_s + 760,
        picked_up_s=now_s + 800,
        at_door_s=now_s + 1_400,
        delivered_s=now_s + 1_460,
    )


@pytest.mark.parametrize("fact", WAY, ids=lambda fact: fact.delivery_status)
def test_a_fact_that_comes_again_changes_nothing(fact: OrderMoved) -> None:
    once = told(*WAY[: WAY.index(fact) + 1])

    assert came_on(once, structs.replace(fact, at=after(fact.at, 60))) == once


def test_a_courier_who_is_lost_is_not_at_the_restaurant_any_more() -> None:
    there = told(*WAY[:3])

    lost = came_on(there, moved(OrderStatus.READY_FOR_PICKUP, DeliveryStatus.PENDING))

    assert there.here_s is not None
    assert sure(lost).here_s is None


@pytest.mark.parametrize(
    ("status", "delivery_status"),
    [
        (OrderStatus.CANCELED, DeliveryStatus.CANCELED),
        (OrderStatus.HANDED_OVER, DeliveryStatus.RETURNING),
        (OrderStatus.HANDED_OVER, DeliveryStatus.PENDING),
    ],
)
def test_an_order_without_a_usual_way_is_not_followed(
    status: OrderStatus, delivery_status: DeliveryStatus
) -> None:
    assert came_on(told(*WAY[:4]), moved(status, delivery_status)) is None


def test_a_state_tells_as_much_as_the_facts_that_led_to_it() -> None:
    accepted = an_order(Accept(later(600)))
    ready = an_assigned_order(MarkReady())
    carried = an_assigned_order(MarkReady(), said(PickUp))

    found = [sure(progress_of(one, way_s=600, load=0.5)) for one in (accepted, ready, carried)]

    assert [one.phase for one in found] == [Phase.COOKING, Phase.READY, Phase.CARRIED]
    assert found[0].said_s == epoch_s(later(600))
    assert found[2].picked_up_s == epoch_s(NOW)


def test_food_between_two_couriers_tells_nothing() -> None:
    between = an_assigned_order(MarkReady(), said(PickUp), HandOver(SQUARE))

    assert progress_of(between, way_s=600, load=0.5) is None


def test_what_is_delivered_has_no_phase_ahead() -> None:
    done = an_assigned_order(MarkReady(), said(PickUp), said(HandToCustomer))

    assert sure(progress_of(done, way_s=600, load=0.5)).picked_up_s is None


def test_instants_and_seconds_are_each_others_inverse() -> None:
    assert instant_of(epoch_s(NOW)) == NOW
    assert hour_of(NOW) == NOW // 3_600_000 % 24
