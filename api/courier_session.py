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

from api import access
from api import acts as doing
from api.acts import ActDesk, ActLedger
from api.attendance import Attendances
from api.events import EventWriter
from api.pings import PingGatherer
from api.pool import Pool
from api.ports import Edge
from api.reactor import Socket
from api.replies import Declined
from api.roster import Roster
from api.seen import Seen
from api.session import AWAY, UNKNOWN, DeviceSession
from dispatch.ids import CourierId, DeviceId, Instant, after
from dispatch.step import Code
from services.accounts.principal import Principal
from storage.acts import Acts, Found, Home, Outcome
from storage.cursors import Start
from wire.frames import (
    Ack,
    Act,
    CloseCode,
    CourierFrame,
    Done,
    Hello,
    Pings,
    Problem,
)
from wire.session import COURIER_DIALECTS, Stage

ACTS_MAX = 256
"""Acts of one device that may wait to be carried out."""
GAP_S = 5.0
"""Time for which an act waits for those numbered before it."""
RETRY_S = 0.1
"""Wait before what could not be done is tried again; each further wait is twice as long."""
RETRY_S_MAX = 2.0
_TOO_LATE = Outcome(Code.NOT_LEGAL_NOW, "acts that came after it have been carried out")
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
    find_start: Callable[[str, DeviceId, int | None], Awaitable[Start]]
    """Returns after which message a device goes on, by what it says and what is stored."""
    seen: Seen
    set_alarm: Callable[["CourierSession", float], None]
    """Has a session woken after so many seconds."""
    announce: Callable[["CourierSession"], None]
    """Tells the other nodes that a device is here now."""


class CourierSession(DeviceSession[Desk, CourierFrame]):
    """A session of a courier's device."""

    __slots__ = (
        "_gap_at",
        "_tries",
        "_waiting",
        "counter",
        "courier_id",
        "device_id",
        "has_alarm",
        "home",
    )

    def __init__(self, desk: Desk, socket: Socket, *, is_welcome: bool = True) -> None:
        """Wait for a hello; who is not welcome is turned away at once."""
        super().__init__(desk, socket, COURIER_DIALECTS)
        self._waiting: dict[int, Act] | None = None
        self._gap_at: Instant | None = None
        self._tries = 0
        self.has_alarm = False
        self.courier_id = CourierId("")
        self.device_id = DeviceId("")
        self.counter = 0
        self.home: Home | None = None
        if not is_welcome:
            self.end(CloseCode.OVERLOADED)

    def waiting_count(self) -> int:
        """Return how many acts wait to be carried out."""
        return len(self._waiting or ())

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as the reactor says it.
        """Take a message of the device."""
        match self._session.received(payload, is_text, self._desk.edge.now()):
            case Pings() as frame:
                self._ping(frame)
            case Ack(message_id=message_id):
                self._acknowledge(message_id)
            case Act() as act:
                self._note(act)
            case said:
                self._heed(said)

    def wake(self) -> None:
        """Go on with what was put off."""
        self.has_alarm = False
        if self._hello is not None or self._waiting:
            self._begin_work()

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

    async def _work(self) -> None:
        """Do one piece of work, and see that the next one is done."""
        wait_s = 0.0
        try:
            wait_s = await self._next_piece()
            self._tries = 0
        except AWAY:
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
            self._refuse(CloseCode.UNAUTHENTICATED, UNKNOWN)
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

    def _open(self, principal: Principal, start: Start) -> None:
        desk = self._desk
        self._welcome(principal, self.courier_id, start, self.counter)
        desk.roster.admit(self)
        desk.announce(self)
        desk.attendances.arrive(self.courier_id, self.id)
        self._following = desk.edge.feeds.follow(self.courier_id, start.message_id, self._show)

    def _show(self, number: int, epoch: int, message: bytes) -> bool:
        """Show a message of the feed, if there is room."""
        if not self._has_room or self._socket.is_closed:
            return False
        self._desk.totals.shown += 1
        self._send(self._desk.writer.write(self._dialect.notation, number, epoch, message))
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

    def _let_go(self) -> None:
        super()._let_go()
        self._desk.roster.leave(self)
        self._waiting = None
