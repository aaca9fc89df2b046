"""Customers, restaurants and operations on real sockets: what each sees, when, and what not."""

from typing import Any

import pytest
import trio
from msgspec import msgpack

from api.stream_session import StreamSession
from api.streams import StreamLimits
from dispatch.ids import CourierId, OrderId
from dispatch.lease import NodeId
from services.accounts.principal import Role
from storage.presence import Attendance
from tests.api.following import IDA, assigned, events_of, greeting, theatre
from tests.api.lines import Line
from tests.api.ordering import COURIER, NORDHAVN, OTHER_TENANT, collected, customer, delivered
from tests.api.ordering import placed as ordered
from wire.frames import (
    Ack,
    CloseCode,
    GoTo,
    Message,
    Notation,
    Position,
    Presence,
    Problem,
    Unwatch,
    Watch,
    Welcome,
)
from wire.websocket import Handshake


async def heard_status(line: Line, wanted: str) -> list[Message]:
    """Return the messages up to the one that says that the delivery is so."""
    heard = list[Message]()
    while True:
        message = await line.hear_a(Message)
        heard.append(message)
        event = msgpack.decode(message.event)
        if event.get("delivery_status") == wanted:
            return heard


async def heard_until_problem(line: Line) -> list[object]:
    """Return the frames before the next problem, which answers what was asked last."""
    heard = list[object]()
    while not isinstance(frame := await line.hear(), Problem):
        heard.append(frame)
    return heard


