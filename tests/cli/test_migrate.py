"""`dispatch migrate` brings a schema up to date, and ends in one sentence when it cannot."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from storage.migrate import known

ROOT = Path(__file__).parent.parent.parent
ALL = [f"{step.number:04} {step.name}" for step in known()]


def migrate(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Type `dispatch migrate` with this database."""
    settings = {"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"}
    return subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", "migrate", *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_database_is_checked_migrated_and_checked_again(empty_database: str) -> None:
    before = migrate(empty_database, "--check", "--json")
    done = migrate(empty_database, "--json")
    after = migrate(empty_database, "--check")

    assert (before.returncode, json.loads(before.stdout)) == (1, {"missing": ALL})
    assert (done.returncode, json.loads(done.stdout)) == (0, {"applied": ALL})
    assert (after.returncode, after.stdout) == (0, "the schema is up to date\n")


@pytest.mark.slow
def test_a_database_that_cannot_be_migrated_is_told_in_one_sentence(empty_database: str) -> None:
    nowhere = urlsplit(empty_database)._replace(path="/atlantis").geturl()

    ended = migrate(nowhere)

    assert ended.returncode == 2
    assert "no database of that name: create it" in ended.stderr
    assert ended.stderr.count("\n") == 1
