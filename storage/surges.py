"""The surges of places as their actors committed them: how each stands, and how it came to that.

The place is a market or a zone; its actor lives in the market's shard.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from dispatch.ids import ShardId
from dispatch.surge import Surge, SurgeChanged
from storage.database import Database
from storage.queries import queries

SQL = queries("surges")
NEWEST = 2**63 - 1
"""Above the number of every fact."""

_state = msgspec.msgpack.Decoder(Surge).decode
_fact = msgspec.msgpack.Decoder(SurgeChanged).decode


class Happened(Struct, frozen=True):
    """One change of a place's surge, by its number in the journal."""

    number: int
    fact: SurgeChanged


async def fetch(database: Database, shard: ShardId, places: Sequence[str]) -> Mapping[str, Surge]:
    """Return how these places stand; one that is as usual may be missing."""
    rows = await database.call(lambda there: there.fetch(SQL["fetch"], shard, list(places)))
    return {key: _state(state) for key, state in rows}


async def fetch_changes(
    database: Database, place: str, before: int, limit: int
) -> Sequence[Happened]:
    """Return the changes of a place below that number, the latest first."""
    rows = await database.call(
        lambda there: there.fetch(SQL["fetch_changes"], place, before, limit)
    )
    return [Happened(number, _fact(fact)) for number, fact in rows]
