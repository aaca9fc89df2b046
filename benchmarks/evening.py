"""A market in the evening, as the states of its actors: what a round is asked about.

Everything is drawn from a seed. Restaurants lie all over a square; each open order waits for a
courier, the youngest of them still cooking, and goes a few kilometres; three couriers in four carry
an order of their own to its door first. With every round some orders are gone and as many have
come, so that most of a kept plan holds, as in a live city.
"""

import random
from collections.abc import Iterator, Mapping
from math import cos, pi, sin

from msgspec import structs

from dispatch.courier import Courier, Stage
from dispatch.delivery import Delivery, DeliveryStatus
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId, after
from dispatch.order import Order, OrderStatus
from dispatch.restaurant import Restaurant
from dispatch.restaurant import Stage as Door
from dispatch.route import Task, trip
from dispatch.step import Tell
from geo.point import Point

MARKET = MarketId("mkt_bench")
ORDERS_A_RESTAURANT = 3
TRIP_M = 3_500.0
SHIFT_S = 4 * 3_600.0
PREP_S = 900.0
CARRYING = 0.75
"""Of the couriers, who carry an order."""
FRESH = 0.02
"""Of the orders, how many are new in each round."""


class Evening:
    """A market whose states a solver's desk can look at, and to which answers are told."""

    def __init__(
        self, seed: int, orders: int, couriers: int, side_m: float, *, now: Instant
    ) -> None:
        self._rng = random.Random(seed)
        self._side_m = side_m
        self._numbers = iter(range(10**9))
        self._restaurants = dict(map(self._restaurant, range(orders // ORDERS_A_RESTAURANT)))
        self._orders = dict(self._order(now) for _ in range(orders))
        drawn = [self._courier(number, now) for number in range(couriers)]
        self._couriers = {courier.courier_id: courier for courier, _ in drawn}
        self._carried = {order.order_id: order for _, order in drawn if order is not None}
        self.told = list[Tell]()

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over the states of a kind, as a shard does."""
        match kind:
            case "restaurant":
                yield from self._restaurants.items()
            case "courier":
                yield from self._couriers.items()
            case _:
                yield from self._orders.items()
                yield from self._carried.items()

    def settle(self, sequence: int, tell: Tell | None = None) -> None:
        """Note what the solver says."""
        assert sequence, tell
        if tell is not None:
            self.told.append(tell)

    def go_on(self, now: Instant) -> None:
        """Let the oldest orders be gone, and as many come."""
        for gone in list(self._orders)[: max(1, round(FRESH * len(self._orders)))]:
            del self._orders[gone]
            order_id, order = self._order(now)
            self._orders[order_id] = order

    def couriers(self) -> Mapping[CourierId, Point]:
        """Return where the couriers were last."""
        return {one: courier.point for one, courier in self._couriers.items()}

    def _point(self) -> Point:
        return Point(self._rng.uniform(0, self._side_m), self._rng.uniform(0, self._side_m))

    def _door(self, pickup: Point) -> Point:
        way_m, towards = self._rng.uniform(300, TRIP_M), self._rng.uniform(0, 2 * pi)
        return Point(pickup.x_m + way_m * cos(towards), pickup.y_m + way_m * sin(towards))

    def _restaurant(self, number: int) -> tuple[RestaurantId, Restaurant]:
        restaurant_id = RestaurantId(f"rst_01k{number:023d}")
        restaurant = Restaurant(
            restaurant_id=restaurant_id,
            point=self._point(),
            stage=Door.OPEN,
            capacity_max=20,
            prep_s=PREP_S,
            auto_accepts=True,
        )
        return restaurant_id, restaurant

    def _order(self, now: Instant) -> tuple[OrderId, Order]:
        restaurant = self._rng.choice(list(self._restaurants.values()))
        placed_at = after(now, -self._rng.uniform(0, PREP_S))
        pending = Delivery(
            status=DeliveryStatus.PENDING, pickup=restaurant.point, pending_at=placed_at
        )
        order_id = OrderId(f"ord_01k{next(self._numbers):023d}")
        order = Order(
            order_id=order_id,
            market_id=MARKET,
            customer_id=CustomerId(f"cus_01k{next(self._numbers):023d}"),
            restaurant_id=restaurant.restaurant_id,
            status=OrderStatus.PREPARING,
            delivery=pending,
            dropoff=self._door(restaurant.point),
            size=1,
            placed_at=placed_at,
            wanted_at=None,
            decide_by=after(now, SHIFT_S),
            ready_at=after(placed_at, PREP_S),
            give_up_at=after(now, SHIFT_S),
        )
        return order_id, order

    def _courier(self, number: int, now: Instant) -> tuple[Courier, Order | None]:
        """Return a courier and what he carries, if he does."""
        courier_id = CourierId(f"crr_01k{number:023d}")
        free = Courier(
            courier_id=courier_id,
            market_id=MARKET,
            stage=Stage.ON,
            ends_at=after(now, self._rng.uniform(0.5, 1.0) * SHIFT_S),
            load_max=6,
            point=self._point(),
            leaves_at=now,
        )
        if self._rng.random() > CARRYING:
            return free, None
        _, order = self._order(now)
        return _carrying(free, order)


def _carrying(courier: Courier, order: Order) -> tuple[Courier, Order]:
    task = Task(
        order_id=order.order_id,
        restaurant_id=order.restaurant_id,
        pickup=order.delivery.pickup,
        dropoff=order.dropoff,
    )
    return _with_task(courier, task), _picked_up(order, courier)


def _with_task(courier: Courier, task: Task) -> Courier:
    return structs.replace(
        courier, point=task.pickup, route=trip((task,))[1:], tasks=(task,), carried=(task.order_id,)
    )


def _picked_up(order: Order, courier: Courier) -> Order:
    held = structs.replace(
        order.delivery,
        status=DeliveryStatus.ENROUTE_TO_DROPOFF,
        courier_id=courier.courier_id,
        picked_up_at=courier.leaves_at,
    )
    return structs.replace(order, delivery=held)
