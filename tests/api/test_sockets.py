"""Couriers on real sockets: what a device sends reaches real actors, and each act counts once."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from msgspec import msgpack

from api.ports import Edge
from api.sockets import CourierSessions, SessionLimits
from dispatch import order, restaurant
from dispatch.ids import (
    CourierId,
    CustomerId,
    DeviceId,
    OfferId,
    OrderId,
    RestaurantId,
    ShardId,
    after,
)
from dispatch.step import Accepted, Code
from geo.ping import Ping, Track
from geo.point import LatLng
from node.feeds import FeedHub
from services.accounts.principal import Role
from storage import shifts
from storage.acts import Acts
from storage.bridge import bridged
from storage.database import connected
from storage.postgres import PostgresStore
from tests.api.lines import OneNodeLive, served, until
from tests.api.stage import CENTRE, GROUND, MARKET, SHARD, Stage, on_stage
from wire import events, frames
from wire.frames import CloseCode, Done, GoTo, Message, Notation, Problem

ANN = CourierId("crr_ann")
OFFER = OfferId("off_unheard_of")
TOKEN = "token-of-usr_ann"  # noqa: S105 - not a real one.
KITCHEN = LatLng(CENTRE.lat + 0.002, CENTRE.lng)
DOOR = LatLng(CENTRE.lat, CENTRE.lng + 0.004)


@dataclass(slots=True)
class Theatre:
    """A stage with couriers' sockets."""

    stage: Stage
    sessions: CourierSessions
    line: Callable[..., Any]
    feeds: FeedHub

    @property
    def edge(self) -> Edge:
        return self.stage.edge

    def shown_to_the_customer(self) -> list[order.OrderMoved]:
        """Follow what a customer is shown from now on; return what it becomes."""
        moved: list[order.OrderMoved] = []

        def show(number: int, epoch: int, message: bytes) -> bool:
            if number > 1 and epoch > 0:  # The first one says that the order was placed.
                moved.append(msgpack.decode(message, type=order.OrderMoved))
            return True

        self.feeds.follow("usr_customer", 0, show)
        return moved

    def start(self, hours: float = 1.0) -> frames.StartShift:
        """A shift that begins in the middle of the market."""
        ends_at = after(self.edge.now(), 3_600 * hours)
        return frames.StartShift(lat=CENTRE.lat, lng=CENTRE.lng, ends_at=ends_at)


@asynccontextmanager
async def theatre(
    database: str, redis_url: str, limits: SessionLimits | None = None
) -> AsyncGenerator[Theatre]:
    async with (
        bridged() as bridge,
        connected(bridge, database) as journal,
        trio.open_nursery() as reading,
    ):
        feeds = FeedHub(PostgresStore(journal))
        reading.start_soon(feeds.run)
        async with on_air(database, redis_url, limits, feeds) as here:
            yield here
        reading.cancel_scope.cancel()


@asynccontextmanager
async def on_air(
    database: str, redis_url: str, limits: SessionLimits | None, feeds: FeedHub
) -> AsyncGenerator[Theatre]:
    async with on_stage(database, redis_url, [], feeds=feeds, live=OneNodeLive()) as stage:
        stage.signed_in("usr_ann", Role.COURIER, courier_id=ANN)
        sessions = CourierSessions(stage.edge, limits)
        async with (
            trio.open_nursery() as nursery,
            served({"/v1/courier": sessions.usher}) as line,
        ):
            nursery.start_soon(sessions.run)
            yield Theatre(stage, sessions, line, feeds)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def another_node(here: Theatre) -> AsyncGenerator[Theatre]:
    """A second node of the same cluster, in the same process."""
    sessions = CourierSessions(here.edge)
    async with (
        trio.open_nursery() as nursery,
        served({"/v1/courier": sessions.usher}) as line,
    ):
        nursery.start_soon(sessions.run)
        yield Theatre(here.stage, sessions, line, here.feeds)
        nursery.cancel_scope.cancel()


async def order_food(stage: Stage, order_id: str = "ord_1") -> None:
    """Have a customer order from a restaurant that accepts by itself."""
    restaurant_id = RestaurantId("rst_1")
    pickup, dropoff = map(GROUND.projection.to_point, (KITCHEN, DOOR))
    opening = restaurant.Open(restaurant_id=restaurant_id, point=pickup, prep_s=0.0)
    assert await stage.ask("restaurant", restaurant_id, opening) == Accepted()
    place = order.Place(
        order_id=OrderId(order_id),
        market_id=MARKET,
        customer_id=CustomerId("usr_customer"),
        restaurant_id=restaurant_id,
        pickup=pickup,
        dropoff=dropoff,
    )
    assert await stage.ask("order", order_id, place) == Accepted()


