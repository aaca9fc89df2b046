"""A city to simulate: its size, its kitchens, its couriers' manners, and when people are hungry.

A spec is one of `CITIES` by name, or a TOML file with the same fields, checked to the line. From a
spec and a seed, `populate` makes a whole day in advance: who orders from whom, where and when, and
which courier works when and falls silent when. So every policy can be tried on the same day.
"""

import re
import tomllib
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct, structs

from geo.point import Floats, Point, gap_m

SPEC_BYTES_MAX = 100_000
OVERHANG_S = 3_600.0
"""How long after closing the last couriers are still on shift."""

type Positive = Annotated[float, Meta(gt=0, le=1_000_000)]
type NotNegative = Annotated[float, Meta(ge=0, le=1_000_000)]
type Fraction = Annotated[float, Meta(ge=0, le=1)]


class BadSpec(ValueError):
    """A city that cannot be simulated; the message names the file, the line and the mend."""


class Peak(Struct, frozen=True, forbid_unknown_fields=True):
    """A time at which many are hungry: its middle, its spread, and its share of the day."""

    hour: Annotated[float, Meta(ge=0, le=48)]
    spread_h: Positive
    weight: Positive


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A city. Distances are as the crow flies, times `detour` on the road."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    radius_km: Annotated[float, Meta(gt=0, le=100)] = 5.0
    restaurants: Annotated[int, Meta(ge=1, le=20_000)] = 120
    quarters: Annotated[int, Meta(ge=1, le=500)] = 7
    """Centres around which restaurants cluster."""
    couriers: Annotated[int, Meta(ge=1, le=100_000)] = 120
    orders: Annotated[int, Meta(ge=1, le=1_000_000)] = 800
    opens_h: Annotated[float, Meta(ge=0, le=24)] = 10.0
    hours: Annotated[float, Meta(gt=0, le=48)] = 12.0
    peaks: Annotated[tuple[Peak, ...], Meta(min_length=1, max_length=24)] = (
        Peak(12.5, 0.9, 0.35),
        Peak(19.0, 1.3, 0.65),
    )
    speed_kmh: Annotated[float, Meta(ge=1, le=150)] = 16.0
    detour: Annotated[float, Meta(ge=1, le=5)] = 1.3
    reach_km: Positive = 4.0
    """Customers order from restaurants about this near."""
    prep_min: Positive = 14.0
    """A restaurant's usual preparation time, on average over restaurants."""
    prep_spread_min: NotNegative = 4.0
    """How much restaurants differ in that."""
    prep_error_min: NotNegative = 4.0
    """How far a meal is from what its kitchen said."""
    promise_slack_min: NotNegative = 18.0
    """The customer is promised preparation plus the ride plus this."""
    reject_share: Fraction = 0.01
    decline_share: Fraction = 0.06
    ignore_share: Fraction = 0.02
    thinks_s: tuple[NotNegative, NotNegative] = (2.0, 12.0)
    quiet_per_shift: NotNegative = 0.15
    """How often a courier's phone falls silent in a shift."""
    quiet_min: Positive = 6.0
    pace_sd: Annotated[float, Meta(ge=0, le=1)] = 0.12
    shift_h: tuple[Positive, Positive] = (3.0, 6.0)
    load_max: Annotated[int, Meta(ge=1, le=100)] = 6


CITIES = {
    spec.name: spec
    for spec in (
        Spec(
            name="evening",
            opens_h=17.0,
            hours=4.0,
            peaks=(Peak(19.0, 0.9, 1.0),),
            couriers=105,
            orders=620,
            shift_h=(2.5, 4.0),
        ),
        Spec(name="town", radius_km=3.0, restaurants=45, quarters=3, couriers=40, orders=300),
        Spec(name="metro", radius_km=7.0, restaurants=250, couriers=400, orders=3_000),
    )
}


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


def find_spec(name: str) -> Spec:
    """Return the city of that name, or the one in that TOML file; raises BadSpec."""
    if name in CITIES:
        return CITIES[name]
    path = Path(name)
    if path.suffix != ".toml" or not path.is_file():
        cities = ", ".join(CITIES)
        raise BadSpec(f"{name}: no such city; name one of {cities}, or a .toml file that is there")
    return read_spec(path)


