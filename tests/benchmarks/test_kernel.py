"""The kernel's benchmark does the work it claims to time, and the claims hold."""

import pytest

from benchmarks import kernel, yardsticks


@pytest.mark.parametrize(
    "run",
    [
        kernel.ping_pong,
        kernel.fan_in,
        yardsticks.pykka_ping_pong,
        yardsticks.pykka_fan_in,
        yardsticks.thespian_ping_pong,
        yardsticks.thespian_fan_in,
    ],
)
def test_a_run_takes_time_and_checks_its_own_work(run: kernel.Run) -> None:
    spent_s = run(1_000)

    assert spent_s > 0


def test_each_run_is_judged_by_its_median_turn() -> None:
    turns = iter([0.5, 9.0, 1.0])

    rates = kernel.messages_per_s(100, 3, only=lambda _: next(turns))

    assert rates == {"only": 100}


@pytest.mark.slow
def test_a_message_costs_a_tenth_and_an_idle_actor_under_300_bytes() -> None:
    measured = kernel.kernel()

    for rates in measured["messages_per_s"].values():
        assert rates["ours"] >= 7 * max(rates["pykka"], rates["thespian"]), measured
    assert measured["bytes_per_idle_actor"] <= 300
    assert 0 < measured["us_per_committed_message"] < 100
