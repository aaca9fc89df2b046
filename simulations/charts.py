"""Charts in inline SVG: lines over time, columns, and what they have in common.

A chart is told what to draw in plain numbers and labels, and knows nothing of days. It takes its
colours from the page's style sheet by class, so that light, dark and print each have their own.
What a reader points at shows a readout by style alone; there is no script. Sizes are chosen for a
phone's width, where a chart is shown as large as it is drawn.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import Final

from msgspec import Struct

from simulations.markup import Markup, joined, tag, text

NARROW: Final = 440.0
WIDE: Final = 980.0
_HEIGHT: Final = 230.0
_LEFT: Final = 46.0
_RIGHT: Final = 14.0
_TOP: Final = 26.0
_BOTTOM: Final = 24.0

type AsLabel = Callable[[float], str]


class Notch(Struct, frozen=True):
    """A place on the horizontal axis, as a share of it, and what is written there."""

    share: float
    label: str


class Series(Struct, frozen=True, kw_only=True):
    """A line through values at shares of the horizontal axis; `look` is a class of the sheet."""

    points: Sequence[tuple[float, float]]
    look: str
    is_filled: bool = False


class Column(Struct, frozen=True, kw_only=True):
    """One column: its height, what stands above it, and what is read out."""

    value: float
    label: str = ""
    readout: str = ""


class Readout(Struct, frozen=True):
    """What is said to whoever points at this share of the horizontal axis."""

    share: float
    said: str


class Sheet(Struct, frozen=True):
    """An empty chart: its width, and the value at the top of its vertical axis."""

    width: float
    top: float

    def x(self, share: float) -> float:
        """Return where a share of the horizontal axis is."""
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return where a value of the vertical axis is."""
        return _HEIGHT - _BOTTOM - value / self.top * (_HEIGHT - _TOP - _BOTTOM)


def plain(value: float) -> str:
    """Return a level of an axis as it is written: `1,200`, `2.5`."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def scale(top: float, steps_max: int = 4) -> list[float]:
    """Return round values from 0 up, the last one not below `top`."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / steps_max
    power = 10.0 ** floor(log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * (1 - 1e-9))
    return [step * number for number in range(ceil(top / step - 1e-9) + 1)]


def line_chart(
    said: str,
    series: Sequence[Series],
    notches: Sequence[Notch],
    readouts: Sequence[Readout],
    *,
    width: float = NARROW,
    as_label: AsLabel = plain,
) -> Markup:
    """Return lines and areas on one scale from 0; `said` is what a screen reader says."""
    levels = scale(max((value for one in series for _, value in one.points), default=0.0))
    sheet = Sheet(width, levels[-1])
    return _drawn(
        said,
        sheet,
        _levels(sheet, levels, as_label),
        joined(_line(sheet, one) for one in series),
        _notches(sheet, notches),
        _readouts(sheet, readouts),
    )


def column_chart(
    said: str,
    columns: Sequence[Column],
    notches: Sequence[Notch],
    *,
    rules: Sequence[Notch] = (),
    look: str = "main",
    as_label: AsLabel = plain,
) -> Markup:
    """Return columns side by side on a scale from 0, with labelled rules across them."""
    levels = scale(max((column.value for column in columns), default=0.0))
    sheet = Sheet(NARROW, levels[-1])
    share = 1 / max(1, len(columns))
    middles = [(number + 0.5) * share for number in range(len(columns))]
    return _drawn(
        said,
        sheet,
        _levels(sheet, levels, as_label),
        joined(
            _column(sheet, one, at, share, look) for at, one in zip(middles, columns, strict=True)
        ),
        _rules(sheet, rules),
        _notches(sheet, notches),
        _readouts(
            sheet, [Readout(at, one.readout) for at, one in zip(middles, columns, strict=True)]
        ),
    )


def label(x: float, y: float, said: str, look: str, anchor: str = "start") -> Markup:
    """Return words in a drawing."""
    return tag("text", text(said), x=x, y=y, class_=look, text_anchor=anchor)


def pointed(at: Markup, shown: Markup) -> Markup:
    """Return `at`, which shows `shown` while it is pointed at."""
    return tag("g", at, tag("g", shown, class_="tip"), class_="hit")


