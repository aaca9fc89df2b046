"""Surges over HTTP: how a place stands, what it came from, and what prices are to go by."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from msgspec import structs

from api.ports import Ground
from api.surges import SurgeNow, surge_of
from api.zones import zones
from dispatch.ids import MarketId, after
from dispatch.policy import Policy, Surging
from dispatch.step import Accepted
from dispatch.surge import Measure
from geo.point import LatLng
from services.accounts.principal import Role
from tests.api.ordering import OTHER_TENANT
from tests.api.stage import CENTRE, GROUND, MARKET, TENANT, OneMarket, Stage, on_stage
from tests.api.test_zones import drawn, staff

DEAR = Policy(surging=Surging(percent_max=150, hold_s=60.0, memory_s=30.0))
DEAR_GROUND = structs.replace(GROUND, policy=DEAR)


class DearMarket(OneMarket):
    """The one market, where a shortage may make deliveries dear."""

    def find_market(self, market_id: MarketId) -> Ground | None:
        return DEAR_GROUND if market_id == MARKET else None


@asynccontextmanager
async def dear_stage(database: str, redis_url: str) -> AsyncGenerator[Stage]:
    async with on_stage(database, redis_url, [zones], policy=DEAR, map=DearMarket()) as stage:
        yield stage


async def short(stage: Stage, place: str, looks: int) -> None:
    """Have a place be measured again and again while there are far too few couriers."""
    now = stage.edge.now()
    for number in range(looks):
        measure = Measure(
            place=place,
            market_id=MARKET,
            waiting=50,
            expected=4.0,
            free=2,
            at=after(now, 60.0 * (number - looks)),
        )
        assert await stage.ask("surge", place, measure) == Accepted()


async def test_a_place_shows_its_surge_and_how_it_came_to_it(database: str, redis_url: str) -> None:
    async with dear_stage(database, redis_url) as stage:
        zone = await drawn(stage, "surge")
        path = f"/v1/zones/{zone['zone_id']}"
        await short(stage, zone["zone_id"], 3)
        _, shown, _ = await stage.asked("GET", path, stage.signed_in("usr_ann", Role.CUSTOMER))
        _, market, _ = await stage.asked("GET", f"/v1/zones/{MARKET}")
        _, newest, _ = await stage.asked("GET", f"{path}/surge?limit=1", staff(stage))
        behind = f"{path}/surge?after={newest['next_cursor']}"
        _, older, _ = await stage.asked("GET", behind, staff(stage))

    surge = shown["surge"]
    assert (surge["percent"], surge["waiting"], surge["free"]) == (130, 50, 2)
    assert surge["reason"].startswith("up to 130 %: 50 orders waiting and 4 more expected")
    assert market["surge"]["percent"] == 100
    moves = [*newest["data"], *older["data"]]
    assert [(one["before"], one["percent"]) for one in moves] == [
        (120, 130),
        (110, 120),
        (100, 110),
    ]
    assert moves[0]["reason"] == surge["reason"]


async def test_the_history_of_a_market_is_for_staff(database: str, redis_url: str) -> None:
    async with dear_stage(database, redis_url) as stage:
        await short(stage, MARKET, 1)
        path = f"/v1/zones/{MARKET}/surge"
        seen = await stage.asked("GET", path, staff(stage))
        people = [
            None,
            stage.signed_in("usr_ann", Role.CUSTOMER),
            stage.signed_in("usr_cou", Role.COURIER),
        ]
        hidden = [(await stage.asked("GET", path, who))[0] for who in people]

    assert [one["percent"] for one in seen[1]["data"]] == [110]
    assert hidden == [401, 403, 403]


async def test_prices_go_by_the_dearest_place_around_a_restaurant_of_the_same_tenant(
    database: str, redis_url: str
) -> None:
    away = LatLng(CENTRE.lat + 0.05, CENTRE.lng)

    async with dear_stage(database, redis_url) as stage:
        before = await surge_of(stage.edge, TENANT, DEAR_GROUND, CENTRE)
        zone = await drawn(stage, "surge")
        await short(stage, zone["zone_id"], 2)
        await short(stage, MARKET, 1)
        here = await surge_of(stage.edge, TENANT, DEAR_GROUND, CENTRE)
        there = await surge_of(stage.edge, TENANT, DEAR_GROUND, away)
        theirs = await surge_of(stage.edge, OTHER_TENANT, DEAR_GROUND, CENTRE)
        off = await surge_of(stage.edge, TENANT, GROUND, CENTRE)

    assert (before, before.multiplier) == (SurgeNow(), 1.0)
    assert (here.multiplier, here.place) == (1.2, zone["zone_id"])
    assert (there.multiplier, there.place) == (1.1, MARKET)
    assert theirs == there
    assert off.multiplier == 1.0
