"""The benchmark of arrivals foretells each order once, and from nothing that came later."""

from pathlib import Path
from random import Random

import pytest

from benchmarks.arrivals import Outcome, coverage, outcome, preparation
from dispatch.ids import OrderId
from geo.eta import Phase, Told
from geo.margin import Estimate

HEADS = {
    "orders.txt": "order\tx\ty\tplacement_time\trestaurant\tready_time",
    "restaurants.txt": "restaurant\tx\ty",
    "couriers.txt": "courier\tx\ty\ton_time\toff_time",
    "instance_parameters.txt": "meters_per_minute\tpickup service minutes\tdropoff service minutes"
    "\ttarget click-to-door\tmaximum click-to-door\tpay per order\tguaranteed pay per hour",
}


def a_day(folder: Path, orders: int) -> Path:
    """Write an instance whose restaurants differ by far more than their orders do."""
    rng = Random(4)
    rows: dict[str, list[str]] = {
        "orders.txt": [],
        "restaurants.txt": [f"r{one}\t0\t0" for one in range(10)],
        "couriers.txt": ["c1\t0\t0\t0\t1000"],
        "instance_parameters.txt": ["320\t4\t4\t40\t90\t10\t15"],
    }
    for number in range(orders):
        restaurant = rng.randrange(10)
        ready = number + 5 + 4 * restaurant + rng.randrange(3)
        rows["orders.txt"].append(f"o{number}\t0\t0\t{number}\tr{restaurant}\t{ready}")
    folder.mkdir()
    for name, lines in rows.items():
        (folder / name).write_text("\n".join([HEADS[name], *lines, ""]))
    return folder


def test_knowing_the_restaurant_beats_a_fixed_guess(tmp_path: Path) -> None:
    a_day(tmp_path / "day", orders=300)

    measured = preparation(tmp_path)

    assert measured["orders"] == 300
    assert float(str(measured["better_share"])) > 0.5


def test_a_single_order_is_foretold_from_nothing(tmp_path: Path) -> None:
    a_day(tmp_path / "day", orders=1)

    measured = preparation(tmp_path)

    assert measured["fixed_guess_off_min"] == 0
    assert float(str(measured["off_min"])) > 0


def test_food_ready_at_once_does_not_foretell_itself(tmp_path: Path) -> None:
    day = a_day(tmp_path / "day", orders=1)
    (day / "orders.txt").write_text(f"{HEADS['orders.txt']}\no0\t0\t0\t5\tr0\t5\n")

    measured = preparation(tmp_path)

    assert float(str(measured["off_min"])) > 5


def outcomes(day: int, hour: int, orders: int, held: int) -> list[Outcome]:
    """Return what came of so many orders, each told of once, and of so many of them rightly."""
    return [
        Outcome(
            day=day,
            order_id=OrderId(f"ord_{hour}_{one}"),
            phase=Phase.PLACED,
            hour=hour,
            off_s=60.0,
            width_s=600.0,
            is_held=one < held,
        )
        for one in range(orders)
    ]


def test_an_hour_with_few_orders_is_not_judged_by_itself() -> None:
    found = coverage([*outcomes(1, 18, 120, 90), *outcomes(1, 19, 99, 0)])

    assert found["by_hour"] == {"18": 0.75}
    assert found["orders_by_hour"] == {"18": 120}
    assert found["worst_off"] == pytest.approx(0.05)


def test_an_hour_is_judged_over_all_days_beside_each_of_them() -> None:
    found = coverage([*outcomes(1, 18, 100, 70), *outcomes(2, 18, 100, 90)])

    assert found["by_hour"] == {"18": 0.8}
    assert found["orders_by_hour"] == {"18": 200}
    assert found["days_by_hour"] == {"18": {"lowest": 0.7, "highest": 0.9, "sd": 0.1}}


def test_an_estimate_counts_in_the_hour_it_was_told_in() -> None:
    told_s = 18.9 * 3_600
    estimate = Estimate(
        low_s=told_s + 600,
        at_s=told_s + 1_200,
        high_s=told_s + 1_800,
        raw_s=told_s + 1_200,
        width_s=1_200,
        told_s=told_s,
        load=0.5,
    )

    found = outcome(1, OrderId("ord_1"), Told(Phase.PLACED, estimate, told_s + 1_500))

    assert (found.hour, found.is_held, found.off_s, found.width_s) == (18, True, 300, 1_200)
