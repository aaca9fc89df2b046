"""Where orders have been coming from lately, and how soon they were ready."""

from collections.abc import Iterable
from math import log

import pytest

from dispatch.ids import Instant, RestaurantId
from dispatch.matching.demand import LEADS_PRIOR, Asked, Demand

HERE, THERE = RestaurantId("r1"), RestaurantId("r2")


def asked(*restaurants: RestaurantId, lead_s: float = 600.0) -> Iterable[Asked]:
    return [Asked(one, lead_s) for one in restaurants]


def test_every_order_counts_one_for_its_restaurant() -> None:
    demand = Demand().after(Instant(0), asked(HERE, THERE, HERE), memory_s=600)

    assert demand.counts == {HERE: 2.0, THERE: 1.0}


def test_an_order_counts_half_after_the_memory_has_passed_once() -> None:
    demand = Demand().after(Instant(0), asked(HERE, HERE), memory_s=600)

    later = demand.after(Instant(600_000), asked(HERE), memory_s=600)

    assert later.counts == {HERE: 2.0}


def test_learning_in_small_steps_gives_what_one_step_gives() -> None:
    demand = Demand().after(Instant(0), asked(HERE), memory_s=600)

    small = demand
    for minute in range(1, 11):
        small = small.after(Instant(minute * 60_000), [], memory_s=600)
    large = demand.after(Instant(600_000), [], memory_s=600)

    assert abs(small.counts[HERE] - large.counts[HERE]) < 1e-12


def test_orders_that_come_steadily_are_expected_to_go_on_so() -> None:
    demand = Demand()
    for minute in range(600):
        demand = demand.after(Instant(minute * 60_000), asked(HERE), memory_s=3_600)

    expected = demand.forecast([THERE, HERE], memory_s=3_600)

    assert expected.per_s.tolist() == pytest.approx([0.0, 1 / 60], rel=0.02)


def test_a_restaurant_with_few_orders_is_taken_to_be_as_quick_as_the_market() -> None:
    quick, slow = asked(*[HERE] * 8, lead_s=300), asked(*[THERE] * 8, lead_s=900)
    demand = Demand().after(Instant(0), [*quick, *slow], memory_s=600)

    expected = demand.forecast([HERE, THERE, RestaurantId("r3")], memory_s=600)

    shrunk_s = (8 * 300 + LEADS_PRIOR * 600) / (8 + LEADS_PRIOR)
    assert expected.lead_s.tolist() == pytest.approx([shrunk_s, 1_200 - shrunk_s, 600])


def test_leads_fade_with_the_orders_they_were_of() -> None:
    demand = Demand().after(Instant(0), asked(*[HERE] * 4, lead_s=400), memory_s=600)

    later = demand.after(Instant(600_000), asked(*[HERE] * 2, lead_s=800), memory_s=600)

    assert later.leads_s == {HERE: 4 * 400 / 2 + 2 * 800}


def test_nothing_is_expected_before_the_first_order() -> None:
    expected = Demand().forecast([HERE], memory_s=3_600)

    assert (expected.per_s.tolist(), expected.lead_s.tolist()) == ([0.0], [0.0])


def test_an_hour_of_memory_expects_one_order_an_hour_from_as_many_as_it_holds() -> None:
    demand = Demand(counts={HERE: 1 / log(2)})

    assert demand.forecast([HERE], memory_s=3_600).per_s.tolist() == pytest.approx([1 / 3_600])
