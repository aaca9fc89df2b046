"""What an even spread of work costs customers: one evening under several prices of fairness.

The same people are met under the default policy, but for the most that an order is dearer with a
courier who has earned more than others (`Fairness.price_s_max`). For each price it is told how
evenly earnings an hour are spread and what the lowest tenth earn, beside what customers notice:
minutes from click to door, late orders, kilometres. Nothing here is timed, and the same seeds give
the same figures.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from benchmarks.days import DEFAULT, POLICY, day_figures, evening, lived
from dispatch.policy import Policy
from simulations.spec import Spec, find_spec

PRICES_S = (0.0, 15.0, 30.0, 60.0, 120.0, 240.0)
SEEDS = (1, 2, 3)


def fairness(
    spec: Spec, seeds: Sequence[int] = SEEDS, prices_s: Sequence[float] = PRICES_S
) -> dict[str, object]:
    """Return the figures of a city's days under each price."""
    found = {price_s: day_figures(lived(spec, DEFAULT, seeds, at(price_s))) for price_s in prices_s}
    return {
        "city": spec.name,
        "couriers": spec.couriers,
        "seeds": len(seeds),
        "prices_s": {f"{price_s:g}": figures for price_s, figures in found.items()},
    }


def at(price_s: float) -> Policy:
    """Return the default policy with this price of fairness."""
    return POLICY.evolve(fairness=structs.replace(POLICY.fairness, price_s_max=price_s))


def _spec(name: str, couriers: int | None) -> Spec:
    """Return a city by name, or an evening of a city folder, with so many couriers if told."""
    spec = evening(Path(name)) if Path(name).is_dir() else find_spec(name)
    return structs.replace(spec, couriers=couriers or spec.couriers)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what an even spread of work costs.")
    parser.add_argument("city", nargs="?", default="evening", help="A city, a file or a folder.")
    parser.add_argument("--couriers", type=int, help="Couriers, instead of the city's.")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--prices", type=float, nargs="+", default=list(PRICES_S))
    return parser.parse_args()


if __name__ == "__main__":
    asked = _parsed()
    print(json.dumps(fairness(_spec(asked.city, asked.couriers), asked.seeds, asked.prices)))
