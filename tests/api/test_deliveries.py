"""A delivery is its order, seen from the courier's side."""

import pytest

from api.deliveries import deliveries
from api.offers import offers
from api.order_views import delivery_id_of, order_id_of
from api.orders import orders
from dispatch.courier import Abort, Arrive
from dispatch.ids import CourierId, OrderId
from dispatch.step import Accepted, Code, Refused
from tests.api.ordering import (
    COURIER,
    HOME,
    ORDER,
    PRICED,
    collected,
    courier,
    customer,
    delivered,
    integrator,
    keyed,
    offered,
    on_shift,
    ordering,
    placed,
    reached,
)
from tests.api.stage import POLICY


def test_a_delivery_is_named_as_its_order() -> None:
    assert delivery_id_of(OrderId("ord_01m82")) == "del_01m82"
    assert order_id_of("del_01m82") == "ord_01m82"
    assert order_id_of("ord_01m82") == ""
    assert order_id_of("del") == ""


async def test_an_integrator_has_food_delivered_without_hearing_of_orders(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = keyed(integrator(stage))
        wanted = {**PRICED, "external_id": "x-7", "undeliverable_action": "leave_at_door"}
        status, asked, headers = await stage.asked("POST", "/v1/deliveries", who, wanted)
        again = await stage.asked("POST", "/v1/deliveries", who, wanted)
        _, shown, _ = await stage.asked("GET", headers["Location"], who)
        _, by_own_id, _ = await stage.asked("GET", "/v1/deliveries/by-external-id/x-7", who)
        _, listed, _ = await stage.asked("GET", "/v1/deliveries", who)

    assert status == 201
    assert headers["Location"] == f"/v1/deliveries/{asked['delivery_id']}"
    assert again[1] == asked
    assert shown["undeliverable_action"] == "leave_at_door"
    assert by_own_id["delivery_id"] == asked["delivery_id"]
    assert [one["delivery_id"] for one in listed["data"]] == [asked["delivery_id"]]


async def test_a_courier_sees_the_door_only_while_he_has_the_order(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, [orders, deliveries, offers]) as stage:
        who, his = customer(stage), courier(stage)
        other = courier(stage, CourierId("crr_2"))
        await on_shift(stage)
        order = await placed(stage, who)
        path, there = f"/v1/deliveries/{order['delivery_id']}", f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, there)
        merely_asked = await stage.asked("GET", path, his)
        await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        await reached(stage, who, there, "delivery_status", "enroute_to_pickup")
        carrying = await stage.asked("GET", path, his)
        others = await stage.asked("GET", path, other)
        as_order = await stage.asked("GET", there, his)
        _, listed, _ = await stage.asked("GET", "/v1/deliveries?status=enroute_to_pickup", his)
        await collected(stage, order["order_id"])
        await delivered(stage, order["order_id"])
        await reached(stage, who, there, "status", "completed")
        done = await stage.asked("GET", path, his)

    assert merely_asked[0] == 404
    assert carrying[1]["dropoff"] == HOME
    assert carrying[1]["courier"] == {"courier_id": COURIER}
    assert (others[0], as_order[0]) == (404, 404)
    assert [one["delivery_id"] for one in listed["data"]] == [order["delivery_id"]]
    assert (done[0], done[1]["dropoff"], done[1]["recipient"]) == (200, None, None)


IMPATIENT = POLICY.evolve(door_wait_s=0.0)


@pytest.mark.parametrize(
    ("action", "delivery_status", "status", "reason"),
    [
        ("leave_at_door", "delivered", "completed", "left-at-door"),
        ("discard", "failed", "canceled", "nobody opens"),
        ("return", "returning", "handed_over", "nobody opens"),
    ],
)
async def test_what_nobody_takes_at_the_door_goes_where_its_order_said(
    database: str, redis_url: str, action: str, delivery_status: str, status: str, reason: str
) -> None:
    nouns = [orders, deliveries, offers]
    async with ordering(database, redis_url, nouns, policy=IMPATIENT) as stage:
        who, his = customer(stage), courier(stage)
        await on_shift(stage)
        order = await placed(stage, who, {**ORDER, "undeliverable_action": action})
        order_id, there = OrderId(order["order_id"]), f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, there)
        _, asked, _ = await stage.asked("GET", f"/v1/offers/{offer_id}", his)
        await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        await reached(stage, who, there, "delivery_status", "enroute_to_pickup")
        await collected(stage, order_id)
        unseen = await stage.ask("courier", COURIER, Abort(order_id, "nobody opens"))
        await stage.ask("courier", COURIER, Arrive(order_id=order_id))
        assert await stage.ask("courier", COURIER, Abort(order_id, "nobody opens")) == Accepted()
        shown = await reached(stage, who, there, "delivery_status", delivery_status)

    assert asked["tasks"][0].get("undeliverable_action", "return") == action
    assert isinstance(unseen, Refused)
    assert unseen.code is Code.NOT_AT_STOP
    assert (shown["status"], shown["status_reason"]) == (status, reason)


async def test_calling_a_delivery_off_calls_off_the_order(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = integrator(stage)
        order = await placed(stage, who, PRICED)
        path = f"/v1/deliveries/{order['delivery_id']}/cancel"
        canceled = await stage.asked("POST", path, who, {"reason": "sold twice"})
        _, shown, _ = await stage.asked("GET", f"/v1/orders/{order['order_id']}", who)

    assert (canceled[0], canceled[1]["delivery_status"]) == (200, "canceled")
    assert (shown["status"], shown["status_reason"]) == ("canceled", "sold twice")


async def test_a_courier_calls_no_delivery_off(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, [orders, deliveries, offers]) as stage:
        who, his = customer(stage), courier(stage)
        await on_shift(stage)
        order = await placed(stage, who)
        there = f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, there)
        await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        await reached(stage, who, there, "delivery_status", "enroute_to_pickup")
        path = f"/v1/deliveries/{order['delivery_id']}/cancel"
        refused = await stage.asked("POST", path, his, {})

    assert (refused[0], refused[1]["code"]) == (409, "not-cancelable")
