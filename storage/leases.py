"""The table of leases in Postgres, as one node speaks to it.

A node has one session of its own, which holds an advisory lock of a number that no session had
before. The row of the node names that number, so that every node can see whether the session still
exists: it ends with the process, and others see that as soon as they look. Whatever an older
session sends late changes nothing, because the row names another number by then. This needs real
sessions: a pooler that lends connections by the transaction must not stand in between.

All time is the server's. How long calls take is for the `Database` to bound; `TERMS` has them fail
sooner than a lease runs out. All rules are in the functions of the second migration.
"""

from collections.abc import Iterable, Mapping
from uuid import uuid4

import msgspec
import trio

from dispatch.ids import ShardId
from dispatch.lease import LeasesUnreachable, NodeRow, View
from storage.database import Database, DatabaseRefused, DatabaseUnreachable, Session, Terms
from storage.queries import queries

TTL_S = 3.0
FORGOTTEN_S = 60.0
"""A dead node that has not renewed for so long is taken off the list."""
CHANNEL = "lease_changed"
TERMS = Terms(connect_s=1.0, call_s=0.7, statement_s=0.7, lock_s=0.5, backoff_s_max=0.1, pool_max=1)
"""For the `Database` of the leases: a call that is late is worth less than one tried again."""

_SQL = queries("leases")
_views = msgspec.json.Decoder(View)


class PostgresLeases:
    """One node's hold on the table. Nothing is known of the node before it joins."""

    def __init__(self, database: Database, ttl_s: float = TTL_S) -> None:
        """Speak through `database`; a lease runs for `ttl_s`, the same on all nodes."""
        self._database = database
        self._ttl_s = ttl_s
        self._process = uuid4().hex
        self._session: Session | None = None
        self._node = ""
        self._lock_number = 0
        self._stirred = trio.Event()

    async def join(self, node: NodeRow) -> None:
        """Make the node known and begin a session, or change the row of one that runs."""
        if self._session is None or self._session.is_lost:
            await self._connect()
        self._node = node.node
        row = (node.node, node.address, node.version, node.load, node.is_leaving)
        session = (self._process, self._lock_number, self._ttl_s, FORGOTTEN_S)
        if not await self._asked(bool, "join", *row, *session):
            self._drop()
            raise LeasesUnreachable(f"node {node.node} is running already: give one another name")

    async def renew(self, load: float, loads: Mapping[ShardId, float]) -> View:
        """Let the leases of the shards that `loads` names run for the whole time from now."""
        wanted = (list(loads.keys()), list(loads.values()))
        told = await self._asked(str, "renew", *self._me(), load, *wanted, self._ttl_s)
        return _views.decode(told)

    async def look(self) -> View:
        """Return the view."""
        return _views.decode(await self._asked(str, "look", self._ttl_s))

    async def claim(self, shard: ShardId) -> bool:
        """Take a lease that is free, over, or of a node whose session has ended."""
        return await self._asked(bool, "claim", *self._me(), shard, self._ttl_s)

    async def release(self, shard: ShardId) -> None:
        """Let go of a lease."""
        await self._asked(bool, "release", *self._me(), shard)

    async def changed(self) -> None:
        """Wait until something has changed since the last time that this returned."""
        self._reached()
        await self._stirred.wait()
        self._stirred = trio.Event()
        self._reached()

    async def leave(self) -> None:
        """Let go of everything and end the session."""
        await self._asked(bool, "leave", *self._me())
        self._drop()

    async def _connect(self) -> None:
        """Begin a session that listens and holds a lock, which no session before it had."""
        self._session = None
        try:
            session = await self._database.connection(self._stirred_now)
        except (DatabaseUnreachable, DatabaseRefused) as error:
            raise LeasesUnreachable(str(error)) from error
        self._session = session
        try:
            await session.listen(CHANNEL, lambda _told: self._stirred_now())
        except (DatabaseUnreachable, DatabaseRefused) as error:
            self._drop()
            raise LeasesUnreachable(str(error)) from error
        self._lock_number = await self._asked(int, "take_lock")

    async def _asked[T](self, kind: type[T], name: str, *arguments: object) -> T:
        """Run a query; one that was not answered, or not to this session, ends the session."""
        session = self._reached()
        try:
            answer = await session.call(
                lambda connection: connection.fetchval(_SQL[name], *arguments)
            )
        except trio.Cancelled:
            self._drop()
            raise
        except (DatabaseUnreachable, DatabaseRefused) as error:
            self._drop()
            raise LeasesUnreachable(str(error)) from error
        if answer is None:
            self._drop()
            raise LeasesUnreachable(f"node {self._node} has begun another session: join again")
        assert isinstance(answer, kind)
        return answer

    def _me(self) -> tuple[str, int]:
        return self._node, self._lock_number

    def _reached(self) -> Session:
        if self._session is None or self._session.is_lost:
            raise LeasesUnreachable(f"node {self._node} has no session: join first")
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.drop()
        self._session = None
        self._stirred_now()

    def _stirred_now(self) -> None:
        self._stirred.set()


async def ensure(database: Database, shards: Iterable[ShardId]) -> None:
    """Have these shards exist, free if they are new."""
    wanted = list(shards)
    await database.call(lambda connection: connection.execute(_SQL["ensure"], wanted))
