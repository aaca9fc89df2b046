"""What tests of orders share: a restaurant that is open, people, and requests that place orders."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import trio
from msgspec import Struct, structs

from api.deliveries import deliveries
from api.endpoint import Endpoints
from api.orders import orders
from api.ports import Unavailable
from dispatch.courier import Arrive, Collect, Deliver, StartShift
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, ShardId, TenantId, after
from dispatch.offer import Stage as OfferStage
from dispatch.restaurant import Open
from dispatch.step import Accepted, Refused
from geo.ping import Track
from geo.point import LatLng
from services.accounts.principal import Role
from storage import restaurants
from storage.accounts import PostgresAccounts
from storage.offers import find_present
from storage.orders import find as find_order
from storage.restaurants import RestaurantRow
from tests.api.stage import CENTRE, GROUND, MARKET, SHARD, TENANT, Here, Stage, on_stage
from wire.accounts import UserRow

NORDHAVN = RestaurantId("rst_nordhavn")
COURIER = CourierId("crr_1")
OTHER_TENANT = TenantId("tnt_two")
HOME = {"lat": 55.69, "lng": 12.58, "address": {"street": "Vej 1"}, "phone": "+4533123456"}
FAR_AWAY = {"lat": 48.85, "lng": 2.35}
SOUP = {"dish_id": "dsh_soup", "name": "Soup", "count": 2}
ORDER: Mapping[str, Any] = {"restaurant_id": NORDHAVN, "lines": [SOUP], "dropoff": HOME}
PRICED: Mapping[str, Any] = {
    "restaurant_id": NORDHAVN,
    "lines": [SOUP | {"unit_minor": 4_950}],
    "dropoff": HOME,
    "customer": {"name": "Ida", "phone": "+4511112222"},
    "currency": "DKK",
}
ROW = RestaurantRow(
    restaurant_id=NORDHAVN,
    tenant_id=TENANT,
    market_id=MARKET,
    shard=SHARD,
    name="Nordhavn",
    lat=CENTRE.lat,
    lng=CENTRE.lng,
)
_keys = count(1)


@dataclass(slots=True)
class Losing:
    """Actors that do what they are asked, and whose next answers are lost; fits `Actors`."""

    reached: Here = field(default_factory=lambda: Here({}))
    lost_count: int = 0

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        answer = await self.reached.ask(shard, kind, key, message)
        if self.lost_count:
            self.lost_count -= 1
            raise Unavailable(f"the answer of {kind} {key} was lost")
        return answer

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        self.reached.take(shard, tracks)

    def is_here(self, shard: ShardId) -> bool:
        return self.reached.is_here(shard)


@asynccontextmanager
async def ordering(
    database: str,
    redis_url: str,
    nouns: Sequence[Endpoints] = (orders, deliveries),
    **replaced: Any,  # noqa: ANN401
) -> AsyncGenerator[Stage]:
    """A stage with a restaurant that takes orders by itself."""
    async with on_stage(database, redis_url, nouns, **replaced) as stage:
        if isinstance(losing := replaced.get("actors"), Losing):
            losing.reached = stage.here
        await opened(stage, ROW)
        yield stage


async def opened(stage: Stage, row: RestaurantRow, *, auto_accepts: bool = True) -> None:
    """Write a restaurant and open it; what it cooks is ready at once."""
    await restaurants.create(stage.edge.database, row)
    point = GROUND.projection.to_point(LatLng(row.lat, row.lng))
    opens = Open(
        restaurant_id=row.restaurant_id, point=point, auto_accepts=auto_accepts, prep_s=0.0
    )
    assert await stage.ask("restaurant", row.restaurant_id, opens) == Accepted()


def another(row: RestaurantRow, name: str, **changes: object) -> RestaurantRow:
    """Return another restaurant like it."""
    return structs.replace(row, restaurant_id=RestaurantId(f"rst_{name}"), name=name, **changes)


def customer(stage: Stage, name: str = "usr_ida", **rest: object) -> dict[str, str]:
    """Return the headers of a customer."""
    return stage.signed_in(name, Role.CUSTOMER, **rest)


def integrator(stage: Stage, name: str = "cli_shop", **rest: object) -> dict[str, str]:
    """Return the headers of an integrator."""
    return stage.signed_in(name, Role.INTEGRATOR, **rest)


def courier(stage: Stage, courier_id: CourierId = COURIER) -> dict[str, str]:
    """Return the headers of a courier."""
    return stage.signed_in(f"usr_of_{courier_id}", Role.COURIER, courier_id=courier_id)


def keyed(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with an idempotency key that nobody has used."""
    return dict(headers) | {"Idempotency-Key": f"key-{next(_keys)}"}


