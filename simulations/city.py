"""A day of a city, made up in advance: who orders what and when, and who works when.

From a spec and a seed, `populate` makes a whole day: who orders from whom, where and when, and
which courier works when and falls silent when. So every policy can be tried on the same day.
Restaurants and doors are made up around a few centres, or are those of a city folder.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np
from msgspec import Struct

from geo.point import Floats, LatLng, Point
from geo.travel import StraightLine, TravelTimes, Ways
from simulations.mapped import Mapped, TooEmpty, mapped
from simulations.spec import BadSpec, Spec
from streets.folder import BadFolder
from streets.travel import NoStreets, opened

OVERHANG_S = 3_600.0
"""How long after closing the last couriers are still on shift."""
MADE_UP_CENTRE = LatLng(55.676, 12.568)
"""Where the plane of a generated city touches the Earth."""


class Restaurant(Struct, frozen=True):
    """A restaurant of a generated city; `prep_s` is what it believes a meal takes."""

    id: str
    name: str
    point: Point
    prep_s: float


class Courier(Struct, frozen=True):
    """A courier's shift, in seconds from midnight, and when his phone is silent."""

    id: str
    point: Point
    starts_s: float
    ends_s: float
    quiet_s: tuple[tuple[float, float], ...]


class Order(Struct, frozen=True):
    """An order to come, in seconds from midnight; `promised_s` after placing."""

    id: str
    customer: str
    restaurant: int
    dropoff: Point
    placed_s: float
    promised_s: float


class Population(Struct, frozen=True):
    """Everything that will happen whatever the policy."""

    restaurants: tuple[Restaurant, ...]
    couriers: tuple[Courier, ...]
    orders: tuple[Order, ...]


def populate(spec: Spec, seed: int) -> Population:
    """Return the day of this city that belongs to `seed`; raises BadSpec for a bad folder."""
    streams = np.random.default_rng(seed).spawn(3)
    real = find_mapped(spec)
    restaurants = (
        _real_restaurants(spec, streams[0], real) if real else _restaurants(spec, streams[0])
    )
    return Population(
        restaurants=restaurants,
        couriers=_couriers(spec, streams[1], restaurants),
        orders=_orders(spec, streams[2], restaurants, real),
    )


def find_mapped(spec: Spec) -> Mapped | None:
    """Return what the spec's folder holds, None if it has none; raises BadSpec."""
    if not spec.folder:
        return None
    try:
        return mapped(spec.folder, spec.vehicle, spec.lookup)
    except (BadFolder, TooEmpty) as error:
        raise BadSpec(f"{spec.name} cannot be simulated: {error}") from error


def centre_of(spec: Spec) -> LatLng:
    """Return where the plane of a city touches the Earth."""
    real = find_mapped(spec)
    return real.centre if real else MADE_UP_CENTRE


def ways_of(spec: Spec) -> Ways:
    """Return how couriers get about, as the planner is told."""
    real = find_mapped(spec)
    return real.ways if real else StraightLine(speed_mps=spec.speed_kmh / 3.6, detour=spec.detour)


def _real_restaurants(spec: Spec, rng: np.random.Generator, real: Mapped) -> tuple[Restaurant, ...]:
    """Return as many of a folder's central restaurants as the spec has, all alike likely."""
    central = real.central(spec.radius_km * 1000)
    count = min(spec.restaurants, len(central))
    chosen: list[int] = sorted(rng.choice(central, size=count, replace=False).tolist())
    prep_s = 60 * np.maximum(4.0, rng.normal(spec.prep_min, spec.prep_spread_min, count))
    points: list[list[float]] = real.restaurant_points[chosen].tolist()
    return tuple(
        Restaurant(f"rst_{i:05}", real.restaurants[row], Point(*points[i]), float(prep_s[i]))
        for i, row in enumerate(chosen)
    )


def _restaurants(spec: Spec, rng: np.random.Generator) -> tuple[Restaurant, ...]:
    radius_m = spec.radius_km * 1000
    centres = _disc(rng, spec.quarters, radius_m * 0.75)
    centres[0] = 0.0
    weights = rng.dirichlet(np.full(spec.quarters, 2.0))
    homes = rng.choice(spec.quarters, size=spec.restaurants, p=weights)
    places = centres[homes] + rng.normal(0.0, radius_m * 0.12, (spec.restaurants, 2))
    prep_s = 60 * np.maximum(4.0, rng.normal(spec.prep_min, spec.prep_spread_min, spec.restaurants))
    return tuple(
        Restaurant(f"rst_{i:05}", _name(i), Point(float(x), float(y)), float(prep))
        for i, ((x, y), prep) in enumerate(zip(places, prep_s, strict=True))
    )


_FIRST = ("Blue", "Golden", "Old", "Little", "Green", "Salt", "Red", "North", "Sunny", "Copper")
_SECOND = ("Lantern", "Noodle", "Oven", "Olive", "Pepper", "Harbour", "Tandoor", "Garden", "Fig")


