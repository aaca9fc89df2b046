"""The markets of a cluster: which cells of the Earth each has, in which shard, and how it is run.

A market's land is one or more coarse cells; its shard is named for the first of them and is never
changed. The plane on which its couriers are counted touches the Earth at its centre. The atlas is
read from the store again and again, because operations add markets while nodes run.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from dispatch.courier import Cross
from dispatch.hours import is_timezone
from dispatch.ids import MarketId, ShardId
from dispatch.policy import DEFAULT_SOLVER, Policy
from geo.cell import Cell, cell_at, disk, shard_of
from geo.point import LatLng
from geo.position import Position
from geo.projection import Projection
from geo.travel import Lookup, OnStreets, StraightLine, Ways
from node.hosting import Market
from storage.markets import MarketRow

type Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Streets(Struct, frozen=True, kw_only=True):
    """The streets that a market's couriers use: a city folder, as every node finds it."""

    folder: Annotated[str, Meta(min_length=1, max_length=1_000)]
    vehicle: str = "bicycle"
    lookup: Lookup = Lookup.TABLE


class Settings(Struct, frozen=True, kw_only=True):
    """How a market is run, as it is kept: decoded by every version that comes after."""

    centre: LatLng
    speed_mps: Annotated[float, Meta(gt=0, le=60)] = 4.5
    detour: Annotated[float, Meta(ge=1, le=4)] = 1.4
    solver: str = DEFAULT_SOLVER
    policy: Policy = Policy()
    timezone: Annotated[str, Meta(max_length=64)] = ""
    """Whose clocks its people go by, such as Europe/Copenhagen; UTC where none is named."""
    streets: Streets | None = None
    """Where couriers ride; without them, the straight line by `speed_mps` and `detour`."""


class MarketInvalid(Exception):
    """A market cannot be as it was told; the message is one sentence that says why."""


_settings = msgspec.msgpack.Decoder(Settings)


def a_market(name: str, settings: Settings, others: Iterable[MarketRow] = ()) -> MarketRow:
    """Return the row of a market whose land is the coarse cell around its centre."""
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        told = "small letters, digits and hyphens, 63 at most"
        raise MarketInvalid(f"a market is named by {told}, not {name[:64]!r}") from None
    if settings.timezone and not is_timezone(settings.timezone):
        told = "is no time zone of the IANA, such as Europe/Copenhagen"
        raise MarketInvalid(f"{settings.timezone[:64]!r} {told}")
    shard = ShardId(shard_of(cell_at(settings.centre.lat, settings.centre.lng)))
    for other in others:
        if other.market_id != name and shard in other.cells:
            raise MarketInvalid(f"the land around there belongs to market {other.market_id!r}")
    encoded = msgspec.msgpack.encode(settings)
    return MarketRow(market_id=MarketId(name), shard=shard, cells=(shard,), settings=encoded)


def ways_of(settings: Settings) -> Ways:
    """Return how the couriers of a market get about."""
    streets = settings.streets
    if streets is None:
        return StraightLine(speed_mps=settings.speed_mps, detour=settings.detour)
    return OnStreets(
        folder=streets.folder,
        vehicle=streets.vehicle,
        lookup=streets.lookup,
        centre=settings.centre,
    )


class Place(Struct, frozen=True):
    """One market of the atlas."""

    row: MarketRow
    settings: Settings
    market: Market
    projection: Projection


class Atlas:
    """All markets, as they were read last."""

    def __init__(self) -> None:
        self._places: dict[ShardId, Place] = {}
        self._by_cell: dict[Cell, Place] = {}
        self._unreadable: tuple[str, ...] = ()

    def read(self, rows: Sequence[MarketRow]) -> None:
        """Go by these rows from now on; a market that cannot be read is left out and named."""
        places: dict[ShardId, Place] = {}
        unreadable: list[str] = []
        for row in rows:
            try:
                places[row.shard] = self._places.get(row.shard) or _place(row)
            except (msgspec.DecodeError, ValueError) as error:
                unreadable.append(f"market {row.market_id}: {error}")
        self._places, self._unreadable = places, tuple(unreadable)
        self._by_cell = {Cell(at): place for place in places.values() for at in place.row.cells}

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Return a sentence for each market that could not be read."""
        return self._unreadable

    def shards(self) -> Mapping[MarketId, ShardId]:
        """Return the shard of each market."""
        return {place.row.market_id: shard for shard, place in self._places.items()}

    def find_market(self, shard: ShardId) -> Market | None:
        """Return how the market of a shard is run."""
        place = self._places.get(shard)
        return place.market if place else None

    def find_place(self, shard: ShardId) -> Place | None:
        """Return the market of a shard."""
        return self._places.get(shard)

    def find_at(self, where: LatLng) -> Place | None:
        """Return the market whose land a place lies in."""
        return self._by_cell.get(shard_of(cell_at(where.lat, where.lng)))

    def beyond(self, shard: ShardId, position: Position) -> Cross | None:
        """Tell a courier of the shard to cross, once none of his neighbour cells is at home.

        Whoever rides along a border so stays where he was, and is not handed to and fro.
        """
        there = self._by_cell.get(shard_of(position.cell))
        if there is None or there.row.shard == shard or self._is_at_home(shard, position.cell):
            return None
        point = there.projection.to_point(LatLng(position.lat, position.lng))
        return Cross(there.row.shard, there.row.market_id, point)

    def _is_at_home(self, shard: ShardId, cell: Cell) -> bool:
        around = {shard_of(Cell(near)) for near in disk(cell, 1).tolist()}
        return any(self._owner(near) == shard for near in around)

    def _owner(self, cell: Cell) -> ShardId | None:
        place = self._by_cell.get(cell)
        return place.row.shard if place else None


def _place(row: MarketRow) -> Place:
    settings = _settings.decode(row.settings)
    market = Market(
        market_id=row.market_id,
        policy=settings.policy,
        travel=ways_of(settings),
        learns_pace=True,
        timezone=settings.timezone,
        solver=settings.solver,
    )
    return Place(row, settings, market, Projection(settings.centre))
