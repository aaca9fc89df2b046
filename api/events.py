"""What a person's feed shows: the facts of the machines, as the public events of `wire.events`.

Feeds hold facts as the machines told them, in points on a market's plane; the world outside hears
of places. `SHOWN` says how each fact is shown, and is the one place to add one. A fact that cannot
be read, because another version wrote it, is shown as unknown: it has its number in the feed, and a
session that left it out would wait for it for ever.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from api.ports import Map
from dispatch import courier_state, order_state, restaurant, route
from dispatch.ids import MarketId
from geo.point import LatLng, Point
from geo.projection import OutOfReach
from wire import events
from wire.events import AnyEvent
from wire.frames import Message, Notation

WRITTEN_MAX = 512
"""Frames that are kept for the other devices that are shown the same message."""

type Show = Callable[[Any, Map], AnyEvent]


def public(fact: bytes, markets: Map) -> AnyEvent:
    """Return what is shown of a fact; `Unknown` for one that cannot be read."""
    try:
        told = _decode(fact)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return events.Unknown()
    return SHOWN[type(told)](told, markets)


class EventWriter:
    """Writes messages for the feeds of all sessions, each once for all devices that see it."""

    def __init__(self, markets: Map) -> None:
        """Show places by the planes of these markets."""
        self._markets = markets
        self.write = lru_cache(WRITTEN_MAX)(self._written)

    def _written(self, notation: Notation, number: int, epoch: int, fact: bytes) -> bytes:
        """Return the frame that shows a fact as message `number`."""
        encode = _ENCODE[notation]
        event = msgspec.Raw(encode(public(fact, self._markets)))
        return encode(Message(message_id=number, epoch=epoch, event=event))


_ENCODE: Mapping[Notation, Callable[[object], bytes]] = {
    Notation.MSGPACK: msgspec.msgpack.Encoder().encode,
    Notation.JSON: msgspec.json.Encoder().encode,
}


def _alike(shown: type[AnyEvent]) -> Show:
    """Show a fact by an event whose fields are all among its own."""
    names = shown.__struct_fields__

    def show(fact: Struct, markets: Map) -> AnyEvent:
        del markets
        return shown(**{name: getattr(fact, name) for name in names})

    return show


def _offer_made(fact: courier_state.OfferMade, markets: Map) -> AnyEvent:
    return events.OfferMade(
        offer_id=fact.offer_id,
        tasks=tuple([_task(task, fact.market_id, markets) for task in fact.tasks]),
        expires_at=fact.expires_at,
    )


def _task(task: route.Task, market_id: MarketId, markets: Map) -> events.Task:
    return events.Task(
        order_id=task.order_id,
        restaurant_id=task.restaurant_id,
        pickup=_place(task.pickup, market_id, markets),
        dropoff=_place(task.dropoff, market_id, markets),
        size=task.size,
        undeliverable_action=task.undeliverable_action,
    )


def _route_changed(fact: courier_state.RouteChanged, markets: Map) -> AnyEvent:
    return events.RouteChanged(
        stops=tuple([shown_stop(stop, fact.market_id, markets) for stop in fact.stops]),
        heading=fact.heading,
        place=_place(fact.point, fact.market_id, markets),
        version=fact.version,
    )


def shown_stop(
    stop: route.Stop, market_id: MarketId, markets: Map
) -> events.Pickup | events.DropOff:
    """Return a stop of a route on that market's plane."""
    place = _place(stop.point, market_id, markets)
    match stop:
        case route.Pickup():
            return events.Pickup(
                restaurant_id=stop.restaurant_id, order_ids=stop.order_ids, place=place
            )
        case route.DropOff():
            return events.DropOff(order_id=stop.order_id, place=place)


def _place(point: Point | None, market_id: MarketId, markets: Map) -> LatLng | None:
    """Return where a point of a market's plane is, None where that is not known."""
    ground = markets.find_market(market_id)
    if point is None or ground is None:
        return None
    try:
        return ground.projection.to_lat_lng(point)
    except OutOfReach:
        return None


SHOWN: Mapping[type[Struct], Show] = {
    order_state.OrderPlaced: _alike(events.OrderPlaced),
    order_state.OrderMoved: _alike(events.OrderMoved),
    order_state.OrderCanceled: _alike(events.OrderCanceled),
    order_state.DeliveryTroubled: _alike(events.DeliveryTroubled),
    order_state.OrderDelayed: _alike(events.OrderDelayed),
    restaurant.OrderRequested: _alike(events.OrderRequested),
    restaurant.RestaurantMoved: _alike(events.RestaurantMoved),
    courier_state.OfferMade: _offer_made,
    courier_state.OfferGone: _alike(events.OfferGone),
    courier_state.RouteChanged: _route_changed,
    courier_state.CourierNeared: _alike(events.CourierNeared),
}
"""How each fact that is told to a feed is shown."""


def _union(facts: Mapping[type[Struct], Show]) -> Any:  # noqa: ANN401 - a union made at run time.
    first, *others = facts
    union: Any = first
    for other in others:
        union |= other
    return union


_decode: Callable[[bytes], Struct] = msgspec.msgpack.Decoder(_union(SHOWN)).decode
