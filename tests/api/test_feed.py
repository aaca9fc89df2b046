"""Feeds over HTTP: asked for, waited for and acknowledged, each device for itself."""

from typing import Any

import msgspec
import trio

from dispatch.ids import DeviceId
from node.retention import Retention
from services.accounts.principal import Role, Scope
from tests.api.following import IDA, Theatre, theatre
from tests.api.ordering import NORDHAVN, customer, placed


async def page(stage: Theatre, who: dict[str, str], query: str = "") -> Any:  # noqa: ANN401
    """A page of a feed."""
    status, shown, _ = await stage.stage.asked("GET", f"/v1/feed{query}", who)
    assert status == 200, shown
    return shown


async def acknowledged(stage: Theatre, who: dict[str, str], message_id: int) -> int:
    """Acknowledge, and return where the device goes on."""
    body = {"message_id": message_id}
    status, shown, _ = await stage.stage.asked("POST", "/v1/feed/ack", who, body)
    assert status == 200, shown
    return shown["message_id"]


async def settled(stage: Theatre, who: dict[str, str]) -> int:
    """Wait until an order that nobody can carry has said all that it says; return how many."""
    count = 0
    with trio.fail_after(5):
        while count < 3:
            count = len((await page(stage, who, "?after=0"))["data"])
    return count


async def test_messages_come_page_by_page_as_the_streams_show_them(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        who = customer(stage.stage)
        order = await placed(stage.stage, who)
        count = await settled(stage, who)
        first = await page(stage, who, "?after=0&limit=1")
        rest = await page(stage, who, f"?after={first['next_cursor']}&limit=50")

    assert [one["message_id"] for one in first["data"] + rest["data"]] == [*range(1, count + 1)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    message = first["data"][0]
    assert (message["type"], message["epoch"]) == ("message", 1)
    assert message["event"]["type"] == "order_placed"
    assert message["event"]["order_id"] == order["order_id"]


async def test_a_request_that_waits_is_answered_as_soon_as_there_is_something(
    database: str, redis_url: str
) -> None:
    shown: list[Any] = []
    async with theatre(database, redis_url) as stage:
        who = customer(stage.stage)

        async def wait() -> None:
            shown.append(await page(stage, who, "?wait_s=15"))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while not stage.hub.statistics().followers:  # noqa: ASYNC110
                    await trio.sleep(0.01)
                await placed(stage.stage, who)
        followers = stage.hub.statistics().followers

    assert shown[0]["data"][0]["event"]["type"] == "order_placed"
    assert followers == 0


async def test_a_request_that_waits_in_vain_is_answered_with_nothing(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        began_s = trio.current_time()
        shown = await page(stage, customer(stage.stage), "?wait_s=0.2")
        waited_s = trio.current_time() - began_s

    assert shown == {"data": [], "has_more": False, "next_cursor": "0"}
    assert 0.2 <= waited_s < 5


async def test_devices_of_one_person_have_cursors_of_their_own(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        phone = customer(stage.stage, device_id=DeviceId("dev_phone"))
        await placed(stage.stage, phone)
        count = await settled(stage, phone)
        acked = [await acknowledged(stage, phone, number) for number in (2, 1, 1_000_000)]
        seen = await page(stage, phone)
        tablet = customer(stage.stage, device_id=DeviceId("dev_tablet"))
        unseen = await page(stage, tablet)

    assert acked == [2, 2, count]
    assert seen["data"] == []
    assert len(unseen["data"]) == count


async def test_who_was_away_until_his_messages_were_gone_is_told_where_to_begin(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        who = customer(stage.stage)
        await placed(stage.stage, who)
        await settled(stage, who)
        await acknowledged(stage, who, 1)
        await _forgotten(stage, 2)
        answers = [
            (await stage.stage.asked("GET", f"/v1/feed{query}", who))[:2]
            for query in ("", "?after=1")
        ]
        later = await page(stage, who, "?after=2&limit=1")
        whole = await page(stage, who, "?after=0&limit=1")
        async with stage.followed(IDA, hello={"last_message_id": 1}) as (_, anew):
            pass
        async with stage.followed(IDA, hello={"last_message_id": 2}) as (_, on):
            pass

    for status, told in answers:
        assert (status, told["code"]) == (410, "cursor-gone")
        assert told["detail"].endswith("after=2")
    assert [one["data"][0]["message_id"] for one in (later, whole)] == [3, 3]
    assert (anew.is_anew, anew.last_message_id) == (True, 2)
    assert (on.is_anew, on.last_message_id) == (False, 2)


async def _forgotten(stage: Theatre, number: int) -> None:
    """Clear away messages up to that number, as if they were old."""
    old = "update feed_message set at = '2020-01-15' where number <= $1"
    database = stage.stage.edge.database
    await database.call(lambda there: there.execute(old, number))
    await Retention(database, feed_days=90, fact_days=0).clear()


async def test_nobody_reads_a_feed_that_is_not_his(database: str, redis_url: str) -> None:
    async with theatre(database, redis_url) as stage:
        ida = customer(stage.stage)
        await placed(stage.stage, ida)
        otto = customer(stage.stage, "usr_otto")
        chef = stage.stage.signed_in(
            "usr_chef", Role.RESTAURANT, restaurant_ids=frozenset({NORDHAVN})
        )
        poor = stage.stage.signed_in("usr_poor", Role.CUSTOMER, scopes=frozenset[Scope]())
        asked = [
            (await stage.stage.asked("GET", f"/v1/feed{query}", who))[0]
            for who, query in (
                (otto, f"?feed={IDA}"),
                (chef, f"?feed={IDA}"),
                (chef, f"?feed={NORDHAVN}"),
                (poor, ""),
                (None, ""),
            )
        ]
        body = {"message_id": 1, "feed": IDA}
        acked, _, _ = await stage.stage.asked("POST", "/v1/feed/ack", otto, body)

    assert asked == [404, 404, 200, 403, 401]
    assert acked == 404


async def test_what_support_reads_and_acknowledges_leaves_the_customer_where_he_is(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        ida = customer(stage.stage)
        await placed(stage.stage, ida)
        count = await settled(stage, ida)
        support = stage.stage.signed_in("usr_help", Role.SUPPORT)
        read = await page(stage, support, f"?feed={IDA}&limit=200")
        body = {"message_id": count, "feed": IDA}
        await stage.stage.asked("POST", "/v1/feed/ack", support, body)
        own = await page(stage, ida)

    assert len(read["data"]) == len(own["data"]) == count
    assert msgspec.json.encode(read["data"]) == msgspec.json.encode(own["data"])
