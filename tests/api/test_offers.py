"""A courier without a socket hears of offers, takes and declines them over HTTP."""

import pytest

from api.offers import offers
from api.orders import orders
from dispatch.ids import CourierId
from tests.api.ordering import (
    HOME,
    NORDHAVN,
    courier,
    customer,
    offered,
    on_shift,
    ordering,
    placed,
    reached,
)

NOUNS = (orders, offers)


async def test_an_open_offer_says_what_there_is_to_carry(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who, his = customer(stage), courier(stage)
        _, before, _ = await stage.asked("GET", "/v1/offers", his)
        await on_shift(stage)
        order = await placed(stage, who)
        offer_id = await offered(stage, who, f"/v1/orders/{order['order_id']}")
        _, listed, _ = await stage.asked("GET", "/v1/offers", his)
        _, shown, _ = await stage.asked("GET", f"/v1/offers/{offer_id}", his)

    (task,) = shown["tasks"]
    assert before["data"] == []
    assert listed["data"] == [shown]
    assert (shown["stage"], task["order_id"]) == ("open", order["order_id"])
    assert task["restaurant_id"] == NORDHAVN
    assert task["dropoff"]["lat"] == pytest.approx(HOME["lat"], abs=1e-6)


async def test_an_offer_is_taken_once_and_again_without_harm(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who, his = customer(stage), courier(stage)
        await on_shift(stage)
        order = await placed(stage, who)
        there = f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, there)
        first = await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        again = await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        too_late = await stage.asked("POST", f"/v1/offers/{offer_id}/decline", his)
        await reached(stage, who, there, "delivery_status", "enroute_to_pickup")
        _, listed, _ = await stage.asked("GET", "/v1/offers", his)

    assert (first[0], first[1]["stage"]) == (200, "taken")
    assert again[:2] == first[:2]
    assert (too_late[0], too_late[1]["code"]) == (409, "offer-closed")
    assert listed["data"] == []


async def test_a_declined_offer_leaves_the_order_to_others(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who, his = customer(stage), courier(stage)
        await on_shift(stage)
        order = await placed(stage, who)
        there = f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, there)
        declined = await stage.asked("POST", f"/v1/offers/{offer_id}/decline", his)
        free = await reached(stage, who, there, "delivery_status", "pending")

    assert (declined[0], declined[1]["stage"]) == (200, "declined")
    assert free["courier"] is None


@pytest.mark.parametrize("act", ["", "/take", "/decline"])
async def test_an_offer_to_somebody_else_does_not_exist(
    database: str, redis_url: str, act: str
) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who, other = customer(stage), courier(stage, CourierId("crr_2"))
        await on_shift(stage)
        await on_shift(stage, CourierId("crr_2"))
        order = await placed(stage, who)
        offer_id = await offered(stage, who, f"/v1/orders/{order['order_id']}")
        row = await stage.edge.database.call(
            lambda there: there.fetchval("select courier_id from orders")
        )
        stranger = other if row != "crr_2" else courier(stage)
        verb = "POST" if act else "GET"
        refused = await stage.asked(verb, f"/v1/offers/{offer_id}{act}", stranger)
        not_one = await stage.asked(verb, f"/v1/offers/{offer_id}{act}", who)

    assert refused[0] == 404
    assert not_one[0] == 403
