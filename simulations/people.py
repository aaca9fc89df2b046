"""Robo-people who trust nothing but answers: for simulations and tests in which nodes fail.

Customers order and some call off; kitchens answer and cook; couriers take offers, drive, collect,
deliver, and now and then cross into another shard. Each asks with the same message until there is
an answer, and believes it; what they hear they hear from their feeds. How they ask and hear, on
virtual time or over real links, is behind `Streets`; how fast they live is their `Pace`.

The robots of `simulations.robots` are their opposite: they live in a city in which nothing fails,
and act at the very instants by which decisions are measured.
"""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Protocol

import trio
from msgspec import Struct

from dispatch.courier import (
    Arrive,
    Collect,
    Cross,
    Deliver,
    OfferGone,
    OfferMade,
    RouteChanged,
    StartShift,
)
from dispatch.delivery import Cancel, Party, Reject
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId, ShardId
from dispatch.offer import Decline, Take
from dispatch.order import Accept, Fact, MarkReady, Place
from dispatch.restaurant import Open, OrderRequested, RestaurantMoved
from dispatch.route import Pickup
from dispatch.step import Accepted, Refused
from geo.point import Point, gap_m

LOAD_MAX = 3

type News = Fact | OfferMade | OfferGone | RouteChanged | OrderRequested | RestaurantMoved
"""Everything that a feed brings."""
type Range = tuple[float, float]
type Work = Callable[[], Awaitable[None]]


class Pace(Struct, frozen=True, kw_only=True):
    """How fast people live, in seconds from the least to the most, and what some of them do."""

    answers_s: Range = (1.0, 10.0)
    cooks_s: Range = (5.0, 40.0)
    thinks_s: Range = (0.2, 4.0)
    looks_s: Range = (1.0, 4.0)
    """Time after which a courier looks around without having heard anything."""
    changes_mind_s: Range = (1.0, 60.0)
    side_m: float = 800.0
    speed_mps: float = 20.0
    rejects_share: float = 0.08
    ignores_share: float = 0.08
    declines_share: float = 0.08
    cancels_share: float = 0.2
    crosses_share: float = 0.03
    """Of the looks around of a courier without work."""


class Streets(Protocol):
    """What people have around them."""

    ready: set[OrderId]
    """Orders whose food stands on the counter."""
    is_calm: bool
    """Whether nothing new is begun any more."""

    @property
    def pace(self) -> Pace:
        """How fast people live here."""
        ...

    @property
    def shards(self) -> Sequence[ShardId]:
        """All shards."""
        ...

    def shift_ends_at(self) -> Instant:
        """Return when shifts end that begin now."""
        ...

    def market_id(self, shard: ShardId) -> MarketId:
        """Return the market that is run in a shard."""
        ...

    def begin(self, work: Work) -> None:
        """Start something that has to come to its end."""
        ...

    def equip(self, shard: ShardId, person: str, hear: Callable[[News], None]) -> None:
        """Give a person of that shard a device, which hears the feed from its beginning."""
        ...

    async def sure(
        self, shard: ShardId, kind: str, key: str, message: Struct
    ) -> Accepted | Refused:
        """Ask until there is an answer, with the same message each time."""
        ...


def spot(pace: Pace, chance: Random) -> Point:
    """Return some place of the town."""
    return Point(chance.uniform(0, pace.side_m), chance.uniform(0, pace.side_m))


class Kitchen:
    """A restaurant: its staff answers orders and cooks them."""

    def __init__(
        self, streets: Streets, shard: ShardId, restaurant_id: RestaurantId, chance: Random
    ) -> None:
        self.restaurant_id = restaurant_id
        self.point = spot(streets.pace, chance)
        self._streets, self._shard, self._chance = streets, shard, chance
        self._seen: set[OrderId] = set()

    async def open(self) -> None:
        """Open for orders, for which the staff is asked."""
        self._streets.equip(self._shard, self.restaurant_id, self._hear)
        opening = Open(restaurant_id=self.restaurant_id, point=self.point, auto_accepts=False)
        await self._streets.sure(self._shard, "restaurant", self.restaurant_id, opening)

    def _hear(self, news: News) -> None:
        if isinstance(news, OrderRequested) and news.order_id not in self._seen:
            order_id = news.order_id
            self._seen.add(order_id)
            self._streets.begin(lambda: self._cook(order_id))

    async def _cook(self, order_id: OrderId) -> None:
        streets, chance, pace = self._streets, self._chance, self._streets.pace
        await trio.sleep(chance.uniform(*pace.answers_s))
        rejects = chance.random() < pace.rejects_share
        answer = Reject("kitchen-busy") if rejects else Accept()
        await streets.sure(self._shard, "order", order_id, answer)
        await trio.sleep(chance.uniform(*pace.cooks_s))
        streets.ready.add(order_id)
        await streets.sure(self._shard, "order", order_id, MarkReady())


