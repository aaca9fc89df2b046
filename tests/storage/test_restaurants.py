"""Restaurants are kept as they were written, changed one at a time, and shown with their actors."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asyncpg import Connection
from msgspec import msgpack, structs

from dispatch.hours import Hours, Span
from dispatch.ids import MarketId, RestaurantId, ShardId, TenantId
from dispatch.restaurant import Restaurant
from geo.point import Point
from storage import restaurants
from storage.bridge import bridged
from storage.database import Database, connected
from storage.restaurants import RestaurantRow, Written
from wire.orders import Address

TENANT = TenantId("tnt_one")
ROW = RestaurantRow(
    restaurant_id=RestaurantId("rst_1"),
    tenant_id=TENANT,
    market_id=MarketId("copenhagen"),
    shard=ShardId(7),
    name="Nordhavn",
    lat=55.7,
    lng=12.6,
    address=Address(street="Sandkaj 1", country="DK"),
    phone="+4533123456",
    hours=Hours(timezone="Europe/Copenhagen", week=((Span(600, 1_300),),) * 7, last_order_s=600),
    capacity_max=20,
    prep_s=600.0,
    busy_prep_s=30.0,
    auto_accepts=False,
    change_id="chg_1",
)
STATE = Restaurant(
    restaurant_id=ROW.restaurant_id,
    point=Point(1.0, 2.0),
    capacity_max=20,
    prep_s=600.0,
    auto_accepts=False,
)
CHECKPOINT = "insert into checkpoint (shard, kind, key, state) values ($1, 'restaurant', $2, $3)"


@asynccontextmanager
async def kept(url: str, *rows: RestaurantRow) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url) as database:
        for row in rows:
            await restaurants.create(database, row)
        yield database


def another(number: int, **changes: object) -> RestaurantRow:
    return structs.replace(ROW, restaurant_id=RestaurantId(f"rst_{number}"), **changes)


async def test_a_restaurant_is_found_as_it_was_written(database: str) -> None:
    async with kept(database, ROW) as there:
        found = await restaurants.find(there, "rst_1")
        missing = await restaurants.find(there, "rst_2")

    assert found is not None
    assert found.created_at == found.updated_at > 0
    assert structs.replace(found, created_at=ROW.created_at, updated_at=ROW.updated_at) == ROW
    assert missing is None


async def test_a_restaurant_without_hours_has_none(database: str) -> None:
    async with kept(database, another(1, hours=None, prep_s=None, phone=None)) as there:
        found = await restaurants.find(there, "rst_1")

    assert found is not None
    assert (found.hours, found.prep_s, found.phone) == (None, None, None)


async def test_a_restaurant_that_is_there_is_not_written_anew(database: str) -> None:
    async with kept(database, ROW, another(1, name="An impostor")) as there:
        found = await restaurants.find(there, "rst_1")

    assert found is not None
    assert found.name == "Nordhavn"


async def test_of_two_who_change_the_same_version_one_is_told_no(database: str) -> None:
    async with kept(database, ROW) as there:
        first = await restaurants.save(there, another(1, name="Sydhavn", change_id="chg_2"))
        second = await restaurants.save(there, another(1, name="Vesthavn", change_id="chg_3"))
        found = await restaurants.find(there, "rst_1")

    assert (first, second) == (Written.WRITTEN, Written.OVERTAKEN)
    assert found is not None
    assert (found.name, found.version, found.change_id) == ("Sydhavn", 2, "chg_2")


async def test_an_id_of_the_tenants_own_is_given_once_until_its_restaurant_ends(
    database: str,
) -> None:
    mine, strange = (
        another(1, external_id="k"),
        another(3, external_id="k", tenant_id=TenantId("tnt_two")),
    )
    async with kept(database, mine, strange, another(4)) as there:
        taken = await restaurants.create(there, another(2, external_id="k"))
        again = await restaurants.create(there, mine)
        changed = await restaurants.save(there, another(4, external_id="k"))
        before = await restaurants.find_restaurant_id(there, TENANT, "k")
        await restaurants.end(there, RestaurantId("rst_1"))
        free = await restaurants.create(there, another(2, external_id="k"))
        after = await restaurants.find_restaurant_id(there, TENANT, "k")

    assert (taken, changed) == (Written.EXTERNAL_ID_TAKEN, Written.EXTERNAL_ID_TAKEN)
    assert (again, free) == (Written.WRITTEN, Written.WRITTEN)
    assert (before, after) == ("rst_1", "rst_2")


async def test_a_restaurant_that_has_ended_stays_as_it_was_and_is_in_no_list(
    database: str,
) -> None:
    async with kept(database, ROW) as there:
        await restaurants.end(there, ROW.restaurant_id)
        first = await restaurants.find(there, ROW.restaurant_id)
        await restaurants.end(there, ROW.restaurant_id)
        changed = await restaurants.save(there, another(1, name="Sydhavn"))
        found = await restaurants.find(there, ROW.restaurant_id)
        page = await restaurants.fetch_page(there, TENANT, limit=9)

    assert changed is Written.OVERTAKEN
    assert found == first
    assert first is not None
    assert first.ended_at is not None
    assert page == []


async def test_a_restaurant_comes_with_what_its_actor_committed_last(database: str) -> None:
    async def commit(there: Connection) -> None:
        await there.execute(CHECKPOINT, ROW.shard, ROW.restaurant_id, msgpack.encode(STATE))

    async with kept(database, ROW, another(2)) as there:
        await there.call(commit)
        with_actor = await restaurants.find_kept(there, "rst_1")
        without = await restaurants.find_kept(there, "rst_2")

    assert with_actor is not None
    assert with_actor.state == STATE
    assert without is not None
    assert without.state is None


async def test_a_page_goes_on_where_the_one_before_it_ended(database: str) -> None:
    strange = another(9, tenant_id=TenantId("tnt_two"))
    elsewhere = another(4, market_id=MarketId("malmo"))
    async with kept(database, another(3), another(1), strange, another(2), elsewhere) as there:
        first = await restaurants.fetch_page(there, TENANT, limit=2)
        second = await restaurants.fetch_page(there, TENANT, after="rst_2", limit=2)
        of_malmo = await restaurants.fetch_page(there, TENANT, limit=9, market_id="malmo")
        own = await restaurants.fetch_page(
            there, TENANT, limit=9, restaurant_ids=["rst_3", "rst_9"]
        )

    pages = [[one.row.restaurant_id for one in page] for page in (first, second, of_malmo, own)]
    assert pages == [["rst_1", "rst_2"], ["rst_3", "rst_4"], ["rst_4"], ["rst_3"]]
