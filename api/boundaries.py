"""Boundaries over HTTP: GeoJSON geometries, as they come in and as they are shown.

What comes in is a Polygon or a MultiPolygon; what is shown is always the latter. Whether it can be
used is said by `geo.polygon`; here its sentence becomes a problem that points into the body.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.ports import Ground
from api.replies import Declined, Flaw
from dispatch.step import Code
from geo.cell import cell_at, shard_of
from geo.polygon import AREAS_MAX, CORNERS_MAX, RINGS_MAX, PolygonFlawed, checked
from geo.zone import Outline

_EXAMPLE = [[[12.55, 55.67], [12.59, 55.67], [12.59, 55.69], [12.55, 55.69], [12.55, 55.67]]]

type Position = tuple[float, ...]
type Ring = Annotated[tuple[Position, ...], Meta(max_length=CORNERS_MAX)]
type Rings = Annotated[
    tuple[Ring, ...],
    Meta(
        max_length=RINGS_MAX,
        examples=[_EXAMPLE],
        description="The outer ring and then the holes: longitudes and latitudes, closed",
    ),
]
type Areas = Annotated[tuple[Rings, ...], Meta(max_length=AREAS_MAX, examples=[[_EXAMPLE]])]


class Polygon(Struct, frozen=True, kw_only=True, tag_field="type", tag="Polygon"):
    """One area, as RFC 7946 has it."""

    coordinates: Rings


class MultiPolygon(Struct, frozen=True, kw_only=True, tag_field="type", tag="MultiPolygon"):
    """Several areas that do not overlap, as RFC 7946 has them."""

    coordinates: Areas


type Drawn = Polygon | MultiPolygon


class Boundary(Struct, frozen=True, kw_only=True):
    """A GeoJSON geometry: areas as rings of longitude and latitude, holes behind the outer ring."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: Outline


def outline_on(ground: Ground, drawn: Drawn, pointer: str) -> Outline:
    """Return what was drawn, on the market's land; raises `Declined` where it cannot be used."""
    land = frozenset(ground.cells)
    is_single = isinstance(drawn, Polygon)
    areas = (drawn.coordinates,) if is_single else drawn.coordinates
    try:
        return checked(areas, lambda lat, lng: shard_of(cell_at(lat, lng)) in land)
    except PolygonFlawed as flawed:
        inside = flawed.pointer.removeprefix("/0") if is_single else flawed.pointer
        where = f"{pointer}/coordinates{inside}"
        flaw = Flaw(where, Code.INVALID, flawed.told)
        raise Declined(Code.INVALID, f"{where}: {flawed.told}", flaws=(flaw,)) from flawed
