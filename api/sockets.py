"""The couriers' sockets of a node: `CourierSessions.usher` takes them from the reactor.

What goes on by itself is here: sessions are looked at in turns, acknowledgements are stored once a
second, where couriers live is read again now and then (they cross from market to market without a
word of theirs), and each is told where to go when its shard or this node goes away. What one
session does is in `api.courier_session`.
"""

from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from itertools import count

import trio
from msgspec import DecodeError, Struct, msgpack

from api.acts import ActDesk, ActLedger
from api.attendance import Attendances
from api.courier_session import CourierSession, Desk, Totals
from api.events import EventWriter
from api.pings import PingGatherer
from api.pool import Pool
from api.ports import Edge
from api.reactor import Guest, Socket
from api.roster import SPOKES, Roster
from api.seen import Seen, sent_away
from dispatch.ids import CourierId, DeviceId, ShardId
from storage.acts import Acts
from storage.cursors import find_start
from storage.database import DatabaseRefused, DatabaseUnreachable
from wire.frames import CloseCode

CHANNEL = "courier-sessions"
"""Where nodes tell each other which device has begun a session."""
LOOK_S = 1.0
"""Time in which every session is looked at once."""
ALARM_S = 0.05
"""How late a session may be woken."""
HOMES_S = 5.0
HOMES_MAX = 1_000
"""Couriers whose homes are asked for at once."""
FORGET_S = 3_600.0

_AWAY = (DatabaseUnreachable, DatabaseRefused)
_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder[tuple[CourierId, DeviceId, str]](tuple[CourierId, DeviceId, str]).decode


class SessionLimits(Struct, frozen=True, kw_only=True):
    """What bounds the sessions of a node."""

    sessions_max: int = 20_000
    tasks_max: int = 128
    """Hellos and acts that are worked on at once."""
    away_s: float = 1.0
    """Time over which sessions that are sent away are spread."""


class SessionStatistics(Struct, frozen=True, kw_only=True):
    """The sessions now, what waits, and what was done so far."""

    sessions: int
    welcome: int
    jobs_waiting: int
    alarms: int
    unstored: int
    welcomed: int
    refused: int
    acts: int
    repeated: int
    retried: int
    shown: int
    pings: int
    pings_ignored: int
    pings_lost: int


class CourierSessions:
    """All courier sessions of a node."""

    def __init__(self, edge: Edge, limits: SessionLimits | None = None) -> None:
        self._edge = edge
        self._limits = limits or SessionLimits()
        self._alarms: list[tuple[float, int, CourierSession]] = []
        self._numbers = count()
        acts = Acts(edge.database)
        self._desk = Desk(
            edge=edge,
            acts=acts,
            act_desk=ActDesk(edge, acts),
            ledger=ActLedger(acts),
            writer=EventWriter(edge.map),
            pings=PingGatherer(edge.actors.take),
            attendances=Attendances(edge.presence, edge.node),
            pool=Pool(self._limits.tasks_max, self._limits.sessions_max),
            roster=Roster(),
            totals=Totals(),
            find_start=partial(find_start, edge.database),
            seen=Seen(edge.database),
            set_alarm=self._set_alarm,
            announce=self._announce,
        )

    def usher(self, socket: Socket) -> Guest:
        """Take a socket in: the usher of `/v1/courier`."""
        is_welcome = self._desk.roster.count() < self._limits.sessions_max
        session = CourierSession(self._desk, socket, is_welcome=is_welcome)
        if is_welcome:
            self._desk.roster.arrive(session)
        return session

    async def run(self) -> None:
        """Do what sessions need in the background, until cancelled."""
        silence = self._edge.live.subscribe(CHANNEL, self._hear)
        desk = self._desk
        try:
            async with trio.open_nursery() as nursery:
                for work in (desk.pool.run, desk.pings.run, desk.ledger.run, desk.attendances.run):
                    nursery.start_soon(work)
                for duty in (
                    self._look,
                    self._ring,
                    self._desk.seen.run,
                    self._settle,
                    self._forget,
                ):
                    nursery.start_soon(duty)
        finally:
            silence()

    async def send_away(self, shard: ShardId | None, address: str) -> None:
        """Tell the sessions of a shard, or all, to go on at `address`, empty for anywhere."""
        code = CloseCode.RESTART if shard is None else CloseCode.MOVED
        leaving = [one for one in self._desk.roster if shard is None or _lives_in(one, shard)]
        await sent_away(leaving, code, address, self._limits.away_s)

    @property
    def seen(self) -> Seen:
        """Return how far devices have come since that was last stored."""
        return self._desk.seen

    def statistics(self) -> SessionStatistics:
        """Return how the sessions are doing."""
        desk, totals = self._desk, self._desk.totals
        return SessionStatistics(
            sessions=desk.roster.count(),
            welcome=desk.attendances.count(),
            jobs_waiting=desk.pool.waiting_count(),
            alarms=len(self._alarms),
            unstored=len(desk.seen.waiting),
            welcomed=totals.welcomed,
            refused=totals.refused,
            acts=totals.acts,
            repeated=totals.repeated,
            retried=totals.retried,
            shown=totals.shown,
            pings=desk.pings.taken,
            pings_ignored=totals.pings_ignored,
            pings_lost=desk.pings.lost,
        )

    async def find_homes(self) -> None:
        """Read again where couriers live: they may have crossed, or work by another device."""
        courier_ids = self._desk.roster.courier_ids()
        for start in range(0, len(courier_ids), HOMES_MAX):
            with suppress(*_AWAY):
                homes = await self._desk.acts.homes(courier_ids[start : start + HOMES_MAX])
                for courier_id, home in homes.items():
                    self._desk.roster.settle(courier_id, home)

    def _set_alarm(self, session: CourierSession, wait_s: float) -> None:
        if not session.has_alarm:
            session.has_alarm = True
            due_s = trio.current_time() + wait_s
            heappush(self._alarms, (due_s, next(self._numbers), session))

    def _announce(self, session: CourierSession) -> None:
        told = _encode((session.courier_id, session.device_id, session.id))
        self._edge.live.publish(CHANNEL, told)

    def _hear(self, message: bytes) -> None:
        with suppress(DecodeError, UnicodeDecodeError):
            self._desk.roster.replace(*_decode(message))

    async def _look(self) -> None:
        """Look at each session once in `LOOK_S`, at a part of them at a time."""
        for turn in count():
            await trio.sleep(LOOK_S / SPOKES)
            now = self._edge.now()
            for session in self._desk.roster.spoke(turn):
                session.look(now)

    async def _ring(self) -> None:
        """Wake the sessions whose time has come."""
        while True:
            await trio.sleep(ALARM_S)
            now_s = trio.current_time()
            while self._alarms and self._alarms[0][0] <= now_s:
                _, _, session = heappop(self._alarms)
                session.wake()

    async def _settle(self) -> None:
        while True:
            await trio.sleep(HOMES_S)
            await self.find_homes()

    async def _forget(self) -> None:
        while True:
            await trio.sleep(FORGET_S)
            with suppress(*_AWAY):
                await self._desk.acts.forget_old()


def _lives_in(session: CourierSession, shard: ShardId) -> bool:
    return session.home is not None and session.home.shard == shard
