"""The command line: what a user gets wrong is said in one sentence, with exit code 2."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.simulations.instances import write_instance


def run(*arguments: str | Path) -> Result:
    """Type `dispatch` and these words."""
    return CliRunner().invoke(app, [str(word) for word in arguments])


@pytest.mark.slow
def test_what_a_user_gets_wrong_is_said_in_one_sentence(tmp_path: Path) -> None:
    folder = write_instance(tmp_path / "bad")
    (folder / "couriers.txt").write_text("courier\tx\ty\ton_time\toff_time\nc0\t1\t1\t-5\t9\n")
    spec = tmp_path / "city.toml"
    spec.write_text('name = "x"\ncouriers = 0\n')

    for arguments, said in (
        (("replay", "mdrp", folder), "couriers.txt, line 2: on_time must not be negative"),
        (("replay", "mdrp", tmp_path / "no"), "there is no such folder"),
        (("replay", "mdrp", folder, "--instances", "zz"), "there is no instance 'zz'"),
        (("replay", "mdrp", folder, "--policy", "magic"), "there is no policy 'magic'"),
        (("simulate", "--city", spec), "city.toml, line 2: "),
        (("simulate", "--city", "atlantis"), "no such city"),
        (("simulate", "--couriers", "0"), "`int` >= 1"),
        (("simulate", "--compare", "magic"), "there is no policy 'magic'"),
        (("simulate", "--html", "/proc/report.html"), "cannot be written"),
    ):
        ended = run(*arguments)

        assert ended.exit_code == 2, arguments
        assert said in ended.stderr, arguments
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert ended.stdout == ""


@pytest.mark.slow
def test_a_replay_prints_one_document_and_writes_each_log(tmp_path: Path) -> None:
    folder = write_instance(tmp_path / "tiny", orders=12)

    ended = run("replay", "mdrp", folder, "--json", "--log-dir", tmp_path / "logs")

    printed = json.loads(ended.stdout)
    names = "instance orders delivered pct_undelivered ctd_mean ctd_p90 ctd_penalised "
    names += "overage over_maximum cost_per_order driving_per_order round_ms_p99 cpu_s"
    assert list(printed["instances"][0]) == names.split()
    assert printed["mean"]["orders"] == 12
    assert "instance" not in printed["mean"]
    assert (tmp_path / "logs" / "tiny.jsonl").read_text().count('"dropoff"') == 12


@pytest.mark.slow
def test_a_simulated_evening_is_told_in_a_table_as_json_and_as_a_page(tmp_path: Path) -> None:
    day = ("simulate", "--city", "town", "--orders", "25", "--hours", "2", "--couriers", "10")

    table = run(*day, "--html", tmp_path / "report.html")
    document = run(*day, "--json")

    assert "Click to door" in table.stdout
    figures = json.loads(document.stdout)
    assert figures["orders"] == 25
    assert figures["virtual_s_per_s"] > 0
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("http") == page.count("http-equiv"), "the page must load nothing"


@pytest.mark.slow
def test_policies_are_compared_on_the_same_day() -> None:
    day = ("simulate", "--city", "town", "--orders", "25", "--hours", "2", "--couriers", "10")

    ended = run(*day, "--compare", "nearest,insert", "--json")

    days = json.loads(ended.stdout)["days"]
    assert [one["policy"] for one in days] == ["nearest", "insert"]
    assert days[0]["orders"] == days[1]["orders"] == 25


@pytest.mark.slow
def test_the_same_seed_simulates_the_same_day() -> None:
    day = ("simulate", "--city", "town", "--orders", "30", "--hours", "2", "--couriers", "10")
    of_the_machine = {"round_ms_p50", "round_ms_p99", "virtual_s_per_s", "cpu_s"}

    days = [json.loads(run(*day, "--seed", seed, "--json").stdout) for seed in ("5", "5", "6")]

    first, again, other = (
        {name: value for name, value in one.items() if name not in of_the_machine} for one in days
    )
    assert first == again
    assert first != {**other, "seed": 5}
