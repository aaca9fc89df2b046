"""The claims in Postgres do what all claims must, and say when the database is away."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from dispatch.claim import ClaimsUnreachable, Taken
from node.ports import Claims
from storage.bridge import bridged
from storage.claims import PostgresClaims
from storage.database import Database
from tests.storage.claim_conformance import LONG_S, WORK, A, ClaimConformance


@asynccontextmanager
async def kept_at(url: str) -> AsyncGenerator[PostgresClaims]:
    """The claims in a database."""
    async with bridged() as bridge:
        database = Database(bridge, url)
        yield PostgresClaims(database)
        await database.close()


class TestPostgresClaims(ClaimConformance):
    @pytest.fixture(autouse=True)
    def _place(self, database: str) -> None:
        self.url = database

    def fresh(self) -> AbstractAsyncContextManager[Claims]:
        return kept_at(self.url)


async def test_a_database_that_is_away_is_told_as_such() -> None:
    async with kept_at("postgresql://nobody@127.0.0.1:9/nothing") as claims:
        with pytest.raises(ClaimsUnreachable, match=r"127\.0\.0\.1:9"):
            await claims.claim(WORK, A, LONG_S)


async def test_an_error_that_no_text_column_takes_is_kept_without_what_it_cannot_take(
    database: str,
) -> None:
    async with kept_at(database) as claims:
        await claims.claim(WORK, A, LONG_S)

        await claims.put_off(WORK, A, 0.0, "a\0b" * 1_000)

        assert await claims.claim(WORK, A, LONG_S) == Taken(2)
