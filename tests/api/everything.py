"""Everything that is served, on a stage: all nouns, real accounts, real feeds, real rows.

Two tenants: `otters` is the one that tests look at, with people of every role, a restaurant that
takes orders and an order; `badgers` is the neighbour who must not see any of it.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from werkzeug.datastructures import Headers

from api.limits import LocalLimits, Rate
from api.nouns import NOUNS, ROUTES
from api.ports import Limits
from api.statistics import Lag, NodeStatistics, Traffic
from dispatch.ids import CourierId, RestaurantId, TenantId
from node.accounts import account_service, bootstrap
from node.clock import steady_s, wall
from node.feeds import FeedHub
from services.accounts.people import NewPerson
from services.accounts.principal import Role
from services.accounts.service import AccountService
from storage.bridge import bridged
from storage.database import connected
from storage.postgres import PostgresStore
from storage.redis import redis_server
from tests.api.ordering import ORDER, ROW, another, opened
from tests.api.stage import CLUSTER, Stage, on_stage
from tests.api.tenants import CHEAP, SECRET, bearer

PLENTY: Mapping[str, Rate] = {
    group: Rate(1_000_000, 100_000.0) for group in ("read", "write", "sign-in", "wrong-token")
}
STANDS = NodeStatistics(
    node="node-test",
    version="0",
    uptime_s=1.0,
    resident_bytes=1,
    cpu_s=0.1,
    loop_lag_ms=Lag(p50=0.0, p99=0.0, max=0.0),
    shards=1,
    couriers=0,
    listeners=0,
    traffic=Traffic(),
    messages=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One tenant: the headers of its people by their role, and what is theirs."""

    name: str
    tenant_id: TenantId
    client_id: str
    people: Mapping[Role, Mapping[str, str]]
    restaurant_id: RestaurantId
    courier_id: CourierId
    customer_id: str
    order_id: str


@dataclass(slots=True, kw_only=True)
class Everything:
    """What a test has in hand."""

    stage: Stage
    service: AccountService
    otters: House
    badgers: House

    async def asked(
        self, who: Mapping[str, str] | None, verb: str, path: str, body: object = None
    ) -> tuple[int, Any, Headers]:
        """Send a request as somebody."""
        return await self.stage.asked(verb, path, who, body)


@asynccontextmanager
async def everything(
    database_url: str, redis_url: str, limits: Limits | None = None
) -> AsyncGenerator[Everything]:
    """Run it; without `limits` nobody is limited."""
    async with (
        bridged() as bridge,
        connected(bridge, database_url) as database,
        redis_server(bridge, redis_url) as redis,
        trio.open_nursery() as nursery,
    ):
        service = account_service(
            database, redis, cluster=CLUSTER, secret=SECRET, clock=wall, terms=CHEAP
        )
        await service.opening()
        hub = FeedHub(PostgresStore(database))
        nursery.start_soon(hub.run)
        async with on_stage(
            database_url,
            redis_url,
            NOUNS,
            accounts=service,
            feeds=hub,
            limits=limits or LocalLimits(steady_s, PLENTY),
            statistics=lambda: STANDS,
        ) as stage:
            for serve in ROUTES:
                serve(stage.app, stage.edge)
            yield Everything(
                stage=stage,
                service=service,
                otters=await _house(stage, service, "otters"),
                badgers=await _house(stage, service, "badgers"),
            )
        nursery.cancel_scope.cancel()


async def _house(stage: Stage, service: AccountService, name: str) -> House:
    """Return a tenant with a restaurant, people and an order."""
    made = await bootstrap(service, name)
    row = another(ROW, name, tenant_id=made.tenant_id)
    await opened(stage, row)
    courier_id = CourierId(f"crr_{name}")
    people: dict[Role, Mapping[str, str]] = {Role.INTEGRATOR: bearer(made.api_key)}
    for role in (Role.CUSTOMER, Role.COURIER, Role.RESTAURANT, Role.SUPPORT, Role.ADMIN):
        user_id = f"usr_{role}_{name}"
        person = NewPerson(
            role=role,
            name=f"{role} of the {name}",
            restaurant_ids=(row.restaurant_id,) if role is Role.RESTAURANT else (),
        )
        his = courier_id if role is Role.COURIER else None
        await service.people.create(made.tenant_id, person, user_id=user_id, courier_id=his)
        tokens = await service.sign_in.token_for(made.tenant_id, user_id)
        people[role] = bearer(tokens.access_token)
    body = dict(ORDER) | {"restaurant_id": row.restaurant_id}
    status, placed, _ = await stage.asked("POST", "/v1/orders", people[Role.CUSTOMER], body)
    assert status == 201, placed
    return House(
        name=name,
        tenant_id=made.tenant_id,
        client_id=made.client_id,
        people=people,
        restaurant_id=row.restaurant_id,
        courier_id=courier_id,
        customer_id=f"usr_{Role.CUSTOMER}_{name}",
        order_id=placed["order_id"],
    )
