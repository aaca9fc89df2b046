"""How a tenant stands is for those who run it, and tells nothing of its neighbours."""

import pytest

from api.orders import orders
from api.pulse import pulse
from dispatch.delivery import Party
from dispatch.order import Cancel
from services.accounts.principal import Role, Scope
from tests.api.ordering import (
    NORDHAVN,
    ORDER,
    OTHER_TENANT,
    ROW,
    another,
    customer,
    employed,
    integrator,
    on_shift,
    opened,
    ordering,
)
from tests.api.stage import TENANT, on_stage


async def test_the_pulse_counts_orders_and_names_nobody(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, (orders, pulse)) as stage:
        await employed(stage, TENANT)
        await on_shift(stage)
        placed = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        order_id = placed[1]["order_id"]
        await stage.ask("order", order_id, Cancel(Party.SUPPORT))

        status, told, headers = await stage.asked("GET", "/v1/pulse", integrator(stage))

    assert status == 200
    assert told["orders"] == {"canceled": 1}
    assert told["couriers"] == {"on": 1}
    assert [one["status"] for one in told["latest"]] == ["canceled"]
    assert headers["Cache-Control"] == "private, max-age=1"
    assert not [name for name in (order_id, NORDHAVN, "usr_ida") if name in str(told)]


async def test_a_tenant_is_not_told_of_its_neighbour(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, (orders, pulse)) as stage:
        theirs = another(ROW, "theirs", tenant_id=OTHER_TENANT)
        await opened(stage, theirs)
        await employed(stage, OTHER_TENANT)
        await on_shift(stage)
        stranger = customer(stage, "usr_eve", tenant_id=OTHER_TENANT)
        body = dict(ORDER) | {"restaurant_id": theirs.restaurant_id}
        status, _, _ = await stage.asked("POST", "/v1/orders", stranger, body)
        _, own, _ = await stage.asked("GET", "/v1/pulse", integrator(stage))
        other = integrator(stage, "cli_other", tenant_id=OTHER_TENANT)
        _, their, _ = await stage.asked("GET", "/v1/pulse", other)

    assert status == 201
    assert (own["orders"], own["couriers"], own["latest"]) == ({}, {}, [])
    assert (sum(their["orders"].values()), their["couriers"]) == (1, {"on": 1})


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.COURIER, Role.RESTAURANT, None])
async def test_nobody_else_is_told_anything(
    database: str, redis_url: str, role: Role | None
) -> None:
    async with on_stage(database, redis_url, [pulse]) as stage:
        scopes = frozenset(Scope) - {Scope.TENANT_ADMIN}
        who = {} if role is None else stage.signed_in("usr_ida", role, scopes=scopes)
        status, _, _ = await stage.asked("GET", "/v1/pulse", who)

    assert status == (401 if role is None else 403)


async def test_many_who_ask_at_once_cost_one_look(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, (orders, pulse)) as stage:
        before = await stage.asked("GET", "/v1/pulse", integrator(stage))
        await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        again = await stage.asked("GET", "/v1/pulse", integrator(stage))

    assert before[1] == again[1]
