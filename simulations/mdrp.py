"""Public instances of the Meal Delivery Routing Problem: reading them, and the log of a day.

An instance is a folder of four tab-separated files (`couriers.txt`, `orders.txt`,
`restaurants.txt`, `instance_parameters.txt`), in whole metres and minutes. Files come from anybody,
so every line is checked, and what is wrong is said with file and line. The log is one JSON object a
line, as the problem's evaluators read it: who moves where, which bundle is settled, what was picked
up and dropped off, times in minutes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path

import msgspec
from msgspec import Struct

FILE_BYTES_MAX = 64 * 1024 * 1024
SHOWN_MAX = 40
"""Characters of a cell that a message shows."""
NUMBER_MAX = 1e7
MINUTE_MAX = 7 * 24 * 60.0
"""A day has one night after it; later than a week from its midnight is a slip of the pen."""
METRES_PER_MIN_MIN = 1.0


class BadInstance(ValueError):
    """An instance that cannot be read; the message names the file, the line and the mend."""


class Courier(Struct, frozen=True):
    """A courier of an instance: where he starts, and his shift in minutes."""

    id: str
    x_m: float
    y_m: float
    on_min: float
    off_min: float


class Order(Struct, frozen=True):
    """An order of an instance; it and its ready time become known when it is placed."""

    id: str
    x_m: float
    y_m: float
    placed_min: float
    restaurant: str
    ready_min: float


class Restaurant(Struct, frozen=True):
    """A restaurant of an instance."""

    id: str
    x_m: float
    y_m: float


class Parameters(Struct, frozen=True):
    """The rules' numbers; service minutes are spent half before and half after the handover."""

    metres_per_min: float
    pickup_min: float
    dropoff_min: float
    target_min: float
    maximum_min: float
    pay_per_order: float
    pay_per_hour: float


class Instance(Struct, frozen=True, kw_only=True):
    """One day of one city."""

    name: str
    parameters: Parameters
    restaurants: tuple[Restaurant, ...]
    couriers: tuple[Courier, ...]
    orders: tuple[Order, ...]


class _Row:
    """One line of a table, which knows where it stands when something in it is wrong."""

    def __init__(self, path: Path, line: int, cells: Mapping[str, str]) -> None:
        self._path, self._line, self._cells = path, line, cells

    def wrong(self, why: str) -> BadInstance:
        return BadInstance(f"{self._path}, line {self._line}: {why}")

    def name(self, column: str) -> str:
        if not (cell := self._cells[column]):
            raise self.wrong(f"the column {column!r} is empty; every {column} needs an id")
        return cell

    def number(self, column: str) -> float:
        cell = self._cells[column]
        try:
            value = float(cell)
        except ValueError:
            raise self.wrong(f"{column} must be a number, not {_shown(cell)}") from None
        if not isfinite(value) or abs(value) > NUMBER_MAX:
            raise self.wrong(f"{column} must lie within ±{NUMBER_MAX:.0f}, not {_shown(cell)}")
        return value

    def amount(self, column: str) -> float:
        if (value := self.number(column)) < 0:
            raise self.wrong(f"{column} must not be negative, but is {value:g}")
        return value

    def minute(self, column: str) -> float:
        if (value := self.amount(column)) > MINUTE_MAX:
            raise self.wrong(f"{column} must be at most {MINUTE_MAX:.0f} minutes, not {value:g}")
        return value


_COURIER_COLUMNS = ("courier", "x", "y", "on_time", "off_time")
_ORDER_COLUMNS = ("order", "x", "y", "placement_time", "restaurant", "ready_time")
_RESTAURANT_COLUMNS = ("restaurant", "x", "y")
_PARAMETER_COLUMNS = (
    "meters_per_minute",
    "pickup service minutes",
    "dropoff service minutes",
    "target click-to-door",
    "maximum click-to-door",
    "pay per order",
    "guaranteed pay per hour",
)


def instances(folder: Path) -> list[Path]:
    """Return the instance folders at or right below `folder`, by name; none raises BadInstance."""
    if not folder.is_dir():
        raise BadInstance(f"{folder}: there is no such folder; unpack the instances and name it")
    if (folder / "orders.txt").is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/orders.txt"))
    if not found:
        raise BadInstance(f"{folder}: no instance here; one is a folder that holds orders.txt")
    return found


def read_instance(folder: Path) -> Instance:
    """Read and check one instance; raises BadInstance."""
    named = dict[str, str]()
    restaurants = tuple(
        _unique(folder / "restaurants.txt", _RESTAURANT_COLUMNS, _restaurant, named)
    )
    couriers = tuple(_unique(folder / "couriers.txt", _COURIER_COLUMNS, _courier, named))
    known = frozenset(restaurant.id for restaurant in restaurants)
    orders = tuple(
        _unique(folder / "orders.txt", _ORDER_COLUMNS, lambda row: _order(row, known), named)
    )
    if not couriers:
        raise BadInstance(f"{folder / 'couriers.txt'}, line 2: there must be at least one courier")
    return Instance(
        name=folder.resolve().name,
        parameters=_parameters(folder / "instance_parameters.txt"),
        restaurants=restaurants,
        couriers=couriers,
        orders=orders,
    )