def read_spec(path: Path) -> Spec:
    """Read and check a spec; raises BadSpec with the line that is wrong."""
    try:
        if path.stat().st_size > SPEC_BYTES_MAX:
            raise BadSpec(f"{path}: larger than {SPEC_BYTES_MAX} bytes; is it a city?")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSpec(f"{path}: cannot be read as text: {error}") from error
    try:
        return checked(msgspec.convert(tomllib.loads(text), Spec))
    except tomllib.TOMLDecodeError as error:
        raise BadSpec(f"{path}, line {_line_in(str(error))}: {error}") from error
    except (msgspec.ValidationError, BadSpec) as error:
        raise BadSpec(f"{path}, line {_line_of(text, str(error))}: {error}") from error


def with_options(
    spec: Spec, *, couriers: int | None, orders: int | None, hours: float | None
) -> Spec:
    """Return the spec with what the command line says instead; raises BadSpec."""
    said = {"couriers": couriers, "orders": orders, "hours": hours}
    changes = {name: value for name, value in said.items() if value is not None}
    try:
        return checked(msgspec.convert(structs.asdict(spec) | changes, Spec))
    except msgspec.ValidationError as error:
        raise BadSpec(f"the city {spec.name!r} with your options: {error}") from error


def checked(spec: Spec) -> Spec:
    """Return the spec if its fields fit each other; raises BadSpec naming the field first."""
    if spec.shift_h[0] > spec.shift_h[1]:
        raise BadSpec("Object contains a shift whose least is above its most - at `$.shift_h`")
    if spec.thinks_s[0] > spec.thinks_s[1]:
        raise BadSpec("Object contains thinking whose least is above its most - at `$.thinks_s`")
    if spec.decline_share + spec.ignore_share > 1:
        raise BadSpec("declines and ignored offers are over 1 together - at `$.decline_share`")
    return spec


def _line_in(complaint: str) -> str:
    """Return the line that the parser's complaint names; the last one when it names the end."""
    named = re.search(r"at line (\d+)", complaint)
    return named.group(1) if named else "the last"


def _line_of(text: str, message: str) -> int:
    """Return the line of the field that a message names, 1 when it is about the whole file."""
    named = re.search(r"\$\.(\w+)|field `(\w+)`", message)
    field = next((group for group in named.groups() if group), "") if named else ""
    starts = re.compile(rf"\s*(\[+\s*)?{re.escape(field)}\s*(=|\])")
    lines = enumerate(text.splitlines(), start=1)
    return next((number for number, line in lines if field and starts.match(line)), 1)


def populate(spec: Spec, seed: int) -> Population:
    """Return the day of this city that belongs to `seed`."""
    streams = np.random.default_rng(seed).spawn(3)
    restaurants = _restaurants(spec, streams[0])
    return Population(
        restaurants=restaurants,
        couriers=_couriers(spec, streams[1], restaurants),
        orders=_orders(spec, streams[2], restaurants),
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
    spec: Spec, rng: np.random.Generator, restaurants: Sequence[Restaurant]
) -> tuple[Order, ...]:
    placed_s = np.sort(_hungry_s(spec, rng, spec.orders))
    chosen = rng.choice(len(restaurants), size=spec.orders, p=_popularity(rng, len(restaurants)))
    away_m = 1000 * spec.reach_km * np.sqrt(rng.random(spec.orders))
    angle = 2 * np.pi * rng.random(spec.orders)
    orders: list[Order] = []
    for i in range(spec.orders):
        restaurant = restaurants[int(chosen[i])]
        dropoff = Point(
            restaurant.point.x_m + float(away_m[i] * np.cos(angle[i])),
            restaurant.point.y_m + float(away_m[i] * np.sin(angle[i])),
        )
        ride_s = gap_m(restaurant.point, dropoff) * spec.detour / (spec.speed_kmh / 3.6)
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


def _popularity(rng: np.random.Generator, count: int) -> Floats:
    """Return each restaurant's share of the orders: a few are asked for by many."""
    weights = rng.pareto(2.0, count) + 0.3
    return weights / weights.sum()
