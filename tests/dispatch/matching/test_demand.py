"""Where orders have been coming from lately."""

from dispatch.ids import Instant, RestaurantId
from dispatch.matching.demand import Demand

HERE, THERE = RestaurantId("r1"), RestaurantId("r2")


def test_every_order_counts_one_for_its_restaurant() -> None:
    demand = Demand().after(Instant(0), [HERE, THERE, HERE], memory_s=600)

    assert demand.counts == {HERE: 2.0, THERE: 1.0}


def test_an_order_counts_half_after_the_memory_has_passed_once() -> None:
    demand = Demand().after(Instant(0), [HERE, HERE], memory_s=600)

    later = demand.after(Instant(600_000), [HERE], memory_s=600)

    assert later.counts == {HERE: 2.0}


def test_learning_in_small_steps_gives_what_one_step_gives() -> None:
    demand = Demand().after(Instant(0), [HERE], memory_s=600)

    small = demand
    for minute in range(1, 11):
        small = small.after(Instant(minute * 60_000), [], memory_s=600)
    large = demand.after(Instant(600_000), [], memory_s=600)

    assert abs(small.counts[HERE] - large.counts[HERE]) < 1e-12
