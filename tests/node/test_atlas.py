"""The atlas: which land belongs to which market, and when a courier has left it."""

import msgspec
import pytest
from msgspec import structs

from dispatch.courier import Cross
from dispatch.ids import MarketId, ShardId
from geo.cell import SHARD, Cell, cell_at, disk, parent, shard_of
from geo.point import LatLng
from geo.position import Position, State
from geo.travel import Lookup, OnStreets, StraightLine
from node.atlas import Atlas, MarketInvalid, Settings, Streets, a_market, ways_of
from storage.markets import MarketRow

CENTRE = LatLng(55.676, 12.568)


def markets() -> tuple[MarketRow, MarketRow]:
    """Return two markets whose lands touch."""
    here = a_market("here", Settings(centre=CENTRE))
    neighbour = next(cell for cell in disk(Cell(here.shard), 1).tolist() if cell != here.shard)
    inside = next(
        LatLng(CENTRE.lat + north, CENTRE.lng + east)
        for north in (-0.3, -0.15, 0.0, 0.15, 0.3)
        for east in (-0.6, -0.3, 0.0, 0.3, 0.6)
        if cell_at(CENTRE.lat + north, CENTRE.lng + east, SHARD) == neighbour
        and shard_of(cell_at(CENTRE.lat + north, CENTRE.lng + east)) == neighbour
    )
    return here, a_market("there", Settings(centre=inside), [here])


def at(place: LatLng, atlas: Atlas, shard: ShardId) -> Position:
    projection = atlas.find_place(shard)
    assert projection is not None
    return Position(
        courier="pia",
        lat=place.lat,
        lng=place.lng,
        point=projection.projection.to_point(place),
        cell=cell_at(place.lat, place.lng),
        speed_mps=0.0,
        seen_at=0,
        state=State.IDLE,
        is_moving=False,
    )


def test_a_market_goes_by_the_clocks_that_it_was_given_and_no_others() -> None:
    atlas = Atlas()
    atlas.read([a_market("cph", Settings(centre=CENTRE, timezone="Europe/Copenhagen"))])

    (shard,) = atlas.shards().values()
    market = atlas.find_market(shard)

    assert market is not None
    assert market.timezone == "Europe/Copenhagen"
    with pytest.raises(MarketInvalid, match="'Europe/Atlantis' is no time zone"):
        a_market("nowhere", Settings(centre=CENTRE, timezone="Europe/Atlantis"))


def test_a_market_has_the_shard_around_its_centre_and_is_run_as_it_was_set() -> None:
    row = a_market("cph", Settings(centre=CENTRE, speed_mps=5.0, solver="nearest"))
    atlas = Atlas()
    atlas.read([row])

    market = atlas.find_market(row.shard)

    assert row.shard == parent(cell_at(CENTRE.lat, CENTRE.lng), SHARD)
    assert market is not None
    assert (market.market_id, market.solver) == ("cph", "nearest")
    assert market.travel == StraightLine(speed_mps=5.0, detour=1.4)
    assert atlas.shards() == {MarketId("cph"): row.shard}


def test_a_market_with_streets_rides_them_on_its_own_plane() -> None:
    streets = Streets(folder="cities/cph", vehicle="car", lookup=Lookup.EXACT)
    row = a_market("cph", Settings(centre=CENTRE, streets=streets))
    atlas = Atlas()

    atlas.read([row])

    market = atlas.find_market(row.shard)
    assert market is not None
    assert market.travel == OnStreets(
        folder="cities/cph", vehicle="car", lookup=Lookup.EXACT, centre=CENTRE
    )


def test_settings_from_before_there_were_streets_ride_a_straight_line() -> None:
    kept = msgspec.msgpack.encode({"centre": {"lat": 55.7, "lng": 12.6}, "speed_mps": 5.0})

    settings = msgspec.msgpack.decode(kept, type=Settings)

    assert ways_of(settings) == StraightLine(speed_mps=5.0, detour=1.4)


def test_two_markets_cannot_have_the_same_land() -> None:
    row = a_market("cph", Settings(centre=CENTRE))

    with pytest.raises(MarketInvalid, match="belongs to market 'cph'"):
        a_market("copenhagen", Settings(centre=CENTRE), [row])


@pytest.mark.parametrize("name", ["", "Copenhagen", "a" * 64, "x/y", "../x"])
def test_a_market_has_a_name_that_can_be_typed(name: str) -> None:
    with pytest.raises(MarketInvalid, match="small letters"):
        a_market(name, Settings(centre=CENTRE))


def test_a_market_that_cannot_be_read_is_named_and_the_others_run() -> None:
    good = a_market("good", Settings(centre=CENTRE))
    bad = structs.replace(good, market_id=MarketId("bad"), shard=ShardId(5), settings=b"\xc1")
    atlas = Atlas()

    atlas.read([good, bad])

    assert list(atlas.shards()) == ["good"]
    assert len(atlas.unreadable) == 1
    assert "bad" in atlas.unreadable[0]


def test_a_courier_at_home_is_not_told_to_cross() -> None:
    here, there = markets()
    atlas = Atlas()
    atlas.read([here, there])

    assert atlas.beyond(here.shard, at(CENTRE, atlas, here.shard)) is None


def test_a_courier_well_inside_another_land_is_told_to_cross_to_it() -> None:
    here, there = markets()
    atlas = Atlas()
    atlas.read([here, there])
    place = atlas.find_place(there.shard)
    assert place is not None

    told = atlas.beyond(here.shard, at(place.settings.centre, atlas, here.shard))

    assert isinstance(told, Cross)
    assert (told.shard, told.market_id) == (there.shard, "there")
    assert (round(told.point.x_m), round(told.point.y_m)) == (0, 0)


def test_a_courier_along_the_border_stays_whose_he_was() -> None:
    here, there = markets()
    atlas = Atlas()
    atlas.read([here, there])
    border = _border(here.shard, there.shard)

    from_here = atlas.beyond(here.shard, at(border, atlas, here.shard))
    from_there = atlas.beyond(there.shard, at(border, atlas, there.shard))

    assert (from_here, from_there) == (None, None)


def test_land_that_nobody_runs_changes_nothing() -> None:
    here = a_market("here", Settings(centre=CENTRE))
    atlas = Atlas()
    atlas.read([here])
    afar = LatLng(CENTRE.lat + 0.6, CENTRE.lng)

    assert atlas.beyond(here.shard, at(afar, atlas, here.shard)) is None


def _border(here: ShardId, there: ShardId) -> LatLng:
    """Return a place whose fine cells around belong to both."""
    for north in range(-60, 61):
        for east in range(-60, 61):
            place = LatLng(CENTRE.lat + north / 200, CENTRE.lng + east / 100)
            cell = cell_at(place.lat, place.lng)
            if shard_of(cell) not in {here, there}:
                continue
            around = {shard_of(Cell(near)) for near in disk(cell, 1).tolist()}
            if {here, there} <= around:
                return place
    raise AssertionError("the two lands do not touch")
