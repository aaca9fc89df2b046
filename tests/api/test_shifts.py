"""Shifts over HTTP: one at a time wherever the courier is, and seen by his tenant's staff alone."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Struct

from api.app import application
from api.offers import offers
from api.orders import orders
from api.ports import Actors, Ground, Unavailable
from api.restaurants import restaurants
from api.shifts import LOAD_MAX, Vehicle, shifts, start_shift
from api.times import rfc3339
from dispatch.courier import Arrive, Collect, Cross, Pause, StartShift
from dispatch.ids import CourierId, MarketId, ShardId, TenantId, after
from dispatch.step import Accepted, Refused
from geo.ping import Track
from geo.point import LatLng
from geo.projection import Projection
from services.accounts.principal import Role
from storage import shifts as stored
from storage.accounts import PostgresAccounts
from tests.api.ordering import (
    COURIER,
    FAR_AWAY,
    NORDHAVN,
    courier,
    customer,
    ordering,
    placed,
    reached,
)
from tests.api.stage import CENTRE, GROUND, SHARD, TENANT, OneMarket, Stage
from wire.accounts import UserRow

MALMO = LatLng(55.60, 13.00)
OTHER_SHARD = ShardId(SHARD + 1)
OTHER_GROUND = Ground(
    market_id=MarketId("malmo"),
    shard=OTHER_SHARD,
    centre=MALMO,
    cells=(OTHER_SHARD,),
    projection=Projection(MALMO),
    policy=GROUND.policy,
)
NOUNS = (shifts, orders, offers, restaurants)


class TwoMarkets(OneMarket):
    """A map on which Malmö is run too, by nobody here."""

    def find_at(self, where: LatLng) -> Ground | None:
        return OTHER_GROUND if where == MALMO else super().find_at(where)


class Told:
    """Actors of which those of the other market are only told; fits `api.ports.Actors`."""

    def __init__(self, here: Actors) -> None:
        self.here = here
        self.elsewhere: list[Struct] = []

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        if shard == OTHER_SHARD:
            self.elsewhere.append(message)
            return Accepted()
        return await self.here.ask(shard, kind, key, message)

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        raise Unavailable(str((shard, tracks)))

    def is_here(self, shard: ShardId) -> bool:
        return shard != OTHER_SHARD


@asynccontextmanager
async def working(database: str, redis_url: str) -> AsyncGenerator[Stage]:
    async with ordering(database, redis_url, NOUNS) as stage:
        yield stage


def new_shift(stage: Stage, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    ends_at = rfc3339(after(stage.edge.now(), 3_600))
    return {"lat": CENTRE.lat, "lng": CENTRE.lng, "ends_at": ends_at} | changes


async def hired(stage: Stage, *courier_ids: CourierId, tenant_id: TenantId = TENANT) -> None:
    """Make couriers belong to a tenant."""
    accounts = PostgresAccounts(stage.edge.database)
    await accounts.create_tenant(tenant_id, "for a test")
    people = [
        UserRow(
            user_id=f"usr_of_{courier_id}",
            tenant_id=tenant_id,
            role=Role.COURIER,
            email=f"{courier_id}@example.org",
            name=courier_id,
            courier_id=courier_id,
        )
        for courier_id in courier_ids
    ]
    assert all(await accounts.create_users(people))


async def test_a_shift_is_started_paused_and_ended(database: str, redis_url: str) -> None:
    async with working(database, redis_url) as stage:
        his, wanted = courier(stage), new_shift(stage)
        started = await stage.asked("POST", "/v1/shifts", his, wanted)
        again = await stage.asked("POST", "/v1/shifts", his, wanted)
        stages = [
            (await stage.asked("POST", f"/v1/shifts/current/{act}", his))[1]["stage"]
            for act in ("pause", "resume", "end")
        ]
        _, shown, _ = await stage.asked("GET", "/v1/shifts/current", his)

    assert (started[0], again[0]) == (201, 201)
    assert (started[1]["stage"], started[1]["ends_at"]) == ("on", wanted["ends_at"])
    assert stages == ["paused", "on", "off"]
    assert shown["stage"] == "off"


@pytest.mark.parametrize("vehicle", Vehicle)
async def test_a_vehicle_says_how_much_is_carried(
    database: str, redis_url: str, vehicle: Vehicle
) -> None:
    async with working(database, redis_url) as stage:
        his = courier(stage)
        _, shown, _ = await stage.asked(
            "POST", "/v1/shifts", his, new_shift(stage, vehicle=vehicle)
        )

    assert shown["load_max"] == LOAD_MAX[vehicle]


async def test_what_is_no_shift_is_told_apart(database: str, redis_url: str) -> None:
    async with working(database, redis_url) as stage:
        his = courier(stage)
        yesterday = rfc3339(after(stage.edge.now(), -86_400))
        too_long = rfc3339(after(stage.edge.now(), 86_400))
        answers = [
            await stage.asked("GET", "/v1/shifts/current", his),
            await stage.asked("POST", "/v1/shifts/current/end", his),
            await stage.asked("POST", "/v1/shifts", his, new_shift(stage, **FAR_AWAY)),
            await stage.asked("POST", "/v1/shifts", his, new_shift(stage, ends_at=yesterday)),
            await stage.asked("POST", "/v1/shifts", his, new_shift(stage, ends_at=too_long)),
            await stage.asked("POST", "/v1/shifts", customer(stage), new_shift(stage)),
            await stage.asked("POST", "/v1/shifts", his, new_shift(stage)),
        ]

    assert [status for status, _, _ in answers] == [404, 404, 422, 422, 422, 403, 201]


@asynccontextmanager
async def beside_malmo(database: str, redis_url: str) -> AsyncGenerator[tuple[Stage, Told]]:
    """A stage at the edge of another market, and what that market's actors are told."""
    async with working(database, redis_url) as stage:
        told = Told(stage.edge.actors)
        edge = replace(stage.edge, actors=told, map=TwoMarkets())
        app = application(edge, NOUNS)
        async with app.test_app():
            yield replace(stage, edge=edge, app=app, client=app.test_client()), told


