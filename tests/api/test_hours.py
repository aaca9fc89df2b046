"""Opening hours as people write them, to what they mean and back."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.hours import HoursView, hours_of, hours_view
from api.replies import Declined
from dispatch.hours import DAY_MINUTES, ExceptionalDay, Hours, Span
from dispatch.step import Code
from tests.dispatch.builders import NOW

COPENHAGEN = "Europe/Copenhagen"


def written(**monday: str) -> HoursView:
    week = {"monday": [monday]}
    return msgspec.convert({"timezone": COPENHAGEN, "week": week}, HoursView)


def monday(view: HoursView) -> tuple[Span, ...]:
    return hours_of(view, NOW, "").week[0]


@pytest.mark.parametrize(
    ("opens", "closes", "span"),
    [
        ("11:30", "22:00", Span(690, 1_320)),
        ("18:00", "02:00", Span(1_080, 1_560)),
        ("18:00", "24:00", Span(1_080, 1_440)),
        ("18:00", "00:00", Span(1_080, 1_440)),
        ("00:00", "00:00", Span(0, 1_440)),
    ],
)
def test_who_closes_no_later_than_he_opens_closes_the_next_day(
    opens: str, closes: str, span: Span
) -> None:
    assert monday(written(opens=opens, closes=closes)) == (span,)


@pytest.mark.parametrize("time", ["7:00", "25:00", "24:01", "12:60", "noon", ""])
def test_what_no_clock_shows_is_refused(time: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        written(opens=time, closes="22:00")


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Europe/Kopenhagen", "week": {}},
        {"timezone": COPENHAGEN, "week": {}, "exceptions": [{"on": "9999-12-31"}]},
        {"timezone": COPENHAGEN, "week": {}, "exceptions": [{"on": "2027-02-01"}] * 2},
        {"timezone": COPENHAGEN, "week": {"monday": [{"opens": "24:00", "closes": "24:00"}]}},
    ],
    ids=["zone", "far ahead", "twice", "after the day"],
)
def test_hours_that_cannot_be_are_refused_where_they_stand(wrong: dict[str, Any]) -> None:
    with pytest.raises(Declined) as refused:
        hours_of(msgspec.convert(wrong, HoursView), NOW, "/hours")

    assert refused.value.code is Code.INVALID
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/hours"]


def a_span(opens: int, minutes: int) -> Span:
    return Span(opens, opens + minutes)


days = st.lists(
    st.builds(a_span, st.integers(0, DAY_MINUTES - 1), st.integers(1, DAY_MINUTES)), max_size=3
).map(tuple)


@given(st.lists(days, min_size=7, max_size=7), days, st.integers(0, 240))
def test_hours_come_back_as_they_were_written(
    week: list[tuple[Span, ...]], exception: tuple[Span, ...], last_order_minutes: int
) -> None:
    hours = Hours(
        timezone=COPENHAGEN,
        week=tuple(week),
        exceptions=(ExceptionalDay(date(2027, 2, 1), exception),),
        last_order_s=last_order_minutes * 60,
    )

    view = msgspec.json.decode(msgspec.json.encode(hours_view(hours)), type=HoursView)

    assert hours_of(view, NOW, "") == hours
