"""Where a courier was seen last, as a shard's next owner reads it back.

A copy of what the position table knows, kept by a store that may lose it: nothing is decided by it
alone, and a courier who is not in it is found again by his next ping.
"""

from msgspec import Struct

from dispatch.ids import CourierId, Instant


class PositionsUnreachable(Exception):
    """The store of the positions did not answer; the table goes on without its copy."""


class Spot(Struct, frozen=True, array_like=True, gc=False):
    """Where a courier was when he was heard last: degrees, metres a second, and when."""

    courier_id: CourierId
    lat: float
    lng: float
    speed_mps: float
    seen_at: Instant
