"""`dispatch doctor` as a person runs it: a table or a document, and an exit code to go by."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct
from typer.testing import CliRunner

from cli.main import app
from node.doctor import Finding, Outcome


class Report(Struct):
    """What the command prints with --json."""

    is_well: bool
    findings: list[Finding]


@pytest.mark.slow
def test_a_machine_without_servers_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))

    done = CliRunner().invoke(app, ["doctor", "--json"])

    report = msgspec.json.decode(done.stdout, type=Report)
    assert report.is_well
    assert done.exit_code == 0


@pytest.mark.slow
def test_servers_that_cannot_be_reached_end_in_exit_code_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:s3cret@127.0.0.1:1/dispatch")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")

    done = CliRunner().invoke(app, ["doctor"])

    assert done.exit_code == 1
    assert Outcome.FAIL.upper() in done.stdout
    assert "DATABASE_URL" in done.stdout
    assert "s3cret" not in done.output


def test_a_setting_that_is_wrong_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://here")

    done = CliRunner().invoke(app, ["doctor"])

    assert done.exit_code == 2
    assert done.stderr.startswith("dispatch: DATABASE_URL must be like postgresql://")
    assert done.stderr.count("\n") == 1
