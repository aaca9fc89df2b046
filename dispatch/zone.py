"""Zones: land with rules of its own, and what the rules say of an order.

A tenant draws zones in a market: where its orders are taken at all, where none are taken for a
while, which land couriers are not routed through, and where a delivery may cost more when couriers
are short. A zone that has an end lapses by itself. What is decided here is decided by where the
restaurant and the door lie, and by the moment at which the order is to be worked on; nothing here
knows how zones are kept, or who may draw them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from dispatch.ids import Instant, MarketId, TenantId, ZoneId
from geo.area import Area
from geo.cell import cell_at
from geo.point import LatLng
from geo.zone import Outline


class ZoneKind(StrEnum):
    """What a zone is for. Wire names; never renamed."""

    SERVICE = "service"
    PAUSED = "paused"
    CLOSED = "closed"
    SURGE = "surge"


class Zone(Struct, frozen=True, kw_only=True):
    """One zone. `outline` was checked; `until` is when its rules lapse, None for never."""

    zone_id: ZoneId
    tenant_id: TenantId
    market_id: MarketId
    kind: ZoneKind
    name: str
    outline: Outline
    reason: str = ""
    until: Instant | None = None
    version: int = 1
    change_id: str = ""
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    ended_at: Instant | None = None

    def is_active(self, at: Instant) -> bool:
        """Tell whether its rules hold at an instant."""
        return self.ended_at is None and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Plot:
    """A zone, and its land in a form that can be asked."""

    zone: Zone
    area: Area


class Barred(Struct, frozen=True, kw_only=True):
    """Why an order cannot be taken: at which end of its way, and by which zone.

    `zone` is None where it is that no service area reaches the place.
    """

    is_door: bool
    zone: Zone | None = None


def bars(
    plots: Sequence[Plot], restaurant: LatLng, door: LatLng, at: Instant
) -> tuple[Barred, ...]:
    """Return what keeps an order from being taken that is to be worked on at that instant.

    Where no service area is drawn, the whole market is served.
    """
    active = [plot for plot in plots if plot.zone.is_active(at)]
    ends = ((False, restaurant), (True, door))
    return (
        *(Barred(is_door=is_door, zone=zone) for is_door, zone in _pauses(active, ends)),
        *(Barred(is_door=is_door) for is_door in _unserved(active, ends)),
    )


def found_at(plots: Iterable[Plot], where: LatLng, kind: ZoneKind) -> tuple[Plot, ...]:
    """Return the zones of a kind that a place lies in."""
    cell = cell_at(where.lat, where.lng)
    return tuple(
        plot for plot in plots if plot.zone.kind is kind and plot.area.contains(where, cell)
    )


type _Ends = tuple[tuple[bool, LatLng], ...]


def _pauses(active: Sequence[Plot], ends: _Ends) -> Iterable[tuple[bool, Zone]]:
    """Yield each end's pause, the one that lasts longest."""
    for is_door, where in ends:
        found = found_at(active, where, ZoneKind.PAUSED)
        if found:
            yield is_door, max((plot.zone for plot in found), key=lambda zone: zone.until or 0)


def _unserved(active: Sequence[Plot], ends: _Ends) -> Iterable[bool]:
    if any(plot.zone.kind is ZoneKind.SERVICE for plot in active):
        for is_door, where in ends:
            if not found_at(active, where, ZoneKind.SERVICE):
                yield is_door
