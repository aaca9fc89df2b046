"""The same rounds put to OR-Tools Routing, PyVRP and VROOM, each as well as it can say them.

None of them knows a bundle whose pickup waits for its last dish, or a price that grows with every
second since an order could have been there. So an order becomes one place, its drop-off, and the
way to it leads by its restaurant: from a courier, or from another door, over the pickup. From a
door of the same restaurant, if both dishes are ready at about the same time, it leads straight on,
which is a bundle. What they are told beyond that:

- Routing minimises the way and a soft upper bound: each second behind the earliest possible
  drop-off costs what it costs us, but for its ageing; leaving an order out has its price.
- PyVRP knows hard windows only, so an order may be dropped off until `WINDOW_S` after the earliest,
  or be left out at its price; the way is minimised.
- VROOM has the same windows, and priorities: old orders come before young ones.

Every answer is read kindly. Of two ways to understand a sequence (bundle, or one trip after the
other) the cheaper counts; what they left out or put too late is inserted by our own insertion; and
the cost is ours for everybody, `schedule.cost_s`. Each runs in a process of its own, because they
hold the interpreter and do not all keep their time.
"""

# These three say little or nothing of their types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from benchmarks.rounds_drawn import POLICY, TRAVEL, Size, drawn
from dispatch.matching.construction import draft_of
from dispatch.matching.insertion import fill, total_s
from dispatch.matching.plan import Rows
from dispatch.matching.problem import Problem, problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import NOBODY, Floats, Ints

WINDOW_S = 1_200
ALIKE_S = 300.0
"""Two dishes of one restaurant that are ready within this go well together."""
UNITS_PER_S = 10
"""Routing's costs are whole tenths of a second."""
GRACE_S = 60.0
"""How much longer than its limit a rival may take, for loading and reading, before it is ended."""

type Sequences = list[list[int]]
"""Per courier, the orders as he is to drop them off."""


class Table(NamedTuple):
    """A round as places: couriers first, then drop-offs, then an end that is near to all."""

    couriers: int
    orders: int
    way_s: Ints
    """(P, P) from place to place, the handovers and the pickup on the way included."""
    opens_s: Ints
    """(P,) when a courier is free, or an order can be dropped off at the earliest."""
    off_s: Ints
    """(C,) the end of the courier's shift, with some time for what is in the bag."""
    leave_out_s: Ints
    """(N,)"""


def table(p: Problem) -> Table:
    """Return the round as places."""
    couriers, orders = len(p.couriers), len(p.orders)
    end = couriers + orders
    restaurant = p.orders["restaurant"]
    way_s = np.zeros((end + 1, end + 1))
    in_s = p.pickup_s + p.orders["first_leg_s"] + p.dropoff_s / 2
    ways_s = p.to_restaurant[:, restaurant] + in_s
    is_there = p.couriers["bound"][:, None] == restaurant
    ways_s[:couriers] -= np.where(is_there, p.to_restaurant[:couriers][:, restaurant], 0.0)
    ways_s[couriers:] += p.dropoff_s / 2
    ready_s = p.orders["ready_s"]
    is_alike = np.abs(ready_s[:, None] - ready_s) <= ALIKE_S
    joins = (restaurant[:, None] == restaurant) & is_alike
    ways_s[couriers:] = np.where(joins, p.between_dropoffs + p.dropoff_s, ways_s[couriers:])
    way_s[:end, couriers:end] = ways_s
    np.fill_diagonal(way_s, 0.0)
    free_s = np.maximum(p.couriers["free_s"], 0.0)
    earliest_s = np.maximum(p.orders["earliest_s"], 0.0)
    return Table(
        couriers=couriers,
        orders=orders,
        way_s=_whole(way_s),
        opens_s=_whole(np.concatenate((free_s, earliest_s))),
        off_s=_whole(np.maximum(p.couriers["off_s"], free_s) + WINDOW_S),
        leave_out_s=_whole(p.orders["leave_out_s"]),
    )


def _whole(times_s: Floats) -> Ints:
    return np.rint(times_s).astype(np.int64)


