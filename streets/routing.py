"""Fastest ways through a network: a contraction hierarchy over plain arrays.

A `Graph` is arcs between numbered nodes. A `Hierarchy` orders its nodes once, which depends on what
is joined to what and not on times; `weighed` then gives it the seconds of each arc, which takes
milliseconds for a city, so that hours of the day and closed streets need no new ordering. The
package that does it (RoutingKit's customizable contraction hierarchies) is young: everything here
is refereed by `streets.dijkstra`, in the tests and on a sample of every network that is opened.

Times are whole milliseconds within, so that sums are exact and the same on every machine. An arc
of infinite seconds is closed. A pair that no way joins has infinite seconds, and no path.

The package lets go of the interpreter while it searches and says nothing about threads, so each set
of times answers one thread at a time.
"""

import threading
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyroutingkit import INF_WEIGHT, CCHMetric, CCHTopology

from geo.point import Floats

type Numbers = NDArray[np.uint32]
"""Numbers of nodes or of arcs."""

ARC_S_MAX = 86_400.0
"""The longest that an arc may take; what takes longer is no way for a courier."""
NODES_MAX = 20_000_000

_MS = 1_000


class BadGraph(ValueError):
    """Arrays that are no network, or times that are none; the message names the first that is."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Arcs from `tails` to `heads`, and where each node is in degrees."""

    tails: Numbers
    heads: Numbers
    lat: NDArray[np.float32]
    lng: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse arcs that lead nowhere."""
        if not len(self.lat) == len(self.lng) <= NODES_MAX:
            raise BadGraph(f"{len(self.lat)} latitudes, {len(self.lng)} longitudes of nodes")
        if len(self.tails) != len(self.heads):
            raise BadGraph(f"{len(self.tails)} arcs begin and {len(self.heads)} end")
        for ends in (self.tails, self.heads):
            if len(ends) and int(ends.max()) >= len(self.lat):
                raise BadGraph(f"there is no node {int(ends.max())} among {len(self.lat)}")


class Path(NamedTuple):
    """A fastest way: its time, its nodes from end to end, and the arcs between them."""

    seconds: float
    nodes: tuple[int, ...]
    arcs: tuple[int, ...]


class Hierarchy:
    """A graph made ready for fast questions, whatever its arcs will take."""

    def __init__(self, graph: Graph) -> None:
        """Order the nodes; a city takes a second or so."""
        self.graph = graph
        self._topology = CCHTopology()
        self._topology.build(graph.tails, graph.heads, graph.lat, graph.lng, len(graph.lat))

    def weighed(self, seconds: Floats) -> "Weighed":
        """Return the ways when arcs take so long; raises BadGraph for what is no time."""
        weighed = Weighed(CCHMetric(self._topology), self.graph)
        weighed.weigh(seconds)
        return weighed


class Weighed:
    """The fastest ways for one set of times."""

    def __init__(self, metric: CCHMetric, graph: Graph) -> None:
        self._metric, self._lock = metric, threading.Lock()
        self._nodes, self._arcs = len(graph.lat), len(graph.tails)

    def weigh(self, seconds: Floats) -> None:
        """Have all arcs take so long from now on."""
        weights = weights_of(seconds)
        if len(weights) != self._arcs:
            raise BadGraph(f"{len(weights)} times for {self._arcs} arcs")
        with self._lock:
            self._metric.customize(weights)

    def change(self, arcs: Numbers, seconds: Floats) -> None:
        """Have some arcs take so long from now on: cheaper than all, when they are few."""
        weights = weights_of(seconds)
        if len(arcs) and int(arcs.max()) >= self._arcs:
            raise BadGraph(f"there is no arc {int(arcs.max())} among {self._arcs}")
        with self._lock:
            self._metric.update_weights(arcs, weights)

    def matrix_s(self, origins: Numbers, destinations: Numbers) -> Floats:
        """Return the seconds from each of n nodes to each of m, inf where no way leads."""
        self._check(origins)
        self._check(destinations)
        if not len(origins) or not len(destinations):
            return np.zeros((len(origins), len(destinations)))
        with self._lock:
            weights = self._metric.distances_many_to_many(origins, destinations)
        return np.where(weights >= INF_WEIGHT, np.inf, weights / _MS)

    def find_path(self, origin: int, destination: int) -> Path | None:
        """Return the fastest way, or None where none leads."""
        self._check(np.array((origin, destination), dtype=np.int64))
        with self._lock:
            weight, nodes, arcs = self._metric.query(origin, destination)
        if weight >= INF_WEIGHT:
            return None
        return Path(weight / _MS, tuple(nodes), tuple(arcs))

    def _check(self, nodes: NDArray[np.integer]) -> None:
        """Refuse numbers of no node, which the package would take for nodes without a way."""
        if len(nodes) and not 0 <= int(nodes.min()) <= int(nodes.max()) < self._nodes:
            raise BadGraph(f"nodes are 0 to {self._nodes - 1}; asked for {int(nodes.max())}")


def weights_of(seconds: Floats) -> Numbers:
    """Return times as the hierarchy's weights; raises BadGraph for what is no time."""
    is_closed = np.isposinf(seconds)
    bad = ~is_closed & ~((seconds >= 0) & (seconds <= ARC_S_MAX))
    if bad.any():
        arc = int(np.flatnonzero(bad)[0])
        raise BadGraph(f"arc {arc} takes {seconds[arc]} s; an arc takes 0 to {ARC_S_MAX:.0f} s")
    return np.where(is_closed, INF_WEIGHT, np.rint(seconds * _MS)).astype(np.uint32)
