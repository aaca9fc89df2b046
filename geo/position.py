"""The words of the position table: a courier's state and position, and what the table answers with.

These are plain values, made by `geo.positions` and read by whoever asks it.
"""

from enum import IntFlag
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from geo.cell import Cell
from geo.point import Floats, Point


class State(IntFlag):
    """What a courier is open to. Each is one bit, so that a query can ask for several."""

    OFFLINE = 1
    IDLE = 2
    BUSY = 4


ONLINE = State.IDLE | State.BUSY


class UnknownCourier(KeyError):
    """A courier who has not joined this table, or has left it."""


class TableFull(Exception):
    """More couriers than the table may take: allow it more, or split the market."""


class Position(Struct, frozen=True, kw_only=True):
    """All that is known of where one courier is."""

    courier: str
    lat: float
    lng: float
    point: Point
    cell: Cell
    speed_mps: float
    seen_at: int
    state: State
    is_moving: bool


class CellChanged(Struct, frozen=True, gc=False):
    """A courier is in another cell than before; `before` is `NOWHERE` at his first ping."""

    courier: str
    before: Cell
    after: Cell


class Changes(Struct, frozen=True):
    """What a batch of pings changed that means something, in the order of each first ping."""

    cell_changed: tuple[CellChanged, ...] = ()
    moving_again: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


class Drained(NamedTuple):
    """The positions that changed since the last draining, in columns, by rising slot."""

    couriers: tuple[str, ...]
    lat: Floats
    lng: Floats
    speed_mps: Floats
    seen_at: NDArray[np.int64]
    states: NDArray[np.int32]


class Near(Struct, frozen=True, gc=False):
    """A courier, and his straight distance from the point that was asked about."""

    courier: str
    gap_m: float


class Statistics(Struct, frozen=True, kw_only=True):
    """How full the table is, and what became of the pings since it was made."""

    couriers: int
    couriers_max: int
    located: int
    slots: int
    cells: int
    pings: dict[str, int]
