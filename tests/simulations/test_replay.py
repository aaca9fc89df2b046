"""A day of the public problem through the production actors: its rules, its repeatability."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from statistics import pstdev

import pytest
from msgspec import structs

from dispatch.ids import OrderId
from simulations.mdrp import Instance, instances, read_instance
from simulations.replay import guessed, mean, replay, replay_all
from tests.simulations.instances import write_instance
from tests.simulations.referee import broken_rules

SHARED = Path(__file__).parents[2].parent / "shared" / "mdrp"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    return read_instance(write_instance(tmp_path_factory.mktemp("mdrp") / "tiny"))


@pytest.mark.parametrize("solver", ["nearest", "assign", "insert", "improve"])
@pytest.mark.slow
def test_every_policy_keeps_the_problems_rules(instance: Instance, solver: str) -> None:
    result, log = replay(instance, solver=solver)

    assert broken_rules(instance, log) == []
    assert result.delivered >= 0.9 * result.orders


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(instance: Instance) -> None:
    _, first = replay(instance, seed=3)
    _, second = replay(instance, seed=3)

    assert first == second
    assert first.count(b'"dropoff"') == len(instance.orders)


@pytest.mark.parametrize("minute", [60, 150, 222])
@pytest.mark.slow
def test_nothing_is_decided_by_what_has_not_been_placed_yet(
    instance: Instance, minute: int
) -> None:
    known = tuple(order for order in instance.orders if order.placed_min <= minute)
    _, whole = replay(instance)

    _, cut = replay(structs.replace(instance, orders=known))

    assert 0 < len(known) < len(instance.orders)
    assert _until(cut, minute) == _until(whole, minute)
    assert _until(whole, minute)


@pytest.mark.slow
def test_nothing_is_decided_by_when_food_will_really_be_ready(instance: Instance) -> None:
    minute, said_min = 150, guessed(instance, 8.0, seed=1)
    later = structs.replace(
        instance,
        orders=tuple(
            structs.replace(one, ready_min=one.ready_min + 7 * (one.ready_min > minute))
            for one in instance.orders
        ),
    )

    _, whole = replay(instance, said_min=said_min)
    _, other = replay(later, said_min=said_min)

    assert _until(other, minute) == _until(whole, minute)
    assert other != whole


def test_kitchens_err_by_as_much_as_is_asked_for_and_say_nothing_absurd(instance: Instance) -> None:
    exact, guesses = guessed(instance, 0.0, seed=1), guessed(instance, 8.0, seed=1)

    assert exact == {one.id: one.ready_min for one in instance.orders}
    errors_min = [guesses[OrderId(one.id)] - one.ready_min for one in instance.orders]
    assert 2 < pstdev(errors_min) < 10
    assert all(guesses[OrderId(one.id)] >= one.placed_min for one in instance.orders)
    assert guesses == guessed(instance, 8.0, seed=1) != guessed(instance, 8.0, seed=2)


@pytest.mark.slow
def test_guessing_kitchens_keep_the_problems_rules_too(instance: Instance) -> None:
    result, log = replay(instance, said_min=guessed(instance, 8.0, seed=1))

    assert broken_rules(instance, log) == []
    assert result.delivered >= 0.9 * result.orders


def _until(log: bytes, minute: int) -> list[dict[str, object]]:
    events = [json.loads(line) for line in log.splitlines()]
    return [event for event in events if event["t"] <= minute]


@pytest.mark.slow
def test_days_can_be_replayed_side_by_side_and_come_back_in_order(tmp_path: Path) -> None:
    folders = [write_instance(tmp_path / name, seed=i) for i, name in enumerate(("a", "b"))]

    results = list(replay_all(folders, jobs=2, log_dir=tmp_path / "logs"))

    assert [result.instance for result in results] == ["a", "b"]
    assert mean(results)["orders"] == 40
    for folder in folders:
        log = (tmp_path / "logs" / f"{folder.name}.jsonl").read_bytes()
        assert broken_rules(read_instance(folder), log) == []


@pytest.mark.slow
def test_a_real_day_passes_the_public_evaluator(tmp_path: Path) -> None:
    if not (SHARED / "instances.tar.xz").is_file():
        pytest.skip("the public instances are not on this machine")
    with tarfile.open(SHARED / "instances.tar.xz") as archive:
        members = [one for one in archive if "/0r50t75s1p100" in one.name]
        archive.extractall(tmp_path, members, filter="data")
    [folder] = instances(next(tmp_path.iterdir()))

    [result] = replay_all([folder], log_dir=tmp_path / "logs")

    judged = subprocess.run(
        [
            sys.executable,
            SHARED / "evaluator.py",
            folder,
            tmp_path / "logs" / f"{folder.name}.jsonl",
            "--json",
        ],
        check=True,
        capture_output=True,
    )
    figures = json.loads(judged.stdout)
    assert figures["violations"] == 0
    assert figures["delivered"] == result.delivered
    assert figures["ctd_penalised"] == pytest.approx(result.ctd_penalised)
    assert result.ctd_penalised < 30.5
