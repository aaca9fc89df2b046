"""A simulated city: what robots do and what the day says must agree, whatever goes wrong."""

from math import hypot
from pathlib import Path

import pytest
from msgspec import structs

from dispatch.policy import Policy
from simulations.day import Outcome
from simulations.scene import Activity, Scene
from simulations.simulate import simulate
from simulations.spec import CITIES, Spec, find_spec
from tests.simulations.folders import BLOCK_M, toy_city

HAMLET = structs.replace(
    CITIES["town"], name="hamlet", orders=60, couriers=16, hours=3.0, restaurants=12
)


@pytest.mark.slow
def test_no_courier_delivers_an_order_twice_when_phones_fall_silent() -> None:
    spec = structs.replace(HAMLET, quiet_per_shift=6.0, quiet_min=4.0)

    day = simulate(spec, seed=2)

    delivered = sum(order.outcome is Outcome.DELIVERED for order in day.orders)
    assert delivered == sum(courier.delivered for courier in day.couriers)
    assert delivered > 40


@pytest.mark.slow
def test_handovers_may_take_no_time_at_all() -> None:
    day = simulate(HAMLET, seed=3, policy=Policy(pickup_s=0.0, dropoff_s=0.0))

    delivered = sum(order.outcome is Outcome.DELIVERED for order in day.orders)
    assert delivered == sum(courier.delivered for courier in day.couriers)
    assert delivered > 50


@pytest.mark.slow
def test_restaurants_that_refuse_and_couriers_who_decline_leave_no_order_without_an_end() -> None:
    spec = structs.replace(HAMLET, reject_share=0.2, decline_share=0.4, ignore_share=0.2)

    day = simulate(spec, seed=4)

    ends = {outcome: sum(o.outcome is outcome for o in day.orders) for outcome in Outcome}
    assert ends[Outcome.OPEN] == 0
    assert ends[Outcome.REJECTED] > 3
    assert sum(courier.declined for courier in day.couriers) > 10
    assert sum(ends.values()) == 60


UNHURRIED = Policy(round_s=30.0)


def on_streets(folder: Path) -> Spec:
    return structs.replace(
        find_spec(str(toy_city(folder))),
        orders=24,
        couriers=8,
        hours=1.0,
        restaurants=10,
        shift_h=(1.5, 2.0),
    )


@pytest.mark.slow
def test_a_day_on_real_streets_is_ridden_along_them_and_repeats_by_its_seed(
    tmp_path: Path,
) -> None:
    spec = on_streets(tmp_path / "toy")

    day, again = (simulate(spec, seed=1, policy=UNHURRIED) for _ in range(2))

    delivered = [order for order in day.orders if order.outcome is Outcome.DELIVERED]
    assert len(delivered) > 20
    assert day.orders == again.orders
    assert day.couriers == again.couriers
    points = {one.restaurant_id: one for one in day.setting.restaurants}
    around_m = [
        abs(order.x_m - points[order.restaurant_id].x_m)
        + abs(order.y_m - points[order.restaurant_id].y_m)
        for order in delivered
    ]
    straight_m = [
        hypot(
            order.x_m - points[order.restaurant_id].x_m, order.y_m - points[order.restaurant_id].y_m
        )
        for order in delivered
    ]
    loaded_m = sum(courier.loaded_m for courier in day.couriers)
    assert loaded_m > sum(straight_m)
    assert loaded_m > 0.8 * sum(around_m)


@pytest.mark.slow
def test_couriers_are_seen_on_the_streets_that_they_ride(tmp_path: Path) -> None:
    scenes: list[Scene] = []

    simulate(on_streets(tmp_path / "toy"), seed=2, policy=UNHURRIED, watch=scenes.append)

    riding = [one for scene in scenes for one in scene.couriers if one.activity is Activity.LOADED]
    off_street_m = [min(_off_m(one.x_m), _off_m(one.y_m)) for one in riding]
    assert len(riding) > 100
    assert sum(gap_m < 15 for gap_m in off_street_m) > 0.95 * len(riding)


def _off_m(at_m: float) -> float:
    """Return how far a coordinate is from the nearest street that runs across it."""
    return abs((at_m + BLOCK_M / 2) % BLOCK_M - BLOCK_M / 2)
