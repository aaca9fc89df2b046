"""Zones over HTTP: where there is service, and the rules of their own that tenants give to land.

A market's land is a zone that everybody may see before ordering; its H3 cells decide. In it a
tenant's staff draws zones: `service` where its orders are taken at all, `paused` where none are for
a while, `closed` where couriers are not routed through, `surge` where a shortage of couriers is
measured apart. Their boundaries are GeoJSON, checked before anything is kept. Drawing, changing and
ending are noted with who did it; each holds on this node when it is answered, and on every other
within seconds.
"""

from typing import Annotated

import trio
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from api import access
from api.boundaries import Boundary, Drawn, outline_on
from api.cursors import Cursor, Limit, key_of, number_of, page
from api.endpoint import Call, Endpoints
from api.ports import Edge, Ground
from api.replies import Declined, Flaw, Page, Reply
from api.restaurant_forms import MarketName
from api.restaurant_views import version_of
from api.surges import SurgeChangeView, surge_change_view, surge_of_place
from api.times import Time, instant_of, rfc3339, written
from api.zone_views import (
    ShownKind,
    ZoneChangeView,
    ZoneView,
    market_view,
    zone_etag,
    zone_view,
)
from dispatch.ids import Instant, MarketId, ZoneId, after
from dispatch.step import Code
from dispatch.zone import Plot, Zone, ZoneKind
from geo.area import area_of
from geo.point import LatLng
from geo.polygon import land_m2, shape_of
from services.accounts.principal import Scope
from storage import surges
from storage import zones as kept
from wire.orders import Lat, Lng

CLOSED_M2_MAX = 25e6
"""More land than that is no closed street: couriers would not get anywhere."""
UNTIL_S_MAX = 366 * 86_400.0
PAUSE_S_MAX = 14 * 86_400.0
"""Who pauses for longer draws his service areas anew."""
_LIST, _CHANGES, _SURGES = "zones", "zone_changes", "surges"

zones = Endpoints("Zones", "Where there is service, and which land has rules of its own.")

type ZoneName = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
type Reason = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class ZoneListing(Struct, frozen=True, kw_only=True):
    """Which zones to list: of one market or one kind, behind a cursor."""

    market_id: MarketName | None = None
    kind: ShownKind | None = None
    limit: Limit = 50
    after: Cursor | None = None


class ChangeListing(Struct, frozen=True, kw_only=True):
    """Which changes to list: those behind a cursor, the latest first."""

    limit: Limit = 50
    after: Cursor | None = None


class PlaceAsked(Struct, frozen=True, kw_only=True):
    """A place on the map."""

    lat: Annotated[Lat, Meta(description="Degrees north")]
    lng: Annotated[Lng, Meta(description="Degrees east")]


class NewZone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A zone to be drawn. A pause says why and until when; the others may."""

    market_id: MarketName
    kind: ZoneKind
    name: ZoneName
    boundary: Drawn
    reason: Reason = ""
    until: Time | None = None


class ZoneChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be another; what is left out stays. A zone stays in its market and of its kind."""

    name: ZoneName | UnsetType = UNSET
    boundary: Drawn | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    until: Time | UnsetType | None = UNSET


@zones.get("/v1/zones")
async def list_zones(call: Call[None, ZoneListing]) -> Reply[Page[ZoneView]]:
    """List zones by their ids: the markets, and, for whoever is signed in, those of his tenant."""
    wanted, now = call.query, call.began_at
    behind = key_of(_LIST, wanted.after) if wanted.after else ""
    found = [one for one in _visible(call) if _id(one) > behind and _is_wanted(one, wanted)]
    found.sort(key=_id)
    return Reply(value=page(_LIST, found, wanted.limit, _id, lambda one: _view(one, now)))


@zones.get("/v1/zones/at", codes=(Code.NOT_FOUND,))
async def show_zone_at(call: Call[None, PlaceAsked]) -> Reply[ZoneView]:
    """Show the market that a place lies in; 404 where there is no service."""
    ground = call.edge.map.find_at(LatLng(call.query.lat, call.query.lng))
    if ground is None:
        raise Declined(Code.NOT_FOUND)
    return Reply(value=market_view(ground))


@zones.get("/v1/zones/{zone_id}", codes=(Code.NOT_FOUND,))
async def show_zone(call: Call) -> Reply[ZoneView]:
    """Show a market's land or a zone, and by how much deliveries cost more there, and why."""
    ground = call.edge.map.find_market(MarketId(call.path["zone_id"]))
    if ground is not None:
        surge = await surge_of_place(call.edge, ground.market_id, ground.shard)
        return Reply(value=market_view(ground, surge))
    return await _shown(call, await access.zone_for(call.edge, call.principal, _zone_id(call)))


