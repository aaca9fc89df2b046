"""What a feed shows: facts of the machines as the world outside reads them."""

from typing import Any

import pytest
from msgspec import json, msgpack

from api.events import SHOWN, EventWriter, public
from dispatch import courier, order, restaurant, route
from dispatch.delivery import DeliveryStatus, Party
from dispatch.ids import (
    CourierId,
    CustomerId,
    Instant,
    MarketId,
    OfferId,
    OrderId,
    RestaurantId,
)
from dispatch.kitchen import OrderStatus
from geo.point import LatLng, Point
from tests.api.stage import CENTRE, MARKET, OneMarket
from wire import events
from wire.events import AnyEvent
from wire.frames import Message, Notation

NOW = Instant(1_800_000_000_000)
MAP = OneMarket()
ORDER, RESTAURANT, COURIER = OrderId("ord_1"), RestaurantId("rst_1"), CourierId("crr_1")
HERE = Point(0.0, 0.0)
PLACED = order.OrderPlaced(
    order_id=ORDER,
    customer_id=CustomerId("usr_1"),
    restaurant_id=RESTAURANT,
    wanted_at=None,
    at=NOW,
)
MOVED = order.OrderMoved(
    order_id=ORDER,
    status=OrderStatus.PREPARING,
    delivery_status=DeliveryStatus.ASSIGNED,
    courier_id=COURIER,
    ready_at=NOW,
    reason="",
    at=NOW,
)
CANCELED = order.OrderCanceled(
    order_id=ORDER, by=Party.CUSTOMER, reason="late", is_free=True, at=NOW
)
TROUBLED = order.DeliveryTroubled(order_id=ORDER, courier_id=COURIER, reason="quiet", at=NOW)
FACTS = (
    PLACED,
    MOVED,
    CANCELED,
    TROUBLED,
    restaurant.OrderRequested(ORDER, NOW),
    restaurant.RestaurantMoved(restaurant_id=RESTAURANT, stage=restaurant.Stage.OPEN, at=NOW),
    courier.OfferMade(
        offer_id=OfferId("off_1"),
        tasks=(
            route.Task(order_id=ORDER, restaurant_id=RESTAURANT, pickup=HERE, dropoff=HERE, size=2),
        ),
        expires_at=NOW,
        market_id=MARKET,
    ),
    courier.OfferGone(OfferId("off_1")),
    courier.RouteChanged(
        stops=(route.Pickup(RESTAURANT, HERE, (ORDER,)), route.DropOff(ORDER, HERE)),
        heading=RESTAURANT,
        point=HERE,
        version=3,
        market_id=MARKET,
    ),
    courier.CourierNeared(courier_id=COURIER, restaurant_id=RESTAURANT, order_id=None, at=NOW),
    order.OrderDelayed(
        order_id=ORDER,
        restaurant_id=RESTAURANT,
        promised_at=NOW,
        expected_at=Instant(NOW + 600_000),
        at=NOW,
    ),
)


def shown(fact: object) -> AnyEvent:
    return public(msgpack.encode(fact), MAP)


def near(place: LatLng | None) -> bool:
    return place is not None and (place.lat, place.lng) == pytest.approx((CENTRE.lat, CENTRE.lng))


def test_every_fact_of_a_feed_is_among_those_tried_here() -> None:
    assert set(SHOWN) <= set(map(type, FACTS))


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_every_fact_is_shown_under_its_own_name(fact: Any) -> None:  # noqa: ANN401
    event = shown(fact)

    assert type(event).__name__ == type(fact).__name__
    assert event.__struct_config__.tag == fact.__struct_config__.tag


def test_an_order_is_shown_with_all_that_was_said_of_it() -> None:
    assert shown(MOVED) == events.OrderMoved(
        order_id=ORDER,
        status=OrderStatus.PREPARING,
        delivery_status=DeliveryStatus.ASSIGNED,
        courier_id=COURIER,
        ready_at=NOW,
        at=NOW,
    )


def test_a_courier_is_offered_places_on_earth() -> None:
    event = shown(FACTS[6])

    assert isinstance(event, events.OfferMade)
    assert near(event.tasks[0].pickup)
    assert near(event.tasks[0].dropoff)
    assert event.tasks[0].size == 2


def test_a_route_leads_over_places_on_earth() -> None:
    event = shown(FACTS[8])

    assert isinstance(event, events.RouteChanged)
    assert near(event.place)
    assert [type(stop) for stop in event.stops] == [events.Pickup, events.DropOff]
    assert all(near(stop.place) for stop in event.stops)


@pytest.mark.parametrize("market_id", ["", "atlantis"])
def test_a_route_of_a_market_that_nobody_knows_is_shown_without_places(market_id: str) -> None:
    stops = (route.DropOff(ORDER, HERE),)
    news = courier.RouteChanged(
        stops=stops, heading=None, point=HERE, version=1, market_id=MarketId(market_id)
    )

    assert shown(news) == events.RouteChanged(
        stops=(events.DropOff(order_id=ORDER),), heading=None, version=1
    )


@pytest.mark.parametrize(
    "fact",
    [
        b"",
        b"\xc1",
        b"\x91" * 4_000,
        msgpack.encode({"type": "order_teleported"}),
        msgpack.encode({"type": "order_moved", "order_id": 3}),
        b"\x82\xa4type\xaaoffer_gone\xa8offer_id\xa1\xff",
    ],
)
def test_a_fact_that_cannot_be_read_is_shown_as_unknown(fact: bytes) -> None:
    assert public(fact, MAP) == events.Unknown()


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_both_notations_say_the_same(fact: Any) -> None:  # noqa: ANN401
    writer, written = EventWriter(MAP), msgpack.encode(fact)

    binary = msgpack.decode(writer.write(Notation.MSGPACK, 7, 3, written), type=Message)
    text = json.decode(writer.write(Notation.JSON, 7, 3, written), type=Message)

    assert (binary.message_id, binary.epoch) == (text.message_id, text.epoch) == (7, 3)
    assert msgpack.decode(binary.event) == json.decode(text.event)
    assert msgpack.decode(binary.event, type=AnyEvent) == shown(fact)


def test_what_many_devices_see_is_written_once() -> None:
    writer, fact = EventWriter(MAP), msgpack.encode(MOVED)

    first = writer.write(Notation.JSON, 1, 1, fact)

    assert writer.write(Notation.JSON, 1, 1, bytes(bytearray(fact))) is first
    assert writer.write(Notation.JSON, 2, 1, fact) is not first
