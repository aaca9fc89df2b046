"""`dispatch serve`: it says where clients are served, serves them, and ends in order."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import app

ROOT = Path(__file__).parents[2]
MAIN = "import sys; from cli.main import main; sys.exit(main())"


@pytest.mark.slow
def test_a_person_who_serves_is_told_the_address_and_stops_it_with_one_signal(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUSTER_SECRET", "a secret of this cluster")
    command = [sys.executable, "-c", MAIN, "serve", "--workers", "2"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as serving:
        assert serving.stdout is not None
        told = [serving.stdout.readline() for _ in range(2)]
        addresses = [sentence.split()[-1] for sentence in told]
        answers = [httpx.get(f"{address}/v1/health").json() for address in addresses]
        serving.send_signal(signal.SIGTERM)
        last = serving.stdout.read()
        code = serving.wait(timeout=30)

    assert all(answer["is_alive"] for answer in answers)
    assert len({answer["node"] for answer in answers}) == 2
    assert "handing over" in last
    assert code == 0


def test_nodes_on_other_peoples_servers_do_not_make_their_secret_up(
    database: str, redis_url: str
) -> None:
    servers = {"DATABASE_URL": database, "REDIS_URL": redis_url, "CLUSTER_SECRET": ""}

    refused = CliRunner().invoke(app, ["serve"], env=servers)

    assert refused.exit_code == 2
    assert refused.stderr.startswith("dispatch: CLUSTER_SECRET is not set")
    assert refused.stderr.count("\n") == 1
