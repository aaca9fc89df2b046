"""The benchmark of the beat does the work it claims to time, and the loop keeps its beat."""

import pytest

from benchmarks import beat
from benchmarks.evening import Evening
from dispatch.ids import Instant
from dispatch.order import Order

NOW = Instant(1_800_000_000_000)


def test_an_evening_is_the_same_from_the_same_seed_and_goes_on_with_as_many_orders() -> None:
    evenings = [Evening(seed, 60, 80, 5_000.0, now=NOW) for seed in (1, 1, 2)]
    before = [dict(evening.states("order")) for evening in evenings]
    evenings[0].go_on(NOW)

    after = dict(evenings[0].states("order"))
    assert before[0] == before[1] != before[2]
    assert len(after) == len(before[0])
    assert len(before[0].keys() - after.keys()) == 1
    assert all(isinstance(order, Order) for order in after.values())


def test_what_a_round_costs_is_measured_where_it_is_spent() -> None:
    costs = beat.costs_of(beat.Size(60, 80, 5_000.0))

    assert costs["request_bytes"] > costs["answer_bytes"] > 1_000
    assert costs["worker_answer_ms"] > costs["thread_survey_ms"] > costs["loop_look_ms"] > 0


@pytest.mark.slow
def test_the_loop_keeps_its_beat_while_rounds_are_planned_beside_it() -> None:
    measured = beat.beat(turns=1, seconds=5.0, sizes=[])

    lag_ms = measured["lag_ms"]
    assert measured["rounds"] >= 1
    # A busy machine makes everybody late, whether or not there are rounds.
    assert lag_ms["pings_and_rounds"]["p99"] <= max(20.0, 2 * lag_ms["pings"]["p99"]), measured
