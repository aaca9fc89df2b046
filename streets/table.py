"""A table of times between H3 cells, with what each station differs from its cell.

Cells that hold stations are the rows. Of each, the station nearest to the middle of its stations
speaks for it, and the table holds the seconds from every such station to every other, as whole
numbers of two bytes. A cell is 350 m wide, so that alone would be 7 % wrong on average. Hence each
station also has two offsets: how much longer than from its cell's speaker it usually takes to leave
from there, and to get there, the median over `SAMPLES` far stations, that part of the difference
left out which comes from being nearer to one side or the other. With them the times are 3-4 % wrong
(2 % with fine cells), which is less than couriers differ from each other.

Neither there and back is the same, nor is it kept as if: one-way streets make 2 % of difference for
bicycles and 3-6 % for cars. A table is a folder of two files, of which the large one is mapped and
not read, so that node and solver hold one copy of it.
"""

import shutil
import warnings
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.cell import cell_at
from geo.point import Floats
from streets.routing import Weighed
from streets.stations import Ints
from streets.terrain import Terrain

type Seconds = NDArray[np.uint16]
type Offsets = NDArray[np.float32]

COARSE, FINE = 9, 10
FINE_CELLS_MAX = 4_000
"""A city of so few fine cells is given them: 32 MB, and a third less error."""
CELLS_MAX = 20_000
"""The largest table: 800 MB. A land that needs more is no city."""
NO_WAY = 65_535
"""Stands for a pair that no way joins; longer ways than this are none for couriers either."""
SAMPLES = 48
FAR_M = 800.0
"""What is nearer than this tells of one corner of a cell, and not of the way out of it."""
SIDEWAYS = 0.5
"""Share of a difference in distance that is one in time: streets seldom lead straight there."""

_SECONDS, _OFFSETS = "seconds.npy", "offsets.npy"


class TooWide(ValueError):
    """A network of more cells than a table may have; the message says what to do."""


class Cells(NamedTuple):
    """The rows of a table."""

    row: Ints
    """(stations,) which one a station is in."""
    speaker: Ints
    """(rows,) the station that speaks for it."""


class Table(NamedTuple):
    """Times between cells, and what stations differ from them."""

    cells: Cells
    seconds: Seconds
    """(rows, rows) from speaker to speaker; `NO_WAY` where none leads."""
    offsets_s: Offsets
    """(2, stations) what is to be added for leaving from a station, and for getting there."""


def cells(terrain: Terrain, resolution: int | None = None) -> Cells:
    """Return the cells of a terrain, fine ones when those are few; raises TooWide."""
    if resolution is not None:
        return _cells(terrain, resolution)
    found = _cells(terrain, FINE)
    return found if len(found.speaker) <= FINE_CELLS_MAX else _cells(terrain, COARSE)


def table(terrain: Terrain, weighed: Weighed, rows: Cells) -> Table:
    """Work a table out: a second for a small city, some ten for a country of islands."""
    speakers = rows.speaker.astype(np.uint32)
    times_s = weighed.matrix_s(speakers, speakers)
    seconds = np.minimum(np.rint(times_s), NO_WAY).astype(np.uint16)
    return Table(rows, seconds, _offsets_s(terrain, weighed, rows))


def save_table(folder: Path, made: Table) -> None:
    """Write a table, whole or not at all, in the place of one that was spoilt.

    Whoever has mapped an older one keeps it; of two that write at a time, one stays.
    """
    folder.parent.mkdir(exist_ok=True)
    making = Path(mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        np.save(making / _SECONDS, made.seconds)
        np.save(making / _OFFSETS, made.offsets_s)
        making.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def find_table(folder: Path, rows: Cells) -> Table | None:
    """Map a table that was written for these cells; None where there is none that fits."""
    try:
        seconds: Seconds = np.load(folder / _SECONDS, mmap_mode="r", allow_pickle=False)
        offsets_s: Offsets = np.load(folder / _OFFSETS, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    found = Table(rows, seconds.view(np.ndarray), offsets_s)
    return found if _fits(found) else None


def _fits(found: Table) -> bool:
    rows, stations = len(found.cells.speaker), len(found.cells.row)
    are_numbers = found.seconds.dtype == np.uint16 and found.offsets_s.dtype == np.float32
    return (
        are_numbers
        and found.seconds.shape == (rows, rows)
        and found.offsets_s.shape == (2, stations)
        and bool(np.isfinite(found.offsets_s).all())
    )


def _cells(terrain: Terrain, resolution: int) -> Cells:
    places = zip(terrain.stations.lat.tolist(), terrain.stations.lng.tolist(), strict=True)
    in_cell = np.array([cell_at(lat, lng, resolution) for lat, lng in places])
    _, row, count = np.unique(in_cell, return_inverse=True, return_counts=True)
    if len(count) > CELLS_MAX:
        raise TooWide(f"{len(count)} cells have roads, {CELLS_MAX} may: import one city of it")
    middle = np.zeros((len(count), 2))
    np.add.at(middle, row, terrain.points)
    middle /= count[:, None]
    gaps_m = np.hypot(*(terrain.points - middle[row]).T)
    by_gap = np.lexsort((gaps_m, row))
    return Cells(row, by_gap[np.concatenate(((0,), np.cumsum(count)[:-1]))])


def _offsets_s(terrain: Terrain, weighed: Weighed, rows: Cells) -> Offsets:
    """Return what each station differs from its cell's speaker, outward and inward."""
    chosen = np.linspace(0, len(rows.speaker) - 1, min(SAMPLES, len(rows.speaker)), dtype=np.int64)
    samples = rows.speaker[chosen]
    every = np.arange(len(terrain.points), dtype=np.uint32)
    gaps_m = _gaps_m(terrain.points, terrain.points[samples])
    speaker = rows.speaker[rows.row]
    nearer_s = SIDEWAYS * terrain.usual_pace * (gaps_m - gaps_m[speaker])
    is_far = (gaps_m > FAR_M) & (gaps_m[speaker] > FAR_M)
    outward_s = weighed.matrix_s(every, samples.astype(np.uint32))
    inward_s = weighed.matrix_s(samples.astype(np.uint32), every).T
    return np.stack(
        [_usual_s(times_s, speaker, nearer_s, is_far) for times_s in (outward_s, inward_s)]
    ).astype(np.float32)


def _usual_s(times_s: Floats, speaker: Ints, nearer_s: Floats, is_far: NDArray[np.bool_]) -> Floats:
    """Return the median difference from the speaker over the far samples, 0 where none is."""
    is_known = is_far & np.isfinite(times_s) & np.isfinite(times_s[speaker])
    finite_s = np.where(np.isfinite(times_s), times_s, 0.0)
    differences_s = np.where(is_known, finite_s - finite_s[speaker] - nearer_s, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Of rows that are NaN throughout.
        return np.nan_to_num(np.nanmedian(differences_s, axis=1))


def _gaps_m(points: Floats, others: Floats) -> Floats:
    return np.hypot(
        np.subtract.outer(points[:, 0], others[:, 0]),
        np.subtract.outer(points[:, 1], others[:, 1]),
    )
