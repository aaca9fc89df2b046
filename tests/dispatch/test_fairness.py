"""Work is spread evenly, at a bounded price, and nobody earns anything by hurrying."""

import pytest

from dispatch.fairness import Earned, credit, earned, order_prices_s, per_hour
from dispatch.ids import CourierId, Instant, after
from dispatch.policy import Fairness
from dispatch.work import Work

HOUR_S = 3_600.0
FAIRNESS = Fairness(credit_order=3.0, credit_minute=0.2, price_s_max=60.0)
NOW = Instant(1_000_000_000)
RICH, POOR, USUAL = CourierId("crr_rich"), CourierId("crr_poor"), CourierId("crr_usual")


def work(delivered: int, work_s: float, shift_s: float = 4 * HOUR_S) -> Work:
    began = after(NOW, -shift_s)
    return Work(
        since=began,
        turned_at=began,
        stretch_at=began,
        worked_ms=int(work_s * 1_000),
        delivered=delivered,
    )


def test_credit_is_for_orders_and_for_minutes() -> None:
    assert credit(4, 30 * 60, FAIRNESS) == 4 * 3.0 + 30 * 0.2


def test_orders_he_holds_count_as_if_he_had_brought_them() -> None:
    one = earned(work(2, HOUR_S), 3, NOW, FAIRNESS)

    assert one == Earned(5 * 3.0 + 60 * 0.2, 4 * HOUR_S)
    assert per_hour(one) == pytest.approx((15 + 12) / 4)


def test_who_has_earned_more_is_dearer_and_who_has_earned_less_is_cheaper() -> None:
    crew = {
        RICH: Earned(60.0, 2 * HOUR_S),
        POOR: Earned(20.0, 2 * HOUR_S),
        USUAL: Earned(40.0, 2 * HOUR_S),
    }

    prices_s = order_prices_s(crew, FAIRNESS)

    assert prices_s[RICH] > 0 > prices_s[POOR]
    assert prices_s[RICH] == pytest.approx(-prices_s[POOR])
    assert prices_s[USUAL] == 0


def test_a_price_never_passes_its_bound() -> None:
    crew = {RICH: Earned(1e6, HOUR_S), POOR: Earned(0.0, 100 * HOUR_S), USUAL: Earned(9.0, HOUR_S)}

    prices_s = order_prices_s(crew, FAIRNESS)

    assert prices_s[RICH] == 60.0
    assert min(prices_s.values()) >= -60.0


def test_a_first_order_soon_after_the_start_proves_little() -> None:
    early = {RICH: Earned(3.0, 60.0), USUAL: Earned(80.0, 8 * HOUR_S)}

    assert 0 < order_prices_s(early, FAIRNESS)[RICH] < 0.75 * FAIRNESS.price_s_max


@pytest.mark.parametrize(
    "crew",
    [{}, {RICH: Earned(0.0, HOUR_S)}, {RICH: Earned(0.0, 0.0), POOR: Earned(0.0, 0.0)}],
    ids=["nobody", "nothing earned", "no time passed"],
)
def test_where_nothing_was_earned_nobody_has_a_price(crew: dict[CourierId, Earned]) -> None:
    assert order_prices_s(crew, FAIRNESS) == dict.fromkeys(crew, 0.0)


def test_fairness_can_be_turned_off() -> None:
    crew = {RICH: Earned(60.0, HOUR_S), POOR: Earned(2.0, HOUR_S)}

    assert order_prices_s(crew, Fairness(price_s_max=0)) == {RICH: 0.0, POOR: 0.0}


def test_who_takes_longer_for_the_same_orders_does_not_earn_less() -> None:
    quick = earned(work(6, 2 * HOUR_S), 0, NOW, FAIRNESS)
    careful = earned(work(6, 3 * HOUR_S), 0, NOW, FAIRNESS)

    assert per_hour(careful) > per_hour(quick)
