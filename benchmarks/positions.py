"""What it costs to know who is near: a city's pings and queries, on three structures in one run.

The work is fixed by a seed: couriers spread like a city around its middle, each sending a frame of
five pings every 20 seconds, and queries for the nearest ten. One turn of the event loop collects
10 ms of both. Each structure does a whole second of turns before the next one does the same second,
so that all three meet the same state of the machine, and is charged its processor time:

- `table`: the position table, with cells kept, and a turn's queries asked in one call.
- `h3_dicts`: a dictionary from courier to place and one from H3 cell to couriers, searched ring by
  ring until no cell farther out can hold a nearer one.
- `ckdtree_single`: columns, and scipy's k-d tree, rebuilt every second and asked one by one. It
  judges no ping, keeps no cells, and answers with where everybody was when it was rebuilt.

After every second the work is checked: all pings taken, all queries answered, and a sample asked of
all three and of everybody must give the same couriers. `core_share` is processor seconds per second
of city, 0.05 being a twentieth of one core, in the second that the machine's other work disturbed
least, and `core_share_worst` in the one that it disturbed most.
"""

import json
import time
from collections.abc import Iterable, Sequence
from itertools import batched, pairwise
from math import hypot
from typing import NamedTuple, Protocol, TypedDict

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

from geo.cell import cell_at
from geo.grid import Slots
from geo.ping import Ping, Track
from geo.point import Floats, LatLng
from geo.positions import PositionTable
from geo.projection import Projection

MIDDLE = LatLng(55.68, 12.57)
START = 1_790_000_000_000
SPREAD_M = 4_000.0
TURN_MS = 10
FRAME_S = 20
FRAME_PINGS = 5
PING_MS = 4_000
QUERIES_PER_S = 1_000
NEAREST = 10
CHECKED = 20
CORE_SHARE_MAX = 0.05

type Names = list[str]


class Turn(NamedTuple):
    """What one turn of the event loop collected, and when."""

    now: int
    tracks: list[Track]
    queries: Floats


class Structure(Protocol):
    """What each structure is asked to do."""

    def take(self, tracks: list[Track], now: int) -> None:
        """Take tracks."""
        ...

    def nearest(self, points: Floats) -> Sequence[object]:
        """Return the ten nearest couriers to each point, the nearest first, by name or number."""
        ...

    def begin_second(self) -> None:
        """Do what is done once a second."""
        ...


class Table:
    """The position table."""

    def __init__(self, projection: Projection, couriers: Names) -> None:
        self._table = PositionTable(projection)
        for courier in couriers:
            self._table.join(courier, START)

    def take(self, tracks: list[Track], now: int) -> None:
        """Take tracks."""
        self._table.apply(tracks, now)

    def nearest(self, points: Floats) -> list[Slots]:
        """Return the nearest slots, all points asked about in one call."""
        slots, _ = self._table.nearest(points, NEAREST)
        return list(slots)

    def named(self, answer: Slots) -> Names:
        """Return who is in the slots."""
        return [name for name in self._table.couriers_in(answer) if name is not None]

    def begin_second(self) -> None:
        """Do nothing: a table is always up to date."""

    def accepted(self) -> int:
        """Return how many pings were believed."""
        return self._table.statistics().pings["accepted"]

    def cell_of(self, courier: str) -> int:
        """Return the cell of a courier."""
        position = self._table.find_position(courier)
        assert position is not None
        return position.cell


