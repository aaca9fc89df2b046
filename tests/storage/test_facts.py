"""Who reads the journal on from where he was meets every fact once, whoever commits when."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from dispatch.ids import CustomerId, MarketId, OrderId, RestaurantId, TenantId
from storage import facts, order_notes
from storage.bridge import bridged
from storage.database import Database, Session, connected
from storage.order_notes import OrderNote
from wire.orders import Asked, DropOffPlace, PickupPlace

MINE, YOURS = TenantId("tnt_mine"), TenantId("tnt_yours")
ASKED = Asked(lines=(), pickup=PickupPlace(lat=0, lng=0), dropoff=DropOffPlace(lat=0, lng=0))
FACT = "insert into fact (shard, kind, key, fact, at) values (1, $1, $2, $3, clock_timestamp())"


@asynccontextmanager
async def noted(url: str) -> AsyncGenerator[Database]:
    """A database with an order of each tenant."""
    async with bridged() as bridge, connected(bridge, url) as database:
        for tenant_id, order_id in ((MINE, "ord_1"), (YOURS, "ord_2")):
            note = OrderNote(
                order_id=OrderId(order_id),
                tenant_id=tenant_id,
                market_id=MarketId("m"),
                customer_id=CustomerId("usr_1"),
                restaurant_id=RestaurantId("rst_1"),
                asked=ASKED,
            )
            assert await order_notes.keep(database, note) is order_notes.Kept.KEPT
        yield database


async def write(where: Database | Session, told: bytes, key: str = "ord_1") -> None:
    """Write a fact of an order, or, in a session, of a transaction that may be open."""
    await where.call(lambda there: there.execute(FACT, "order", key, told))


async def begun(database: Database) -> Session:
    """A transaction that has begun to write, as a batch has before it writes facts."""
    session = await database.connection()
    await session.call(lambda there: there.execute("begin"))
    await session.call(lambda there: there.fetchval("select pg_current_xact_id()::text"))
    return session


async def end(session: Session) -> None:
    """Commit the transaction."""
    await session.call(lambda there: there.execute("commit"))
    await session.close()


async def told_of(database: Database, after: int = 0, count_max: int = 10) -> list[bytes]:
    """What is told of my orders after that number."""
    read = await facts.read_of_tenant(database, MINE, after, count_max)
    return [one.fact for one in read.found]


async def test_nobody_reads_past_a_fact_that_is_committed_late(database: str) -> None:
    async with noted(database) as store:
        late, early = await begun(store), await begun(store)
        await write(late, b"first")
        await write(early, b"second")
        await end(early)
        with trio.move_on_after(0.05) as waiting:
            await facts.horizon_of(store)
        await end(late)
        read = await told_of(store)

    assert waiting.cancelled_caught
    assert read == [b"first", b"second"]


async def test_a_transaction_that_began_earlier_may_write_last(database: str) -> None:
    async with noted(database) as store:
        older, younger = await begun(store), await begun(store)
        await write(younger, b"first")
        await write(older, b"second")
        await end(older)
        with trio.move_on_after(0.05) as waiting:
            await facts.horizon_of(store)
        await end(younger)
        read = await told_of(store)

    assert waiting.cancelled_caught
    assert read == [b"first", b"second"]


async def test_a_transaction_that_began_later_is_not_waited_for(database: str) -> None:
    async with noted(database) as store:
        await write(store, b"done")
        number, transaction = await store.call(facts._newest)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        open_one = await begun(store)
        is_over = await store.call(lambda there: there.fetchval(facts.SQL["are_over"], transaction))
        await write(open_one, b"later")
        await end(open_one)
        last = await facts.horizon_of(store)

    assert is_over
    assert last == number + 1


async def test_a_tenant_is_told_of_its_own_orders_only(database: str) -> None:
    async with noted(database) as store:
        await write(store, b"mine")
        await write(store, b"yours", "ord_2")
        await write(store, b"nobody's", "ord_3")
        read = await facts.read_of_tenant(store, MINE, 0, 10)

    assert [one.fact for one in read.found] == [b"mine"]
    assert read.is_all


async def test_reading_on_meets_each_fact_once_while_others_are_written(database: str) -> None:
    async with noted(database) as store:
        seen: list[bytes] = []
        after = 0
        for beat in range(6):
            await write(store, b"a%d" % beat)
            await write(store, b"noise", "ord_2")
            await write(store, b"b%d" % beat)
            read = await facts.read_of_tenant(store, MINE, after, 1)
            seen += [one.fact for one in read.found]
            after = read.number
        rest = await facts.read_of_tenant(store, MINE, after, 100)

    written = [told for beat in range(6) for told in (b"a%d" % beat, b"b%d" % beat)]
    assert seen + [one.fact for one in rest.found] == written
    assert rest.is_all


async def test_a_look_that_finds_nothing_goes_on_behind_what_it_saw(database: str) -> None:
    async with noted(database) as store:
        await store.call(
            lambda there: there.execute(
                "insert into fact (shard, kind, key, fact, at) "
                "select 1, 'order', 'ord_2', '', clock_timestamp() from generate_series(1, $1)",
                facts.SCANNED_MAX * facts.LOOKS_MAX + 10,
            )
        )
        await write(store, b"mine")
        first = await facts.read_of_tenant(store, MINE, 0, 10)
        second = await facts.read_of_tenant(store, MINE, first.number, 10)

    assert (list(first.found), first.is_all) == ([], False)
    assert first.number == facts.SCANNED_MAX * facts.LOOKS_MAX
    assert ([one.fact for one in second.found], second.is_all) == ([b"mine"], True)
