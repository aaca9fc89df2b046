"""Who may see which courier, and who may see where he is."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from api.couriers import couriers
from dispatch.ids import CourierId, Instant
from dispatch.spot import Spot
from services.accounts.principal import Role
from storage.accounts import PostgresAccounts
from storage.positions import RedisPositions
from tests.api.ordering import COURIER, OTHER_TENANT, courier, customer, on_shift
from tests.api.stage import CLUSTER, MARKET, SHARD, TENANT, Stage, on_stage
from wire.accounts import UserRow

NAMES = {"crr_1": "Ask", "crr_2": "Bo", "crr_3": "Cai"}


@asynccontextmanager
async def staffed(database: str, redis_url: str) -> AsyncGenerator[Stage]:
    """A stage with three couriers, of whom one is on shift, and one of another tenant."""
    async with on_stage(database, redis_url, [couriers]) as stage:
        accounts = PostgresAccounts(stage.edge.database)
        await accounts.create_tenant(TENANT, "One")
        await accounts.create_tenant(OTHER_TENANT, "Two")
        await accounts.create_users(
            [
                UserRow(
                    user_id=f"usr_of_{courier_id}",
                    tenant_id=OTHER_TENANT if courier_id == "crr_4" else TENANT,
                    role=Role.COURIER,
                    email=f"{name}@example.org",
                    name=name,
                    courier_id=CourierId(courier_id),
                )
                for courier_id, name in (NAMES | {"crr_4": "Far"}).items()
            ]
        )
        await on_shift(stage)
        yield stage


async def test_a_courier_sees_himself_and_nobody_else(database: str, redis_url: str) -> None:
    async with staffed(database, redis_url) as stage:
        his = courier(stage)
        status, himself, _ = await stage.asked("GET", f"/v1/couriers/{COURIER}", his)
        other = await stage.asked("GET", "/v1/couriers/crr_2", his)
        listed = await stage.asked("GET", "/v1/couriers", his)

    assert (status, himself["stage"], himself["market_id"]) == (200, "on", MARKET)
    assert himself["position"] is None
    assert (other[0], listed[0]) == (404, 403)


async def test_only_staff_sees_where_a_courier_is(database: str, redis_url: str) -> None:
    async with staffed(database, redis_url) as stage:
        spot = Spot(COURIER, 55.68, 12.57, 4.0, Instant(1_000))
        await RedisPositions(stage.edge.redis, CLUSTER).save(SHARD, [spot])
        support = stage.signed_in("usr_staff", Role.SUPPORT)
        shop = stage.signed_in("cli_shop", Role.INTEGRATOR)
        _, seen, _ = await stage.asked("GET", f"/v1/couriers/{COURIER}", support)
        _, by_shop, _ = await stage.asked("GET", f"/v1/couriers/{COURIER}", shop)
        hidden = await stage.asked("GET", f"/v1/couriers/{COURIER}", customer(stage))

    assert seen["position"] == {
        "lat": 55.68,
        "lng": 12.57,
        "speed_mps": 4.0,
        "seen_at": "1970-01-01T00:00:01.000Z",
    }
    assert by_shop["position"] is None
    assert hidden[0] == 404


async def test_staff_lists_the_couriers_of_its_tenant(database: str, redis_url: str) -> None:
    async with staffed(database, redis_url) as stage:
        support = stage.signed_in("usr_staff", Role.SUPPORT)
        _, first, _ = await stage.asked("GET", "/v1/couriers?limit=2", support)
        path = f"/v1/couriers?limit=2&after={first['next_cursor']}"
        _, second, _ = await stage.asked("GET", path, support)
        _, on, _ = await stage.asked("GET", "/v1/couriers?stage=on", support)
        _, off, _ = await stage.asked("GET", "/v1/couriers?stage=off", support)
        strange = await stage.asked("GET", "/v1/couriers/crr_4", support)

    assert [one["name"] for one in first["data"] + second["data"]] == list(NAMES.values())
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [one["courier_id"] for one in on["data"]] == ["crr_1"]
    assert [one["courier_id"] for one in off["data"]] == ["crr_2", "crr_3"]
    assert strange[0] == 404
