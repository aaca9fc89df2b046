"""What the sessions of both sockets have in common: a courier's, and anybody else's.

A session is a `Guest` of the reactor, so nothing of it waits. It says who it is talking to once he
has been found, sends beats when there is nothing else to say, ends when its time or its token is
over or its owner signs out, and shows the messages of one feed for as long as there is room. What a
frame of its own socket means, and what it does in the `Pool` of all sessions, is its own.
"""

from collections.abc import Mapping
from typing import Protocol

import trio

from api.attendance import Attendances
from api.pool import Pool
from api.ports import Edge, Following, Unavailable
from api.reactor import Socket
from dispatch.ids import Instant, prefixed
from dispatch.step import Code
from services.accounts.principal import Principal
from storage.cursors import Start
from storage.database import DatabaseRefused, DatabaseUnreachable
from storage.redis import RedisUnreachable
from wire.frames import Beat, CloseCode, Hello, Notation, Problem, ServerFrame, Welcome
from wire.session import Dialect, Ended, Session, Stage, find_notation
from wire.websocket import Opcode, framed

ENTROPY_BYTES = 10
AWAY = (
    Unavailable,
    DatabaseUnreachable,
    DatabaseRefused,
    RedisUnreachable,
    trio.TooSlowError,
)
"""What a session hears when something that it needs is away."""
UNKNOWN = Problem(code=Code.UNAUTHENTICATED, detail="the token is not good: sign in again")


class Counted(Protocol):
    """What all sessions of a socket have done so far."""

    welcomed: int
    refused: int


class Desk(Protocol):
    """What all sessions of a socket share, as far as it is alike."""

    @property
    def edge(self) -> Edge:
        """The node's edge."""
        ...

    @property
    def pool(self) -> Pool:
        """Where what must wait is done."""
        ...

    @property
    def attendances(self) -> Attendances:
        """Who is here."""
        ...

    @property
    def totals(self) -> Counted:
        """What has been done."""
        ...


class DeviceSession[D: Desk, F]:
    """A session of somebody's device. `F` are the frames of its socket."""

    __slots__ = (
        "_desk",
        "_dialect",
        "_following",
        "_has_room",
        "_hello",
        "_is_working",
        "_session",
        "_sign_in",
        "_socket",
        "id",
        "spoke",
    )

    def __init__(self, desk: D, socket: Socket, dialects: Mapping[Notation, Dialect[F]]) -> None:
        """Wait for a hello."""
        self._desk = desk
        self._socket = socket
        self._dialect = dialects[find_notation(socket.request.subprotocol) or Notation.MSGPACK]
        self._session: Session[F] = Session(self._dialect, desk.edge.now())
        self._hello: Hello | None = None
        self._following: Following | None = None
        self._has_room = True
        self._is_working = False
        self._sign_in = self.id = ""
        self.spoke = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._session.stage is Stage.OVER

    def drained(self) -> None:
        """Show what had no room."""
        self._has_room = True
        if self._following is not None:
            self._following.resume()

    def closed(self, code: int) -> None:
        """Let go of everything, however it came to it."""
        del code
        self._session.end(CloseCode.DONE)
        self._let_go()

    def look(self, now: Instant) -> None:
        """See what the passing of time brings, and whether he has signed out meanwhile."""
        if self._sign_in and self._desk.edge.accounts.is_ended(self._sign_in):
            self.end(CloseCode.UNAUTHENTICATED, UNKNOWN)
        else:
            self._heed(self._session.look(now))

    def end(self, code: CloseCode, parting: ServerFrame | None = None) -> None:
        """End the session for a reason of ours."""
        if not self.is_over:
            self._session.end(code)
            self._close(code, parting)

    async def _work(self) -> None:
        """Do what must wait, a piece or all of it."""
        raise NotImplementedError

    def _heed(self, said: F | Ended | Beat | None) -> None:
        """Follow what any session is told: a beat, a hello, its end."""
        match said:
            case Beat():
                self._send(self._dialect.beat)
            case Hello() as hello:
                self._hello = hello
                self._begin_work()
            case Ended(code, problem):
                self._close(code, problem)
            case _:
                pass

    def _begin_work(self) -> None:
        if self._is_working:
            return
        self._is_working = self._desk.pool.start(self._work)
        if not self._is_working:
            self.end(CloseCode.OVERLOADED)

    def _refuse(self, code: CloseCode, problem: Problem) -> None:
        self._hello = None
        self._desk.totals.refused += 1
        self.end(code, problem)

    def _welcome(self, principal: Principal, person: str, start: Start, counter: int = 0) -> None:
        """Open the session of somebody who is known now, and say so."""
        desk, now = self._desk, self._desk.edge.now()
        self.id = prefixed("ses", now, desk.edge.entropy(ENTROPY_BYTES))
        self._sign_in = principal.session_id
        self._session.admit(Instant(principal.expires_at), now)
        welcome = Welcome(
            session_id=self.id,
            person=person,
            node=desk.edge.node,
            last_message_id=start.message_id,
            counter=counter,
            server_at=now,
            is_anew=start.is_anew,
        )
        self._say(welcome)
        desk.totals.welcomed += 1

    def _say(self, frame: ServerFrame) -> None:
        self._send(self._dialect.write(frame))

    def _send(self, payload: bytes) -> None:
        """Send a frame, and note whether there is room for another."""
        self._session.said(self._desk.edge.now())
        opcode = Opcode.TEXT if self._dialect.is_text else Opcode.BINARY
        self._has_room = self._socket.send(framed(payload, opcode))

    def _close(self, code: CloseCode, parting: ServerFrame | None) -> None:
        if parting is not None:
            self._say(parting)
        self._socket.close(code, code.name.lower())
        self._let_go()

    def _let_go(self) -> None:
        self._desk.attendances.leave(self.id)
        self._hello = None
        if self._following is not None:
            self._following.end()
            self._following = None