def routing(t: Table, limit_s: float) -> Sequences:
    """Ask OR-Tools Routing."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2  # noqa: PLC0415 (slow)

    end = t.couriers + t.orders
    index = pywrapcp.RoutingIndexManager(
        end + 1, t.couriers, list(range(t.couriers)), [end] * t.couriers
    )
    model = pywrapcp.RoutingModel(index)
    work = round(POLICY.matching.work_price * UNITS_PER_S)
    model.SetArcCostEvaluatorOfAllVehicles(model.RegisterTransitMatrix((t.way_s * work).tolist()))
    horizon_s = int(t.off_s.max() + t.way_s.max())
    way = model.RegisterTransitMatrix(t.way_s.tolist())
    model.AddDimension(way, horizon_s, horizon_s, False, "time")  # noqa: FBT003 (its signature)
    clock = model.GetDimensionOrDie("time")
    for courier in range(t.couriers):
        clock.CumulVar(model.Start(courier)).SetMin(int(t.opens_s[courier]))
        clock.CumulVar(model.End(courier)).SetMax(int(t.off_s[courier]))
    for order in range(t.orders):
        place = index.NodeToIndex(t.couriers + order)
        opens_s = int(t.opens_s[t.couriers + order])
        clock.CumulVar(place).SetMin(opens_s)
        clock.SetCumulVarSoftUpperBound(place, opens_s, UNITS_PER_S)
        model.AddDisjunction([place], int(t.leave_out_s[order]) * UNITS_PER_S)
    asked = pywrapcp.DefaultRoutingSearchParameters()
    first = routing_enums_pb2.FirstSolutionStrategy.PARALLEL_CHEAPEST_INSERTION
    asked.first_solution_strategy = first
    later = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    asked.local_search_metaheuristic = later
    asked.time_limit.FromMilliseconds(round(limit_s * 1_000))
    solution = model.SolveWithParameters(asked)
    found: Sequences = [[] for _ in range(t.couriers)]
    for courier in range(t.couriers if solution else 0):
        place = solution.Value(model.NextVar(model.Start(courier)))
        while not model.IsEnd(place):
            found[courier].append(index.IndexToNode(place) - t.couriers)
            place = solution.Value(model.NextVar(place))
    return found


def pyvrp(t: Table, limit_s: float) -> Sequences:
    """Ask PyVRP."""
    import pyvrp as vrp  # noqa: PLC0415 (only who measures has it)
    from pyvrp.stop import MaxRuntime  # noqa: PLC0415

    end = t.couriers + t.orders
    opens_s = t.opens_s.tolist()
    shown = vrp.ProblemData(
        locations=[vrp.Location(0, 0) for _ in range(end + 1)],
        clients=[
            vrp.Client(
                location=place,
                tw_early=opens_s[place],
                tw_late=opens_s[place] + WINDOW_S,
                prize=int(t.leave_out_s[place - t.couriers]),
                required=False,
            )
            for place in range(t.couriers, end)
        ],
        depots=[vrp.Depot(location=place) for place in (*range(t.couriers), end)],
        vehicle_types=[
            vrp.VehicleType(
                start_depot=courier,
                end_depot=t.couriers,
                tw_early=opens_s[courier],
                tw_late=int(t.off_s[courier]),
            )
            for courier in range(t.couriers)
        ],
        distance_matrices=[t.way_s],  # pyright: ignore[reportArgumentType] (as in `flow`)
        duration_matrices=[t.way_s],  # pyright: ignore[reportArgumentType]
    )
    best = vrp.solve(shown, stop=MaxRuntime(limit_s), seed=1, display=False).best
    found: Sequences = [[] for _ in range(t.couriers)]
    for route in best.routes():
        found[route.vehicle_type()] = [one.idx for one in route if one.is_client()]
    return found


def vroom(t: Table, limit_s: float) -> Sequences:
    """Ask VROOM."""
    import vroom as vrm  # noqa: PLC0415 (only who measures has it)

    opens_s = t.opens_s.tolist()
    asked = vrm.Input()
    asked.set_durations_matrix("car", t.way_s.astype(np.uint32))
    asked.add_vehicle(
        [
            vrm.Vehicle(one, start=one, time_window=vrm.TimeWindow(opens_s[one], int(t.off_s[one])))
            for one in range(t.couriers)
        ]
    )
    oldest = np.argsort(np.argsort(-t.leave_out_s, kind="stable"))
    asked.add_job(
        [
            vrm.Job(
                order,
                location=t.couriers + order,
                priority=100 - int(100 * oldest[order] / t.orders),
                time_windows=[
                    vrm.TimeWindow(
                        opens_s[t.couriers + order], opens_s[t.couriers + order] + WINDOW_S
                    )
                ],
            )
            for order in range(t.orders)
        ]
    )
    solved = asked.solve(exploration_level=5, nb_threads=1, timeout=timedelta(seconds=limit_s))
    found: Sequences = [[] for _ in range(t.couriers)]
    for route in solved.to_dict()["routes"]:
        found[route["vehicle"]] = [step["id"] for step in route["steps"] if step["type"] == "job"]
    return found


RIVALS: Mapping[str, Callable[[Table, float], Sequences]] = {
    "ortools_routing": routing,
    "pyvrp": pyvrp,
    "vroom": vroom,
}


class Answered(NamedTuple):
    """What a rival's plan costs, if it gave one, how many orders were in it, and what it took."""

    cost_s: float | None
    orders: int
    took_s: float | None


