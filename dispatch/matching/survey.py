"""From the actors' states to what a round may know.

A survey is everything a solver needs, as frozen values that can also be sent to another process:
the open orders, the couriers with the place and time at which each is next free, the restaurants.
It is taken from committed and speculated states alike. Whatever moves on while the plan is made is
found out by the versions, which go out with every decision.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from msgspec import Struct, field

from dispatch.courier import Courier, Stage
from dispatch.delivery import BEFORE_PICKUP, DeliveryStatus
from dispatch.fairness import earned, order_prices_s
from dispatch.heading import is_advised, may_turn
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, elapsed_s
from dispatch.kitchen import COOKED, COOKING
from dispatch.matching.demand import Asked
from dispatch.matching.kitchens import Cooked
from dispatch.matching.snapshot import FreeCourier, OpenOrder
from dispatch.order import Order, OrderStatus
from dispatch.policy import Policy
from dispatch.route import DropOff, Task
from dispatch.work import stint
from geo.point import Point
from geo.travel import TravelTimes

type Sightings = Mapping[CourierId, Point]
"""Where couriers were seen just now, as far as the position table knows better than they said."""


class Survey(Struct, frozen=True, kw_only=True):
    """What one round may know, in rows."""

    at: Instant
    restaurants: dict[RestaurantId, tuple[float, float]]
    orders: tuple[OpenOrder, ...]
    couriers: tuple[FreeCourier, ...]
    asked: tuple[Asked, ...]
    """Each order that has come up since the last round."""
    cooked: tuple[Cooked, ...] = ()
    """Each order that became ready since then."""
    tasks: dict[OrderId, Task]
    order_versions: dict[OrderId, int]
    courier_versions: dict[CourierId, int]
    advised: dict[CourierId, RestaurantId] = field(default_factory=dict[CourierId, RestaurantId])
    """Who is on his way to wait somewhere, without being bound to it, and where."""


def survey(
    orders: Collection[Order],
    couriers: Iterable[Courier],
    restaurants: Mapping[RestaurantId, Point],
    now: Instant,
    policy: Policy,
    travel: TravelTimes,
    sightings: Sightings,
    since: Instant,
) -> Survey:
    """Return what a round at `now` may know, rows by age and by id; `since` was the last round."""
    free = sorted(filter(_is_free, couriers), key=lambda courier: courier.courier_id)
    crew = frozenset(courier.courier_id for courier in free)
    open_orders = sorted(
        (order for order in orders if _is_open(order, crew)),
        key=lambda one: (one.placed_at, one.order_id),
    )
    places = {one: (point.x_m, point.y_m) for one, point in restaurants.items()}
    for order in open_orders:
        pickup = order.delivery.pickup
        places[meeting_of(order)] = (pickup.x_m, pickup.y_m)
    view = _View(now, policy, travel, sightings, _prices_s(free, now, policy))
    for courier in free:
        if courier.heading is not None:
            at = courier.heading.point
            places.setdefault(courier.heading.restaurant_id, (at.x_m, at.y_m))
    return Survey(
        at=now,
        restaurants=places,
        orders=tuple(_open_order(order, now, policy) for order in open_orders),
        couriers=tuple(map(view.free_courier, free)),
        asked=tuple(_asked(one, now) for one in open_orders if _came_up(one, since)),
        cooked=tuple(_cooked(orders, since, now)),
        tasks={one.order_id: task_of(one) for one in open_orders},
        order_versions={one.order_id: one.version for one in open_orders},
        courier_versions={one.courier_id: one.version for one in free},
        advised={
            one.courier_id: one.heading.restaurant_id
            for one in free
            if one.heading is not None and _is_loose(one, policy)
        },
    )


def _came_up(order: Order, since: Instant) -> bool:
    return order.delivery.pending_at is not None and order.delivery.pending_at > since


def _is_loose(courier: Courier, policy: Policy) -> bool:
    return is_advised(courier) and may_turn(courier, policy)


def _asked(order: Order, now: Instant) -> Asked:
    known_at = order.delivery.pending_at or now
    return Asked(order.restaurant_id, max(0.0, elapsed_s(known_at, order.ready_at or now)))


def _cooked(orders: Iterable[Order], since: Instant, now: Instant) -> Iterator[Cooked]:
    for order in orders:
        ready_at, said_at = order.ready_at, order.said_at
        if ready_at is None or said_at is None or not since < ready_at <= now:
            continue
        if order.status not in COOKED:
            continue
        took_s = elapsed_s(order.placed_at, ready_at)
        yield Cooked(order.restaurant_id, took_s, elapsed_s(said_at, ready_at))


def meeting_of(order: Order) -> RestaurantId:
    """Return where the food is fetched: its restaurant, or where another courier hands it over."""
    if order.status is OrderStatus.HANDED_OVER:
        return RestaurantId(f"with:{order.order_id}")
    return order.restaurant_id


def task_of(order: Order) -> Task:
    """Return the order as its courier is to see it."""
    return Task(
        order_id=order.order_id,
        restaurant_id=meeting_of(order),
        pickup=order.delivery.pickup,
        dropoff=order.dropoff,
        size=order.size,
        undeliverable_action=order.undeliverable_action,
        kitchen=order.delivery.kitchen,
    )


def _is_open(order: Order, crew: Container[CourierId | None]) -> bool:
    """Tell whether this round may decide about the order.

    What a courier holds who is not planned now (on a break, thinking about an offer) stays his.
    """
    held = order.delivery
    if held.status in BEFORE_PICKUP:
        return held.courier_id in crew
    return held.status is DeliveryStatus.PENDING


def _is_free(courier: Courier) -> bool:
    return courier.stage is Stage.ON and courier.offer_id is None


def _open_order(order: Order, now: Instant, policy: Policy) -> OpenOrder:
    held = order.delivery
    ready_at = order.ready_at if order.ready_at is not None else now
    is_cooking = order.status in COOKING and held.picked_up_at is None
    if is_cooking:
        ready_at = max(ready_at, now)
    return OpenOrder(
        id=order.order_id,
        restaurant_id=meeting_of(order),
        dropoff=(order.dropoff.x_m, order.dropoff.y_m),
        placed_s=elapsed_s(now, order.placed_at),
        ready_s=elapsed_s(now, ready_at),
        said_s=elapsed_s(now, order.said_at) if is_cooking and order.said_at is not None else None,
        size=order.size,
        held_by=held.courier_id if held.status in BEFORE_PICKUP else None,
        barred=held.declined_by[-policy.declines_max :],
    )


def _prices_s(couriers: Iterable[Courier], now: Instant, policy: Policy) -> dict[CourierId, float]:
    """Return what one order more is dearer with each courier whose work is counted."""
    theirs = {
        courier.courier_id: earned(courier.work, len(courier.tasks), now, policy.fairness)
        for courier in couriers
        if courier.work is not None
    }
    return order_prices_s(theirs, policy.fairness)


@dataclass(frozen=True, slots=True)
class _View:
    """Where couriers are, seen from one instant."""

    now: Instant
    policy: Policy
    travel: TravelTimes
    sightings: Sightings
    prices_s: Mapping[CourierId, float]

    def free_courier(self, courier: Courier) -> FreeCourier:
        """Return the courier as a row: where and when he can next start something."""
        place, free_s = self._free(courier)
        from_s, off_s = self._stint_s(courier)
        return FreeCourier(
            id=courier.courier_id,
            place=(place.x_m, place.y_m),
            free_s=max(free_s, from_s) if from_s > 0 else free_s,
            off_s=off_s,
            capacity=courier.load_max - _kept_load(courier),
            bound=self._bound(courier),
            order_price_s=self.prices_s.get(courier.courier_id, 0.0),
        )

    def _stint_s(self, courier: Courier) -> tuple[float, float]:
        """Return from when on, and until when, he may be given something to fetch."""
        if courier.work is None:
            return 0.0, elapsed_s(self.now, courier.ends_at)
        may = stint(courier.work, courier.ends_at, self.now, self.policy.safety)
        return elapsed_s(self.now, may.from_at), elapsed_s(self.now, may.off_at)

    def _bound(self, courier: Courier) -> RestaurantId | None:
        heading = courier.heading
        if heading is None or _is_loose(courier, self.policy):
            return None
        return heading.restaurant_id

    def _free(self, courier: Courier) -> tuple[Point, float]:
        heading = courier.heading
        if _is_loose(courier, self.policy):
            return self.sightings.get(courier.courier_id, courier.point), 0.0
        if heading is not None and heading.arrived_at is not None:
            return heading.point, elapsed_s(self.now, heading.arrived_at)
        if heading is not None:
            origin, since = heading.origin, heading.departed_at
            return heading.point, self._leg_s(courier, origin, since, heading.point)
        ahead = [stop for stop in courier.route if isinstance(stop, DropOff)]
        if not ahead:
            return courier.point, max(0.0, elapsed_s(self.now, courier.leaves_at))
        here = ahead[0].point
        clock_s = self._leg_s(courier, courier.point, courier.leaves_at, here)
        clock_s += self.policy.dropoff_s
        for stop in ahead[1:]:
            clock_s += self.travel.seconds(here, stop.point) + self.policy.dropoff_s
            here = stop.point
        return here, clock_s

    def _leg_s(self, courier: Courier, origin: Point, since: Instant, goal: Point) -> float:
        """Return the seconds until he is at `goal`: from where he was seen, else as planned."""
        if since <= self.now and (seen := self.sightings.get(courier.courier_id)):
            return self.travel.seconds(seen, goal)
        return max(0.0, elapsed_s(self.now, since) + self.travel.seconds(origin, goal))


def _kept_load(courier: Courier) -> int:
    """Return what stays in the bag of a courier who waits for the rest of a bundle."""
    if courier.heading is None or not courier.carried:
        return 0
    sizes = {task.order_id: task.size for task in courier.tasks}
    return sum(sizes[one] for one in courier.carried)
