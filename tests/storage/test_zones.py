"""Zones in Postgres: written over what was seen, noted with who did it, never quite forgotten."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from msgspec import structs

from dispatch.ids import Instant, MarketId, TenantId, ZoneId, after
from dispatch.zone import Zone, ZoneKind
from geo.zone import Outline
from node.clock import wall
from storage import zones
from storage.bridge import bridged
from storage.database import Database, connected

SQUARE: Outline = ((((12.5, 55.6), (12.6, 55.6), (12.6, 55.7), (12.5, 55.7), (12.5, 55.6)),),)
ZONE = Zone(
    zone_id=ZoneId("zon_1"),
    tenant_id=TenantId("tnt_1"),
    market_id=MarketId("copenhagen"),
    kind=ZoneKind.PAUSED,
    name="Harbour",
    outline=SQUARE,
    reason="a storm",
    until=Instant(2_000_000_000_123),
    change_id="chg_1",
)


@asynccontextmanager
async def at(url: str) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield database


async def test_a_zone_is_found_as_it_was_drawn(database: str) -> None:
    async with at(database) as there:
        is_made = await zones.create(there, ZONE, "usr_1")
        is_made_again = await zones.create(there, structs.replace(ZONE, name="Other"), "usr_2")
        found = await zones.find(there, ZONE.zone_id)
        nobody = await zones.find(there, "zon_2")

    assert (is_made, is_made_again) == (True, True)
    assert found is not None
    assert found.created_at == found.updated_at > 0
    assert structs.replace(found, created_at=Instant(0), updated_at=Instant(0)) == ZONE
    assert nobody is None


async def test_a_change_counts_once_and_only_over_what_was_seen(database: str) -> None:
    changed = structs.replace(ZONE, name="Docks", until=None, change_id="chg_2")

    async with at(database) as there:
        await zones.create(there, ZONE, "usr_1")
        first = await zones.save(there, changed, "usr_2")
        second = await zones.save(there, changed, "usr_3")
        found = await zones.find(there, ZONE.zone_id)
        noted = await zones.fetch_changes(there, ZONE.zone_id, 99, 9)

    assert (first, second) == (True, False)
    assert found is not None
    assert (found.name, found.until, found.version) == ("Docks", None, 2)
    assert [(one.version, one.made_by, one.zone.name) for one in noted] == [
        (2, "usr_2", "Docks"),
        (1, "usr_1", "Harbour"),
    ]


async def test_what_has_ended_or_lapsed_long_ago_is_gone_by_no_longer(database: str) -> None:
    lapsed = structs.replace(ZONE, zone_id=ZoneId("zon_2"), until=after(wall(), -7_200.0))
    just_lapsed = structs.replace(ZONE, zone_id=ZoneId("zon_3"), until=after(wall(), -60.0))

    async with at(database) as there:
        for zone in (ZONE, lapsed, just_lapsed):
            await zones.create(there, zone, "usr_1")
        before = await zones.fetch_versions(there)
        is_ended = [await zones.end(there, ZONE, "usr_1") for _ in range(2)]
        after_all = await zones.fetch_versions(there)
        fetched = await zones.fetch_some(there, [ZONE.zone_id, just_lapsed.zone_id])
        ended = await zones.find(there, ZONE.zone_id)

    assert before == {ZONE.zone_id: 1, just_lapsed.zone_id: 1}
    assert is_ended == [True, False]
    assert after_all == {just_lapsed.zone_id: 1}
    assert [one.zone_id for one in fetched] == [just_lapsed.zone_id]
    assert ended is not None
    assert (ended.ended_at, ended.version) == (ended.updated_at, 2)


async def test_zones_that_have_lapsed_take_no_room_from_new_ones(database: str) -> None:
    lapsed = structs.replace(ZONE, until=after(wall(), -1.0))

    async with at(database) as there:
        for number in range(zones.ZONES_MAX):
            await zones.create(there, structs.replace(lapsed, zone_id=ZoneId(f"a{number}")), "usr")
        first = [
            await zones.create(there, structs.replace(ZONE, zone_id=ZoneId(f"b{number}")), "usr")
            for number in range(zones.ZONES_MAX)
        ]
        beyond = await zones.create(there, structs.replace(ZONE, zone_id=ZoneId("c")), "usr")
        other = structs.replace(ZONE, zone_id=ZoneId("d"), tenant_id=TenantId("tnt_2"))
        neighbour = await zones.create(there, other, "usr")

    assert all(first)
    assert (beyond, neighbour) == (False, True)
