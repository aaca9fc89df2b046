"""Figures against days small enough to be added up by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json, structs

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, after
from simulations.day import CourierRecord, Day, OrderRecord, Outcome, RoundRecord, Setting
from simulations.figures import (
    best,
    bins,
    by_name,
    figures,
    held_by_hour,
    late_by_hour,
    percentile,
    summary,
    trips,
)
from simulations.measures import MEASURES, Figures

START = Instant(36_000_000)


def an_order(
    number: int,
    *,
    promised_s: float = 1_800,
    ready_s: float = 600,
    picked_up_s: float = 700,
    took_s: float | None = 1_200,
    outcome: Outcome = Outcome.OPEN,
) -> OrderRecord:
    order = OrderRecord(
        order_id=OrderId(f"ord_{number}"),
        restaurant_id=RestaurantId("rst_1"),
        x_m=0.0,
        y_m=0.0,
        placed_at=START,
        promised_at=after(START, promised_s),
        outcome=outcome,
    )
    if took_s is None:
        return order
    return structs.replace(
        order,
        courier_id=CourierId("crr_1"),
        assigned_at=START,
        ready_at=after(START, ready_s),
        picked_up_at=after(START, picked_up_s),
        delivered_at=after(START, took_s),
        outcome=Outcome.DELIVERED,
    )


def a_courier(*, shift_s: float, busy_s: float, driven_m: float, loaded_m: float) -> CourierRecord:
    return CourierRecord(
        courier_id=CourierId("crr_1"),
        shift_s=shift_s,
        busy_s=busy_s,
        driven_m=driven_m,
        loaded_m=loaded_m,
        delivered=0,
        declined=3,
    )


def a_day(
    orders: Sequence[OrderRecord] = (),
    couriers: Sequence[CourierRecord] = (),
    rounds: Sequence[RoundRecord] = (),
) -> Day:
    return Day(
        setting=Setting(city="A", policy="insert", seed=1, starts_at=START),
        ends_at=after(START, 7_200),
        orders=tuple(orders),
        couriers=tuple(couriers),
        rounds=tuple(rounds),
        samples=(),
        wall_s=4.0,
        cpu_s=3.0,
    )


def test_click_to_door_goes_from_placing_to_the_door() -> None:
    day = a_day([an_order(1, took_s=1_000), an_order(2, took_s=2_000)])

    found = figures(day)

    assert found.click_to_door_s_mean == 1_500
    assert found.click_to_door_s_p50 == 1_500
    assert found.click_to_door_s_p90 == 1_900


def test_a_scheduled_order_can_be_late_but_has_no_click_to_door() -> None:
    scheduled = structs.replace(an_order(1, took_s=2_000), wanted_at=after(START, 1_800))

    found = figures(a_day([scheduled]))

    assert found.click_to_door_s_mean is None
    assert found.late_share == 1.0


def test_only_late_orders_count_for_how_late_they_are() -> None:
    day = a_day([an_order(1, took_s=1_000), an_order(2, took_s=2_100), an_order(3, took_s=1_800)])

    found = figures(day)

    assert found.late_share == pytest.approx(1 / 3)
    assert found.late_s_mean == 300


def test_food_that_was_not_ready_before_its_courier_did_not_wait() -> None:
    day = a_day([an_order(1, ready_s=900, picked_up_s=700), an_order(2, picked_up_s=800)])

    assert figures(day).ready_to_pickup_s_mean == 100


def test_dropping_an_order_costs_ninety_minutes_but_a_restaurants_refusal_costs_nothing() -> None:
    starved = an_order(2, took_s=None, outcome=Outcome.STARVED)
    rejected = an_order(3, took_s=None, outcome=Outcome.REJECTED)

    found = figures(a_day([an_order(1, took_s=600), starved, rejected]))

    assert found.click_to_door_s_penalised == 3_000
    assert found.click_to_door_s_mean == 600


def test_an_open_order_counts_as_dropped_only_once_it_is_ninety_minutes_old() -> None:
    old = an_order(1, took_s=None)
    young = structs.replace(old, order_id=OrderId("ord_2"), placed_at=after(START, 6_000))

    assert figures(a_day([old])).click_to_door_s_penalised == 5_400
    assert figures(a_day([young])).click_to_door_s_penalised is None


def test_couriers_are_added_up_before_they_are_divided() -> None:
    couriers = (
        a_courier(shift_s=3_600, busy_s=3_600, driven_m=9_000, loaded_m=3_000),
        a_courier(shift_s=10_800, busy_s=0, driven_m=1_000, loaded_m=1_000),
    )

    found = figures(a_day([an_order(1), an_order(2)], couriers))

    assert found.utilisation_share == 0.25
    assert found.orders_per_courier_hour == 0.5
    assert found.km_per_order == 5.0
    assert found.loaded_share == 0.4
    assert found.declined == 6


def test_a_trip_lasts_until_the_bag_is_empty() -> None:
    together = [
        an_order(1, picked_up_s=700, took_s=1_000),
        an_order(2, picked_up_s=700, took_s=1_200),
    ]
    after_it = an_order(3, picked_up_s=1_300, took_s=1_500)

    assert trips([*together, after_it]) == 2


def test_the_machines_figures_come_from_the_real_clock() -> None:
    rounds = [
        RoundRecord(at=START, orders=1, couriers=1, took_ms=took_ms, cost_s=1.0)
        for took_ms in (1.0, 3.0)
    ]

    found = figures(a_day(rounds=rounds))

    assert found.round_ms_p50 == 2.0
    assert found.virtual_s_per_s == 1_800
    assert found.cpu_s == 3.0


def test_nothing_measured_is_not_zero() -> None:
    found = by_name(figures(a_day()))

    assert found["orders"] == 0
    assert found["click_to_door_s_p90"] is None
    assert found["late_share"] is None
    assert found["km_per_order"] is None


def test_every_order_has_exactly_one_ending(evening: Day) -> None:
    found = figures(evening)

    endings = (found.delivered, found.rejected, found.canceled, found.starved, found.failed)
    assert sum(endings) + found.open == found.orders == 900


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.floats(0, 1),
)
def test_percentiles_are_those_of_the_mdrp_evaluator(values: list[float], share: float) -> None:
    found = percentile(sorted(values), share)

    assert found == pytest.approx(np.percentile(values, share * 100), rel=1e-9, abs=1e-6)


@given(st.lists(st.floats(0, 1e5), max_size=60))
def test_no_value_is_lost_between_the_bins(values: list[float]) -> None:
    counts = bins(values, 300.0, 12)

    assert sum(counts) == len(values)
    assert len(counts) <= 12


def test_lateness_is_told_by_the_hour_of_the_citys_clocks() -> None:
    day = a_day([an_order(1, promised_s=60), an_order(2, promised_s=3_700)])
    shifted = structs.replace(day, setting=structs.replace(day.setting, utc_offset_s=1_800))

    assert late_by_hour(day) == {START: (1, 1), after(START, 3_600): (0, 1)}
    assert list(late_by_hour(shifted)) == [after(START, -1_800), after(START, 1_800)]


def test_the_best_is_the_lowest_of_what_should_be_low_and_the_highest_of_the_rest() -> None:
    assert best("late_share", [0.3, None, 0.1]) == 0.1
    assert best("delivered", [10, 12]) == 12


def test_nothing_is_best_where_all_are_equal_or_no_way_is_better() -> None:
    assert best("late_share", [0.3, 0.3]) is None
    assert best("utilisation_share", [0.3, 0.4]) is None


def test_every_figure_says_what_it_means() -> None:
    assert tuple(MEASURES) == Figures.__struct_fields__
    assert all(measure.meaning.endswith(".") for measure in MEASURES.values())
    assert len({measure.title for measure in MEASURES.values()}) == len(MEASURES)


def test_the_summary_has_the_figures_by_name_and_is_plain_json(evening: Day) -> None:
    written = json.decode(json.encode(summary(evening)))

    assert written["policy"] == "insert"
    assert written["hours"] == 6.0
    assert written["click_to_door_s_p90"] == figures(evening).click_to_door_s_p90
    assert set(MEASURES) < set(written)


def test_how_evenly_work_was_spread_is_told_by_what_couriers_earned_an_hour() -> None:
    crew = [
        structs.replace(
            a_courier(shift_s=2 * 3_600, busy_s=0, driven_m=0, loaded_m=0),
            courier_id=CourierId(f"crr_{number}"),
            credit=2.0 * credit,
            violations=number % 2,
        )
        for number, credit in enumerate((10.0, 14.0, 18.0))
    ]
    briefly = structs.replace(crew[0], shift_s=600, credit=500.0)

    worked_out = figures(a_day(couriers=[*crew, briefly]))

    assert worked_out.credit_per_hour_p10 == pytest.approx(10.8)
    assert worked_out.credit_per_hour_p50 == 14.0
    assert worked_out.credit_per_hour_p90 == pytest.approx(17.2)
    assert worked_out.credit_spread == pytest.approx(np.std([10, 14, 18]) / 14)
    assert worked_out.violations == 1


def test_where_nobody_earned_anything_nothing_was_spread() -> None:
    idle = a_courier(shift_s=3_600, busy_s=0, driven_m=0, loaded_m=0)

    assert figures(a_day(couriers=[idle])).credit_spread is None
    assert figures(a_day()).credit_per_hour_p50 is None


def foretold(order: OrderRecord, low_s: float, at_s: float, high_s: float) -> OrderRecord:
    return structs.replace(
        order,
        expected_low_at=after(START, low_s),
        expected_at=after(START, at_s),
        expected_high_at=after(START, high_s),
    )


def test_an_order_held_if_it_came_between_the_two_times_told() -> None:
    day = a_day(
        [
            foretold(an_order(1, took_s=1_200), 1_000, 1_300, 1_500),
            foretold(an_order(2, took_s=1_800), 1_000, 1_300, 1_500),
            foretold(an_order(3, took_s=None), 1_000, 1_300, 1_500),
            an_order(4, took_s=1_200),
        ]
    )

    found = figures(day)

    assert found.expected_held_share == 0.5
    assert found.expected_off_s_mean == 300
    assert held_by_hour(day) == {START: (1, 2)}
