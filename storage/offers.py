"""The offers made to a courier, as their actors committed them last.

An offer lives in the shard in which its courier works, and he has one at a time: which one, his own
state says. Those of a market that he has left since are not found any more.
"""

from asyncpg import Connection
from msgspec import Struct, msgpack

from dispatch.ids import CourierId, MarketId, OfferId, ShardId
from dispatch.offer import Offer
from storage.database import Database
from storage.queries import queries

SQL = queries("offers")


class OfferRow(Struct, frozen=True, kw_only=True):
    """An offer, where it lives, and on whose plane its points lie."""

    shard: ShardId
    market_id: MarketId
    offer: Offer


class _Invited(Struct, frozen=True, gc=False):
    """What is read of a courier here."""

    offer_id: OfferId | None = None


_decode = msgpack.Decoder(Offer).decode
_decode_courier = msgpack.Decoder(_Invited).decode


async def find_present(database: Database, courier_id: CourierId) -> OfferRow | None:
    """Return the offer that the courier keeps himself free for."""
    return await database.call(lambda there: _found(there, courier_id, None))


async def find(database: Database, courier_id: CourierId, offer_id: OfferId) -> OfferRow | None:
    """Return an offer that was made to the courier, also one that has ended."""
    row = await database.call(lambda there: _found(there, courier_id, offer_id))
    return row if row is not None and row.offer.courier_id == courier_id else None


async def _found(
    there: Connection, courier_id: CourierId, offer_id: OfferId | None
) -> OfferRow | None:
    courier = await there.fetchrow(SQL["find_courier"], courier_id)
    if courier is None:
        return None
    wanted = offer_id or _decode_courier(courier["state"]).offer_id
    if wanted is None:
        return None
    shard = courier["shard"]
    state = await there.fetchval(SQL["find_live"], shard, wanted)
    if state is None:
        state = await there.fetchval(SQL["find_ended"], shard, wanted)
    if state is None:
        return None
    return OfferRow(shard=shard, market_id=courier["market_id"], offer=_decode(state))
