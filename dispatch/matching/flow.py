"""The cheapest flow through a network, by OR-Tools.

OR-Tools takes two seconds to import and holds the interpreter's lock for as long as it solves. So
it is imported when it is first used, and a live node solves in a process of its own.
"""

import numpy as np

from dispatch.matching.snapshot import Bools, Ints


def cheapest_flow(*, tails: Ints, heads: Ints, costs: Ints, sources: Ints, supplies: Ints) -> Bools:
    """Return which arcs are used when every supply reaches a demand at the least cost.

    Each arc carries one unit. `supplies` belong to the nodes `sources`, and demands are negative.
    """
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow  # noqa: PLC0415 (slow)

    flow = SimpleMinCostFlow()
    arcs = flow.add_arcs_with_capacity_and_unit_cost(
        tails,  # pyright: ignore[reportArgumentType] (its stubs mistake the dtype for the shape)
        heads,  # pyright: ignore[reportArgumentType]
        np.ones_like(costs),  # pyright: ignore[reportArgumentType]
        costs,  # pyright: ignore[reportArgumentType]
    )
    flow.set_nodes_supplies(sources, supplies)  # pyright: ignore[reportArgumentType]
    status = flow.solve()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    assert status == flow.OPTIMAL, f"the flow was not solved: status {status}"
    return np.array(flow.flows(arcs)) > 0  # pyright: ignore[reportArgumentType]
