"""Reading extracts: what is taken of them, and what a damaged or hostile one comes to."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from geo.projection import Projection
from streets import extract
from streets.extract import BadExtract, Extract, read_extract
from tests.streets.towns import ORIGIN, Town, grid_town, place_at


def read(town: Town, folder: Path) -> Extract:
    return read_extract(town.save(folder / "town.osm.pbf"), len)


def shown(town: Town, folder: Path) -> list[tuple[str, str]]:
    """The layer and class of all that a map shows of a town."""
    lines = list[bytes]()
    read_extract(town.save(folder / "town.osm.pbf"), lines.append)
    features = [msgspec.json.decode(line) for line in lines]
    return sorted(
        (feature["tippecanoe"]["layer"], feature["properties"]["class"]) for feature in features
    )


def test_roads_come_with_their_nodes_and_places(tmp_path: Path) -> None:
    found = read(grid_town(blocks=2), tmp_path)

    assert len(found.roads) == 6
    assert list(found.roads[0].nodes) == [1, 2, 3]
    assert found.roads[0].lats[0] == pytest.approx(ORIGIN.lat)
    assert found.roads[0].lngs[2] == pytest.approx(place_at(400, 0).lng, abs=1e-6)


def test_restaurants_are_taken_from_points_and_from_outlines_once(tmp_path: Path) -> None:
    town = Town()
    town.node(5, 5, amenity="restaurant", name="Il-Forn")
    town.ring([(0, 0), (20, 0), (20, 20), (0, 20)], amenity="cafe", building="yes")
    outer = town.ring([(40, 0), (90, 0), (90, 50), (40, 50)])
    inner = town.ring([(60, 20), (70, 20), (70, 30), (60, 30)])
    town.multipolygon(outer, inner, amenity="fast_food")
    town.node(9, 9, amenity="bank")

    found = read(town, tmp_path)

    kinds = {one.id: (one.amenity, one.name) for one in found.restaurants}
    assert kinds == {"n1": ("restaurant", "Il-Forn"), "w1": ("cafe", ""), "r1": ("fast_food", "")}
    middle = Projection(ORIGIN).to_point(next(r for r in found.restaurants if r.id == "w1").place)
    assert (middle.x_m, middle.y_m) == pytest.approx((10, 10), abs=0.1)
    assert found.buildings == []


def test_a_restaurant_is_told_as_the_map_has_it(tmp_path: Path) -> None:
    town = Town()
    tags = {"addr__street": "Triq it-Tramuntana", "addr__housenumber": "12"}
    hours = "Mo-Su 11:00-23:00"
    town.node(5, 5, amenity="restaurant", cuisine="pizza; fish ;pizza", opening_hours=hours, **tags)
    town.node(6, 6, amenity="restaurant", cuisine="", opening_hours="by chance")

    known, vague = read(town, tmp_path).restaurants

    assert known.cuisines == ("pizza", "fish")
    assert known.address == "Triq it-Tramuntana 12"
    assert known.week is not None
    assert (vague.cuisines, vague.week, vague.opening_hours) == ((), None, "by chance")


def test_house_numbers_and_buildings_are_where_customers_live(tmp_path: Path) -> None:
    town = Town()
    town.node(5, 5, addr__housenumber="3", addr__street="Triq il-Kbira")
    town.ring([(0, 0), (20, 0), (20, 20), (0, 20)], building="yes", addr__housenumber="5")
    town.ring([(30, 0), (50, 0), (50, 20), (30, 20)], building="apartments")
    town.ring([(60, 0), (80, 0), (80, 20), (60, 20)], building="garage")

    found = read(town, tmp_path)

    assert [door.label for door in found.addresses] == ["Triq il-Kbira 3", "5"]
    assert len(found.buildings) == 1


def test_a_map_shows_what_people_look_for(tmp_path: Path) -> None:
    town = grid_town(blocks=1)
    corners = [(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)]
    town.ring(corners, building="yes")
    town.ring(corners, leisure="park")
    town.ring(corners, natural="water")
    town.ring(corners, landuse="residential")
    town.ring(corners, landuse="brownfield")
    town.node(0, 0, place="village", name="Ħal Qormi")
    town.node(0, 0, place="village")

    assert shown(town, tmp_path) == [
        ("buildings", "building"),
        ("built", "residential"),
        ("green", "park"),
        ("places", "village"),
        *[("roads", "residential")] * 4,
        ("water", "water"),
    ]


def test_a_road_through_nodes_that_are_not_there_is_cut_and_they_are_counted(
    tmp_path: Path,
) -> None:
    town = Town()
    a, b, c, d = (town.node(x_m, 0) for x_m in (0, 100, 200, 300))
    town.way([a, b, 999, c, 998, d], highway="residential")

    found = read(town, tmp_path)

    assert [list(road.nodes) for road in found.roads] == [[a, b]]
    assert found.missing_nodes == 2


def test_a_node_that_is_nowhere_on_earth_is_left_out_and_counted(tmp_path: Path) -> None:
    town = grid_town(blocks=1)
    town.node_at(200.0, 95.0, amenity="restaurant")

    found = read(town, tmp_path)

    assert found.restaurants == []
    assert found.missing_nodes == 1


def test_an_outline_that_crosses_itself_is_left_out_and_counted(tmp_path: Path) -> None:
    town = Town()
    town.ring([(0, 0), (20, 20), (20, 0), (0, 20)], amenity="restaurant", name="Bow Tie")
    town.ring([(30, 0), (50, 20), (50, 0), (30, 20)], leisure="park")

    found = read(town, tmp_path)

    assert found.restaurants == []
    assert found.broken_areas == 2


def test_texts_are_cut_to_length(tmp_path: Path) -> None:
    town = Town()
    town.node(5, 5, amenity="restaurant", name="x" * 1_000, cuisine="a;" * 500)

    (restaurant,) = read(town, tmp_path).restaurants

    assert len(restaurant.name) == 255
    assert restaurant.cuisines == ("a",)


def test_coasts_are_kept_with_the_land_on_their_left(tmp_path: Path) -> None:
    town = Town()
    town.ring([(0, 0), (900, 0), (900, 900), (0, 900)], natural="coastline")

    (coast,) = read(town, tmp_path).coasts

    assert coast[0] == coast[-1]
    assert coast[1][0] == pytest.approx(place_at(900, 0).lng, abs=1e-6)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda whole: whole[: len(whole) // 2],
    "cut by one byte": lambda whole: whole[:-1],
    "a few bytes": lambda whole: whole[:3],
    "other bytes": lambda whole: bytes(reversed(whole)),
    "flipped bits": lambda whole: whole[:-40] + bytes(255 - byte for byte in whole[-40:]),
    "xml": lambda _: b"<?xml version='1.0'?><osm version='0.6'></osm>",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_told_as_one(tmp_path: Path, damage: str) -> None:
    path = grid_town().save(tmp_path / "town.osm.pbf")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))

    with pytest.raises(BadExtract, match=r"is damaged or no \.osm\.pbf .*: fetch it again"):
        read_extract(path, len)


def test_no_file_an_empty_one_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    empty = tmp_path / "empty.osm.pbf"
    empty.touch()

    with pytest.raises(BadExtract, match="empty: fetch it again"):
        read_extract(empty, len)
    for nothing in (tmp_path, tmp_path / "none.osm.pbf"):
        with pytest.raises(BadExtract, match="there is no file"):
            read_extract(nothing, len)


def varint(number: int) -> bytes:
    """An unsigned number as protocol buffers write it."""
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def block(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(kind: bytes, content: bytes) -> bytes:
    """A block of a .pbf, deflated."""
    body = varint(2 << 3) + varint(len(content)) + block(3, zlib.compress(content, 9))
    header = block(1, kind) + varint(3 << 3) + varint(len(body))
    return struct.pack(">I", len(header)) + header + body


HEADER = blob(b"OSMHeader", block(4, b"OsmSchema-V0.6") + block(4, b"DenseNodes"))


def many_nodes(count: int) -> bytes:
    """A file of nodes in one spot, numbered from one: hardly any bytes, however many they are."""
    dense = block(1, b"\2" * count) + block(8, bytes(count)) + block(9, bytes(count))
    return HEADER + blob(b"OSMData", block(1, block(1, b"")) + block(2, block(2, dense)))


def test_a_block_that_swells_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.osm.pbf"
    bomb.write_bytes(HEADER + blob(b"OSMData", bytes(40 * 1024**2)))

    assert bomb.stat().st_size < 100_000
    with pytest.raises(BadExtract, match="is damaged"):
        read_extract(bomb, len)


def test_a_swollen_block_of_nothing_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.osm.pbf"
    bomb.write_bytes(HEADER + blob(b"OSMData", bytes(1024**2)))

    with pytest.raises(BadExtract, match="is damaged"):
        read_extract(bomb, len)


def test_more_nodes_than_a_city_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "NODES_MAX", 50_000)
    path = tmp_path / "nodes.osm.pbf"
    path.write_bytes(many_nodes(200_000))

    assert path.stat().st_size < 5_000
    with pytest.raises(BadExtract, match="over 50,000 nodes: cut out one city"):
        read_extract(path, len)


@pytest.mark.parametrize(
    ("limit", "thing"),
    [
        ("ROADS_MAX", "roads"),
        ("RESTAURANTS_MAX", "restaurants"),
        ("PLACES_MAX", "house numbers"),
        ("FEATURES_MAX", "things to draw"),
        ("ALL_WAY_NODES_MAX", "nodes"),
    ],
)
def test_every_collection_has_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, thing: str
) -> None:
    monkeypatch.setattr(extract, limit, 1)
    town = grid_town()
    for x_m in (10, 20):
        town.node(x_m, 0, amenity="cafe")
        town.node(x_m, 5, addr__housenumber="1")

    with pytest.raises(BadExtract, match=f"over 1 {thing}: cut out one city"):
        read(town, tmp_path)


def test_a_way_of_endless_nodes_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "WAY_NODES_MAX", 4)
    town = grid_town(blocks=2)
    town.way([1, 2, 3, 2, 1, 2], highway="residential")

    found = read(town, tmp_path)

    assert len(found.roads) == 6
    assert found.broken_areas == 1
