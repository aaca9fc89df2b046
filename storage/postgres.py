"""The journal that is kept by Postgres: every batch by one statement, guarded by the shard's head.

A shard has a session of its own, so that its commits never wait for anybody else's; reads go over
the pool. `commit_batch` first moves the head on from the batch before, under this epoch, and only
then writes. So of two owners the one with the older epoch writes nothing, also when its statement
was under way, and a batch whose answer was lost is sent again and answered as it was. A connection
that fails is replaced by the next call; the shard above decides how often to try.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import trio
from asyncpg import Connection
from msgspec import Struct, msgpack

from dispatch.ids import ShardId
from dispatch.journal import (
    Batch,
    Checkpoint,
    Committed,
    DeadLetter,
    FeedEntry,
    InboxMark,
    JournalUnreachable,
    LeaseLost,
    OutboxRow,
    Recovered,
)
from dispatch.lease import NodeId
from storage.couriers import courier_columns
from storage.database import Database, DatabaseRefused, DatabaseUnreachable, Session
from storage.feeds import Feeds
from storage.orders import order_columns
from storage.queries import queries

SQL = queries("journal")
FEED_MAX = 10_000
"""Messages of a feed that are read at once, the oldest ones."""
LETTERS_MAX = 10_000
"""Dead letters that are read at once, the oldest ones."""
PARTITIONS_S = 86_400.0
"""Time between two looks at the partitions of the facts."""
PARTITIONS_RETRY_S = 3_600.0
"""Time to the next look after one that failed; meanwhile the default partition would serve."""

type Columns = list[list[Any]]

_encode = msgpack.Encoder().encode


class PostgresStore:
    """A journal for any number of shards. With a `node`, only for those that it has the lease of.

    All of it is for the thread that runs trio.
    """

    def __init__(self, database: Database, node: NodeId | None = None) -> None:
        self._database = database
        self._node = node
        self._sessions: dict[ShardId, Session] = {}
        self._partitions_at = 0.0

    async def open(self, shard: ShardId) -> Recovered:
        """Take the shard over under the next epoch and return what it starts from.

        Raises `LeaseLost` when this node does not hold the lease, or another has opened meanwhile.
        """
        await self._tend_partitions()
        with _journal_errors():
            session = await self._session(shard)
            epoch = await session.call(lambda there: _raised(there, shard, self._node))
            return await session.call(lambda there: _recovered(there, shard, epoch))

    async def commit(self, batch: Batch) -> Committed:
        """Write the batch whole, or raise `LeaseLost` and write nothing.

        The batch that was written last is not written again, and gives the same answer.
        """
        await self._tend_partitions()
        with _journal_errors():
            session = await self._session(batch.shard)
            return await session.call(lambda there: _committed(there, batch))

    async def load(
        self, shard: ShardId, names: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | None]:
        """Return the states of the actors as last committed, finished or not; None without one."""
        kinds, keys = [kind for kind, _ in names], [key for _, key in names]
        with _journal_errors():
            rows = await self._fetch("fetch_states", shard, kinds, keys)
        return [state for (state,) in rows]

    async def close(self, shard: ShardId) -> None:
        """End the session of a shard that is not owned any more."""
        session = self._sessions.pop(shard, None)
        if session is not None:
            with _journal_errors():
                await session.close()

    async def history(self, kind: str, key: str) -> Sequence[bytes]:
        """Return the facts of an actor in the order in which they happened."""
        return [fact for (fact,) in await self._fetch("fetch_history", kind, key)]

    async def feed(self, person: str, after: int) -> Sequence[tuple[int, bytes]]:
        """Return a person's messages numbered higher than `after`, at most FEED_MAX of them."""
        with _journal_errors():
            rows = await self._fetch("fetch_feed", person, after, FEED_MAX)
        return [(number, message) for number, message in rows]

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]:
        """Return, for each person and number, his next messages after it, `page_max` at most."""
        persons, afters = [person for person, _ in wanted], [after for _, after in wanted]
        pages: list[list[FeedEntry]] = [[] for _ in wanted]
        with _journal_errors():
            rows = await self._fetch("fetch_feeds", persons, afters, page_max)
        for place, number, epoch, message in rows:
            pages[int(place) - 1].append(FeedEntry(number, epoch, message))
        return pages

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]:
        """Return the number of each person's newest message; who has none is left out."""
        with _journal_errors():
            rows = await self._fetch("fetch_feed_heads", persons)
        return dict[str, int](rows)

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Return the messages that failed, oldest first, at most LETTERS_MAX of them."""
        return [DeadLetter(*row) for row in await self._fetch("fetch_dead_letters", LETTERS_MAX)]

    async def _fetch(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        return await self._database.call(lambda there: _rows(there, query, *arguments))

    async def _session(self, shard: ShardId) -> Session:
        session = self._sessions.get(shard)
        if session is None or session.is_lost:
            session = self._sessions[shard] = await self._database.connection()
        return session

    async def _tend_partitions(self) -> None:
        """Have the coming months' partitions made once a day; that it fails is no matter yet."""
        now_s = trio.current_time()
        if now_s < self._partitions_at:
            return
        self._partitions_at = now_s + PARTITIONS_RETRY_S
        try:
            await self._fetch("make_partitions")
        except (DatabaseRefused, DatabaseUnreachable):
            return
        self._partitions_at = now_s + PARTITIONS_S


