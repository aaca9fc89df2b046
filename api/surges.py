"""Surges for whoever shows or prices something: how a place stands, and what it came from.

`surge_of` is what prices are to ask: by how much a delivery from a restaurant costs more now. A
restaurant may lie in several zones; the dearest of them and of its market counts.
"""

from msgspec import Struct

from api.ports import Edge, Ground
from api.times import WrittenTime, rfc3339
from api.zone_views import SurgeView, surge_view
from dispatch.ids import ShardId, TenantId
from dispatch.surge import CALM
from dispatch.zone import ZoneKind, found_at
from geo.point import LatLng
from storage import surges
from storage.surges import Happened


class SurgeChangeView(Struct, frozen=True, kw_only=True):
    """One move of a surge, in per cent of what is usual, with what it was decided by."""

    before: int
    percent: int
    reason: str
    pressure: float
    waiting: int
    expected: float
    free: int
    at: WrittenTime


class SurgeNow(Struct, frozen=True, kw_only=True):
    """What a delivery costs now in per cent of what is usual, and the sentence that says why."""

    percent: int = CALM
    place: str = ""
    reason: str = ""

    @property
    def multiplier(self) -> float:
        """The same as a factor."""
        return self.percent / CALM


async def surge_of(edge: Edge, tenant_id: TenantId, ground: Ground, where: LatLng) -> SurgeNow:
    """Return the surge of a tenant's deliveries from a place."""
    now = edge.now()
    found = found_at(edge.zones.of(tenant_id, ground.market_id), where, ZoneKind.SURGE)
    places = [plot.zone.zone_id for plot in found if plot.zone.is_active(now)]
    most = ground.policy.surging.percent_max
    stand = await surges.fetch(edge.replica, ground.shard, [ground.market_id, *places])
    dear = [
        SurgeNow(percent=min(one.percent, most), place=one.place, reason=one.reason)
        for one in stand.values()
    ]
    return max(dear, key=lambda one: one.percent, default=SurgeNow())


async def surge_of_place(edge: Edge, place: str, shard: ShardId) -> SurgeView:
    """Return how a market or a zone stands."""
    found = await surges.fetch(edge.replica, shard, [place])
    return surge_view(found.get(place))


def surge_change_view(happened: Happened) -> SurgeChangeView:
    """Return a move of a surge as it is shown."""
    fact = happened.fact
    return SurgeChangeView(
        before=fact.before,
        percent=fact.percent,
        reason=fact.reason,
        pressure=round(fact.pressure, 2),
        waiting=fact.waiting,
        expected=round(fact.expected, 1),
        free=fact.free,
        at=rfc3339(fact.at),
    )
