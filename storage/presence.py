"""Who is here: the sessions of persons' devices, as far as they have been renewed lately.

A person is present while one of his sessions is. A session that nobody renews ends by itself, so a
node that dies takes its sessions with it; what is lost with the server is back by the next renewal.
Presence is a hint for showing, never a reason to decide anything, and who may see it is not decided
here. Changes are published as they are noticed; of a session that merely runs out nobody is told.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import DecodeError, Struct, convert, msgpack

from dispatch.lease import NodeId
from storage.redis import Command, Patience, RedisServer, RedisUnreachable

TTL_S = 10
"""How long a session lasts without a renewal; renew it at a third of that."""
EXCHANGED_MAX = 250
"""Sessions or persons of one round trip: more would keep commits waiting on the bridge."""


class Attendance(Struct, frozen=True):
    """One session of a person's device, at the node that holds its socket."""

    person: str
    node: NodeId
    session: str


class Arrived(Struct, frozen=True, tag="arrived"):
    """A person is present who was not."""

    person: str


class Left(Struct, frozen=True, tag="left"):
    """A person's last session has ended."""

    person: str


type Change = Arrived | Left

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder[Change](Change).decode


class RedisPresence:
    """The presence of a cluster's persons. Writing never fails; a renewal heals."""

    def __init__(self, server: RedisServer, cluster: str) -> None:
        """Keep presence beside that of other clusters."""
        self._server = server
        self._prefix = f"{cluster}:present:"
        self._channel = f"{cluster}:presence"

    async def arrive(self, attendance: Attendance) -> None:
        """Begin a session, and publish it if it is the person's only one."""
        key = self._key(attendance.person)
        with suppress(RedisUnreachable):
            before, _ = await self._server.exchange([("hvals", key), self._renewal(attendance)])
            if not before:
                await self._publish(Arrived(attendance.person))

    async def leave(self, attendance: Attendance) -> None:
        """End a session, and publish it if it was the person's last one."""
        key = self._key(attendance.person)
        with suppress(RedisUnreachable):
            gone, left = await self._server.exchange(
                [("hdel", key, attendance.session), ("hvals", key)]
            )
            if gone and not left:
                await self._publish(Left(attendance.person))

    async def renew(self, attendances: Sequence[Attendance]) -> None:
        """Let sessions last on, many by one round trip; those that were lost are back by it."""
        with suppress(RedisUnreachable):
            for start in range(0, len(attendances), EXCHANGED_MAX):
                renewed = attendances[start : start + EXCHANGED_MAX]
                await self._server.exchange([self._renewal(one) for one in renewed])

    async def present(self, persons: Sequence[str]) -> Mapping[str, frozenset[NodeId]]:
        """Return who of these persons is here, and at which nodes; raises `RedisUnreachable`."""
        present: dict[str, frozenset[NodeId]] = {}
        for start in range(0, len(persons), EXCHANGED_MAX):
            asked = persons[start : start + EXCHANGED_MAX]
            replies = await self._server.exchange([("hvals", self._key(one)) for one in asked])
            nodes = [frozenset(map(_node, convert(reply, list[bytes]))) for reply in replies]
            present.update((one, at) for one, at in zip(asked, nodes, strict=True) if at)
        return present

    async def subscribe(self, act: Callable[[Change], None]) -> None:
        """Hand changes to `act` until cancelled; those while the server is away are lost."""

        def read(message: bytes) -> None:
            with suppress(DecodeError):
                act(_decode(message))
            patience.reset()

        patience = Patience()
        while True:
            with suppress(RedisUnreachable):
                await self._server.hear(self._channel, read)
            await patience.wait()

    async def _publish(self, change: Change) -> None:
        await self._server.exchange([("publish", self._channel, _encode(change))])

    def _renewal(self, attendance: Attendance) -> Command:
        key, session = self._key(attendance.person), attendance.session
        return ("hsetex", key, "ex", TTL_S, "fields", 1, session, attendance.node)

    def _key(self, person: str) -> str:
        return f"{self._prefix}{person}"


def _node(value: bytes) -> NodeId:
    return NodeId(value.decode())
