"""Opening hours: the usual ways of writing them, and none that is guessed at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.hours import Hours, Span, flaw
from streets.opening import Week, week_of

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
LUNCH, DINNER, LATE = Span(480, 900), Span(1_020, 1_320), Span(1_080, 1_560)


def week(**days: tuple[Span, ...]) -> Week:
    return tuple(days.get(day, ()) for day in DAYS)


def every(*spans: Span) -> Week:
    return (spans,) * 7


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("24/7", every(Span(0, 1_440))),
        ("Mo-Su 11:00-23:00", every(Span(660, 1_380))),
        ("11:00-23:00", every(Span(660, 1_380))),
        ("Mo-Su 18:00-02:00", every(LATE)),
        ("18:00-26:00", every(LATE)),
        ("18:00\N{EN DASH}26:00", every(LATE)),
        ("18:00-24:00", every(Span(1_080, 1_440))),
        ("8-15,17-22", every(LUNCH, DINNER)),
        ("08:00+", every(Span(480, 1_440))),
        ("8:00-15:00,17:00-22:00", every(LUNCH, DINNER)),
        ("Mo,We 08:00-15:00", week(Mo=(LUNCH,), We=(LUNCH,))),
        ("Sa-Mo 08:00-15:00", week(Sa=(LUNCH,), Su=(LUNCH,), Mo=(LUNCH,))),
        (
            "Mo-Fr 08:00-15:00, 17:00-22:00; Sa off",
            week(**dict.fromkeys(DAYS[:5], (LUNCH, DINNER))),
        ),
        (
            "Mo-Su 08:00-15:00; Su off; PH off",
            week(**dict.fromkeys(DAYS[:6], (LUNCH,))),
        ),
        (
            "Mo-Fr 08:00-15:00, Fr 17:00-22:00",
            week(**dict.fromkeys(DAYS[:4], (LUNCH,)), Fr=(LUNCH, DINNER)),
        ),
        ("Mo-Fr,PH 08:00-15:00", week(**dict.fromkeys(DAYS[:5], (LUNCH,)))),
        (" Mo - Tu  08:00 - 15:00 ; ", week(Mo=(LUNCH,), Tu=(LUNCH,))),
    ],
)
def test_the_usual_forms_are_understood(text: str, hours: Week) -> None:
    assert week_of(text) == hours


@pytest.mark.parametrize(
    "text",
    [
        "",
        "off",
        "PH off",
        "yes",
        "sunrise-sunset",
        "Apr-Oct 08:00-15:00",
        'Mo-Fr 08:00-15:00 "by appointment"',
        "Mo-Fr 08:00-15:00 || 17:00-22:00",
        "08:00-15:60",
        "25:00-26:00",
        "08:00-49:00",
        "08:00",
        "Mo-Xx 08:00-15:00",
        "08:00-15:00," * 30,
        "0:00-0:30,1:00-1:30,2:00-2:30,3:00-3:30,4:00-4:30,5:00-5:30,6:00-6:30,7:00-7:30,8:00-9:00",
    ],
)
def test_what_is_not_plain_is_not_guessed_at(text: str) -> None:
    assert week_of(text) is None


minutes = st.integers(0, 1_439)
spans = st.tuples(minutes, st.integers(1, 1_440)).map(lambda span: Span(span[0], sum(span)))
days = st.lists(spans, max_size=3, unique=True).map(lambda day: tuple(sorted(day)))
weeks = st.lists(days, min_size=7, max_size=7).map(tuple)


@given(weeks)
def test_hours_written_out_day_by_day_are_read_back(hours: Week) -> None:
    text = "; ".join(f"{day} {written(spans)}" for day, spans in zip(DAYS, hours, strict=True))

    assert week_of(text) == (hours if any(hours) else None)


def written(spans: tuple[Span, ...]) -> str:
    return ",".join(f"{clock(span.opens)}-{clock(span.closes)}" for span in spans) or "off"


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


SCRAPS = ("Mo", "-", "Su", "PH", " ", ",", ";", ":", "11", "00", "24/7", "off", "+", "'", "-02:00")


@given(st.lists(st.sampled_from(SCRAPS) | st.text(max_size=4), max_size=24).map("".join))
def test_whatever_is_written_there_are_sound_hours_or_none(text: str) -> None:
    hours = week_of(text)

    assert hours is None or flaw(Hours(timezone="Europe/Malta", week=hours)) is None
