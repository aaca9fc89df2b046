"""However orders are listed, a walk through the pages meets each of them once, the newest first."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from dispatch.delivery import DeliveryStatus
from dispatch.ids import CourierId, CustomerId, RestaurantId, TenantId
from dispatch.kitchen import OrderStatus
from storage.bridge import bridged
from storage.database import Database, connected
from storage.orders import (
    NEWEST,
    OfCourier,
    OfCustomer,
    OfRestaurants,
    OfTenant,
    Stretch,
    Whose,
    fetch_page,
)

ONE, TWO = TenantId("tnt_one"), TenantId("tnt_two")
COUNT = 60
TABLES = """
insert into orders (order_id, shard, market_id, user_id, restaurant_id, courier_id, status,
    delivery_status, reason, created_at, updated_at)
select 'ord_' || lpad(at::text, 4, '0'), 1, 'm', 'usr_' || at % 3, 'rst_' || at % 4,
    'crr_' || at % 2, case when at % 5 = 0 then 'canceled' else 'accepted' end,
    case when at % 7 = 0 then 'offered' else 'assigned' end, '', now(), now()
from generate_series(1, $1) as at
"""
DELIVERIES = """
insert into deliveries (delivery_id, shard, order_id, courier_id, status, updated_at)
select order_id, 1, order_id, courier_id, delivery_status, now() from orders
"""
NOTES = """
insert into order_note (order_id, tenant_id, market_id, customer_id, restaurant_id, asked,
    created_at)
select order_id, case when restaurant_id = 'rst_3' then 'tnt_two' else 'tnt_one' end, 'm', user_id,
    restaurant_id, '{"lines": [], "pickup": {"lat": 0, "lng": 0}, "dropoff": {"lat": 0, "lng": 0}}',
    now()
from orders
"""
RESTAURANTS = """
insert into restaurants (restaurant_id, tenant_id, market_id, shard, name, lat, lng, address,
    capacity_max, busy_prep_s, auto_accepts, version, change_id, created_at, updated_at)
select 'rst_' || at, case when at = 3 then 'tnt_two' else 'tnt_one' end, 'm', 1, '', 0, 0, '{}',
    1, 0, true, 1, '', now(), now()
from generate_series(0, 3) as at
"""
ALL = range(COUNT, 0, -1)
OURS = [at for at in ALL if at % 4 != 3]


@asynccontextmanager
async def filled(url: str) -> AsyncGenerator[Database]:
    """A database with orders of two tenants, four restaurants, three customers, two couriers."""
    async with bridged() as bridge, connected(bridge, url) as database:
        await database.call(lambda there: there.execute(TABLES, COUNT))
        for statement in (DELIVERIES, NOTES, RESTAURANTS):
            await database.call(lambda there, told=statement: there.execute(told))
        yield database


async def walked(database: Database, whose: Whose, stretch: Stretch) -> list[int]:
    """The numbers of the orders of all pages."""
    seen: list[int] = []
    while page := await fetch_page(database, whose, stretch):
        seen += [int(row.order_id.removeprefix("ord_")) for row in page]
        stretch = structs.replace(stretch, before=page[-1].order_id)
    return seen


RESTAURANT = RestaurantId("rst_1")
EVERYBODY: list[tuple[Whose, list[int]]] = [
    (OfTenant(tenant_id=ONE), OURS),
    (OfTenant(tenant_id=TWO), [at for at in ALL if at % 4 == 3]),
    (
        OfCustomer(tenant_id=ONE, customer_id=CustomerId("usr_1")),
        [at for at in OURS if at % 3 == 1],
    ),
    (
        OfCustomer(tenant_id=ONE, customer_id=CustomerId("usr_1"), restaurant_id=RESTAURANT),
        [at for at in OURS if at % 3 == 1 and at % 4 == 1],
    ),
    (
        OfRestaurants(tenant_id=ONE, restaurant_ids=(RESTAURANT, RestaurantId("rst_2"))),
        [at for at in ALL if at % 4 in {1, 2}],
    ),
    (OfRestaurants(tenant_id=ONE, restaurant_ids=(RestaurantId("rst_3"),)), []),
    (OfRestaurants(tenant_id=ONE, restaurant_ids=()), []),
    (
        OfCourier(courier_id=CourierId("crr_1")),
        [at for at in ALL if at % 2 == 1 and at % 7],
    ),
]


@pytest.mark.parametrize(("whose", "expected"), EVERYBODY)
async def test_a_walk_meets_each_order_of_theirs_once(
    database: str, whose: Whose, expected: list[int]
) -> None:
    async with filled(database) as store:
        seen = await walked(store, whose, Stretch(count_max=7))

    assert seen == expected


@pytest.mark.parametrize(("whose", "expected"), EVERYBODY)
async def test_a_list_is_narrowed_by_status_and_by_age(
    database: str, whose: Whose, expected: list[int]
) -> None:
    narrowed = Stretch(
        before=NEWEST,
        since="ord_0020",
        statuses=(OrderStatus.CANCELED,),
        delivery_statuses=(DeliveryStatus.ASSIGNED,),
        count_max=3,
    )
    async with filled(database) as store:
        seen = await walked(store, whose, narrowed)

    assert seen == [at for at in expected if at >= 20 and at % 5 == 0 and at % 7]
