"""Why an order went where it did: operations read everything, a courier what is about himself."""

import trio

from api.decisions import decisions
from api.deliveries import deliveries
from api.offers import offers
from api.orders import orders
from dispatch.ids import CourierId, OrderId
from services.accounts.principal import Role
from storage import decisions as kept
from tests.api.ordering import (
    COURIER,
    NORDHAVN,
    OTHER_TENANT,
    courier,
    customer,
    integrator,
    offered,
    on_shift,
    ordering,
    placed,
)
from tests.api.stage import Stage

NOUNS = (orders, deliveries, offers, decisions)
OTHER = CourierId("crr_2")


async def an_offered_order(stage: Stage) -> str:
    """Have an order offered to the only courier on shift; return where its decisions are."""
    who = customer(stage)
    await on_shift(stage)
    order = await placed(stage, who)
    await offered(stage, who, f"/v1/orders/{order['order_id']}")
    order_id = OrderId(order["order_id"])
    with trio.fail_after(8):
        while not await kept.fetch_of_order(stage.edge.database, order_id, 0, 1):
            pass
    return f"/v1/orders/{order['order_id']}/decisions"


async def test_operations_read_who_was_chosen_and_what_it_costs(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        path = await an_offered_order(stage)
        status, shown, _ = await stage.asked("GET", path, integrator(stage))
        staff = stage.signed_in("usr_op", Role.SUPPORT)
        _, seen_by_staff, _ = await stage.asked("GET", path, staff)

    assert status == 200
    first = shown["data"][0]
    assert first["verdict"] == "sent"
    assert first["grounds"]["courier_id"] == COURIER
    chosen = first["grounds"]["chosen"]
    terms = ("delay_s", "ageing_s", "work_s", "end_s", "switch_s", "fairness_s")
    assert sum(chosen[term] for term in terms) == chosen["cost_s"]
    assert f"{COURIER} is sent now" in first["sentence"]
    assert seen_by_staff["data"] == shown["data"]


async def test_a_courier_reads_his_own_sentence_and_no_grounds(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        path = await an_offered_order(stage)
        status, shown, _ = await stage.asked("GET", path, courier(stage))
        other = await stage.asked("GET", path, courier(stage, OTHER))

    assert status == 200
    (first, *_) = shown["data"]
    assert first["sentence"].startswith("You are at Nordhavn; the food is ready")
    assert first["grounds"] is None
    assert "crr_" not in first["sentence"]
    assert other[0] == 404


async def test_customers_restaurants_and_other_tenants_read_nothing(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        path = await an_offered_order(stage)
        kitchen = stage.signed_in("usr_cook", Role.RESTAURANT, restaurant_ids=frozenset({NORDHAVN}))
        asked = {
            "customer": await stage.asked("GET", path, customer(stage)),
            "restaurant": await stage.asked("GET", path, kitchen),
            "other tenant": await stage.asked(
                "GET", path, integrator(stage, tenant_id=OTHER_TENANT)
            ),
        }

    assert {who: answer[0] for who, answer in asked.items()} == {
        "customer": 403,
        "restaurant": 403,
        "other tenant": 404,
    }
