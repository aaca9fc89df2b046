"""What there is to see of a simulated city at one instant, and how it is drawn with characters.

A `Scene` is a frozen value that the simulation makes; `picture` draws it to fill a terminal, `line`
says it in one line for where there is none. Both are pure: when and how often they are shown is the
business of `simulations.live`. Who is where is told by the glyph as well as by the colour.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final, Self

from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dispatch.ids import Instant, elapsed_s
from simulations import wording
from simulations.day import RoundRecord, Sample, Setting, Tally
from simulations.glyphs import Canvas, bar, spark
from simulations.measures import Unit

EVENTS_MAX: Final = 5
_PANEL_WIDTH: Final = 27
_WIDTH_MIN: Final = _PANEL_WIDTH + 24
_CHARACTERS_PER_MARK: Final = 8
_EDGE_M: Final = 200.0


class Activity(IntEnum):
    """What a courier is about; the higher is drawn over the lower."""

    QUIET = 1
    IDLE = 2
    TO_PICKUP = 3
    LOADED = 4


class Spot(Struct, frozen=True):
    """A place, in metres east and north of the city's origin."""

    x_m: float
    y_m: float


class CourierSpot(Struct, frozen=True):
    """Where a courier is, and what he is about."""

    x_m: float
    y_m: float
    activity: Activity


class Scene(Struct, frozen=True, kw_only=True):
    """The city at one instant."""

    setting: Setting
    at: Instant
    ends_at: Instant
    speed: float
    """Virtual seconds by real seconds, lately."""
    tally: Tally
    couriers: tuple[CourierSpot, ...]
    """Those on shift, or a fair sample of them."""
    waiting: tuple[Spot, ...] = ()
    """The restaurants of orders that have no courier."""
    events: tuple[str, ...] = ()
    """What was just said, in sentences, the latest last."""
    last_round: RoundRecord | None = None
    samples: tuple[Sample, ...] = ()


class Extent(Struct, frozen=True):
    """The part of the plane that a map shows. It only grows, so that the map stands still."""

    west_m: float
    south_m: float
    east_m: float
    north_m: float

    def around(self, spots: Sequence[Spot | CourierSpot]) -> Self:
        """Return the extent that holds the spots too, with an edge where it had to grow."""
        return type(self)(
            min([self.west_m, *(spot.x_m - _EDGE_M for spot in spots if spot.x_m < self.west_m)]),
            min([self.south_m, *(spot.y_m - _EDGE_M for spot in spots if spot.y_m < self.south_m)]),
            max([self.east_m, *(spot.x_m + _EDGE_M for spot in spots if spot.x_m > self.east_m)]),
            max([self.north_m, *(spot.y_m + _EDGE_M for spot in spots if spot.y_m > self.north_m)]),
        )


NOWHERE: Final = Extent(0.0, 0.0, 0.0, 0.0)


class _Look(Struct, frozen=True):
    """How one kind of thing on the map is drawn and called."""

    glyph: str
    style: str
    name: str


_RESTAURANT: Final = 0
_WAITING: Final = 5
_LOOKS: Final = {
    _RESTAURANT: _Look("∙", "bright_black", "restaurants"),
    Activity.QUIET: _Look("×", "red", "quiet"),  # noqa: RUF001 - a cross is meant.
    Activity.IDLE: _Look("○", "white", "idle"),
    Activity.TO_PICKUP: _Look("◐", "yellow", "to a pickup"),
    Activity.LOADED: _Look("●", "green", "with food"),
    _WAITING: _Look("◆", "bold magenta", "without courier"),
}


def line(scene: Scene) -> str:
    """Return the scene in one line."""
    tally = scene.tally
    parts = (
        wording.clock(scene.at, scene.setting.utc_offset_s),
        f"{tally.placed:,} placed",
        f"{tally.delivered:,} delivered",
        f"{tally.open_orders:,} open",
        f"{tally.waiting:,} without courier",
        f"{tally.lost:,} lost",
        f"click to door {wording.in_unit(tally.click_to_door_s_mean, Unit.WAIT)}",
        f"{wording.in_unit(scene.speed, Unit.RATIO)} times real time",
    )
    return "  ".join(parts)


def picture(scene: Scene, extent: Extent, width: int, height: int) -> RenderableType:
    """Return the scene drawn to fill `width` by `height` characters; too small a one has no map."""
    head = _head(scene, width)
    panel = list(_panel(scene))
    said = min(EVENTS_MAX, max(0, height - 3 - len(panel)))
    rows = height - 3 - said
    if width < _WIDTH_MIN or rows < len(panel):
        return Group(head, "", *panel[: max(0, height - 2)])
    table = Table.grid(padding=0)
    table.add_column(width=width - _PANEL_WIDTH - 2, no_wrap=True)
    table.add_column(width=2)
    table.add_column(width=_PANEL_WIDTH, no_wrap=True)
    city = _map(scene, extent, width - _PANEL_WIDTH - 2, rows)
    table.add_row(Group(*city), "", Group(*panel))
    events = scene.events[-said:] if said else ()
    return Group(head, "", table, "", *(_cropped(event) for event in events))


