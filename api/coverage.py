"""Whether an order can be taken where its restaurant and its door lie, by the tenant's zones.

What the zones say is decided in `dispatch.zone`; here it becomes the problem that a customer reads:
that his door is in no service area, or that nothing is taken around there, why, and until when.
"""

from collections.abc import Sequence

from api.ports import Edge, Ground
from api.replies import Declined, Flaw
from api.times import rfc3339
from dispatch.ids import Instant, TenantId, elapsed_s
from dispatch.step import Code
from dispatch.zone import Barred, Zone, bars
from geo.point import LatLng

_POINTERS = {False: "/restaurant_id", True: "/dropoff"}


def check_coverage(
    edge: Edge, tenant_id: TenantId, ground: Ground, restaurant: LatLng, door: LatLng, at: Instant
) -> None:
    """Raise `Declined` for an order, to be worked on at an instant, that zones do not allow."""
    found = bars(edge.zones.of(tenant_id, ground.market_id), restaurant, door, at)
    pauses = [(one, one.zone) for one in found if one.zone is not None]
    if pauses:
        raise _paused(pauses, edge.now())
    if found:
        flaws = tuple([Flaw(_POINTERS[one.is_door], Code.INVALID, _UNSERVED) for one in found])
        raise Declined(Code.INVALID, f"{flaws[0].pointer}: {_UNSERVED}", flaws=flaws)


_UNSERVED = "in none of the areas that are served: see /v1/zones?kind=service"


def _paused(pauses: Sequence[tuple[Barred, Zone]], now: Instant) -> Declined:
    flaws = tuple(
        [
            Flaw(_POINTERS[one.is_door], Code.ZONE_PAUSED, _pause_told(zone, is_door=one.is_door))
            for one, zone in pauses
        ]
    )
    ends = [zone.until for _, zone in pauses if zone.until is not None]
    retry_s = max(elapsed_s(now, max(ends)), 1.0) if ends else None
    return Declined(Code.ZONE_PAUSED, flaws[0].detail, flaws=flaws, retry_s=retry_s)


def _pause_told(zone: Zone, *, is_door: bool) -> str:
    place = "your door" if is_door else "the restaurant"
    until = "" if zone.until is None else f" until {rfc3339(zone.until)}"
    return f"no orders are taken around {place}{until}: {zone.reason}"
