"""Opening hours: what they mean on any day, over midnight, and when the clocks change."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.hours import (
    DAY_MINUTES,
    ExceptionalDay,
    Hours,
    Span,
    flaw,
    hour_of,
    is_open,
    next_change,
)
from dispatch.ids import Instant
from tests.dispatch.builders import sure

MINUTE_MS = 60_000
LUNCH = Span(11 * 60, 14 * 60)
DINNER = Span(17 * 60, 22 * 60)
LATE = Span(18 * 60, 26 * 60)
WHOLE_DAY = Span(0, DAY_MINUTES)
COPENHAGEN = "Europe/Copenhagen"
CHANGES = {
    COPENHAGEN: (date(2026, 3, 29), date(2026, 10, 25)),
    "Australia/Lord_Howe": (date(2026, 4, 5),),
    "America/Santiago": (date(2026, 9, 6),),
    "Asia/Kathmandu": (date(2026, 12, 31),),
    "Pacific/Apia": (date(2011, 12, 30),),
}
"""Days on which clocks change, at midnight and by half an hour too; or when a day is skipped."""


def hours(
    *spans: Span,
    timezone: str = COPENHAGEN,
    exceptions: tuple[ExceptionalDay, ...] = (),
    last_order_s: int = 0,
) -> Hours:
    """Return hours that are the same every day."""
    return Hours(
        timezone=timezone, week=(spans,) * 7, exceptions=exceptions, last_order_s=last_order_s
    )


def at(text: str) -> Instant:
    """Return the instant of a time in UTC."""
    return Instant(round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000))


def test_the_hour_of_the_day_is_that_of_the_clocks_on_the_wall() -> None:
    noon_by_utc = Instant(1_800_014_400_000)

    places = ("Europe/Copenhagen", "America/New_York", "Asia/Kolkata", "UTC", "", "Atlantis")

    assert [hour_of(place, noon_by_utc) for place in places] == [13, 7, 17, 12, 12, 12]


def test_a_day_has_several_spans() -> None:
    both = hours(LUNCH, DINNER)

    assert not is_open(both, at("2026-11-23T09:59:59"))
    assert is_open(both, at("2026-11-23T10:00:00"))
    assert next_change(both, at("2026-11-23T10:00:00")) == at("2026-11-23T13:00:00")
    assert next_change(both, at("2026-11-23T13:00:00")) == at("2026-11-23T16:00:00")


def test_who_closes_after_midnight_is_open_on_the_next_day() -> None:
    fridays = Hours(timezone=COPENHAGEN, week=((), (), (), (), (LATE,), (), ()))

    assert is_open(fridays, at("2026-11-28T00:30:00"))
    assert next_change(fridays, at("2026-11-28T00:30:00")) == at("2026-11-28T01:00:00")
    assert next_change(fridays, at("2026-11-28T01:00:00")) == at("2026-12-04T17:00:00")


def test_spans_that_touch_are_one() -> None:
    evening_and_night = hours(Span(18 * 60, DAY_MINUTES), Span(0, 2 * 60))

    assert next_change(evening_and_night, at("2026-11-23T20:00:00")) == at("2026-11-24T01:00:00")


def test_a_date_can_have_hours_of_its_own() -> None:
    christmas = ExceptionalDay(date(2026, 12, 24))
    eve = ExceptionalDay(date(2026, 12, 31), (LUNCH,))
    with_exceptions = hours(DINNER, exceptions=(christmas, eve))

    assert not is_open(with_exceptions, at("2026-12-24T18:00:00"))
    assert is_open(with_exceptions, at("2026-12-31T11:00:00"))
    assert not is_open(with_exceptions, at("2026-12-31T18:00:00"))


def test_the_night_before_a_closed_date_goes_on_into_it() -> None:
    christmas = hours(LATE, exceptions=(ExceptionalDay(date(2026, 12, 24)),))

    assert is_open(christmas, at("2026-12-24T00:30:00"))
    assert next_change(christmas, at("2026-12-24T00:30:00")) == at("2026-12-24T01:00:00")


def test_the_last_order_is_taken_before_closing() -> None:
    with_last_order = hours(LUNCH, DINNER, last_order_s=1_800)

    assert next_change(with_last_order, at("2026-11-23T18:00:00")) == at("2026-11-23T20:30:00")
    assert not is_open(with_last_order, at("2026-11-23T20:30:00"))


def test_the_last_order_counts_from_the_end_of_spans_that_touch() -> None:
    two = hours(Span(11 * 60, 15 * 60), Span(15 * 60, 22 * 60), last_order_s=1_800)

    assert is_open(two, at("2026-11-23T13:45:00"))


def test_an_evening_lasts_an_hour_less_when_the_clocks_go_forward() -> None:
    night = hours(Span(23 * 60, 27 * 60))

    opens = sure(next_change(night, at("2026-03-28T20:00:00")))
    assert opens == at("2026-03-28T22:00:00")
    assert next_change(night, opens) == at("2026-03-29T01:00:00")


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    night = hours(Span(23 * 60, 26 * 60 + 30))

    assert next_change(night, at("2026-10-24T22:00:00")) == at("2026-10-25T00:30:00")
    assert not is_open(night, at("2026-10-25T01:15:00"))


def test_a_time_that_the_clocks_skip_is_when_they_skip_it() -> None:
    early = hours(Span(2 * 60 + 30, 6 * 60))

    assert next_change(early, at("2026-03-28T20:00:00")) == at("2026-03-29T01:00:00")


@pytest.mark.parametrize("spans", [(), (WHOLE_DAY,)], ids=["never", "always"])
def test_what_is_never_or_always_open_does_not_change(spans: tuple[Span, ...]) -> None:
    unchanging = hours(*spans)

    assert is_open(unchanging, at("2026-11-23T12:00:00")) is bool(spans)
    assert next_change(unchanging, at("2026-11-23T12:00:00")) is None


def test_a_single_closed_date_months_ahead_is_seen() -> None:
    always = hours(WHOLE_DAY, exceptions=(ExceptionalDay(date(2027, 8, 1)),))

    closes = sure(next_change(always, at("2026-11-23T12:00:00")))

    assert closes == at("2027-07-31T22:00:00")
    assert next_change(always, closes) == at("2027-08-01T22:00:00")


@pytest.mark.parametrize(
    "wrong",
    [
        hours(LUNCH, timezone="Europe/Kopenhagen"),
        hours(LUNCH, timezone="../../etc/passwd"),
        hours(LUNCH, timezone="Europe"),
        hours(Span(600, 600)),
        hours(Span(DAY_MINUTES, DAY_MINUTES + 60)),
        hours(Span(600, 600 + DAY_MINUTES + 1)),
        hours(exceptions=(ExceptionalDay(date(2026, 12, 24)),) * 2),
    ],
    ids=["misspelt", "a path", "a folder", "empty", "tomorrow's", "over a day", "twice"],
)
def test_hours_that_cannot_be_are_told_apart(wrong: Hours) -> None:
    told = flaw(wrong)

    assert told
    assert flaw(hours(LUNCH, LATE, WHOLE_DAY)) is None


@cache
def clock(timezone: str, middle: date) -> tuple[Instant, list[datetime], list[datetime]]:
    """Return two weeks of minutes: the first one, what the wall shows, and the latest it did."""
    zone = ZoneInfo(timezone)
    began = datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - timedelta(days=6)
    shown = [
        (began + timedelta(minutes=minute)).astimezone(zone).replace(tzinfo=None)
        for minute in range(14 * DAY_MINUTES)
    ]
    return Instant(round(began.timestamp() * 1_000)), shown, list(accumulate(shown, max))


def open_minutes(given_hours: Hours, middle: date) -> bytearray:
    """Return minute by minute whether orders are taken, by looking at the clock on the wall."""
    _, shown, latest = clock(given_hours.timezone, middle)
    taken = bytearray(len(shown) + 1)
    exceptions = {one.on: one.spans for one in given_hours.exceptions}
    for number in range(len(shown) // DAY_MINUTES):
        midnight = datetime.combine(shown[0] + timedelta(days=number), time())
        day = midnight.date()
        for span in exceptions.get(day, given_hours.week[day.weekday()]):
            begin = bisect_left(latest, midnight + timedelta(minutes=span.opens))
            end = bisect_left(latest, midnight + timedelta(minutes=span.closes))
            taken[begin:end] = b"\1" * (min(end, len(shown)) - begin)
    for end in [at for at in range(1, len(shown)) if taken[at - 1] and not taken[at]]:
        last = end - given_hours.last_order_s // 60
        begin = taken.rfind(b"\0", 0, end) + 1
        taken[max(begin, last) : end] = bytes(end - max(begin, last))
    return taken


def changes(given_hours: Hours, begin: Instant, end: Instant) -> Iterator[tuple[Instant, bool]]:
    """Iterate over the changes in a stretch of time, and what each changes to."""
    now = next_change(given_hours, begin)
    while now is not None and now <= end:
        yield now, is_open(given_hours, now)
        now = next_change(given_hours, now)


def a_span(opens: int, minutes: int) -> Span:
    return Span(opens, opens + minutes)


minutes = st.one_of(st.integers(1, 600), st.integers(1, DAY_MINUTES))
days = st.lists(st.builds(a_span, st.integers(0, DAY_MINUTES - 1), minutes), max_size=3).map(tuple)


@st.composite
def some_hours(draw: st.DrawFn) -> tuple[Hours, date]:
    timezone = draw(st.sampled_from(sorted(CHANGES)))
    middle = draw(st.sampled_from(CHANGES[timezone]))
    offsets = draw(st.lists(st.integers(-4, 5), max_size=3, unique=True))
    exceptions = [ExceptionalDay(middle + timedelta(days=one), draw(days)) for one in offsets]
    drawn = Hours(
        timezone=timezone,
        week=tuple(draw(st.lists(days, min_size=7, max_size=7))),
        exceptions=tuple(exceptions),
        last_order_s=draw(st.sampled_from([0, 60, 1_800, 4 * 3_600])),
    )
    return drawn, middle


@given(some_hours())
def test_hours_change_when_the_clock_on_the_wall_says_so(drawn: tuple[Hours, date]) -> None:
    some, middle = drawn
    began, _, _ = clock(some.timezone, middle)
    taken = open_minutes(some, middle)
    first, last = 3 * DAY_MINUTES, 11 * DAY_MINUTES

    told = list(
        changes(some, Instant(began + first * MINUTE_MS), Instant(began + last * MINUTE_MS))
    )

    expected = [
        (began + minute * MINUTE_MS, bool(taken[minute]))
        for minute in range(first + 1, last + 1)
        if taken[minute] != taken[minute - 1]
    ]
    assert flaw(some) is None
    assert told == expected
    assert is_open(some, Instant(began + first * MINUTE_MS)) is bool(taken[first])
