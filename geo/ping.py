"""What a ping is, which pings are believed, and what a batch of them does to the columns.

The rule is written once, as a numba kernel that judges one ping after the other in the order of the
batch, each against what the ping before it left behind; a single ping is a batch of one. A refused
ping changes nothing. The kernel is compiled when this module is imported.

What this module must not do: know of couriers' names, of H3 or of the grid. It is handed slots, and
says which were touched and which of those may have left their cell; the position table does the
rest.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from math import inf
from typing import Annotated, NamedTuple, Protocol, get_type_hints

import numba
import numpy as np
from msgspec import Meta, Struct

from geo.compiled import compiled_for
from geo.grid import NO_SLOT, Records, Spot, blank_spots
from geo.point import LAT_MAX, LNG_MAX
from geo.projection import REACH_M, Projection

NEVER = -(2**62)
"""Stands for "not yet" in columns of instants, far from both ends of their range."""


class Ping(Struct, frozen=True, array_like=True, gc=False):
    """One location report: degrees, metres a second, and when it was measured."""

    lat: float
    lng: float
    speed_mps: float
    seen_at: Annotated[int, Meta(ge=0, lt=2**53)]


class Track(Struct, frozen=True):
    """Pings of one courier in the order they were measured, as one frame brings them."""

    courier: str
    pings: tuple[Ping, ...]


class Verdict(IntEnum):
    """What became of a ping."""

    ACCEPTED = 0
    UNKNOWN_COURIER = 1
    MALFORMED = 2
    OUT_OF_REACH = 3
    UNTIMELY = 4
    STALE = 5
    IMPLAUSIBLE = 6


class Belief(Struct, frozen=True, kw_only=True):
    """Which pings are believed, and when a courier has stopped.

    A ping is refused as out of reach beyond `reach_m_max` from the market's origin; as untimely
    more than `ahead_s_max` in the future (a phone's clock may be a little fast) or older than
    `age_s_max` (a phone sends what it kept while it was cut off); and as implausible when it is
    farther from the last one than `speed_mps_max` explains, beyond an inaccuracy of `jump_m_max`.
    After `jump_s_max` without a position any new one is believed, so that one wrong fix heals.
    A courier who stays within `still_m_max` for `still_s_min` has stopped.
    """

    reach_m_max: float = 100_000.0
    speed_mps_max: float = 70.0
    ahead_s_max: float = 10.0
    age_s_max: float = 600.0
    jump_m_max: float = 200.0
    jump_s_max: float = 120.0
    still_m_max: float = 25.0
    still_s_min: float = 60.0

    def __post_init__(self) -> None:
        """Refuse rules that no ping could pass, or that no projection could serve."""
        for name in self.__struct_fields__:
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"{name} is above 0 and finite, not {getattr(self, name)}")
        if self.reach_m_max > REACH_M / 2:
            raise ValueError(f"reach_m_max is at most {REACH_M / 2:.0f}, not {self.reach_m_max}")


class Row(Protocol):
    """What is known of the courier in one slot, beside his `Spot` in the grid.

    `anchor_*` is where and when he was last seen to move, `core_*` the `Core` of his cell (of
    radius -1 while he is in none), `touched_in` the number of the last batch with an accepted ping
    of his, `awaited_at` the instant since when he has been expected to send one.
    """

    is_moving: bool
    is_changed: bool
    lat: float
    lng: float
    speed_mps: float
    anchor_x_m: float
    anchor_y_m: float
    core_x_m: float
    core_y_m: float
    core_radius_m: float
    seen_at: int
    anchor_at: int
    awaited_at: int
    touched_in: int
    cell: int


class Report(Protocol):
    """A ping as the kernel sees it: a slot for the courier, and the point beside the degrees."""

    slot: int
    verdict: int
    lat: float
    lng: float
    x_m: float
    y_m: float
    speed_mps: float
    seen_at: float


class Touch(Protocol):
    """A slot that a batch moved: where to, from which cell, and whether it may have left that."""

    slot: int
    lat: float
    lng: float
    cell: int
    was_moving: bool
    is_moving: bool
    may_have_left: bool


class Rules(NamedTuple):
    """A `Belief` in the units that the kernel reckons in."""

    reach_m: float
    speed_mps: float
    ahead_ms: float
    age_ms: float
    jump_m: float
    jump_ms: float
    still_m: float
    still_ms: float


def dtype_of(row: type) -> np.dtype[np.void]:
    """Return the dtype of records with the fields that a class declares, in its order."""
    kinds = {float: "f8", int: "i8", bool: "?"}
    fields = [(name, kinds[kind]) for name, kind in get_type_hints(row).items()]
    return np.dtype((np.record, np.dtype(fields, align=True)))


ROW, REPORT, TOUCH = dtype_of(Row), dtype_of(Report), dtype_of(Touch)


def blank_rows(count: int) -> Records:
    """Return rows of couriers who have never been seen."""
    rows = np.zeros(count, dtype=ROW)
    rows["seen_at"] = NEVER
    rows["core_radius_m"] = -1
    rows["is_moving"] = True
    return rows


def rules_of(belief: Belief) -> Rules:
    """Return the belief as the kernel reads it."""
    return Rules(
        reach_m=belief.reach_m_max,
        speed_mps=belief.speed_mps_max,
        ahead_ms=belief.ahead_s_max * 1_000,
        age_ms=belief.age_s_max * 1_000,
        jump_m=belief.jump_m_max,
        jump_ms=belief.jump_s_max * 1_000,
        still_m=belief.still_m_max,
        still_ms=belief.still_s_min * 1_000,
    )


def reports_of(
    tracks: Sequence[Track], slot_of: Mapping[str, int], projection: Projection
) -> Records:
    """Return the pings of all tracks as the kernel reads them; unknown couriers have no slot.

    Instants become floats, which hold every millisecond of the next 285,000 years and, unlike
    integers, whatever else a peer may send.
    """
    pings = [ping for track in tracks for ping in track.pings]
    lat = np.fromiter([ping.lat for ping in pings], np.float64, len(pings))
    lng = np.fromiter([ping.lng for ping in pings], np.float64, len(pings))
    points = projection.to_points(lat, lng)
    reports = np.zeros(len(pings), dtype=REPORT)
    slots = np.array([slot_of.get(track.courier, NO_SLOT) for track in tracks], dtype=np.int64)
    lengths = np.array([len(track.pings) for track in tracks], dtype=np.int64)
    reports["slot"] = np.repeat(slots, lengths)
    reports["lat"], reports["lng"] = lat, lng
    reports["x_m"], reports["y_m"] = points[:, 0], points[:, 1]
    speed_mps = np.fromiter([ping.speed_mps for ping in pings], np.float64, len(pings))
    seen_at = np.fromiter([ping.seen_at for ping in pings], np.float64, len(pings))
    reports["speed_mps"], reports["seen_at"] = speed_mps, seen_at
    return reports


@numba.njit(cache=True)
def _verdict(report: Report, row: Row, spot: Spot, rules: Rules, now: int) -> int:
    """Judge a ping. NaN fails every comparison, so each rule says what passes, not what fails."""
    if not (
        abs(report.lat) <= LAT_MAX
        and abs(report.lng) <= LNG_MAX
        and 0 <= report.speed_mps <= rules.speed_mps
    ):
        return Verdict.MALFORMED
    if not report.x_m * report.x_m + report.y_m * report.y_m <= rules.reach_m * rules.reach_m:
        return Verdict.OUT_OF_REACH
    if not now - rules.age_ms <= report.seen_at <= now + rules.ahead_ms:
        return Verdict.UNTIMELY
    elapsed_ms = report.seen_at - row.seen_at
    if elapsed_ms <= 0:
        return Verdict.STALE
    dx_m, dy_m = report.x_m - spot.x_m, report.y_m - spot.y_m
    way_m = rules.jump_m + rules.speed_mps * elapsed_ms / 1_000
    if elapsed_ms < rules.jump_ms and dx_m * dx_m + dy_m * dy_m > way_m * way_m:
        return Verdict.IMPLAUSIBLE
    return Verdict.ACCEPTED


@numba.njit(cache=True)
def _accept(report: Report, row: Row, spot: Spot, rules: Rules) -> None:
    """Write a ping down, and whether its courier moves."""
    seen_at = int(report.seen_at)
    dx_m, dy_m = report.x_m - row.anchor_x_m, report.y_m - row.anchor_y_m
    has_moved = dx_m * dx_m + dy_m * dy_m > rules.still_m * rules.still_m
    if has_moved or row.seen_at == NEVER:
        row.anchor_x_m, row.anchor_y_m, row.anchor_at = report.x_m, report.y_m, seen_at
        row.is_moving = True
    elif seen_at - row.anchor_at >= rules.still_ms:
        row.is_moving = False
    spot.x_m, spot.y_m, row.lat, row.lng = report.x_m, report.y_m, report.lat, report.lng
    row.speed_mps, row.seen_at, row.is_changed = report.speed_mps, seen_at, True


@numba.njit(cache=True)
def _may_have_left(row: Row, spot: Spot) -> bool:
    """Say whether a courier is outside his cell's core, or has none."""
    dx_m, dy_m = spot.x_m - row.core_x_m, spot.y_m - row.core_y_m
    is_inside = dx_m * dx_m + dy_m * dy_m <= row.core_radius_m * row.core_radius_m
    return row.core_radius_m < 0 or not is_inside


class Known(NamedTuple):
    """All that is known of all slots: their rows, and their spots in the grid."""

    rows: Records
    spots: Records


_KNOWN = Known(blank_rows(1), blank_spots(1))


@compiled_for(_KNOWN, rules_of(Belief()), np.zeros(1, REPORT), np.zeros(1, TOUCH), 0, 0)
def take(
    known: Known, rules: Rules, reports: Records, touches: Records, now: int, number: int
) -> int:
    """Judge every ping, write down those that are believed, and return how many slots they moved.

    `number` tells this batch from all others. The first so many of `touches` are filled in, in the
    order of each slot's first accepted ping.
    """
    count = 0
    for i in range(len(reports)):
        report: Report = reports[i]
        if report.slot == NO_SLOT:
            report.verdict = Verdict.UNKNOWN_COURIER
            continue
        row: Row = known.rows[report.slot]
        spot: Spot = known.spots[report.slot]
        report.verdict = _verdict(report, row, spot, rules, now)
        if report.verdict != Verdict.ACCEPTED:
            continue
        if row.touched_in != number:
            row.touched_in = number
            touch: Touch = touches[count]
            touch.slot, touch.was_moving = report.slot, row.is_moving
            count += 1
        _accept(report, row, spot, rules)
    for i in range(count):
        touch = touches[i]
        row = known.rows[touch.slot]
        touch.lat, touch.lng, touch.cell, touch.is_moving = (
            row.lat,
            row.lng,
            row.cell,
            row.is_moving,
        )
        touch.may_have_left = _may_have_left(row, known.spots[touch.slot])
    return count
