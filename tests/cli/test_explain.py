"""`dispatch explain`: why an order went where it did, read from a day's decisions."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from typer.testing import CliRunner, Result

from cli.main import app
from tests.dispatch.builders import ORDER, OTHER_ORDER
from tests.dispatch.test_sentences import DECIDED


def run(*arguments: str | Path) -> Result:
    """Type `dispatch explain` and these words."""
    return CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "160"})


def written(folder: Path) -> Path:
    """A file of decisions about two orders."""
    path = folder / "decisions.jsonl"
    other = structs.replace(DECIDED, order_id=OTHER_ORDER)
    lines = [msgspec.json.encode(one) + b"\n" for one in (DECIDED, other)]
    path.write_bytes(b"".join(lines))
    return path


def test_a_decision_is_told_with_each_option_and_its_terms(tmp_path: Path) -> None:
    ended = run(ORDER, "--from", written(tmp_path))

    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.count("crr_1 is sent now") == 1
    columns, *rows = (line.split() for line in ended.stdout.splitlines() if "  " in line)
    rows = [row for row in rows if row and row[0].startswith(("crr_", "leave"))]
    assert "delay_s" in " ".join(columns) or "delay_s" in ended.stdout
    assert [row[0] for row in rows] == ["crr_1", "crr_2", "crr_3", "leave"]
    assert [row[-1] for row in rows] == ["40", "120", "610", "52,000"]


def test_a_decision_is_printed_whole_as_json(tmp_path: Path) -> None:
    printed = json.loads(run(ORDER, "--from", written(tmp_path), "--json").stdout)

    assert printed["order_id"] == ORDER
    (one,) = printed["decisions"]
    assert msgspec.convert(one, type(DECIDED)) == DECIDED


@pytest.mark.parametrize(
    ("order_id", "content", "said"),
    [
        ("ord_9", None, "nothing was decided about an order 'ord_9'"),
        (ORDER, b"{}\n", "is no file of decisions"),
        (ORDER, b"\xff\xfe", "is no file of decisions"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_sentence(
    tmp_path: Path, order_id: str, content: bytes | None, said: str
) -> None:
    path = written(tmp_path)
    if content is not None:
        path.write_bytes(content)

    ended = run(order_id, "--from", path)

    assert ended.exit_code == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_a_file_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    ended = run(ORDER, "--from", tmp_path / "none")

    assert ended.exit_code == 2
    assert "cannot be read: No such file or directory" in ended.stderr


@pytest.mark.slow
def test_a_simulated_days_decisions_can_be_explained(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    day = ("--city", "town", "--orders", "12", "--hours", "1", "--couriers", "6")
    simulated = CliRunner().invoke(app, ["simulate", *day, "--decisions", str(path), "--json"])

    orders = {json.loads(line)["order_id"] for line in path.read_bytes().splitlines()}
    ended = run(min(orders), "--from", path, "--json")

    assert simulated.exit_code == 0, simulated.stderr
    assert len(orders) >= json.loads(simulated.stdout)["delivered"] > 0
    first = json.loads(ended.stdout)["decisions"][0]
    assert first["verdict"] == "sent"
    assert first["courier_id"] == first["chosen"][0]