def asked(name: str, size: Size, seed: int, limit_s: float) -> Answered:
    """Put a round to a rival in a process of its own, and return what came of it."""
    command = [sys.executable, "-m", "benchmarks.rounds_rivals", name]
    numbers = map(str, (size.orders, size.couriers, seed, limit_s))
    try:
        told = subprocess.run(  # noqa: S603 (our own module)
            [*command, *numbers],
            check=True,
            capture_output=True,
            text=True,
            timeout=10 * limit_s + GRACE_S,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return Answered(None, 0, None)
    said = json.loads(told.stdout.splitlines()[-1])
    p = problem(drawn(size, seed), TRAVEL, POLICY)
    rows = read(p, said["sequences"] or [[] for _ in p.couriers])
    orders = sum(len(trip) for trips in rows for trip in trips)
    return Answered(worth_s(p, rows) if orders else None, orders, said["took_s"])


def read(p: Problem, sequences: Sequence[Sequence[int]]) -> Rows:
    """Return sequences of drop-offs as trips; an order joins the last one if that is cheaper."""
    return [_read(p, courier, orders) for courier, orders in enumerate(sequences)]


def _read(p: Problem, courier: int, orders: Sequence[int]) -> list[list[int]]:
    trips = list[list[int]]()
    restaurant = p.orders["restaurant"]
    for order in orders:
        ways = [[*trips, [order]]]
        if trips and restaurant[trips[-1][0]] == restaurant[order]:
            ways.append([*trips[:-1], [*trips[-1], order]])
        cheapest = min(ways, key=lambda way: cost_s(p, courier, way))
        if cost_s(p, courier, cheapest) < np.inf:
            trips = cheapest
    return trips


def worth_s(p: Problem, rows: Rows) -> float:
    """Return what a plan costs once the orders that are not in it are inserted."""
    draft = draft_of(p, rows, POLICY.matching)
    fill(p, draft, np.flatnonzero(draft.courier == NOBODY))
    return float(total_s(p, draft))


def main() -> None:
    """Be the process of one rival, for one round."""
    name, *numbers = sys.argv[1:]
    orders, couriers, seed = map(int, numbers[:3])
    shown = table(problem(drawn(Size(orders, couriers), seed), TRAVEL, POLICY))
    began_s = time.perf_counter()
    sequences = RIVALS[name](shown, float(numbers[3]))
    print(json.dumps({"sequences": sequences, "took_s": time.perf_counter() - began_s}))


if __name__ == "__main__":
    main()
