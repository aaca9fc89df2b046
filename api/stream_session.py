"""One session of `/v1/stream`: a device that follows a feed, and sees what is live beside it.

It is a `Guest` of the reactor, so nothing of it waits; finding out who it is, and whether he may
watch what he asks for, is done in the `Pool` of all sessions, one thing after the other. Messages
of the feed are numbered and wait in the feed while the socket has no room. What is live (positions,
presence) is not kept: of each thing the latest waits, and is sent when there is room again.

Whoever follows his own feed sees the positions of his orders by himself, for as long as
`api.presence` allows; what he may watch besides is decided anew at each message of the feed.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from msgspec import DecodeError, msgpack

from api import access
from api.attendance import Attendances
from api.channels import position_channel, presence_channel
from api.events import EventWriter, public
from api.pool import Pool
from api.ports import Edge
from api.presence import PresenceBoard, Standing, acts_for_tenant, may_see_position
from api.presence import may_see_presence as may_see
from api.reactor import Socket
from api.replies import Declined
from api.seen import Seen
from api.session import AWAY, UNKNOWN, DeviceSession
from dispatch.delivery import WITH_COURIER
from dispatch.ids import CourierId, DeviceId, OrderId
from dispatch.step import Code
from services.accounts.principal import Principal
from storage.cursors import Start, find_start
from wire.events import OrderMoved
from wire.frames import (
    Ack,
    CloseCode,
    Hello,
    Notation,
    Position,
    Presence,
    Problem,
    StreamFrame,
    Unwatch,
    Watch,
)
from wire.session import STREAM_DIALECTS

WATCHED_MAX = 64
"""Orders and couriers that one session watches, and orders of its own that it keeps in mind."""
ASKED_MAX = 64
"""Wishes to watch that may wait to be looked at."""
_TOO_MANY = Problem(code=Code.RATE_LIMITED, detail=f"at most {WATCHED_MAX} can be watched at once")
_NOBODY = DeviceId("")

_read_position = msgpack.Decoder(Position).decode


@dataclass(slots=True)
class Totals:
    """What all sessions have done so far."""

    welcomed: int = 0
    refused: int = 0
    shown: int = 0
    positions: int = 0
    overtaken: int = 0
    """Positions and the like that were replaced by a later one before there was room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all sessions of a node share."""

    edge: Edge
    writer: EventWriter
    attendances: Attendances
    pool: Pool
    board: PresenceBoard
    totals: Totals
    seen: Seen
    admit: Callable[["StreamSession"], bool]
    """Takes a session in whose owner is known now; False when he has too many."""
    leave: Callable[["StreamSession"], None]
    """Forgets a session; may be said again."""


class StreamSession(DeviceSession[Desk, StreamFrame]):
    """A session of somebody's device."""

    __slots__ = (
        "_asked",
        "_device_id",
        "_latest",
        "_own",
        "_person",
        "_watched",
        "principal",
    )

    def __init__(self, desk: Desk, socket: Socket) -> None:
        """Wait for a hello."""
        super().__init__(desk, socket, STREAM_DIALECTS)
        self._asked: deque[Watch | Unwatch] | None = None
        self._own: dict[OrderId, Standing] | None = None
        self._watched: dict[str, Callable[[], None]] | None = None
        self._latest: dict[str, bytes] | None = None
        self._person = ""
        self._device_id = _NOBODY
        self.principal: Principal | None = None

    def received(self, payload: bytes, is_text: bool) -> None:  # noqa: FBT001 - as the reactor says it.
        """Take a message of the device."""
        match self._session.received(payload, is_text, self._desk.edge.now()):
            case Ack(message_id=message_id):
                self._acknowledge(message_id)
            case Watch() | Unwatch() as wish:
                self._ask(wish)
            case said:
                self._heed(said)

    def drained(self) -> None:
        """Show what had no room: first the messages, then what is live."""
        super().drained()
        while self._latest and self._has_room:
            self._send(self._latest.pop(next(iter(self._latest))))

    def _acknowledge(self, message_id: int) -> None:
        """Note how far the device is; of a feed that is not his own nothing is kept."""
        if self._device_id:
            self._desk.seen.note(self._person, self._device_id, message_id)

    def _ask(self, wish: Watch | Unwatch) -> None:
        if self._asked is None:
            self._asked = deque()
        if len(self._asked) >= ASKED_MAX:
            self.end(CloseCode.TOO_MANY, _TOO_MANY)
            return
        self._asked.append(wish)
        self._begin_work()

    async def _work(self) -> None:
        """Greet, then look at what he wishes to watch, one after the other."""
        try:
            if self._hello is not None:
                await self._greet(self._hello)
            while self._asked and not self.is_over:
                await self._follow_wish(self._asked.popleft())
        except AWAY:
            self.end(CloseCode.OVERLOADED)
        finally:
            self._is_working = False
            self._asked = None

    async def _greet(self, hello: Hello) -> None:
        """Find out who says hello and whose feed he may follow, and open the session."""
        edge = self._desk.edge
        self._hello = None
        principal = await edge.accounts.find_principal(hello.token)
        if principal is None:
            self._refuse(CloseCode.UNAUTHENTICATED, UNKNOWN)
            return
        try:
            person = await access.feed_for(edge, principal, hello.feed)
        except Declined as declined:
            problem = Problem(code=declined.code, detail=declined.detail)
            self._refuse(CloseCode.FORBIDDEN, problem)
            return
        is_own = person in access.feeds_of(principal)
        device_id = hello.device_id if is_own else _NOBODY
        rows = await access.orders_under_way(edge, principal, person)
        start = await find_start(edge.database, person, device_id, hello.last_message_id)
        if self.is_over:
            return
        self.principal, self._person, self._device_id = principal, person, device_id
        if not self._desk.admit(self):
            self._refuse(CloseCode.TOO_MANY, _TOO_MANY)
            return
        self._open(principal, start, [access.standing_of(row) for row in rows])

    def _open(self, principal: Principal, start: Start, own: list[Standing]) -> None:
        desk = self._desk
        self._welcome(principal, self._person, start)
        if self._device_id:
            desk.attendances.arrive(self._person, self.id)
        for standing in own:
            self._learn(standing)
        self._following = desk.edge.feeds.follow(self._person, start.message_id, self._show)

    def _show(self, number: int, epoch: int, message: bytes) -> bool:
        """Show a message of the feed, if there is room, and learn from it what else to show."""
        if not self._has_room or self._socket.is_closed:
            return False
        self._desk.totals.shown += 1
        self._send(self._desk.writer.write(self._dialect.notation, number, epoch, message))
        if self._device_id:
            event = public(message, self._desk.edge.map)
            if isinstance(event, OrderMoved):
                self._learn(Standing(event.order_id, event.delivery_status, event.courier_id))
        return True

    def _learn(self, standing: Standing) -> None:
        """Take in how an order of his own stands, and show and hide what follows from that."""
        assert self.principal is not None
        own = self._own or {}
        own.pop(standing.order_id, None)
        if standing.delivery_status in WITH_COURIER:
            own[standing.order_id] = standing
        while len(own) > WATCHED_MAX:
            del own[next(iter(own))]
        self._own = own or None
        if may_see_position(self.principal, standing):
            self._track(standing.order_id)
        else:
            self._unwatch(position_channel(standing.order_id))
        self._hide_presence()

    def _hide_presence(self) -> None:
        """Watch no courier any more whom he may not see now."""
        assert self.principal is not None
        own = tuple((self._own or {}).values())
        for channel in tuple(self._watched or ()):
            kind, _, person = channel.partition(":")
            is_his = kind == "presence" and not may_see(self.principal, CourierId(person), own)
            if is_his:
                self._unwatch(channel)

    async def _follow_wish(self, wish: Watch | Unwatch) -> None:
        try:
            if isinstance(wish, Unwatch):
                self._unwatch(position_channel(wish.order_id or OrderId("")))
                self._unwatch(presence_channel(wish.courier_id or ""))
                return
            if wish.order_id is not None:
                await self._watch_order(wish.order_id)
            if wish.courier_id is not None:
                await self._watch_courier(wish.courier_id)
        except Declined as declined:
            self._say(Problem(code=declined.code, detail=declined.detail))

    async def _watch_order(self, order_id: OrderId) -> None:
        """Show positions of an order's courier, now or, of his own order, from when he may see."""
        assert self.principal is not None
        row = await access.order_for(self._desk.edge, self.principal, order_id)
        standing = access.standing_of(row)
        if self.is_over:
            return
        if acts_for_tenant(self.principal):
            self._track(order_id)  # Nothing is told of it before pickup, or after the door.
        elif self._device_id and order_id not in (self._own or {}):
            self._learn(standing)  # What the feed has told of it is later than the row.

    async def _watch_courier(self, courier_id: CourierId) -> None:
        """Show whether a courier is here, as long as he may see it."""
        assert self.principal is not None
        if acts_for_tenant(self.principal):
            await access.courier_for(self._desk.edge, self.principal, courier_id)
        if not may_see(self.principal, courier_id, tuple((self._own or {}).values())):
            raise Declined(Code.NOT_FOUND)
        if not self.is_over:
            tell = partial(self._tell_presence, courier_id)
            self._watch(
                presence_channel(courier_id), lambda: self._desk.board.watch(courier_id, tell)
            )

    def _track(self, order_id: OrderId) -> None:
        channel = position_channel(order_id)
        hear = partial(self._hear_position, channel)
        self._watch(channel, lambda: self._desk.edge.live.subscribe(channel, hear))

    def _watch(self, channel: str, begin: Callable[[], Callable[[], None]]) -> None:
        """Watch one thing more, unless it is watched already or there is no room."""
        watched = self._watched
        if watched is None:
            watched = self._watched = {}
        if channel in watched:
            return
        if len(watched) >= WATCHED_MAX:
            self._say(_TOO_MANY)
            return
        watched[channel] = begin()

    def _unwatch(self, channel: str) -> None:
        """Watch it no more; what waited of it is not shown either."""
        if self._latest is not None:
            self._latest.pop(channel, None)
        silence = (self._watched or {}).pop(channel, None)
        if silence is not None:
            silence()
        self._watched = self._watched or None

    def _hear_position(self, channel: str, told: bytes) -> None:
        self._desk.totals.positions += 1
        if self._dialect.notation is Notation.MSGPACK:
            self._show_latest(channel, told)
            return
        with suppress(DecodeError, UnicodeDecodeError):
            self._show_latest(channel, self._dialect.write(_read_position(told)))

    def _tell_presence(self, courier_id: CourierId, is_online: bool) -> None:  # noqa: FBT001 - as the board says it.
        presence = Presence(person=courier_id, is_online=is_online)
        self._show_latest(presence_channel(courier_id), self._dialect.write(presence))

    def _show_latest(self, channel: str, written: bytes) -> None:
        """Send it, or keep it in the place of what waits there of the same thing."""
        if self._has_room:
            self._send(written)
            return
        if self._latest is None:
            self._latest = {}
        self._desk.totals.overtaken += channel in self._latest
        self._latest[channel] = written

    def _let_go(self) -> None:
        super()._let_go()
        self._desk.leave(self)
        self._asked = self._own = self._latest = None
        watched, self._watched = self._watched or {}, None
        for silence in watched.values():
            silence()
