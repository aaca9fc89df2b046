"""What rounds decided about an order, read from the journal.

A decision is committed in the batch of the round that made it, so it is there if anything of that
round is, and no takeover loses it. Nobody writes here but the commit.
"""

from collections.abc import Sequence

from msgspec import Struct, msgpack

from dispatch.decision import OrderDecided, Verdict
from dispatch.ids import CourierId, OrderId
from storage.database import Database
from storage.queries import queries

SQL = queries("decisions")
SCANNED_MAX = 500
"""Decisions of one order that are looked through for those about one courier."""

_decode = msgpack.Decoder(OrderDecided).decode


class Filed(Struct, frozen=True):
    """A decision, by its number in the journal."""

    number: int
    decided: OrderDecided


async def fetch_about(
    database: Database, order_id: OrderId, courier_id: CourierId, after: int, count_max: int
) -> Sequence[Filed]:
    """Return the decisions by which that courier was to get the order, or not to have it any more.

    Of an order that is decided about without end, only so many are looked at.
    """
    filed = await fetch_of_order(database, order_id, after, SCANNED_MAX)
    return [one for one in filed if _is_about(one.decided, courier_id)][:count_max]


def _is_about(decided: OrderDecided, courier_id: CourierId) -> bool:
    is_told = decided.verdict is not Verdict.KEPT_WAITING
    return is_told and courier_id in {decided.courier_id, decided.held_by}


async def fetch_of_order(
    database: Database, order_id: OrderId, after: int, count_max: int
) -> Sequence[Filed]:
    """Return the decisions about an order above that number, the oldest first."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_of_order"], order_id, after, count_max)
    )
    return [Filed(row["number"], _decode(row["fact"])) for row in rows]
