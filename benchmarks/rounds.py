"""What a round costs: a city evening planned over and over, by the default solver and by a flow.

The work is fixed by a seed: 100 live orders and 400 couriers, and then rounds in which five orders
are gone and five have come, so that most of a kept plan holds, as in a live city. The yardstick is
the one-to-one assigner, whose flow is OR-Tools', on the same snapshots and in turns with the
default solver, so that both meet the same state of the machine. After every round the work is
checked: no order is left out, and no course breaks a limit.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.plan import Plan, warmed
from dispatch.matching.problem import problem
from dispatch.matching.schedule import cost_s
from dispatch.matching.snapshot import FreeCourier, OpenOrder, Snapshot, snapshot
from dispatch.matching.solvers import SOLVERS, warm_up
from dispatch.policy import Policy
from geo.travel import StraightLine

ORDERS, COURIERS, RESTAURANTS = 100, 400, 120
FRESH = 5
ROUNDS = 40
SIDE_M = 8_000.0
SEED = 7
TRAVEL = StraightLine(speed_mps=5.0, detour=1.3)
POLICY = Policy()
COMPARED = ("insert", "assign")


def rounds() -> dict[str, object]:
    """Return milliseconds of processor time per round and their ratio to the flow's."""
    warm_up()
    spent: dict[str, list[float]] = {name: [] for name in COMPARED}
    kept: dict[str, Plan | None] = dict.fromkeys(COMPARED)
    for known in islice(_evening(random.Random(SEED)), ROUNDS):
        for name in COMPARED:
            began_s = time.process_time()
            plan = SOLVERS[name](known, kept[name], POLICY, TRAVEL)
            spent[name].append((time.process_time() - began_s) * 1_000)
            _check(known, plan)
            kept[name] = plan
    # The first rounds start from nothing, and import or compile what is left of that.
    warm = {name: spent[name][1:] for name in COMPARED}
    return {
        "orders": ORDERS,
        "couriers": COURIERS,
        "rounds": ROUNDS,
        "round_ms_p50": {name: round(float(np.median(warm[name])), 2) for name in COMPARED},
        "round_ms_p99": {name: round(float(np.quantile(warm[name], 0.99)), 2) for name in COMPARED},
        "ratio_to_assign": round(float(np.median(warm["insert"]) / np.median(warm["assign"])), 2),
    }


def _evening(rng: random.Random) -> Iterator[Snapshot]:
    """Yield one round's knowledge after the other, without end."""
    places = {RestaurantId(f"r{one}"): _place(rng) for one in range(RESTAURANTS)}
    demand = {one: rng.random() for one in places}
    couriers = [_courier(rng, one) for one in range(COURIERS)]
    orders = [_order(rng, one, list(places)) for one in range(ORDERS)]
    number = ORDERS
    while True:
        yield snapshot(Instant(number * 1_000), places, orders, couriers, demand)
        fresh = [_order(rng, number + one, list(places)) for one in range(FRESH)]
        orders = [*orders[FRESH:], *fresh]
        number += FRESH


def _place(rng: random.Random) -> tuple[float, float]:
    return rng.uniform(0, SIDE_M), rng.uniform(0, SIDE_M)


def _courier(rng: random.Random, number: int) -> FreeCourier:
    return FreeCourier(
        id=CourierId(f"c{number}"),
        place=_place(rng),
        free_s=max(0.0, rng.uniform(-900, 900)),
        off_s=rng.uniform(7_200, 14_400),
        capacity=6,
    )


def _order(rng: random.Random, number: int, places: Sequence[RestaurantId]) -> OpenOrder:
    return OpenOrder(
        id=OrderId(f"o{number}"),
        restaurant_id=rng.choice(places),
        dropoff=_place(rng),
        placed_s=-rng.uniform(0, 900),
        ready_s=rng.uniform(-300, 900),
    )


def _check(known: Snapshot, plan: Plan) -> None:
    p = problem(known, TRAVEL, POLICY)
    assert not plan.unplanned, f"{len(plan.unplanned)} orders were left out"
    for courier, trips in enumerate(warmed(plan, known)):
        assert cost_s(p, courier, trips) < np.inf, f"courier {courier} breaks a limit"


if __name__ == "__main__":
    print(json.dumps(rounds()))
