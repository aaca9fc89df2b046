"""An order's note is kept once, and goes with an order that was refused."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from msgspec import structs

from dispatch.ids import CustomerId, MarketId, OrderId, RestaurantId, TenantId
from storage import order_notes
from storage.bridge import bridged
from storage.database import Database, connected
from storage.order_notes import Kept, OrderNote
from wire.orders import Asked, DropOffPlace, Line, PickupPlace

NOTE = OrderNote(
    order_id=OrderId("ord_1"),
    tenant_id=TenantId("tnt_1"),
    market_id=MarketId("m"),
    customer_id=CustomerId("usr_1"),
    restaurant_id=RestaurantId("rst_1"),
    external_id="shop-1",
    asked=Asked(
        lines=(Line(dish_id="dsh_1", name="Soup", count=1),),
        pickup=PickupPlace(lat=55.0, lng=12.0, name="Nordhavn"),
        dropoff=DropOffPlace(lat=55.1, lng=12.1, notes="3rd floor"),
    ),
)
OTHER = structs.replace(NOTE, order_id=OrderId("ord_2"))
ORDER = """
insert into orders (order_id, shard, market_id, user_id, restaurant_id, status, delivery_status,
    reason, created_at, updated_at)
values ($1, 1, 'm', 'usr_1', 'rst_1', 'placed', 'scheduled', '', now(), now())
"""


@asynccontextmanager
async def at(url: str) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield database


async def found(database: Database, external_id: str = "shop-1") -> OrderId | None:
    return await order_notes.find_order_id(database, NOTE.tenant_id, external_id)


async def test_a_note_that_is_kept_again_stays_as_it_is(database: str) -> None:
    async with at(database) as store:
        first = await order_notes.keep(store, NOTE)
        again = await order_notes.keep(store, structs.replace(NOTE, external_id="shop-2"))
        kept, other = await found(store), await found(store, "shop-2")

    assert (first, again) == (Kept.KEPT, Kept.KEPT)
    assert (kept, other) == ("ord_1", None)


async def test_an_external_id_is_its_tenants_own(database: str) -> None:
    async with at(database) as store:
        await order_notes.keep(store, NOTE)
        taken = await order_notes.keep(store, OTHER)
        elsewhere = structs.replace(OTHER, tenant_id=TenantId("tnt_2"))
        free = await order_notes.keep(store, elsewhere)

    assert (taken, free) == (Kept.EXTERNAL_ID_TAKEN, Kept.KEPT)


async def test_any_number_of_orders_have_no_external_id(database: str) -> None:
    async with at(database) as store:
        kept = [
            await order_notes.keep(store, structs.replace(note, external_id=None))
            for note in (NOTE, OTHER)
        ]

    assert kept == [Kept.KEPT, Kept.KEPT]


async def test_the_note_of_a_refused_order_is_dropped_and_that_of_a_placed_one_is_not(
    database: str,
) -> None:
    async with at(database) as store:
        await order_notes.keep(store, NOTE)
        await order_notes.keep(store, structs.replace(OTHER, external_id="shop-2"))
        await store.call(lambda there: there.execute(ORDER, "ord_2"))
        for order_id in (NOTE.order_id, OTHER.order_id):
            await order_notes.drop(store, order_id)
        refused, placed = await found(store), await found(store, "shop-2")

    assert (refused, placed) == (None, "ord_2")
