"""Cells and shards, held against the H3 library itself on random places and on the pentagons."""

from math import asin, degrees, pi
from random import Random

import h3.api.basic_int as h3
import numpy as np
import pytest

from geo.cell import (
    FINE,
    RINGS_MAX,
    Cell,
    cell_at,
    core,
    disk,
    parent,
    parents,
    resolution_of,
    shard_of,
)
from geo.point import LatLng
from geo.projection import Projection


def anywhere(rng: Random) -> tuple[float, float]:
    """Return a place drawn evenly from the whole Earth."""
    return degrees(asin(rng.uniform(-1, 1))), rng.uniform(-180, 180)


def cells_of_every_kind() -> list[Cell]:
    """Return cells of all resolutions: all over the Earth, the pentagons, and what is near them."""
    rng = Random(11)
    spread = [cell_at(*anywhere(rng), rng.randrange(16)) for _ in range(3_000)]
    pentagons = [Cell(cell) for res in range(16) for cell in h3.get_pentagons(res)]
    near = [Cell(cell) for pentagon in h3.get_pentagons(FINE) for cell in h3.grid_disk(pentagon, 2)]
    return spread + pentagons + near


def test_the_parent_by_bit_mask_is_the_parent_that_h3_names() -> None:
    cells = cells_of_every_kind()

    for cell in cells:
        named = [h3.cell_to_parent(cell, res) for res in range(resolution_of(cell) + 1)]
        assert [parent(cell, res) for res in range(resolution_of(cell) + 1)] == named


def test_the_parents_of_many_cells_are_those_of_each() -> None:
    cells = [cell for cell in cells_of_every_kind() if resolution_of(cell) >= 5]

    found = parents(np.array(cells, dtype=np.int64), 5)

    assert found.tolist() == [h3.cell_to_parent(cell, 5) for cell in cells]


def test_a_parent_finer_than_the_cell_is_refused() -> None:
    coarse = cell_at(55.7, 12.6, 6)

    with pytest.raises(ValueError, match="no parent of resolution 7"):
        parent(coarse, 7)
    with pytest.raises(ValueError, match="parent of resolution 7"):
        parents(np.array([cell_at(55.7, 12.6), coarse]), 7)
    with pytest.raises(ValueError, match="parent of resolution -1"):
        parents(np.array([coarse]), -1)


def test_the_shard_is_the_parent_of_the_fine_cell_and_not_a_second_look() -> None:
    rng = Random(5)
    places = [anywhere(rng) for _ in range(4_000)]

    shards = [shard_of(cell_at(*place)) for place in places]

    looked_up = [cell_at(*place, 4) for place in places]
    disagreeing = sum(a != b for a, b in zip(shards, looked_up, strict=True))
    assert shards == [h3.cell_to_parent(cell_at(*place), 4) for place in places]
    assert 0.04 < disagreeing / len(places) < 0.10


def test_all_children_of_a_shard_belong_to_it() -> None:
    shard = cell_at(55.7, 12.6, 7)

    children = [Cell(child) for child in h3.cell_to_children(shard, FINE)]

    assert {shard_of(child, 7) for child in children} == {shard}
    assert len(children) == 49


def test_a_disk_holds_the_cells_within_so_many_steps() -> None:
    cell = cell_at(35.9, 14.4)

    cells = disk(cell, 3)

    assert cells.tolist() == sorted(h3.grid_disk(cell, 3))
    assert max(h3.grid_distance(cell, other) for other in cells.tolist()) == 3


def test_a_disk_around_a_pentagon_has_no_gap() -> None:
    pentagon = Cell(h3.get_pentagons(FINE)[0])

    assert disk(pentagon, 1).tolist() == sorted(h3.grid_disk(pentagon, 1))
    assert len(disk(pentagon, 1)) == 6


@pytest.mark.parametrize("rings", [-1, RINGS_MAX + 1])
def test_a_disk_without_bounds_is_refused(rings: int) -> None:
    with pytest.raises(ValueError, match="0 to 50 rings"):
        disk(cell_at(35.9, 14.4), rings)


def test_every_point_of_a_core_lies_in_its_cell() -> None:
    rng = Random(23)
    pentagons = [h3.cell_to_latlng(cell) for cell in h3.get_pentagons(FINE)]
    places = [anywhere(rng) for _ in range(300)] + pentagons

    for lat, lng in places:
        origin = LatLng(max(-90, min(90, lat + rng.uniform(-0.3, 0.3))), lng)
        projection, cell = Projection(origin), cell_at(lat, lng)
        x_m, y_m, radius_m = core(cell, projection)
        turn = np.linspace(0, 2 * pi, 24)
        rim = np.stack((x_m + radius_m * np.cos(turn), y_m + radius_m * np.sin(turn)), axis=1)
        places_on_rim = projection.to_lat_lngs(rim).tolist()
        assert {cell_at(*place) for place in places_on_rim} == {cell}


def test_a_core_fills_most_of_a_city_s_cell() -> None:
    projection, cell = Projection(LatLng(55.7, 12.6)), cell_at(55.68, 12.57)

    share = pi * core(cell, projection).radius_m ** 2 / h3.cell_area(cell, "m^2")

    assert 0.75 < share < 0.9
