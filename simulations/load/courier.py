"""A robo-courier: begins a shift, takes offers, goes where his route says, and says where he is.

He knows only what his feed tells him. He goes to the restaurant he is heading for, waits for the
food (until he hears that it is ready, or his patience ends), collects, goes to the door, hands
over; without a route he strolls about, so that he is seen in other cells. If nothing comes of what
he did he looks again after a while and does it once more. What he does while cut off happens all
the same, and is told when he is back.

Pings leave at fixed instants, late or not, and each says when it was due: what a customer's device
makes of its age includes the time that it had to wait here.
"""

from collections.abc import Iterator
from random import Random

from msgspec import Struct

from dispatch.ids import Instant, OfferId, OrderId, RestaurantId, after
from geo.ping import Ping
from geo.point import LatLng
from simulations.load.device import Device
from simulations.load.news import News, Stop
from simulations.load.robot import Robot
from simulations.load.tally import Tally
from simulations.load.way import Way, near, way
from wire.frames import (
    Act,
    AnyAction,
    Arrive,
    Collect,
    Decline,
    Deliver,
    Done,
    Frame,
    Pings,
    StartShift,
    Take,
)

type Range = tuple[float, float]

READY = "ready_for_pickup"
ORDERS_MAX = 256
"""Orders of which a courier remembers that they are ready."""
NEVER = Instant(2**62)


class Manners(Struct, frozen=True, kw_only=True):
    """How a courier behaves; ranges are from the least to the most."""

    pings_per_s: float = 1.0
    frame_pings: int = 5
    """Pings of one frame."""
    speed_mps: Range = (4.0, 6.0)
    thinks_s: Range = (0.5, 3.0)
    hands_over_s: Range = (1.0, 3.0)
    waits_s: float = 30.0
    """His patience at a counter; then he asks for the food, ready or not."""
    looks_s: float = 5.0
    """He looks again when nothing came of what he did."""
    strolls_m: float = 400.0
    declines_share: float = 0.05
    shift_s: float = 8 * 3_600.0
    load_max: int = 4


