"""Dead letters in Postgres: listed for operations, requested, and settled by their owner."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from msgspec import structs

from dispatch.ids import Instant, ShardId
from dispatch.journal import Batch, DeadLetter
from dispatch.letter import LettersUnreachable
from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable
from storage.letters import PostgresLetters
from storage.postgres import PostgresStore

SHARD, OTHER = ShardId(2**60), ShardId(8)
AT = Instant(1_700_000_000_123)
CARD = DeadLetter("service:cards", "card", b"\x00\xff", "attempt 10: the bank is busy")
ORDER = DeadLetter("order", "o1", b"\x01", "ValueError")


@asynccontextmanager
async def kept_at(url: str) -> AsyncGenerator[tuple[PostgresLetters, PostgresStore]]:
    """The letters in a database, and the journal that writes them."""
    async with bridged() as bridge:
        database = Database(bridge, url)
        yield PostgresLetters(database), PostgresStore(database)
        await database.close()


async def commit(store: PostgresStore, shard: ShardId, *letters: DeadLetter) -> None:
    """Have the journal write the letters."""
    opened = await store.open(shard)
    batch = Batch(shard=shard, epoch=opened.epoch, number=opened.number + 1, at=AT)
    await store.commit(structs.replace(batch, dead_letters=letters))


async def test_the_newest_letters_are_listed_first_whole_and_by_kind(database: str) -> None:
    async with kept_at(database) as (letters, store):
        await commit(store, SHARD, ORDER, CARD)
        await commit(store, OTHER, ORDER)

        every = await letters.newest(None, 10)
        cards = await letters.newest("service:cards", 10)
        one = await letters.newest(None, 1)

    assert [(letter.shard, letter.kind) for letter in every] == [
        (OTHER, "order"),
        (SHARD, "service:cards"),
        (SHARD, "order"),
    ]
    assert one == [every[0]]
    assert cards == [every[1]]
    assert DeadLetter(cards[0].kind, cards[0].key, cards[0].message, cards[0].error) == CARD
    assert cards[0].at == AT
    assert cards[0].replay_requested_at is cards[0].replayed_at is cards[0].replay_outcome is None


async def test_a_letter_is_replayed_once_for_each_time_that_it_is_asked_for(database: str) -> None:
    async with kept_at(database) as (letters, store):
        await commit(store, SHARD, ORDER, CARD)
        first, second = sorted(letter.id for letter in await letters.newest(None, 10))

        found = await letters.request([second, 10**9])
        waiting = await letters.requested([SHARD, OTHER], 10)
        await letters.settle(second, "accepted")
        settled = await letters.requested([SHARD], 10)
        await letters.request([first, second])
        again = await letters.requested([SHARD], 10)

    assert found == {second}
    assert [letter.id for letter in waiting] == [second]
    assert settled == []
    assert [letter.id for letter in again] == [first, second]


async def test_only_the_letters_of_ones_own_shards_are_to_be_replayed(database: str) -> None:
    async with kept_at(database) as (letters, store):
        await commit(store, SHARD, ORDER)
        await letters.request([letter.id for letter in await letters.newest(None, 10)])

        assert await letters.requested([OTHER], 10) == []
        assert len(await letters.requested([SHARD], 10)) == 1


async def test_what_came_of_a_replay_is_listed(database: str) -> None:
    async with kept_at(database) as (letters, store):
        await commit(store, SHARD, ORDER)
        (letter,) = await letters.newest(None, 10)
        await letters.request([letter.id])

        await letters.settle(letter.id, "refused: not-found")
        (letter,) = await letters.newest(None, 10)

    assert letter.replay_outcome == "refused: not-found"
    assert letter.replayed_at is not None
    assert letter.replay_requested_at is not None
    assert letter.replay_requested_at <= letter.replayed_at


async def test_a_database_that_is_away_tells_an_operator_and_lets_an_owner_wait() -> None:
    async with kept_at("postgresql://nobody@127.0.0.1:9/nothing") as (letters, _):
        with pytest.raises(DatabaseUnreachable):
            await letters.newest(None, 10)
        with pytest.raises(LettersUnreachable):
            await letters.requested([SHARD], 10)
        with pytest.raises(LettersUnreachable):
            await letters.settle(1, "accepted")
