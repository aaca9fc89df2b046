"""From the actors' states to what a round may know.

A survey is everything a solver needs, as frozen values that can also be sent to another process:
the open orders, the couriers with the place and time at which each is next free, the restaurants.
It is taken from committed and speculated states alike. Whatever moves on while the plan is made is
found out by the versions, which go out with every decision.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from msgspec import Struct

from dispatch.courier import Courier, Stage
from dispatch.delivery import BEFORE_PICKUP, DeliveryStatus
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, elapsed_s
from dispatch.matching.snapshot import FreeCourier, OpenOrder
from dispatch.order import Order, OrderStatus
from dispatch.policy import Policy
from dispatch.route import DropOff, Task
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
    asked: tuple[RestaurantId, ...]
    """The restaurant of each order that has come up since the last round."""
    tasks: dict[OrderId, Task]
    order_versions: dict[OrderId, int]
    courier_versions: dict[CourierId, int]


def survey(
    orders: Iterable[Order],
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
    view = _View(now, policy, travel, sightings)
    for courier in free:
        if courier.heading is not None:
            at = courier.heading.point
            places.setdefault(courier.heading.restaurant_id, (at.x_m, at.y_m))
    return Survey(
        at=now,
        restaurants=places,
        orders=tuple(_open_order(order, now, policy) for order in open_orders),
        couriers=tuple(map(view.free_courier, free)),
        asked=tuple(one.restaurant_id for one in open_orders if _came_up(one, since)),
        tasks={one.order_id: task_of(one) for one in open_orders},
        order_versions={one.order_id: one.version for one in open_orders},
        courier_versions={one.courier_id: one.version for one in free},
    )


def _came_up(order: Order, since: Instant) -> bool:
    return order.delivery.pending_at is not None and order.delivery.pending_at > since


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
    if order.status is not OrderStatus.READY_FOR_PICKUP and held.picked_up_at is None:
        ready_at = max(ready_at, now)
    return OpenOrder(
        id=order.order_id,
        restaurant_id=meeting_of(order),
        dropoff=(order.dropoff.x_m, order.dropoff.y_m),
        placed_s=elapsed_s(now, order.placed_at),
        ready_s=elapsed_s(now, ready_at),
        size=order.size,
        held_by=held.courier_id if held.status in BEFORE_PICKUP else None,
        barred=held.declined_by[-policy.declines_max :],
    )


@dataclass(frozen=True, slots=True)
class _View:
    """Where couriers are, seen from one instant."""

    now: Instant
    policy: Policy
    travel: TravelTimes
    sightings: Sightings

    def free_courier(self, courier: Courier) -> FreeCourier:
        """Return the courier as a row: where and when he can next start something."""
        place, free_s = self._free(courier)
        return FreeCourier(
            id=courier.courier_id,
            place=(place.x_m, place.y_m),
            free_s=free_s,
            off_s=elapsed_s(self.now, courier.ends_at),
            capacity=courier.load_max - _kept_load(courier),
            bound=courier.heading.restaurant_id if courier.heading else None,
        )

    def _free(self, courier: Courier) -> tuple[Point, float]:
        heading = courier.heading
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