def drawing(said: str, width: float, height: float, *inside: Markup) -> Markup:
    """Return the SVG element, with what a screen reader says of it."""
    return tag("svg", *inside, view_box=f"0 0 {width:g} {height:g}", role="img", aria_label=said)


def _drawn(said: str, sheet: Sheet, *inside: Markup) -> Markup:
    return drawing(said, sheet.width, _HEIGHT, *inside)


def _levels(sheet: Sheet, levels: Sequence[float], as_label: AsLabel) -> Markup:
    left, right = sheet.x(0), sheet.x(1)
    return joined(
        part
        for level in levels
        for part in (
            tag("line", x1=left, x2=right, y1=sheet.y(level), y2=sheet.y(level), class_="grid"),
            label(left - 6, sheet.y(level) + 4, as_label(level), "axis", "end"),
        )
    )


def _notches(sheet: Sheet, notches: Sequence[Notch]) -> Markup:
    return joined(
        label(sheet.x(notch.share), _HEIGHT - 6, notch.label, "axis", _anchor(notch.share))
        for notch in notches
    )


def _anchor(share: float) -> str:
    """Where words are held so that those at the ends stay inside."""
    if share <= 0:
        return "start"
    return "end" if share >= 1 else "middle"


def _line(sheet: Sheet, series: Series) -> Markup:
    points = [f"{sheet.x(share):.1f} {sheet.y(value):.1f}" for share, value in series.points]
    if not points:
        return joined(())
    way = "M" + "L".join(points)
    line = tag("path", d=way, class_=f"line {series.look}")
    if not series.is_filled:
        return line
    first, last, floor_y = series.points[0][0], series.points[-1][0], sheet.y(0)
    closed = f"{way}L{sheet.x(last):.1f} {floor_y:.1f}L{sheet.x(first):.1f} {floor_y:.1f}Z"
    return joined((tag("path", d=closed, class_=f"area {series.look}"), line))


def _column(sheet: Sheet, column: Column, middle: float, share: float, look: str) -> Markup:
    gap = min(22.0, (sheet.x(share) - sheet.x(0)) * 0.2)
    left, right = sheet.x(middle - share / 2) + gap / 2, sheet.x(middle + share / 2) - gap / 2
    top = sheet.y(column.value)
    bar = tag(
        "rect",
        x=left,
        y=top,
        width=right - left,
        height=max(0.0, sheet.y(0) - top),
        rx=min(3.0, (right - left) / 4),
        class_=f"bar {look}",
    )
    if not column.label:
        return bar
    return joined((bar, label((left + right) / 2, top - 5, column.label, "value", "middle")))


def _rules(sheet: Sheet, rules: Sequence[Notch]) -> Markup:
    """Each rule's words stand beside it, one line lower than those of the rule before."""
    drawn: list[Markup] = []
    for number, rule in enumerate(rules):
        x, y = sheet.x(rule.share), _TOP + 2 + 14 * number
        drawn += (
            tag("line", x1=x, x2=x, y1=y - 10, y2=sheet.y(0), class_="rule"),
            label(x + 5, y, rule.label, "value"),
        )
    return joined(drawn)


def _readouts(sheet: Sheet, readouts: Sequence[Readout]) -> Markup:
    """A strip of the chart for each readout, reaching half way to its neighbours."""
    shares = [readout.share for readout in readouts]
    middles = [(low + high) / 2 for low, high in pairwise(shares)]
    lefts, rights = [0.0, *middles], [*middles, 1.0]
    return joined(
        _strip(sheet, readout, sheet.x(left), sheet.x(right))
        for readout, left, right in zip(readouts, lefts, rights, strict=False)
    )


def _strip(sheet: Sheet, readout: Readout, left: float, right: float) -> Markup:
    at = sheet.x(readout.share)
    strip = tag("rect", x=left, y=0, width=max(0.0, right - left), height=_HEIGHT, class_="strip")
    mark = tag("line", x1=at, x2=at, y1=_TOP - 8, y2=sheet.y(0), class_="mark")
    return pointed(strip, joined((mark, label(sheet.x(0), 12, readout.said, "readout"))))
