"""A simulated city: what robots do and what the day says must agree, whatever goes wrong."""

import pytest
from msgspec import structs

from dispatch.policy import Policy
from simulations.city import CITIES
from simulations.day import Outcome
from simulations.simulate import simulate

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
