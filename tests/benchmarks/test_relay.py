"""The benchmark of the relay does its work and checks it; its speed is read, not tested, here."""

import pytest

from benchmarks.relay import relay


@pytest.mark.slow
def test_both_buses_bring_every_number_once_and_in_order() -> None:
    figures = relay(tells=2_000, seconds=1)

    assert figures["tells_per_s"] > 0
    assert figures["ratio"] > 0
    assert 0 < figures["delay_ms_p50"] <= figures["delay_ms_p99"]
