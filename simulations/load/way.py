"""Places and straight ways between them in degrees, as a phone knows them.

The public protocol speaks of latitudes and longitudes only. Within one city a degree is taken for
so many metres north and so many east, which is wrong by less than a part in a thousand over ten
kilometres: enough to walk by, and nothing is decided by it.
"""

from math import cos, hypot, radians
from random import Random

from msgspec import Struct

from dispatch.ids import Instant, after
from geo.point import LatLng

DEGREE_M = 111_195.0


def gap_m(a: LatLng, b: LatLng) -> float:
    """Return the distance between two places of one city."""
    east = (b.lng - a.lng) * cos(radians((a.lat + b.lat) / 2))
    return DEGREE_M * hypot(b.lat - a.lat, east)


def beyond(place: LatLng, north_m: float, east_m: float) -> LatLng:
    """Return the place that lies so far north and east of another."""
    lat = place.lat + north_m / DEGREE_M
    return LatLng(lat, place.lng + east_m / (DEGREE_M * cos(radians(place.lat))))


def near(place: LatLng, reach_m: float, chance: Random) -> LatLng:
    """Return some place of the square around another."""
    return beyond(place, chance.uniform(-reach_m, reach_m), chance.uniform(-reach_m, reach_m))


class Way(Struct, frozen=True, kw_only=True):
    """A straight way, and when it is gone; before and after he stands at its ends."""

    origin: LatLng
    goal: LatLng
    starts_at: Instant
    ends_at: Instant
    speed_mps: float

    def place(self, now: Instant) -> LatLng:
        """Return where he is by then."""
        if now >= self.ends_at:
            return self.goal
        if now <= self.starts_at:
            return self.origin
        share = (now - self.starts_at) / (self.ends_at - self.starts_at)
        return LatLng(
            self.origin.lat + share * (self.goal.lat - self.origin.lat),
            self.origin.lng + share * (self.goal.lng - self.origin.lng),
        )

    def pace_mps(self, now: Instant) -> float:
        """Return how fast he moves by then."""
        return self.speed_mps if self.starts_at <= now < self.ends_at else 0.0


def way(origin: LatLng, goal: LatLng, speed_mps: float, now: Instant) -> Way:
    """Return the way that begins now."""
    ends_at = after(now, gap_m(origin, goal) / speed_mps)
    return Way(origin=origin, goal=goal, starts_at=now, ends_at=ends_at, speed_mps=speed_mps)