async def test_a_shift_left_open_elsewhere_is_ended_first(database: str, redis_url: str) -> None:
    async with beside_malmo(database, redis_url) as (stage, told):
        his = courier(stage)
        await stage.asked("POST", "/v1/shifts", his, new_shift(stage))
        ends_at = after(stage.edge.now(), 3_600)
        ground = await start_shift(stage.edge, COURIER, MALMO, ends_at)
        here = await stored.find(stage.edge.database, COURIER)

    start = StartShift(
        courier_id=COURIER,
        market_id=OTHER_GROUND.market_id,
        point=OTHER_GROUND.projection.to_point(MALMO),
        ends_at=ends_at,
        load_max=GROUND.policy.load_max,
        is_counted=True,
    )
    assert ground is OTHER_GROUND
    assert here is not None
    assert here.courier.stage == "off"
    assert told.elsewhere == [start]


async def test_who_still_carries_food_here_starts_nowhere_else(
    database: str, redis_url: str
) -> None:
    async with beside_malmo(database, redis_url) as (stage, told):
        his, guest = courier(stage), customer(stage)
        await stage.asked("POST", "/v1/shifts", his, new_shift(stage))
        order = await placed(stage, guest)
        path = f"/v1/orders/{order['order_id']}"
        await reached(stage, guest, path, "delivery_status", "offered")
        _, offered, _ = await stage.asked("GET", "/v1/offers", his)
        await stage.asked("POST", f"/v1/offers/{offered['data'][0]['offer_id']}/take", his)
        await stage.ask("courier", COURIER, Arrive(restaurant_id=NORDHAVN))
        await stage.ask("courier", COURIER, Collect((order["order_id"],)))
        there = new_shift(stage, lat=MALMO.lat, lng=MALMO.lng)
        status, refused, _ = await stage.asked("POST", "/v1/shifts", his, there)
        _, shown, _ = await stage.asked("GET", "/v1/shifts/current", his)

    assert (status, refused["code"]) == (409, "not-legal-now")
    assert (shown["stage"], shown["carried"]) == ("ending", [order["order_id"]])
    assert told.elsewhere == []


