"""Opening streets: a description becomes times, the same ones in every process, or a sentence."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import structs

from geo.point import Point
from geo.travel import Lookup, OnStreets, StraightLine, Ways, straight
from streets.exact import Exact
from streets.folder import save_network
from streets.tabled import Tabled
from streets.travel import TABLES, NoStreets, by_table, exact, opened
from tests.streets.lattices import CENTRE, lattice, untidy

A, B = Point(-700.0, -650.0), Point(800.0, 720.0)


@pytest.fixture
def ways(tmp_path: Path) -> OnStreets:
    """Return the streets of a little town in a folder of its own."""
    save_network(tmp_path, lattice(12, tagged=untidy(6)))
    return OnStreets(folder=str(tmp_path), vehicle="bicycle", centre=CENTRE)


def test_streets_are_opened_as_they_are_to_be_looked_up(ways: OnStreets) -> None:
    looked_up = structs.replace(ways, lookup=Lookup.TABLE)

    exactly, by_cells = opened(ways), opened(looked_up)

    assert isinstance(exactly, Exact)
    assert isinstance(by_cells, Tabled)
    assert by_cells.seconds(A, B) == pytest.approx(exactly.seconds(A, B), rel=0.25)


def test_a_straight_line_is_open_already() -> None:
    line = StraightLine(speed_mps=5.0)

    assert opened(line) is line
    assert straight(line) is line


def test_what_needs_no_streets_says_so_of_those_that_do(ways: OnStreets) -> None:
    with pytest.raises(ValueError, match=r"opened by streets\.travel"):
        straight(ways)


def test_a_description_crosses_to_another_process_as_it_is(ways: OnStreets) -> None:
    full = structs.replace(ways, pace=1.2, closed=(3, 4), lookup=Lookup.TABLE)
    sent = msgspec.msgpack.encode([full, StraightLine(speed_mps=4.0)])

    assert msgspec.msgpack.decode(sent, type=list[Ways]) == [full, StraightLine(speed_mps=4.0)]


@pytest.mark.parametrize("pace", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pace_that_is_none_is_refused(ways: OnStreets, pace: float) -> None:
    with pytest.raises(ValueError, match="a pace is above 0"):
        structs.replace(ways, pace=pace)
    with pytest.raises(ValueError, match="a pace is above 0"):
        structs.replace(ways, road_paces=(1.0, pace))


def test_a_pace_scales_times_and_opens_nothing_anew(ways: OnStreets) -> None:
    usual, slow = exact(ways), exact(structs.replace(ways, pace=1.5))
    usual_table, slow_table = by_table(ways), by_table(structs.replace(ways, pace=1.5))

    assert slow.seconds(A, B) == pytest.approx(1.5 * usual.seconds(A, B))
    assert slow_table.seconds(A, B) == pytest.approx(1.5 * usual_table.seconds(A, B))
    assert slow.weighed is usual.weighed
    assert slow_table.table is usual_table.table


def test_closed_streets_make_ways_longer_by_either_lookup(ways: OnStreets) -> None:
    used = exact(ways)
    arcs = used.terrain.stations.arc[list(used.way(A, B).parts)]
    closed = structs.replace(ways, closed=tuple(sorted(set(arcs[3:].tolist()))))

    assert exact(closed).seconds(A, B) > used.seconds(A, B) + 10
    assert by_table(closed).seconds(A, B) > by_table(ways).seconds(A, B) + 10


def test_a_table_is_kept_in_the_folder_and_one_of_closed_streets_is_not(ways: OnStreets) -> None:
    by_table(structs.replace(ways, closed=(1,)))
    assert not (Path(ways.folder) / TABLES).exists()

    by_table(ways)

    (kept,) = (Path(ways.folder) / TABLES).iterdir()
    assert kept.name.startswith("bicycle-")


def test_a_folder_that_takes_no_table_is_used_all_the_same(ways: OnStreets) -> None:
    (Path(ways.folder) / TABLES).write_text("a file where a folder should be")

    assert by_table(ways).seconds(A, B) > 0


def test_a_folder_without_streets_is_named(tmp_path: Path) -> None:
    missing = OnStreets(folder=str(tmp_path / "atlantis"), vehicle="car", centre=CENTRE)

    with pytest.raises(NoStreets, match=r"atlantis.*dispatch city import"):
        opened(missing)


def test_a_vehicle_that_there_is_not_is_named(ways: OnStreets) -> None:
    with pytest.raises(NoStreets, match="there is no vehicle 'canoe'"):
        opened(structs.replace(ways, vehicle="canoe"))


def test_paces_for_roads_that_there_are_not_are_named(ways: OnStreets) -> None:
    with pytest.raises(NoStreets, match="2 paces are given"):
        opened(structs.replace(ways, road_paces=(1.0, 2.0)))


def test_a_market_on_the_other_side_of_the_earth_does_not_fit_these_streets(
    ways: OnStreets,
) -> None:
    with pytest.raises(NoStreets, match="too far from the market's centre"):
        opened(
            structs.replace(
                ways, centre=msgspec.convert({"lat": -33.9, "lng": 151.2}, type(CENTRE))
            )
        )


def test_a_matrix_is_the_same_whoever_opens_it(ways: OnStreets, tmp_path: Path) -> None:
    points = np.random.default_rng(1).uniform(-800, 800, (20, 2))
    copy = tmp_path / "copy"
    copy.mkdir()
    save_network(copy, lattice(12, tagged=untidy(6)))

    first, second = by_table(ways), by_table(structs.replace(ways, folder=str(copy)))

    assert np.array_equal(first.matrix_s(points, points), second.matrix_s(points, points))