class Customer:
    """Somebody who orders, and may think better of it."""

    def __init__(
        self, streets: Streets, shard: ShardId, customer_id: CustomerId, chance: Random
    ) -> None:
        self.customer_id = customer_id
        self._streets, self._shard, self._chance = streets, shard, chance

    async def order(self, order_id: OrderId, kitchen: Kitchen) -> None:
        """Order, and perhaps cancel."""
        streets, chance, pace = self._streets, self._chance, self._streets.pace
        place = Place(
            order_id=order_id,
            market_id=streets.market_id(self._shard),
            customer_id=self.customer_id,
            restaurant_id=kitchen.restaurant_id,
            pickup=kitchen.point,
            dropoff=spot(pace, chance),
            size=chance.choice((1, 1, 2)),
        )
        await streets.sure(self._shard, "order", order_id, place)
        if chance.random() < pace.cancels_share:
            await trio.sleep(chance.uniform(*pace.changes_mind_s))
            await streets.sure(self._shard, "order", order_id, Cancel(Party.CUSTOMER))


class Courier:
    """A courier who does what his route says, one thing after the other."""

    def __init__(
        self, streets: Streets, shard: ShardId, courier_id: CourierId, chance: Random
    ) -> None:
        self.courier_id = courier_id
        self._streets, self._shard, self._chance = streets, shard, chance
        self._point = spot(streets.pace, chance)
        self._route: RouteChanged | None = None
        self._offer: OfferMade | None = None
        self._news = trio.Event()

    async def run(self) -> None:
        """Begin the shift and work until cancelled."""
        self._streets.equip(self._shard, self.courier_id, self._hear)
        shift = StartShift(
            courier_id=self.courier_id,
            market_id=self._streets.market_id(self._shard),
            point=self._point,
            ends_at=self._streets.shift_ends_at(),
            load_max=LOAD_MAX,
        )
        await self._say(shift)
        while True:
            await self._act()
            with trio.move_on_after(self._chance.uniform(*self._streets.pace.looks_s)):
                await self._news.wait()
            self._news = trio.Event()

    def _hear(self, news: News) -> None:
        match news:
            case OfferMade():
                self._offer = news
            case OfferGone(offer_id) if self._offer and self._offer.offer_id == offer_id:
                self._offer = None
            case RouteChanged():
                self._route = news
            case _:
                return
        self._news.set()

    async def _act(self) -> None:
        offer, route = self._offer, self._route
        if offer is not None:
            self._offer = None
            await self._consider(offer)
        elif route is not None and (route.stops or route.heading):
            await self._go_on(route)
        elif not self._streets.is_calm and self._chance.random() < self._streets.pace.crosses_share:
            await self._cross(self._chance.choice(self._streets.shards))

    async def _consider(self, offer: OfferMade) -> None:
        pace = self._streets.pace
        chance = self._chance.random()
        await trio.sleep(self._chance.uniform(*pace.thinks_s))
        if chance < pace.ignores_share:
            return
        declines = chance < pace.ignores_share + pace.declines_share
        word = Decline(self.courier_id) if declines else Take(self.courier_id)
        await self._streets.sure(self._shard, "offer", offer.offer_id, word)

    async def _go_on(self, route: RouteChanged) -> None:
        stop = route.stops[0] if route.stops else None
        if route.heading is not None and route.point is not None:
            await self._drive(route.point)
            await self._say(Arrive(restaurant_id=route.heading))
        if isinstance(stop, Pickup):
            if self._streets.ready.issuperset(stop.order_ids):
                await self._say(Collect(stop.order_ids))
        elif stop is not None:
            await self._drive(stop.point)
            await self._say(Arrive(order_id=stop.order_id))
            await self._say(Deliver(stop.order_id))

    async def _drive(self, goal: Point) -> None:
        await trio.sleep(gap_m(self._point, goal) / self._streets.pace.speed_mps)
        self._point = goal

    async def _cross(self, shard: ShardId) -> None:
        cross = Cross(shard, self._streets.market_id(shard), self._point)
        if shard != self._shard and isinstance(await self._say(cross), Accepted):
            self._shard = shard

    async def _say(self, message: Struct) -> Accepted | Refused:
        return await self._streets.sure(self._shard, "courier", self.courier_id, message)
