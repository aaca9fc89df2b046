"""Zones over HTTP: where there is service at all, for everybody to see before ordering.

A zone is a market's land. Its H3 cells decide; the outline is for showing it on a map.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.cursors import Cursor, Limit, key_of, page
from api.endpoint import Call, Endpoints
from api.ports import Ground
from api.replies import Declined, Page, Reply
from dispatch.ids import MarketId
from dispatch.step import Code
from geo.point import LatLng
from geo.zone import Outline, cell_name, outline
from wire.orders import Lat, Lng

_LIST = "zones"

zones = Endpoints("Zones", "Where there is service.")


class Boundary(Struct, frozen=True, kw_only=True):
    """A GeoJSON geometry: areas as rings of longitude and latitude, holes behind the outer ring."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: Outline


class ZoneView(Struct, frozen=True, kw_only=True):
    """A market's land. `cells` are H3 indexes in hexadecimal: what lies in one lies in the zone."""

    market_id: MarketId
    centre: LatLng
    cells: tuple[str, ...]
    boundary: Boundary


class ZoneListing(Struct, frozen=True, kw_only=True):
    """Which zones to list: those behind a cursor."""

    limit: Limit = 50
    after: Cursor | None = None


class PlaceAsked(Struct, frozen=True, kw_only=True):
    """A place on the map."""

    lat: Annotated[Lat, Meta(description="Degrees north")]
    lng: Annotated[Lng, Meta(description="Degrees east")]


@zones.get("/v1/zones")
async def list_zones(call: Call[None, ZoneListing]) -> Reply[Page[ZoneView]]:
    """List all zones, by the names of their markets."""
    wanted = call.query
    behind = key_of(_LIST, wanted.after) if wanted.after else ""
    found = [ground for ground in call.edge.map.markets() if ground.market_id > behind]
    found.sort(key=_name)
    return Reply(value=page(_LIST, found, wanted.limit, _name, _view))


@zones.get("/v1/zones/at", codes=(Code.NOT_FOUND,))
async def show_zone_at(call: Call[None, PlaceAsked]) -> Reply[ZoneView]:
    """Show the zone that a place lies in; 404 where there is no service."""
    where = LatLng(call.query.lat, call.query.lng)
    return Reply(value=_shown(call.edge.map.find_at(where)))


@zones.get("/v1/zones/{market_id}", codes=(Code.NOT_FOUND,))
async def show_zone(call: Call) -> Reply[ZoneView]:
    """Show the zone of a market."""
    return Reply(value=_shown(call.edge.map.find_market(MarketId(call.path["market_id"]))))


def _shown(ground: Ground | None) -> ZoneView:
    if ground is None:
        raise Declined(Code.NOT_FOUND)
    return _view(ground)


def _view(ground: Ground) -> ZoneView:
    return ZoneView(
        market_id=ground.market_id,
        centre=ground.centre,
        cells=tuple([cell_name(cell) for cell in ground.cells]),
        boundary=Boundary(coordinates=outline(ground.cells)),
    )


def _name(ground: Ground) -> str:
    return ground.market_id
