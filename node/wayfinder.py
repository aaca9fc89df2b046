"""The ways that couriers go, to be drawn: along streets where a market has some, else straight.

A way on streets takes a few tenths of a millisecond to find and to draw, so whole routes are worked
out in a thread, one at a time: what finds them answers one thread anyway. Streets that are not open
in this process are opened beside it and stood in for by straight lines meanwhile, and those that
cannot be opened for good; whoever asks is told which of the two he got. Ways lead around the areas
that are closed now. Nothing here is learned, and nothing decided by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import trio
from msgspec import structs

from api.ports import DrawnWay, Unavailable
from dispatch.ids import MarketId
from geo.point import Floats, Point, gap_m
from geo.projection import Projection
from geo.travel import Lookup, OnStreets, Open, StraightLine
from geo.zone import Outline
from node.atlas import Atlas, Place
from streets.exact import UNREACHABLE_S, Exact
from streets.soon import STAND_IN, opened_soon
from streets.travel import NoStreets, closing

WAITING_MAX = 64
"""Routes that may wait for their turn; whoever asks for one more is sent away for a moment."""
DEGREES_DIGITS = 6
"""Some ten centimetres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wayfinder:
    """The ways of all markets of a node; fits `api.ports.Wayfinder`."""

    atlas: Atlas
    closed: Callable[[MarketId], Sequence[Outline]]
    """The areas of a market whose streets nobody gets through now."""
    opened: Open = opened_soon
    _turn: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(1))

    async def ways(self, market_id: MarketId, points: Sequence[Point]) -> Sequence[DrawnWay]:
        """Return the way from each point of the market's plane to the one after it."""
        shard = self.atlas.shards().get(market_id)
        place = None if shard is None else self.atlas.find_place(shard)
        if place is None:
            raise Unavailable(f"market {market_id} is not known here")
        if self._turn.statistics().tasks_waiting >= WAITING_MAX:
            raise Unavailable("too many ask for the way at once")
        closed = tuple(self.closed(market_id))
        return await trio.to_thread.run_sync(self._drawn, place, closed, points, limiter=self._turn)

    def _drawn(
        self, place: Place, closed: Sequence[Outline], points: Sequence[Point]
    ) -> Sequence[DrawnWay]:
        streets = self._find_streets(place, closed)
        if streets is not None:
            return [_on_streets(streets, a, b) for a, b in pairwise(points)]
        travel = place.market.travel
        usual = travel if isinstance(travel, StraightLine) else STAND_IN
        return [_straight(usual, place.projection, a, b) for a, b in pairwise(points)]

    def _find_streets(self, place: Place, closed: Sequence[Outline]) -> Exact | None:
        """Return the streets of a market around what is closed; None while there are none."""
        travel = place.market.travel
        if not isinstance(travel, OnStreets):
            return None
        free = structs.replace(travel, lookup=Lookup.EXACT)
        try:
            found = self.opened(free)
            if closed and isinstance(found, Exact):
                found = self.opened(closing(free, tuple(closed)))
        except NoStreets:
            return None
        return found if isinstance(found, Exact) else None


def _on_streets(streets: Exact, a: Point, b: Point) -> DrawnWay:
    way = streets.way(a, b)
    if way.seconds >= UNREACHABLE_S:  # No street leads there now.
        return _straight(STAND_IN, streets.terrain.projection, a, b)
    return DrawnWay(
        duration_s=round(way.seconds, 1),
        distance_m=round(way.metres, 1),
        line=_line(streets.line(way)),
        is_on_streets=bool(way.parts),
    )


def _straight(usual: StraightLine, projection: Projection, a: Point, b: Point) -> DrawnWay:
    ends = [projection.to_lat_lng(point) for point in (a, b)]
    return DrawnWay(
        duration_s=round(usual.seconds(a, b), 1),
        distance_m=round(usual.detour * gap_m(a, b), 1),
        line=tuple([(round(at.lng, DEGREES_DIGITS), round(at.lat, DEGREES_DIGITS)) for at in ends]),
        is_on_streets=False,
    )


def _line(places: Floats) -> tuple[tuple[float, float], ...]:
    """Return places of latitude and longitude as GeoJSON has them: the longitude first."""
    return tuple([(lng, lat) for lat, lng in places.round(DEGREES_DIGITS).tolist()])
