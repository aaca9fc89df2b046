"""Fastest ways: the hierarchy says what Dijkstra's rule says, on whatever graph and times."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.point import Floats
from streets.dijkstra import Arcs, seconds_from
from streets.routing import ARC_S_MAX, BadGraph, Graph, Hierarchy, Numbers

NODES = 12
arcs_of_some_graph = st.lists(
    st.tuples(
        st.integers(0, NODES - 1),
        st.integers(0, NODES - 1),
        st.one_of(st.just(np.inf), st.integers(0, 90_000).map(lambda ms: ms / 1_000)),
    ),
    max_size=60,
)


def numbers(*some: int) -> Numbers:
    return np.array(some, dtype=np.uint32)


def graph(arcs: list[tuple[int, int, float]], nodes: int = NODES) -> tuple[Graph, Floats]:
    """Return a graph on a circle of nodes, and the times of its arcs."""
    angle = np.arange(nodes, dtype=np.float32)
    return (
        Graph(
            tails=numbers(*(tail for tail, _, _ in arcs)),
            heads=numbers(*(head for _, head, _ in arcs)),
            lat=(55 + np.sin(angle) / 100).astype(np.float32),
            lng=(12 + np.cos(angle) / 100).astype(np.float32),
        ),
        np.array([seconds for _, _, seconds in arcs], dtype=float),
    )


def by_the_plain_rule(found: Graph, seconds: Floats) -> Floats:
    arcs, nodes = Arcs(found), len(found.lat)
    rows = [seconds_from(arcs, np.rint(seconds * 1_000), nodes, one) for one in range(nodes)]
    return np.array(rows) / 1_000


@given(arcs_of_some_graph)
def test_the_hierarchy_and_dijkstra_agree_on_every_pair(
    arcs: list[tuple[int, int, float]],
) -> None:
    found, seconds = graph(arcs)
    every = np.arange(NODES, dtype=np.uint32)

    times_s = Hierarchy(found).weighed(seconds).matrix_s(every, every)

    assert np.array_equal(times_s, by_the_plain_rule(found, seconds))


@given(arcs_of_some_graph, st.integers(0, NODES - 1), st.integers(0, NODES - 1))
def test_a_path_leads_from_end_to_end_in_the_time_it_names(
    arcs: list[tuple[int, int, float]], origin: int, destination: int
) -> None:
    found, seconds = graph(arcs)

    path = Hierarchy(found).weighed(seconds).find_path(origin, destination)

    expected_s = by_the_plain_rule(found, seconds)[origin, destination]
    if path is None:
        assert expected_s == np.inf
        return
    assert path.seconds == expected_s
    assert (path.nodes[0], path.nodes[-1]) == (origin, destination)
    steps = [(int(found.tails[arc]), int(found.heads[arc])) for arc in path.arcs]
    assert steps == list(pairwise(path.nodes))
    assert sum(seconds[arc] for arc in path.arcs) == pytest.approx(path.seconds, abs=1e-6)


@given(arcs_of_some_graph)
def test_new_times_need_no_new_order(arcs: list[tuple[int, int, float]]) -> None:
    found, seconds = graph(arcs)
    every = np.arange(NODES, dtype=np.uint32)
    weighed = Hierarchy(found).weighed(seconds)
    slower = seconds * 2

    weighed.weigh(slower)

    assert np.array_equal(weighed.matrix_s(every, every), by_the_plain_rule(found, slower))


def test_a_closed_arc_is_gone_round_and_opens_again() -> None:
    found, seconds = graph([(0, 1, 10.0), (0, 2, 8.0), (2, 1, 7.0)], nodes=3)
    weighed = Hierarchy(found).weighed(seconds)
    ways_s: list[float] = []

    for now_s in (10.0, np.inf, 1.5):
        weighed.change(numbers(0), np.array([now_s]))
        ways_s.append(float(weighed.matrix_s(numbers(0), numbers(1))[0, 0]))

    assert ways_s == [10.0, 15.0, 1.5]


def test_where_no_way_leads_there_is_no_path_and_no_time() -> None:
    found, seconds = graph([(0, 1, 10.0)], nodes=3)
    weighed = Hierarchy(found).weighed(seconds)

    times_s = weighed.matrix_s(numbers(1, 2), numbers(0, 2))

    assert times_s.tolist() == [[np.inf, np.inf], [np.inf, 0.0]]
    assert weighed.find_path(1, 0) is None


def test_nobody_asks_for_nothing_in_vain() -> None:
    found, seconds = graph([(0, 1, 10.0)], nodes=2)

    assert Hierarchy(found).weighed(seconds).matrix_s(numbers(), numbers(0)).shape == (0, 1)


def test_a_node_that_is_none_is_refused_rather_than_called_unreachable() -> None:
    found, seconds = graph([(0, 1, 10.0)], nodes=2)
    weighed = Hierarchy(found).weighed(seconds)

    with pytest.raises(BadGraph, match="nodes are 0 to 1; asked for 2"):
        weighed.matrix_s(numbers(0), numbers(2))
    with pytest.raises(BadGraph, match="asked for"):
        weighed.find_path(-1, 0)


@pytest.mark.parametrize("seconds", [-1.0, np.nan, -np.inf, ARC_S_MAX + 1])
def test_what_is_no_time_is_refused(seconds: float) -> None:
    found, _ = graph([(0, 1, 10.0)], nodes=2)

    with pytest.raises(BadGraph, match="arc 0 takes"):
        Hierarchy(found).weighed(np.array([seconds]))


def test_times_for_another_number_of_arcs_are_refused() -> None:
    found, seconds = graph([(0, 1, 10.0)], nodes=2)
    weighed = Hierarchy(found).weighed(seconds)

    with pytest.raises(BadGraph, match="2 times for 1 arcs"):
        weighed.weigh(np.ones(2))
    with pytest.raises(BadGraph, match="no arc 7"):
        weighed.change(numbers(7), np.ones(1))


def test_an_arc_to_nowhere_is_refused() -> None:
    with pytest.raises(BadGraph, match="no node 9"):
        graph([(0, 9, 1.0)], nodes=3)
