"""Who is in which cell: an exact index from cells to slots, changed as couriers change cells.

A cell is in the index while somebody is in it. Its core on the market's plane is remembered longer,
since at the edge of a city cells are entered and left all the time; there are never more than
`CORES_MAX` of them.
"""

import numpy as np

from geo.cell import NOWHERE, Cell, Core, core
from geo.grid import Slots
from geo.projection import Projection

CORES_MAX = 65_536
"""As many cells as cover 6,900 square kilometres."""

NO_CORE = Core(0.0, 0.0, -1.0)
"""The core of being nowhere: no point is in it."""


class Occupancy:
    """The occupied cells of one market."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._slots_in: dict[Cell, set[int]] = {}
        self._cores: dict[Cell, Core] = {}

    def __len__(self) -> int:
        """Return how many cells are occupied."""
        return len(self._slots_in)

    def slots_in(self, cell: Cell) -> Slots:
        """Return the slots in a cell, rising."""
        return np.array(sorted(self._slots_in.get(cell, ())), dtype=np.int32)

    def move(self, slot: int, before: Cell, after: Cell) -> Core:
        """Move a slot from one cell to another, either may be `NOWHERE`; return its new core."""
        if before != NOWHERE:
            self._leave(slot, before)
        if after == NOWHERE:
            return NO_CORE
        self._slots_in.setdefault(after, set()).add(slot)
        return self._core(after)

    def _leave(self, slot: int, cell: Cell) -> None:
        slots = self._slots_in[cell]
        slots.remove(slot)
        if not slots:
            del self._slots_in[cell]

    def _core(self, cell: Cell) -> Core:
        found = self._cores.get(cell)
        if found is None:
            if len(self._cores) >= CORES_MAX:
                self._cores.clear()
            found = self._cores[cell] = core(cell, self._projection)
        return found
