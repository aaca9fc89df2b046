"""How far each device has come in its feed, and how sessions are told to go elsewhere.

Both sorts of sessions, couriers' and everybody else's, acknowledge and leave in the same way.
"""

from collections.abc import Sequence
from typing import Protocol

import trio

from dispatch.ids import DeviceId
from storage.cursors import Cursor, store_cursors
from storage.database import Database, DatabaseRefused, DatabaseUnreachable
from wire.frames import CloseCode, GoTo, ServerFrame

STORE_S = 1.0
SEEN_MAX = 50_000
"""Devices whose acknowledgements wait to be stored; a further one's is noted at its next."""
SLICES = 50
"""Parts in which sessions are sent away, so that they do not all knock elsewhere at once."""


class Seen:
    """The last message that each device has acknowledged since this was last stored."""

    __slots__ = ("_database", "waiting")

    def __init__(self, database: Database) -> None:
        self._database = database
        self.waiting: dict[tuple[str, DeviceId], int] = {}

    def note(self, person: str, device_id: DeviceId, message_id: int) -> None:
        """Take an acknowledgement; the highest of a device counts."""
        device = (person, device_id)
        if device in self.waiting or len(self.waiting) < SEEN_MAX:
            self.waiting[device] = max(message_id, self.waiting.get(device, 0))

    async def run(self) -> None:
        """Store them once a second, until cancelled."""
        while True:
            await trio.sleep(STORE_S)
            if self.waiting:
                await self.store()

    async def store(self) -> None:
        """Store them now; what cannot be stored waits for the next time."""
        seen, self.waiting = self.waiting, {}
        cursors = [Cursor(person, device, number) for (person, device), number in seen.items()]
        try:
            await store_cursors(self._database, cursors)
        except (DatabaseUnreachable, DatabaseRefused):
            for (person, device_id), number in seen.items():
                self.note(person, device_id, number)


class Leaving(Protocol):
    """A session that can be ended."""

    def end(self, code: CloseCode, parting: ServerFrame | None = None) -> None:
        """End it, with a last word."""
        ...


async def sent_away(
    sessions: Sequence[Leaving], code: CloseCode, address: str, within_s: float
) -> None:
    """Tell sessions to go on at `address`, empty for anywhere, and close them in turn."""
    parting = GoTo(address=address, within_s=within_s)
    for part in range(SLICES):
        for session in sessions[part::SLICES]:
            session.end(code, parting)
        if len(sessions) > part:
            await trio.sleep(within_s / SLICES)
