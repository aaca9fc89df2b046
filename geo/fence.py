"""Fences: whether somebody has come to a place and stays there, by where he was seen.

A fence is a disc around a place. Being inside is not having arrived: whoever rides past is inside
for some seconds, and a position can jump. He is there once he has stayed near for `dwell_s`, seen
often enough and never faster than one walks; he has left once he is beyond `away_m`, and between
the two discs he is where he was, so that a position that trembles says nothing new. Who came faster
than anybody rides is believed only after `doubt_s`: a phone that was off in a tunnel recovers, and
a phone that lies gains nothing by a jump.

Everything here is a function of what was seen before. Instants are those of the pings.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, structs

from geo.point import Point, gap_m

TREMBLE_M = 30.0
"""A position of a phone that lies still wanders by as much from one ping to the next."""


class Fencing(Struct, frozen=True, kw_only=True):
    """When pings say that somebody has come to where he was going."""

    near_m: Annotated[float, Meta(gt=0, le=2_000)] = 60.0
    """He is near within that distance of the place."""
    away_m: Annotated[float, Meta(gt=0, le=4_000)] = 110.0
    """He has left beyond that."""
    dwell_s: Annotated[float, Meta(ge=0, le=3_600)] = 20.0
    """He stays near for so long before it counts."""
    speed_mps_max: Annotated[float, Meta(gt=0, le=70)] = 4.0
    """Who is faster than that while he is near rides past."""
    jump_mps_max: Annotated[float, Meta(gt=0, le=100)] = 40.0
    """Who came faster than that did not ride."""
    doubt_s: Annotated[float, Meta(ge=0, le=3_600)] = 120.0
    """How long he stays near before it counts if he did not ride there."""
    gap_s_max: Annotated[float, Meta(gt=0, le=3_600)] = 60.0
    """Two pings further apart than that do not tell that he stayed in between."""


class Standing(StrEnum):
    """How somebody stands to a place."""

    AWAY = "away"
    NEAR = "near"
    THERE = "there"


class Sighting(Struct, frozen=True, gc=False):
    """Where somebody was at an instant, and how fast he said that he was."""

    point: Point
    speed_mps: float
    seen_at: int


class Presence(Struct, frozen=True, gc=False):
    """How somebody stands to a place since when, by the sightings up to `last`."""

    standing: Standing
    since: int
    last: Sighting
    is_doubted: bool = False


def seen(before: Presence | None, place: Point, now: Sighting, fencing: Fencing) -> Presence:
    """Return how he stands to the place after one more sighting; an older one changes nothing."""
    if before is not None and now.seen_at <= before.last.seen_at:
        return before
    gap = gap_m(now.point, place)
    if before is None or before.standing is Standing.AWAY:
        is_doubted = before is not None and (before.is_doubted or _jumps(before, now, fencing))
        return _entering(gap, now, fencing, is_doubted=is_doubted)
    if _jumps(before, now, fencing):
        return _entering(gap, now, fencing, is_doubted=True)
    if gap > fencing.away_m:
        return Presence(Standing.AWAY, now.seen_at, now)
    if before.standing is Standing.THERE:
        return structs.replace(before, last=now)
    return _staying(before, gap, now, fencing)


def _entering(gap: float, now: Sighting, fencing: Fencing, *, is_doubted: bool) -> Presence:
    """Return how somebody stands who was away, or of whom nothing is known."""
    standing = Standing.NEAR if gap <= fencing.near_m else Standing.AWAY
    return Presence(standing, now.seen_at, now, is_doubted)


def _staying(before: Presence, gap: float, now: Sighting, fencing: Fencing) -> Presence:
    """Return how somebody stands who is near and has not stayed long enough before."""
    if not _stays(before, now, fencing):
        return structs.replace(before, since=now.seen_at, last=now)
    wanted_s = fencing.doubt_s if before.is_doubted else fencing.dwell_s
    is_there = gap <= fencing.near_m and now.seen_at - before.since >= wanted_s * 1_000
    if is_there:
        return Presence(Standing.THERE, now.seen_at, now)
    return structs.replace(before, last=now)


def _stays(before: Presence, now: Sighting, fencing: Fencing) -> bool:
    """Tell whether he was near all the time since he was seen last, and no faster than on foot."""
    elapsed_s = _elapsed_s(before, now)
    way_m = gap_m(before.last.point, now.point)
    is_slow = way_m <= TREMBLE_M + fencing.speed_mps_max * elapsed_s
    return is_slow and now.speed_mps <= fencing.speed_mps_max and elapsed_s <= fencing.gap_s_max


def _jumps(before: Presence, now: Sighting, fencing: Fencing) -> bool:
    way_m = gap_m(before.last.point, now.point)
    return way_m > fencing.away_m + fencing.jump_mps_max * _elapsed_s(before, now)


def _elapsed_s(before: Presence, now: Sighting) -> float:
    return (now.seen_at - before.last.seen_at) / 1_000