def _unique[R: Courier | Order | Restaurant](
    path: Path, columns: tuple[str, ...], read: Callable[[_Row], R], named: dict[str, str]
) -> Iterator[R]:
    """Yield what `read` makes of each row, and refuse an id that anything had before.

    `named` tells what each id names so far, in all files, and is added to.
    """
    for row in _rows(path, columns):
        one = read(row)
        if before := named.get(one.id):
            again = "is there twice" if before == columns[0] else f"is the id of a {before} too"
            raise row.wrong(f"the {columns[0]} {_shown(one.id)} {again}; ids must be unique")
        named[one.id] = columns[0]
        yield one


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[_Row]:
    lines = _lines(path)
    header = lines[0].split("\t") if lines else []
    for column in header:
        if column not in columns:
            raise BadInstance(
                f"{path}, line 1: unknown column {_shown(column)}; expected {_list(columns)}"
            )
    for column in columns:
        if header.count(column) != 1:
            raise BadInstance(f"{path}, line 1: the column {column!r} must be there once")
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise BadInstance(
                f"{path}, line {number}: {len(cells)} cells, but the header has {len(header)}"
            )
        yield _Row(path, number, dict(zip(header, cells, strict=True)))


def _shown(text: str) -> str:
    """Return what a file says as a message may show it, however long it is."""
    return repr(text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}...")


def _list(columns: Iterable[str]) -> str:
    return ", ".join(columns)


def _lines(path: Path) -> list[str]:
    try:
        if path.exists() and not path.is_file():
            raise BadInstance(f"{path}: not a file")
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadInstance(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB; is it an instance?")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise BadInstance(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BadInstance(f"{path}, line {line}: not text in UTF-8") from error
    return text.splitlines()


def _courier(row: _Row) -> Courier:
    courier = Courier(
        row.name("courier"),
        row.number("x"),
        row.number("y"),
        row.minute("on_time"),
        row.minute("off_time"),
    )
    if courier.off_min < courier.on_min:
        raise row.wrong(f"off_time {courier.off_min:g} is before on_time {courier.on_min:g}")
    return courier


def _order(row: _Row, restaurants: frozenset[str]) -> Order:
    order = Order(
        row.name("order"),
        row.number("x"),
        row.number("y"),
        row.minute("placement_time"),
        row.name("restaurant"),
        row.minute("ready_time"),
    )
    if order.restaurant not in restaurants:
        raise row.wrong(f"the restaurant {_shown(order.restaurant)} is not in restaurants.txt")
    if order.ready_min < order.placed_min:
        raise row.wrong(
            f"ready_time {order.ready_min:g} is before placement_time {order.placed_min:g}"
        )
    return order


def _restaurant(row: _Row) -> Restaurant:
    return Restaurant(row.name("restaurant"), row.number("x"), row.number("y"))


def _parameters(path: Path) -> Parameters:
    rows = list(_rows(path, _PARAMETER_COLUMNS))
    if len(rows) != 1:
        raise BadInstance(f"{path}, line 2: one line of parameters is expected, not {len(rows)}")
    parameters = Parameters(*(rows[0].amount(column) for column in _PARAMETER_COLUMNS))
    if parameters.metres_per_min < METRES_PER_MIN_MIN:
        raise rows[0].wrong("meters_per_minute must be 1 or more, or nobody ever arrives")
    return parameters


class Log:
    """What a policy did, in the words of the problem, one JSON object a line."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def move(self, minute: float, courier: str, restaurant: str) -> None:
        """A courier sets out for a restaurant, to collect there or to wait."""
        self._add({"ev": "move", "t": minute, "courier": courier, "to": restaurant})

    def pickup(self, minute: float, courier: str, orders: tuple[str, ...]) -> None:
        """A courier has a bundle in the bag, which thereby is settled, in drop-off order."""
        settled = {"t": minute, "courier": courier, "orders": list(orders)}
        self._add({"ev": "assign", **settled})
        self._add({"ev": "pickup", **settled})

    def dropoff(self, minute: float, courier: str, order: str) -> None:
        """A customer has an order."""
        self._add({"ev": "dropoff", "t": minute, "courier": courier, "order": order})

    def to_bytes(self) -> bytes:
        """Return the log as JSON lines."""
        return b"".join(line + b"\n" for line in self._lines)

    def _add(self, event: Mapping[str, object]) -> None:
        self._lines.append(msgspec.json.encode(event))
