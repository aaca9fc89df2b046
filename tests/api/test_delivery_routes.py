"""The way of a delivery's courier: who sees how much of it, and when."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from api.deliveries import deliveries
from api.delivery_routes import delivery_routes, known_stops, until_door
from api.orders import orders
from api.replies import Declined
from dispatch.courier_state import Courier
from dispatch.ids import CourierId, Instant, OfferId, OrderId, RestaurantId, TenantId
from dispatch.offer import Open as OpenOffer
from dispatch.order_state import Order
from dispatch.policy import Policy
from dispatch.route import DropOff, Pickup, Task
from dispatch.spot import Spot
from geo.point import LatLng, Point
from services.accounts.principal import Role
from storage.positions import RedisPositions
from tests.api.ordering import (
    COURIER,
    HOME,
    NORDHAVN,
    OTHER_TENANT,
    collected,
    courier,
    customer,
    delivered,
    employed,
    integrator,
    on_shift,
    ordering,
    placed,
    reached,
)
from tests.api.stage import CENTRE, CLUSTER, GROUND, SHARD, TENANT, Stage

WITHOUT_ROUNDS = Policy(round_s=3_600.0)
"""The first round finds nobody, and there is no other."""
HERE = LatLng(CENTRE.lat + 0.004, CENTRE.lng + 0.004)
ONE, TWO = OrderId("ord_1"), OrderId("ord_2")
COLLECT = Pickup(RestaurantId("rst_1"), Point(0.0, 0.0), (ONE, TWO))
DOOR_1, DOOR_2 = DropOff(ONE, Point(900.0, 0.0)), DropOff(TWO, Point(0.0, 900.0))


@dataclass(slots=True, kw_only=True)
class Carried:
    """An order that a courier has taken: its paths, and who ordered."""

    stage: Stage
    who: dict[str, str]
    order_id: str
    there: str
    path: str

    async def seen_by(self, who: dict[str, str]) -> tuple[int, Any]:
        """Ask for the way as somebody."""
        status, told, _ = await self.stage.asked("GET", self.path, who)
        return status, told


@asynccontextmanager
async def carried(
    database: str, redis_url: str, employer: TenantId = TENANT
) -> AsyncGenerator[Carried]:
    """An order in the hands of a courier of that tenant, who has not collected it yet."""
    nouns = [orders, deliveries, delivery_routes]
    async with ordering(database, redis_url, nouns, policy=WITHOUT_ROUNDS) as stage:
        await employed(stage, employer)
        await on_shift(stage)
        who = customer(stage)
        order = await placed(stage, who)
        there = await given(stage, who, order["order_id"])
        await seen_at(stage, HERE)
        yield Carried(
            stage=stage,
            who=who,
            order_id=order["order_id"],
            there=there,
            path=f"/v1/deliveries/{order['delivery_id']}/route",
        )


async def given(stage: Stage, who: dict[str, str], order_id: str) -> str:
    """Give the courier an order, have him set out for it, and return the order's path."""
    there = f"/v1/orders/{order_id}"
    await reached(stage, who, there, "delivery_status", "pending")
    his = stage.shard.find_state("courier", COURIER)
    order = stage.shard.find_state("order", order_id)
    assert isinstance(his, Courier)
    assert isinstance(order, Order)
    task = Task(
        order_id=order.order_id,
        restaurant_id=NORDHAVN,
        pickup=GROUND.projection.to_point(CENTRE),
        dropoff=order.dropoff,
    )
    offer = OpenOffer(
        offer_id=OfferId(f"off_of_{order_id}"),
        courier_id=COURIER,
        courier_version=his.version,
        tasks=(task,),
        versions=(order.version,),
        is_direct=True,
    )
    await stage.ask("offer", offer.offer_id, offer)
    await reached(stage, who, there, "delivery_status", "enroute_to_pickup")
    return there


async def seen_at(stage: Stage, where: LatLng) -> None:
    spot = Spot(COURIER, where.lat, where.lng, 4.0, Instant(1_000))
    await RedisPositions(stage.edge.redis, CLUSTER).save(SHARD, [spot])


async def picked_up(order: Carried) -> None:
    """Have him collect it, and wait until the store says so."""
    await collected(order.stage, order.order_id)
    await reached(order.stage, order.who, order.there, "delivery_status", "enroute_to_dropoff")


async def test_a_courier_sees_his_way_over_all_stops(database: str, redis_url: str) -> None:
    async with carried(database, redis_url) as order:
        status, told = await order.seen_by(courier(order.stage))

    assert status == 200
    assert [leg["to"]["type"] for leg in told["legs"]] == ["pickup", "drop_off"]
    assert [leg["ends"] for leg in told["legs"]] == [1, 2]
    assert told["line"]["type"] == "LineString"
    assert told["line"]["coordinates"] == [
        [pytest.approx(lng, abs=2e-6), pytest.approx(lat, abs=2e-6)]
        for lng, lat in ((HERE.lng, HERE.lat), (CENTRE.lng, CENTRE.lat), (HOME["lng"], HOME["lat"]))
    ]
    assert told["distance_m"] == pytest.approx(sum(leg["distance_m"] for leg in told["legs"]))
    assert told["duration_s"] == pytest.approx(told["distance_m"] / 5.0, abs=0.2)
    assert (told["stops_hidden"], told["position"]["seen_at"]) == (0, "1970-01-01T00:00:01.000Z")
    assert not any(leg["is_on_streets"] for leg in told["legs"])


