"""`dispatch load` on servers of its own, small, and what it refuses."""

import msgspec
import pytest
from typer.testing import CliRunner

from cli.main import app


@pytest.mark.slow
def test_a_small_load_is_carried_without_an_error() -> None:
    options = ["--couriers", "40", "--customers", "10", "--rate", "2", "--minutes", "0.5"]

    done = CliRunner().invoke(app, ["load", *options, "--json"])

    assert done.exit_code == 0, done.output
    report = msgspec.json.decode(done.stdout)
    assert report["errors"] == {}
    assert report["orders"] > 30
    assert report["order_ack_ms"]["count"] == report["orders"]
    assert 30 < report["pings_per_s"] < 50
    assert report["loop_lag_ms"]["p99"] > 0
    assert report["resident_mib"] > 20


def test_an_address_without_a_key_is_refused() -> None:
    done = CliRunner().invoke(app, ["load", "--address", "127.0.0.1:1"])

    assert done.exit_code == 2
    assert "--key" in done.output


def test_a_load_longer_than_its_tokens_hold_is_refused() -> None:
    done = CliRunner().invoke(app, ["load", "--minutes", "60"])

    assert done.exit_code == 2
