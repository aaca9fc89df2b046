"""Robo-couriers and robo-kitchens: the people of a simulated city, who know what they are told.

A robo-courier hears his feed (offers, his route) and tells his actor what he does: takes or
declines, arrives, collects, delivers. A robo-kitchen hears which orders it is asked for, accepts or
rejects them and finishes them when the food is really ready, which need not be when it said. How
they behave is their `Manners` and `Kitchen`; the couriers of the public instances simply obey. What
they do is seen by a `Witness`, for the day's figures or a replay's log. Where a city has streets,
couriers follow them, and a ride takes what it takes there, whatever the planner believes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from random import Random
from typing import Protocol

import numpy as np
from msgspec import Struct

from dispatch.courier import (
    Arrive,
    Collect,
    Deliver,
    OfferGone,
    OfferMade,
    RouteChanged,
    StartShift,
)
from dispatch.delivery import Reject
from dispatch.ids import CourierId, Instant, MarketId, OfferId, OrderId, RestaurantId, after
from dispatch.offer import Decline, Take
from dispatch.order import Accept, MarkReady, StartPreparing
from dispatch.policy import Policy
from dispatch.restaurant import OrderRequested
from dispatch.route import DropOff, Pickup, Stop
from geo.point import Point, gap_m
from geo.travel import TravelTimes
from simulations.world import World
from streets.exact import Way

type Say = Callable[[str, str, Struct], object]
"""Tell the actor `kind`/`key` a message, as the edge of the system does."""


class Witness(Protocol):
    """Whoever watches the city."""

    def moves(self, courier: CourierId, restaurant: RestaurantId, at: Instant) -> None:
        """A courier sets out for a restaurant."""
        ...

    def collects(self, courier: CourierId, orders: tuple[OrderId, ...], at: Instant) -> None:
        """A courier has orders in the bag, to be delivered in this sequence."""
        ...

    def delivers(self, courier: CourierId, order: OrderId, at: Instant) -> None:
        """A courier hands an order over at its door."""
        ...


class Roads(Protocol):
    """The streets that couriers of a city follow."""

    def way(self, a: Point, b: Point) -> Way:
        """Return the way from `a` to `b`."""
        ...


class Manners(Struct, frozen=True, kw_only=True):
    """How a courier behaves. The default obeys, at once and exactly."""

    thinks_s: tuple[float, float] = (0.0, 0.0)
    decline_share: float = 0.0
    ignore_share: float = 0.0
    pace_sd: float = 0.0
    """Spread of a leg's time around the expected, as the sigma of a lognormal factor."""


OBEDIENT = Manners()


@dataclass(slots=True)
class Leg:
    """Where a courier is between `starts_at` and `ends_at`, and before and after."""

    origin: Point
    goal: Point
    starts_at: Instant
    ends_at: Instant
    way: Way | None = None
    """The streets that he follows; None for a straight line."""

    @property
    def metres(self) -> float:
        """How long it is."""
        return self.way.metres if self.way else gap_m(self.origin, self.goal)

    def point(self, now: Instant) -> Point:
        """Return where he is, on the streets or the straight line of this leg."""
        if now >= self.ends_at:
            return self.goal
        share = max(0.0, (now - self.starts_at) / (self.ends_at - self.starts_at))
        if self.way is not None:
            return _point_on(self.way, share)
        return Point(
            self.origin.x_m + share * (self.goal.x_m - self.origin.x_m),
            self.origin.y_m + share * (self.goal.y_m - self.origin.y_m),
        )


def _point_on(way: Way, share: float) -> Point:
    """Return the point at which a share of a way's time has passed."""
    at_s = share * way.seconds
    x_m = float(np.interp(at_s, way.at_s, way.points[:, 0]))
    y_m = float(np.interp(at_s, way.at_s, way.points[:, 1]))
    return Point(x_m, y_m)


@dataclass(slots=True)
class Doings:
    """What a courier has done so far, for the day's figures."""

    driven_m: float = 0.0
    loaded_m: float = 0.0
    delivered: int = 0
    declined: int = 0
    busy_ms: int = 0


