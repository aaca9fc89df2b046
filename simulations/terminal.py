"""A day, or one day under several policies, as it is printed in a terminal.

Made for 80 columns, using no more than 100. Nothing that is said here is said by colour alone, so
that a pipe or NO_COLOR loses nothing, and a terminal without Unicode gets its plots from ASCII.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import batched, zip_longest
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from simulations import wording
from simulations.day import Day, click_to_door_s
from simulations.figures import best, bins, by_name, figures, late_by_hour
from simulations.glyphs import ASCII, UNICODE, Glyphs, bar, hill
from simulations.measures import MEASURES, Topic
from simulations.wording import in_ascii

WIDTH_MIN: Final = 56
WIDTH_MAX: Final = 100
_TITLE_WIDTH: Final = 26
_POLICY_WIDTH: Final = 18
_TWO_COLUMNS_WIDTH: Final = 70
_LABEL_WIDTH: Final = 15
_NOTE_WIDTH: Final = 19
_BIN_S: Final = 300
_BINS_MAX: Final = 14
_HOURS_MAX: Final = 24

type Bar = tuple[str, float, str]
"""What a bar is called, how long it is, and the note behind it."""
type Values = Mapping[str, float | None]
"""The figures of a day by their names."""


def show(console: Console, days: Sequence[Day]) -> None:
    """Print one day, or compare several with the first of them."""
    assert days, "no day to show"
    width = max(WIDTH_MIN, min(console.width, WIDTH_MAX))
    is_ascii = console.options.ascii_only
    glyphs = ASCII if is_ascii else UNICODE
    parts = _one(days[0], width, glyphs) if len(days) == 1 else _many(days, width, glyphs)
    with console.capture() as printed:
        for part in parts:
            console.print(part, width=width)
    said = in_ascii(printed.get()) if is_ascii else printed.get()
    console.file.write(said)


def _one(day: Day, width: int, glyphs: Glyphs) -> Iterator[RenderableType]:
    """One day: its verdict, its figures in two columns, and its course as small plots."""
    yield from _headline(day, wording.setting_line(day.setting))
    yield Text(wording.verdict(day), style="italic")
    yield ""
    yield _figures_table(day, width)
    yield ""
    yield from _course(day, width, glyphs)
    yield ""
    yield from _bars("Click to door", _distribution(day), width, glyphs)
    yield ""
    yield from _bars("Delivered late, by the hour promised", _lateness(day), width, glyphs)


def _many(days: Sequence[Day], width: int, glyphs: Glyphs) -> Iterator[RenderableType]:
    """Each figure side by side; in several tables, each with the first day, when they must."""
    policies = ", ".join(wording.printable(day.setting.policy) for day in days)
    yield from _headline(days[0], f"policies {policies}, seed {days[0].setting.seed}")
    yield Text(wording.verdict_of_many(days), style="italic")
    values = [by_name(figures(day)) for day in days]
    fitting = max(1, (width - _TITLE_WIDTH) // _POLICY_WIDTH - 1)
    for others in batched(range(1, len(days)), fitting, strict=False):
        yield ""
        yield _comparison_table(days, values, (0, *others), glyphs)
    yield ""
    base = wording.printable(days[0].setting.policy)
    yield Text(f"{glyphs.best} the best of all; differences are from {base}.", style="dim")


def _headline(day: Day, details: str) -> Iterator[Text]:
    setting = day.setting
    yield Text.assemble(
        (wording.printable(setting.city), "bold"),
        f", {wording.date(setting.starts_at, setting.utc_offset_s)}, {wording.span(day)}",
    )
    orders, couriers = len(day.orders), len(day.couriers)
    size = f"{wording.count(orders, 'order')}, {wording.count(couriers, 'courier')}"
    yield Text(f"{size}, {details}", style="dim")
    yield Text("")


def _figures_table(day: Day, width: int) -> Table:
    table = Table.grid(padding=(0, 1), pad_edge=False)
    for justify in ("left", "right", "left", "left", "right"):
        table.add_column(justify=justify, no_wrap=True, min_width=5)
    values = by_name(figures(day))
    left = [*_topic(values, Topic.CUSTOMERS), ("", ""), *_topic(values, Topic.MACHINE)]
    right = [*_topic(values, Topic.ORDERS), ("", ""), *_topic(values, Topic.COURIERS)]
    if width < _TWO_COLUMNS_WIDTH:
        left, right = [*left, ("", ""), *right], []
    for (title, value), (title_2, value_2) in zip_longest(left, right, fillvalue=("", "")):
        table.add_row(title, value, "", title_2, value_2)
    return table


def _topic(values: Values, topic: Topic) -> Iterator[tuple[RenderableType, RenderableType]]:
    yield Text(topic, style="bold"), ""
    for name, value in values.items():
        if MEASURES[name].topic is topic:
            yield Text(MEASURES[name].title), Text(wording.shown(name, value))


def _course(day: Day, width: int, glyphs: Glyphs) -> Iterator[Text]:
    """How the market stood over the day, each plot on its own scale."""
    if not day.samples:
        return
    samples = day.samples
    yield from _hill("Open orders", [it.open_orders for it in samples], 3, day, width, glyphs)
    yield from _hill("Without courier", [it.waiting for it in samples], 2, day, width, glyphs)
    yield from _hill("Couriers busy", [it.busy for it in samples], 2, day, width, glyphs)
    room = width - _LABEL_WIDTH - _NOTE_WIDTH
    offset_s = day.setting.utc_offset_s
    ends = wording.clock(samples[-1].at, offset_s)
    yield Text(f"{'':{_LABEL_WIDTH}} {wording.clock(samples[0].at, offset_s):{room - 6}}{ends}")


def _hill(
    label: str, values: Sequence[int], height: int, day: Day, width: int, glyphs: Glyphs
) -> Iterator[Text]:
    room = width - _LABEL_WIDTH - _NOTE_WIDTH
    peak = max(values)
    peak_at = day.samples[values.index(peak)].at
    note = f"peak {peak:,} at {wording.clock(peak_at, day.setting.utc_offset_s)}" if peak else ""
    for line in hill(values, room - 1, height, glyphs):
        yield Text.assemble(f"{label:{_LABEL_WIDTH}} ", (line, "cyan"), f" {note}".rstrip())
        label = note = ""


def _distribution(day: Day) -> list[Bar]:
    took_s = [value for order in day.orders if (value := click_to_door_s(order)) is not None]
    counts = bins(took_s, _BIN_S, _BINS_MAX)
    first = next((number for number, count in enumerate(counts) if count), 0)
    return [
        (_minutes(number, is_last=number == _BINS_MAX - 1), count, wording.count(count, "order"))
        for number, count in enumerate(counts)
        if number >= first
    ]


def _minutes(number: int, *, is_last: bool) -> str:
    low = number * _BIN_S // 60
    return f"{low} min and more" if is_last else f"{low} to {low + _BIN_S // 60} min"


def _lateness(day: Day) -> list[Bar]:
    hours = list(late_by_hour(day).items())[:_HOURS_MAX]
    return [
        (
            wording.clock(at, day.setting.utc_offset_s),
            late / delivered,
            f"{100 * late / delivered:.1f} % of {delivered:,}",
        )
        for at, (late, delivered) in hours
    ]


def _bars(title: str, rows: Sequence[Bar], width: int, glyphs: Glyphs) -> Iterator[Text]:
    if not rows:
        return
    yield Text(title, style="bold")
    room = width - _LABEL_WIDTH - _NOTE_WIDTH - 1
    top = max(length for _, length, _ in rows) or 1.0
    for label, length, note in rows:
        drawn = bar(length / top, room, glyphs)
        yield Text.assemble(f"{label:{_LABEL_WIDTH}} ", (drawn, "cyan"), f" {note}")


def _comparison_table(
    days: Sequence[Day], values: Sequence[Values], columns: Sequence[int], glyphs: Glyphs
) -> Table:
    """The figures of the days that `columns` numbers, measured against those of all."""
    table = Table(box=None, padding=(0, 0), pad_edge=False, show_edge=False)
    table.add_column("", width=_TITLE_WIDTH, no_wrap=True)
    for number in columns:
        policy = Text(wording.printable(days[number].setting.policy), style="bold", no_wrap=True)
        table.add_column(policy, justify="right", width=_POLICY_WIDTH, no_wrap=True)
    for topic in Topic:
        table.add_row(Text(topic, style="bold"))
        for name in (name for name, measure in MEASURES.items() if measure.topic is topic):
            cells = list(_cells(name, [one[name] for one in values], glyphs))
            title = Text(f"  {MEASURES[name].title}")
            table.add_row(title, *(cells[number] for number in columns))
    return table


def _cells(name: str, values: Sequence[float | None], glyphs: Glyphs) -> Iterator[Text]:
    """One figure of all days: the best marked, the others with their distance from the first."""
    winner = best(name, values)
    for value in values:
        is_best = winner is not None and value == winner
        change = wording.difference(value, values[0], MEASURES[name].unit)
        mark = glyphs.best if is_best else wording.NBSP
        shown = Text(wording.shown(name, value), style="bold green" if is_best else "")
        yield Text.assemble(shown, mark, (f"{change:{wording.NBSP}>8}", "dim"))