@contextmanager
def _journal_errors() -> Generator[None]:
    """Turn what the database cannot do into what a journal may raise.

    Also what an operator must mend: nothing was written, so the shard tries again, and fails with
    that sentence if nobody mends it in time.
    """
    try:
        yield
    except (DatabaseRefused, DatabaseUnreachable) as error:
        raise JournalUnreachable(str(error)) from error


async def _rows(there: Connection, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await there.fetch(SQL[query], *arguments)]


async def _raised(there: Connection, shard: ShardId, node: NodeId | None) -> int:
    (epoch, _batch), *_ = await _rows(there, "open_shard", shard, node)
    if epoch is None:
        raise LeaseLost(f"{node} does not hold the lease of shard {shard}")
    return epoch


async def _recovered(there: Connection, shard: ShardId, epoch: int) -> Recovered:
    """Read the shard in one snapshot, without keeping anybody from taking it over."""
    async with there.transaction(isolation="repeatable_read", readonly=True):
        (now, number), *_ = await _rows(there, "find_head", shard)
        if now != epoch:
            raise LeaseLost(f"epoch {epoch} of shard {shard} was over before it began")
        return Recovered(
            epoch=epoch,
            number=number,
            checkpoints=tuple(
                [Checkpoint(*row) for row in await _rows(there, "fetch_checkpoints", shard)]
            ),
            outbox=tuple([OutboxRow(*row) for row in await _rows(there, "fetch_outbox", shard)]),
            marks=tuple([InboxMark(*row) for row in await _rows(there, "fetch_marks", shard)]),
            floors=tuple([InboxMark(*row) for row in await _rows(there, "fetch_floors", shard)]),
        )


async def _committed(there: Connection, batch: Batch) -> Committed:
    feeds = Feeds(batch.feed)
    heads = await there.fetchval(SQL["commit_batch"], *_arguments(batch, feeds))
    if heads is None:
        told = f"batch {batch.number} of epoch {batch.epoch} is not the next of {batch.shard}"
        raise LeaseLost(told)
    return Committed(feeds.numbers(heads))


def _arguments(batch: Batch, feeds: Feeds) -> tuple[object, ...]:
    """Return what `commit_batch` takes, in its order."""
    live = [row for row in batch.checkpoints if row.is_live]
    done = [row for row in batch.checkpoints if not row.is_live]
    return (
        batch.shard,
        batch.epoch,
        batch.number,
        blake2b(_encode(batch), digest_size=16).digest(),
        batch.at,
        *_columns(live, "kind", "key", "state"),
        *_columns(done, "kind", "key", "state"),
        *_columns(batch.facts, "kind", "key", "fact"),
        *_columns(batch.outbox, "sequence", "kind", "key", "message", "target"),
        batch.handled,
        *_columns(batch.marks, "source", "sequence"),
        *_columns(batch.floors, "source", "sequence"),
        *feeds.columns(),
        *_columns(batch.dead_letters, "kind", "key", "message", "error"),
        *order_columns(batch.checkpoints),
        *courier_columns(batch.checkpoints),
    )


def _columns(rows: Iterable[Struct], *fields: str) -> Columns:
    return [list(map(attrgetter(field), rows)) for field in fields]
