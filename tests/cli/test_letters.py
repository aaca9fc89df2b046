"""`dispatch letters` as it is typed, against a real database."""

import json

import pytest
import trio
from typer.testing import CliRunner, Result

from cli.main import app
from dispatch.ids import Instant, ShardId
from dispatch.journal import Batch, DeadLetter
from storage.bridge import bridged
from storage.database import Database
from storage.postgres import PostgresStore

CARD = DeadLetter("service:cards", "card", b"\x00\xff", "attempt 10: the bank is busy")
ORDER = DeadLetter("order", "o1", b"\x01", "Traceback (most recent call last):\nValueError: no\n")


async def commit(url: str, *letters: DeadLetter) -> None:
    """Have the journal write the letters."""
    async with bridged() as bridge:
        database = Database(bridge, url)
        store = PostgresStore(database)
        shard = (await store.open(ShardId(26))).epoch
        batch = Batch(ShardId(26), shard, 1, Instant(1_700_000_000_000), dead_letters=letters)
        await store.commit(batch)
        await database.close()


@pytest.fixture
def servers_given(
    database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """Have the command find these servers in its environment."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_url)
    return monkeypatch


def run(*arguments: str) -> Result:
    """Type `dispatch letters` and these words."""
    return CliRunner().invoke(app, ["letters", *arguments])


@pytest.mark.usefixtures("servers_given")
def test_letters_are_listed_and_replayed_by_their_numbers(database: str) -> None:
    trio.run(commit, database, ORDER, CARD)

    listed = json.loads(run("--json").stdout)["letters"]
    cards = json.loads(run("--json", "--kind", "service:cards", "--limit", "1").stdout)["letters"]
    asked = run("replay", str(listed[0]["id"]), "--json")
    shown = run()

    assert [letter["kind"] for letter in listed] == ["service:cards", "order"]
    assert cards == listed[:1]
    assert json.loads(asked.stdout) == {"requested": [listed[0]["id"]], "unknown": []}
    assert asked.exit_code == shown.exit_code == 0
    assert "asked for" in shown.stdout
    assert "Traceback" not in shown.stdout


@pytest.mark.usefixtures("servers_given")
def test_a_letter_that_there_is_not_is_said_in_one_sentence() -> None:
    none = run()
    asked = run("replay", "4711")

    assert none.stdout == "no dead letters\n"
    assert asked.exit_code == 2
    assert asked.stderr == "dispatch: there is no letter 4711\n"


def test_a_database_that_is_away_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:secret@127.0.0.1:9/nothing")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")

    ended = run()

    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
    assert "127.0.0.1:9" in ended.stderr
    assert "secret" not in ended.stderr
