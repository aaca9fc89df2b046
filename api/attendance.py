"""Who is here on this node's sockets, as the cluster's presence is told of it.

Sessions come and go from callbacks that must not wait, so what is to be said is noted here and said
in the background; all sessions are renewed together. Presence is a hint: what is lost on the way is
mended by the next renewal, or runs out.
"""

from collections import deque

import trio

from dispatch.lease import NodeId
from storage.presence import Attendance, RedisPresence

RENEW_S = 3.0
TELL_S = 0.1
CHANGES_MAX = 20_000
"""Comings and goings that may wait to be told; the oldest are lost."""


class Attendances:
    """The sessions of this node, as far as they are persons' presence."""

    __slots__ = ("_changes", "_here", "_node", "_presence")

    def __init__(self, presence: RedisPresence, node: NodeId) -> None:
        self._presence = presence
        self._node = node
        self._here: dict[str, str] = {}
        self._changes: deque[Attendance] = deque(maxlen=CHANGES_MAX)

    def arrive(self, person: str, session_id: str) -> None:
        """Note that a session of a person's device has begun."""
        self._here[session_id] = person
        self._changes.append(Attendance(person, self._node, session_id))

    def leave(self, session_id: str) -> None:
        """Note that a session has ended; one that never began is no matter."""
        person = self._here.pop(session_id, None)
        if person is not None:
            self._changes.append(Attendance(person, self._node, session_id))

    def count(self) -> int:
        """Return how many sessions are here."""
        return len(self._here)

    async def tell(self) -> None:
        """Tell each change as it stands now: who has come and gone meanwhile has gone."""
        while self._changes:
            attendance = self._changes.popleft()
            if attendance.session in self._here:
                await self._presence.arrive(attendance)
            else:
                await self._presence.leave(attendance)

    async def run(self) -> None:
        """Tell the cluster until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._renew)
            while True:
                await trio.sleep(TELL_S)
                await self.tell()

    async def _renew(self) -> None:
        while True:
            await trio.sleep(RENEW_S)
            here = self._here.items()
            await self._presence.renew(
                [Attendance(one, self._node, session) for session, one in here]
            )
