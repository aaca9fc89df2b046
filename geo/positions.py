"""The position table: where every courier of a market is, by the pings that came so far.

One slot per courier, in numpy records. Pings are taken in batches, as one turn of the event loop
collects them, each judged by itself in the order of the batch: a ping that is malformed, from
another place or another time, older than what is known, or farther away than anybody rides in the
time between, is refused and counted, and changes nothing. What a batch means to the couriers comes
back as `Changes`; the rest of the product hears of a courier's position only through those, through
queries, and through `drain`, once a second.

Rules that hold after every call:

- A courier's cell is exactly `cell_at` of his last accepted ping, and `in_cell` is exact. H3 costs
  half a microsecond a time, so it is asked only when a courier may have left his cell: when he is
  no longer in its `Core`, or was in none.
- The nearest are exact for the positions of this moment, not of the last rebuild. `rebuild` lays
  the grid anew over where the couriers are now, for speed alone.
- A slot given back is nobody's until it is given out again. Pings name couriers, never slots, so a
  ping that comes after its courier left cannot move the next one in his slot.

Nothing here reads a clock: `now` is an argument, in epoch milliseconds like every instant.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geo.cell import NOWHERE, Cell, cell_at
from geo.grid import (
    NO_SLOT,
    Records,
    Slots,
    Spot,
    blank_spots,
    empty_grid,
    grid_over,
    grown,
    no_nearest,
    relink,
    search,
    unlink,
)
from geo.occupancy import Occupancy
from geo.ping import (
    TOUCH,
    Belief,
    Known,
    Ping,
    Row,
    Track,
    Verdict,
    blank_rows,
    reports_of,
    rules_of,
    take,
)
from geo.point import Floats, Point
from geo.position import (
    ONLINE,
    CellChanged,
    Changes,
    Drained,
    Near,
    Position,
    State,
    Statistics,
    TableFull,
    UnknownCourier,
)
from geo.projection import Projection

COURIERS_MAX = 200_000
TRACKS_MAX = 65_536
"""The most tracks of one batch."""

TRACK_PINGS_MAX = 256
"""The most pings of one track."""

NEAREST_MAX = 1_000
"""The most neighbours that may be asked for at once."""

_ANY = ONLINE | State.OFFLINE
_SLOTS_MIN = 64
_STATES = frozenset(State)
_OUTGROWN = 2


class PositionTable:
    """Where the couriers of one market are."""

    def __init__(
        self,
        projection: Projection,
        *,
        belief: Belief | None = None,
        couriers_max: int = COURIERS_MAX,
    ) -> None:
        """Make an empty table."""
        if couriers_max < 1:
            raise ValueError(f"a table takes at least 1 courier, not {couriers_max}")
        self._projection = projection
        self._rules = rules_of(belief or Belief())
        self._couriers_max = couriers_max
        self._slot_of: dict[str, int] = {}
        self._courier_in: list[str | None] = []
        self._free: list[int] = []
        self._occupancy = Occupancy(projection)
        self._batches = 0
        self._pings = np.zeros(len(Verdict), dtype=np.int64)
        self._located = 0
        self._laid_for = 0
        self._rows = blank_rows(0)
        self._grid = empty_grid(blank_spots(0))
        self._reserve(min(_SLOTS_MIN, couriers_max))

    def join(self, courier: str, now: int, state: State = State.IDLE) -> int:
        """Give a courier a slot and return it; raises `TableFull`. Who is here stays as he is."""
        if courier in self._slot_of:
            return self._slot_of[courier]
        _check(state)
        slot = self._slot_of[courier] = self._free_slot()
        self._courier_in[slot] = courier
        self.set_state(courier, state, now)
        return slot

    def leave(self, courier: str) -> None:
        """Take a courier's slot back. Whoever is not here has left already."""
        slot = self._slot_of.pop(courier, None)
        if slot is None:
            return
        unlink(self._grid, slot)
        cell = Cell(int(self._rows["cell"][slot]))
        self._occupancy.move(slot, cell, NOWHERE)
        self._located -= cell != NOWHERE
        self._rows[slot], self._grid.spots[slot] = blank_rows(1)[0], blank_spots(1)[0]
        self._courier_in[slot] = None
        self._free.append(slot)

    def set_state(self, courier: str, state: State, now: int) -> None:
        """Say what a courier is open to; raises `UnknownCourier`."""
        _check(state)
        row, spot = self._known(self.slot_of(courier))
        if state in ONLINE and not spot.state & ONLINE:
            row.awaited_at = now
        if spot.state != state:
            spot.state, row.is_changed = state, row.cell != NOWHERE

    def slot_of(self, courier: str) -> int:
        """Return a courier's slot; raises `UnknownCourier`."""
        try:
            return self._slot_of[courier]
        except KeyError:
            raise UnknownCourier(courier) from None

    def couriers_in(self, slots: NDArray[np.signedinteger]) -> tuple[str | None, ...]:
        """Return who is in each slot: nobody in a free one, nor in `NO_SLOT`."""
        numbers: list[int] = slots.tolist()
        return tuple(None if slot == NO_SLOT else self._courier_in[slot] for slot in numbers)

    def ping(self, courier: str, ping: Ping, now: int) -> Changes:
        """Take one ping, by the same rules as a batch."""
        return self.apply((Track(courier, (ping,)),), now)

    def apply(self, tracks: Sequence[Track], now: int) -> Changes:
        """Take a batch of tracks in the order they came, and say what their pings changed."""
        if len(tracks) > TRACKS_MAX or max(map(_length, tracks), default=0) > TRACK_PINGS_MAX:
            raise ValueError(
                f"a batch has at most {TRACKS_MAX} tracks, and each {TRACK_PINGS_MAX} pings"
            )
        self._batches += 1
        reports = reports_of(tracks, self._slot_of, self._projection)
        touches = np.zeros(len(tracks), dtype=TOUCH)
        known = Known(self._rows, self._grid.spots)
        count = take(known, self._rules, reports, touches, now, self._batches)
        self._pings += np.bincount(reports["verdict"], minlength=len(Verdict))
        changes = self._changes(touches[:count])
        if self._located > _OUTGROWN * self._laid_for:
            self.rebuild()
        return changes

    def rebuild(self) -> None:
        """Lay the grid anew over where the couriers are now. Queries get faster, never different.

        The table does so itself whenever it has twice the couriers; a round may, now and then,
        since a city moves during the day. It takes some 10 ms for 100,000 couriers.
        """
        slots, _ = self.located(_ANY)
        self._grid = grid_over(self._grid.spots, slots)
        self._laid_for = len(slots)

    def find_position(self, courier: str) -> Position | None:
        """Return all that is known of where a courier is, None before his first ping."""
        row, spot = self._known(self.slot_of(courier))
        if row.cell == NOWHERE:
            return None
        return Position(
            courier=courier,
            lat=float(row.lat),
            lng=float(row.lng),
            point=Point(float(spot.x_m), float(spot.y_m)),
            cell=Cell(int(row.cell)),
            speed_mps=float(row.speed_mps),
            seen_at=int(row.seen_at),
            state=State(int(spot.state)),
            is_moving=bool(row.is_moving),
        )

    def located(self, among: State = ONLINE) -> tuple[Slots, Floats]:
        """Return the slots in any of these states that have a position, and their points (n, 2)."""
        spots = self._grid.spots
        is_among = (spots["state"] & int(among) != 0) & (self._rows["cell"] != NOWHERE)
        slots = np.flatnonzero(is_among).astype(np.int32)
        return slots, np.stack((spots["x_m"][slots], spots["y_m"][slots]), axis=1)

    def nearest(self, points: Floats, k: int, among: State = ONLINE) -> tuple[Slots, Floats]:
        """Return the k nearest online couriers to each of (n, 2) points: slots and gaps in metres.

        Both have the shape (n, k), nearest first, equal gaps by rising slot. Where there are fewer,
        the slot is `NO_SLOT` and the gap infinite. Who is offline is never among them.
        """
        if not 0 < k <= NEAREST_MAX:
            raise ValueError(f"the nearest are 1 to {NEAREST_MAX}, not {k}")
        queries = np.array(points, dtype=np.float64, order="C").reshape(-1, 2)
        if not np.isfinite(queries).all():
            raise ValueError("a point that is asked about must be finite")
        answer = no_nearest(len(queries), k)
        search(self._grid, int(among & ONLINE), queries, answer)
        return answer.slots, np.sqrt(answer.gaps_m2)

    def nearest_to(self, point: Point, k: int, among: State = ONLINE) -> tuple[Near, ...]:
        """Return the k nearest online couriers to one point, or as many as there are."""
        slots, gaps_m = self.nearest(np.array([[point.x_m, point.y_m]]), k, among)
        pairs = zip(self.couriers_in(slots[0]), gaps_m[0].tolist(), strict=True)
        return tuple(Near(courier, gap_m) for courier, gap_m in pairs if courier is not None)

    def in_cell(self, cell: Cell) -> Slots:
        """Return the slots of the couriers in a cell of resolution 9, rising, in any state."""
        return self._occupancy.slots_in(cell)

    def quiet_since(self, instant: int) -> tuple[str, ...]:
        """Return the online couriers of whom nothing was accepted since, by rising slot.

        Who came online later than `instant` is given time for a first ping.
        """
        rows = self._rows
        heard_at = np.maximum(rows["seen_at"], rows["awaited_at"])
        is_online = self._grid.spots["state"] & int(ONLINE) != 0
        return self._names(np.flatnonzero(is_online & (heard_at < instant)))

    def drain(self) -> Drained:
        """Return every position that changed since the last draining, for the failover copy."""
        slots = np.flatnonzero(self._rows["is_changed"])
        self._rows["is_changed"][slots] = False
        rows = self._rows[slots]
        return Drained(
            couriers=self._names(slots),
            lat=rows["lat"],
            lng=rows["lng"],
            speed_mps=rows["speed_mps"],
            seen_at=rows["seen_at"],
            states=self._grid.spots["state"][slots],
        )

    def statistics(self) -> Statistics:
        """Return how full the table is, and what became of the pings."""
        counts = dict(zip(Verdict, self._pings.tolist(), strict=True))
        return Statistics(
            couriers=len(self._slot_of),
            couriers_max=self._couriers_max,
            located=self._located,
            slots=len(self._rows),
            cells=len(self._occupancy),
            pings={verdict.name.lower(): count for verdict, count in counts.items()},
        )

    def _courier(self, slot: int) -> str:
        courier = self._courier_in[slot]
        assert courier is not None, f"slot {slot} is nobody's"
        return courier

    def _names(self, slots: NDArray[np.signedinteger]) -> tuple[str, ...]:
        return tuple(self._courier(slot) for slot in slots.tolist())

    def _free_slot(self) -> int:
        """Return a slot that is nobody's, making more when there is none."""
        if not self._free:
            if len(self._rows) >= self._couriers_max:
                raise TableFull(
                    f"all {self._couriers_max} slots are taken: raise couriers_max, or split "
                    "the market"
                )
            self._reserve(min(2 * len(self._rows), self._couriers_max))
        return self._free.pop()

    def _reserve(self, capacity: int) -> None:
        """Make room for `capacity` couriers; the lowest new slot is given out first."""
        before = len(self._rows)
        self._rows = np.concatenate((self._rows, blank_rows(capacity - before)))
        self._grid = grown(self._grid, capacity)
        self._courier_in.extend([None] * (capacity - before))
        self._free.extend(range(capacity - 1, before - 1, -1))

    def _known(self, slot: int) -> tuple[Row, Spot]:
        return self._rows[slot], self._grid.spots[slot]

    def _changes(self, touches: Records) -> Changes:
        """Bring cells and grid up to date for whoever was moved, and say what that means."""
        slots: Slots = touches["slot"].astype(np.int32)
        relink(self._grid, slots)
        was_moving, is_moving = touches["was_moving"], touches["is_moving"]
        return Changes(
            cell_changed=self._cell_changes(touches[touches["may_have_left"]]),
            moving_again=self._names(slots[is_moving & ~was_moving]),
            stopped=self._names(slots[was_moving & ~is_moving]),
        )

    def _cell_changes(self, strays: Records) -> tuple[CellChanged, ...]:
        """Ask H3 where those are who may have left their cells, and move those who have."""
        fields = (strays[name].tolist() for name in ("slot", "lat", "lng", "cell"))
        moves: dict[int, tuple[Cell, Cell]] = {}
        for slot, lat, lng, before in zip(*fields, strict=True):
            after = cell_at(lat, lng)
            if after != before:
                moves[slot] = (before, after)
        self._write_cells(moves)
        return tuple(CellChanged(self._courier(slot), *cells) for slot, cells in moves.items())

    def _write_cells(self, moves: Mapping[int, tuple[Cell, Cell]]) -> None:
        """Write new cells and cores down, all at once: one by one would cost more than H3 does."""
        cores = [self._occupancy.move(slot, *cells) for slot, cells in moves.items()]
        if not cores:
            return
        rows, slots = self._rows, np.fromiter(moves, np.intp, len(moves))
        rows["cell"][slots] = [after for _, after in moves.values()]
        columns = np.array(cores).T
        rows["core_x_m"][slots], rows["core_y_m"][slots], rows["core_radius_m"][slots] = columns
        self._located += sum(before == NOWHERE for before, _ in moves.values())


def _check(state: State) -> None:
    """Refuse what may be asked for but not be: several states, or none."""
    if state not in _STATES:
        raise ValueError(f"a courier is offline, idle or busy, not {state!r}")


def _length(track: Track) -> int:
    return len(track.pings)
