"""What the database cannot do is one sentence, and says whether to wait or to mend something."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trio

from storage.bridge import bridged
from storage.database import (
    Database,
    DatabaseRefused,
    DatabaseUnreachable,
    Terms,
    connected,
    place,
)

HASTY = Terms(connect_s=0.5, backoff_s=0.001, backoff_s_max=0.01)


@asynccontextmanager
async def at(url: str, terms: Terms = HASTY) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url, terms) as database:
        yield database


async def one(database: Database) -> object:
    """Ask the least that can be asked."""
    return await database.call(lambda there: there.fetchval("select 1"))


def with_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}").geturl()


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def test_a_place_is_named_without_its_secrets() -> None:
    url = "postgresql://ann:s3cret@db1:5432,db2:5433/dispatch?sslmode=require&password=x"

    assert place(url) == "db1:5432,db2:5433/dispatch"


async def test_a_wrong_password_is_for_the_operator_to_mend_and_not_shown(database: str) -> None:
    async with at(with_user(database, "postgres", "wr0ng")) as asked:
        with pytest.raises(DatabaseRefused, match="mend the user and password") as refused:
            await one(asked)
        with pytest.raises(DatabaseRefused):
            await asked.connection()

    assert "wr0ng" not in str(refused.value)
    assert "\n" not in str(refused.value)


async def test_a_database_that_does_not_exist_is_for_the_operator_to_make(database: str) -> None:
    async with at(urlsplit(database)._replace(path="/atlantis").geturl()) as asked:
        with pytest.raises(DatabaseRefused, match="no database of that name: create it"):
            await one(asked)


async def test_a_schema_that_is_missing_is_told_with_the_command_that_makes_it(
    empty_database: str,
) -> None:
    async with at(empty_database) as asked:
        with pytest.raises(DatabaseRefused, match="run `dispatch migrate`"):
            await asked.call(lambda there: there.fetch("select shard from shard_head"))


async def test_a_server_that_is_not_there_may_come_back() -> None:
    async with at(f"postgresql://ann:s3cret@127.0.0.1:{free_port()}/dispatch") as asked:
        with pytest.raises(DatabaseUnreachable, match="cannot be reached") as unreachable:
            await one(asked)

    assert "s3cret" not in str(unreachable.value)


async def test_of_several_hosts_the_one_that_answers_is_taken(database: str) -> None:
    parts = urlsplit(database)
    user, _, host = parts.netloc.rpartition("@")
    several = parts._replace(netloc=f"{user}@127.0.0.1:{free_port()},{host}").geturl()

    async with at(several) as asked:
        answer = await one(asked)

    assert answer == 1


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        hasty = Terms(connect_s=0.1, call_s=0.3)
        async with at(
            f"postgresql://ann@127.0.0.1:{deaf.getsockname()[1]}/dispatch", hasty
        ) as asked:
            with pytest.raises(DatabaseUnreachable):
                await one(asked)
            with pytest.raises(DatabaseUnreachable):
                await asked.connection()


async def test_a_statement_has_a_limit_and_the_session_goes_on_after_it(database: str) -> None:
    async with at(database, Terms(statement_s=0.05)) as asked:
        session = await asked.connection()
        with pytest.raises(DatabaseUnreachable, match="took too long"):
            await session.call(lambda there: there.execute("select pg_sleep(5)"))
        answer = await session.call(lambda there: there.fetchval("select 1"))
        await session.close()

    assert answer == 1


async def test_a_session_that_is_killed_tells_its_owner_and_is_not_asked_again(
    database: str,
) -> None:
    lost = trio.Event()
    async with at(database) as asked:
        session = await asked.connection(lost.set)
        pid = await session.call(lambda there: there.fetchval("select pg_backend_pid()"))
        await asked.call(lambda there: there.execute(f"select pg_terminate_backend({pid})"))
        with trio.fail_after(5):
            await lost.wait()
        with pytest.raises(DatabaseUnreachable, match="was lost"):
            await session.call(lambda there: there.fetchval("select 1"))
        is_lost = session.is_lost
        await session.close()
        again = await asked.connection()
        answer = await again.call(lambda there: there.fetchval("select 1"))

    assert is_lost
    assert answer == 1


async def test_a_session_that_is_closed_was_not_lost(database: str) -> None:
    lost = trio.Event()
    async with at(database) as asked:
        session = await asked.connection(lost.set)
        await session.close()
        await one(asked)

    assert session.is_lost
    assert not lost.is_set()


async def test_a_session_hears_what_is_notified(database: str) -> None:
    heard: list[str] = []
    told = trio.Event()

    def hear(payload: str) -> None:
        heard.append(payload)
        told.set()

    async with at(database) as asked:
        session = await asked.connection()
        await session.listen("bell", hear)
        await asked.call(lambda there: there.execute("notify bell, 'ding'"))
        with trio.fail_after(5):
            await told.wait()

    assert heard == ["ding"]


async def test_whoever_is_cancelled_while_connecting_leaves_no_connection_behind(
    database: str,
) -> None:
    theirs = """
        select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
            and application_name = 'dispatch'
    """
    async with at(database) as asked:
        with trio.move_on_after(0.001) as scope:
            await asked.connection()
        with trio.fail_after(5):
            while await asked.call(  # noqa: ASYNC110 - the server tells nobody.
                lambda there: there.fetchval(theirs)
            ):
                await trio.sleep(0.01)

    assert scope.cancelled_caught


async def test_a_transaction_that_a_call_leaves_open_is_rolled_back(database: str) -> None:
    async with at(database) as store:
        await store.call(lambda there: there.execute("begin; create table left_open (id int)"))
        found = await store.call(lambda there: there.fetchval("select to_regclass('left_open')"))

    assert found is None
