"""The road network of a city as arrays: junctions, and arcs from one to the next.

A junction is where roads meet or end. An arc runs in one direction along one way of the map, so
that closing a street closes its arcs; both directions of a road share one line of places. An arc
has free-flow seconds for each vehicle, infinity where that vehicle must not go.

Every vehicle has one piece of the network in which it comes from anywhere to anywhere: the largest
strongly connected one. Arcs outside of it are shut to that vehicle, so that no courier is sent
where he cannot leave again; `left_out` counts them. A junction that no vehicle reaches is dropped.

Lengths are measured on the market's plane around the network's `centre`, as all else is, so that no
road is shorter than the straight line. Turn restrictions are not in it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo.point import Floats, LatLng
from geo.projection import REACH_M, Projection
from streets.roads import ROADS, VEHICLES, Passage, Vehicle

type Seconds = NDArray[np.float32]
type Numbers = NDArray[np.int32]
type Flags = NDArray[np.bool_]

FERRY = ROADS.index("ferry")
LENGTH_M_MIN = 0.1
"""Two junctions on one spot are still two."""


class NoRoads(ValueError):
    """There is no network to be made of this; the message says what lacks."""


class RoadLine(NamedTuple):
    """A way, or the part of it that the extract knows: its nodes and where they are."""

    way: int
    passage: Passage
    nodes: Sequence[int]
    lats: Sequence[float]
    lngs: Sequence[float]


@dataclass(frozen=True, slots=True)
class Network:
    """Junctions, arcs between them, and the lines along which arcs run.

    `seconds` has a row for each of `VEHICLES`. The line of arc `a` is number `line[a]`, backwards
    if `is_backward[a]`; line `i` holds places `line_first[i]` to `line_first[i + 1]`, both ends of
    the road included.
    """

    centre: LatLng
    lat: Floats
    lng: Floats
    tail: Numbers
    head: Numbers
    length_m: Seconds
    road: NDArray[np.uint8]
    way: NDArray[np.int64]
    seconds: Seconds
    line: Numbers
    is_backward: Flags
    line_first: Numbers
    line_lat: Floats
    line_lng: Floats

    @property
    def junctions(self) -> int:
        """How many junctions there are."""
        return len(self.lat)

    @property
    def arcs(self) -> int:
        """How many arcs there are."""
        return len(self.tail)

    def seconds_by(self, vehicle: Vehicle) -> Seconds:
        """Return the free-flow seconds of every arc; infinity where the vehicle must not go."""
        return self.seconds[VEHICLES.index(vehicle)]

    def is_reached_by(self, vehicle: Vehicle) -> Flags:
        """Return for every junction whether the vehicle comes there and away again."""
        is_open = np.isfinite(self.seconds_by(vehicle))
        reached = np.zeros(self.junctions, dtype=np.bool_)
        reached[self.tail[is_open]] = True
        return reached

    def points(self) -> Floats:
        """Return the junctions on the market's plane, shape (junctions, 2)."""
        return Projection(self.centre).to_points(self.lat, self.lng)

    def line_of(self, arc: int) -> Floats:
        """Return the places along an arc from its tail to its head, latitudes and longitudes."""
        first, end = self.line_first[self.line[arc]], self.line_first[self.line[arc] + 1]
        places = np.column_stack((self.line_lat[first:end], self.line_lng[first:end]))
        return places[::-1] if self.is_backward[arc] else places


class Built(NamedTuple):
    """A network, and how many arcs that the map would allow each vehicle are shut to it."""

    network: Network
    left_out: Mapping[Vehicle, int]


class _Piece(NamedTuple):
    """The part of a road line between two junctions: places `first` to `last`, both included."""

    road: RoadLine
    first: int
    last: int

    @property
    def ends(self) -> tuple[int, int]:
        """The nodes at which it begins and ends."""
        return self.road.nodes[self.first], self.road.nodes[self.last]


def network_of(roads: Sequence[RoadLine], centre: LatLng) -> Built:
    """Make the network of these roads; raises `NoRoads` when none of them leads anywhere."""
    is_junction = _junctions(roads)
    pieces = _without_ferries_to_nowhere(
        [piece for road in roads for piece in _pieces(road, is_junction)]
    )
    if not pieces:
        raise NoRoads("there is no road in it that a courier may use")
    drawn = _drawn(pieces, centre)
    shut, left_out = _shut_outside(drawn)
    if not np.isfinite(shut).any():
        raise NoRoads("no road in it leads from one place to another and back")
    return Built(_pruned(replace(drawn, seconds=shut)), left_out)


