"""Decisions are read by their order, the oldest first, and by the courier they are about."""

import msgspec
from msgspec import structs

from dispatch.decision import Verdict
from dispatch.ids import CourierId
from storage import decisions
from storage.bridge import bridged
from storage.database import Database, connected
from tests.dispatch.builders import COURIER, ORDER, OTHER_COURIER, OTHER_ORDER
from tests.dispatch.test_sentences import DECIDED

FACT = "insert into fact (shard, kind, key, fact, at) values (1, $1, $2, $3, clock_timestamp())"


async def file(
    database: Database, key: str = ORDER, kind: str = "decision", **changes: object
) -> None:
    fact = msgspec.msgpack.encode(structs.replace(DECIDED, **changes))
    await database.call(lambda there: there.execute(FACT, kind, key, fact))


async def test_an_orders_decisions_are_read_page_by_page(database: str) -> None:
    async with bridged() as bridge, connected(bridge, database) as store:
        for number in range(3):
            await file(store, number=number)
        await file(store, key=OTHER_ORDER)
        await file(store, kind="order")

        first = await decisions.fetch_of_order(store, ORDER, 0, 2)
        rest = await decisions.fetch_of_order(store, ORDER, first[-1].number, 2)

    assert [one.decided.number for one in (*first, *rest)] == [0, 1, 2]
    assert first[0].decided == structs.replace(DECIDED, number=0)


async def test_a_courier_is_found_by_what_he_got_and_what_he_lost(database: str) -> None:
    mine, theirs = COURIER, OTHER_COURIER
    async with bridged() as bridge, connected(bridge, database) as store:
        await file(store, number=1, courier_id=mine)
        await file(store, number=2, courier_id=theirs)
        await file(store, number=3, courier_id=theirs, held_by=mine, verdict=Verdict.MOVED)
        await file(store, number=4, courier_id=mine, verdict=Verdict.KEPT_WAITING)

        his = await decisions.fetch_about(store, ORDER, mine, 0, 10)
        first = await decisions.fetch_about(store, ORDER, mine, 0, 1)
        nobodys = await decisions.fetch_about(store, ORDER, CourierId("crr_9"), 0, 10)

    assert [one.decided.number for one in his] == [1, 3]
    assert first == his[:1]
    assert nobodys == []
