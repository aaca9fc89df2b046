"""Tables: near enough to the fastest ways, honest about direction, and shared as files."""

from pathlib import Path

import numpy as np
import pytest

from geo.point import Floats, Point
from streets.exact import UNREACHABLE_S, Exact
from streets.roads import Vehicle
from streets.routing import Weighed
from streets.table import (
    COARSE,
    FINE,
    NO_WAY,
    Cells,
    Table,
    TooWide,
    cells,
    find_table,
    save_table,
    table,
)
from streets.tabled import NEAR_M, Tabled, tabled
from streets.terrain import Terrain
from tests.streets.lattices import CENTRE, lattice, untidy

TERRAIN = Terrain(lattice(22, 140.0, untidy(4)), Vehicle.CAR, CENTRE)
WEIGHED = TERRAIN.weighed()


def made(resolution: int | None = None, weighed: Weighed = WEIGHED) -> Table:
    return table(TERRAIN, weighed, cells(TERRAIN, resolution))


def some_points(seed: int, count: int = 60) -> Floats:
    rng = np.random.default_rng(seed)
    return TERRAIN.points[rng.integers(0, len(TERRAIN.points), count)] + rng.normal(
        0, 20, (count, 2)
    )


def error(found: Tabled, origins: Floats, destinations: Floats) -> tuple[float, float]:
    """Return the mean error as a share of the mean time, and the mean of what is too much."""
    exact_s = Exact(TERRAIN, WEIGHED).matrix_s(origins, destinations)
    errors_s = found.matrix_s(origins, destinations) - exact_s
    return float(np.abs(errors_s).mean() / exact_s.mean()), float(errors_s.mean() / exact_s.mean())


def test_a_coarse_table_is_near_the_streets_and_a_fine_one_nearer() -> None:
    origins, destinations = some_points(1), some_points(2)

    coarse, coarse_bias = error(tabled(TERRAIN, made(COARSE)), origins, destinations)
    fine, fine_bias = error(tabled(TERRAIN, made(FINE)), origins, destinations)

    assert fine < coarse < 0.08
    assert fine < 0.05
    assert max(abs(coarse_bias), abs(fine_bias)) < 0.04


def test_what_stations_differ_from_their_cell_halves_the_error() -> None:
    known = made(COARSE)
    origins, destinations = some_points(3), some_points(4)

    with_offsets, _ = error(tabled(TERRAIN, known), origins, destinations)
    blank = known._replace(offsets_s=np.zeros_like(known.offsets_s))
    without, _ = error(tabled(TERRAIN, blank), origins, destinations)

    assert with_offsets < 0.75 * without


def test_a_straight_line_is_worse_than_any_table() -> None:
    origins, destinations = some_points(5), some_points(6)
    exact_s = Exact(TERRAIN, WEIGHED).matrix_s(origins, destinations)
    gaps_m = np.hypot(*(origins[:, None] - destinations[None]).transpose(2, 0, 1))

    straight_s = gaps_m * (exact_s.sum() / gaps_m.sum())

    straight = np.abs(straight_s - exact_s).mean() / exact_s.mean()
    coarse, _ = error(tabled(TERRAIN, made(COARSE)), origins, destinations)
    assert coarse < straight / 2


def test_a_matrix_holds_the_times_of_its_pairs_by_the_plain_rule() -> None:
    found = tabled(TERRAIN, made())
    origins, destinations = some_points(7, 12), some_points(8, 9)

    times_s = found.matrix_s(origins, destinations)

    expected_s = [
        [plainly_s(found, Point(*a), Point(*b)) for b in destinations.tolist()]
        for a in origins.tolist()
    ]
    assert times_s == pytest.approx(np.array(expected_s))
    assert times_s[3, 4] == found.seconds(
        Point(*origins[3].tolist()), Point(*destinations[4].tolist())
    )