def _name(number: int) -> str:
    first, second = _FIRST[number % len(_FIRST)], _SECOND[number // len(_FIRST) % len(_SECOND)]
    again = number // (len(_FIRST) * len(_SECOND))
    return f"{first} {second}" + (f" {again + 1}" if again else "")


def _disc(rng: np.random.Generator, count: int, radius_m: float) -> Floats:
    radius = radius_m * np.sqrt(rng.random(count))
    angle = 2 * np.pi * rng.random(count)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)


def _couriers(
    spec: Spec, rng: np.random.Generator, restaurants: Sequence[Restaurant]
) -> tuple[Courier, ...]:
    """Give couriers shifts that follow the demand, starting near restaurants.

    Food ordered last is delivered after closing, so the last shifts end OVERHANG_S later.
    """
    opens_s = spec.opens_h * 3600
    closes_s = (spec.opens_h + spec.hours) * 3600 + OVERHANG_S
    middles_s = _hungry_s(spec, rng, spec.couriers)
    lengths_s = 3600 * rng.uniform(*spec.shift_h, spec.couriers)
    homes = rng.integers(0, len(restaurants), spec.couriers)
    around = rng.normal(0.0, 600.0, (spec.couriers, 2))
    couriers: list[Courier] = []
    for i in range(spec.couriers):
        length_s = min(float(lengths_s[i]), closes_s - opens_s)
        latest_s = closes_s - length_s
        middle_s = float(middles_s[i]) + OVERHANG_S / 2
        starts_s = min(max(middle_s - length_s / 2, opens_s), latest_s)
        home = restaurants[int(homes[i])].point
        couriers.append(
            Courier(
                f"crr_{i:05}",
                Point(home.x_m + float(around[i, 0]), home.y_m + float(around[i, 1])),
                float(round(starts_s)),
                float(round(starts_s + length_s)),
                _quiet_s(spec, rng, starts_s, length_s),
            )
        )
    return tuple(couriers)


def _quiet_s(
    spec: Spec, rng: np.random.Generator, starts_s: float, length_s: float
) -> tuple[tuple[float, float], ...]:
    times = np.sort(starts_s + length_s * rng.random(rng.poisson(spec.quiet_per_shift)))
    lengths_s = 60 * rng.exponential(spec.quiet_min, len(times))
    spans: list[tuple[float, float]] = []
    for begin, length in zip(times.tolist(), lengths_s.tolist(), strict=True):
        if not spans or begin > spans[-1][1]:
            spans.append((round(begin, 3), round(begin + length + 1.0, 3)))
    return tuple(spans)


def _hungry_s(spec: Spec, rng: np.random.Generator, count: int) -> Floats:
    """Return times of day drawn from the peaks, within the opening hours."""
    edges_s = np.linspace(spec.opens_h, spec.opens_h + spec.hours, ceil(spec.hours * 60) + 1) * 3600
    middles_h = (edges_s[1:] + edges_s[:-1]) / 7200
    density = np.full(len(middles_h), 1e-3)
    for peak in spec.peaks:
        spread = np.exp(-0.5 * ((middles_h - peak.hour) / peak.spread_h) ** 2)
        density += peak.weight * spread / peak.spread_h
    share = np.concatenate(((0.0,), np.cumsum(density)))
    drawn = rng.random(count) * float(share[-1])
    return np.interp(drawn, share, edges_s).astype(np.float64)


def _orders(
    spec: Spec, rng: np.random.Generator, restaurants: Sequence[Restaurant], real: Mapped | None
) -> tuple[Order, ...]:
    travel = _opened(spec)
    placed_s = np.sort(_hungry_s(spec, rng, spec.orders))
    chosen = rng.choice(len(restaurants), size=spec.orders, p=_popularity(rng, len(restaurants)))
    away_m = 1000 * spec.reach_km * np.sqrt(rng.random(spec.orders))
    angle = 2 * np.pi * rng.random(spec.orders)
    orders: list[Order] = []
    for i in range(spec.orders):
        restaurant = restaurants[int(chosen[i])]
        if real:
            dropoff = real.door(restaurant.point, 1000 * spec.reach_km, rng)
        else:
            dropoff = Point(
                restaurant.point.x_m + float(away_m[i] * np.cos(angle[i])),
                restaurant.point.y_m + float(away_m[i] * np.sin(angle[i])),
            )
        ride_s = travel.seconds(restaurant.point, dropoff)
        promised_s = restaurant.prep_s + ride_s + 60 * spec.promise_slack_min
        orders.append(
            Order(
                f"ord_{i:06}",
                f"usr_{i:06}",
                int(chosen[i]),
                dropoff,
                round(float(placed_s[i]), 3),
                round(promised_s, 3),
            )
        )
    return tuple(orders)


def _opened(spec: Spec) -> TravelTimes:
    try:
        return opened(ways_of(spec))
    except NoStreets as error:
        raise BadSpec(f"{spec.name} cannot be simulated: {error}") from error


def _popularity(rng: np.random.Generator, count: int) -> Floats:
    """Return each restaurant's share of the orders: a few are asked for by many."""
    weights = rng.pareto(2.0, count) + 0.3
    return weights / weights.sum()
