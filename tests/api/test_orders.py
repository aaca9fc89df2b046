"""Orders over HTTP, from the click to the door, with the actors that a node runs."""

from collections.abc import Mapping
from typing import Any

import trio

from api.deliveries import deliveries
from api.journal import journal
from api.offers import offers
from api.orders import orders
from api.times import rfc3339
from dispatch.ids import RestaurantId, after
from dispatch.restaurant import MarkSoldOut
from dispatch.step import Accepted
from services.accounts.principal import Role
from storage import order_notes
from tests.api.ordering import (
    COURIER,
    FAR_AWAY,
    HOME,
    NORDHAVN,
    ORDER,
    OTHER_TENANT,
    PRICED,
    ROW,
    SOUP,
    Losing,
    another,
    collected,
    courier,
    customer,
    delivered,
    integrator,
    keyed,
    offered,
    on_shift,
    opened,
    ordering,
    placed,
    reached,
)
from tests.api.stage import Stage


async def notes_count(stage: Stage) -> int:
    """How many notes there are, of orders that exist or not."""
    return await stage.edge.database.call(
        lambda there: there.fetchval("select count(*) from order_note")
    )


async def test_an_order_is_shown_as_it_was_asked_for(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        status, order, headers = await stage.asked("POST", "/v1/orders", who, ORDER)
        found, again, told = await stage.asked("GET", headers["Location"], who)

    assert (status, found) == (201, 200)
    assert headers["Location"] == f"/v1/orders/{order['order_id']}"
    assert order["customer_id"] == "usr_ida"
    assert order["lines"] == [SOUP]
    assert order["dropoff"] == HOME
    assert order["pickup"]["name"] == "Nordhavn"
    assert order["eta_low"] < order["eta"] < order["eta_high"]
    assert again["created_at"] == order["created_at"]
    assert told["ETag"]


async def test_an_order_goes_from_the_click_to_the_door(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, [orders, offers]) as stage:
        who, his = customer(stage), courier(stage)
        await on_shift(stage)
        order = await placed(stage, who)
        path = f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, path)
        _, asked, _ = await stage.asked("GET", path, who)
        taken = await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        assigned = await reached(stage, who, path, "delivery_status", "enroute_to_pickup")
        await collected(stage, order["order_id"])
        picked_up = await reached(stage, who, path, "status", "handed_over")
        await delivered(stage, order["order_id"])
        done = await reached(stage, who, path, "status", "completed")

    assert taken[0] == 200
    assert (asked["delivery_status"], asked["courier"]) == ("offered", None)
    assert assigned["courier"] == {"courier_id": COURIER}
    assert assigned["assigned_at"] is not None
    assert picked_up["picked_up_at"] is not None
    assert done["delivery_status"] == "delivered"
    assert done["completed_at"] is not None
    assert done["eta"] is None


