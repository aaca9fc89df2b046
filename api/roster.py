"""Which sessions there are on this node: by courier, and in turns in which they are looked at.

A device has one session: a new one takes the place of the one before. A courier has a few devices:
one too many takes the place of the one that came first. Where he lives is known to all his sessions
at once.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Protocol

from dispatch.ids import CourierId, DeviceId
from storage.acts import Home
from wire.frames import CloseCode

DEVICES_MAX = 8
SPOKES = 10
"""Parts into which the sessions are divided, so that looking at one part takes no time."""


class Seat(Protocol):
    """What is known here of a session."""

    courier_id: CourierId
    device_id: DeviceId
    id: str
    home: Home | None
    spoke: int

    def end(self, code: CloseCode) -> None:
        """End the session."""
        ...


class Roster[S: Seat]:
    """The sessions of a node."""

    __slots__ = ("_by_courier", "_next_spoke", "_spokes")

    def __init__(self) -> None:
        self._spokes: tuple[set[S], ...] = tuple(set[S]() for _ in range(SPOKES))
        self._next_spoke = cycle(range(SPOKES))
        self._by_courier: dict[CourierId, tuple[S, ...]] = {}

    def arrive(self, session: S) -> None:
        """Take a session in whose courier is not known yet."""
        session.spoke = next(self._next_spoke)
        self._spokes[session.spoke].add(session)

    def admit(self, session: S) -> None:
        """Note whose it is, and end the sessions that it takes the place of."""
        his = self._by_courier.get(session.courier_id, ())
        replaced = [one for one in his if one.device_id == session.device_id]
        left = [one for one in his if one.device_id != session.device_id]
        replaced += left[: max(0, len(left) + 1 - DEVICES_MAX)]
        for one in replaced:
            one.end(CloseCode.REPLACED)
        his = self._by_courier.get(session.courier_id, ())
        self._by_courier[session.courier_id] = (*his, session)

    def leave(self, session: S) -> None:
        """Forget a session; may be said again."""
        self._spokes[session.spoke].discard(session)
        his = self._by_courier.get(session.courier_id, ())
        left = tuple([one for one in his if one is not session])
        if left:
            self._by_courier[session.courier_id] = left
        elif his:
            del self._by_courier[session.courier_id]

    def replace(self, courier_id: CourierId, device_id: DeviceId, session_id: str) -> None:
        """End the device's session here, since it has begun a later one on another node."""
        for one in self._by_courier.get(courier_id, ()):
            if one.device_id == device_id and one.id < session_id:
                one.end(CloseCode.REPLACED)

    def settle(self, courier_id: CourierId, home: Home | None) -> None:
        """Let all sessions of a courier know where he lives."""
        for one in self._by_courier.get(courier_id, ()):
            one.home = home

    def count(self) -> int:
        """Return how many sessions there are."""
        return sum(map(len, self._spokes))

    def courier_ids(self) -> Sequence[CourierId]:
        """Return the couriers who are here."""
        return tuple(self._by_courier)

    def spoke(self, number: int) -> Sequence[S]:
        """Return one part of the sessions."""
        return tuple(self._spokes[number % SPOKES])

    def __iter__(self) -> Iterator[S]:
        for number in range(SPOKES):
            yield from self.spoke(number)
