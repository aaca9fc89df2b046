"""Old messages and facts go, young ones stay, and whoever reads on is told what is gone."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from actors.codec import encode
from dispatch.ids import DeviceId, Instant, ShardId
from dispatch.journal import Batch, Checkpoint, FeedRow
from dispatch.step import Accepted
from storage import facts, retention
from storage.bridge import bridged
from storage.cursors import Cursor, Start, find_start, store_cursors
from storage.database import Database, DatabaseUnreachable, connected
from storage.feeds import fetch_feed
from storage.postgres import PostgresStore
from storage.retention import MESSAGES_MAX, PERSONS_MAX, Cleared, Past
from tests.storage.test_facts import MINE, noted

ANN, BOB, PHONE = "usr_ann", "usr_bob", DeviceId("phone")
SHARD = ShardId(7)
DAYS = 30
MANY_HEADS = """
insert into feed_head (person, number)
select 'usr_' || each, 1 from generate_series(1, $1::integer) as each
"""
MANY_OLD = """
insert into feed_message (person, number, message, at)
select 'usr_' || each, 1, 'x', '2020-01-15' from generate_series(1, $1::integer) as each
"""
HELD_S = 3_600.0
OLD_MONTH = """
create table fact_2020_01 partition of fact
    for values from ('2020-01-01T00:00:00Z') to ('2020-02-01T00:00:00Z')
