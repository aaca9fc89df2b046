"""What estimates came to, each beside when it was told and how busy it was then.

Asked for its like, `Outcomes` gives the latest that were told in much the same circumstances: with
about as many orders to fetch for each courier, about that time of the day, and rather lately. So a
rush is foretold from rushes, those of days before too, instead of from the quiet hour before it,
which is all that has come true as it begins. How much one difference weighs beside another was
chosen on simulated evenings.

They are kept as rows of one block of bytes: a node looks through thousands of them for each order,
and writes them down each minute. The number of rows is limited; older ones make way.
"""

from math import inf, isfinite
from struct import pack

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from geo.point import Floats

OUTCOMES_MAX = 4_000
LIKE_MAX = 100
"""So many of them are taken for like; of fewer, all are."""
DAY_S = 86_400.0
LOAD_PER_HOUR = 0.2
"""An hour of the day apart makes outcomes as unlike as so many orders for each courier do."""
LOAD_PER_DAY = 0.02
"""The same for a day that has passed since."""

_ROW = np.dtype([("told_s", "<f8"), ("load", "<f4"), ("off", "<f4")])


class Outcomes(Struct, frozen=True, array_like=True):
    """The latest outcomes, oldest first, in rows of (told at, load, off by)."""

    rows: bytes = b""

    def __post_init__(self) -> None:
        """Refuse what are no rows."""
        if len(self.rows) % _ROW.itemsize:
            raise ValueError(f"outcomes have rows of {_ROW.itemsize} bytes, not {len(self.rows)}")

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self.rows) // _ROW.itemsize

    def after(self, told_s: float, load: float, off: float) -> "Outcomes":
        """Return the outcomes with one more, told then and off by so much."""
        assert all(map(isfinite, (told_s, load, off))), (told_s, load, off)
        kept = self.rows[-_ROW.itemsize * (OUTCOMES_MAX - 1) :]
        return Outcomes(kept + pack("<dff", told_s, load, off))

    def like(self, told_s: float, load: float, others: "Outcomes") -> tuple[Floats, Floats]:
        """Return, ascending, by how much those were off that are most like one told then.

        Of the others, of whatever number, those that are no less like it.
        """
        rows, unlike_max = np.frombuffer(self.rows, dtype=_ROW), inf
        if len(rows) > LIKE_MAX:
            unlike = _unlike(rows, told_s, load)
            likely = np.argpartition(unlike, LIKE_MAX - 1)[:LIKE_MAX]
            rows, unlike_max = rows[likely], unlike[likely[-1]]
        beside = np.frombuffer(others.rows, dtype=_ROW)
        if len(beside):
            beside = beside[_unlike(beside, told_s, load) <= unlike_max]
        return np.sort(rows["off"].astype(float)), np.sort(beside["off"].astype(float))


def _unlike(rows: NDArray[np.void], told_s: float, load: float) -> Floats:
    """Return how unlike outcomes are to one told then, at that load."""
    days = (rows["told_s"] - told_s) / DAY_S
    hours = 24 * np.abs(days - np.rint(days))
    busier = np.abs(rows["load"] - load)
    return busier + LOAD_PER_HOUR * hours + LOAD_PER_DAY * np.abs(days)