class H3Dicts:
    """Places by courier, couriers by cell."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._places: dict[str, tuple[float, float, int, int]] = {}
        self._couriers_in: dict[int, set[str]] = {}
        self._edge_m_min, self._edge_m_max = _edges_m(projection)

    def take(self, tracks: list[Track], now: int) -> None:
        """Take tracks, ping by ping, but projected all at once."""
        assert tracks[-1].pings[-1].seen_at <= now
        points = iter(_points(self._projection, tracks).tolist())
        for track in tracks:
            for ping in track.pings:
                self._move(track.courier, ping, *next(points))

    def _move(self, courier: str, ping: Ping, x_m: float, y_m: float) -> None:
        known = self._places.get(courier)
        if known is not None and ping.seen_at <= known[3]:
            return
        cell = h3.latlng_to_cell(ping.lat, ping.lng, 9)
        self._places[courier] = (x_m, y_m, cell, ping.seen_at)
        if known is None or known[2] != cell:
            self._couriers_in.setdefault(cell, set()).add(courier)
            if known is not None:
                self._couriers_in[known[2]].remove(courier)

    def nearest(self, points: Floats) -> list[Names]:
        """Return the nearest, point by point."""
        places = self._projection.to_lat_lngs(points).tolist()
        cells = [h3.latlng_to_cell(lat, lng, 9) for lat, lng in places]
        asked = zip(points.tolist(), cells, strict=True)
        return [self._search(x_m, y_m, cell) for (x_m, y_m), cell in asked]

    def _search(self, x_m: float, y_m: float, cell: int) -> Names:
        """Search rings of cells outwards, until the tenth found is nearer than any unseen cell."""
        found: list[tuple[float, str]] = []
        for ring in range(100):
            for near in h3.grid_ring(cell, ring):
                for courier in self._couriers_in.get(near, ()):
                    at_x_m, at_y_m, _, _ = self._places[courier]
                    found.append((hypot(at_x_m - x_m, at_y_m - y_m), courier))
            found = sorted(found)[:NEAREST]
            clear_m = 1.5 * self._edge_m_min * ring - 0.5 * self._edge_m_max
            if len(found) == NEAREST and found[-1][0] <= clear_m:
                return [courier for _, courier in found]
        raise AssertionError("a city has ten couriers within a hundred rings")

    def named(self, answer: Names) -> Names:
        """Return the answer: dictionaries know couriers by name."""
        return answer

    def begin_second(self) -> None:
        """Do nothing: the dictionaries are always up to date."""

    def cell_of(self, courier: str) -> int:
        """Return the cell of a courier."""
        return self._places[courier][2]


class Tree(Protocol):
    """What is used of scipy's k-d tree, which ships no types."""

    def query(self, x: Floats, k: int) -> tuple[Floats, NDArray[np.intp]]:
        """Return the gaps and the indices of the k nearest."""
        ...


class TreeSingly:
    """Columns, and a k-d tree over them that is asked one query at a time."""

    def __init__(self, projection: Projection, couriers: Names) -> None:
        self._projection = projection
        self._couriers = couriers
        self._slot_of = {courier: slot for slot, courier in enumerate(couriers)}
        self._points = np.zeros((len(couriers), 2))
        self.begin_second()

    def take(self, tracks: list[Track], now: int) -> None:
        """Take the last ping of each track, which are in order, into the columns."""
        assert tracks[-1].pings[-1].seen_at <= now
        slots = [self._slot_of[track.courier] for track in tracks]
        last = [Track(track.courier, track.pings[-1:]) for track in tracks]
        self._points[slots] = _points(self._projection, last)

    def nearest(self, points: Floats) -> list[NDArray[np.intp]]:
        """Return the nearest slots, point by point."""
        return [self._tree.query(point, NEAREST)[1] for point in points]

    def named(self, answer: NDArray[np.intp]) -> Names:
        """Return who is in the slots."""
        slots: list[int] = answer.tolist()
        return [self._couriers[slot] for slot in slots]

    def begin_second(self) -> None:
        """Build the tree anew."""
        self._tree: Tree = cKDTree(self._points, balanced_tree=False, compact_nodes=False)


def _points(projection: Projection, tracks: Iterable[Track]) -> Floats:
    """Return the points of all pings of all tracks."""
    pings = [ping for track in tracks for ping in track.pings]
    lat, lng = np.array([ping.lat for ping in pings]), np.array([ping.lng for ping in pings])
    return projection.to_points(lat, lng)


