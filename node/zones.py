"""The zones as this node goes by them: all that are drawn, with their land ready to be asked.

They are read again and again, because any node may be told of a change; only those whose version
moved are fetched, and land is worked out beside the event loop. Whoever writes a zone has them read
at once, so that what he was told holds here when he is told; elsewhere it does a moment later.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import trio

from actors.ports import Clock
from dispatch.ids import MarketId, TenantId, ZoneId
from dispatch.zone import Plot, Zone, ZoneKind
from geo.area import area_of
from geo.polygon import PolygonFlawed
from geo.zone import Outline
from storage import zones
from storage.database import Database

type _Owned = tuple[TenantId, MarketId]


class ZoneBook:
    """All zones, as they were read last; fits `api.ports.Zones`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._reading = trio.Lock()
        self._plots: Mapping[ZoneId, Plot] = {}
        self._owned: dict[_Owned, list[Plot]] = {}
        self._unusable: Mapping[ZoneId, int] = {}

    async def refresh(self) -> None:
        """Read what has changed; raises what the database does."""
        async with self._reading:
            versions = await zones.fetch_versions(self._database)
            kept = {
                zone_id: plot
                for zone_id, plot in self._plots.items()
                if versions.get(zone_id) == plot.zone.version
            }
            changed = [
                zone_id
                for zone_id, version in versions.items()
                if zone_id not in kept and self._unusable.get(zone_id) != version
            ]
            if changed or len(kept) < len(self._plots):
                found = await zones.fetch_some(self._database, changed) if changed else ()
                made = await trio.to_thread.run_sync(_plots, found)
                lost = {zone.zone_id: zone.version for zone in found if zone.zone_id not in made}
                self._unusable = {
                    zone_id: version
                    for zone_id, version in (dict(self._unusable) | lost).items()
                    if versions.get(zone_id) == version
                }
                self._go_by(kept | made)

    def of(self, tenant_id: TenantId, market_id: MarketId) -> Sequence[Plot]:
        """Return a tenant's zones in a market, by their ids."""
        return self._owned.get((tenant_id, market_id), ())

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Plot]:
        """Return all zones of a tenant, by their ids."""
        return [plot for plot in self._plots.values() if plot.zone.tenant_id == tenant_id]

    def find(self, zone_id: ZoneId) -> Plot | None:
        """Return the zone of that id."""
        return self._plots.get(zone_id)

    def active(self, market_id: MarketId, kind: ZoneKind) -> Sequence[Plot]:
        """Return the zones of a kind that hold in a market now, whoever drew them, by their ids."""
        now = self._clock()
        return [
            plot
            for plot in self._plots.values()
            if plot.zone.market_id == market_id
            and plot.zone.kind is kind
            and plot.zone.is_active(now)
        ]

    def closed(self, market_id: MarketId) -> Sequence[Outline]:
        """Return the areas of a market whose streets couriers do not get through now."""
        return [plot.zone.outline for plot in self.active(market_id, ZoneKind.CLOSED)]

    def _go_by(self, plots: Mapping[ZoneId, Plot]) -> None:
        self._plots = dict(sorted(plots.items()))
        self._owned = {}
        for plot in self._plots.values():
            owner = (plot.zone.tenant_id, plot.zone.market_id)
            self._owned.setdefault(owner, []).append(plot)


def _plots(found: Sequence[Zone]) -> dict[ZoneId, Plot]:
    """Return the zones with their land; one whose land cannot be worked out is left out."""
    plots: dict[ZoneId, Plot] = {}
    for zone in found:
        with suppress(PolygonFlawed):
            plots[zone.zone_id] = Plot(zone, area_of(zone.outline))
    return plots