async def placed(
    stage: Stage, who: Mapping[str, str], order: Mapping[str, Any] = ORDER
) -> dict[str, Any]:
    """Place an order and return how it is shown."""
    status, shown, _ = await stage.asked("POST", "/v1/orders", who, order)
    assert status == 201, shown
    return shown


async def reached(
    stage: Stage, who: Mapping[str, str], path: str, field: str, wanted: str
) -> dict[str, Any]:
    """Return what is shown of an order once it says what is wanted; the store is asked for that."""
    order_id = OrderId(f"ord_{path.rpartition('_')[2]}")
    with trio.fail_after(8):
        while True:
            row = await find_order(stage.edge.database, order_id)
            if row is not None and getattr(row, field) == wanted:
                break
    status, shown, _ = await stage.asked("GET", path, who)
    assert status == 200, shown
    return shown


async def offered(stage: Stage, who: Mapping[str, str], path: str) -> str:
    """Return the offer in which an order is, once somebody has been asked."""
    await reached(stage, who, path, "delivery_status", "offered")
    with trio.fail_after(8):
        while True:
            order = await find_order(stage.edge.database, OrderId(f"ord_{path.rpartition('_')[2]}"))
            assert order is not None
            assert order.courier_id is not None
            row = await find_present(stage.edge.database, order.courier_id)
            if row is not None and row.offer.stage is OfferStage.OPEN:
                return row.offer.offer_id


async def on_shift(stage: Stage, courier_id: CourierId = COURIER) -> None:
    """Have a courier begin to work at the restaurant's door."""
    start = StartShift(
        courier_id=courier_id,
        market_id=MARKET,
        point=GROUND.projection.to_point(CENTRE),
        ends_at=after(Instant(stage.edge.now()), 3_600),
        load_max=4,
    )
    assert await stage.ask("courier", courier_id, start) == Accepted()


async def employed(stage: Stage, tenant_id: TenantId) -> None:
    """Have the courier belong to a tenant."""
    accounts = PostgresAccounts(stage.edge.database)
    await accounts.create_tenant(tenant_id, "his")
    person = UserRow(
        user_id=f"usr_{COURIER}",
        tenant_id=tenant_id,
        role=Role.COURIER,
        email="ask@example.org",
        name="Ask",
        courier_id=COURIER,
    )
    await accounts.create_users([person])


async def collected(stage: Stage, *order_ids: str, courier_id: CourierId = COURIER) -> None:
    """Have the courier arrive at the restaurant and collect the orders."""
    arrive = Arrive(restaurant_id=NORDHAVN)
    assert await stage.ask("courier", courier_id, arrive) == Accepted()
    collect = Collect(tuple(map(OrderId, order_ids)))
    assert await stage.ask("courier", courier_id, collect) == Accepted()


async def delivered(stage: Stage, order_id: str, courier_id: CourierId = COURIER) -> None:
    """Have the courier hand the order over at the door."""
    arrive = Arrive(order_id=OrderId(order_id))
    assert await stage.ask("courier", courier_id, arrive) == Accepted()
    assert await stage.ask("courier", courier_id, Deliver(OrderId(order_id))) == Accepted()
