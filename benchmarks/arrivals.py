"""How well arrivals are foretold: kitchens of public instances, and simulated days hour by hour.

On the public instances of the Meal Delivery Routing Problem the preparation of each order is
foretold as it is placed, from the orders that were ready by then, and held against one fixed guess:
the median of all orders, which nobody could have known beforehand. In simulated days every order is
foretold by the production code in each of its phases, and each estimate is held against what
happened. The first day is only learned from, as a market is not new each morning; the days after it
are other days of the same city.

Estimates are counted by the hour in which they were told, over all days. By the hour in which they
come true not even who knows all odds would come to 80 %: of those told at half past eight only the
latest come true after ten. And what one hour of one day shows is a share of some 150 orders, whose
four estimates go together, in a city that is a little faster or slower for all of them. So beside
each share stands how far chance alone would lead off (one standard deviation) if orders had nothing
to do with each other, and how far off the hour was on the days one by one.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, median, pstdev

from msgspec import Struct

from dispatch.arrival import hour_of, instant_of
from dispatch.ids import OrderId
from dispatch.policy import Policy
from geo.eta import Eta, Observation, Part, Phase, Told
from simulations.mdrp import Instance, instances, read_instance
from simulations.simulate import Foresight, simulate
from simulations.spec import CITIES

DAYS = (1, 2, 3, 4, 5, 6)
"""Seeds of the days that are judged; the day before the first is learned from."""
LEARNING_SEED = 0
ORDERS_MIN = 100
"""Orders that an hour must have, over all days, to be judged by itself."""
AIMED_SHARE = 0.8
CITY = CITIES["evening"]
SOLVER = "insert"
POLICY = Policy(round_s=30.0)
"""Rounds are rarer than in life and not improved: a day is to take seconds, not minutes."""
VARIANT = "o100t100s1p100"
"""The instances whose orders are as they were: all of them, with their own preparation times."""


class Outcome(Struct, frozen=True, kw_only=True):
    """An estimate of an order, of which day and in which phase it was told, and if it held."""

    day: int
    order_id: OrderId
    phase: Phase
    hour: int
    off_s: float
    width_s: float
    is_held: bool


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
    outcomes: list[Outcome] = []
    foresight = Foresight()
    simulate(CITY, seed=LEARNING_SEED, solver=SOLVER, policy=POLICY, foresight=foresight)
    for day in days:
        foresight.judged = lambda order_id, told, day=day: outcomes.append(
            outcome(day, order_id, told)
        )
        simulate(CITY, seed=day, solver=SOLVER, policy=POLICY, foresight=foresight)
    assert outcomes, "no order was delivered"
    return {
        "city": CITY.name,
        "orders": CITY.orders * len(days),
        "all_phases": coverage(outcomes),
        "phases": {
            phase: coverage([one for one in outcomes if one.phase is phase]) for phase in Phase
        },
    }


def outcome(day: int, order_id: OrderId, told: Told) -> Outcome:
    """Return what came of an estimate."""
    estimate, at_s = told.estimate, told.happened_s
    return Outcome(
        day=day,
        order_id=order_id,
        phase=told.phase,
        hour=hour_of(instant_of(estimate.told_s)),
        off_s=abs(at_s - estimate.at_s),
        width_s=estimate.high_s - estimate.low_s,
        is_held=estimate.low_s <= at_s <= estimate.high_s,
    )


def coverage(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return how far off they were, and the share that held, of all and by the hour told in."""
    hours: dict[int, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        hours[one.hour].append(one)
    judged = {hour: held for hour, held in sorted(hours.items()) if _orders(held) >= ORDERS_MIN}
    return {
        "off_s": round(fmean(one.off_s for one in outcomes), 1),
        "width_s": round(fmean(one.width_s for one in outcomes), 1),
        "held_share": _share(outcomes),
        "by_hour": {str(hour): _share(told) for hour, told in judged.items()},
        "orders_by_hour": {str(hour): _orders(told) for hour, told in judged.items()},
        "chance_by_hour": {
            str(hour): round(sqrt(AIMED_SHARE * (1 - AIMED_SHARE) / _orders(told)), 4)
            for hour, told in judged.items()
        },
        "days_by_hour": {str(hour): _by_day(told) for hour, told in judged.items()},
        "worst_off": max(
            (round(abs(_share(told) - AIMED_SHARE), 4) for told in judged.values()), default=0.0
        ),
    }


def _orders(outcomes: Sequence[Outcome]) -> int:
    return len({(one.day, one.order_id) for one in outcomes})


def _share(outcomes: Sequence[Outcome]) -> float:
    return round(fmean(one.is_held for one in outcomes), 4)


def _by_day(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the share of the lowest and the highest day, and how far days are apart."""
    days: dict[int, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        days[one.day].append(one)
    shares = [_share(told) for told in days.values()]
    return {"lowest": min(shares), "highest": max(shares), "sd": round(pstdev(shares), 4)}


if __name__ == "__main__":
    print(json.dumps(arrivals()))
