"""Days that nobody simulated, plausible and seeded, to be added up and drawn."""

from collections.abc import Callable
from math import exp, hypot
from random import Random

import pytest

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, after
from simulations.day import (
    CourierRecord,
    Day,
    DayRecorder,
    OrderRecord,
    Outcome,
    RestaurantRecord,
    RoundRecord,
    Setting,
)

FRIDAY_17 = Instant(1_772_812_800_000)

type DayOf = Callable[..., Day]


def _restaurants(chance: Random) -> tuple[RestaurantRecord, ...]:
    kinds = ("Noodle Bar", "Pizzeria", "Bakery", "Grill", "Sushi", "Kitchen")
    streets = ("Harbour", "North Gate", "Mill Lane", "King Street", "Market", "Old Town", "Canal")
    return tuple(
        RestaurantRecord(
            restaurant_id=RestaurantId(f"rst_{number:03}"),
            name=f"{streets[number % 7]} {kinds[number % 6]}",
            x_m=chance.gauss(0, 1_500),
            y_m=chance.gauss(0, 1_100),
        )
        for number in range(48)
    )


def _demand(hour: float) -> float:
    return 0.25 + exp(-((hour - 2.1) ** 2) / 1.6) + 0.35 * exp(-((hour - 4.4) ** 2) / 0.5)


def _placings(chance: Random, orders: int) -> list[float]:
    found: list[float] = []
    while len(found) < orders:
        hour = chance.uniform(0, 5.4)
        if chance.random() < _demand(hour) / 1.35:
            found.append(hour)
    return sorted(found)


def _steps(
    recorder: DayRecorder,
    order: OrderRecord,
    restaurant: RestaurantRecord,
    slowness: float,
    chance: Random,
) -> list[tuple[Instant, Callable[[], None]]]:
    """Return what happens to an order, each at its instant."""
    at, order_id = order.placed_at, order.order_id
    courier = CourierId(f"crr_{chance.randrange(120):03}")
    load = _demand((at - FRIDAY_17) / 3_600_000) * slowness
    way_s = hypot(order.x_m - restaurant.x_m, order.y_m - restaurant.y_m) * 1.3 / 4.5
    ready_at = after(at, chance.gammavariate(9, 85))
    lot = chance.random()
    begin: tuple[Instant, Callable[[], None]] = (at, lambda: recorder.place(order))
    if lot < 0.012:
        return [begin, (after(at, 200), lambda: recorder.close(order_id, Outcome.REJECTED))]
    if lot < 0.012 + 0.004 * slowness**2:
        return [begin, (after(at, 4_000), lambda: recorder.close(order_id, Outcome.STARVED))]
    assigned_at = after(at, chance.expovariate(1 / (260 * load)) + 20)
    picked_up_at = Instant(
        max(after(assigned_at, chance.gammavariate(4, 75 * load)), after(ready_at, 20))
    )
    delivered_at = after(picked_up_at, way_s + chance.gammavariate(3, 60) * load + 120)
    return [
        begin,
        (assigned_at, lambda: recorder.assign(order_id, courier, assigned_at)),
        (ready_at, lambda: recorder.ready(order_id, ready_at)),
        (picked_up_at, lambda: recorder.pick_up(order_id, picked_up_at)),
        (delivered_at, lambda: recorder.deliver(order_id, delivered_at)),
    ]


def fake_day(
    *,
    seed: int = 7,
    orders: int = 900,
    policy: str = "insert",
    slowness: float = 1.0,
    city: str = "Evening in Copenhagen",
) -> Day:
    """Return an evening of 120 couriers, 17:00 to 23:00; a higher `slowness` serves it worse."""
    chance = Random(seed)
    restaurants = _restaurants(chance)
    setting = Setting(
        city=city,
        policy=policy,
        seed=seed,
        starts_at=FRIDAY_17,
        utc_offset_s=3_600,
        restaurants=restaurants,
    )
    recorder = DayRecorder(setting)
    events: list[tuple[Instant, Callable[[], None]]] = []
    for number, hour in enumerate(_placings(chance, orders)):
        at = after(FRIDAY_17, hour * 3600)
        restaurant = chance.choice(restaurants)
        x_m, y_m = restaurant.x_m + chance.gauss(0, 1_300), restaurant.y_m + chance.gauss(0, 1_000)
        way_s = hypot(x_m - restaurant.x_m, y_m - restaurant.y_m) * 1.3 / 4.5
        order = OrderRecord(
            order_id=OrderId(f"ord_{number:05}"),
            restaurant_id=restaurant.restaurant_id,
            x_m=x_m,
            y_m=y_m,
            placed_at=at,
            promised_at=after(at, 1_500 + way_s * 1.2),
        )
        events += _steps(recorder, order, restaurant, slowness, chance)
    for minute in range(0, 361, 5):
        at = after(FRIDAY_17, minute * 60)
        events.append((at, lambda at=at, m=minute: _sample(recorder, at, m, slowness)))
    for second in range(0, 21_600, 10):
        at = after(FRIDAY_17, second)
        events.append((at, lambda at=at: _round(recorder, at, chance, slowness)))
    for _, happen in sorted(events, key=lambda event: event[0]):
        happen()
    couriers = [_courier(number, chance, slowness) for number in range(120)]
    return recorder.day(after(FRIDAY_17, 6 * 3600), couriers, wall_s=21.4, cpu_s=20.9)


def _sample(recorder: DayRecorder, at: Instant, minute: int, slowness: float) -> None:
    on_shift = round(70 + 50 * _demand(minute / 60) / 1.3)
    busy = min(on_shift, round(recorder.tally.open_orders * 0.75 * slowness))
    recorder.sample(at, on_shift=on_shift, busy=busy, quiet=minute // 5 % 4)


def _round(recorder: DayRecorder, at: Instant, chance: Random, slowness: float) -> None:
    live = recorder.tally.open_orders
    took_ms = 2 + live * 0.12 * chance.gammavariate(6, 1 / 6) * slowness
    recorder.round(
        RoundRecord(at=at, orders=live, couriers=110, took_ms=took_ms, cost_s=live * 900.0)
    )


def _courier(number: int, chance: Random, slowness: float) -> CourierRecord:
    shift_s, share = chance.uniform(3.5, 6) * 3600, min(0.95, chance.gauss(0.72, 0.1) * slowness)
    driven_m = shift_s * share * 3.6
    return CourierRecord(
        courier_id=CourierId(f"crr_{number:03}"),
        shift_s=shift_s,
        busy_s=shift_s * share,
        driven_m=driven_m,
        loaded_m=driven_m * 0.56,
        delivered=7,
        declined=chance.randrange(4),
    )


@pytest.fixture
def day_of() -> DayOf:
    return fake_day


@pytest.fixture(scope="session")
def evening() -> Day:
    return fake_day()


@pytest.fixture(scope="session")
def three_evenings() -> tuple[Day, ...]:
    slowness = {"nearest": 1.9, "assign": 1.25, "insert": 1.0}
    return tuple(fake_day(policy=name, slowness=slow) for name, slow in slowness.items())
