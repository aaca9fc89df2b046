"""One courier's session: what his device says on its socket, and what it is told.

It is a `Guest` of the reactor, so nothing of it waits. What must wait (finding out who he is,
carrying out what he did) is done a piece at a time in the `Pool` of all sessions, never two pieces
of one session at once: that keeps the acts of a device in the order of their numbers. An act whose
number leaves a gap waits for the missing ones, for a while; one that came before is told what came
of it then; one that could not be brought to an actor is tried again until the session ends.

What a socket has no room for stays in the feed and is shown once there is room again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from api import access
from api import acts as doing
from api.acts import ActDesk, ActLedger
from api.attendance import Attendances
from api.events import EventWriter
from api.pings import PingGatherer
from api.pool import Pool
from api.ports import Edge, Following, Unavailable
from api.reactor import Socket
from api.replies import Declined
from api.roster import Roster
from api.seen import Seen
from dispatch.ids import CourierId, DeviceId, Instant, after, prefixed
from dispatch.step import Code
from services.accounts.principal import Principal
from storage.acts import Acts, Found, Home, Outcome
from storage.database import DatabaseRefused, DatabaseUnreachable
from storage.redis import RedisUnreachable
from wire.frames import (
    Ack,
    Act,
    Beat,
    CloseCode,
    CourierFrame,
    Done,
    Hello,
    Notation,
    Pings,
    Problem,
    ServerFrame,
    Welcome,
)
from wire.session import COURIER_DIALECTS, Dialect, Ended, Session, Stage, find_notation
from wire.websocket import Opcode, framed

ACTS_MAX = 256
"""Acts of one device that may wait to be carried out."""
GAP_S = 5.0
"""Time for which an act waits for those numbered before it."""
RETRY_S = 0.1
"""Wait before what could not be done is tried again; each further wait is twice as long."""
RETRY_S_MAX = 2.0
ENTROPY_BYTES = 10

_AWAY = (
    Unavailable,
    DatabaseUnreachable,
    DatabaseRefused,
    RedisUnreachable,
    trio.TooSlowError,
)
_TOO_LATE = Outcome(Code.NOT_LEGAL_NOW, "acts that came after it have been carried out")
_UNKNOWN = Problem(code=Code.UNAUTHENTICATED, detail="the token is not good: sign in again")
_TOO_MANY_ACTS = Problem(
    code=Code.RATE_LIMITED, detail=f"at most {ACTS_MAX} acts may wait to be done"
)


@dataclass(slots=True)
class Totals:
    """What all sessions have done so far."""

    welcomed: int = 0
    refused: int = 0
    acts: int = 0
    repeated: int = 0
    retried: int = 0
    shown: int = 0
    pings_ignored: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all sessions of a node share."""

    edge: Edge
    acts: Acts
    act_desk: ActDesk
    ledger: ActLedger
    writer: EventWriter
    pings: PingGatherer
    attendances: Attendances
    pool: Pool
    roster: "Roster[CourierSession]"
    totals: Totals
    find_start: Callable[[str, DeviceId, int | None], Awaitable[int]]
    """Returns after which message a device goes on, by what it says and what is stored."""
    seen: Seen
    set_alarm: Callable[["CourierSession", float], None]
    """Has a session woken after so many seconds."""
    announce: Callable[["CourierSession"], None]
    """Tells the other nodes that a device is here now."""


