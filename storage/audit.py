"""Reads everything that was committed, for whoever holds it against what people were told.

Large tables come in pages, so that an audit of a long run needs no more memory than its caller.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from dispatch.ids import OrderId, ShardId
from dispatch.lease import NodeId
from storage.database import Database
from storage.queries import queries

PAGE_MAX = 20_000
LETTERS_MAX = 1_000
_SQL = queries("audit")


class Head(Struct, frozen=True):
    """How far a shard has come: its owner's epoch, and its last batch."""

    epoch: int
    batch: int


class Fact(Struct, frozen=True):
    """A fact of an actor. Numbers rise in the order of the commits of each shard."""

    number: int
    kind: str
    key: str
    fact: bytes


class FeedMessage(Struct, frozen=True):
    """A message of a person's feed."""

    person: str
    number: int
    message: bytes


async def fetch_heads(database: Database) -> Mapping[ShardId, Head]:
    """Return how far each shard has come."""
    rows = await database.call(lambda there: there.fetch(_SQL["fetch_heads"]))
    return {ShardId(shard): Head(epoch, batch) for shard, epoch, batch in rows}


async def fetch_owners(database: Database) -> Mapping[ShardId, NodeId]:
    """Return the node that holds the lease of each shard, where one does."""
    rows = await database.call(lambda there: there.fetch(_SQL["fetch_owners"]))
    return {ShardId(shard): NodeId(node) for shard, node in rows}


async def facts(database: Database) -> AsyncGenerator[Fact]:
    """Yield all facts by their numbers."""
    last = 0
    while rows := await _page(database, "fetch_facts", last):
        for row in rows:
            fact = Fact(*row)
            last = fact.number
            yield fact


async def feed_messages(database: Database) -> AsyncGenerator[FeedMessage]:
    """Yield the messages of all feeds, by person and number."""
    last = FeedMessage("", 0, b"")
    while rows := await _page(database, "fetch_feeds", last.person, last.number):
        for row in rows:
            last = FeedMessage(*row)
            yield last


async def _page(database: Database, name: str, *after: object) -> list[Any]:
    return await database.call(lambda there: there.fetch(_SQL[name], *after, PAGE_MAX))


async def fetch_unfinished(database: Database) -> Mapping[OrderId, str]:
    """Return the orders that have not come to their end, and how they stand."""
    rows = await database.call(lambda there: there.fetch(_SQL["fetch_unfinished"]))
    return {OrderId(order_id): f"{status}, {delivery}" for order_id, status, delivery in rows}


async def outbox_count(database: Database) -> int:
    """Return how many tells between shards are not settled."""
    return await database.call(lambda there: there.fetchval(_SQL["count_outbox"]))


async def fetch_letters(database: Database) -> Sequence[str]:
    """Return the dead letters, one sentence each."""
    rows = await database.call(lambda there: there.fetch(_SQL["fetch_letters"], LETTERS_MAX))
    return [f"{kind} {key}: {error}" for kind, key, error in rows]
