"""The benchmark of the sockets does its work and checks it; its speed is read, not tested, here."""

import pytest

from benchmarks.sockets import NAMES, Work, sockets


@pytest.mark.slow
def test_every_server_does_the_same_work() -> None:
    work = Work(
        turns=1,
        echo_sockets=20,
        echo_rounds=5,
        flood_sockets=2,
        flood_reads=2,
        fan_sockets=50,
        fan_rounds=2,
        fan_rounds_before=1,
        idle_sockets=200,
    )

    figures = sockets(work)

    for row in ("echo_us", "flood_us", "fan_out_us", "open_us"):
        assert set(figures[row]) == set(NAMES)
        assert all(spent_us > 0 for spent_us in figures[row].values())
    assert figures["idle_sockets"] == 200
    assert figures["kernel_send_us"] > 0
