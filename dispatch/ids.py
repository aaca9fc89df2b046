"""The names of things, and the one notion of time.

Ids are prefixed, sortable strings on the wire (`ord_`, `crr_`, `rst_`, ...). Here they are opaque:
nothing parses one. An `Instant` is whole milliseconds since the Unix epoch, UTC.
"""

from typing import NewType

Instant = NewType("Instant", int)

OrderId = NewType("OrderId", str)
CourierId = NewType("CourierId", str)
RestaurantId = NewType("RestaurantId", str)
CustomerId = NewType("CustomerId", str)
OfferId = NewType("OfferId", str)
MarketId = NewType("MarketId", str)
ShardId = NewType("ShardId", int)


def after(start: Instant, seconds: float) -> Instant:
    """Return the instant `seconds` after `start`, rounded to the millisecond."""
    return Instant(start + round(seconds * 1000))


def elapsed_s(start: Instant, end: Instant) -> float:
    """Return the seconds from `start` to `end`, negative when `end` comes first."""
    return (end - start) / 1000
