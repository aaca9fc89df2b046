"""Couriers over HTTP: whether each works, where, and for staff where he is right now.

What a courier does (shifts, offers, deliveries) has endpoints of its own. Where somebody is, is
shown to nobody but those who answer for him: not to customers, who follow their order instead.
"""

from contextlib import suppress
from typing import Annotated

from msgspec import Meta, Struct

from api import access
from api.cursors import Cursor, Limit, key_of, page
from api.endpoint import Call, Endpoints
from api.ports import Edge
from api.replies import Page, Reply
from api.times import WrittenTime, rfc3339, written
from dispatch.courier_state import Stage
from dispatch.ids import CourierId, MarketId
from dispatch.spot import PositionsUnreachable
from dispatch.step import Code
from services.accounts.principal import Scope
from storage import couriers as kept_couriers
from storage.couriers import CourierRow, Narrowed
from storage.positions import RedisPositions

_LIST = "couriers"

couriers = Endpoints("Couriers", "Who carries, whether they work, and where.")


class SeenAt(Struct, frozen=True, kw_only=True):
    """Where he was when he was heard last."""

    lat: float
    lng: float
    speed_mps: float
    seen_at: WrittenTime


class CourierView(Struct, frozen=True, kw_only=True):
    """A courier. `stage` is off, on, paused, quiet (not heard of) or ending, since `since`.

    `position` is only for staff, and only while he has been heard of lately.
    """

    courier_id: CourierId
    name: str
    stage: Stage
    market_id: MarketId | None
    since: WrittenTime | None
    position: SeenAt | None = None


class CourierListing(Struct, frozen=True, kw_only=True):
    """Which couriers to list: of one market or one stage, behind a cursor."""

    market_id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}(?!\n)$")] | None = None
    stage: Stage | None = None
    limit: Limit = 50
    after: Cursor | None = None


@couriers.get("/v1/couriers", scope=Scope.COURIERS_READ, codes=(Code.FORBIDDEN,))
async def list_couriers(call: Call[None, CourierListing]) -> Reply[Page[CourierView]]:
    """List the tenant's couriers, by their ids. For staff."""
    access.only_staff(call.principal)
    wanted = call.query
    narrowed = Narrowed(
        after=key_of(_LIST, wanted.after) if wanted.after else "",
        market_id=wanted.market_id,
        stage=wanted.stage,
        count_max=wanted.limit + 1,
    )
    tenant_id = call.principal.tenant_id
    found = await kept_couriers.fetch_page(call.edge.replica, tenant_id, narrowed)
    return Reply(value=page(_LIST, found, wanted.limit, lambda row: row.courier_id, _view))


@couriers.get("/v1/couriers/{courier_id}", scope=Scope.COURIERS_READ, codes=(Code.NOT_FOUND,))
async def show_courier(call: Call) -> Reply[CourierView]:
    """Show a courier: to himself, and to staff with where he is."""
    row = await access.courier_for(call.edge, call.principal, call.path["courier_id"])
    position = await _position(call.edge, row) if call.principal.is_staff else None
    return Reply(value=_view(row, position))


async def _position(edge: Edge, row: CourierRow) -> SeenAt | None:
    """Return where he was seen last; None when that is not known, or cannot be asked now."""
    if row.shard is None or row.stage is Stage.OFF:
        return None
    spot = None
    with suppress(PositionsUnreachable):
        spot = await RedisPositions(edge.redis, edge.cluster).find(row.shard, row.courier_id)
    if spot is None:
        return None
    return SeenAt(
        lat=spot.lat, lng=spot.lng, speed_mps=spot.speed_mps, seen_at=rfc3339(spot.seen_at)
    )


def _view(row: CourierRow, position: SeenAt | None = None) -> CourierView:
    return CourierView(
        courier_id=row.courier_id,
        name=row.name,
        stage=row.stage,
        market_id=row.market_id,
        since=written(row.since),
        position=position,
    )
