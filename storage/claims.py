"""The claims on service work in Postgres: one statement a call, all time the server's.

A claim is an insert that fails while somebody has the work or it is not due, so that of two nodes
that ask at once one gets it. Claims are kept apart from the outbox: its rows are written by shards
only, under their epoch, and a claim may be anybody's.
"""

from collections.abc import Generator
from contextlib import contextmanager

from asyncpg import Connection

from dispatch.claim import Busy, ClaimsUnreachable, Taken, WorkId
from dispatch.lease import NodeId
from storage.database import Database, DatabaseRefused, DatabaseUnreachable
from storage.queries import queries

SQL = queries("claims")
ERROR_CHARS_MAX = 1_000


class PostgresClaims:
    """The claims of all nodes; fits `node.ports.Claims`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, work: WorkId, node: NodeId, hold_s: float) -> Taken | Busy:
        """Take the work for `hold_s`, if it is due and nobody else has it."""
        with _claim_errors():
            return await self._database.call(lambda there: _claimed(there, work, node, hold_s))

    async def put_off(self, work: WorkId, node: NodeId, due_s: float, error: str) -> None:
        """Let go of the work, which is due again in `due_s`; nothing if another has it now."""
        told = error[:ERROR_CHARS_MAX].replace("\0", "")
        await self._execute("put_off", work.shard, work.sequence, node, due_s, told)

    async def settle(self, work: WorkId, node: NodeId) -> None:
        """Forget the work, which is done with; nothing if another has it now."""
        await self._execute("settle", work.shard, work.sequence, node)

    async def prune(self, age_s: float) -> int:
        """Forget claims that were due so long ago; return how many there were."""
        with _claim_errors():
            return await self._database.call(lambda there: there.fetchval(SQL["prune"], age_s))

    async def _execute(self, query: str, *arguments: object) -> None:
        with _claim_errors():
            await self._database.call(lambda there: there.execute(SQL[query], *arguments))


async def _claimed(there: Connection, work: WorkId, node: NodeId, hold_s: float) -> Taken | Busy:
    attempts = await there.fetchval(SQL["claim"], work.shard, work.sequence, node, hold_s)
    if attempts is not None:
        return Taken(attempts)
    left_s = await there.fetchval(SQL["find_left"], work.shard, work.sequence)
    return Busy(max(0.0, left_s or 0.0))


@contextmanager
def _claim_errors() -> Generator[None]:
    """Turn what the database cannot do into what the claims may raise."""
    try:
        yield
    except (DatabaseRefused, DatabaseUnreachable) as error:
        raise ClaimsUnreachable(str(error)) from error
