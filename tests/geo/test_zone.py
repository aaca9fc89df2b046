"""The outline of a zone goes around its cells, and around nothing else."""

from itertools import pairwise

from geo.cell import cell_at, disk
from geo.zone import outline

HERE = cell_at(55.68, 12.57)
NEAR = tuple(int(cell) for cell in disk(HERE, 2))
FAR = tuple(int(cell) for cell in disk(cell_at(55.9, 12.9), 1))


def is_inside(ring: tuple[tuple[float, float], ...], lng: float, lat: float) -> bool:
    """Whether a place lies in a ring: a line to the east crosses it an odd number of times."""
    crossings = 0
    for (lng_a, lat_a), (lng_b, lat_b) in pairwise(ring):
        if (lat_a > lat) != (lat_b > lat):
            crossings += lng < lng_a + (lat - lat_a) / (lat_b - lat_a) * (lng_b - lng_a)
    return crossings % 2 == 1


def test_a_zone_in_one_piece_has_one_closed_ring() -> None:
    ((ring,),) = outline(NEAR)

    assert ring[0] == ring[-1]
    assert is_inside(ring, 12.57, 55.68)
    assert not is_inside(ring, 12.67, 55.68)


def test_a_zone_in_two_pieces_has_two_areas() -> None:
    areas = outline(NEAR + FAR)

    assert len(areas) == 2
    assert [len(rings) for rings in areas] == [1, 1]


def test_a_hole_in_a_zone_is_a_ring_of_its_own() -> None:
    hollow = tuple(cell for cell in NEAR if cell != HERE)

    ((around, hole),) = outline(hollow)

    assert is_inside(around, 12.57, 55.68)
    assert is_inside(hole, 12.57, 55.68)


def test_a_zone_without_cells_is_nowhere() -> None:
    assert outline(()) == ()