def _junctions(roads: Sequence[RoadLine]) -> Callable[[int], bool]:
    """Return what tells whether a node is where roads meet or end."""
    uses = Counter[int]()
    for road in roads:
        uses.update(road.nodes)
        uses.update((road.nodes[0], road.nodes[-1]))
    return lambda node: uses[node] > 1


def _pieces(road: RoadLine, is_junction: Callable[[int], bool]) -> Iterator[_Piece]:
    """Cut a road where it meets others, and a loop in its middle: no arc ends where it began."""
    cuts = [place for place, node in enumerate(road.nodes) if is_junction(node)]
    for first, last in pairwise(cuts):
        if road.nodes[first] != road.nodes[last]:
            yield _Piece(road, first, last)
        elif last - first > 1:
            middle = (first + last) // 2
            yield _Piece(road, first, middle)
            yield _Piece(road, middle, last)


def _without_ferries_to_nowhere(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Take away ferries that end in open water: they lead to what the extract has not."""
    uses = Counter(end for piece in pieces for end in piece.ends)
    ferries_at = dict[int, list[int]]()
    for place, piece in enumerate(pieces):
        if piece.road.passage.road == FERRY:
            for end in piece.ends:
                ferries_at.setdefault(end, []).append(place)
    gone = set[int]()
    loose = [end for end in ferries_at if uses[end] == 1]
    while loose:
        for place in set(ferries_at[loose.pop()]) - gone:
            gone.add(place)
            uses.subtract(pieces[place].ends)
            loose += [end for end in pieces[place].ends if uses[end] == 1 and end in ferries_at]
    return [piece for place, piece in enumerate(pieces) if place not in gone]


def _drawn(pieces: Sequence[_Piece], centre: LatLng) -> Network:
    """Make arrays of the pieces, an arc for each direction that anybody may go."""
    ends = np.array([piece.ends for piece in pieces], dtype=np.int64)
    _, representative, junction = np.unique(ends, return_index=True, return_inverse=True)
    tail, head = junction.reshape(-1, 2).astype(np.int32).T
    line_first, line_lat, line_lng = _lines(pieces)
    places = np.column_stack((line_first[:-1], line_first[1:] - 1)).reshape(-1)[representative]
    length_m = _lengths_m(line_first, line_lat, line_lng, centre)
    paces = np.array([(p.road.passage.forward, p.road.passage.backward) for p in pieces])
    line, side = np.nonzero(np.isfinite(paces).any(axis=2))
    is_backward = side == 1
    return Network(
        centre=centre,
        lat=line_lat[places],
        lng=line_lng[places],
        tail=np.where(is_backward, head[line], tail[line]),
        head=np.where(is_backward, tail[line], head[line]),
        length_m=length_m[line].astype(np.float32),
        road=np.array([p.road.passage.road for p in pieces], dtype=np.uint8)[line],
        way=np.array([p.road.way for p in pieces], dtype=np.int64)[line],
        seconds=(paces[line, side] * length_m[line, None]).T.astype(np.float32),
        line=line.astype(np.int32),
        is_backward=is_backward,
        line_first=line_first,
        line_lat=line_lat,
        line_lng=line_lng,
    )


def _lines(pieces: Sequence[_Piece]) -> tuple[Numbers, Floats, Floats]:
    """Return where each piece's places begin, and the places of all pieces, one after another."""
    lats = [p.road.lats[p.first : p.last + 1] for p in pieces]
    lngs = [p.road.lngs[p.first : p.last + 1] for p in pieces]
    first = np.zeros(len(pieces) + 1, dtype=np.int32)
    np.cumsum([len(piece) for piece in lats], out=first[1:])
    return first, np.concatenate(lats, dtype=float), np.concatenate(lngs, dtype=float)


def _lengths_m(line_first: Numbers, lat: Floats, lng: Floats, centre: LatLng) -> Floats:
    points = Projection(centre).to_points(lat, lng)
    if not np.isfinite(points).all():
        raise NoRoads(
            f"its roads reach over {REACH_M / 1_000:.0f} km from their middle; cut out one city"
        )
    steps = np.append(np.hypot(*np.diff(points, axis=0).T), 0.0)
    steps[line_first[1:] - 1] = 0.0
    return np.maximum(np.add.reduceat(steps, line_first[:-1]), LENGTH_M_MIN)


def _shut_outside(network: Network) -> tuple[Seconds, Mapping[Vehicle, int]]:
    """Shut every arc that is not in its vehicle's largest piece; count how many that were open."""
    seconds, left_out = network.seconds.copy(), dict[Vehicle, int]()
    for row, vehicle in enumerate(VEHICLES):
        is_open = np.isfinite(seconds[row])
        tails, heads = network.tail[is_open], network.head[is_open]
        piece = largest_piece(network.junctions, tails, heads)
        is_inside = piece[network.tail] & piece[network.head]
        left_out[vehicle] = int((is_open & ~is_inside).sum())
        seconds[row, ~is_inside] = np.inf
    return seconds, left_out


def _pruned(network: Network) -> Network:
    """Return the network without arcs, junctions and lines that no vehicle uses any more."""
    is_used = np.isfinite(network.seconds).any(axis=0)
    kept, ends = np.unique(
        np.concatenate((network.tail[is_used], network.head[is_used])), return_inverse=True
    )
    lines, line = np.unique(network.line[is_used], return_inverse=True)
    sizes = np.diff(network.line_first)
    is_kept_place = np.repeat(np.isin(np.arange(len(sizes)), lines), sizes)
    tail, head = ends.astype(np.int32).reshape(2, -1)
    return replace(
        network,
        lat=network.lat[kept],
        lng=network.lng[kept],
        tail=tail,
        head=head,
        length_m=network.length_m[is_used],
        road=network.road[is_used],
        way=network.way[is_used],
        seconds=network.seconds[:, is_used],
        line=line.astype(np.int32),
        is_backward=network.is_backward[is_used],
        line_first=np.concatenate(([0], np.cumsum(sizes[lines]))).astype(np.int32),
        line_lat=network.line_lat[is_kept_place],
        line_lng=network.line_lng[is_kept_place],
    )


def largest_piece(junctions: int, tail: Numbers, head: Numbers) -> Flags:
    """Return which junctions are in the largest strongly connected piece of a graph.

    Tarjan's search with a stack of its own, since Python's would end at the first long street. Of
    two pieces of one size, the one with the lowest junction counts; a graph without arcs has none.
    """
    inside = np.zeros(junctions, dtype=np.bool_)
    if not len(tail):
        return inside
    order = np.argsort(tail, kind="stable")
    first = np.searchsorted(tail[order], np.arange(junctions + 1)).tolist()
    largest = max(
        _strong_pieces(first, head[order].tolist()),
        key=lambda piece: (len(piece), -min(piece)),
    )
    if len(largest) > 1:
        inside[largest] = True
    return inside


def _strong_pieces(first: Sequence[int], heads: Sequence[int]) -> Iterator[list[int]]:
    """Iterate over the strongly connected pieces; the arcs of `v` are `first[v]` to `first[v + 1]`.

    `number` counts junctions as they are found, and `lowest` is the lowest number that is known to
    be reachable. A piece is complete when the search leaves the first junction found of it.
    """
    junctions = len(first) - 1
    following = list(first[:-1])
    number, lowest, found = [0] * junctions, [0] * junctions, 0
    opened = list[int]()
    for root in range(junctions):
        path = [] if number[root] else [root]
        while path:
            here = path[-1]
            if not number[here]:
                found += 1
                number[here] = lowest[here] = found
                opened.append(here)
            while following[here] < first[here + 1]:
                there = heads[following[here]]
                if not number[there]:
                    path.append(there)
                    break
                lowest[here] = min(lowest[here], lowest[there])
                following[here] += 1
            else:
                path.pop()
                if lowest[here] == number[here]:
                    yield _completed(opened, here, lowest)


def _completed(opened: list[int], first_found: int, lowest: list[int]) -> list[int]:
    """Take a piece off the stack, so that no later search mistakes it for its own."""
    piece = list[int]()
    while not piece or piece[-1] != first_found:
        piece.append(opened.pop())
        lowest[piece[-1]] = len(lowest) + 1
    return piece