@zones.post(
    "/v1/zones",
    scope=Scope.ZONES_WRITE,
    status=201,
    codes=(Code.INVALID, Code.FORBIDDEN, Code.LOAD_EXCEEDED),
)
async def draw_zone(call: Call[NewZone]) -> Reply[ZoneView]:
    """Draw a zone in a market, for your own orders; one that is `closed` is so for its couriers."""
    access.only_staff(call.principal)
    zone = _drawn(call)
    if not await kept.create(call.edge.database, zone, call.principal.subject):
        told = f"at most {kept.ZONES_MAX} zones in a market: end one that is not needed"
        raise Declined(Code.LOAD_EXCEEDED, told)
    await call.edge.zones.refresh()
    zone = await access.zone_run_by(call.edge, call.principal, zone.zone_id)
    reply = await _shown(call, zone)
    return structs.replace(reply, headers={"Location": f"/v1/zones/{zone.zone_id}"})


@zones.patch(
    "/v1/zones/{zone_id}",
    scope=Scope.ZONES_WRITE,
    codes=(Code.NOT_FOUND, Code.INVALID, Code.NOT_LEGAL_NOW, Code.STALE_ETAG),
)
async def change_zone(call: Call[ZoneChanges]) -> Reply[ZoneView]:
    """Change a zone: its name, its boundary, its reason, its end. With `If-Match` only as seen."""
    zone = await access.zone_run_by(call.edge, call.principal, _zone_id(call))
    change_id = call.new_id("chg")
    if zone.change_id != change_id:  # Or this request has written it before.
        _must_stand(call, zone)
        changed = structs.replace(_changed(call, zone), change_id=change_id)
        if not await kept.save(call.edge.database, changed, call.principal.subject):
            raise _overtaken()
    return await _reread(call, zone.zone_id)


@zones.delete(
    "/v1/zones/{zone_id}",
    scope=Scope.ZONES_WRITE,
    codes=(Code.NOT_FOUND, Code.STALE_ETAG),
)
async def end_zone(call: Call) -> Reply[ZoneView]:
    """End a zone: its rules hold no longer, and it is in no list. One that has ended stays so."""
    zone = await access.zone_run_by(call.edge, call.principal, _zone_id(call))
    if zone.ended_at is None:
        _must_match(call, zone)
        ending = structs.replace(zone, change_id=call.new_id("chg"))
        if not await kept.end(call.edge.database, ending, call.principal.subject):
            raise _overtaken()
    return await _reread(call, zone.zone_id)


@zones.get("/v1/zones/{zone_id}/changes", scope=Scope.EVENTS_READ, codes=(Code.NOT_FOUND,))
async def list_zone_changes(call: Call[None, ChangeListing]) -> Reply[Page[ZoneChangeView]]:
    """List what a zone was and who made it so, the latest first. For staff and integrators."""
    zone = await access.zone_run_by(call.edge, call.principal, _zone_id(call))
    wanted = call.query
    before = number_of(_CHANGES, wanted.after) if wanted.after else zone.version + 1
    found = await kept.fetch_changes(call.edge.database, zone.zone_id, before, wanted.limit + 1)
    return Reply(
        value=page(_CHANGES, found, wanted.limit, lambda one: str(one.version), _change_view)
    )


@zones.get("/v1/zones/{zone_id}/surge", scope=Scope.EVENTS_READ, codes=(Code.NOT_FOUND,))
async def list_surge_changes(call: Call[None, ChangeListing]) -> Reply[Page[SurgeChangeView]]:
    """List how the surge of a market or a zone moved, and why, the latest first. For staff."""
    access.only_staff(call.principal)
    place = call.path["zone_id"]
    if call.edge.map.find_market(MarketId(place)) is None:
        place = (await access.zone_run_by(call.edge, call.principal, place)).zone_id
    wanted = call.query
    before = number_of(_SURGES, wanted.after) if wanted.after else surges.NEWEST
    found = await surges.fetch_changes(call.edge.database, place, before, wanted.limit + 1)
    return Reply(
        value=page(_SURGES, found, wanted.limit, lambda one: str(one.number), surge_change_view)
    )


type _Listed = Ground | Plot


def _visible(call: Call[None, ZoneListing]) -> list[_Listed]:
    plots = call.edge.zones.of_tenant(call.principal.tenant_id)
    return [*call.edge.map.markets(), *plots]


def _id(one: _Listed) -> str:
    return one.market_id if isinstance(one, Ground) else one.zone.zone_id


def _is_wanted(one: _Listed, wanted: ZoneListing) -> bool:
    market_id, kind = (
        (one.market_id, "market")
        if isinstance(one, Ground)
        else (one.zone.market_id, one.zone.kind.value)
    )
    return wanted.market_id in {None, market_id} and wanted.kind in {None, kind}


def _view(one: _Listed, now: Instant) -> ZoneView:
    return market_view(one) if isinstance(one, Ground) else zone_view(one, now)


type _AnyCall = Call | Call[None, ChangeListing] | Call[NewZone] | Call[ZoneChanges]


def _zone_id(call: _AnyCall) -> str:
    return call.path["zone_id"]


