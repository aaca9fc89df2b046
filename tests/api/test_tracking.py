"""The tracking link: what a stranger who has it sees, from when until when."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import trio
from msgspec import json

from api.door import serve_door
from api.reactor import Reactor
from api.tracking import AFTER_S, events
from dispatch.ids import OrderId
from services.accounts.principal import Role
from storage.cursors import find_newest
from storage.orders import find as find_order
from storage.tracking import LINKS_MAX
from tests.api.following import IDA, Theatre, assigned, theatre
from tests.api.ordering import NORDHAVN, collected, customer, delivered, placed


async def link(stage: Theatre, order_id: str, subject: str = IDA) -> dict[str, Any]:
    """Make a link to the order."""
    who = customer(stage.stage, subject)
    status, shown, _ = await stage.stage.asked("POST", f"/v1/orders/{order_id}/tracking-link", who)
    assert status == 201, shown
    return shown


async def state(stage: Theatre, told: dict[str, Any]) -> tuple[int, Any]:
    """What the link shows now to somebody who is not signed in."""
    status, shown, _ = await stage.stage.asked("GET", told["state_path"])
    return status, shown


async def followed(stage: Theatre, order_id: OrderId) -> AsyncGenerator[bytes]:
    """The events of an order, from now on."""
    edge = stage.stage.edge
    newest = await find_newest(edge.database, IDA)
    row = await find_order(edge.database, order_id)
    assert row is not None
    return events(edge, row, newest)


async def heard(viewed: AsyncGenerator[bytes], name: str) -> Any:  # noqa: ANN401
    """The next event of that name."""
    with trio.fail_after(5):
        async for written in viewed:
            if written.startswith(f"event: {name}\n".encode()):
                return json.decode(written.split(b"data: ")[1])
    raise AssertionError(f"no {name} came before the end")


async def test_a_stranger_with_the_link_sees_the_order_and_nothing_of_its_people(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        order_id = await assigned(stage.stage)
        told = await link(stage, order_id)
        status, shown = await state(stage, told)
        stranger = await state(stage, {"state_path": "/v1/track/" + "x" * 43 + "/state"})

    assert status == 200
    assert not shown["is_over"]
    assert set(shown) == {
        "status",
        "delivery_status",
        "eta",
        "eta_low",
        "eta_high",
        "is_over",
    }
    assert shown["delivery_status"] in {"assigned", "enroute_to_pickup"}
    assert shown["eta_low"] <= shown["eta"] <= shown["eta_high"]
    assert len(told["token"]) == 43
    assert stranger[0] == 404


async def test_only_the_orders_own_side_makes_a_link(database: str, redis_url: str) -> None:
    async with theatre(database, redis_url) as stage:
        order = await placed(stage.stage, customer(stage.stage))
        path = f"/v1/orders/{order['order_id']}/tracking-link"
        chef = stage.stage.signed_in(
            "usr_chef", Role.RESTAURANT, restaurant_ids=frozenset({NORDHAVN})
        )
        support = stage.stage.signed_in("usr_help", Role.SUPPORT)
        others = (customer(stage.stage, "usr_otto"), chef, None, support)
        asked = [(await stage.stage.asked("POST", path, who))[0] for who in others]

    assert asked == [404, 404, 401, 201]


async def test_a_viewer_sees_the_courier_from_pickup_to_the_door_and_then_the_end(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        order_id = await assigned(stage.stage)
        async with aclosing(await followed(stage, order_id)) as viewed:
            begun = await heard(viewed, "status")
            stage.show_position(order_id, 55.1)
            await collected(stage.stage, order_id)
            picked_up = await heard(viewed, "status")
            stage.show_position(order_id, 55.2)
            stage.show_position(order_id, 55.3)
            where = await heard(viewed, "position")
            await delivered(stage.stage, order_id)
            stage.show_position(order_id, 55.4)
            rest = [written async for written in viewed]
        followers = stage.hub.statistics().followers
        late = await followed(stage, order_id)
        again = [written async for written in late]

    assert begun["delivery_status"] in {"assigned", "enroute_to_pickup"}
    assert picked_up["delivery_status"] in {"picked_up", "enroute_to_dropoff"}
    assert (where["lat"], where["seen_at"]) == (55.3, "2023-11-14T22:13:20.000Z")
    assert not [written for written in rest if b"55.4" in written]
    assert b'"delivery_status":"delivered"' in rest[-2] + rest[-1]
    assert len(again) == 2
    assert b'"is_over":true' in again[-1]
    assert followers == 0


async def test_a_link_opens_nothing_soon_after_the_order_has_ended(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        order_id = await assigned(stage.stage)
        told = await link(stage, order_id)
        await collected(stage.stage, order_id)
        await delivered(stage.stage, order_id)
        shortly = await state(stage, told)
        who = customer(stage.stage)
        another, _, _ = await stage.stage.asked("POST", f"/v1/orders/{order_id}/tracking-link", who)
        await stage.stage.edge.database.call(
            lambda there: there.execute(
                "update deliveries set completed_at = completed_at - make_interval(secs => $1)",
                AFTER_S + 1,
            )
        )
        later = await state(stage, told)

    assert shortly[0] == 200
    assert shortly[1]["is_over"] is True
    assert another == 409
    assert later[0] == 404


async def test_an_order_has_a_few_links_and_the_oldest_makes_room(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        order = await placed(stage.stage, customer(stage.stage))
        made = [await link(stage, order["order_id"]) for _ in range(LINKS_MAX + 1)]
        opened = [(await state(stage, told))[0] for told in made]
        kept = await stage.stage.edge.database.call(
            lambda there: there.fetch("select token_digest from tracking_link")
        )

    assert len({told["token"] for told in made}) == LINKS_MAX + 1
    assert opened == [404] + [200] * LINKS_MAX
    digests = b"".join(row["token_digest"] for row in kept)
    assert not [told for told in made if told["token"].encode() in digests]


async def test_the_events_come_over_http_as_they_happen_until_the_viewer_leaves(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage, trio.open_nursery() as nursery:
        order_id = await assigned(stage.stage)
        told = await link(stage, order_id)
        missing = await stage.stage.client.get("/v1/track/" + "x" * 43)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(serve_door, listeners, stage.stage.app, Reactor({}))
        port = listeners[0].socket.getsockname()[1]
        async with await trio.open_tcp_stream("127.0.0.1", port) as viewer:
            head = f"GET {told['events_path']} HTTP/1.1\r\nHost: dispatch.example\r\n\r\n"
            await viewer.send_all(head.encode())
            received = b""
            with trio.fail_after(5):
                while b"event: status" not in received:
                    received += await viewer.receive_some()
                await collected(stage.stage, order_id)
                while b"picked_up" not in received and b"enroute_to_dropoff" not in received:
                    received += await viewer.receive_some()
            during = stage.hub.statistics().followers
        with trio.fail_after(5):
            while stage.hub.statistics().followers:  # noqa: ASYNC110
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()

    assert received.startswith(b"HTTP/1.1 200")
    assert b"content-type: text/event-stream" in received.lower()
    assert during == 1
    assert missing.status_code == 404
    assert (await missing.get_json())["code"] == "not-found"