def plainly_s(found: Tabled, a: Point, b: Point) -> float:
    """Return what the module of tables says of a pair, in its words, one after the other."""
    terrain, known = found.terrain, found.table
    ends = np.array([(a.x_m, a.y_m), (b.x_m, b.y_m)])
    (leaves, arrives), gaps_m = terrain.nearest(ends)
    rows = known.cells.row[[leaves, arrives]]
    speakers = terrain.points[known.cells.speaker[rows]]
    gap_m, apart_m = np.hypot(*(ends[0] - ends[1])), np.hypot(*(speakers[0] - speakers[1]))
    if apart_m < NEAR_M:
        return float(gap_m * found.paces.short)
    between_s = float(known.seconds[rows[0], rows[1]])
    own_s = float(known.offsets_s[0, leaves]) + float(known.offsets_s[1, arrives])
    off_road_s = found.paces.usual * float(gaps_m.sum())
    sideways_s = 0.5 * found.paces.usual * (gap_m - apart_m)
    return max(between_s + own_s + off_road_s + sideways_s, 0.7 * found.paces.usual * gap_m)


def test_a_pair_that_no_way_joins_takes_finitely_for_ever() -> None:
    known = made()
    known.seconds[0, 1] = NO_WAY
    a, b = (Point(*TERRAIN.points[known.cells.speaker[row]].tolist()) for row in (0, 1))

    found = tabled(TERRAIN, known)

    assert found.seconds(a, b) == UNREACHABLE_S
    assert found.seconds(b, a) < 3_600


def test_nothing_that_is_not_finite_comes_of_closed_streets() -> None:
    closed = tuple(np.unique(TERRAIN.stations.arc)[::2].tolist())

    found = tabled(TERRAIN, made(COARSE, TERRAIN.weighed(closed)))

    times_s = found.matrix_s(some_points(9), some_points(10))
    assert np.isfinite(times_s).all()
    assert (times_s == UNREACHABLE_S).any()


def test_every_station_is_in_a_cell_that_one_of_its_own_speaks_for() -> None:
    rows = cells(TERRAIN, COARSE)

    assert np.array_equal(rows.row[rows.speaker], np.arange(len(rows.speaker)))
    assert len(cells(TERRAIN).speaker) > len(rows.speaker)


def test_a_land_of_too_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streets.table.CELLS_MAX", 5)

    with pytest.raises(TooWide, match="import one city of it"):
        cells(TERRAIN, COARSE)


def test_a_saved_table_is_mapped_and_says_the_same(tmp_path: Path) -> None:
    known = made(COARSE)

    save_table(tmp_path / "tables" / "car", known)
    found = find_table(tmp_path / "tables" / "car", known.cells)

    assert found is not None
    assert np.array_equal(found.seconds, known.seconds)
    assert np.array_equal(found.offsets_s, known.offsets_s)
    assert not found.seconds.flags.writeable
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["car"]


def test_a_table_takes_the_place_of_a_spoilt_one_and_whoever_mapped_that_keeps_it(
    tmp_path: Path,
) -> None:
    known, folder = made(COARSE), tmp_path / "tables" / "car"
    save_table(folder, known._replace(seconds=known.seconds + 1))
    mapped = find_table(folder, known.cells)

    save_table(folder, known)

    found = find_table(folder, known.cells)
    assert mapped is not None
    assert found is not None
    assert np.array_equal(mapped.seconds, known.seconds + 1)
    assert np.array_equal(found.seconds, known.seconds)
    assert len(list((tmp_path / "tables").iterdir())) == 1


def shortened(folder: Path, _known: Table) -> None:
    content = (folder / "seconds.npy").read_bytes()
    (folder / "seconds.npy").write_bytes(content[: len(content) // 2])


def garbled(folder: Path, _known: Table) -> None:
    (folder / "offsets.npy").write_bytes(b"\x93NUMPY and then nothing of the kind")


def without_numbers(folder: Path, known: Table) -> None:
    np.save(folder / "offsets.npy", np.full_like(known.offsets_s, np.nan))


def of_another_city(folder: Path, known: Table) -> None:
    np.save(folder / "seconds.npy", known.seconds[1:, 1:])


@pytest.mark.parametrize("spoil", [shortened, garbled, without_numbers, of_another_city])
def test_a_table_that_was_spoilt_is_none(tmp_path: Path, spoil: object) -> None:
    known = made(COARSE)
    save_table(tmp_path / "tables" / "car", known)
    assert callable(spoil)

    spoil(tmp_path / "tables" / "car", known)

    assert find_table(tmp_path / "tables" / "car", known.cells) is None


def test_there_is_no_table_where_none_was_saved(tmp_path: Path) -> None:
    rows = Cells(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))

    assert find_table(tmp_path / "none", rows) is None