@pytest.mark.parametrize("notation", list(Notation))
async def test_a_courier_delivers_an_order_by_his_socket_alone(
    database: str, redis_url: str, notation: Notation
) -> None:
    async with theatre(database, redis_url) as here, here.line(notation=notation) as ann:
        shown = here.shown_to_the_customer()
        await ann.greet(TOKEN)
        done = [await ann.act(1, here.start())]
        await order_food(here.stage)
        offer = await ann.hear_event(events.OfferMade)
        done.append(await ann.act(2, frames.Take(offer_id=offer.offer_id)))
        done.append(await ann.act(3, frames.Arrive(restaurant_id=RestaurantId("rst_1"))))
        done.append(await ann.act(4, frames.Collect(order_ids=(OrderId("ord_1"),))))
        done.append(await ann.act(5, frames.Arrive(order_id=OrderId("ord_1"))))
        done.append(await ann.act(6, frames.Deliver(order_id=OrderId("ord_1"))))

    assert done == [Done(counter=counter) for counter in range(1, 7)]
    assert offer.tasks[0].pickup is not None
    assert (offer.tasks[0].pickup.lat, offer.tasks[0].pickup.lng) == pytest.approx(
        (KITCHEN.lat, KITCHEN.lng)
    )
    assert shown[-1].status is order.OrderStatus.COMPLETED


async def test_acts_that_come_again_at_another_node_get_the_outcome_they_had(
    database: str, redis_url: str
) -> None:
    pause, lapsed = frames.Pause(), frames.Take(offer_id=OFFER)
    async with theatre(database, redis_url) as here, another_node(here) as there:
        async with here.line() as ann:
            await ann.greet(TOKEN)
            first = [await ann.act(1, here.start()), await ann.act(2, lapsed)]
            await ann.act(3, pause)
        async with there.line() as ann:
            welcome = await ann.greet(TOKEN)
            again = [await ann.act(1, here.start(2)), await ann.act(2, lapsed)]
            resumed = await ann.act(4, frames.Resume())

    assert [one.code for one in first] == [None, Code.NOT_FOUND]
    assert again == first
    assert (welcome.counter, resumed) == (3, Done(counter=4))
    assert there.sessions.statistics().repeated == 2


async def test_a_device_that_went_to_another_node_is_let_go_by_the_first(
    database: str, redis_url: str
) -> None:
    async with (
        theatre(database, redis_url) as here,
        another_node(here) as there,
        here.line() as before,
        there.line() as after_,
        here.line() as tablet,
    ):
        await tablet.greet(TOKEN, "dev_tablet")
        await before.greet(TOKEN, "dev_phone")
        await after_.greet(TOKEN, "dev_phone")
        code = await before.closed()
        left = here.sessions.statistics().sessions

    assert code == CloseCode.REPLACED
    assert left == 1


