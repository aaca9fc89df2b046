"""The schema goes forward by recorded steps, and a node knows whether it is the one it needs."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trio
from msgspec import structs

from storage.bridge import bridged
from storage.database import Database, connected
from storage.migrate import (
    Migration,
    SchemaChanged,
    SchemaTooNew,
    SchemaTooOld,
    check,
    known,
    migrate,
    missing,
    pending,
)
from storage.snapshot import SCHEMA, snapshot

STEPS = (
    Migration(1, "post_a", "c1", "create table a (id integer)"),
    Migration(2, "post_b", "c2", "create table b (id integer); insert into b values (1)"),
)


@asynccontextmanager
async def at(url: str) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield database


async def test_migrations_are_applied_once_and_in_order(empty_database: str) -> None:
    async with at(empty_database) as database:
        first = await migrate(database, STEPS[:1])
        then = await migrate(database, STEPS)
        again = await migrate(database, STEPS)
        rows = await database.call(lambda there: there.fetchval("select count(*) from b"))

    assert (first, then, again) == (STEPS[:1], STEPS[1:], ())
    assert rows == 1


async def test_nodes_that_start_together_migrate_once(empty_database: str) -> None:
    applied: list[tuple[Migration, ...]] = []

    async def start(database: Database) -> None:
        applied.append(await migrate(database, STEPS))

    async with at(empty_database) as database, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(start, database)

    assert sorted(applied) == [(), (), (), STEPS]


async def test_a_migration_that_fails_leaves_nothing_of_itself(empty_database: str) -> None:
    broken = Migration(2, "post_b", "c2", "create table b (id integer); select 1 / 0")
    async with at(empty_database) as database:
        with pytest.raises(Exception, match="division by zero"):
            await migrate(database, (STEPS[0], broken))
        applied = await migrate(database, STEPS)

    assert applied == STEPS[1:]


def test_a_schema_newer_than_the_node_is_refused() -> None:
    with pytest.raises(SchemaTooNew, match="run the version that made it, or a later one"):
        pending(STEPS, STEPS[:1])


def test_a_migration_that_was_changed_after_it_was_applied_is_refused() -> None:
    changed = structs.replace(STEPS[0], checksum="other")

    with pytest.raises(SchemaChanged, match="post_a"):
        pending([changed], STEPS)


async def test_a_node_checks_the_schema_of_its_database(empty_database: str, database: str) -> None:
    async with at(empty_database) as empty, at(database) as current:
        with pytest.raises(SchemaTooOld, match="run `dispatch migrate`"):
            await check(empty)
        to_do = await missing(empty)
        await check(current)
        await current.call(
            lambda there: there.execute("insert into migration values (9999, 'post_x', 'c')")
        )
        with pytest.raises(SchemaTooNew, match="post_x"):
            await check(current)

    assert to_do == known()


async def test_the_snapshot_is_what_all_migrations_add_up_to(database: str) -> None:
    async with at(database) as migrated:
        made = await snapshot(migrated)

    assert made == SCHEMA.read_text(), "write it anew: python -m storage.migrate --snapshot URL"


async def test_the_snapshot_makes_the_same_schema(empty_database: str) -> None:
    async with at(empty_database) as database:
        await database.call(lambda there: there.execute(SCHEMA.read_text()))
        made = await snapshot(database)

    assert urlsplit(empty_database).path.startswith("/test_")
    assert made == SCHEMA.read_text()
