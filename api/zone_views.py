"""A zone as it is shown: a market's land, or land with rules of its own that a tenant drew in it.

Both have one list and one form. What is drawn is shown to everybody of its tenant, because it says
where and when they can order; who drew it, and what it was before, is for the staff.
"""

import hashlib
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct

from api.boundaries import Boundary
from api.ports import Ground
from api.times import WrittenTime, rfc3339, written
from dispatch.ids import Instant, MarketId
from dispatch.surge import CALM, Surge
from dispatch.zone import Plot, Zone
from geo.point import LatLng
from geo.zone import cell_name, outline

type ShownKind = Literal["market", "service", "paused", "closed", "surge"]


class SurgeView(Struct, frozen=True, kw_only=True):
    """By how much deliveries cost more in a place: `percent` of what is usual, and why.

    `waiting`, `expected` and `free` are the orders and the couriers as they were measured last.
    """

    percent: int
    reason: str
    pressure: float
    waiting: int
    expected: float
    free: int
    changed_at: WrittenTime | None
    measured_at: WrittenTime | None


class ZoneView(Struct, frozen=True, kw_only=True):
    """A zone. `cells` are H3 indexes in hexadecimal: what lies in one lies in the zone.

    A market's land is its cells and nothing else; of a zone that was drawn, the boundary decides
    between them. `surge` is there for a single market or zone that has one.
    """

    zone_id: str
    market_id: MarketId
    kind: ShownKind
    name: str
    centre: LatLng
    cells: tuple[str, ...]
    boundary: Boundary
    reason: str = ""
    until: WrittenTime | None = None
    is_active: bool = True
    surge: SurgeView | None = None


class ZoneChangeView(Struct, frozen=True, kw_only=True):
    """What a zone was from then on, and who made it so."""

    version: int
    made_by: str
    at: WrittenTime
    name: str
    boundary: Boundary
    reason: str
    until: WrittenTime | None


def market_view(ground: Ground, surge: SurgeView | None = None) -> ZoneView:
    """Return a market's land as it is shown."""
    return ZoneView(
        zone_id=ground.market_id,
        market_id=ground.market_id,
        kind="market",
        name=ground.market_id,
        centre=ground.centre,
        cells=tuple([cell_name(cell) for cell in ground.cells]),
        boundary=Boundary(coordinates=outline(ground.cells)),
        surge=surge,
    )


def zone_view(plot: Plot, now: Instant, surge: SurgeView | None = None) -> ZoneView:
    """Return a zone as it is shown."""
    zone, area = plot.zone, plot.area
    lng, lat = area.shape.representative_point().coords[0]
    return ZoneView(
        zone_id=zone.zone_id,
        market_id=zone.market_id,
        kind=zone.kind.value,
        name=zone.name,
        centre=LatLng(lat, lng),
        cells=area.names_inside,
        boundary=Boundary(coordinates=zone.outline),
        reason=zone.reason,
        until=written(zone.until),
        is_active=zone.is_active(now),
        surge=surge,
    )


def surge_view(surge: Surge | None) -> SurgeView:
    """Return how a place stands; one that nobody remembers anything of is as usual."""
    if surge is None:
        return SurgeView(
            percent=CALM,
            reason="as usual",
            pressure=0.0,
            waiting=0,
            expected=0.0,
            free=0,
            changed_at=None,
            measured_at=None,
        )
    return SurgeView(
        percent=surge.percent,
        reason=surge.reason or "as usual",
        pressure=round(surge.pressure, 2),
        waiting=surge.waiting,
        expected=round(surge.expected, 1),
        free=surge.free,
        changed_at=rfc3339(surge.changed_at) if surge.reason else None,
        measured_at=rfc3339(surge.measured_at),
    )


def zone_etag(zone: Zone, view: ZoneView) -> str:
    """Return the tag of what is shown, with the version that a change must match in front."""
    return f'"{zone.version}-{hashlib.blake2b(_encode(view), digest_size=9).hexdigest()}"'


_encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
