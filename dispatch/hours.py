"""Opening hours: the hours of a week in a place's own time, and when they begin and end.

A day has spans of minutes since its midnight by the clock on the wall there; one that goes over
midnight closes after minute 1,440. An exception stands for the spans that begin on its date. Spans
that touch are one. The last order is taken `last_order_s` before the kitchen closes, and what is
told here is when orders are taken, not when the lights go out.

When clocks change, a span begins and ends when the clock on the wall first shows its minute or a
later one: a minute that is skipped is when it is skipped, and of one that comes twice the first
counts. Time zones are those of the IANA; a zone's rules are read once and are the same for all.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from dispatch.ids import Instant

DAY_MINUTES = 1_440
SPANS_MAX = 8
EXCEPTIONS_MAX = 64
LAST_ORDER_S_MAX = 4 * 3_600
AHEAD_DAYS_MAX = 400
"""How far ahead a change is looked for, and an exception counts."""
WEEKS_DAYS = 16
"""Within so many days hours that ever change do change, also when clocks swallow a span."""
ZONES_MAX = 256

type Minute = Annotated[int, Meta(ge=0, le=2 * DAY_MINUTES)]


class Span(Struct, frozen=True, order=True):
    """From this minute of the day on, until that one."""

    opens: Minute
    closes: Minute


type Spans = Annotated[tuple[Span, ...], Meta(max_length=SPANS_MAX)]


class ExceptionalDay(Struct, frozen=True):
    """A date on which other hours begin than in other weeks; without spans it is closed."""

    on: date
    spans: Spans = ()


class Hours(Struct, frozen=True, kw_only=True):
    """The hours of a week, Monday first, and the days on which they are others."""

    timezone: Annotated[str, Meta(min_length=1, max_length=64)]
    week: Annotated[tuple[Spans, ...], Meta(min_length=7, max_length=7)]
    exceptions: Annotated[tuple[ExceptionalDay, ...], Meta(max_length=EXCEPTIONS_MAX)] = ()
    last_order_s: Annotated[int, Meta(ge=0, le=LAST_ORDER_S_MAX)] = 0


class Spell(NamedTuple):
    """A time during which orders are taken. Without an end it lasts as far as can be seen."""

    begins_at: Instant
    ends_at: Instant | None


def flaw(hours: Hours) -> str | None:
    """Return what is wrong with the hours, or None."""
    if not is_timezone(hours.timezone):
        return f"{hours.timezone!r} is no time zone of the IANA, such as Europe/Copenhagen"
    days = (*hours.week, *(exception.spans for exception in hours.exceptions))
    if not all(map(_is_span, (span for spans in days for span in spans))):
        return "a span opens on its day and closes later, by at most a day"
    dates = [exception.on for exception in hours.exceptions]
    return "each date has one exception" if len(set(dates)) < len(dates) else None


def _is_span(span: Span) -> bool:
    return 0 <= span.opens < DAY_MINUTES and span.opens < span.closes <= span.opens + DAY_MINUTES


def is_timezone(name: str) -> bool:
    """Tell whether there is a time zone of this name."""
    return _zone(name) is not None


def hour_of(timezone: str, at: Instant) -> int:
    """Return the hour that clocks show then, 0 to 23: by UTC where no zone is named, or unknown."""
    return datetime.fromtimestamp(at / 1_000, _zone(timezone) or UTC).hour


def is_open(hours: Hours, now: Instant) -> bool:
    """Tell whether orders are taken."""
    spell = _next_spell(hours, now)
    return spell is not None and spell.begins_at <= now


def next_change(hours: Hours, now: Instant) -> Instant | None:
    """Return when that changes, after now; None when it does not in the time ahead."""
    spell = _next_spell(hours, now)
    if spell is None:
        return None
    return spell.ends_at if spell.begins_at <= now else spell.begins_at


def _next_spell(hours: Hours, now: Instant) -> Spell | None:
    """Return the present spell, or the next one."""
    return next(
        (one for one in _spells(hours, now) if one.ends_at is None or one.ends_at > now), None
    )


def _spells(hours: Hours, now: Instant) -> Iterator[Spell]:
    """Iterate over the spells from before now on, each as long as spans touch."""
    zone = _zone(hours.timezone)
    assert zone is not None, hours.timezone
    today = datetime.fromtimestamp(now / 1_000, zone).date()
    last = _last_day(hours, today)
    by_date = {exception.on: exception.spans for exception in hours.exceptions}
    begins_at = ends_at = Instant(0)
    day = today - timedelta(days=3)
    while day <= last:
        for span in sorted(by_date.get(day, hours.week[day.weekday()])):
            opens_at = _instant(zone, day, span.opens)
            if opens_at > ends_at:
                yield from _served(hours, begins_at, ends_at)
                begins_at = opens_at
            ends_at = max(ends_at, _instant(zone, day, span.closes))
        day += timedelta(days=1)
    if ends_at > _instant(zone, last, DAY_MINUTES - 1):
        yield Spell(begins_at, None)
    else:
        yield from _served(hours, begins_at, ends_at)


def _served(hours: Hours, begins_at: Instant, ends_at: Instant) -> Iterator[Spell]:
    """Give the spell without the time in which no order is taken any more, if one is left."""
    last_at = Instant(ends_at - hours.last_order_s * 1_000)
    if last_at > begins_at:
        yield Spell(begins_at, last_at)


def _last_day(hours: Hours, today: date) -> date:
    """Return the last day that has to be looked at: after it, the weeks repeat."""
    ahead_max = today + timedelta(days=AHEAD_DAYS_MAX)
    dates = (exception.on for exception in hours.exceptions if exception.on <= ahead_max)
    return max((today, *dates)) + timedelta(days=WEEKS_DAYS)


def _instant(zone: ZoneInfo, day: date, minute: int) -> Instant:
    """Return when the clock on the wall first shows that minute of the day, or a later one."""
    shown = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001
    first_s = int(shown.replace(tzinfo=zone, fold=0).timestamp())
    second_s = int(shown.replace(tzinfo=zone, fold=1).timestamp())
    if second_s < first_s:  # It is skipped; the clocks change somewhere between the two readings.
        first_s = _changed_s(zone, second_s, first_s)
    return Instant(first_s * 1_000)


def _changed_s(zone: ZoneInfo, before_s: int, after_s: int) -> int:
    """Return the second between these two at which the zone's offset becomes the later one."""
    late = datetime.fromtimestamp(after_s, UTC).astimezone(zone).utcoffset()
    while before_s + 1 < after_s:
        middle_s = (before_s + after_s) // 2
        if datetime.fromtimestamp(middle_s, UTC).astimezone(zone).utcoffset() == late:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s


@lru_cache(maxsize=ZONES_MAX)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
