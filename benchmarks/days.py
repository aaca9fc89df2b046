"""Rolling days on real streets: the default solver beside an assignment that plans busy couriers.

Each day is an evening of a real city, whose restaurants, doors and streets come from a city folder;
the people are made up from a seed. Both solvers meet the same people under one policy, with fairly
few couriers, so that it matters who carries what; and once more with more couriers than needed,
where there is little to gain and a better plan must not be a worse evening. Couriers take what
their streets really take, with a spread; the solvers look times up in the city's table. Nothing
here is timed: what counts is how long customers wait, how many are late, how far is driven for it
and how evenly work is spread, over all orders of all seeds. Every day is checked: nobody starves,
and every order that a kitchen took has an end.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from msgspec import structs

from dispatch.policy import Policy
from simulations.day import Day, Outcome, click_to_door_s, is_late
from simulations.figures import figures, percentile
from simulations.simulate import simulate
from simulations.spec import Peak, Spec, spec_of
from streets.importing import Import, import_city

EXTRACTS = Path(__file__).parents[2] / "shared" / "cities"
"""Where the makers of this product keep two extracts; anybody else names folders."""
DEFAULT, YARDSTICK = "improve", "assign"
SEEDS = (1, 2, 3)
POLICY = Policy()
HOURS = 2.0
ORDERS = 210
COURIERS: Mapping[str, int] = {"copenhagen": 36, "malta": 50}
"""So few that most are busy at the peak and hardly an order starves under either solver."""
COURIERS_ELSEWHERE = 50
COURIERS_MORE = 20
"""With so many more hardly anybody waits for a courier."""
DELIVERED_SHARE_MIN = 0.9


def days(folders: Sequence[Path] = (), seeds: Sequence[int] = SEEDS) -> dict[str, object]:
    """Return each city's figures under both solvers, and what the default changes."""
    if folders:
        return {folder.name: compared(folder, seeds) for folder in folders}
    with TemporaryDirectory() as room:
        return {folder.name: compared(folder, seeds) for folder in _imported(Path(room))}


def compared(folder: Path, seeds: Sequence[int]) -> dict[str, object]:
    """Return the figures of one city, with few couriers and with enough of them."""
    few = evening(folder)
    enough = structs.replace(few, couriers=few.couriers + COURIERS_MORE)
    return {**beside_the_yardstick(few, seeds), "enough": beside_the_yardstick(enough, seeds)}


def beside_the_yardstick(spec: Spec, seeds: Sequence[int]) -> dict[str, object]:
    """Return the figures of both solvers on the same evenings, and what the default changes."""
    found = {name: day_figures(lived(spec, name, seeds)) for name in (YARDSTICK, DEFAULT)}
    before, after = found[YARDSTICK], found[DEFAULT]
    return {
        "couriers": spec.couriers,
        "seeds": len(seeds),
        **found,
        "change": {name: _change(before[name], after[name]) for name in _COMPARED},
    }


def evening(folder: Path) -> Spec:
    """Return the evening that is simulated: its couriers are fairly few."""
    usual = spec_of(folder)
    few = COURIERS.get(folder.name, COURIERS_ELSEWHERE)
    return Spec(
        name=usual.name,
        folder=usual.folder,
        restaurants=usual.restaurants,
        couriers=few,
        orders=ORDERS,
        opens_h=18.0,
        hours=HOURS,
        peaks=(Peak(19.0, 0.7, 1.0),),
        shift_h=(2.0, 3.0),
    )


def _imported(room: Path) -> Iterable[Path]:
    """Import the extracts that are at hand, without their maps."""
    for extract in sorted(EXTRACTS.glob("*.osm.pbf")):
        target = room / extract.name.removesuffix(".osm.pbf")
        import_city(Import(source=extract, target=target, name=target.name, has_tiles=False))
        yield target


def lived(spec: Spec, solver: str, seeds: Sequence[int], policy: Policy = POLICY) -> list[Day]:
    """Return the days of these seeds, unless the work was not done."""
    some = [simulate(spec, seed=one, solver=solver, policy=policy) for one in seeds]
    for day in some:
        delivered = sum(order.outcome is Outcome.DELIVERED for order in day.orders)
        assert delivered > DELIVERED_SHARE_MIN * spec.orders, f"only {delivered} were delivered"
    return some


_COMPARED = ("click_to_door_min", "p90_min", "late_share", "km_per_order")


def day_figures(some: Sequence[Day]) -> dict[str, float]:
    """Return the figures over all orders of several days."""
    orders = [order for day in some for order in day.orders]
    took_s = sorted(took for order in orders if (took := click_to_door_s(order)) is not None)
    crew = [courier for day in some for courier in day.couriers]
    p90_s = percentile(took_s, 0.9)
    assert p90_s is not None
    return {
        "delivered": len(took_s),
        "click_to_door_min": fmean(took_s) / 60,
        "p90_min": p90_s / 60,
        "late_share": sum(map(is_late, orders)) / len(took_s),
        "km_per_order": sum(one.driven_m for one in crew) / 1000 / len(took_s),
        "starved": sum(order.outcome is Outcome.STARVED for order in orders),
        "open": sum(order.outcome is Outcome.OPEN for order in orders),
        "busy_share": sum(one.busy_s for one in crew) / sum(one.shift_s for one in crew),
        "declined_per_order": sum(one.declined for one in crew) / len(took_s),
        **_earnings(some),
        "round_ms_p99": max(
            percentile(sorted(one.took_ms for one in day.rounds), 0.99) or 0.0 for day in some
        ),
    }


def _earnings(some: Sequence[Day]) -> dict[str, float]:
    """Return how evenly earnings an hour are spread on an average day, and the lowest tenth's."""
    days_of = [figures(day) for day in some]
    return {
        "earned_spread": fmean(one.credit_spread or 0.0 for one in days_of),
        "earned_per_hour_p10": fmean(one.credit_per_hour_p10 or 0.0 for one in days_of),
    }


def _change(before: float, after: float) -> float | None:
    return round(after / before - 1, 4) if before else None


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare solvers on rolling days.")
    parser.add_argument("folders", nargs="*", type=Path, help="City folders.")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    return parser.parse_args()


if __name__ == "__main__":
    asked = _parsed()
    print(json.dumps(days(asked.folders, asked.seeds)))
