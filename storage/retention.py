"""What is cleared away of the past: feeds' old messages, and the journal's old facts.

A feed loses messages from its beginning and none in between, so that whoever reads on from where he
was either finds the very next one, or learns that it is gone (`storage.cursors`). Facts go by the
month, with the partition that holds them; up to which number is noted for who reads them on
(`storage.facts`). Nothing that a shard starts from is touched: its checkpoints, outbox and marks.

Each call here is a short transaction of its own. Who may clear is decided by `claim`, so that one
node at a time does; should it die, the next goes on where it was.
"""

from enum import StrEnum

from msgspec import Struct

from storage.database import Database
from storage.queries import queries

SQL = queries("retention")
PERSONS_MAX = 200
"""Feeds that one call looks at."""
MESSAGES_MAX = 50
"""Messages of one feed that one call deletes."""
FACTS_MAX = 5_000
"""Facts outside of any month's partition that one call deletes."""
LOCK_MS = 200
"""Time that dropping a month may wait for its lock: commits wait behind it."""


class Past(StrEnum):
    """What is cleared away."""

    FEEDS = "feeds"
    FACTS = "facts"


class Cleared(Struct, frozen=True):
    """Where clearing feeds goes on, how many messages are gone, and whether that were all feeds."""

    position: str
    count: int
    is_over: bool


async def claim(database: Database, past: Past, held_s: float) -> str | None:
    """Return where to go on, or None when somebody claimed it less than `held_s` ago."""
    return await database.call(lambda there: there.fetchval(SQL["claim"], past, held_s))


async def clear_feeds(database: Database, position: str, kept_days: int) -> Cleared:
    """Delete some messages older than that, of some persons after `position`."""
    row = await database.call(
        lambda there: there.fetchrow(
            SQL["clear_feeds"], position, kept_days, PERSONS_MAX, MESSAGES_MAX
        )
    )
    assert row is not None, "clearing is claimed first"
    return Cleared(row["position"], row["count"], row["is_over"])


async def drop_month(database: Database, kept_days: int) -> str | None:
    """Drop the oldest month of facts that ended so long ago, and return its name, if any did.

    Raises `DatabaseUnreachable` when the journal was too busy to be locked; later it may not be.
    """
    return await database.call(lambda there: there.fetchval(SQL["drop_month"], kept_days, LOCK_MS))


async def clear_stray_facts(database: Database, kept_days: int) -> int:
    """Delete some facts older than that which lie in no month's partition; return how many."""
    done = await database.call(
        lambda there: there.fetchval(SQL["clear_stray_facts"], kept_days, FACTS_MAX)
    )
    return done or 0
