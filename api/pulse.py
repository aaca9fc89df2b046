"""How a tenant's orders and couriers stand, in numbers that name nobody: `GET /v1/pulse`.

The numbers are a business's own. Whoever runs a tenant sees those of his tenant, and nobody else
sees any: how many orders somebody has is what competitors would like to know. A node that is told
to show its pulse (`SHOW_PULSE`, as a demo does) also has the numbers of everybody, for the page at
`/` (`api.front`). An answer is given again for a second, so that many who ask cost one look.
"""

from collections import OrderedDict
from collections.abc import Mapping
from weakref import WeakKeyDictionary

import trio
from msgspec import Struct

from api.endpoint import Call, Endpoints
from api.ports import Edge
from api.replies import Reply
from api.times import WrittenTime, rfc3339
from dispatch.ids import Instant, TenantId, after
from services.accounts.principal import Scope
from storage.database import Database
from storage.pulse import fetch_pulse

RECENT_S = 3 * 3_600.0
"""Orders placed so long ago are counted."""
KEPT_S = 1.0
"""An answer is given again for so long."""
KEPT_MAX = 1_000
"""Tenants whose last answer is kept."""

pulse = Endpoints("Pulse", "How a tenant stands, in numbers that name nobody.")


class NodeShown(Struct, frozen=True, kw_only=True):
    """A node that lives, and how busy it is, from 0 on."""

    node: str
    load: float


class MovedShown(Struct, frozen=True, kw_only=True):
    """An order came to another status."""

    status: str
    delivery_status: str
    at: WrittenTime


class PulseView(Struct, frozen=True, kw_only=True):
    """How a tenant stands. Orders are those placed in the last hours, by their status."""

    node: str
    """The node that answers."""
    at: WrittenTime
    nodes: tuple[NodeShown, ...]
    markets: tuple[str, ...]
    couriers: Mapping[str, int]
    orders: Mapping[str, int]
    latest: tuple[MovedShown, ...]


@pulse.get("/v1/pulse", scope=Scope.TENANT_ADMIN)
async def show_pulse(call: Call) -> Reply[PulseView]:
    """Show how your tenant stands. The numbers are at most a second old."""
    view = await pulse_view(call.edge, call.began_at, call.principal.tenant_id)
    return Reply(value=view, headers={"Cache-Control": "private, max-age=1"})


async def pulse_view(edge: Edge, now: Instant, tenant_id: TenantId | None) -> PulseView:
    """Return how a tenant stands, or, of no tenant, the whole cluster."""
    by_tenant = _by_database.setdefault(edge.replica, OrderedDict())
    kept = by_tenant[tenant_id] = by_tenant.pop(tenant_id, None) or _Kept()
    while len(by_tenant) > KEPT_MAX:
        by_tenant.popitem(last=False)
    async with kept.asking:
        if kept.view is None or now >= kept.until:
            kept.view, kept.until = await _looked(edge, now, tenant_id), after(edge.now(), KEPT_S)
        return kept.view


class _Kept:
    """The last answer of a node, and who waits for the next one."""

    def __init__(self) -> None:
        self.view: PulseView | None = None
        self.until = Instant(0)
        self.asking = trio.Lock()


type _ByTenant = OrderedDict[TenantId | None, _Kept]

_by_database: WeakKeyDictionary[Database, _ByTenant] = WeakKeyDictionary()


async def _looked(edge: Edge, now: Instant, tenant_id: TenantId | None) -> PulseView:
    found = await fetch_pulse(edge.replica, after(now, -RECENT_S), tenant_id)
    doors = edge.doors.best(None)
    return PulseView(
        node=edge.node,
        at=rfc3339(now),
        nodes=tuple([NodeShown(node=door.node, load=round(door.load, 3)) for door in doors]),
        markets=tuple([ground.market_id for ground in edge.map.markets()]),
        couriers=found.couriers,
        orders=found.orders,
        latest=tuple(
            [
                MovedShown(
                    status=one.status, delivery_status=one.delivery_status, at=rfc3339(one.at)
                )
                for one in found.latest
            ]
        ),
    )
