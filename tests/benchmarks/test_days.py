"""Days of several seeds are added up together, and prices of fairness change nothing else."""

import pytest

from benchmarks.days import POLICY, day_figures
from benchmarks.fairness import at
from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, after
from simulations.day import CourierRecord, Day, OrderRecord, Outcome, Setting

START = Instant(64_800_000)
HOUR_S = 3_600.0


def an_order(number: int, took_s: float) -> OrderRecord:
    return OrderRecord(
        order_id=OrderId(f"ord_{number}"),
        restaurant_id=RestaurantId("rst_1"),
        x_m=0.0,
        y_m=0.0,
        placed_at=START,
        promised_at=after(START, 1_800),
        delivered_at=after(START, took_s),
        outcome=Outcome.DELIVERED,
    )


def a_courier(number: int, credit: float, *, declined: int = 0) -> CourierRecord:
    return CourierRecord(
        courier_id=CourierId(f"crr_{number}"),
        shift_s=2 * HOUR_S,
        busy_s=HOUR_S,
        driven_m=9_000.0,
        loaded_m=4_000.0,
        delivered=2,
        declined=declined,
        credit=credit,
    )


def a_day(orders: tuple[OrderRecord, ...], couriers: tuple[CourierRecord, ...]) -> Day:
    return Day(
        setting=Setting(city="dale", policy="improve", seed=1, starts_at=START),
        ends_at=after(START, 3 * HOUR_S),
        orders=orders,
        couriers=couriers,
        rounds=(),
        samples=(),
        wall_s=1.0,
        cpu_s=1.0,
    )


def test_days_of_several_seeds_are_added_up_over_all_their_orders() -> None:
    calm = a_day((an_order(1, 1_200),), (a_courier(1, 20.0), a_courier(2, 20.0)))
    busy = a_day(
        (an_order(1, 2_400), an_order(2, 1_500), an_order(3, 2_100)),
        (a_courier(1, 10.0, declined=3), a_courier(2, 30.0, declined=1)),
    )

    added_up = day_figures([calm, busy])

    assert added_up["delivered"] == 4
    assert added_up["click_to_door_min"] == pytest.approx(30.0)
    assert added_up["late_share"] == 0.5
    assert added_up["km_per_order"] == pytest.approx(9.0)
    assert added_up["busy_share"] == 0.5
    assert added_up["declined_per_order"] == 1.0
    assert added_up["earned_spread"] == pytest.approx((0.0 + 0.5) / 2)
    assert added_up["earned_per_hour_p10"] == pytest.approx((10.0 + 6.0) / 2)


def test_prices_of_fairness_are_tried_with_everything_else_as_it_is() -> None:
    tried = at(120.0)

    assert tried.fairness.price_s_max == 120.0
    assert tried.evolve(fairness=POLICY.fairness) == POLICY
