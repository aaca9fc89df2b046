"""The public instances of the Meal Delivery Routing Problem, beside what is published about them.

Every instance found in a folder is replayed through the production actors, with one Policy and one
set of parameters for all. They were chosen on the instances whose names begin with 0, 4 or 5 (a
name begins with the number of its day); `untouched` are the others. The published figures are those
of Reyes, Erera, Savelsbergh, Sahasrabudhe and O'Neil (The Meal Delivery Routing Problem, 2018), and
for sixteen small instances the clairvoyant optimum of Yildiz and Savelsbergh (Provably high-quality
solutions for the meal delivery routing problem, 2019), all in minutes from click to door.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from simulations.mdrp import instances
from simulations.replay import DRIVE_PRICE, Result, mean, replay_all

TUNED_DAYS = ("0", "4", "5")


class Solved(NamedTuple):
    """A small instance: what Reyes et al. reached, and what nobody can better."""

    reyes_min: float
    optimum_min: float


SOLVED: Mapping[str, Solved] = {
    "0o50t100s1p100": Solved(31.19, 29.81),
    "0o50t100s1p125": Solved(34.67, 33.40),
    "0o50t100s2p100": Solved(29.79, 28.96),
    "0o50t100s2p125": Solved(34.18, 32.60),
    "0o50t75s1p100": Solved(28.40, 27.49),
    "0o50t75s1p125": Solved(31.62, 31.10),
    "0o50t75s2p100": Solved(27.29, 26.83),
    "0o50t75s2p125": Solved(31.19, 30.52),
    "0r50t100s1p100": Solved(32.46, 30.76),
    "0r50t100s1p125": Solved(36.75, 34.66),
    "0r50t100s2p100": Solved(31.21, 29.93),
    "0r50t100s2p125": Solved(35.60, 33.86),
    "0r50t75s1p100": Solved(29.57, 28.47),
    "0r50t75s1p125": Solved(33.71, 32.45),
    "0r50t75s2p100": Solved(29.03, 27.95),
    "0r50t75s2p125": Solved(33.41, 32.00),
}


class Overloaded(NamedTuple):
    """An instance with too few couriers, as Reyes et al. published it."""

    pct_undelivered: float
    ctd_mean: float


OVERLOADED: Mapping[str, Overloaded] = {
    "1o50t100s1p100": Overloaded(3.35, 38.24),
    "1o50t100s1p125": Overloaded(4.09, 41.89),
    "5o50t100s1p100": Overloaded(0.3, 38.0),
    "5o50t100s1p125": Overloaded(1.0, 42.2),
    "5o100t100s1p100": Overloaded(0.3, 37.1),
}


def mdrp(
    folder: Path,
    *,
    prep_sd_min: float = 0.0,
    drive_price: float = DRIVE_PRICE,
    seed: int = 1,
    jobs: int = 1,
    log_dir: Path | None = None,
) -> dict[str, object]:
    """Return the figures of all instances in `folder`, and of the groups that are spoken of."""
    results = list(
        replay_all(
            instances(folder),
            prep_sd_min=prep_sd_min,
            drive_price=drive_price,
            seed=seed,
            jobs=jobs,
            log_dir=log_dir,
        )
    )
    found = {one.instance: one for one in results}
    groups = {
        "tuned": [one for one in results if one.instance.startswith(TUNED_DAYS)],
        "untouched": [one for one in results if not one.instance.startswith(TUNED_DAYS)],
    }
    return {
        "instances": len(results),
        "all": _figures(results),
        **{name: _figures(group) for name, group in groups.items() if group},
        "solved": _beside_the_optimum({name: found[name] for name in SOLVED if name in found}),
        "overloaded": _beside_the_published(
            {name: found[name] for name in OVERLOADED if name in found}
        ),
    }


def _figures(results: Sequence[Result]) -> dict[str, float]:
    return {
        **{name: round(value, 3) for name, value in mean(results).items()},
        "round_ms_p99_worst": round(max(one.round_ms_p99 for one in results), 1),
    }


def _beside_the_optimum(found: Mapping[str, Result]) -> dict[str, object]:
    if not found:
        return {}
    return {
        "instances": len(found),
        "mean": round(fmean(one.ctd_penalised for one in found.values()), 3),
        "reyes": round(fmean(SOLVED[name].reyes_min for name in found), 3),
        "optimum": round(fmean(SOLVED[name].optimum_min for name in found), 3),
        "better_than_reyes": sum(
            one.ctd_penalised < SOLVED[name].reyes_min for name, one in found.items()
        ),
        "pct_undelivered": fmean(one.pct_undelivered for one in found.values()),
    }


def _beside_the_published(found: Mapping[str, Result]) -> dict[str, object]:
    if not found:
        return {}
    better = [
        one.pct_undelivered <= OVERLOADED[name].pct_undelivered
        and one.ctd_mean < OVERLOADED[name].ctd_mean
        for name, one in found.items()
    ]
    return {
        "penalised_mean": round(fmean(one.ctd_penalised for one in found.values()), 3),
        "better_in_both": sum(better),
        **{
            name: {
                "pct_undelivered": round(one.pct_undelivered, 3),
                "ctd_mean": round(one.ctd_mean, 2),
                "published_pct_undelivered": OVERLOADED[name].pct_undelivered,
                "published_ctd_mean": OVERLOADED[name].ctd_mean,
            }
            for name, one in found.items()
        },
    }