def _edges_m(projection: Projection) -> tuple[float, float]:
    """Return the shortest and the longest edge of the city's cells, on the plane."""
    edges_m: list[float] = []
    for cell in h3.grid_disk(cell_at(MIDDLE.lat, MIDDLE.lng), 60)[::50]:
        outline = [projection.to_point(LatLng(*corner)) for corner in h3.cell_to_boundary(cell)]
        corners = pairwise([*outline, outline[0]])
        edges_m += [hypot(b.x_m - a.x_m, b.y_m - a.y_m) for a, b in corners]
    return min(edges_m) * 0.99, max(edges_m) * 1.01


class Day(NamedTuple):
    """The seeded work: who is where at first, then turn after turn, a second in each row."""

    couriers: Names
    first: list[Track]
    seconds: list[list[Turn]]


def _day(rng: np.random.Generator, projection: Projection, couriers: int, seconds: int) -> Day:
    names = [f"crr_{number:06d}" for number in range(couriers)]
    homes = rng.normal(0, SPREAD_M, (couriers, 2))
    places = projection.to_lat_lngs(homes).tolist()
    first = [
        Track(name, (Ping(lat, lng, 0.0, START - FRAME_S * 1_000),))
        for name, (lat, lng) in zip(names, places, strict=True)
    ]
    turns_per_s = 1_000 // TURN_MS
    senders = rng.permutation(couriers)[: couriers // FRAME_S * seconds]
    shares: list[NDArray[np.int64]] = np.array_split(senders, turns_per_s * seconds)
    turns = [
        _turn(rng, projection, first, homes, START + number * TURN_MS, share)
        for number, share in enumerate(shares, start=1)
    ]
    return Day(names, first, [list(second) for second in batched(turns, turns_per_s, strict=True)])


def _turn(
    rng: np.random.Generator,
    projection: Projection,
    first: list[Track],
    homes: Floats,
    now: int,
    senders: NDArray[np.int64],
) -> Turn:
    """Return the frames of the senders: five pings on a straight ride, four seconds apart."""
    turn, speed_mps = rng.uniform(0, 2 * np.pi, len(senders)), rng.uniform(1, 9, len(senders))
    step_m = np.stack((np.cos(turn), np.sin(turn)), axis=1) * (PING_MS / 1_000 * speed_mps)[:, None]
    ride = [
        projection.to_lat_lngs(homes[senders] + step_m * step) for step in range(1, 1 + FRAME_PINGS)
    ]
    frames = np.stack(ride, axis=1).tolist()
    chosen: list[int] = senders.tolist()
    couriers = [first[sender].courier for sender in chosen]
    sent = zip(couriers, speed_mps.tolist(), frames, strict=True)
    tracks = [Track(courier, _ride(frame, speed, now)) for courier, speed, frame in sent]
    queries = rng.normal(0, SPREAD_M, (QUERIES_PER_S * TURN_MS // 1_000, 2))
    return Turn(now, tracks, queries)


def _ride(frame: list[tuple[float, float]], speed_mps: float, now: int) -> tuple[Ping, ...]:
    """Return the pings of a frame, the last of them measured just now."""
    count = len(frame)
    return tuple(
        Ping(lat, lng, speed_mps, now - PING_MS * (count - number))
        for number, (lat, lng) in enumerate(frame, start=1)
    )


def _second(structure: Structure, turns: list[Turn]) -> tuple[float, int]:
    """Do a second's work; return the processor time it took, and how many queries were answered."""
    answered = 0
    started_s = time.process_time()
    structure.begin_second()
    for turn in turns:
        structure.take(turn.tracks, turn.now)
        answered += len(structure.nearest(turn.queries))
    return time.process_time() - started_s, answered


class Everybody:
    """Where everybody is by his last ping: the answer that no structure may contradict."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self.last: dict[str, Ping] = {}

    def take(self, tracks: list[Track]) -> None:
        """Take tracks, which come in order."""
        self.last.update((track.courier, track.pings[-1]) for track in tracks)

    def nearest(self, points: Floats) -> list[Names]:
        """Return the nearest, by looking at everybody."""
        couriers, pings = list(self.last), tuple(self.last.values())
        known = _points(self._projection, (Track("", pings),))
        orders = [np.argsort(np.hypot(*(known - point).T))[:NEAREST] for point in points]
        return [[couriers[slot] for slot in order.tolist()] for order in orders]


class Figures(TypedDict):
    """What the benchmark prints: processor seconds a second, and the work they were spent on."""

    core_share: dict[str, float]
    core_share_worst: dict[str, float]
    times_the_table: dict[str, float]
    couriers: int
    pings_per_s: int
    queries_per_s: int
    seconds: int
    seed: int


def positions(couriers: int = 100_000, seconds: int = 6, seed: int = 1) -> Figures:
    """Run the benchmark and return its figures; raises `AssertionError` if work was left undone."""
    rng, projection = np.random.default_rng(seed), Projection(MIDDLE)
    day = _day(rng, projection, couriers, seconds)
    table, dicts = Table(projection, day.couriers), H3Dicts(projection)
    tree, everybody = TreeSingly(projection, day.couriers), Everybody(projection)
    structures = {"table": table, "h3_dicts": dicts, "ckdtree_single": tree}
    for structure in structures.values():
        for tracks in batched(day.first, 50_000, strict=False):
            structure.take(list(tracks), START)
    everybody.take(day.first)
    cpu_s: dict[str, list[float]] = {name: [] for name in structures}
    for turns in day.seconds:
        for name, structure in structures.items():
            spent_s, answered = _second(structure, turns)
            assert answered == QUERIES_PER_S, f"{name} answered {answered} queries"
            cpu_s[name].append(spent_s)
        for turn in turns:
            everybody.take(turn.tracks)
        _check(rng, everybody, table, dicts, tree)
    sent = len(day.first) + sum(
        FRAME_PINGS * len(turn.tracks) for turns in day.seconds for turn in turns
    )
    assert table.accepted() == sent, f"{table.accepted()} of {sent} pings were accepted"
    return {
        "core_share": {name: round(min(spent), 4) for name, spent in cpu_s.items()},
        "core_share_worst": {name: round(max(spent), 4) for name, spent in cpu_s.items()},
        "times_the_table": {
            name: round(min(spent) / min(cpu_s["table"]), 1) for name, spent in cpu_s.items()
        },
        "couriers": couriers,
        "pings_per_s": (sent - couriers) // seconds,
        "queries_per_s": QUERIES_PER_S,
        "seconds": seconds,
        "seed": seed,
    }


def _check(
    rng: np.random.Generator, everybody: Everybody, table: Table, dicts: H3Dicts, tree: TreeSingly
) -> None:
    """Ask all the same; the tree is built anew for it, since it would answer with the past."""
    tree.begin_second()
    points = rng.normal(0, SPREAD_M, (CHECKED, 2))
    right = everybody.nearest(points)
    assert [table.named(answer) for answer in table.nearest(points)] == right, "table is wrong"
    assert [dicts.named(answer) for answer in dicts.nearest(points)] == right, "dicts are wrong"
    assert [tree.named(answer) for answer in tree.nearest(points)] == right, "tree is wrong"
    for courier in right[0]:
        ping = everybody.last[courier]
        cell = cell_at(ping.lat, ping.lng)
        assert table.cell_of(courier) == dicts.cell_of(courier) == cell, f"{courier} is elsewhere"


def main() -> None:
    """Print the figures as one line of JSON."""
    print(json.dumps(positions()))


if __name__ == "__main__":
    main()
