"""Opening hours as people write them: days of a week with times of the clock on the wall.

A span that closes at the time at which it opens, or earlier, closes on the next day: 18:00 to 02:00
goes over midnight, 00:00 to 00:00 or to 24:00 is the whole day. Inside, a time is a minute of its
day (`dispatch.hours`), which also decides what the hours mean when clocks change.
"""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from api.replies import Declined, Flaw
from dispatch.hours import (
    AHEAD_DAYS_MAX,
    DAY_MINUTES,
    EXCEPTIONS_MAX,
    LAST_ORDER_S_MAX,
    SPANS_MAX,
    ExceptionalDay,
    Hours,
    Span,
    flaw,
)
from dispatch.ids import Instant
from dispatch.step import Code

_DAY_MS = 86_400_000

type WallTime = Annotated[
    str,
    Meta(
        pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\Z",
        description="HH:MM by the restaurant's clock",
        examples=["11:30"],
    ),
]


class SpanView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From this time on, until that one, which is the next day's when it is not later."""

    opens: WallTime
    closes: WallTime


type SpanViews = Annotated[tuple[SpanView, ...], Meta(max_length=SPANS_MAX)]


class WeekView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The spans that begin on each day; a day without any is closed."""

    monday: SpanViews = ()
    tuesday: SpanViews = ()
    wednesday: SpanViews = ()
    thursday: SpanViews = ()
    friday: SpanViews = ()
    saturday: SpanViews = ()
    sunday: SpanViews = ()


class ExceptionView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A date with other hours than its weekday; without spans it is closed."""

    on: date
    spans: SpanViews = ()


class HoursView(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a restaurant is open, in its own time zone, and when it takes its last order."""

    timezone: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_+/-]{1,64}\Z",
            description="A name of the IANA time zone database",
            examples=["Europe/Copenhagen"],
        ),
    ]
    week: WeekView
    exceptions: Annotated[tuple[ExceptionView, ...], Meta(max_length=EXCEPTIONS_MAX)] = ()
    last_order_minutes: Annotated[int, Meta(ge=0, le=LAST_ORDER_S_MAX // 60)] = 0
    """So long before closing no order is taken any more."""


def hours_of(view: HoursView, now: Instant, pointer: str) -> Hours:
    """Return the hours that were written; raises `Declined` for what cannot be, at the pointer."""
    week = [_spans(getattr(view.week, day)) for day in WeekView.__struct_fields__]
    hours = Hours(
        timezone=view.timezone,
        week=tuple(week),
        exceptions=tuple([ExceptionalDay(one.on, _spans(one.spans)) for one in view.exceptions]),
        last_order_s=view.last_order_minutes * 60,
    )
    told = _too_far(view, now) or flaw(hours)
    if told is not None:
        raise Declined(
            Code.INVALID, f"{pointer}: {told}", flaws=(Flaw(pointer, Code.INVALID, told),)
        )
    return hours


def hours_view(hours: Hours) -> HoursView:
    """Return the hours as people write them."""
    days = zip(WeekView.__struct_fields__, hours.week, strict=True)
    return HoursView(
        timezone=hours.timezone,
        week=WeekView(**{day: _views(spans) for day, spans in days}),
        exceptions=tuple(
            [ExceptionView(on=one.on, spans=_views(one.spans)) for one in hours.exceptions]
        ),
        last_order_minutes=hours.last_order_s // 60,
    )


def _too_far(view: HoursView, now: Instant) -> str | None:
    """Return what to say of an exception that lies beyond all that is looked at, or None."""
    today = date.fromordinal(date(1970, 1, 1).toordinal() + now // _DAY_MS)
    far = any((one.on - today).days > AHEAD_DAYS_MAX for one in view.exceptions)
    return f"an exception lies {AHEAD_DAYS_MAX} days ahead at most" if far else None


def _spans(views: tuple[SpanView, ...]) -> tuple[Span, ...]:
    return tuple([_span(view) for view in views])


def _span(view: SpanView) -> Span:
    opens, closes = _minute(view.opens), _minute(view.closes)
    return Span(opens, closes if closes > opens else closes + DAY_MINUTES)


def _minute(time: str) -> int:
    hour, _, minute = time.partition(":")
    return int(hour) * 60 + int(minute)


def _views(spans: tuple[Span, ...]) -> tuple[SpanView, ...]:
    return tuple([SpanView(opens=_time(one.opens), closes=_time(one.closes)) for one in spans])


def _time(minute: int) -> str:
    """Return the time of a minute; the day's end is 24:00, what lies beyond is the next day's."""
    within = minute if minute <= DAY_MINUTES else minute - DAY_MINUTES
    return f"{within // 60:02}:{within % 60:02}"
