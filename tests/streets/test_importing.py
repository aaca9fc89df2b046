"""Importing a city: a whole folder or a sentence, whatever the file does to its reader."""

import gzip
import stat
import struct
import sys
from pathlib import Path

import msgspec
import pytest
import shapely

from streets import tiles
from streets.folder import ATTRIBUTION, TILES, load_city, load_network, load_restaurants
from streets.importing import Import, NoCity, import_city
from streets.layers import Look, feature
from streets.roads import VEHICLES
from streets.tiles import NoTiles, find_program, make_tiles
from tests.streets.test_build import seaside
from tests.streets.test_extract import many_nodes

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "cities"


def wanted(folder: Path, **changes: object) -> Import:
    """Ask for the seaside town, without tiles unless they are asked for."""
    fields = {
        "source": seaside().save(folder / "town.osm.pbf"),
        "target": folder / "city",
        "name": "Town",
        "has_tiles": False,
        **changes,
    }
    return Import(**fields)  # pyright: ignore[reportArgumentType]


def replace_reader(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have a program of the test's own in the place of the one that reads extracts."""
    program = folder / "reader"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith((".", "city")))


@pytest.mark.slow
def test_a_city_is_imported_by_another_process_and_whole(tmp_path: Path) -> None:
    report = import_city(wanted(tmp_path))

    assert load_city(tmp_path / "city") == report.city
    assert leftovers(tmp_path) == ["city"]
    assert sorted(path.name for path in (tmp_path / "city").iterdir()) == [
        "city.json",
        "doors.json",
        "network.npz",
        "restaurants.json",
    ]


@pytest.mark.slow
def test_a_damaged_file_leaves_nothing_behind(tmp_path: Path) -> None:
    ask = wanted(tmp_path)
    ask.source.write_bytes(ask.source.read_bytes()[:-1])

    with pytest.raises(NoCity, match=r"makes no city: .* is damaged .*: fetch it again"):
        import_city(ask)

    assert leftovers(tmp_path) == []


@pytest.mark.slow
def test_a_file_that_swells_beyond_its_memory_ends_in_a_sentence(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.osm.pbf"
    bomb.write_bytes(many_nodes(10_000_000))

    with pytest.raises(NoCity, match=r"memory|made to harm|damaged"):
        import_city(wanted(tmp_path, source=bomb, memory_bytes_max=1200 * 1024**2))

    assert bomb.stat().st_size < 100_000
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -SEGV $$", "damaged or made to harm: reading it ended by SIGSEGV"),
        ("echo oh dear >&2; exit 3", r"reading it ended with code 3 \(oh dear\)"),
        ("echo nonsense", "reading it ended with code 0"),
    ],
)
def test_however_the_reader_ends_there_is_a_sentence_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    ask = wanted(tmp_path)
    replace_reader(tmp_path, monkeypatch, script)

    with pytest.raises(NoCity, match=said):
        import_city(ask)

    assert leftovers(tmp_path) == []


def test_a_reader_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = wanted(tmp_path, reading_s_max=0.1)
    replace_reader(tmp_path, monkeypatch, "exec sleep 60")

    with pytest.raises(NoCity, match="took over 0 s: cut out one city"):
        import_city(ask)

    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": Path("none.osm.pbf")}, "there is no file none.osm.pbf"),
        ({"name": ""}, "give another with --name"),
        ({"name": "a\nb"}, "give another with --name"),
        ({"name": "x" * 121}, "1 to 120 characters"),
        ({"timezone": "Atlantis"}, "no time zone of the IANA, such as"),
        ({"timezone": "../../etc/passwd"}, "no time zone of the IANA, such as"),
        ({"target": Path("/proc/city")}, "/proc/city cannot be written"),
        ({"target": Path("no/such/folder/city")}, "there is no folder no/such/folder"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_before_anything_is_read(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(NoCity, match=said):
        import_city(wanted(tmp_path, **changes))

    assert leftovers(tmp_path) == []


def test_a_city_that_is_there_is_not_read_again_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "city").mkdir()
    (tmp_path / "city" / "city.json").write_text("{}")

    with pytest.raises(NoCity, match="there already; say --replace to import it anew"):
        import_city(wanted(tmp_path))


def test_without_the_program_for_tiles_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "PROGRAM", "no-such-program")

    with pytest.raises(NoCity, match=r"no-such-program.* is not installed: .* or .* --no-tiles"):
        import_city(wanted(tmp_path, has_tiles=True))

    assert leftovers(tmp_path) == []


def test_a_program_for_tiles_that_fails_leaves_no_city(tmp_path: Path) -> None:
    failing = tmp_path / "tippecanoe"
    failing.write_text("#!/bin/sh\necho no space left >&2; exit 1\n")
    failing.chmod(0o755)

    with pytest.raises(NoTiles, match=r"tippecanoe failed \(no space left\); .* --no-tiles"):
        make_tiles(str(failing), tmp_path, "layers.geojsonl", "Town")


def test_tiles_are_made_of_layers_and_name_no_path_of_the_machine(tmp_path: Path) -> None:
    program = find_program()
    if program is None:
        pytest.skip("there is no tippecanoe here")
    square = shapely.box(14.5, 35.9, 14.51, 35.91)
    (tmp_path / "layers.geojsonl").write_bytes(feature(Look("green", 8, "park"), "", square))

    make_tiles(program, tmp_path, "layers.geojsonl", "Town")

    made = (tmp_path / TILES).read_bytes()
    begins, length = struct.unpack("<QQ", made[24:40])
    metadata = msgspec.json.decode(gzip.decompress(made[begins : begins + length]))
    assert made.startswith(b"PMTiles\x03")
    assert metadata["attribution"] == ATTRIBUTION
    assert [layer["id"] for layer in metadata["vector_layers"]] == ["green"]
    assert "generator_options" not in metadata


@pytest.mark.slow
def test_malta_is_imported_as_it_is(tmp_path: Path) -> None:
    source = SHARED / "malta.osm.pbf"
    if not source.is_file():
        pytest.skip(f"there is no {source.name} beside the repository")

    report = import_city(wanted(tmp_path, source=source, name="Malta"))

    city, network = report.city, load_network(tmp_path / "city")
    assert (city.timezone, city.extracted_at) == ("Europe/Malta", "2018-08-27T20:14:02Z")
    assert city.counts.restaurants == 816
    assert city.counts.with_hours >= 36
    assert city.counts.doors > 10_000
    assert network.junctions > 30_000
    assert all(network.is_reached_by(vehicle).mean() > 0.7 for vehicle in VEHICLES)
    assert sum(1 for one in load_restaurants(tmp_path / "city") if one.cuisines) == 221
    assert 35.75 < city.bounds.south < city.bounds.north < 36.1
