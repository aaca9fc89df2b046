"""`dispatch simulate --faults`: one document, and for what failed the command that repeats it."""

import json

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.seeds import told_of
from simulations.faults.journal import Guard
from simulations.faults.run import run_seed


@pytest.mark.slow
def test_the_command_prints_one_document() -> None:
    ended = CliRunner().invoke(app, ["simulate", "--faults", "--seeds", "1-2", "--json"])

    printed = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert printed.keys() == {"seeds", "failed", "steps", "faults"}
    assert (printed["seeds"], printed["failed"]) == (2, [])


def test_what_are_no_seeds_ends_in_one_sentence() -> None:
    ended = CliRunner().invoke(app, ["simulate", "--faults", "--seeds", "9-1"])

    assert ended.exit_code == 2
    assert "the lower first" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_failed_seed_is_told_with_its_sentence_its_last_events_and_its_command() -> None:
    result = run_seed(2, without=Guard.OUTPUT_AFTER_COMMIT)

    lines = told_of(result).splitlines()

    assert result.broken is not None
    assert lines[0].startswith("seed 2, ")
    assert lines[0].endswith(result.broken.invariant)
    assert "BROKEN" in lines[-2]
    assert lines[-1] == "  again: dispatch simulate --faults --seeds 2"
