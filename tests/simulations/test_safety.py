"""A referee sees what couriers do, and finds each pickup nobody should have been asked for."""

import pytest

from dispatch.ids import CourierId, Instant, OrderId, after
from dispatch.policy import Policy, Safety
from simulations.figures import figures
from simulations.safety import GRACE_S, SafetyReferee, Violation
from simulations.simulate import simulate
from simulations.spec import CITIES, with_options

HOUR_S = 3_600.0
SAFETY = Safety(shift_s_max=10 * HOUR_S, stretch_s_max=4 * HOUR_S, rest_s=1_800)
IDA, NOW = CourierId("crr_ida"), Instant(36_000_000)


def later(hours: float, seconds: float = 0.0) -> Instant:
    return after(NOW, hours * HOUR_S + seconds)


def watching(ends_h: float = 9) -> SafetyReferee:
    referee = SafetyReferee(SAFETY)
    referee.begins(IDA, NOW, later(ends_h), 2)
    return referee


def bring(referee: SafetyReferee, out_h: float, in_h: float, *orders: str) -> None:
    """Have her set out, collect at once, and deliver all of it."""
    ids = tuple(OrderId(one) for one in orders or ("ord_1",))
    referee.sets_out(IDA, later(out_h))
    referee.collects(IDA, ids, later(out_h))
    for one in ids:
        referee.delivers(IDA, one, later(in_h))


def test_who_keeps_the_limits_has_no_violation() -> None:
    referee = watching()

    bring(referee, 0, 3.9)
    bring(referee, 4.4, 8)

    assert referee.count(IDA) == 0


@pytest.mark.parametrize(
    ("ends_h", "turns", "found"),
    [
        (2, [(1, 1.5), (2.1, 2.4)], Violation.AFTER_SHIFT),
        (20, [(3, 3.5), (6, 6.5), (9, 9.2), (10.1, 10.5)], Violation.TOO_LONG_ON_SHIFT),
        (9, [(0, 3), (3.4, 3.9), (4.2, 4.5)], Violation.NO_REST),
    ],
)
def test_a_pickup_past_a_limit_is_found(
    ends_h: float, turns: list[tuple[float, float]], found: Violation
) -> None:
    referee = watching(ends_h)

    for out_h, in_h in turns:
        bring(referee, out_h, in_h)

    assert referee.violations == {IDA: {found: 1}}


def test_a_bag_that_is_too_full_is_found() -> None:
    referee = watching()

    bring(referee, 1, 1.5, "ord_1", "ord_2")
    bring(referee, 2, 2.5, "ord_3", "ord_4", "ord_5")

    assert referee.violations == {IDA: {Violation.TOO_MUCH: 1}}


def test_food_that_is_a_little_late_makes_no_violation() -> None:
    referee = watching(ends_h=1)

    referee.collects(IDA, (OrderId("ord_1"),), later(1, GRACE_S))

    assert referee.count(IDA) == 0


@pytest.mark.slow
def test_in_a_day_under_strict_limits_nobody_is_asked_for_too_much() -> None:
    strict = Safety(shift_s_max=4_500, stretch_s_max=2_400, rest_s=600)
    town = with_options(CITIES["town"], couriers=8, orders=45, hours=2)

    day = simulate(town, seed=1, solver="insert", policy=Policy(safety=strict))

    assert figures(day).delivered > 0
    assert figures(day).violations == 0