async def test_a_customer_sees_the_way_from_pickup_to_the_door_only(
    database: str, redis_url: str
) -> None:
    async with carried(database, redis_url) as order:
        before, _ = await order.seen_by(order.who)
        await picked_up(order)
        status, told = await order.seen_by(order.who)
        by_shop, _ = await order.seen_by(integrator(order.stage))
        await delivered(order.stage, order.order_id)
        await reached(order.stage, order.who, order.there, "status", "completed")
        afterwards, _ = await order.seen_by(order.who)

    assert (before, afterwards) == (409, 409)
    assert (status, by_shop) == (200, 200)
    assert [leg["to"]["order_id"] for leg in told["legs"]] == [order.order_id]


async def test_staff_sees_its_own_couriers_on_their_way_to_the_restaurant(
    database: str, redis_url: str
) -> None:
    async with carried(database, redis_url) as order:
        support = order.stage.signed_in("usr_staff", Role.SUPPORT)
        own, told = await order.seen_by(support)
        shops, _ = await order.seen_by(integrator(order.stage))

    assert (own, shops) == (200, 409)
    assert len(told["legs"]) == 2


async def test_staff_sees_the_courier_of_another_tenant_as_a_customer_would(
    database: str, redis_url: str
) -> None:
    async with carried(database, redis_url, OTHER_TENANT) as order:
        support = order.stage.signed_in("usr_staff", Role.SUPPORT)
        before, _ = await order.seen_by(support)
        await picked_up(order)
        after, _ = await order.seen_by(support)

    assert (before, after) == (409, 200)


async def test_whoever_does_not_see_the_delivery_does_not_see_its_way(
    database: str, redis_url: str
) -> None:
    async with carried(database, redis_url) as order:
        await picked_up(order)
        stage = order.stage
        strangers = [
            customer(stage, "usr_eve"),
            courier(stage, CourierId("crr_2")),
            integrator(stage, "cli_other", tenant_id=OTHER_TENANT),
            stage.signed_in("usr_cook", Role.RESTAURANT, restaurant_ids=frozenset({NORDHAVN})),
        ]
        statuses = [(await order.seen_by(who))[0] for who in strangers]

    assert statuses == [404] * len(strangers)


async def test_a_neighbour_who_is_served_first_stays_unseen(database: str, redis_url: str) -> None:
    async with carried(database, redis_url) as order:
        neighbour = customer(order.stage, "usr_bo")
        other = await placed(order.stage, neighbour)
        there = await given(order.stage, neighbour, other["order_id"])
        await collected(order.stage, order.order_id, other["order_id"])
        await reached(order.stage, neighbour, there, "delivery_status", "picked_up")
        _, first = await order.seen_by(order.who)
        path = f"/v1/deliveries/{other['delivery_id']}/route"
        _, last, _ = await order.stage.asked("GET", path, neighbour)
        _, shops = await order.seen_by(integrator(order.stage))
        _, his = await order.seen_by(courier(order.stage))

    assert (last["legs"], last["line"], last["stops_hidden"]) == ([], None, 1)
    assert (len(first["legs"]), first["stops_hidden"]) == (1, 0)
    assert shops["stops_hidden"] == 0
    assert len(his["legs"]) == 2


async def test_without_a_position_the_way_begins_at_the_first_stop(
    database: str, redis_url: str
) -> None:
    async with carried(database, redis_url) as order:
        await seen_at(order.stage, LatLng(-33.9, 151.2))
        _, told = await order.seen_by(courier(order.stage))

    assert told["position"] is None
    assert [leg["distance_m"] > 0 for leg in told["legs"]] == [False, True]


async def test_a_way_that_is_still_the_same_is_not_sent_again(
    database: str, redis_url: str
) -> None:
    async with carried(database, redis_url) as order:
        who = courier(order.stage)
        _, _, headers = await order.stage.asked("GET", order.path, who)
        known = who | {"If-None-Match": headers["ETag"]}
        same, _, _ = await order.stage.asked("GET", order.path, known)
        await seen_at(order.stage, CENTRE)
        moved, _, _ = await order.stage.asked("GET", order.path, known)

    assert (same, moved) == (304, 200)


def test_the_way_to_a_door_ends_there() -> None:
    assert until_door((COLLECT, DOOR_1, DOOR_2), ONE) == (COLLECT, DOOR_1)
    with pytest.raises(Declined):
        until_door((COLLECT, DOOR_2), ONE)


def test_the_way_is_known_up_to_the_first_stop_for_a_stranger() -> None:
    route = (COLLECT, DOOR_1, DOOR_2)

    assert known_stops(route, {ONE, TWO}) == route
    assert known_stops((DOOR_1, DOOR_2), {ONE}) == (DOOR_1,)
    assert known_stops(route, {ONE}) == ()
