"""The journal in Postgres does what every store must, and holds when connections and owners do not.

The servers are real. A commit is torn where a real one tears: its session is ended by the server,
at whatever it is doing just then; and two owners meet where real ones do, at a row of the database.
"""

import random
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trio
from asyncpg import Connection

from dispatch.ids import Instant, ShardId
from dispatch.journal import (
    Batch,
    Checkpoint,
    Committed,
    FactRow,
    FeedRow,
    JournalUnreachable,
    LeaseLost,
    Recovered,
)
from dispatch.lease import NodeId
from storage.bridge import bridged
from storage.database import Database, Terms, connected
from storage.postgres import PostgresStore
from tests.storage.conformance import NAME, SHARD, Conformance, Store, full

NODE = NodeId("node-a")
IMPATIENT = Terms(backoff_s=0.001, backoff_s_max=0.01)


@asynccontextmanager
async def opened(
    url: str, node: NodeId | None = None, terms: Terms = IMPATIENT
) -> AsyncGenerator[tuple[Database, PostgresStore]]:
    """A store in this database, and the way to ask the database otherwise."""
    async with bridged() as bridge, connected(bridge, url, terms) as database:
        yield database, PostgresStore(database, node)


async def asked(database: Database, query: str, *arguments: object) -> list[tuple[object, ...]]:
    """What the database answers."""
    rows = await database.call(lambda there: there.fetch(query, *arguments))
    return [tuple(row) for row in rows]


async def done(database: Database, command: str) -> None:
    """Have the database do something."""
    await database.call(lambda there: there.execute(command))


class TestPostgresStore(Conformance):
    @pytest.fixture(autouse=True)
    def _place(self, database: str) -> None:
        self.url = database

    def fresh(self) -> AbstractAsyncContextManager[Store]:
        return self._fresh()

    @asynccontextmanager
    async def _fresh(self) -> AsyncGenerator[Store]:
        async with opened(self.url) as (_, store):
            yield store


SESSIONS = """
select pid from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and query like 'select commit_batch%'
"""


KILL = SESSIONS.replace("select pid", "select pg_terminate_backend(pid)")


async def commit_until_answered(store: PostgresStore, batch: Batch) -> tuple[Committed, int]:
    """The answer to a batch that is sent until there is one, and how often it was sent."""
    for tries in range(1, 50):
        try:
            return await store.commit(batch), tries
        except JournalUnreachable:
            await trio.lowlevel.checkpoint()
    raise AssertionError("fifty times no answer")


async def test_a_commit_whose_connection_is_killed_is_decided_exactly_once(database: str) -> None:
    chance, count = random.Random(5), 25
    answers: list[Committed] = []
    sent = 0

    async def kill(killer: Database) -> None:
        while len(answers) < count:
            await trio.sleep(chance.uniform(0, 0.006))
            await done(killer, KILL)

    async with opened(database) as (_, store), opened(database) as (killer, _):
        epoch = (await store.open(SHARD)).epoch
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill, killer)
            for number in range(1, count + 1):
                answer, tries = await commit_until_answered(store, full(epoch, number))
                answers.append(answer)
                sent += tries
        history = await store.history(*NAME)
        feed = await store.feed("ann", 0)
        letters = await store.dead_letters()

    assert sent > count, "no connection was killed during a commit"
    assert answers == [Committed((number,)) for number in range(1, count + 1)]
    assert [int(fact) for fact in history] == list(range(1, count + 1))
    assert [number for number, _ in feed] == list(range(1, count + 1))
    assert len(letters) == count


async def waits_for_lock(database: Database, count: int) -> None:
    """Wait until so many sessions wait for a lock."""
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    with trio.fail_after(5):
        while (await asked(database, waiting)) != [(count,)]:  # noqa: ASYNC110 - others wait.
            await trio.sleep(0.005)


@asynccontextmanager
async def held(database: Database, command: str) -> AsyncGenerator[None]:
    """Hold the locks that a command takes for as long as the block lasts."""
    session = await database.connection()

    async def take(there: Connection) -> None:
        await there.execute("set idle_in_transaction_session_timeout = 0; begin")
        await there.execute(command)

    await session.call(take)
    yield
    await session.call(lambda there: there.execute("commit"))
    await session.close()