async def test_a_customer_sees_his_courier_from_pickup_to_the_door_and_no_longer(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage, stage.followed(IDA) as (line, welcome):
        order_id = await assigned(stage.stage)
        messages = await heard_status(line, "assigned")
        stage.show_position(order_id, 55.1)
        await collected(stage.stage, order_id)
        messages += await heard_status(line, "picked_up")
        stage.show_position(order_id, 55.2)
        shown = await line.hear_a(Position)
        await delivered(stage.stage, order_id)
        line.messages.clear()
        messages += await heard_status(line, "delivered")
        stage.show_position(order_id, 55.3)
        await line.say(Watch(courier_id=COURIER))
        afterwards = await heard_until_problem(line)

    assert welcome.person == IDA
    assert shown.lat == 55.2
    assert not [frame for frame in afterwards if isinstance(frame, Position)]
    numbers = [message.message_id for message in messages]
    assert numbers[0] == 1
    assert events_of(messages)[0]["type"] == "order_placed"
    assert {message.epoch for message in messages} == {1}


async def test_a_device_in_json_that_comes_back_sees_the_courier_of_an_order_under_way(
    database: str, redis_url: str
) -> None:
    hello = {"last_message_id": 1_000}
    async with theatre(database, redis_url) as stage:
        order_id = await assigned(stage.stage)
        await collected(stage.stage, order_id)
        customer(stage.stage)
        async with stage.followed(IDA, hello=hello, notation=Notation.JSON) as (line, _):
            stage.show_position(order_id, 55.2)
            shown = await line.hear()

    assert isinstance(shown, Position)
    assert (shown.order_id, shown.lat) == (order_id, 55.2)


async def test_each_device_goes_on_after_what_it_has_acknowledged(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        await ordered(stage.stage, customer(stage.stage))
        async with stage.followed(IDA) as (line, _):
            first = await line.hear_a(Message)
            second = await line.hear_a(Message)
            await line.say(Ack(message_id=first.message_id))
            await line.say(Watch(order_id=OrderId("ord_none")))
            await line.hear_a(Problem)  # By now the one before it has been read.
            await stage.sessions.seen.store()
        async with stage.followed(IDA) as (line, again):
            after = await line.hear_a(Message)
        async with stage.followed(IDA, hello={"device_id": "dev_2"}) as (line, other):
            begin = await line.hear_a(Message)

    assert (first.message_id, second.message_id) == (1, 2)
    assert (again.last_message_id, after.message_id) == (1, 2)
    assert (other.last_message_id, begin.message_id) == (0, 1)


STRANGERS: list[tuple[dict[str, Any] | None, str | None, CloseCode]] = [
    ({"subject": IDA, "role": Role.CUSTOMER}, "usr_other", CloseCode.FORBIDDEN),
    ({"subject": IDA, "role": Role.CUSTOMER}, NORDHAVN, CloseCode.FORBIDDEN),
    ({"subject": IDA, "role": Role.CUSTOMER, "scopes": frozenset()}, None, CloseCode.FORBIDDEN),
    ({"subject": "usr_chef", "role": Role.RESTAURANT}, None, CloseCode.FORBIDDEN),
    ({"subject": "usr_chef", "role": Role.RESTAURANT}, NORDHAVN, CloseCode.FORBIDDEN),
    ({"subject": "usr_help", "role": Role.SUPPORT}, "usr_nobody", CloseCode.FORBIDDEN),
    (
        {"subject": "usr_help", "role": Role.SUPPORT, "tenant_id": OTHER_TENANT},
        NORDHAVN,
        CloseCode.FORBIDDEN,
    ),
    ({"subject": "usr_courier", "role": Role.COURIER}, IDA, CloseCode.FORBIDDEN),
    (None, None, CloseCode.UNAUTHENTICATED),
]


@pytest.mark.parametrize(("principal", "named", "code"), STRANGERS)
async def test_nobody_follows_what_is_not_his(
    principal: dict[str, Any] | None, named: str | None, code: int, database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        subject = "usr_unknown"
        if principal is not None:
            subject = principal["subject"]
            stage.stage.signed_in(**principal)
        async with stage.line("/v1/stream") as line:
            await line.say(greeting(subject, feed=named))
            told = await line.hear()
            closed = await line.closed()

    assert isinstance(told, Problem)
    assert closed == code
    assert stage.hub.statistics().followers == 0


async def test_a_restaurant_follows_its_own_feed_and_sees_nobodys_way(
    database: str, redis_url: str
) -> None:
    own = frozenset({NORDHAVN})
    async with (
        theatre(database, redis_url) as stage,
        stage.followed("usr_chef", Role.RESTAURANT, restaurant_ids=own) as (line, welcome),
    ):
        order_id = await assigned(stage.stage)
        await heard_status(line, "assigned")
        await line.say(Watch(courier_id=COURIER))
        bound = await line.hear_a(Presence)
        await collected(stage.stage, order_id)
        await heard_status(line, "picked_up")
        stage.show_position(order_id)
        await line.say(Watch(order_id=order_id, courier_id=COURIER))
        afterwards = await heard_until_problem(line)

    assert welcome.person == NORDHAVN
    assert not bound.is_online
    assert all(isinstance(frame, Message) for frame in afterwards)


async def test_a_customer_sees_that_his_courier_is_here_only_while_he_has_the_order(
    database: str, redis_url: str
) -> None:
    phone = Attendance(COURIER, NodeId("node-test"), "ses_1")
    async with theatre(database, redis_url) as stage, stage.followed(IDA) as (line, _):
        await line.say(Watch(courier_id=COURIER))
        before = await line.hear()
        order_id = await assigned(stage.stage)
        await heard_status(line, "assigned")
        await stage.stage.edge.presence.arrive(phone)
        await line.say(Watch(courier_id=COURIER))
        here = await line.hear_a(Presence)
        await line.say(Watch(courier_id=CourierId("crr_other")))
        other = await line.hear_a(Problem)
        watched = stage.sessions.statistics().watched
        await collected(stage.stage, order_id)
        await delivered(stage.stage, order_id)
        await heard_status(line, "delivered")

        assert isinstance(before, Problem)
        assert (here.person, here.is_online) == (COURIER, True)
        assert other.code == before.code
        assert (watched, stage.sessions.statistics().watched) == (1, 0)


async def test_support_follows_a_customer_of_the_tenant_and_watches_what_it_names(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        order_id = await assigned(stage.stage)
        hello = {"feed": IDA}
        async with stage.followed("usr_help", Role.SUPPORT, hello) as (line, welcome):
            first = await line.hear_a(Message)
            await line.say(Watch(order_id=order_id))
            await line.say(Watch(order_id=OrderId("ord_none")))
            await line.hear_a(Problem)  # By now the wish before it has been followed.
            stage.show_position(order_id, 55.2)
            shown = await line.hear_a(Position)
            await line.say(Unwatch(order_id=order_id))
            await line.say(Watch(order_id=OrderId("ord_none")))
            await line.hear_a(Problem)
            stage.show_position(order_id, 55.3)
            await line.say(Watch(order_id=OrderId("ord_none")))
            afterwards = await heard_until_problem(line)
            await line.say(Ack(message_id=1))
            await stage.sessions.seen.store()
        async with stage.followed(IDA) as (_, own):
            pass

    assert (welcome.person, first.message_id, shown.lat) == (IDA, 1, 55.2)
    assert not [frame for frame in afterwards if isinstance(frame, Position)]
    assert own.last_message_id == 0, "what support has seen, the customer has not"


async def test_who_is_sent_away_is_told_where_to_go(database: str, redis_url: str) -> None:
    async with theatre(database, redis_url) as stage, stage.followed(IDA) as (line, _):
        await stage.sessions.send_away("10.0.0.7:8080")

        parting = await line.hear_a(GoTo)
        code = await line.closed()

    assert parting.address == "10.0.0.7:8080"
    assert code == CloseCode.RESTART


async def test_a_person_has_so_many_sessions(database: str, redis_url: str) -> None:
    limits = StreamLimits(own_sessions_max=2)
    async with theatre(database, redis_url, limits) as stage:
        async with (
            stage.followed(IDA),
            stage.followed(IDA),
            stage.followed("usr_otto"),
            stage.line("/v1/stream") as line,
        ):
            await line.say(greeting(IDA))
            code = await line.closed()
        with trio.fail_after(5):
            while stage.sessions.count():  # noqa: ASYNC110 - the server hears of it by itself.
                await trio.sleep(0.01)
        async with stage.followed(IDA) as (_, welcome):
            pass

    assert code == CloseCode.TOO_MANY
    assert isinstance(welcome, Welcome)


class Wire:
    """A socket in memory, with room for so many frames until it is drained."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sent: list[Any] = []
        self.is_closed = False
        self.peer = "10.0.0.1"
        self.request = Handshake(path="/v1/stream", query="", subprotocol=None)

    def send(self, frame: bytes) -> bool:
        self.sent.append(msgpack.decode(frame[2 if frame[1] < 126 else 4 :]))
        self.room -= 1
        return self.room > 0

    def close(self, code: int, reason: str = "") -> None:
        del reason
        self.is_closed, self.sent = True, [*self.sent, code]


async def test_of_what_is_live_a_slow_reader_gets_the_latest_and_of_messages_all(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as stage:
        order_id = await assigned(stage.stage)
        await collected(stage.stage, order_id)
        wire = Wire(room=1)
        session = stage.sessions.usher(wire)  # pyright: ignore[reportArgumentType]
        assert isinstance(session, StreamSession)
        session.received(msgpack.encode(greeting(IDA)), is_text=False)
        with trio.fail_after(5):
            while stage.hub.statistics().followers == 0:  # noqa: ASYNC110
                await trio.sleep(0.01)
        for lat in (55.1, 55.2, 55.3):
            stage.show_position(order_id, lat)
        before = [frame["type"] for frame in wire.sent]
        wire.room = 100
        session.drained()
        with trio.fail_after(5):
            while len(wire.sent) < 3:  # noqa: ASYNC110
                await trio.sleep(0.01)
        after = wire.sent[1:]
        session.closed(CloseCode.GOING_AWAY)

    assert before == ["welcome"]
    assert [frame["lat"] for frame in after if frame["type"] == "position"] == [55.3]
    numbers = [frame["message_id"] for frame in after if frame["type"] == "message"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert stage.sessions.statistics().overtaken == 2
    assert stage.hub.statistics().followers == 0
