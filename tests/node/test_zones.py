"""The zones a node goes by: what has changed is read, and nothing else is worked out anew."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from dispatch.ids import MarketId, TenantId, ZoneId, after
from dispatch.zone import ZoneKind
from geo.point import LatLng
from node.clock import wall
from node.zones import ZoneBook
from storage import zones
from storage.bridge import bridged
from storage.database import Database, connected
from tests.storage.test_zones import ZONE

OTHER = structs.replace(
    ZONE,
    zone_id=ZoneId("zon_2"),
    tenant_id=TenantId("tnt_2"),
    kind=ZoneKind.CLOSED,
    until=None,
)


@asynccontextmanager
async def book(url: str) -> AsyncGenerator[tuple[ZoneBook, Database]]:
    async with bridged() as bridge, connected(bridge, url) as database:
        for zone in (OTHER, ZONE):
            await zones.create(database, zone, "usr_1")
        zone_book = ZoneBook(database, wall)
        await zone_book.refresh()
        yield zone_book, database


async def test_a_tenants_zones_are_known_by_market_and_by_id(database: str) -> None:
    async with book(database) as (known, _):
        (plot,) = known.of(ZONE.tenant_id, ZONE.market_id)
        elsewhere = known.of(ZONE.tenant_id, MarketId("malta"))
        found = known.find(ZONE.zone_id)
        others = known.of_tenant(OTHER.tenant_id)

    assert found is plot
    assert plot.zone.name == ZONE.name
    assert plot.area.contains(LatLng(55.65, 12.55))
    assert not elsewhere
    assert [one.zone.zone_id for one in others] == [OTHER.zone_id]


async def test_only_what_has_changed_is_worked_out_anew(database: str) -> None:
    async with book(database) as (known, there):
        before = known.find(ZONE.zone_id), known.find(OTHER.zone_id)
        await zones.save(there, structs.replace(ZONE, name="Docks"), "usr_1")
        unread = known.find(ZONE.zone_id)
        await known.refresh()
        after_all = known.find(ZONE.zone_id), known.find(OTHER.zone_id)

    assert unread is before[0]
    assert after_all[1] is before[1]
    assert after_all[0] is not None
    assert after_all[0].zone.name == "Docks"


async def test_a_zone_that_has_ended_is_known_no_longer(database: str) -> None:
    async with book(database) as (known, there):
        await zones.end(there, ZONE, "usr_1")
        await known.refresh()

        assert known.find(ZONE.zone_id) is None
        assert not known.of(ZONE.tenant_id, ZONE.market_id)


@pytest.mark.parametrize(("ahead_s", "count"), [(0.0, 1), (120.0, 0)])
async def test_streets_are_closed_for_all_tenants_until_the_closure_lapses(
    database: str, ahead_s: float, count: int
) -> None:
    async with bridged() as bridge, connected(bridge, database) as there:
        closed = structs.replace(OTHER, until=after(wall(), 60.0))
        await zones.create(there, closed, "usr_1")
        known = ZoneBook(there, lambda: after(wall(), ahead_s))
        await known.refresh()

        active = known.active(OTHER.market_id, ZoneKind.CLOSED)

    assert len(active) == count


async def test_a_kind_of_a_later_version_is_passed_over(database: str) -> None:
    async with book(database) as (known, there):
        later = "update zones set kind = 'toll', version = 9 where zone_id = $1"
        await there.call(lambda connection: connection.execute(later, ZONE.zone_id))
        await known.refresh()

        assert known.find(ZONE.zone_id) is None
        assert known.find(OTHER.zone_id) is not None