async def test_a_takeover_waits_for_a_commit_under_way_and_starts_from_it(database: str) -> None:
    taken: list[Recovered] = []

    async def take_over(store: PostgresStore) -> None:
        taken.append(await store.open(SHARD))

    async with opened(database) as (base, old), opened(database) as (_, new):
        epoch = (await old.open(SHARD)).epoch
        async with trio.open_nursery() as nursery:  # noqa: SIM117 - the lock goes first.
            async with held(base, "lock table fact in exclusive mode"):
                nursery.start_soon(old.commit, full(epoch, 1))
                await waits_for_lock(base, 1)
                nursery.start_soon(take_over, new)
                await waits_for_lock(base, 2)
                taken_meanwhile = list(taken)

    assert taken_meanwhile == []
    assert [(one.epoch, one.number) for one in taken] == [(epoch + 1, 1)]
    assert taken[0].checkpoints == full(epoch, 1).checkpoints


async def test_a_commit_that_comes_after_a_takeover_under_way_writes_nothing(database: str) -> None:
    refusals: list[LeaseLost] = []

    async def commit(store: PostgresStore, epoch: int) -> None:
        with pytest.raises(LeaseLost) as refused:
            await store.commit(full(epoch, 1))
        refusals.append(refused.value)

    async with opened(database) as (base, old), opened(database) as (_, new):
        epoch = (await old.open(SHARD)).epoch
        async with trio.open_nursery() as nursery:  # noqa: SIM117 - the lock goes first.
            async with held(base, "select from shard_head for update"):
                nursery.start_soon(new.open, SHARD)
                await waits_for_lock(base, 1)
                nursery.start_soon(commit, old, epoch)
                await waits_for_lock(base, 2)
        history = await new.history(*NAME)

    assert len(refusals) == 1
    assert history == []


async def test_a_commit_that_does_not_get_its_lock_in_time_can_be_sent_again(database: str) -> None:
    hasty = Terms(lock_s=0.02)
    async with opened(database, terms=hasty) as (base, store):
        epoch = (await store.open(SHARD)).epoch
        async with held(base, "lock table fact in exclusive mode"):
            with pytest.raises(JournalUnreachable, match="a lock was not to be had in time"):
                await store.commit(full(epoch, 1))
        committed = await store.commit(full(epoch, 1))

    assert committed == Committed((1,))


async def test_a_commit_that_takes_too_long_is_cut_off_and_can_be_sent_again(database: str) -> None:
    hasty = Terms(call_s=0.2, lock_s=5)
    async with opened(database, terms=hasty) as (_, store), opened(database) as (base, _):
        epoch = (await store.open(SHARD)).epoch
        async with held(base, "lock table fact in exclusive mode"):
            with pytest.raises(JournalUnreachable, match="did not answer in time"):
                await store.commit(full(epoch, 1))
        committed = await store.commit(full(epoch, 1))
        history = await store.history(*NAME)

    assert committed == Committed((1,))
    assert history == [b"1"]


async def lease(database: Database, node: str, ttl_s: float) -> None:
    command = """
        insert into lease (shard, node, expires_at)
        values ($1, $2, clock_timestamp() + make_interval(secs => $3))
    """
    await asked(database, command, SHARD, node, ttl_s)


async def test_a_node_opens_a_shard_that_it_has_the_lease_of(database: str) -> None:
    async with opened(database, NODE) as (base, store):
        await lease(base, NODE, 60)
        taken = await store.open(SHARD)

    assert taken.epoch == 1


@pytest.mark.parametrize(("node", "ttl_s"), [("node-b", 60), (NODE, -0.001)])
async def test_a_node_without_the_lease_does_not_open_the_shard(
    database: str, node: str, ttl_s: float
) -> None:
    async with opened(database, NODE) as (base, store):
        await lease(base, node, ttl_s)
        with pytest.raises(LeaseLost):
            await store.open(SHARD)
        heads = await asked(base, "select epoch from shard_head")

    assert heads == []


async def test_a_shard_s_session_is_closed_with_it_and_made_anew_when_it_is_lost(
    database: str,
) -> None:
    sessions = SESSIONS.replace("select pid", "select count(*)")
    async with opened(database) as (base, store):
        epoch = (await store.open(SHARD)).epoch
        await store.commit(full(epoch, 1))
        before = await asked(base, sessions)
        await store.close(SHARD)
        after = await asked(base, sessions)
        await store.commit(full(epoch, 2))
        again = await asked(base, sessions)

    assert (before, after, again) == ([(1,)], [(0,)], [(1,)])


async def test_facts_lie_in_the_partition_of_their_month(database: str) -> None:
    async with opened(database) as (base, store):
        epoch = (await store.open(SHARD)).epoch
        (now,), *_ = await asked(
            base, "select (extract(epoch from clock_timestamp()) * 1000)::bigint"
        )
        assert isinstance(now, int)
        facts = (FactRow(*NAME, b"x"),)
        for number, at in enumerate((now, 0, now + 45 * 86_400_000), start=1):
            await store.commit(Batch(SHARD, epoch, number, Instant(at), facts=facts))
        places = await asked(
            base, "select tableoid::regclass::text, to_char(at, 'YYYY_MM') from fact order by at"
        )

    assert places[0] == ("fact_default", "1970_01")
    assert [place for place, _ in places[1:]] == [f"fact_{month}" for _, month in places[1:]]