def _cropped(said: str) -> Text:
    return Text(wording.printable(said), no_wrap=True, overflow="ellipsis")


def _head(scene: Scene, width: int) -> Text:
    """The city, the time of day, how much of the day is over, and how fast it goes."""
    setting = scene.setting
    whole_s = elapsed_s(setting.starts_at, scene.ends_at) or 1.0
    share = elapsed_s(setting.starts_at, scene.at) / whole_s
    policy = wording.printable(setting.policy)
    speed = f"{wording.in_unit(scene.speed, Unit.RATIO)} times real time, {policy}"
    room = max(0, width - len(speed) - 26)
    city = wording.printable(setting.city)
    city = city if len(city) <= room else city[: max(0, room - 1)] + "…"
    return Text.assemble(
        (wording.clock(scene.at, setting.utc_offset_s), "bold"),
        " ",
        (bar(share, 16), "cyan on bright_black"),
        "  ",
        (f"{city:{room}}", "bold"),
        " ",
        (speed, "dim"),
        no_wrap=True,
        overflow="crop",
    )


def _panel(scene: Scene) -> Iterator[Text]:
    tally = scene.tally
    ended = tally.delivered or 1
    yield _row("Placed", f"{tally.placed:,}")
    yield _row("Delivered", f"{tally.delivered:,}")
    yield _row("  of them late", wording.in_unit(tally.late / ended, Unit.SHARE))
    yield _row("Lost", f"{tally.lost:,}")
    yield _row("Click to door", wording.in_unit(tally.click_to_door_s_mean, Unit.WAIT))
    yield Text()
    yield _row("Open", f"{tally.open_orders:,}")
    yield _spark([sample.open_orders for sample in scene.samples])
    yield _row("Couriers busy", _busy(scene))
    yield _spark([sample.busy for sample in scene.samples])
    yield from _round(scene.last_round)
    yield from _legend(scene)


def _row(label: str, value: str) -> Text:
    return Text.assemble(label, (f"{value:>{_PANEL_WIDTH - len(label)}}", "bold"), no_wrap=True)


def _spark(values: Sequence[int]) -> Text:
    return Text(spark(values, _PANEL_WIDTH), style="cyan", no_wrap=True)


def _busy(scene: Scene) -> str:
    if not scene.samples:
        return wording.ABSENT
    last = scene.samples[-1]
    return f"{last.busy:,} of {last.on_shift:,}"


def _round(last: RoundRecord | None) -> Iterator[Text]:
    took = wording.in_unit(last.took_ms if last else None, Unit.MILLISECONDS)
    yield _row("Last round", took)


def _legend(scene: Scene) -> Iterator[Text]:
    """What the glyphs mean, with how many there are of each."""
    counts = dict.fromkeys(_LOOKS, 0)
    counts[_RESTAURANT], counts[_WAITING] = len(scene.setting.restaurants), scene.tally.waiting
    for courier in scene.couriers:
        counts[courier.activity] += 1
    yield Text()
    for layer, look in reversed(_LOOKS.items()):
        glyph = (look.glyph, look.style)
        count = (f"{counts[layer]:>{_PANEL_WIDTH - 2 - len(look.name)},}", "bold")
        yield Text.assemble(glyph, f" {look.name}", count, no_wrap=True)


def _map(scene: Scene, extent: Extent, width: int, height: int) -> list[Text]:
    """Return the city's lines: a glyph for each courier, or dots where there are too many."""
    canvas = Canvas(width, height)
    place = _Placing(extent, *canvas.dots)
    has_marks = len(scene.couriers) * _CHARACTERS_PER_MARK <= width * height
    for restaurant in scene.setting.restaurants:
        canvas.dot(*place(restaurant.x_m, restaurant.y_m), _RESTAURANT)
    for courier in scene.couriers:
        at = place(courier.x_m, courier.y_m)
        if has_marks:
            canvas.mark(*at, courier.activity, _LOOKS[courier.activity].glyph)
        else:
            canvas.dot(*at, courier.activity)
    for spot in scene.waiting:
        canvas.mark(*place(spot.x_m, spot.y_m), _WAITING, _LOOKS[_WAITING].glyph)
    return [
        Text.assemble(*((drawn, _LOOKS[layer].style if layer >= 0 else "") for drawn, layer in row))
        for row in canvas.runs()
    ]


class _Placing:
    """Fits an extent into dots, as large as it goes, centred, metres equally long both ways."""

    def __init__(self, extent: Extent, across: int, down: int) -> None:
        wide_m = (extent.east_m - extent.west_m) or 1.0
        high_m = (extent.north_m - extent.south_m) or 1.0
        self._dots_per_m = min((across - 1) / wide_m, (down - 1) / high_m)
        self._left = (across - 1 - wide_m * self._dots_per_m) / 2 - extent.west_m * self._dots_per_m
        self._top = (down - 1 - high_m * self._dots_per_m) / 2 + extent.north_m * self._dots_per_m

    def __call__(self, x_m: float, y_m: float) -> tuple[int, int]:
        """Return the dot of a place, across and down."""
        return round(self._left + x_m * self._dots_per_m), round(self._top - y_m * self._dots_per_m)