@dataclass(slots=True, kw_only=True)
class City:
    """What all robots of one city share."""

    world: World
    say: Say
    policy: Policy
    travel: TravelTimes
    witness: Witness
    market_id: MarketId
    roads: Roads | None = None
    """The streets couriers follow; None where they ride straight, as long as `travel` says."""
    ready: dict[OrderId, Instant] = field(default_factory=dict[OrderId, Instant])
    """Orders whose food really is ready, and since when."""
    waiting: dict[RestaurantId, dict[CourierId, "RoboCourier"]] = field(
        default_factory=dict[RestaurantId, dict[CourierId, "RoboCourier"]]
    )
    """Couriers who stand at a restaurant."""

    def food_is_ready(self, order_id: OrderId, restaurant_id: RestaurantId, at: Instant) -> None:
        """Put an order on the counter; couriers who stand there see it once `at` has come."""
        self.ready[order_id] = at
        self.say("order", order_id, MarkReady())
        self.world.at(at, lambda: self._look_up(restaurant_id))

    def _look_up(self, restaurant_id: RestaurantId) -> None:
        for courier in tuple(self.waiting.get(restaurant_id, {}).values()):
            courier.look_around()


class RoboCourier:
    """One courier: drives where his route says, waits for food, hands over, says so."""

    def __init__(
        self, city: City, courier_id: CourierId, point: Point, manners: Manners, rng: Random
    ) -> None:
        """Stand at `point`, off shift."""
        self.courier_id = courier_id
        self.leg = Leg(point, point, city.world.starts_at, city.world.starts_at)
        self.doings = Doings()
        self.is_cut_off = False
        self._city, self._manners, self._rng = city, manners, rng
        self._news: RouteChanged | None = None
        self._here: RestaurantId | None = None
        self._advised: RestaurantId | None = None
        self._parked_at = city.world.starts_at
        self._is_occupied = False
        self._carried: set[OrderId] = set()
        self._taken: set[OrderId] = set()
        self._handed_over: set[OrderId] = set()
        self._unsaid: list[Struct] = []
        self._offer_id: OfferId | None = None
        self._busy_since: Instant | None = None

    @property
    def is_busy(self) -> bool:
        """Whether he has an order."""
        return self._busy_since is not None

    @property
    def has_food(self) -> bool:
        """Whether there is food in his bag."""
        return bool(self._carried)

    def is_driving(self, now: Instant) -> bool:
        """Tell whether he is on a leg."""
        return self.leg.starts_at <= now < self.leg.ends_at

    def start_shift(self, ends_at: Instant, load_max: int, *, is_counted: bool = False) -> None:
        """Come on shift where he stands; his work is counted if that is wanted."""
        self._say(
            StartShift(
                courier_id=self.courier_id,
                market_id=self._city.market_id,
                point=self.leg.goal,
                ends_at=ends_at,
                load_max=load_max,
                is_counted=is_counted,
            )
        )

    def hear(self, message: Struct) -> None:
        """Take a message from his feed."""
        match message:
            case RouteChanged():
                self._news = message
                self._note_business()
                self.look_around()
            case OfferMade():
                self._consider(message)
            case OfferGone(offer_id) if offer_id == self._offer_id:
                self._offer_id = None
            case _:
                pass

    def cut_off(self) -> None:
        """Lose the connection: what he says is kept, and he collects nothing unseen."""
        self.is_cut_off = True

    def come_back(self) -> None:
        """Be connected again: say what was kept, then go on."""
        self.is_cut_off = False
        unsaid, self._unsaid = self._unsaid, []
        for message in unsaid:
            self._say(message)
        self.look_around()

    def look_around(self) -> None:
        """Do what comes next, unless he is on a leg, handing over or cut off."""
        news = self._news
        is_recalled = news is not None and news.heading not in {None, self._advised}
        if self._advised is not None and is_recalled and not self.is_cut_off:
            self._turn()
        if self._is_occupied or self.is_cut_off or news is None:
            return
        ahead = self._ahead(news)
        is_bound = isinstance(ahead, Pickup) or not news.stops
        if isinstance(ahead, DropOff):
            self._drive(ahead.point, lambda: self._at_door(ahead.order_id))
        elif is_bound and news.heading is not None and news.heading != self._here:
            self._set_out(news.heading, news.point)
        elif isinstance(ahead, Pickup) and ahead.restaurant_id == self._here:
            self._wait_for(ahead)

    def _ahead(self, news: RouteChanged) -> Stop | None:
        """Return the first stop he has not made yet, whether or not that was heard already."""
        for stop in news.stops:
            if isinstance(stop, DropOff) and stop.order_id not in self._handed_over:
                return stop
            if isinstance(stop, Pickup) and not self._taken.issuperset(stop.order_ids):
                return stop
        return None

    def _say(self, message: Struct) -> None:
        if self.is_cut_off:
            self._unsaid.append(message)
            return
        self._city.say("courier", self.courier_id, message)

    def _note_business(self) -> None:
        now = self._city.world.now()
        has_work = bool(self._news and self._news.stops)
        if has_work and self._busy_since is None:
            self._busy_since = now
        elif not has_work and self._busy_since is not None:
            self.doings.busy_ms += now - self._busy_since
            self._busy_since = None

    def _consider(self, offer: OfferMade) -> None:
        """Think about an offer, then take it, decline it, or let it lapse."""
        self._offer_id = offer.offer_id
        think_s = self._rng.uniform(*self._manners.thinks_s)
        chance = self._rng.random()
        at = after(self._city.world.now(), think_s)
        self._city.world.at(at, lambda: self._answer(offer.offer_id, chance))

    def _answer(self, offer_id: OfferId, chance: float) -> None:
        if offer_id != self._offer_id or self.is_cut_off:
            return
        if chance < self._manners.ignore_share:
            self.doings.declined += 1
            return
        if chance < self._manners.ignore_share + self._manners.decline_share:
            self.doings.declined += 1
            self._city.say("offer", offer_id, Decline(self.courier_id))
            return
        self._city.say("offer", offer_id, Take(self.courier_id))

    def _set_out(self, restaurant_id: RestaurantId, point: Point | None) -> None:
        assert point is not None
        self._leave()
        self._city.witness.moves(self.courier_id, restaurant_id, self._city.world.now())
        self._drive(point, lambda: self._at_restaurant(restaurant_id))
        has_work = self._news is not None and bool(self._news.stops)
        self._advised = None if has_work else restaurant_id

    def _turn(self) -> None:
        """Break his leg off where he is: at its end he was only to wait."""
        now, leg = self._city.world.now(), self.leg
        left = (leg.ends_at - now) / max(1, leg.ends_at - leg.starts_at)
        self.doings.driven_m -= left * leg.metres
        self.leg = Leg(leg.point(now), leg.point(now), now, now)
        self._advised, self._is_occupied = None, False

    def _end(self, leg: Leg, arrive: Callable[[], None]) -> None:
        """Be at the end of a leg, unless he has turned before it."""
        if leg is self.leg:
            self._advised = None
            arrive()

    def _leave(self) -> None:
        if self._here is not None:
            self._city.waiting.get(self._here, {}).pop(self.courier_id, None)
            self._here = None

    def _drive(self, goal: Point, arrive: Callable[[], None]) -> None:
        now = self._city.world.now()
        origin = self.leg.goal
        self._is_occupied = True
        roads = self._city.roads
        way = roads.way(origin, goal) if roads else None
        usual_s = way.seconds if way else self._city.travel.seconds(origin, goal)
        self.leg = leg = Leg(origin, goal, now, after(now, usual_s * self._pace()), way)
        self.doings.driven_m += leg.metres
        self.doings.loaded_m += leg.metres * self.has_food
        self._city.world.at(leg.ends_at, lambda: self._end(leg, arrive))

    def _pace(self) -> float:
        spread = self._manners.pace_sd
        return self._rng.lognormvariate(0.0, spread) if spread else 1.0

    def _at_restaurant(self, restaurant_id: RestaurantId) -> None:
        now = self._city.world.now()
        self._is_occupied = False
        self._here = restaurant_id
        self._parked_at = after(now, self._city.policy.pickup_s / 2)
        self._city.waiting.setdefault(restaurant_id, {})[self.courier_id] = self
        self._say(Arrive(restaurant_id=restaurant_id))
        self.look_around()

    def _wait_for(self, stop: Pickup) -> None:
        """Collect as soon as he has parked and all that he is to take is on the counter."""
        ready = self._city.ready
        if any(order_id not in ready for order_id in stop.order_ids):
            return
        earliest = max(self._parked_at, self._city.world.now())
        self._city.world.at(earliest, lambda: self._collect(earliest))

    def _collect(self, planned_at: Instant) -> None:
        """Take what his route says at this very moment; the set may have changed meanwhile."""
        news, now = self._news, self._city.world.now()
        stop = self._ahead(news) if news else None
        if self._is_occupied or self.is_cut_off or not isinstance(stop, Pickup):
            return
        if stop.restaurant_id != self._here:
            return
        if now != planned_at or any(one not in self._city.ready for one in stop.order_ids):
            return
        self._leave()
        self._is_occupied = True
        self._carried.update(stop.order_ids)
        self._taken.update(stop.order_ids)
        self._say(Collect(stop.order_ids))
        assert news is not None
        sequence = tuple(
            other.order_id
            for other in news.stops
            if isinstance(other, DropOff) and other.order_id in stop.order_ids
        )
        self._city.witness.collects(self.courier_id, sequence, now)
        self._rest(self._city.policy.pickup_s / 2)

    def _at_door(self, order_id: OrderId) -> None:
        self._say(Arrive(order_id))
        at = after(self._city.world.now(), self._city.policy.dropoff_s / 2)
        self._city.world.at(at, lambda: self._hand_over(order_id))

    def _hand_over(self, order_id: OrderId) -> None:
        self._carried.discard(order_id)
        self._handed_over.add(order_id)
        self.doings.delivered += 1
        self._say(Deliver(order_id))
        self._city.witness.delivers(self.courier_id, order_id, self._city.world.now())
        self._rest(self._city.policy.dropoff_s / 2)

    def _rest(self, seconds: float) -> None:
        """Be busy with the handover for so long, then see what comes next."""
        self._city.world.at(after(self._city.world.now(), seconds), self._go_on)

    def _go_on(self) -> None:
        self._is_occupied = False
        self.look_around()