async def _reread(call: Call | Call[ZoneChanges], zone_id: ZoneId) -> Reply[ZoneView]:
    """Have this node go by what was written, and show it as committed."""
    await call.edge.zones.refresh()
    return await _shown(call, await access.zone_run_by(call.edge, call.principal, zone_id))


async def _shown(call: _AnyCall, zone: Zone) -> Reply[ZoneView]:
    surge = None
    ground = call.edge.map.find_market(zone.market_id)
    if ground is not None and zone.kind is ZoneKind.SURGE:
        surge = await surge_of_place(call.edge, zone.zone_id, ground.shard)
    view = zone_view(await _plot(call.edge, zone), call.edge.now(), surge)
    return Reply(value=view, etag=zone_etag(zone, view))


async def _plot(edge: Edge, zone: Zone) -> Plot:
    """Return the zone with its land, which this node need not work out if it goes by it already."""
    known = edge.zones.find(zone.zone_id)
    if known is not None and known.zone.version == zone.version:
        return Plot(zone, known.area)
    return Plot(zone, await trio.to_thread.run_sync(area_of, zone.outline))


def _drawn(call: Call[NewZone]) -> Zone:
    """Return the zone as it is to be kept; raises `Declined`."""
    body = call.body
    ground = call.edge.map.find_market(MarketId(body.market_id))
    if ground is None:
        raise _flawed("/market_id", "there is no such market: see /v1/zones?kind=market")
    zone = Zone(
        zone_id=ZoneId(call.new_id("zon")),
        tenant_id=call.principal.tenant_id,
        market_id=ground.market_id,
        kind=body.kind,
        name=body.name,
        outline=outline_on(ground, body.boundary, "/boundary"),
        reason=body.reason,
        until=None if body.until is None else instant_of(body.until),
        change_id=call.new_id("chg"),
    )
    _check(zone, call.began_at)
    return zone


def _changed(call: Call[ZoneChanges], zone: Zone) -> Zone:
    """Return the zone as it is to be; raises `Declined`."""
    body = call.body
    ground = call.edge.map.find_market(zone.market_id)
    if ground is None:
        raise Declined(Code.UNAVAILABLE, "the zone's market is not run at present", retry_s=5)
    if body.name is not UNSET:
        zone = structs.replace(zone, name=body.name)
    if body.reason is not UNSET:
        zone = structs.replace(zone, reason=body.reason)
    if body.until is not UNSET:
        until = None if body.until is None else instant_of(body.until)
        zone = structs.replace(zone, until=until)
    if body.boundary is not UNSET:
        zone = structs.replace(zone, outline=outline_on(ground, body.boundary, "/boundary"))
    _check(zone, call.began_at)
    return zone


def _check(zone: Zone, now: Instant) -> None:
    """Raise `Declined` for what the fields of a zone say together and should not."""
    if zone.kind is ZoneKind.PAUSED and not zone.reason:
        raise _flawed("/reason", "a pause says why: customers are told")
    if zone.kind is ZoneKind.PAUSED and zone.until is None:
        raise _flawed("/until", "a pause says until when")
    most_s = PAUSE_S_MAX if zone.kind is ZoneKind.PAUSED else UNTIL_S_MAX
    if zone.until is not None and not now < zone.until <= after(now, most_s):
        raise _flawed("/until", f"must be after now, and within {most_s / 86_400:.0f} days")
    if zone.kind is ZoneKind.CLOSED and land_m2(shape_of(zone.outline)) > CLOSED_M2_MAX:
        most = f"{CLOSED_M2_MAX / 1e6:.0f} square kilometres"
        raise _flawed("/boundary", f"at most {most} can be closed to couriers")


def _must_stand(call: Call[ZoneChanges], zone: Zone) -> None:
    if zone.ended_at is not None:
        raise Declined(Code.NOT_LEGAL_NOW, "the zone has ended: draw another one")
    _must_match(call, zone)


def _must_match(call: Call | Call[ZoneChanges], zone: Zone) -> None:
    """Raise `Declined` when `If-Match` names no tag of this version."""
    named = call.headers.get("if-match", "").split(",")
    same = [tag.strip() for tag in named if version_of(tag) == str(zone.version)]
    call.must_match(same[0].removeprefix("W/") if same else f'"{zone.version}"')


def _overtaken() -> Declined:
    return Declined(Code.STALE_ETAG, "somebody else has just changed it: read it again")


def _flawed(pointer: str, told: str) -> Declined:
    return Declined(Code.INVALID, f"{pointer}: {told}", flaws=(Flaw(pointer, Code.INVALID, told),))


def _change_view(change: kept.ZoneChange) -> ZoneChangeView:
    return ZoneChangeView(
        version=change.version,
        made_by=change.made_by,
        at=rfc3339(change.at),
        name=change.zone.name,
        boundary=Boundary(coordinates=change.zone.outline),
        reason=change.zone.reason,
        until=written(change.zone.until),
    )