async def test_a_month_whose_facts_lie_in_the_default_partition_gets_none_of_its_own(
    database: str,
) -> None:
    async with opened(database) as (base, store):
        epoch = (await store.open(SHARD)).epoch
        (ahead,), *_ = await asked(
            base,
            "select (extract(epoch from date_trunc('month', clock_timestamp(), 'utc')"
            " + interval '3 months') * 1000)::bigint",
        )
        assert isinstance(ahead, int)
        facts = (FactRow(*NAME, b"early"),)
        await store.commit(Batch(SHARD, epoch, 1, Instant(ahead), facts=facts))
        made = await asked(base, "select make_fact_partitions(4)")
        history = await store.history(*NAME)

    assert made == [(1,)], "only the fourth month from now"
    assert history == [b"early"]


async def test_partitions_that_cannot_be_made_do_not_keep_a_shard_from_working(
    database: str,
) -> None:
    async with opened(database) as (base, store):
        await done(base, "drop function make_fact_partitions")
        epoch = (await store.open(SHARD)).epoch
        committed = await store.commit(full(epoch, 1))

    assert committed == Committed((1,))


async def test_two_shards_that_write_to_the_same_feeds_never_wait_for_each_other_for_ever(
    database: str,
) -> None:
    people = [f"person-{at}" for at in range(40)]
    chance = random.Random(3)

    async def write(store: PostgresStore, shard: ShardId) -> None:
        epoch = (await store.open(shard)).epoch
        for number in range(1, 16):
            rows = tuple(FeedRow(person, b"x") for person in chance.sample(people, 40))
            await store.commit(Batch(shard, epoch, number, Instant(0), feed=rows))

    async with opened(database) as (base, store):
        async with trio.open_nursery() as nursery:
            for shard in range(4):
                nursery.start_soon(write, store, ShardId(shard))
        heads = await asked(base, "select distinct number from feed_head")
        messages = await asked(base, "select count(*), count(distinct number) from feed_message")

    assert heads == [(60,)]
    assert messages == [(60 * 40, 60)]


async def test_a_store_that_an_operator_must_mend_says_so_and_acknowledges_nothing(
    database: str,
) -> None:
    async with opened(database) as (base, store):
        epoch = (await store.open(SHARD)).epoch
        await done(base, "alter table fact rename to gone")
        with pytest.raises(JournalUnreachable, match="run `dispatch migrate`"):
            await store.commit(full(epoch, 1))
        await done(base, "alter table gone rename to fact")
        committed = await store.commit(full(epoch, 1))

    assert committed == Committed((1,))


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A folder on a disk of a few megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small disk")
    place = folder / "tablespace"
    place.mkdir(mode=0o777)
    yield place
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


@pytest.mark.slow
async def test_a_full_disk_refuses_a_batch_whole_until_there_is_room(
    database: str, small_disk: Path
) -> None:
    chance = random.Random(1)

    def big(number: int) -> Batch:
        facts = tuple(FactRow(*NAME, chance.randbytes(1_000)) for _ in range(2_000))
        state = (Checkpoint(*NAME, f"{number}".encode()),)
        return Batch(SHARD, epoch, number, Instant(0), checkpoints=state, facts=facts)

    async def fill() -> None:
        for number in range(1, 10):
            batches.append(big(number))
            await store.commit(batches[-1])

    batches: list[Batch] = []
    async with opened(database, terms=Terms(call_s=20)) as (base, store):
        epoch = (await store.open(SHARD)).epoch
        await done(base, f"create tablespace small location '{small_disk}'")
        await done(base, "alter table fact_default set tablespace small")
        with pytest.raises(JournalUnreachable, match="no room left on its disk") as full_disk:
            await fill()
        (state,) = await store.load(SHARD, [NAME])
        facts = await asked(base, "select count(*) from fact")
        await done(base, "alter table fact_default set tablespace pg_default")
        committed = await store.commit(batches[-1])
        facts_after = await asked(base, "select count(*) from fact")
        await done(base, "drop tablespace small")

    number = len(batches)
    assert number > 1
    assert "make room" in str(full_disk.value)
    assert state == f"{number - 1}".encode()
    assert facts == [((number - 1) * 2_000,)]
    assert committed == Committed()
    assert facts_after == [(number * 2_000,)]
