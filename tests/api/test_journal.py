"""What happened to orders can be read on from where one was, each thing once."""

from api.cursors import number_of
from api.journal import journal
from api.orders import orders
from dispatch.kitchen import OrderStatus
from node.retention import Retention
from services.accounts.principal import Role
from tests.api.ordering import OTHER_TENANT, customer, integrator, ordering, placed, reached

NOUNS = (orders, journal)


async def test_an_orders_history_begins_with_its_placing(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who = customer(stage)
        order = await placed(stage, who)
        path = f"/v1/orders/{order['order_id']}"
        await reached(stage, who, path, "status", "accepted")
        _, first, _ = await stage.asked("GET", f"{path}/events?limit=1", who)
        await stage.asked("POST", f"{path}/cancel", who, {})
        there = f"{path}/events?after={first['next_cursor']}"
        _, rest, _ = await stage.asked("GET", there, who)
        other = await stage.asked("GET", f"{path}/events", customer(stage, "usr_bo"))

    (placing,) = first["data"]
    assert placing["event"]["type"] == "order_placed"
    assert placing["event_id"].startswith("evt_")
    assert placing["at"].endswith("Z")
    assert rest["data"][0]["event"]["status"] == OrderStatus.ACCEPTED
    assert rest["data"][-1]["event"]["type"] == "order_canceled"
    assert other[0] == 404


async def test_a_tenants_events_are_read_on_each_once(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who, seen = integrator(stage), list[str]()
        path = "/v1/events?limit=2"
        for name in ("usr_ida", "usr_bo", "usr_cai"):
            order = await placed(stage, customer(stage, name))
            there = f"/v1/orders/{order['order_id']}"
            await reached(stage, customer(stage, name), there, "delivery_status", "pending")
            _, page, _ = await stage.asked("GET", path, who)
            seen += [one["event_id"] for one in page["data"]]
            path = f"/v1/events?limit=2&after={page['next_cursor']}"
        while page["has_more"]:
            _, page, _ = await stage.asked("GET", path, who)
            seen += [one["event_id"] for one in page["data"]]
            path = f"/v1/events?limit=2&after={page['next_cursor']}"
        _, whole, _ = await stage.asked("GET", "/v1/events?limit=100", who)
        _, idle, _ = await stage.asked("GET", path, who)

    assert seen == [one["event_id"] for one in whole["data"]]
    assert len(seen) == 9
    assert (idle["data"], idle["has_more"]) == ([], False)
    # What rounds note meanwhile is nothing to a tenant, and still moves his cursor on.
    last, then = (number_of("events", one["next_cursor"]) for one in (page, idle))
    assert last <= then


async def test_who_reads_on_from_before_what_is_kept_is_told_where_to_begin(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        who, database_ = integrator(stage), stage.edge.database
        await placed(stage, customer(stage))
        _, first, _ = await stage.asked("GET", "/v1/events?limit=1", who)
        path = f"/v1/events?after={first['next_cursor']}"
        await database_.call(lambda there: there.execute("update fact set at = '2020-01-15'"))
        await Retention(database_, feed_days=0, fact_days=30).clear()
        gone = await stage.asked("GET", path, who)
        begin = gone[1]["detail"].rpartition("after=")[2]
        read_on = await stage.asked("GET", f"/v1/events?after={begin}", who)
        anew = await stage.asked("GET", "/v1/events", who)

    assert (gone[0], gone[1]["code"]) == (410, "cursor-gone")
    assert (read_on[0], anew[0]) == (200, 200)
    seen = {one["event_id"] for one in anew[1]["data"]}
    assert first["data"][0]["event_id"] not in seen


async def test_another_tenant_hears_nothing_and_a_customer_may_not_ask(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        await placed(stage, customer(stage))
        stranger = stage.signed_in("usr_far", Role.ADMIN, tenant_id=OTHER_TENANT)
        _, nothing, _ = await stage.asked("GET", "/v1/events", stranger)
        refused = await stage.asked("GET", "/v1/events", customer(stage))

    assert nothing["data"] == []
    assert refused[0] == 403
