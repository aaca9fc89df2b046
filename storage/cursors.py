"""How far each device has come in its person's feed.

A cursor only ever moves on, and never beyond the newest message: what a device acknowledges late,
twice or by mistake loses it nothing. A person has cursors for so many devices; the one that was
silent for longest makes room, and begins anew if it comes back.
"""

from collections.abc import Sequence

from msgspec import Struct

from dispatch.ids import DeviceId
from storage.database import Database
from storage.queries import queries

SQL = queries("cursors")
DEVICES_MAX = 32
"""Devices of one person whose cursors are kept."""
BACKLOG_MAX = 1_000
"""Messages that a new device is shown of what was before it."""
STORED_MAX = 1_000
"""Cursors that are stored by one statement."""


class Cursor(Struct, frozen=True, gc=False):
    """The last message that a device of a person has acknowledged."""

    person: str
    device_id: DeviceId
    message_id: int


class Start(Struct, frozen=True):
    """Where a device goes on in its feed: after that message.

    When it begins anew there were others between this and what it saw last, and they are gone.
    """

    message_id: int
    is_anew: bool = False


async def find_start(
    database: Database, person: str, device_id: DeviceId, last_message_id: int | None
) -> Start:
    """Return the message after which a device goes on: the one it names, or its stored cursor.

    Whoever names one that does not exist yet goes on with the next that will. A device that is new
    begins with the first, or, in a long feed, with the last BACKLOG_MAX. One that was away until
    messages it has not seen were cleared away goes on with the first that is kept, anew.
    """
    row = await database.call(lambda there: there.fetchrow(SQL["find_start"], person, device_id))
    assert row is not None
    newest: int = row["newest"]
    gone: int = newest if row["oldest"] is None else row["oldest"] - 1
    seen: int | None = row["message_id"] if last_message_id is None else last_message_id
    if seen is None:
        return Start(max(gone, newest - BACKLOG_MAX))
    return Start(max(gone, min(seen, newest)), is_anew=0 < seen < gone)


async def find_newest(database: Database, person: str) -> int:
    """Return the number of the person's newest message, 0 while there is none."""
    newest = await database.call(lambda there: there.fetchval(SQL["find_newest"], person))
    return newest or 0


async def store_cursors(database: Database, cursors: Sequence[Cursor]) -> None:
    """Move devices' cursors on; those that have come further already stay where they are."""
    for start in range(0, len(cursors), STORED_MAX):
        stored = cursors[start : start + STORED_MAX]
        columns = (
            [cursor.person for cursor in stored],
            [cursor.device_id for cursor in stored],
            [cursor.message_id for cursor in stored],
        )
        await database.call(
            lambda there, columns=columns: there.execute(SQL["store"], *columns, DEVICES_MAX)
        )
