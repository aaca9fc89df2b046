"""The dead letters in Postgres, for operations to list and for the owners of shards to replay.

What an operator asks fails with the database's own errors, which say what to do. What an owner asks
is asked again a moment later, whatever it failed of.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from dispatch.ids import ShardId
from dispatch.letter import Letter, LettersUnreachable
from storage.database import Database, DatabaseRefused, DatabaseUnreachable
from storage.queries import queries

SQL = queries("letters")
OUTCOME_CHARS_MAX = 1_000


class PostgresLetters:
    """The dead letters of all shards; fits `node.ports.Letters`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, kind: str | None, count_max: int) -> Sequence[Letter]:
        """Return the newest letters, of one kind if it is named, newest first."""
        return await self._fetch("fetch_newest", kind, count_max)

    async def request(self, ids: Iterable[int]) -> frozenset[int]:
        """Have letters replayed, again too; return those that there are."""
        wanted = list(ids)
        rows = await self._database.call(lambda there: there.fetch(SQL["request_replay"], wanted))
        return frozenset(number for (number,) in rows)

    async def requested(self, shards: Iterable[ShardId], count_max: int) -> Sequence[Letter]:
        """Return letters of these shards that are to be replayed, oldest first."""
        with _letter_errors():
            return await self._fetch("fetch_requested", list(shards), count_max)

    async def settle(self, letter: int, outcome: str) -> None:
        """Note that the letter was replayed and what came of it."""
        told = outcome[:OUTCOME_CHARS_MAX].replace("\0", "")
        with _letter_errors():
            await self._database.call(lambda there: there.execute(SQL["settle"], letter, told))

    async def _fetch(self, query: str, *arguments: object) -> Sequence[Letter]:
        rows = await self._database.call(lambda there: there.fetch(SQL[query], *arguments))
        return [Letter(**dict(zip(Letter.__struct_fields__, row, strict=True))) for row in rows]


@contextmanager
def _letter_errors() -> Generator[None]:
    """Turn what the database cannot do into what the letters may raise."""
    try:
        yield
    except (DatabaseRefused, DatabaseUnreachable) as error:
        raise LettersUnreachable(str(error)) from error