async def test_who_is_on_his_way_elsewhere_is_not_started_here(
    database: str, redis_url: str
) -> None:
    async with beside_malmo(database, redis_url) as (stage, told):
        his = courier(stage)
        await stage.asked("POST", "/v1/shifts", his, new_shift(stage))
        point = OTHER_GROUND.projection.to_point(MALMO)
        await stage.ask("courier", COURIER, Cross(OTHER_SHARD, OTHER_GROUND.market_id, point))
        status, refused, headers = await stage.asked("POST", "/v1/shifts", his, new_shift(stage))
        row = await stored.find(stage.edge.database, COURIER)

    assert (status, refused["code"], headers["Retry-After"]) == (409, "moved", "1")
    assert row is not None
    assert row.courier.stage == "gone"
    assert told.elsewhere == []


async def test_what_he_says_reaches_him_where_he_has_gone(database: str, redis_url: str) -> None:
    async with beside_malmo(database, redis_url) as (stage, told):
        his = courier(stage)
        await stage.asked("POST", "/v1/shifts", his, new_shift(stage))
        point = OTHER_GROUND.projection.to_point(MALMO)
        await stage.ask("courier", COURIER, Cross(OTHER_SHARD, OTHER_GROUND.market_id, point))
        status, _, _ = await stage.asked("POST", "/v1/shifts/current/pause", his)

    assert status == 200
    assert told.elsewhere == [Pause()]


async def test_nobody_is_started_in_two_places_at_once(database: str, redis_url: str) -> None:
    async with beside_malmo(database, redis_url) as (stage, told):
        his, edge = courier(stage), stage.edge
        is_first = await stored.begin(edge.database, COURIER, OTHER_SHARD)
        meanwhile = await stage.asked("POST", "/v1/shifts", his, new_shift(stage))
        await stored.settle(edge.database, COURIER, OTHER_SHARD)
        afterwards = await stage.asked("POST", "/v1/shifts", his, new_shift(stage))

    assert is_first
    assert (meanwhile[0], meanwhile[1]["code"]) == (409, "not-legal-now")
    assert afterwards[0] == 201
    assert told.elsewhere == []


async def test_staff_sees_the_shifts_of_its_own_couriers_and_ends_one(
    database: str, redis_url: str
) -> None:
    async with working(database, redis_url) as stage:
        ours = [CourierId(f"crr_{number}") for number in range(3)]
        stranger = CourierId("crr_stranger")
        await hired(stage, *ours)
        await hired(stage, stranger, tenant_id=TenantId("tnt_two"))
        for courier_id in (*ours, stranger):
            await stage.asked("POST", "/v1/shifts", courier(stage, courier_id), new_shift(stage))
        staff = stage.signed_in("usr_support", Role.SUPPORT)
        _, first, _ = await stage.asked("GET", "/v1/shifts?limit=2", staff)
        more = f"/v1/shifts?limit=2&after={first['next_cursor']}"
        _, second, _ = await stage.asked("GET", more, staff)
        _, ended, _ = await stage.asked("POST", f"/v1/shifts/{ours[0]}/end", staff)
        not_ours = await stage.asked("POST", f"/v1/shifts/{stranger}/end", staff)
        _, left, _ = await stage.asked("GET", "/v1/shifts", staff)

    assert [one["courier_id"] for one in (*first["data"], *second["data"])] == ours
    assert ended["stage"] == "off"
    assert not_ours[0] == 404
    assert [one["courier_id"] for one in left["data"]] == ours[1:]


async def test_a_courier_neither_lists_shifts_nor_ends_those_of_others(
    database: str, redis_url: str
) -> None:
    async with working(database, redis_url) as stage:
        other = CourierId("crr_other")
        await hired(stage, COURIER, other)
        await stage.asked("POST", "/v1/shifts", courier(stage, other), new_shift(stage))
        answers = [
            await stage.asked("GET", "/v1/shifts", courier(stage)),
            await stage.asked("POST", f"/v1/shifts/{other}/end", courier(stage)),
        ]

    assert [status for status, _, _ in answers] == [403, 403]
