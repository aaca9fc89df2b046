"""The answering side of the node link: takes questions and listenings from proven peers.

Everything a peer can cause ends with its own connection: garbage, a wrong secret, silence, reading
too slowly, listening to too much. More questions at once than a link may have open are refused as
overload. What the node knows is behind the `Backend`; an exception that it does not name is a fault
of this program, and goes up to the node's supervision.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Protocol

import trio

from dispatch.ids import MarketId, ShardId
from dispatch.lease import NodeId
from dispatch.step import Code, Refused
from geo.ping import Track
from node.line import Line, LinkLimits, LinkLost
from wire.link import (
    Answer,
    Ask,
    Beat,
    Frame,
    Listen,
    Outcome,
    Owner,
    Pinged,
    Shown,
    Side,
    Unlisten,
    Where,
    check_secret,
)

OVERLOADED = Refused(Code.OVERLOADED, "too many questions are open on this link")
LIMITS = LinkLimits()


class Backend(Protocol):
    """What a node answers peers from."""

    async def ask(self, asked: Ask) -> Outcome:
        """Return what became of the message, within its `timeout_s`."""
        ...

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        """Take pings of a shard's couriers; those of a shard that is not here are lost."""
        ...

    def owner(self, number: int, place: ShardId | MarketId) -> Owner:
        """Return who owns the shard or market, as far as is known here."""
        ...

    def listening(
        self, person: str, after: int
    ) -> AbstractContextManager[AsyncIterator[tuple[int, bytes]]]:
        """Return the person's messages after that number, in order, none left out, for ever."""
        ...


async def serve_link(
    listeners: Sequence[trio.SocketListener],
    *,
    node: NodeId,
    secret: bytes,
    backend: Backend,
    limits: LinkLimits = LIMITS,
) -> None:
    """Answer peers until cancelled; raises SecretTooShort at once for a secret that is none."""
    check_secret(secret)
    answering = _Answering(node, secret, backend, limits)
    await trio.serve_listeners(answering.meet, list(listeners))


class _Answering:
    """What all connections of a node's link have in common."""

    def __init__(self, node: NodeId, secret: bytes, backend: Backend, limits: LinkLimits) -> None:
        self._node = node
        self._secret = secret
        self._backend = backend
        self._limits = limits
        self._connections = 0

    async def meet(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        if self._connections >= self._limits.connections_max:
            await trio.aclose_forcefully(stream)
            return
        self._connections += 1
        try:
            await self._serve(Line(stream, self._limits))
        finally:
            self._connections -= 1

    async def _serve(self, line: Line) -> None:
        try:
            await line.prove(Side.ANSWERED, self._node, self._secret)
        except LinkLost:
            return
        async with trio.open_nursery() as nursery:
            peer = _Peer(line, self._backend, self._limits, nursery)
            await line.run(peer.take)
            nursery.cancel_scope.cancel()


class _Peer:
    """One proven connection: its open questions and its listenings."""

    def __init__(
        self, line: Line, backend: Backend, limits: LinkLimits, nursery: trio.Nursery
    ) -> None:
        self._line = line
        self._backend = backend
        self._limits = limits
        self._nursery = nursery
        self._asks = 0
        self._listenings: dict[int, trio.CancelScope] = {}

    async def take(self, frame: Frame) -> None:
        """Do what a frame asks for; raises LinkLost for one that has no place here."""
        match frame:
            case Ask() if self._asks < self._limits.asks_max:
                self._asks += 1
                self._nursery.start_soon(self._answer, frame)
            case Ask(number=number):
                await self._line.send(Answer(number, OVERLOADED))
            case Where(number=number, place=place):
                await self._line.send(self._backend.owner(number, place))
            case Listen():
                self._listen(frame)
            case Unlisten(listening=listening):
                self._unlisten(listening)
            case Pinged(shard=shard, tracks=tracks):
                self._backend.take(shard, tracks)
            case Beat():
                pass
            case _:
                raise LinkLost(f"a {type(frame).__name__} is not for the side that answers")

    async def _answer(self, asked: Ask) -> None:
        outcome = await self._backend.ask(asked)
        self._asks -= 1
        with suppress(LinkLost):
            await self._line.send(Answer(asked.number, outcome))

    def _listen(self, listen: Listen) -> None:
        if listen.listening in self._listenings:
            raise LinkLost(f"it listens twice under the number {listen.listening}")
        if len(self._listenings) >= self._limits.feeds_max:
            raise LinkLost(f"it listens to more than {self._limits.feeds_max} feeds")
        scope = self._listenings[listen.listening] = trio.CancelScope()
        self._nursery.start_soon(self._show, listen, scope)

    def _unlisten(self, listening: int) -> None:
        scope = self._listenings.pop(listening, None)
        if scope is not None:
            scope.cancel()

    async def _show(self, listen: Listen, scope: trio.CancelScope) -> None:
        with (
            scope,
            suppress(LinkLost),
            self._backend.listening(listen.person, listen.after) as feed,
        ):
            async for number, message in feed:
                await self._line.send(Shown(listen.listening, number, message))
