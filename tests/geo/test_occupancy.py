"""Who is in which cell, and that empty cells are forgotten."""

from geo.cell import NOWHERE, cell_at, core
from geo.occupancy import NO_CORE, Occupancy
from geo.point import LatLng
from geo.projection import Projection

PROJECTION = Projection(LatLng(55.68, 12.57))
HERE, THERE = cell_at(55.68, 12.57), cell_at(55.70, 12.60)


def test_slots_are_listed_where_they_moved_to() -> None:
    occupancy = Occupancy(PROJECTION)
    for slot in (3, 1, 2):
        occupancy.move(slot, NOWHERE, HERE)

    occupancy.move(1, HERE, THERE)

    assert occupancy.slots_in(HERE).tolist() == [2, 3]
    assert occupancy.slots_in(THERE).tolist() == [1]


def test_moving_answers_with_the_core_of_the_new_cell() -> None:
    occupancy = Occupancy(PROJECTION)

    assert occupancy.move(1, NOWHERE, HERE) == core(HERE, PROJECTION)
    assert occupancy.move(1, HERE, THERE) == core(THERE, PROJECTION)
    assert occupancy.move(1, THERE, NOWHERE) == NO_CORE


def test_a_cell_that_nobody_is_in_is_forgotten() -> None:
    occupancy = Occupancy(PROJECTION)
    occupancy.move(1, NOWHERE, HERE)

    occupancy.move(1, HERE, NOWHERE)

    assert len(occupancy) == 0
    assert occupancy.slots_in(HERE).tolist() == []
