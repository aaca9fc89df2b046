"""Stations: where a vehicle can be asked for, close together on every street that it may use.

A network has nodes at junctions only, which lie hundreds of metres apart along a country road. Here
each road is cut into equal parts no longer than `STEP_M`; junctions and cuts are the stations, and
a place is taken to be at its nearest one. Both directions of a road share their stations. Only arcs
that the vehicle may use are kept, so that every station can be reached and left.

`Stations.arc` names the arc of the network that a part belongs to, so that closing a street, or
weighing one class of roads, reaches its parts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geo.point import Floats
from geo.projection import Projection
from streets.network import Network
from streets.roads import Vehicle
from streets.routing import BadGraph, Graph

type Ints = NDArray[np.int64]

STEP_M = 100.0
"""At most so far apart: a place is then 50 m of road from a station, 12 s by bicycle."""


@dataclass(frozen=True, slots=True)
class Stations:
    """A network cut up for one vehicle. Rows of `graph` are stations and parts of arcs."""

    graph: Graph
    seconds: Floats
    """Free-flow seconds of each part."""
    metres: Floats
    """Length of each part."""
    road: NDArray[np.uint8]
    """Class of road of each part, by its number in `streets.roads.ROADS`."""
    arc: Ints
    """The arc of the network that each part belongs to."""
    lat: Floats
    lng: Floats
    """Where each station is, more exactly than the graph says."""


def stations(network: Network, vehicle: Vehicle, step_m: float = STEP_M) -> Stations:
    """Return the network cut up for a vehicle; raises BadGraph when none of it is open to that."""
    seconds = network.seconds_by(vehicle).astype(np.float64)
    arc: Ints = np.flatnonzero(np.isfinite(seconds))
    if not len(arc):
        raise BadGraph(f"no road of this city is open to the vehicle {vehicle.value!r}")
    cuts = _cuts(network, arc, step_m)
    part_arc = np.repeat(arc, cuts.parts[network.line[arc]])
    tails, heads = _ends(network, arc, cuts)
    lat = np.concatenate((network.lat, cuts.lat))
    lng = np.concatenate((network.lng, cuts.lng))
    kept, ends = np.unique(np.concatenate((tails, heads)), return_inverse=True)
    share = 1 / cuts.parts[network.line[part_arc]]
    return Stations(
        graph=Graph(
            tails=ends[: len(tails)].astype(np.uint32),
            heads=ends[len(tails) :].astype(np.uint32),
            lat=lat[kept].astype(np.float32),
            lng=lng[kept].astype(np.float32),
        ),
        seconds=seconds[part_arc] * share,
        metres=network.length_m[part_arc] * share,
        road=network.road[part_arc],
        arc=part_arc,
        lat=lat[kept],
        lng=lng[kept],
    )


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Into how many parts each line is cut, and the places of all cuts, line by line."""

    parts: Ints
    first: Ints
    """The number of each line's first cut, as a node: cuts are numbered after the junctions."""
    lat: Floats
    lng: Floats


def _cuts(network: Network, arc: Ints, step_m: float) -> _Cuts:
    """Cut each line that one of the arcs runs along into equal parts."""
    first_place = network.line_first.astype(np.int64)
    so_far_m = _so_far_m(network)
    start_m, end_m = so_far_m[first_place[:-1]], so_far_m[first_place[1:] - 1]
    parts = np.ones(len(start_m), dtype=np.int64)
    used = np.unique(network.line[arc])
    parts[used] = np.maximum(1, np.ceil((end_m - start_m)[used] / step_m))
    count = parts - 1
    line = np.repeat(np.arange(len(parts)), count)
    before = np.concatenate(((0,), np.cumsum(count)[:-1])) if len(count) else count
    rank = np.arange(len(line)) - before[line] + 1
    at_m = start_m[line] + (end_m - start_m)[line] * rank / parts[line]
    # The distance rises from place to place, from one line to the next as well, so that one
    # interpolation finds all cuts.
    return _Cuts(
        parts=parts,
        first=network.junctions + before,
        lat=np.interp(at_m, so_far_m, network.line_lat),
        lng=np.interp(at_m, so_far_m, network.line_lng),
    )


def _so_far_m(network: Network) -> Floats:
    """Return the metres drawn from the first place of the first line to each place of all."""
    points = Projection(network.centre).to_points(network.line_lat, network.line_lng)
    gaps = np.diff(points, axis=0)
    return np.concatenate(((0.0,), np.cumsum(np.hypot(gaps[:, 0], gaps[:, 1]))))


def _ends(network: Network, arc: Ints, cuts: _Cuts) -> tuple[Ints, Ints]:
    """Return the tail and the head of every part, arc by arc in the direction of the arc."""
    line = network.line[arc]
    parts = cuts.parts[line]
    rank = np.arange(int(parts.sum())) - np.repeat(np.cumsum(parts) - parts, parts)
    of = np.repeat(np.arange(len(arc)), parts)
    step = np.where(network.is_backward[arc], -1, 1)
    nearest_cut = np.where(network.is_backward[arc], cuts.first[line] + parts - 2, cuts.first[line])
    tails = nearest_cut[of] + step[of] * (rank - 1)
    heads = nearest_cut[of] + step[of] * rank
    is_first, is_last = rank == 0, rank == parts[of] - 1
    return (
        np.where(is_first, network.tail[arc][of], tails),
        np.where(is_last, network.head[arc][of], heads),
    )