"""
FACT = """
insert into fact (shard, kind, key, fact, at)
values (1, 'order', 'ord_1', $1, $2::text::timestamptz)
"""


@asynccontextmanager
async def store(url: str) -> AsyncGenerator[Database]:
    async with bridged() as bridge, connected(bridge, url) as database:
        yield database


async def done(database: Database, statement: str, *arguments: object) -> None:
    await database.call(lambda there: there.execute(statement, *arguments))


async def told(database: Database, person: str, count: int, old_count: int) -> None:
    """Tell a person so many messages, the first of them long ago."""
    message = (
        "insert into feed_message (person, number, message, at) "
        "select $1, number, 'x', clock_timestamp() - case when number <= $3 then interval '31 days'"
        " else interval '29 days' end from generate_series(1, $2::integer) as number"
    )
    await done(database, message, person, count, old_count)
    head = "insert into feed_head (person, number) values ($1, $2)"
    await done(database, head, person, count)


async def cleared(database: Database) -> int:
    """Clear all feeds from the beginning to the end; return how many messages are gone."""
    part = Cleared(await retention.claim(database, Past.FEEDS, 0) or "", 0, is_over=False)
    count = 0
    while not part.is_over:
        part = await retention.clear_feeds(database, part.position, DAYS)
        count += part.count
    return count


async def numbers(database: Database, person: str) -> list[int]:
    return [entry.number for entry in await fetch_feed(database, person, 0, 1_000)]


async def test_old_messages_go_and_young_ones_stay(database: str) -> None:
    async with store(database) as there:
        await told(there, ANN, 5, old_count=3)
        await told(there, BOB, 2, old_count=0)
        count = await cleared(there)
        left = [await numbers(there, person) for person in (ANN, BOB)]

    assert count == 3
    assert left == [[4, 5], [1, 2]]


async def test_a_feed_is_never_left_with_a_hole(database: str) -> None:
    async with store(database) as there:
        await told(there, ANN, 4, old_count=3)
        late = "update feed_message set at = clock_timestamp() where number = 2"
        await done(there, late)
        await cleared(there)
        left = await numbers(there, ANN)

    assert left == [4]


async def test_a_feed_that_is_long_and_many_that_are_short_are_cleared_piece_by_piece(
    database: str,
) -> None:
    async with store(database) as there:
        await told(there, ANN, 2 * MESSAGES_MAX + 1, old_count=2 * MESSAGES_MAX)
        await done(there, MANY_HEADS, PERSONS_MAX + 1)
        await done(there, MANY_OLD, PERSONS_MAX + 1)
        count = await cleared(there)
        left = await numbers(there, ANN)

    assert count == 2 * MESSAGES_MAX + PERSONS_MAX + 1
    assert left == [2 * MESSAGES_MAX + 1]


async def test_a_device_that_was_away_too_long_begins_anew(database: str) -> None:
    async with store(database) as there:
        await told(there, ANN, 6, old_count=4)
        await store_cursors(there, [Cursor(ANN, PHONE, 2)])
        await cleared(there)
        named = [await find_start(there, ANN, PHONE, last) for last in (None, 3, 4, 5, 6, 99)]
        new = await find_start(there, ANN, DeviceId("tablet"), None)
        from_the_first = await find_start(there, ANN, PHONE, 0)

    anew = Start(4, is_anew=True)
    assert named == [anew, anew, Start(4), Start(5), Start(6), Start(6)]
    assert new == from_the_first == Start(4)


async def test_a_device_whose_feed_was_cleared_whole_hears_what_comes_next(database: str) -> None:
    async with store(database) as there:
        await told(there, ANN, 3, old_count=3)
        await cleared(there)
        seen = await find_start(there, ANN, PHONE, 3)
        unseen = await find_start(there, ANN, PHONE, 1)

    assert (seen, unseen) == (Start(3), Start(3, is_anew=True))


async def test_one_node_at_a_time_clears_and_the_next_goes_on_where_it_was(database: str) -> None:
    async with store(database) as there:
        await told(there, ANN, 1, old_count=1)
        first = await retention.claim(there, Past.FEEDS, HELD_S)
        part = await retention.clear_feeds(there, "", DAYS)
        second = await retention.claim(there, Past.FEEDS, HELD_S)
        later = await retention.claim(there, Past.FEEDS, 0)

    assert (first, second) == ("", None)
    assert later == part.position == ANN


async def test_a_month_of_facts_goes_when_all_of_it_is_old(database: str) -> None:
    async with noted(database) as there:
        await done(there, OLD_MONTH)
        await done(there, FACT, b"old", "2020-01-15")
        await done(there, FACT, b"young", "now")
        await retention.claim(there, Past.FACTS, 0)
        dropped = [await retention.drop_month(there, DAYS) for _ in range(2)]
        read = await facts.read_of_tenant(there, MINE, 0, 10)

    assert dropped == ["fact_2020_01", None]
    assert [one.fact for one in read.found] == [b"young"]


async def test_facts_without_a_month_go_too(database: str) -> None:
    async with noted(database) as there:
        for fact, at in ((b"old", "2020-01-15"), (b"young", "now")):
            await done(there, FACT, fact, at)
        await retention.claim(there, Past.FACTS, 0)
        counts = [await retention.clear_stray_facts(there, DAYS) for _ in range(2)]
        read = await facts.read_of_tenant(there, MINE, 0, 10)

    assert counts == [1, 0]
    assert [one.fact for one in read.found] == [b"young"]


async def test_who_has_not_read_facts_that_are_gone_is_told_so(database: str) -> None:
    async with noted(database) as there:
        for fact, at in ((b"1", "2020-01-15"), (b"2", "2020-01-16"), (b"3", "now")):
            await done(there, FACT, fact, at)
        await retention.claim(there, Past.FACTS, 0)
        await retention.clear_stray_facts(there, DAYS)
        with pytest.raises(facts.FactsGone) as gone:
            await facts.read_of_tenant(there, MINE, 1, 10)
        read = await facts.read_of_tenant(there, MINE, gone.value.number, 10)

    assert gone.value.number == 2
    assert [one.fact for one in read.found] == [b"3"]


async def test_a_month_is_not_dropped_while_the_journal_is_busy(database: str) -> None:
    async with store(database) as there:
        await done(there, OLD_MONTH)
        await retention.claim(there, Past.FACTS, 0)
        session = await there.connection()
        await session.call(lambda one: one.execute("begin"))
        await session.call(lambda one: one.execute("lock table fact in row exclusive mode"))
        with pytest.raises(DatabaseUnreachable, match="a lock was not to be had"):
            await retention.drop_month(there, DAYS)
        await session.close()
        dropped = await retention.drop_month(there, DAYS)

    assert dropped == "fact_2020_01"


async def test_a_shard_starts_from_what_no_clearing_touches(database: str) -> None:
    async with store(database) as there:
        journal = PostgresStore(there)
        opened = await journal.open(SHARD)
        batch = Batch(
            shard=SHARD,
            epoch=opened.epoch,
            number=1,
            at=Instant(1_577_836_800_000),
            checkpoints=(Checkpoint("bank", "ann", b"100"),),
            feed=(FeedRow(ANN, encode(Accepted())),),
        )
        await journal.commit(batch)
        count = await cleared(there)
        recovered = await PostgresStore(there).open(SHARD)

    assert count == 1
    assert recovered.checkpoints == (Checkpoint("bank", "ann", b"100"),)