class Kitchen(Struct, frozen=True, kw_only=True):
    """How a restaurant answers and cooks."""

    reject_share: float = 0.0
    answers_s: tuple[float, float] = (0.0, 0.0)
    prep_s: float = 900.0
    """What it believes a meal takes."""
    prep_sd_s: float = 0.0
    """How far the truth is from that."""
    whole_s: float = 1.0


class RoboKitchen:
    """One restaurant's staff: answers orders, cooks them, and puts them on the counter."""

    def __init__(
        self, city: City, restaurant_id: RestaurantId, kitchen: Kitchen, rng: Random
    ) -> None:
        """Stand in this kitchen."""
        self._city, self._restaurant_id, self._kitchen, self._rng = (
            city,
            restaurant_id,
            kitchen,
            rng,
        )

    def hear(self, message: Struct) -> None:
        """Take a message from the restaurant's feed."""
        if isinstance(message, OrderRequested):
            answer_s = self._rng.uniform(*self._kitchen.answers_s)
            rejects = self._rng.random() < self._kitchen.reject_share
            error_s = self._rng.gauss(0.0, self._kitchen.prep_sd_s)
            at = after(self._city.world.now(), answer_s)
            order_id = message.order_id
            self._city.world.at(at, lambda: self._answer(order_id, error_s, rejects=rejects))

    def _answer(self, order_id: OrderId, error_s: float, *, rejects: bool) -> None:
        if rejects:
            self._city.say("order", order_id, Reject("kitchen-busy"))
            return
        now, kitchen = self._city.world.now(), self._kitchen
        said_at = after(now, kitchen.prep_s)
        self._city.say("order", order_id, Accept(said_at))
        self._city.say("order", order_id, StartPreparing())
        took_s = max(kitchen.prep_s / 4, kitchen.prep_s + error_s)
        ready_at = after(now, ceil(took_s / kitchen.whole_s) * kitchen.whole_s)
        self._city.world.ahead(
            ready_at, lambda: self._city.food_is_ready(order_id, self._restaurant_id, ready_at)
        )


class RecordedKitchen:
    """A kitchen of the public instances: its food is ready when it was, whatever it says before."""

    def __init__(
        self,
        city: City,
        restaurant_id: RestaurantId,
        ready_at: Mapping[OrderId, Instant],
        said_at: Mapping[OrderId, Instant],
    ) -> None:
        """Know when this restaurant's orders will be ready, and when it says that they will be."""
        self._city, self._restaurant_id = city, restaurant_id
        self._ready_at, self._said_at = ready_at, said_at

    def hear(self, message: Struct) -> None:
        """Accept an order the moment it is asked for, naming a ready time."""
        if isinstance(message, OrderRequested):
            order_id, ready_at = message.order_id, self._ready_at[message.order_id]
            self._city.say("order", order_id, Accept(self._said_at[order_id]))
            self._city.world.ahead(
                ready_at,
                lambda: self._city.food_is_ready(order_id, self._restaurant_id, ready_at),
            )
