"""`dispatch chaos`: a short storm over real processes, and what the command refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[2]
DISPATCH = "from cli.main import main; main()"


@pytest.mark.slow
def test_a_storm_that_begins_with_the_loss_of_the_database_loses_and_doubles_nothing() -> None:
    options = [
        "--rate",
        "8",
        "--minutes",
        "0.5",
        "--every",
        "2",
        "--stall",
        "--standby",
        "--seed",
        "2",
        "--json",
    ]

    ended = subprocess.run(
        [sys.executable, "-c", DISPATCH, "chaos", *options],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=400,
    )

    report = json.loads(ended.stdout)
    found = (report["lost"], report["doubled"], report["two_couriers"])
    assert found == (0, 0, 0), report
    assert report["invariants_broken"] == []
    assert report["acknowledged"] > report["orders"] > 200
    assert report["kills"]["kill_node"] >= 3
    assert report["takeover_s"]["count"] >= 3
    assert report["failover_s"]["count"] == 1
    assert report["deposed_tries"] > 0
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--kill", "nodes,weather"], "not weather"),
        (["--kill", ""], "nothing would be struck"),
    ],
)
def test_what_cannot_be_struck_is_refused(options: list[str], told: str) -> None:
    ended = CliRunner().invoke(app, ["chaos", *options])

    assert ended.exit_code == 2
    assert told in ended.stderr
