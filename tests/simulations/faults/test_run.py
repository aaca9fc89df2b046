"""Seeds of a cluster under fire: all holds, the same each time, and each guard is needed."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from simulations.faults.journal import Guard
from simulations.faults.plan import Fault
from simulations.faults.run import Result, run_seed
from simulations.faults.seeds import BadSeeds, read_seeds, run_seeds
from simulations.faults.town import Spec

ROOT = Path(__file__).parent.parent.parent.parent
SMALL = Spec(shards=2, couriers=2, orders=3, payers=2, payments=4, span_s=60.0)
GUARD_SEEDS = range(1, 201)


def first_failure(without: Guard) -> Result | None:
    """Return the first seed that notices that a guard is left out."""
    results = (run_seed(seed, without) for seed in GUARD_SEEDS)
    return next((result for result in results if result.broken is not None), None)


def test_a_small_town_under_fire_keeps_what_it_was_told() -> None:
    result = run_seed(1, spec=SMALL)

    assert result.broken is None, result
    assert result.steps > 500
    assert sum(result.faults.values()) > 0


def test_the_same_seed_is_the_same_run_to_the_byte() -> None:
    first, same, other = (run_seed(seed, spec=SMALL) for seed in (3, 3, 4))

    assert first == same
    assert first.digest != other.digest


@pytest.mark.slow
def test_a_seed_depends_on_nothing_but_its_number() -> None:
    script = "from simulations.faults.run import run_seed; print(run_seed(5).digest)"
    digests = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in (1, 2)
    ]

    assert digests[0] == digests[1] != ""


@pytest.mark.slow
def test_two_hundred_seeds_hold_and_everything_strikes() -> None:
    report = run_seeds(range(1, 201), jobs=2)

    assert report.failed == ()
    assert set(report.faults) == set(Fault)
    assert report.steps > 200 * 1_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guard", "claims"),
    [
        (Guard.EPOCH, {"A batch of an owner before the present one changes nothing"}),
        (
            Guard.OUTPUT_AFTER_COMMIT,
            {
                "Nobody is told `Accepted` before what he asked for is committed",
                "A device hears under each number what the journal has under it",
            },
        ),
        (
            Guard.DEDUPE_MARK,
            {
                "A message between shards takes effect once",
                "The tokens in purses and under way are those that were minted",
            },
        ),
        (
            Guard.OUTBOX_ROW,
            {"A new owner starts from every state and every row that was committed"},
        ),
    ],
)
def test_no_guard_can_be_left_out(guard: Guard, claims: set[str]) -> None:
    result = first_failure(guard)

    assert result is not None
    assert result.broken is not None
    assert result.broken.invariant in claims


def test_seeds_are_read_as_they_are_typed() -> None:
    assert read_seeds("7") == range(7, 8)
    assert read_seeds("1-200") == range(1, 201)


@pytest.mark.parametrize("told", ["", "x", "-3", "1-", "4-1", "1-2-3", "0-9999999"])
def test_what_are_no_seeds_is_said(told: str) -> None:
    with pytest.raises(BadSeeds, match="seeds"):
        read_seeds(told)


def test_a_failed_seed_is_reported_with_the_command_that_repeats_it() -> None:
    run = partial(run_seed, without=Guard.OUTPUT_AFTER_COMMIT, spec=SMALL)

    report = run_seeds(range(1, 3), run=run)

    assert report.seeds == 2
    assert [failure.seed for failure in report.failed] == [1, 2]
    assert report.failed[1].command == "dispatch simulate --faults --seeds 2"
    assert report.steps == sum(run(seed).steps for seed in (1, 2))
