"""Rounds of made-up cities, drawn from a seed: what the solvers of the world are measured on.

A city has a centre and a few quarters. Restaurants stand close together in them, and a few have
most of the orders; customers live around, nearer ones ordering more; couriers are where the work
is. Four in ten are on the way to a customer and free some minutes later, and some wait at a
restaurant or drive to one. Food is ready between five minutes ago and half an hour from now. A few
orders are old, some are large, some shifts end soon. The same numbers give the same round anywhere.
"""

from dataclasses import dataclass
from random import Random

from msgspec import structs

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.snapshot import FreeCourier, OpenOrder, Place, Snapshot, snapshot
from dispatch.policy import Policy
from geo.travel import StraightLine

TRAVEL = StraightLine(speed_mps=5.0, detour=1.3)
POLICY = Policy()

AREA_M2_PER_COURIER = 130_000.0
ORDERS_PER_RESTAURANT = 4
SPREAD_M = 700.0
"""How far restaurants of one quarter lie apart."""
NEAR_M = 1_600.0
"""How far customers usually live from a restaurant; some live three times as far."""
FAR_SHARE = 0.1
OLD_SHARE = 0.05
"""Orders that have been ready for long."""
BUSY_SHARE = 0.4
BOUND_SHARE = 0.1
"""Couriers on the way to a customer, and on the way to a restaurant or waiting there."""


FRESH_SHARE = 0.02
"""Orders that are new after ten seconds, when one is open for some eight minutes."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a round is."""

    orders: int
    couriers: int

    def __str__(self) -> str:
        return f"{self.orders}x{self.couriers}"


def drawn(size: Size, seed: int) -> Snapshot:
    """Return the round of that size and seed."""
    rng = Random(f"{size}/{seed}")
    city = _City(rng, size)
    return snapshot(
        Instant(seed * 10_000),
        city.places,
        [city.order(number) for number in range(size.orders)],
        [city.courier(number) for number in range(size.couriers)],
        city.demand,
    )


def followed(size: Size, seed: int) -> Snapshot:
    """Return the round after that: the next ones due are gone, as many are new, time has passed.

    Couriers are where they were, and free so much sooner: who has gone to fetch the orders that are
    no longer there is not asked.
    """
    rng = Random(f"{size}/{seed}")
    city = _City(rng, size)
    orders = [city.order(number) for number in range(size.orders)]
    couriers = [city.courier(number) for number in range(size.couriers)]
    gone = max(1, round(FRESH_SHARE * size.orders))
    due = {one.id for one in sorted(orders, key=lambda one: one.ready_s)[:gone]}
    left = [one for one in orders if one.id not in due]
    fresh = [city.order(size.orders + number) for number in range(gone)]
    return snapshot(
        Instant(seed * 10_000 + round(POLICY.round_s * 1_000)),
        city.places,
        [structs.replace(one, ready_s=one.ready_s - POLICY.round_s) for one in left]
        + [structs.replace(one, ready_s=rng.uniform(300, 1_800), placed_s=0.0) for one in fresh],
        [structs.replace(one, free_s=_sooner_s(one)) for one in couriers],
        city.demand,
    )


def _sooner_s(courier: FreeCourier) -> float:
    free_s = courier.free_s - POLICY.round_s
    return free_s if courier.bound else max(0.0, free_s)


class _City:
    """The places of a city, and who and what is in it."""

    def __init__(self, rng: Random, size: Size) -> None:
        self._rng = rng
        self._side_m = (AREA_M2_PER_COURIER * size.couriers) ** 0.5
        quarters = [self._anywhere() for _ in range(max(2, round(self._side_m / 2_000)))]
        middle = self._side_m / 2
        self._quarters = [(middle, middle), *quarters]
        names = [RestaurantId(f"r{number}") for number in range(self._restaurants(size))]
        self.places = {name: self._near(self._quarter(), SPREAD_M) for name in names}
        # The popular restaurant has twice the orders of the next but one (Zipf's law, softened).
        self.demand = {name: (rank + 1) ** -0.6 for rank, name in enumerate(names)}
        self._names, self._weights = names, list(self.demand.values())

    def order(self, number: int) -> OpenOrder:
        """Draw an order."""
        rng = self._rng
        restaurant = rng.choices(self._names, self._weights)[0]
        far_m = NEAR_M * (3 if rng.random() < FAR_SHARE else 1)
        is_old = rng.random() < OLD_SHARE
        ready_s = rng.uniform(-1_500, -300) if is_old else rng.uniform(-300, 1_800)
        return OpenOrder(
            id=OrderId(f"o{number}"),
            restaurant_id=restaurant,
            dropoff=self._near(self.places[restaurant], far_m),
            placed_s=min(ready_s, 0.0) - rng.uniform(0, 900),
            ready_s=ready_s,
            size=rng.choice((1, 1, 1, 2, 2, 3)),
        )

    def courier(self, number: int) -> FreeCourier:
        """Draw a courier: on his way to a customer, bound to a restaurant, or idle."""
        rng = self._rng
        doing = rng.random()
        restaurant = rng.choices(self._names, self._weights)[0]
        bound = restaurant if BUSY_SHARE <= doing < BUSY_SHARE + BOUND_SHARE else None
        free_s = 0.0
        if doing < BUSY_SHARE:
            free_s = rng.uniform(30, 1_500)
        elif bound:
            free_s = rng.uniform(-240, 420)
        return FreeCourier(
            id=CourierId(f"c{number}"),
            place=self.places[restaurant] if bound else self._near(self._quarter(), 2 * SPREAD_M),
            free_s=free_s,
            off_s=rng.uniform(1_200, 14_400),
            capacity=6,
            bound=bound,
        )

    def _restaurants(self, size: Size) -> int:
        return max(6, size.orders // ORDERS_PER_RESTAURANT)

    def _anywhere(self) -> Place:
        return self._rng.uniform(0, self._side_m), self._rng.uniform(0, self._side_m)

    def _quarter(self) -> Place:
        """Return a quarter, the centre a third of the time."""
        first, *others = self._quarters
        return first if self._rng.random() < 1 / 3 else self._rng.choice(others)

    def _near(self, place: Place, spread_m: float) -> Place:
        return place[0] + self._rng.gauss(0, spread_m), place[1] + self._rng.gauss(0, spread_m)
