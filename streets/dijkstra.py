"""The plain definition of a fastest way, by Dijkstra's rule: slow, short, and beyond doubt.

Nothing that serves a round calls this. It referees the contraction hierarchy, which is quick and
foreign: on random graphs in the tests, and on a few nodes of every network when it is opened.
"""

from heapq import heappop, heappush
from math import inf

import numpy as np

from geo.point import Floats
from streets.routing import Graph


class Arcs:
    """The arcs of a graph, by the node that they leave."""

    def __init__(self, graph: Graph) -> None:
        """Sort the arcs of `graph`."""
        self._heads = graph.heads
        self._order = np.argsort(graph.tails, kind="stable")
        ordered = graph.tails[self._order]
        self._starts = np.searchsorted(ordered, np.arange(len(graph.lat) + 1)).tolist()

    def leaving(self, node: int) -> list[tuple[int, int]]:
        """Return the arcs that leave a node, each with the node it leads to."""
        arcs = self._order[self._starts[node] : self._starts[node + 1]]
        return list(zip(arcs.tolist(), self._heads[arcs].tolist(), strict=True))


def seconds_from(arcs: Arcs, seconds: Floats, nodes: int, origin: int) -> Floats:
    """Return the time from `origin` to each node, inf where no way leads."""
    found = np.full(nodes, inf)
    found[origin] = 0.0
    queue = [(0.0, origin)]
    while queue:
        so_far_s, node = heappop(queue)
        if so_far_s > found[node]:
            continue
        for arc, head in arcs.leaving(node):
            there_s = so_far_s + float(seconds[arc])
            if there_s < found[head]:
                found[head] = there_s
                heappush(queue, (there_s, head))
    return found