class RoboCourier(Robot):
    """One courier and his device."""

    path = "/v1/courier"

    def __init__(
        self, device: Device, place: LatLng, manners: Manners, tally: Tally, chance: Random
    ) -> None:
        super().__init__(device, tally)
        self.is_on_shift = False
        self._manners, self._chance = manners, chance
        self._home = place
        self._way = Way(
            origin=place, goal=place, starts_at=Instant(0), ends_at=Instant(0), speed_mps=0.0
        )
        self._period_s = manners.frame_pings / manners.pings_per_s
        self._pings_at = NEVER
        self._offer = News(type="offer_gone")
        self._answers_at = NEVER
        self._route = News(type="route_changed")
        self._ready: set[str] = set()
        self._at_counter: str | None = None
        self._deeds: tuple[AnyAction, ...] = ()
        self._deeds_at = NEVER

    @property
    def acts_at(self) -> Instant:
        """When he does something of his own accord."""
        return min(self._pings_at, self._answers_at, self._deeds_at)

    def connected(self, now: Instant) -> bytes:
        """Come back: what he did meanwhile is kept by his device."""
        for _ in self._deeds_done(now):
            pass
        return super().connected(now)

    def welcomed(self, now: Instant) -> None:
        """Begin the shift the first time, and tell of positions from now on."""
        if not self.is_on_shift and not self.device.unsettled:
            self._plan((self._shift(now),), now)
        if self._pings_at == NEVER or self._pings_at < now:
            self._pings_at = after(now, self._chance.random() * self._period_s)

    def _shift(self, now: Instant) -> StartShift:
        place = self._way.place(now)
        ends_at = after(now, self._manners.shift_s)
        load_max = self._manners.load_max
        return StartShift(lat=place.lat, lng=place.lng, ends_at=ends_at, load_max=load_max)

    def learns(self, news: News, now: Instant) -> None:
        """Hear of an offer, of a route, or that food is ready."""
        match news.type:
            case "offer_made":
                self._offer = news
                self._answers_at = after(now, self._chance.uniform(*self._manners.thinks_s))
                self.tally.count("offers")
            case "offer_gone" if news.offer_id == self._offer.offer_id:
                self._answers_at = NEVER
            case "route_changed":
                self._route = news
                self._go_on(now)
            case "order_moved" if news.status == READY:
                self._ready = {*list(self._ready)[1 - ORDERS_MAX :], news.order_id}
                self._go_on(now)
            case _:
                pass

    def settled(self, act: Act, done: Done, now: Instant) -> None:
        """Hear what became of an act."""
        match act.action:
            case StartShift():
                self.is_on_shift = self.is_on_shift or done.code is None
                self._go_on(now) if self.is_on_shift else self._look_later(now)
            case Collect(order_ids=order_ids):
                self._ready.difference_update(order_ids)
            case Deliver() if done.code is None:
                self.tally.count("delivered")
            case _:
                pass

    def says(self, now: Instant) -> Iterator[Frame]:
        """Yield the pings that are due, an answer to an offer, and what he does."""
        if now >= self._pings_at:
            yield self._pings()
        if now >= self._answers_at:
            self._answers_at = NEVER
            yield self.device.do(self._answer(), now)
        yield from self._deeds_done(now)

    def _pings(self) -> Pings:
        """Return where he was at the instants of one frame, the last of which is due now."""
        due_at, count = self._pings_at, self._manners.frame_pings
        gap_ms = 1_000 / self._manners.pings_per_s
        instants = [Instant(due_at - round(gap_ms * left)) for left in range(count - 1, -1, -1)]
        self._pings_at = after(due_at, self._period_s)
        self.tally.count("pings", count)
        return Pings(pings=tuple([self._ping(at) for at in instants]))

    def _ping(self, at: Instant) -> Ping:
        place = self._way.place(at)
        return Ping(place.lat, place.lng, self._way.pace_mps(at), at)

    def _answer(self) -> Take | Decline:
        offer_id = OfferId(self._offer.offer_id)
        declines = self._chance.random() < self._manners.declines_share
        return Decline(offer_id=offer_id) if declines else Take(offer_id=offer_id)

    def _deeds_done(self, now: Instant) -> Iterator[Frame]:
        """Yield what he does once he is where he was going, and see what is next."""
        if now < self._deeds_at:
            return
        deeds, done_at, self._deeds = self._deeds, self._deeds_at, ()
        for deed in deeds:
            yield self.device.do(deed, done_at)
        match deeds:
            case (Arrive(restaurant_id=str() as restaurant_id),):
                self._at_counter = restaurant_id
                self._go_on(done_at)
            case () if self.is_on_shift:
                self._go_on(now)
            case () if not self.device.unsettled:
                self._plan((self._shift(now),), now)
            case _:
                self._look_later(now)

    def _go_on(self, now: Instant) -> None:
        """Plan what his route asks for next."""
        route = self._route
        stop = route.stops[0] if route.stops else None
        if route.heading is not None and route.heading != self._at_counter:
            arrive = Arrive(restaurant_id=RestaurantId(route.heading))
            self._set_out(route.place, (arrive,), 0.0, now)
        elif stop is None:
            self._stroll(now)
        elif stop.type == "drop_off":
            order_id = OrderId(stop.order_id)
            deeds = (Arrive(order_id=order_id), Deliver(order_id=order_id))
            self._set_out(stop.place, deeds, self._hands_over_s(), now)
        elif stop.restaurant_id == self._at_counter:
            self._wait_at_counter(stop, now)
        else:
            arrive = Arrive(restaurant_id=RestaurantId(stop.restaurant_id or ""))
            self._set_out(stop.place, (arrive,), 0.0, now)

    def _set_out(
        self, goal: LatLng | None, deeds: tuple[AnyAction, ...], lasts_s: float, now: Instant
    ) -> None:
        """Go there and do that, unless he is on his way to it already."""
        if goal is None:
            return self._look_later(now)
        if self._deeds == deeds and self._way.goal == goal:
            return None
        self._at_counter = None
        self._move(goal, now)
        return self._plan(deeds, after(max(now, self._way.ends_at), lasts_s))

    def _wait_at_counter(self, pickup: Stop, now: Instant) -> None:
        order_ids = tuple(OrderId(order_id) for order_id in pickup.order_ids)
        is_ready = self._ready.issuperset(order_ids)
        deeds = (Collect(order_ids=order_ids),)
        if self._deeds == deeds and not is_ready:
            return
        wait_s = self._hands_over_s() if is_ready else self._manners.waits_s
        self._plan(deeds, after(now, wait_s))

    def _stroll(self, now: Instant) -> None:
        """Walk about near home, and look again on arriving."""
        if now >= self._way.ends_at or self._deeds:
            self._at_counter = None
            self._move(near(self._home, self._manners.strolls_m, self._chance), now)
        self._plan((), self._way.ends_at)

    def _move(self, goal: LatLng, now: Instant) -> None:
        speed_mps = self._chance.uniform(*self._manners.speed_mps)
        self._way = way(self._way.place(now), goal, speed_mps, now)

    def _plan(self, deeds: tuple[AnyAction, ...], at: Instant) -> None:
        self._deeds, self._deeds_at = deeds, at

    def _look_later(self, now: Instant) -> None:
        self._plan((), after(now, self._manners.looks_s))

    def _hands_over_s(self) -> float:
        return self._chance.uniform(*self._manners.hands_over_s)
