"""Times as the HTTP interface reads and writes them."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from api.times import Time, instant_of, rfc3339, written
from dispatch.ids import Instant


class Meeting(Struct, frozen=True):
    at: Time


@given(st.integers(0, 253_402_300_799_999))
def test_a_written_time_reads_as_the_same_instant(instant: int) -> None:
    text = rfc3339(Instant(instant))

    read = msgspec.convert({"at": text}, Meeting)

    assert instant_of(read.at) == instant


@given(st.lists(st.integers(0, 253_402_300_799_999), min_size=2))
def test_times_sort_as_they_are_written(instants: list[int]) -> None:
    texts = [rfc3339(Instant(instant)) for instant in instants]

    assert sorted(texts) == [rfc3339(Instant(instant)) for instant in sorted(instants)]


def test_an_offset_is_reckoned_with() -> None:
    read = msgspec.json.decode(b'{"at": "2026-11-22T19:30:00.125+01:00"}', type=Meeting)

    assert rfc3339(instant_of(read.at)) == "2026-11-22T18:30:00.125Z"


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="timezone"):
        msgspec.json.decode(b'{"at": "2026-11-22T19:30:00"}', type=Meeting)


def test_microseconds_are_cut_and_never_rounded_up() -> None:
    time = datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)

    assert rfc3339(instant_of(time)) == "2026-01-01T00:00:00.999Z"


def test_no_instant_is_written_as_nothing() -> None:
    assert written(None) is None
    assert written(Instant(0)) == "1970-01-01T00:00:00.000Z"