async def test_each_device_goes_on_from_what_it_has_acknowledged(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as here:
        async with here.line() as phone, here.line() as tablet:
            await phone.greet(TOKEN, "dev_phone")
            await tablet.greet(TOKEN, "dev_tablet")
            await phone.act(1, here.start())
            await phone.act(2, frames.EndShift())
            await phone.act(3, here.start())
            while len(tablet.messages) < 2:
                await tablet.hear_a(Message)
            await phone.say(frames.Ack(message_id=1))
            await tablet.say(frames.Ack(message_id=2))
            await until(lambda: here.sessions.statistics().unstored == 2)
            await here.sessions.seen.store()
        async with here.line() as phone, here.line() as tablet:
            first = await phone.greet(TOKEN, "dev_phone")
            second = await tablet.greet(TOKEN, "dev_tablet")
            shown = await phone.hear_a(Message)

    assert (first.last_message_id, second.last_message_id) == (1, 2)
    assert shown.message_id == 2


@pytest.mark.parametrize("token", ["nobody's", "token-of-usr_cora"])
async def test_only_couriers_come_in(database: str, redis_url: str, token: str) -> None:
    is_known = token == "token-of-usr_cora"  # noqa: S105 - not a real one.
    async with theatre(database, redis_url) as here, here.line() as somebody:
        here.stage.signed_in("usr_cora", Role.CUSTOMER)
        await somebody.say(frames.Hello(token=token, device_id=DeviceId("dev_1")))
        problem = await somebody.hear_a(Problem)
        code = await somebody.closed()

    assert problem.code is (Code.FORBIDDEN if is_known else Code.UNAUTHENTICATED)
    assert code == (CloseCode.FORBIDDEN if is_known else CloseCode.UNAUTHENTICATED)


async def test_rubbish_ends_a_session_with_a_reason(database: str, redis_url: str) -> None:
    async with (
        theatre(database, redis_url) as here,
        here.line(notation=Notation.JSON) as ann,
        here.line(notation=Notation.JSON) as bob,
    ):
        await ann.greet(TOKEN)
        await ann.send("[" * 15_000)
        problem = await ann.hear_a(Problem)
        codes = [await ann.closed()]
        await bob.send(b"{}")
        codes.append(await bob.closed())

    assert problem.code is Code.MALFORMED
    assert codes == [CloseCode.MALFORMED, CloseCode.UNSUPPORTED]


async def test_a_node_that_is_full_says_so(database: str, redis_url: str) -> None:
    limits = SessionLimits(sessions_max=1)
    async with theatre(database, redis_url, limits) as here, here.line() as ann:
        await ann.greet(TOKEN)
        async with here.line() as bob:
            code = await bob.closed()

    assert code == CloseCode.OVERLOADED


async def test_the_sessions_of_a_shard_are_told_where_to_go(database: str, redis_url: str) -> None:
    limits = SessionLimits(away_s=0.1)
    async with (
        theatre(database, redis_url, limits) as here,
        here.line() as ann,
        here.line() as bob,
    ):
        here.stage.signed_in("usr_bob", Role.COURIER, courier_id=CourierId("crr_bob"))
        await ann.greet(TOKEN)
        await bob.greet("token-of-usr_bob")
        await ann.act(1, here.start())
        await here.sessions.send_away(SHARD, "127.0.0.2:80")
        told = [await ann.hear_a(GoTo)]
        codes = [await ann.closed()]
        await here.sessions.send_away(None, "")
        told.append(await bob.hear_a(GoTo))
        codes.append(await bob.closed())

    assert [one.address for one in told] == ["127.0.0.2:80", ""]
    assert codes == [CloseCode.MOVED, CloseCode.RESTART]


async def test_a_courier_is_present_on_this_node_as_long_as_he_is_connected(
    database: str, redis_url: str
) -> None:
    async with theatre(database, redis_url) as here:
        presence, node = here.edge.presence, frozenset({here.edge.node})
        async with here.line() as ann:
            await ann.greet(TOKEN)
            while not await presence.present([ANN]):
                await trio.lowlevel.checkpoint()
            there = await presence.present([ANN])
        while await presence.present([ANN]):
            await trio.lowlevel.checkpoint()

    assert there == {ANN: node}


async def test_pings_follow_a_courier_who_has_crossed_into_another_shard(
    database: str, redis_url: str
) -> None:
    ping = Ping(CENTRE.lat, CENTRE.lng, 4.0, 1_800_000_000_000)
    beyond = ShardId(8)
    async with theatre(database, redis_url) as here, here.line() as ann:
        await ann.greet(TOKEN)
        await ann.say(frames.Pings(pings=(ping,)))  # He is not on shift, so nobody hears it.
        await ann.act(1, here.start())
        await ann.say(frames.Pings(pings=(ping, ping)))
        taken = here.stage.here.taken
        await until(lambda: bool(taken))
        await here.edge.database.call(
            lambda there: there.execute("update couriers set shard = $1", beyond)
        )
        await here.sessions.find_homes()
        await ann.say(frames.Pings(pings=(ping,)))
        await until(lambda: len(taken) == 2)

    assert taken == [(SHARD, Track(ANN, (ping, ping))), (beyond, Track(ANN, (ping,)))]


async def test_a_courier_whose_offer_is_gone_is_told_so(database: str, redis_url: str) -> None:
    async with theatre(database, redis_url) as here, here.line() as ann:
        await ann.greet(TOKEN)
        await ann.act(1, here.start())
        await order_food(here.stage)
        offer = await ann.hear_event(events.OfferMade)
        declined = await ann.act(2, frames.Decline(offer_id=offer.offer_id))
        taken = await ann.act(3, frames.Take(offer_id=offer.offer_id))
        gone = await ann.hear_event(events.OfferGone)

    assert (declined.code, taken.code) == (None, Code.OFFER_CLOSED)
    assert gone.offer_id == offer.offer_id


async def test_a_shift_that_is_being_started_elsewhere_is_waited_for(
    database: str, redis_url: str
) -> None:
    elsewhere = ShardId(99)
    async with theatre(database, redis_url) as here, here.line() as ann:
        await shifts.begin(here.edge.database, ANN, elsewhere)
        await ann.greet(TOKEN)
        await ann.say(frames.Act(counter=1, at=here.edge.now(), action=here.start()))
        await until(lambda: here.sessions.statistics().retried > 0)
        homes = await Acts(here.edge.database).homes([ANN])
        await shifts.settle(here.edge.database, ANN, elsewhere)
        done = await ann.hear_a(Done)

    assert homes == {}
    assert done == Done(counter=1)
