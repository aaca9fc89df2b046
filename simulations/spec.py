"""What is to be simulated: a city's size, its kitchens, its couriers' manners, its hungry hours.

A spec is one of `CITIES` by name, a TOML file with the same fields, checked to the line, or a city
folder, whose real restaurants, doors and streets take the place of made-up ones.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from geo.travel import Lookup
from streets.folder import CITY, BadFolder, load_city
from streets.roads import Vehicle

SPEC_BYTES_MAX = 100_000

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
    """A city. Distances are as the crow flies, times `detour` on the road.

    With a `folder` they are those of its streets, which are as fast as its map says: `quarters`,
    `speed_kmh` and `detour` then say nothing, and `radius_km` is how far from where they are
    densest its restaurants take part.
    """

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
    folder: Annotated[str, Meta(max_length=1_000)] = ""
    """A folder made by `dispatch city import`: its streets, restaurants and doors."""
    vehicle: Vehicle = Vehicle.BICYCLE
    """How couriers go on the streets of a folder."""
    lookup: Lookup = Lookup.TABLE
    """How the planner looks times on those streets up; couriers take what they really take."""


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


def find_spec(name: str) -> Spec:
    """Return the city of that name, in that TOML file or that folder; raises BadSpec."""
    if name in CITIES:
        return CITIES[name]
    path = Path(name)
    if path.is_dir():
        return spec_of(path)
    if path.suffix != ".toml" or not path.is_file():
        cities = ", ".join(CITIES)
        raise BadSpec(
            f"{name}: no such city; name one of {cities}, a .toml file or a city folder there is"
        )
    return read_spec(path)


def spec_of(folder: Path) -> Spec:
    """Return a usual day in a city folder; raises BadSpec."""
    try:
        city = load_city(folder)
    except BadFolder as error:
        raise BadSpec(f"{folder} cannot be simulated: {error}") from error
    count = min(max(1, city.counts.restaurants), Spec(name="usual").restaurants)
    return Spec(name=city.name[:80], folder=str(folder), restaurants=count)


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
    if spec.folder and not (Path(spec.folder) / CITY).is_file():
        raise BadSpec(f"{spec.folder} is no city folder; `dispatch city import` - at `$.folder`")
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
