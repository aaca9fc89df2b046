"""How well arrivals are foretold: kitchens of public instances, and simulated days hour by hour.

On the public instances of the Meal Delivery Routing Problem the preparation of each order is
foretold as it is placed, from the orders that were ready by then, and held against one fixed guess:
the median of all orders, which nobody could have known beforehand. In simulated days every order is
foretold by the production code in each of its phases, and each estimate is held against what
happened, by the hour in which it did. The first day is only learned from, as a market is not new
each morning; the days after it are other days of the same city. What an hour shows is a share of so
many orders, so beside it stands how far chance alone would be off (one standard deviation).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, median

from dispatch.arrival import hour_of, instant_of
from dispatch.ids import OrderId
from dispatch.policy import Policy
from geo.eta import Eta, Observation, Part, Phase, Told
from simulations.mdrp import Instance, instances, read_instance
from simulations.simulate import Foresight, simulate
from simulations.spec import CITIES

DAYS = (1, 2, 3)
"""Seeds of the days that are judged; the day before the first is learned from."""
LEARNING_SEED = 0
TOLD_MIN = 100
"""Estimates that an hour must have to be judged by itself."""
AIMED_SHARE = 0.8
CITY = CITIES["evening"]
SOLVER = "insert"
POLICY = Policy(round_s=30.0)
"""Rounds are rarer than in life and not improved: a day is to take seconds, not minutes."""
VARIANT = "o100t100s1p100"
"""The instances whose orders are as they were: all of them, with their own preparation times."""

type Hours = Mapping[int, Sequence[bool]]


def arrivals(folder: Path | None = None, days: Sequence[int] = DAYS) -> dict[str, object]:
    """Return errors and coverage, of the instances in `folder` if there are any, and of days."""
    measured: dict[str, object] = {}
    if folder is not None:
        measured["preparation"] = preparation(folder)
    return measured | {"days": simulated(days)}


def preparation(folder: Path) -> dict[str, object]:
    """Return how far off preparation times are foretold, beside one fixed guess; minutes."""
    found = [path for path in instances(folder) if path.name.endswith(VARIANT)]
    read = [read_instance(path) for path in found or instances(folder)]
    took_s = [_took_s(instance, place) for instance in read for place in _places(instance)]
    guess_s = median(took_s)
    foretold = [one for instance in read for one in _foretold(instance)]
    assert len(foretold) == len(took_s), "each order is foretold once"
    fixed_min = fmean(abs(one - guess_s) for one in took_s) / 60
    off_min = fmean(off_s for off_s, _ in foretold) / 60
    return {
        "instances": len(read),
        "orders": len(took_s),
        "off_min": round(off_min, 3),
        "fixed_guess_off_min": round(fixed_min, 3),
        "better_share": round(1 - off_min / fixed_min, 4) if fixed_min else None,
        "held_share": round(fmean(held for _, held in foretold), 4),
    }


def _places(instance: Instance) -> range:
    return range(len(instance.orders))


def _took_s(instance: Instance, place: int) -> float:
    order = instance.orders[place]
    return 60 * (order.ready_min - order.placed_min)


def _foretold(instance: Instance) -> Iterable[tuple[float, bool]]:
    """Yield how far off each order of a day was foretold, and whether it came between the edges."""
    eta = Eta()
    moments = [(order.placed_min, False, place) for place, order in enumerate(instance.orders)]
    moments += [(order.ready_min, True, place) for place, order in enumerate(instance.orders)]
    for _, is_ready, place in sorted(moments):  # What is ready in its own minute is not known then.
        key, took_s = instance.orders[place].restaurant, _took_s(instance, place)
        if is_ready:
            eta = eta.learned(Observation(Part.COOKING, key, took_s))
            continue
        spread = eta.spread(Part.COOKING, key)
        is_held = spread.quantile(0.1) <= took_s <= spread.quantile(0.9)
        yield abs(took_s - spread.median), is_held


def simulated(days: Sequence[int]) -> dict[str, object]:
    """Return what the estimates of simulated days were worth, by phase and by hour."""
    off_s: dict[Phase, list[float]] = defaultdict(list)
    held: dict[Phase, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    foresight = Foresight()
    simulate(CITY, seed=LEARNING_SEED, solver=SOLVER, policy=POLICY, foresight=foresight)

    def judged(order_id: OrderId, told: Told) -> None:
        del order_id
        estimate, at_s = told.estimate, told.happened_s
        off_s[told.phase].append(abs(at_s - estimate.at_s))
        hour = hour_of(instant_of(at_s))
        held[told.phase][hour].append(estimate.low_s <= at_s <= estimate.high_s)

    foresight.judged = judged
    for seed in days:
        simulate(CITY, seed=seed, solver=SOLVER, policy=POLICY, foresight=foresight)
    assert off_s, "no order was delivered"
    return {
        "city": CITY.name,
        "orders": CITY.orders * len(days),
        "off_s": {phase: round(fmean(values), 1) for phase, values in off_s.items()},
        "phases": {phase: coverage(hours) for phase, hours in held.items()},
        "all_phases": coverage(_together(held.values())),
    }


def _together(phases: Iterable[Hours]) -> Hours:
    together: dict[int, list[bool]] = defaultdict(list)
    for hours in phases:
        for hour, held in hours.items():
            together[hour] += held
    return together


def coverage(hours: Hours) -> dict[str, object]:
    """Return the share that held, of all and by the hour, and the hour that was furthest off."""
    shares = {hour: fmean(held) for hour, held in sorted(hours.items()) if len(held) >= TOLD_MIN}
    return {
        "held_share": round(fmean(one for held in hours.values() for one in held), 4),
        "by_hour": {str(hour): round(share, 4) for hour, share in shares.items()},
        "told_by_hour": {str(hour): len(hours[hour]) for hour in shares},
        "chance_by_hour": {
            str(hour): round(sqrt(AIMED_SHARE * (1 - AIMED_SHARE) / len(hours[hour])), 4)
            for hour in shares
        },
        "worst_off": round(max((abs(one - AIMED_SHARE) for one in shares.values()), default=0), 4),
    }


if __name__ == "__main__":
    print(json.dumps(arrivals()))