async def test_a_request_that_comes_again_places_one_order(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = keyed(customer(stage))
        first = await stage.asked("POST", "/v1/orders", who, ORDER)
        again = await stage.asked("POST", "/v1/orders", who, ORDER)
        _, listed, _ = await stage.asked("GET", "/v1/orders", who)

    assert (first[0], again[0]) == (201, 201)
    assert again[1] == first[1]
    assert [one["order_id"] for one in listed["data"]] == [first[1]["order_id"]]


async def test_a_request_whose_answer_was_lost_places_one_order(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = keyed(customer(stage))
        first = await stage.asked("POST", "/v1/orders", who, ORDER)
        await stage.edge.database.call(
            lambda there: there.execute(
                "update idempotency set status = null, body = null, claimed_at = '-infinity'"
            )
        )
        again = await stage.asked("POST", "/v1/orders", who, ORDER)
        count = await notes_count(stage)

    assert again[1]["order_id"] == first[1]["order_id"]
    assert (again[0], count) == (201, 1)


async def test_an_order_the_machine_refuses_leaves_nothing(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = integrator(stage)
        wanted = dict(PRICED) | {"external_id": "x-1", "size": 50}
        refused = await stage.asked("POST", "/v1/orders", who, wanted)
        count = await notes_count(stage)
        mended = await stage.asked("POST", "/v1/orders", who, wanted | {"size": 2})

    assert (refused[0], refused[1]["code"]) == (422, "load-exceeded")
    assert count == 0
    assert mended[0] == 201


async def test_a_kitchen_that_will_not_cook_rejects_the_placed_order(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        assert await stage.ask("restaurant", NORDHAVN, MarkSoldOut("dsh_soup")) == Accepted()
        order = await placed(stage, who)
        path = f"/v1/orders/{order['order_id']}"
        rejected = await reached(stage, who, path, "status", "rejected")

    assert rejected["status_reason"] == "sold-out"
    assert rejected["delivery_status"] == "canceled"
    assert rejected["eta"] is None


FLAWED: tuple[tuple[Mapping[str, Any], str], ...] = (
    ({"lines": []}, "/lines"),
    ({"lines": [SOUP | {"count": 0}]}, "/lines/0/count"),
    ({"lines": [SOUP | {"name": "a\x00b"}]}, "/lines/0/name"),
    ({"lines": [SOUP | {"unit_minor": 100}]}, "/lines/0/unit_minor"),
    ({"dropoff": HOME | {"lat": 91}}, "/dropoff/lat"),
    ({"dropoff": HOME | {"phone": "12345"}}, "/dropoff/phone"),
    ({"dropoff": HOME | {"notes": "x" * 281}}, "/dropoff/notes"),
    ({"dropoff": FAR_AWAY}, "/dropoff"),
    ({"wanted_at": "2020-01-01T00:00:00Z"}, "/wanted_at"),
    ({"wanted_at": "9999-12-31T23:59:59Z"}, "/wanted_at"),
    ({"wanted_at": "2026-11-22T18:00:00"}, "/wanted_at"),
    ({"restaurant_id": "rst_none"}, "/restaurant_id"),
    ({"customer": {"name": "Ida"}}, "/customer"),
    ({"external_id": "x-1"}, "/external_id"),
    ({"currency": "DKK"}, "/currency"),
    ({"size": 0}, "/size"),
)
"""Orders with something wrong, by what differs from one that is right; and where the flaw is."""


async def test_what_is_wrong_with_an_order_is_pointed_at(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        told = [
            await stage.asked("POST", "/v1/orders", who, {**ORDER, **changes})
            for changes, _ in FLAWED
        ]
        count = await notes_count(stage)

    assert {(status, problem["code"]) for status, problem, _ in told} == {(422, "invalid")}
    assert [problem["errors"][0]["pointer"] for _, problem, _ in told] == [at for _, at in FLAWED]
    assert count == 0


async def test_whoever_sells_gives_every_line_a_price_or_none(
    database: str, redis_url: str
) -> None:
    lines = [SOUP | {"unit_minor": 4_950}, SOUP | {"dish_id": "dsh_bread", "count": 3}]
    async with ordering(database, redis_url) as stage:
        who = integrator(stage)
        half = await stage.asked("POST", "/v1/orders", who, {**PRICED, "lines": lines})
        bare = {name: told for name, told in PRICED.items() if name != "currency"}
        unnamed = await stage.asked("POST", "/v1/orders", who, bare)
        whole = await placed(stage, who, PRICED)

    assert half[1]["errors"][0]["pointer"] == "/lines/1/unit_minor"
    assert unnamed[1]["errors"][0]["pointer"] == "/currency"
    assert (whole["total_minor"], whole["currency"]) == (9_900, "DKK")
    assert whole["recipient"] == PRICED["customer"]


async def test_an_external_id_names_one_order_of_the_tenant(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = integrator(stage)
        wanted = {**PRICED, "external_id": "shop-1"}
        order = await placed(stage, who, wanted)
        again = await stage.asked("POST", "/v1/orders", who, wanted)
        found = await stage.asked("GET", "/v1/orders/by-external-id/shop-1", who)
        missing = await stage.asked("GET", "/v1/orders/by-external-id/shop-2", who)
        strange = await stage.asked("GET", "/v1/orders/by-external-id/%00", who)

    assert (again[0], again[1]["code"]) == (409, "already-exists")
    assert again[1]["errors"][0]["pointer"] == "/external_id"
    assert found[1]["order_id"] == order["order_id"]
    assert (missing[0], strange[0]) == (404, 404)


async def test_an_external_id_whose_order_never_came_is_free_after_a_while(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = integrator(stage)
        wanted = {**PRICED, "external_id": "shop-1"}
        order = await placed(stage, who, wanted)
        await stage.edge.database.call(
            lambda there: there.execute("delete from orders where order_id = $1", order["order_id"])
        )
        soon = await stage.asked("POST", "/v1/orders", who, wanted)
        await stage.edge.database.call(
            lambda there: there.execute(
                "update order_note set created_at = created_at - make_interval(secs => $1)",
                order_notes.ABANDONED_S,
            )
        )
        later = await stage.asked("POST", "/v1/orders", who, wanted)

    assert (soon[0], later[0]) == (409, 201)


async def test_an_order_is_called_off_as_it_was_seen(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        order = await placed(stage, who)
        path = f"/v1/orders/{order['order_id']}"
        await reached(stage, who, path, "status", "accepted")
        seen = (await stage.asked("GET", path, who))[2]["ETag"]
        stale = await stage.asked("POST", f"{path}/cancel", who | {"If-Match": '"old"'}, {})
        body = {"reason": "by mistake"}
        done = await stage.asked("POST", f"{path}/cancel", who | {"If-Match": seen}, body)
        again = await stage.asked("POST", f"{path}/cancel", who, body)

    assert (stale[0], stale[1]["code"]) == (412, "stale-etag")
    assert (done[0], done[1]["status"], done[1]["status_reason"]) == (200, "canceled", "by mistake")
    assert done[2]["ETag"] != seen
    assert (again[0], again[1]["status"]) == (200, "canceled")


async def test_an_order_on_its_way_cannot_be_called_off(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, [orders, offers]) as stage:
        who, his = customer(stage), courier(stage)
        await on_shift(stage)
        order = await placed(stage, who)
        path = f"/v1/orders/{order['order_id']}"
        offer_id = await offered(stage, who, path)
        await stage.asked("POST", f"/v1/offers/{offer_id}/take", his)
        await reached(stage, who, path, "delivery_status", "enroute_to_pickup")
        await collected(stage, order["order_id"])
        await reached(stage, who, path, "status", "handed_over")
        refused = await stage.asked("POST", f"{path}/cancel", who, {})

    assert (refused[0], refused[1]["code"]) == (409, "not-cancelable")


async def test_each_sees_his_own_orders_and_no_others(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        island = another(ROW, "island")
        await opened(stage, island)
        ida, bo = customer(stage, "usr_ida"), customer(stage, "usr_bo")
        hers = await placed(stage, ida)
        his = await placed(stage, bo, {**ORDER, "restaurant_id": island.restaurant_id})
        cook = stage.signed_in(
            "usr_cook", Role.RESTAURANT, restaurant_ids=frozenset({RestaurantId(NORDHAVN)})
        )
        staff = stage.signed_in("usr_staff", Role.SUPPORT)
        stranger = stage.signed_in("usr_far", Role.ADMIN, tenant_id=OTHER_TENANT)
        listed = {
            name: [one["order_id"] for one in (await stage.asked("GET", path, who))[1]["data"]]
            for name, who, path in (
                ("ida", ida, "/v1/orders"),
                ("bo", bo, "/v1/orders"),
                ("bo at nordhavn", bo, f"/v1/orders?restaurant_id={NORDHAVN}"),
                ("cook", cook, "/v1/orders"),
                ("cook elsewhere", cook, f"/v1/orders?restaurant_id={island.restaurant_id}"),
                ("staff", staff, "/v1/orders"),
                ("staff at nordhavn", staff, f"/v1/orders?restaurant_id={NORDHAVN}"),
                ("stranger", stranger, "/v1/orders"),
            )
        }

    assert listed == {
        "ida": [hers["order_id"]],
        "bo": [his["order_id"]],
        "bo at nordhavn": [],
        "cook": [hers["order_id"]],
        "cook elsewhere": [],
        "staff": [his["order_id"], hers["order_id"]],
        "staff at nordhavn": [hers["order_id"]],
        "stranger": [],
    }


ROUTES = (
    ("GET", "/v1/orders/{order}"),
    ("POST", "/v1/orders/{order}/cancel"),
    ("GET", "/v1/orders/{order}/events"),
    ("GET", "/v1/orders/by-external-id/x-1"),
    ("GET", "/v1/deliveries/{delivery}"),
    ("POST", "/v1/deliveries/{delivery}/cancel"),
    ("GET", "/v1/deliveries/by-external-id/x-1"),
)


async def test_what_is_not_yours_does_not_exist(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, [orders, deliveries, journal]) as stage:
        owner = integrator(stage)
        order = await placed(stage, owner, {**PRICED, "external_id": "x-1"})
        cook = {"restaurant_ids": frozenset({RestaurantId("rst_other")})}
        strangers = (
            customer(stage, "usr_bo"),
            courier(stage),
            integrator(stage, "cli_far", tenant_id=OTHER_TENANT),
            stage.signed_in("usr_far", Role.ADMIN, tenant_id=OTHER_TENANT),
            stage.signed_in("usr_cook", Role.RESTAURANT, **cook),
        )
        told: dict[str, list[int]] = {}
        for verb, route in ROUTES:
            path = route.format(order=order["order_id"], delivery=order["delivery_id"])
            body: dict[str, str] | None = {} if verb == "POST" else None
            asked = [await stage.asked(verb, path, who, body) for who in (*strangers, owner)]
            told[f"{verb} {route}"] = [status for status, _, _ in asked]

    assert told == {f"{verb} {route}": [404] * 5 + [200] for verb, route in ROUTES}


async def test_a_restaurant_of_another_tenant_cannot_be_ordered_from(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage, "usr_far", tenant_id=OTHER_TENANT)
        status, told, _ = await stage.asked("POST", "/v1/orders", who, ORDER)

    assert (status, told["errors"][0]["pointer"]) == (422, "/restaurant_id")


async def test_a_restaurant_does_not_learn_where_its_customers_live(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        order = await placed(stage, customer(stage))
        cook = stage.signed_in("usr_cook", Role.RESTAURANT, restaurant_ids=frozenset({NORDHAVN}))
        _, seen, _ = await stage.asked("GET", f"/v1/orders/{order['order_id']}", cook)

    assert seen["lines"] == order["lines"]
    assert seen["dropoff"] is None


async def test_a_walk_through_the_pages_meets_each_order_once(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        before = [(await placed(stage, who))["order_id"] for _ in range(5)]
        seen: list[str] = []
        path = "/v1/orders?limit=2"
        while path:
            _, page, _ = await stage.asked("GET", path, who)
            seen += [one["order_id"] for one in page["data"]]
            await placed(stage, who)
            path = f"/v1/orders?limit=2&after={page['next_cursor']}" if page["has_more"] else ""

    assert seen == before[::-1]


async def test_a_cursor_of_no_list_is_refused(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        made_up = await stage.asked("GET", "/v1/orders?after=abc", who)
        too_many = await stage.asked("GET", "/v1/orders?limit=1000", who)

    assert (made_up[0], made_up[1]["errors"][0]["pointer"]) == (422, "?/after")
    assert too_many[0] == 422


async def test_orders_are_listed_by_status(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        kept, gone = await placed(stage, who), await placed(stage, who)
        await stage.asked("POST", f"/v1/orders/{gone['order_id']}/cancel", who, {})
        await reached(stage, who, f"/v1/orders/{kept['order_id']}", "status", "accepted")
        _, live, _ = await stage.asked("GET", "/v1/orders?status=accepted", who)
        _, ended, _ = await stage.asked("GET", "/v1/orders?status=canceled", who)

    assert [one["order_id"] for one in live["data"]] == [kept["order_id"]]
    assert [one["order_id"] for one in ended["data"]] == [gone["order_id"]]


async def test_an_order_for_later_waits_for_its_time(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url) as stage:
        who = customer(stage)
        wanted_at = rfc3339(after(stage.edge.now(), 6 * 3_600))
        order = await placed(stage, who, {**ORDER, "wanted_at": wanted_at})
        path = f"/v1/orders/{order['order_id']}"
        accepted = await reached(stage, who, path, "status", "accepted")

    assert accepted["delivery_status"] == "scheduled"
    assert accepted["wanted_at"] == wanted_at
    assert accepted["eta"] > wanted_at


async def test_an_order_whose_answer_was_lost_is_placed_once(database: str, redis_url: str) -> None:
    losing = Losing()
    async with ordering(database, redis_url, actors=losing) as stage:
        who = keyed(customer(stage))
        losing.lost_count = 1
        lost = await stage.asked("POST", "/v1/orders", who, ORDER)
        told = await stage.asked("POST", "/v1/orders", who, ORDER)
        count = await notes_count(stage)
        _, listed, _ = await stage.asked("GET", "/v1/orders", who)

    assert (lost[0], lost[1]["code"], lost[1]["retryable"]) == (503, "unavailable", True)
    assert told[0] == 201
    assert count == 1
    assert [one["order_id"] for one in listed["data"]] == [told[1]["order_id"]]


async def test_the_same_request_at_the_same_time_places_one_order(
    database: str, redis_url: str
) -> None:
    async with ordering(database, redis_url) as stage:
        who = keyed(customer(stage))
        told: list[int] = []

        async def ask() -> None:
            status, _, _ = await stage.asked("POST", "/v1/orders", who, ORDER)
            told.append(status)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
        count = await notes_count(stage)

    assert set(told) <= {201, 409}
    assert 201 in told
    assert count == 1
