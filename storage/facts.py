"""The journal of orders, for people and integrators to read on from where they were.

Facts are numbered as they are written, and seen when their batch commits: of two shards that commit
at the same time, the one with the higher numbers may be seen first. Who had read on past the lower
ones would never see them. So nobody is shown a fact above the horizon, the highest number below
which nothing can appear any more: the newest number given out, once every transaction is over that
was under way when it was read. A batch has its transaction before it draws a number, so that any
number at or below the newest is drawn by one of those; and they take milliseconds.

Most facts are of others: a page looks at so many numbers and no more, shows what it found, and says
how far it looked.
"""

from collections.abc import Sequence

import trio
from asyncpg import Connection, Record
from msgspec import Struct

from dispatch.ids import Instant, OrderId, TenantId
from storage.database import Database
from storage.queries import queries

SQL = queries("facts")
SCANNED_MAX = 5_000
"""Numbers that one look takes in."""
LOOKS_MAX = 8
"""Looks for one page, before it is shown though it has room left."""
OVER_S = 0.005
OVER_TRIES_MAX = 200


class HorizonHidden(Exception):
    """A transaction has been under way for long, and may write facts yet: ask again."""


class FactsGone(Exception):
    """Facts that were asked for are not kept any more: those up to `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(f"facts up to {number} are not kept any more")
        self.number = number


class Happened(Struct, frozen=True):
    """One fact of an order, as it was written, by its number in the journal."""

    number: int
    order_id: OrderId
    fact: bytes
    at: Instant


class Read(Struct, frozen=True):
    """What was found, and up to which number everything was looked at; `is_all` if that is all."""

    found: Sequence[Happened]
    number: int
    is_all: bool


async def fetch_of_order(
    database: Database, order_id: OrderId, after: int, count_max: int
) -> Sequence[Happened]:
    """Return the facts of one order above that number; one shard writes them, one by one."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_of_order"], order_id, after, count_max)
    )
    return [_happened(row) for row in rows]


async def read_of_tenant(
    database: Database, tenant_id: TenantId, after: int, count_max: int
) -> Read:
    """Return the facts of a tenant's orders above that number; from 0 on, of all that are kept.

    Raises `HorizonHidden`, and `FactsGone` when some above that number have been cleared away.
    """
    newest = await database.call(lambda there: there.fetchval(SQL["newest_number"]))
    if newest <= after:
        return Read((), after, is_all=True)
    horizon = await horizon_of(database)
    return await database.call(lambda there: _read(there, tenant_id, after, horizon, count_max))


async def horizon_of(database: Database) -> int:
    """Return the number up to which every fact that will ever be there can be seen."""
    newest, transaction = await database.call(_newest)
    for _ in range(OVER_TRIES_MAX):
        if await database.call(lambda there: there.fetchval(SQL["are_over"], transaction)):
            return newest
        await trio.sleep(OVER_S)
    raise HorizonHidden("a transaction has been under way for over a second")


async def _newest(there: Connection) -> tuple[int, str]:
    """Return the newest number and then, since that order matters, a transaction's id."""
    newest = await there.fetchval(SQL["newest_number"])
    return newest, await there.fetchval(SQL["own_transaction"])


async def _read(
    there: Connection, tenant_id: TenantId, after: int, horizon: int, count_max: int
) -> Read:
    begin = after = after or await there.fetchval(SQL["find_floor"])
    found: list[Record] = []
    for _ in range(LOOKS_MAX):
        upto = min(after + SCANNED_MAX, horizon)
        if upto <= after:
            break
        wanted = count_max - len(found)
        found += await there.fetch(SQL["fetch_of_tenant"], tenant_id, after, upto, wanted)
        if len(found) == count_max:
            after = found[-1]["number"]
            break
        after = upto
    floor = await there.fetchval(SQL["find_floor"])  # A month may have gone while it was read.
    if begin < floor:
        raise FactsGone(floor)
    return Read([_happened(row) for row in found], after, after >= horizon)


def _happened(row: Record) -> Happened:
    return Happened(row["number"], row["key"], row["fact"], row["at"])
