"""Opening hours as the map writes them, and the weekly hours that they come to.

The map's notation (wiki, "Key:opening_hours") has a grammar of pages. What is read here is what
nearly every restaurant uses: rules parted by `;`, each with days (`Mo-Fr`, `Sa,Su`) and times
(`11:00-15:00,18-23`, `22:00-02:00`, `11:00+` until midnight), or `off`; and `24/7`. A later
rule takes the place of an earlier one on the days it names; after a comma it adds to it. Public
holidays (`PH`) are of no week and left aside. Anything else (seasons, dates, sunset, comments) is
not guessed at: the text is kept and the week is unknown.
"""

import re

from dispatch.hours import DAY_MINUTES, SPANS_MAX, Span, Spans

type Week = tuple[Spans, ...]
type _Days = frozenset[int]

TEXT_MAX = 255

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_EVERY_DAY: _Days = frozenset(range(7))
_HOLIDAYS = frozenset({"PH", "SH"})
_DAY = f"(?:{'|'.join(_DAYS)}|PH|SH)"
_SELECTOR = re.compile(rf"{_DAY}(?:\s*-\s*{_DAY})?(?:\s*,\s*{_DAY}(?:\s*-\s*{_DAY})?)*")
_TIME = r"(\d{1,2})(?:[:.](\d{2}))?"
_SPAN = re.compile(rf"{_TIME}\s*(?:-\s*{_TIME}|(\+))")
_CLOSED = frozenset({"off", "closed"})
_NEW_DAYS = re.compile(rf"(?<=[\d+fd])\s?,\s?(?={_DAY})")
"""A comma after a time and before a day; between days it only parts them."""
_LATEST = 2 * DAY_MINUTES
"""`26:00` is two in the morning; nobody writes an hour beyond `48:00`."""


def week_of(text: str) -> Week | None:
    """Return the hours of a week, Monday first; None when there are none or they are not plain."""
    plain = " ".join(text.replace("\N{EN DASH}", "-").split())
    if not plain or len(plain) > TEXT_MAX:
        return None
    days: list[list[Span]] | None = [[] for _ in _DAYS]
    for rule in filter(None, (rule.strip() for rule in plain.split(";"))):
        days = _after_rule(days, rule)
        if days is None:
            return None
    return _week(days)


def _after_rule(days: list[list[Span]], rule: str) -> list[list[Span]] | None:
    """Return the week when this rule has been read; None when it is not understood."""
    after = list(days)
    for place, part in enumerate(_NEW_DAYS.split(rule)):
        read = _part(part.strip())
        if read is None:
            return None
        which, spans = read
        for day in which:
            after[day] = after[day] + spans if place else list(spans)
    return after


def _part(part: str) -> tuple[_Days, list[Span]] | None:
    """Return the days and times of a rule without further days after a comma."""
    if part == "24/7":
        return _EVERY_DAY, [Span(0, DAY_MINUTES)]
    selector = _SELECTOR.match(part)
    days = _selected(selector.group()) if selector else _EVERY_DAY
    spans = _times(part[selector.end() if selector else 0 :].strip(" :"))
    return None if spans is None else (days, spans)


def _selected(selector: str) -> _Days:
    days = set[int]()
    for piece in selector.replace(" ", "").split(","):
        first, _, last = piece.partition("-")
        if first in _HOLIDAYS or last in _HOLIDAYS:
            continue
        begin = _DAYS.index(first)
        days.update(
            (begin + ahead) % 7 for ahead in range((_DAYS.index(last or first) - begin) % 7 + 1)
        )
    return frozenset(days)


def _times(text: str) -> list[Span] | None:
    if text in _CLOSED:
        return []
    if text in {"", "open"}:
        return [Span(0, DAY_MINUTES)]
    spans = [_span(piece.strip()) for piece in text.split(",")]
    known = [span for span in spans if span is not None]
    return known if len(known) == len(spans) else None


def _span(text: str) -> Span | None:
    """Return a span; one that ends before it begins ends on the next day."""
    found = _SPAN.fullmatch(text)
    if found is None:
        return None
    hour, minute, end_hour, end_minute, is_open_ended = found.groups()
    opens = _minute(hour, minute)
    closes = DAY_MINUTES if is_open_ended else _minute(end_hour, end_minute)
    if opens is None or closes is None or opens >= DAY_MINUTES:
        return None
    if closes <= opens:
        closes += DAY_MINUTES
    return Span(opens, closes) if closes <= opens + DAY_MINUTES else None


def _minute(hour: str, minute: str | None) -> int | None:
    past = int(minute or 0)
    at = int(hour) * 60 + past
    return at if past < 60 and at <= _LATEST else None  # noqa: PLR2004


def _week(days: list[list[Span]]) -> Week | None:
    """Return the days with their spans in order; None when nothing is ever open, or too often."""
    if not any(days) or any(len(day) > SPANS_MAX for day in days):
        return None
    return tuple(tuple(sorted(set(day))) for day in days)
