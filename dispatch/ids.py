"""The names of things, and the one notion of time.

Ids are prefixed, sortable strings on the wire (`ord_`, `crr_`, `rst_`, ...), made of an instant and
of chance by `prefixed`. They are opaque: nothing parses one. An `Instant` is whole milliseconds
since the Unix epoch, UTC.
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
TenantId = NewType("TenantId", str)
DeviceId = NewType("DeviceId", str)
ZoneId = NewType("ZoneId", str)

ENTROPY_BYTES = 10
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def after(start: Instant, seconds: float) -> Instant:
    """Return the instant `seconds` after `start`, rounded to the millisecond."""
    return Instant(start + round(seconds * 1000))


def elapsed_s(start: Instant, end: Instant) -> float:
    """Return the seconds from `start` to `end`, negative when `end` comes first."""
    return (end - start) / 1000


def prefixed(prefix: str, at: Instant, entropy: bytes) -> str:
    """Return an id that sorts by its instant: a ULID in small letters behind `prefix_`.

    The same instant and the same first ENTROPY_BYTES of `entropy` give the same id.
    """
    assert 0 <= at < 1 << 48, at
    assert len(entropy) >= ENTROPY_BYTES, len(entropy)
    number = (at << 80) | int.from_bytes(entropy[:ENTROPY_BYTES])
    digits = [_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
