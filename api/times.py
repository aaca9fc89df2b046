"""Times as the public HTTP interface writes them: RFC 3339, in UTC, with milliseconds.

Inside, a time is an `Instant`. In a body or a query that comes in it is a `Time`: a `datetime` that
msgspec reads, and refuses without an offset; it becomes an Instant by `instant_of`. In an answer it
is a string, written by `rfc3339`, always in the same form, so that times sort as they are written.
"""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from dispatch.ids import Instant

type Time = Annotated[
    datetime,
    Meta(tz=True, examples=["2026-11-22T18:30:00.000Z"], description="RFC 3339, with an offset"),
]
"""A time that comes in; one without an offset from UTC is refused."""
type WrittenTime = Annotated[
    str,
    Meta(
        examples=["2026-11-22T18:30:00.000Z"],
        description="RFC 3339, in UTC, with milliseconds",
        extra_json_schema={"format": "date-time"},
    ),
]
"""A time that goes out, as `rfc3339` writes it."""

_MS_PER_S = 1_000


def rfc3339(instant: Instant) -> str:
    """Return the instant as `2026-11-22T18:30:00.000Z`."""
    seconds, ms = divmod(instant, _MS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def instant_of(time: datetime) -> Instant:
    """Return the instant that a `Time` names, cut to the millisecond."""
    assert time.tzinfo is not None, time
    whole_s = int(time.replace(microsecond=0).timestamp())
    return Instant(whole_s * _MS_PER_S + time.microsecond // _MS_PER_S)


def written(instant: Instant | None) -> str | None:
    """Return the instant as `rfc3339` does, and nothing for none."""
    return None if instant is None else rfc3339(instant)
