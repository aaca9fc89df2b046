"""The keys that sign access tokens, in Postgres, so that every node signs with the same one.

When a key changes its state is decided elsewhere; here it is only held that one key is active and
one is next at most, whoever asks for it at the same time as others. The private part of a key is
sealed, and is wiped as soon as the key stops signing.
"""

from asyncpg import Connection
from msgspec import convert

from storage.database import Database
from storage.queries import queries
from wire.accounts import SigningKeyRow

SQL = queries("signing_keys")


class PostgresSigningKeys:
    """The signing keys of the cluster."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self) -> tuple[SigningKeyRow, ...]:
        """Return the keys that are not gone."""
        rows = await self._database.call(lambda there: there.fetch(SQL["fetch_all"]))
        return tuple([convert(dict(row), SigningKeyRow) for row in rows])

    async def create(self, key: SigningKeyRow) -> None:
        """Write a key, unless there is one in that state already and there may be one only."""
        told = (key.kid, key.state, key.public_key, key.sealed)
        await self._database.call(lambda there: there.execute(SQL["create"], *told))

    async def promote(self, active: str | None, following: str | None) -> None:
        """Retire the active key, and have the next one sign; what moved on already stays so."""

        async def write(there: Connection) -> None:
            async with there.transaction():
                await there.execute(SQL["retire"], active)
                await there.execute(SQL["activate"], following)

        await self._database.call(write)

    async def drop(self, kid: str) -> None:
        """Have a retired key, or one that never signed, be gone: what it signed is refused."""

        async def write(there: Connection) -> None:
            await there.execute(SQL["drop"], kid)
            await there.execute(SQL["discard_next"], kid)

        await self._database.call(write)
