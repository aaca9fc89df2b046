"""Of several hosts the one that commits is connected to, whatever the others say or do not say."""

import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import pytest
import trio

from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable, Terms, connected
from storage.hosts import each_host
from storage.standby import ANY_HOST

HASTY = Terms(connect_s=0.6, call_s=0.2, backoff_s=0.001, backoff_s_max=0.01)


@asynccontextmanager
async def at(url: str, terms: Terms = HASTY) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url, terms) as database:
        yield database


@asynccontextmanager
async def bereft(url: str) -> AsyncGenerator[Database]:
    """Have the server wait for a standby that it does not have; yields a way to ask it still."""
    async with at(url, ANY_HOST) as server:
        await set_standby(server, "a_standby_that_follows_another")
        try:
            yield server
        finally:
            await set_standby(server, "")


async def set_standby(server: Database, name: str) -> None:
    await server.call(
        lambda there: there.execute(f"alter system set synchronous_standby_names = '{name}'")
    )
    await server.call(lambda there: there.execute("select pg_reload_conf()"))
    with trio.fail_after(5):
        while (  # noqa: ASYNC110 - the server tells nobody.
            await server.call(lambda there: there.fetchval("show synchronous_standby_names"))
            != name
        ):
            await trio.sleep(0.005)


@contextmanager
def deaf() -> Generator[str]:
    """Yield the address of a machine that takes connections, and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def preceded(url: str, *hosts: str) -> str:
    """Return the URL with these hosts before its own."""
    parts = urlsplit(url)
    user, _, own = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}@{','.join((*hosts, own))}").geturl()


def test_each_host_of_a_url_has_a_url_of_its_own() -> None:
    several = "postgresql://ann:s3%40t@db1,[::1]:5433,db3:5434/dispatch?sslmode=require"

    assert each_host(several) == [
        "postgresql://ann:s3%40t@db1/dispatch?sslmode=require",
        "postgresql://ann:s3%40t@[::1]:5433/dispatch?sslmode=require",
        "postgresql://ann:s3%40t@db3:5434/dispatch?sslmode=require",
    ]


async def test_a_machine_that_is_gone_leaves_its_standby_time_to_be_asked(database: str) -> None:
    with deaf() as gone:
        async with at(preceded(database, gone)) as asked:
            session = await asked.connection()

            answer = await session.call(lambda there: there.fetchval("select 1"))

    assert answer == 1


async def test_the_host_that_served_last_is_asked_first(database: str) -> None:
    with deaf() as gone:
        async with at(preceded(database, gone)) as asked:
            await asked.connection()

            with trio.fail_after(0.25):  # Less than what the first one's silence takes.
                session = await asked.connection()
            answer = await session.call(lambda there: there.fetchval("select 1"))

    assert answer == 1


async def test_a_primary_that_its_standby_has_left_is_not_taken_for_one(database: str) -> None:
    async with bereft(database), at(database) as asked:
        with pytest.raises(DatabaseUnreachable, match="takes writes now"):
            await asked.connection()


async def test_a_deposed_primary_is_not_believed_because_it_was_told_not_to_wait(
    database: str,
) -> None:
    async with bereft(database), at(f"{database}?synchronous_commit=local") as asked:
        with pytest.raises(DatabaseUnreachable, match="takes writes now"):
            await asked.connection()


async def test_all_who_lose_their_host_at_once_find_the_other(database: str) -> None:
    found: list[int] = []

    async def ask(asked: Database) -> None:
        session = await asked.connection()
        found.append(await session.call(lambda there: there.fetchval("select 1")))

    with deaf() as gone:
        async with at(preceded(database, gone)) as asked, trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(ask, asked)

    assert found == [1, 1, 1, 1]


async def test_late_reads_are_had_from_whichever_host_there_is(database: str) -> None:
    async with bereft(database), at(database, Terms(host="prefer-standby")) as asked:
        answer = await asked.call(lambda there: there.fetchval("select 1"))

    assert answer == 1


async def test_a_commit_that_waits_for_its_standby_is_seen_by_nobody_when_its_time_is_up(
    database: str,
) -> None:
    async with at(database, Terms(call_s=0.1)) as asked:
        session = await asked.connection()
        await asked.call(lambda there: there.execute("create table kept (number int)"))

        async with bereft(database) as server:
            for late in (session, asked):
                with pytest.raises(DatabaseUnreachable, match="did not answer in time"):
                    await late.call(lambda there: there.execute("insert into kept values (1)"))
            await trio.sleep(0.05)  # What would have cancelled it would have come by now.
            seen = await server.call(lambda there: there.fetchval("select count(*) from kept"))
        kept = await asked.call(lambda there: there.fetchval("select count(*) from kept"))

    assert (seen, kept) == (0, 2)