class CourierSession:
    """A session of a courier's device."""

    __slots__ = (
        "_desk",
        "_following",
        "_gap_at",
        "_has_room",
        "_hello",
        "_is_working",
        "_notation",
        "_session",
        "_sign_in",
        "_socket",
        "_tries",
        "_waiting",
        "counter",
        "courier_id",
        "device_id",
        "has_alarm",
        "home",
        "id",
        "spoke",
    )

    def __init__(self, desk: Desk, socket: Socket, *, is_welcome: bool = True) -> None:
        """Wait for a hello; who is not welcome is turned away at once."""
        now = desk.edge.now()
        self._desk = desk
        self._socket = socket
        self._notation = find_notation(socket.request.subprotocol) or Notation.MSGPACK
        self._session: Session[CourierFrame] = Session(COURIER_DIALECTS[self._notation], now)
        self._following: Following | None = None
        self._hello: Hello | None = None
        self._waiting: dict[int, Act] | None = None
        self._gap_at: Instant | None = None
        self._sign_in = ""
        self._tries = 0
        self._has_room = True
        self._is_working = self.has_alarm = False
        self.courier_id = CourierId("")
        self.device_id = DeviceId("")
        self.id = ""
        self.counter = 0
        self.home: Home | None = None
        self.spoke = 0
        if not is_welcome:
            self.end(CloseCode.OVERLOADED)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._session.stage is Stage.OVER

    def waiting_count(self) -> int:
        """Return how many acts wait to be carried out."""
        return len(self._waiting or ())

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as the reactor says it.
        """Take a message of the device."""
        match self._session.received(payload, is_text, self._desk.edge.now()):
            case Pings() as frame:
                self._ping(frame)
            case Beat():
                self._send(self._dialect.beat)
            case Ack(message_id=message_id):
                self._acknowledge(message_id)
            case Act() as act:
                self._note(act)
            case Hello() as hello:
                self._hello = hello
                self._begin_work()
            case Ended(code, problem):
                self._close(code, problem)
            case None:
                pass

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
            self.end(CloseCode.UNAUTHENTICATED, _UNKNOWN)
            return
        match self._session.look(now):
            case Beat():
                self._send(self._dialect.beat)
            case Ended(code, problem):
                self._close(code, problem)
            case None:
                pass

    def wake(self) -> None:
        """Go on with what was put off."""
        self.has_alarm = False
        if self._hello is not None or self._waiting:
            self._begin_work()

    def end(self, code: CloseCode, parting: ServerFrame | None = None) -> None:
        """End the session for a reason of ours."""
        if not self.is_over:
            self._session.end(code)
            self._close(code, parting)

    @property
    def _dialect(self) -> Dialect[CourierFrame]:
        return COURIER_DIALECTS[self._notation]

    def _ping(self, frame: Pings) -> None:
        """Send pings where he is on shift; elsewhere nobody wants them."""
        if self.home is not None and self.home.is_on_shift and frame.pings:
            self._desk.pings.add(self.home.shard, self.courier_id, frame.pings)
        else:
            self._desk.totals.pings_ignored += len(frame.pings)

    def _acknowledge(self, message_id: int) -> None:
        if self._session.stage is Stage.OPEN:
            self._desk.seen.note(self.courier_id, self.device_id, message_id)

    def _note(self, act: Act) -> None:
        """Have an act carried out when its turn comes."""
        waiting = self._waiting
        if waiting is None:
            waiting = self._waiting = {}
        if len(waiting) >= ACTS_MAX:
            self.end(CloseCode.TOO_MANY, _TOO_MANY_ACTS)
            return
        waiting.setdefault(act.counter, act)
        self._begin_work()

    def _begin_work(self) -> None:
        if self._is_working:
            return
        self._is_working = self._desk.pool.start(self._work)
        if not self._is_working:
            self.end(CloseCode.OVERLOADED)

    async def _work(self) -> None:
        """Do one piece of work, and see that the next one is done."""
        wait_s = 0.0
        try:
            wait_s = await self._next_piece()
            self._tries = 0
        except _AWAY:
            wait_s = min(RETRY_S * 2**self._tries, RETRY_S_MAX)
            self._tries = min(self._tries + 1, 8)
            self._desk.totals.retried += 1
        finally:
            self._is_working = False
        if self.is_over or not (self._hello or self._waiting):
            return
        if wait_s:
            self._desk.set_alarm(self, wait_s)
        else:
            self._begin_work()

    async def _next_piece(self) -> float:
        """Do what is to be done next; return for how long there is nothing."""
        if self.is_over:
            return 0.0
        if self._hello is not None:
            await self._greet(self._hello)
            return 0.0
        assert self._waiting
        act = self._waiting[min(self._waiting)]
        wait_s = self._gap_s(act)
        if wait_s <= 0:
            await self._carry_out(act)
        return max(0.0, wait_s)

    def _gap_s(self, act: Act) -> float:
        """Return how long to wait for the acts before this one."""
        if act.counter <= self.counter + 1:
            self._gap_at = None
            return 0.0
        now = self._desk.edge.now()
        if self._gap_at is None:
            self._gap_at = now
        return (after(self._gap_at, GAP_S) - now) / 1_000

    async def _greet(self, hello: Hello) -> None:
        """Find out who says hello, and open the session if he is a courier."""
        edge = self._desk.edge
        principal = await edge.accounts.find_principal(hello.token)
        if principal is None:
            self._refuse(CloseCode.UNAUTHENTICATED, _UNKNOWN)
            return
        try:
            courier_id = access.courier_of(principal)
        except Declined as declined:
            self._refuse(CloseCode.FORBIDDEN, Problem(code=declined.code, detail=declined.detail))
            return
        standing = await self._desk.acts.greet(courier_id, hello.device_id)
        start = await self._desk.find_start(courier_id, hello.device_id, hello.last_message_id)
        if self.is_over:
            return
        self.courier_id, self.device_id = courier_id, hello.device_id
        self.home, self.counter = standing.home, standing.counter
        self._hello = None
        self._open(principal, start)

    def _refuse(self, code: CloseCode, problem: Problem) -> None:
        self._hello = None
        self._desk.totals.refused += 1
        self.end(code, problem)

    def _open(self, principal: Principal, start: int) -> None:
        desk, now = self._desk, self._desk.edge.now()
        self.id = prefixed("ses", now, desk.edge.entropy(ENTROPY_BYTES))
        self._sign_in = principal.session_id
        self._session.admit(Instant(principal.expires_at), now)
        welcome = Welcome(
            session_id=self.id,
            person=self.courier_id,
            node=desk.edge.node,
            last_message_id=start,
            counter=self.counter,
            server_at=now,
        )
        self._say(welcome)
        desk.totals.welcomed += 1
        desk.roster.admit(self)
        desk.announce(self)
        desk.attendances.arrive(self.courier_id, self.id)
        self._following = desk.edge.feeds.follow(self.courier_id, start, self._show)

    def _show(self, number: int, epoch: int, message: bytes) -> bool:
        """Show a message of the feed, if there is room."""
        if not self._has_room or self._socket.is_closed:
            return False
        self._desk.totals.shown += 1
        written = self._desk.writer.write(self._notation, number, epoch, message)
        self._has_room = self._send(written)
        return True

    async def _carry_out(self, act: Act) -> None:
        """Do what he did, once; answer when it is committed and kept."""
        found = None
        if act.counter <= self.counter or self._tries:
            found = await self._desk.acts.find(self.courier_id, self.device_id, act.counter)
        outcome = await self._outcome(act, found)
        if self.is_over or self._waiting is None:
            return  # It counted all the same, and the device hears of it when it sends it again.
        del self._waiting[act.counter]
        self._waiting = self._waiting or None
        self._gap_at = None
        self.counter = max(self.counter, act.counter)
        self._say(Done(counter=act.counter, code=outcome.code, detail=outcome.detail))

    async def _outcome(self, act: Act, found: Found | None) -> Outcome:
        """Return what came of an act: now, or when it was carried out before."""
        desk = self._desk
        if found is not None and found.outcome is not None:
            desk.totals.repeated += 1
            return found.outcome
        if found is not None and found.latest > act.counter:
            outcome = _TOO_LATE
        else:
            done = await desk.act_desk.perform(self.courier_id, self.home, act.action)
            outcome = done.outcome
            desk.roster.settle(self.courier_id, done.home)
            desk.totals.acts += 1
        await desk.ledger.keep(doing.kept(self.courier_id, self.device_id, act, outcome))
        return outcome

    def _say(self, frame: ServerFrame) -> None:
        self._send(self._dialect.write(frame))

    def _send(self, payload: bytes) -> bool:
        """Send a frame; False when there is no room for another."""
        self._session.said(self._desk.edge.now())
        opcode = Opcode.TEXT if self._dialect.is_text else Opcode.BINARY
        return self._socket.send(framed(payload, opcode))

    def _close(self, code: CloseCode, parting: ServerFrame | None) -> None:
        if parting is not None:
            self._say(parting)
        self._socket.close(code, code.name.lower())
        self._let_go()

    def _let_go(self) -> None:
        self._desk.roster.leave(self)
        self._desk.attendances.leave(self.id)
        self._hello = self._waiting = None
        if self._following is not None:
            self._following.end()
            self._following = None
