"""The past is cleared away by one node at a time, and only as far as an operator wants it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from node.retention import Retention
from storage.bridge import bridged
from storage.database import Database, connected

COUNTS = "select (select count(*) from feed_message), (select count(*) from fact)"
PAST = (
    "insert into feed_head (person, number) values ('usr_ann', 2)",
    """
    insert into feed_message (person, number, message, at) values
    ('usr_ann', 1, 'x', '2020-01-15'), ('usr_ann', 2, 'x', clock_timestamp())
    """,
    """
    insert into fact (shard, kind, key, fact, at) values
    (1, 'order', 'ord_1', 'x', '2020-01-15'), (1, 'order', 'ord_1', 'x', clock_timestamp())
    """,
)


@asynccontextmanager
async def remembering(url: str) -> AsyncGenerator[Database]:
    """A database with a message and a fact of long ago, and one of each of now."""
    async with bridged() as bridge, connected(bridge, url) as database:
        for statement in PAST:
            await database.call(lambda there, said=statement: there.execute(said))
        yield database


async def counts(database: Database) -> tuple[int, int]:
    """How many messages and facts there are."""
    row = await database.call(lambda there: there.fetchrow(COUNTS))
    assert row is not None
    return row[0], row[1]


async def test_what_is_kept_for_ever_is_not_cleared(database: str) -> None:
    async with remembering(database) as there:
        await Retention(there, feed_days=0, fact_days=0).clear()
        untouched = await counts(there)
        await Retention(there, feed_days=30, fact_days=0).clear()
        without_messages = await counts(there)
        await Retention(there, feed_days=30, fact_days=30).clear()
        without_facts = await counts(there)

    assert (untouched, without_messages, without_facts) == ((2, 2), (1, 2), (1, 1))


async def test_what_one_node_clears_another_does_not(database: str) -> None:
    async with remembering(database) as there:
        for _ in range(2):
            await Retention(there, feed_days=30, fact_days=30).clear()
        older = "update feed_message set at = '2020-01-15'"
        await there.call(lambda one: one.execute(older))
        await Retention(there, feed_days=30, fact_days=30).clear()
        left = await counts(there)

    assert left == (1, 1)
