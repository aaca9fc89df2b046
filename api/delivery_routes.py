"""The way that a courier goes with a delivery, to be drawn on a map.

It leads from where he was seen last over the stops that he has yet to make. He himself sees all of
it; everybody else up to the door of the delivery, and no farther than to the first stop that is not
for him to know of: the neighbour who is served before him stays unseen, and that somebody is, is
all that is told. Who may see anything, and when, is decided in `api.access` by the rule that holds
for live positions. The ways themselves are the node's to find (`api.ports.Wayfinder`).
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import accumulate, takewhile
from typing import Literal

from msgspec import Struct

from api import access
from api.access import UnderWay
from api.couriers import SeenAt
from api.endpoint import Call, Endpoints
from api.events import shown_stop
from api.order_views import order_id_of
from api.ports import DrawnWay, Edge, Ground, Map, Unavailable
from api.replies import Declined, Reply
from api.times import rfc3339
from dispatch.ids import MarketId, OrderId
from dispatch.route import DropOff, Pickup, Route, Stop
from dispatch.spot import PositionsUnreachable, Spot
from dispatch.step import Code
from geo.point import LatLng, Point
from geo.projection import OutOfReach
from services.accounts.principal import Role, Scope
from storage.positions import RedisPositions
from wire import events

delivery_routes = Endpoints("Routes", "The ways that couriers go, to be drawn on a map.")


class LineString(Struct, frozen=True, kw_only=True):
    """A line as GeoJSON has it (RFC 7946): places of longitude and latitude."""

    type: Literal["LineString"] = "LineString"
    coordinates: tuple[tuple[float, float], ...]


class Leg(Struct, frozen=True, kw_only=True):
    """The way to one stop from the one before it, or from where the courier is.

    `ends` is where in the line's coordinates it ends, counted from 0; the next leg begins there.
    Where it is not `is_on_streets`, it is drawn straight, and its distance and duration are those
    that ways of that length usually have.
    """

    to: events.Pickup | events.DropOff
    distance_m: float
    duration_s: float
    ends: int
    is_on_streets: bool


class RouteView(Struct, frozen=True, kw_only=True):
    """The way that the courier goes with a delivery, as far as you may see it.

    It begins at his `position`, or, while that is not known, at its first stop. `duration_s` is for
    riding alone. `stops_hidden` counts the stops before the door that are not yours to see: the way
    is shown up to the first of them, and `line` is null where that is nothing.
    """

    delivery_id: str
    position: SeenAt | None
    legs: tuple[Leg, ...]
    line: LineString | None
    distance_m: float
    duration_s: float
    stops_hidden: int


@delivery_routes.get(
    "/v1/deliveries/{delivery_id}/route",
    scope=Scope.DELIVERIES_READ,
    codes=(Code.NOT_FOUND, Code.NOT_LEGAL_NOW),
)
async def show_route(call: Call) -> Reply[RouteView]:
    """Show the way that the courier goes to the door of a delivery.

    A customer and an integrator see it from pickup until drop-off, as they see his position; the
    courier and his tenant's staff from when the delivery is his. A restaurant does not.
    """
    edge, delivery_id = call.edge, call.path["delivery_id"]
    found = await access.under_way_for(edge, call.principal, order_id_of(delivery_id))
    ground = edge.map.find_market(found.courier.market_id)
    if ground is None:
        raise Unavailable(f"market {found.courier.market_id} is not known here")
    is_himself = call.principal.role is Role.COURIER
    ahead = found.courier.route if is_himself else until_door(found.courier.route, found.order_id)
    stops = known_stops(ahead, found.known_ids)
    begins = await _begins(edge, found, ground)
    points = [stop.point for stop in stops]
    points[:0] = [begins[1]] if begins else points[:1]
    ways = await edge.wayfinder.ways(ground.market_id, points) if stops else ()
    return Reply(
        value=RouteView(
            delivery_id=delivery_id,
            position=_seen_at(begins[0]) if begins else None,
            legs=_legs(stops, ways, ground.market_id, edge.map),
            line=_line(ways),
            distance_m=round(sum(way.distance_m for way in ways), 1),
            duration_s=round(sum(way.duration_s for way in ways), 1),
            stops_hidden=sum(not _is_known(stop, found.known_ids) for stop in ahead),
        )
    )


def until_door(route: Route, order_id: OrderId) -> Route:
    """Return the stops up to the order's door; raises `Declined` where he does not go there."""
    for place, stop in enumerate(route):
        if isinstance(stop, DropOff) and stop.order_id == order_id:
            return route[: place + 1]
    raise Declined(Code.NOT_LEGAL_NOW, "its courier is on no way to that door now")


def known_stops(route: Route, known_ids: Collection[OrderId]) -> Route:
    """Return the stops before the first one of which somebody who knows these orders knows not."""
    return tuple(takewhile(lambda stop: _is_known(stop, known_ids), route))


def _is_known(stop: Stop, known_ids: Collection[OrderId]) -> bool:
    ids = stop.order_ids if isinstance(stop, Pickup) else (stop.order_id,)
    return all(order_id in known_ids for order_id in ids)


async def _begins(edge: Edge, found: UnderWay, ground: Ground) -> tuple[Spot, Point] | None:
    """Return where he was seen last, in degrees and on the plane; None while that is not known."""
    with suppress(PositionsUnreachable, OutOfReach):
        positions = RedisPositions(edge.redis, edge.cluster)
        spot = await positions.find(found.shard, found.courier.courier_id)
        return spot and (spot, ground.projection.to_point(LatLng(spot.lat, spot.lng)))
    return None


def _seen_at(spot: Spot) -> SeenAt:
    return SeenAt(
        lat=spot.lat, lng=spot.lng, speed_mps=spot.speed_mps, seen_at=rfc3339(spot.seen_at)
    )


def _legs(
    stops: Route, ways: Sequence[DrawnWay], market_id: MarketId, markets: Map
) -> tuple[Leg, ...]:
    ends = accumulate(len(way.line) - 1 for way in ways)
    return tuple(
        [
            Leg(
                to=shown_stop(stop, market_id, markets),
                distance_m=way.distance_m,
                duration_s=way.duration_s,
                ends=end,
                is_on_streets=way.is_on_streets,
            )
            for stop, way, end in zip(stops, ways, ends, strict=True)
        ]
    )


def _line(ways: Sequence[DrawnWay]) -> LineString | None:
    """Return one line along all ways, each of which begins where the one before it ends."""
    if not ways:
        return None
    rest = [place for way in ways for place in way.line[1:]]
    return LineString(coordinates=(ways[0].line[0], *rest))
