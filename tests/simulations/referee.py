"""The public problem's rules, checked on a log, independently of the code that wrote it.

A courier is somewhere from some minute on. Moves and bundles are followed in the order in which
they were decided, and whatever breaks a rule is returned as a sentence.
"""

import json
from math import ceil, hypot

import msgspec

from simulations.mdrp import Instance

EPSILON = 1e-6


def broken_rules(instance: Instance, log: bytes) -> list[str]:
    """Return every rule of the problem that the log breaks."""
    return _Referee(instance).judged([json.loads(line) for line in log.splitlines()])


def _strings(said: object) -> list[str]:
    return msgspec.convert(said, list[str])


class _Referee:
    def __init__(self, instance: Instance) -> None:
        self.rules = instance.parameters
        self.orders = {order.id: order for order in instance.orders}
        self.couriers = {courier.id: courier for courier in instance.couriers}
        named = (*instance.orders, *instance.couriers, *instance.restaurants)
        self.places = {one.id: (one.x_m, one.y_m) for one in named}
        self.at = {one.id: one.id for one in instance.couriers}
        self.free_min = {one.id: one.on_min for one in instance.couriers}
        self.bound: dict[str, tuple[str, float]] = {}
        self.settled: set[str] = set()
        self.expected: dict[str, tuple[str, float]] = {}
        self.broken: list[str] = []

    def judged(self, events: list[dict[str, object]]) -> list[str]:
        for event in events:
            minute, courier = float(str(event["t"])), str(event["courier"])
            match event:
                case {"ev": "move", "to": str(restaurant)}:
                    self._go(courier, restaurant, minute)
                case {"ev": "assign"}:
                    self._settle(courier, _strings(event["orders"]), minute)
                case {"ev": "dropoff", "order": str(order)}:
                    self._check_drop(courier, order, minute)
                case _:
                    pass
        return self.broken

    def _check(self, *, holds: bool, rule: str) -> None:
        if not holds:
            self.broken.append(rule)

    def _leg_min(self, a: str, b: str) -> float:
        (ax, ay), (bx, by) = self.places[a], self.places[b]
        return float(ceil(hypot(bx - ax, by - ay) / self.rules.metres_per_min))

    def _go(self, courier: str, restaurant: str, minute: float) -> None:
        if self.bound.get(courier, ("", 0.0))[0] == restaurant:
            return
        self._check(
            holds=minute >= self.couriers[courier].on_min - EPSILON,
            rule=f"{courier} moves before the shift",
        )
        self._check(
            holds=minute >= self.free_min[courier] - EPSILON,
            rule=f"{courier} is diverted, or sent off before being free, at {minute}",
        )
        arrival = max(minute, self.free_min[courier]) + self._leg_min(self.at[courier], restaurant)
        self.at[courier], self.free_min[courier] = restaurant, arrival
        self.bound[courier] = (restaurant, arrival)

    def _settle(self, courier: str, orders: list[str], minute: float) -> None:
        known = [self.orders[one] for one in orders]
        restaurant = known[0].restaurant
        self._check(holds={o.restaurant for o in known} == {restaurant}, rule="mixed bundle")
        self._go(courier, restaurant, minute)
        earliest = self.bound.pop(courier)[1] + self.rules.pickup_min / 2
        earliest = max(earliest, *(order.ready_min for order in known))
        self._check(holds=minute >= earliest - EPSILON, rule=f"{orders} picked up too early")
        off = self.couriers[courier].off_min
        self._check(holds=minute <= off + EPSILON, rule=f"{courier} picks up after the shift")
        clock, here = minute + self.rules.pickup_min / 2, restaurant
        for order in known:
            self._check(holds=order.id not in self.settled, rule=f"{order.id} assigned twice")
            self._check(
                holds=minute >= order.placed_min - EPSILON, rule=f"{order.id} assigned unplaced"
            )
            self.settled.add(order.id)
            clock += self._leg_min(here, order.id) + self.rules.dropoff_min / 2
            self.expected[order.id] = (courier, clock)
            clock, here = clock + self.rules.dropoff_min / 2, order.id
        self.at[courier], self.free_min[courier] = here, clock

    def _check_drop(self, courier: str, order: str, minute: float) -> None:
        who, earliest = self.expected.get(order, ("", 0.0))
        self._check(holds=who == courier, rule=f"{order} dropped by {courier}, not by {who}")
        self._check(holds=minute >= earliest - EPSILON, rule=f"{order} dropped too early")
