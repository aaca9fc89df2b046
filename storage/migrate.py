"""The schema's history: numbered files in `storage/migrations`, applied in order and only forward.

Each is one transaction under one lock, so that nodes that start together migrate once. What was
applied is recorded with a checksum, because a file that changed afterwards would leave two
databases that both call themselves the same. A file `..._pre_...` may be applied while the version
before still runs; a `..._post_...` needs the version that brings it. A node refuses a schema that
it does not know. `storage/schema.sql` is what all files add up to, and a test holds them together.
"""

import argparse
import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import trio
from asyncpg import Connection
from msgspec import Struct

from storage.bridge import bridged
from storage.database import Database, DatabaseRefused, connected
from storage.queries import queries
from storage.snapshot import SCHEMA, snapshot

SQL = queries("migration")
MIGRATE_S = 600.0
_FOLDER = Path(__file__).parent / "migrations"
_NAME = re.compile(r"(\d{4})_((?:pre|post)_\w+)\.sql")


class SchemaTooNew(DatabaseRefused):
    """The schema is of a later version than this one."""


class SchemaTooOld(DatabaseRefused):
    """The schema lacks migrations that this version needs."""


class SchemaChanged(DatabaseRefused):
    """A migration was applied that reads otherwise here."""


class Migration(Struct, frozen=True):
    """One step of the schema."""

    number: int
    name: str
    checksum: str
    sql: str = ""


@cache
def known() -> tuple[Migration, ...]:
    """Return the migrations that this version knows, in their order."""
    found = tuple(_read(path) for path in sorted(_FOLDER.glob("*.sql")))
    assert [step.number for step in found] == list(range(1, len(found) + 1)), found
    return found


def _read(path: Path) -> Migration:
    named = _NAME.fullmatch(path.name)
    assert named is not None, f"{path.name} should be like 0007_pre_offer_epoch.sql"
    text = path.read_text()
    return Migration(int(named[1]), named[2], sha256(text.encode()).hexdigest(), text)


def pending(applied: Sequence[Migration], steps: Sequence[Migration]) -> tuple[Migration, ...]:
    """Return the steps still to apply; raises when what was applied is not how they begin."""
    if len(applied) > len(steps):
        newest = applied[-1]
        told = f"the database has migration {newest.number} ({newest.name}), this version knows"
        raise SchemaTooNew(f"{told} {len(steps)}: run the version that made it, or a later one")
    for was, step in zip(applied, steps, strict=False):
        if (was.number, was.name, was.checksum) != (step.number, step.name, step.checksum):
            told = f"migration {was.number} ({was.name}) was applied in another form than it has"
            raise SchemaChanged(f"{told} here: run the version that the database was made by")
    return tuple(steps[len(applied) :])


async def migrate(
    database: Database, steps: Sequence[Migration] | None = None
) -> tuple[Migration, ...]:
    """Apply what is missing and return it."""
    session = await database.connection()
    try:
        return await session.call(
            lambda there: _migrated(there, known() if steps is None else steps), MIGRATE_S
        )
    finally:
        with trio.CancelScope(shield=True):
            await session.close()


async def missing(database: Database) -> tuple[Migration, ...]:
    """Return what `migrate` would apply, changing nothing."""
    return pending(await database.call(_applied), known())


async def check(database: Database) -> None:
    """Raise unless the schema is the one that this version knows."""
    if steps := await missing(database):
        names = ", ".join(f"{step.number} ({step.name})" for step in steps)
        raise SchemaTooOld(
            f"the database at {database.where} lacks migration {names}: run `dispatch migrate`"
        )


async def _migrated(there: Connection, steps: Sequence[Migration]) -> tuple[Migration, ...]:
    await there.execute(SQL["lift_limits"])
    await there.execute(SQL["lock_schema"])
    await there.execute(SQL["create_migration"])
    todo = pending(await _applied(there), steps)
    for step in todo:
        async with there.transaction():
            await there.execute(step.sql)
            await there.execute(SQL["add_migration"], step.number, step.name, step.checksum)
    return todo


async def _applied(there: Connection) -> list[Migration]:
    if not await there.fetchval(SQL["has_migrations"]):
        return []
    rows = await there.fetch(SQL["fetch_migrations"])
    return [Migration(*row) for row in rows]


async def _write_snapshot(url: str) -> None:
    async with bridged() as bridge, connected(bridge, url) as database:
        await migrate(database)
        SCHEMA.write_text(await snapshot(database))


def main() -> None:
    """Migrate an empty database and write what came of it to `storage/schema.sql`."""
    parser = argparse.ArgumentParser(prog="python -m storage.migrate", description=main.__doc__)
    parser.add_argument("--snapshot", metavar="URL", required=True, help="an empty database")
    trio.run(_write_snapshot, parser.parse_args().snapshot)


if __name__ == "__main__":
    main()
