"""A couriers' desk in memory: sessions without a socket, a database or a cluster, on trio's clock.

`Bench` is one node; several share what the cluster keeps (`Kept`). What actors would answer is what
a `Script` says, which also notes what they were asked.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import trio
import trio.testing
from msgspec import Struct, msgpack

from api.acts import ActDesk, ActLedger
from api.attendance import Attendances
from api.courier_session import CourierSession, Desk, Totals
from api.events import EventWriter
from api.pings import PingGatherer
from api.pool import Pool
from api.ports import Edge, Unavailable
from api.roster import Roster
from api.seen import Seen
from dispatch.ids import CourierId, DeviceId, Instant, ShardId, TenantId
from dispatch.lease import NodeId
from dispatch.step import Accepted, Code, Refused
from geo.ping import Track
from services.accounts.principal import Principal, Role
from storage import acts
from storage.acts import Acts, Found, Home, Outcome, Standing
from storage.cursors import Start
from storage.presence import Attendance, RedisPresence
from tests.api.lines import MemoryFeeds
from tests.api.stage import OneMarket
from wire.frames import (
    Act,
    AnyAction,
    Done,
    Hello,
    Notation,
    ServerFrame,
    Welcome,
)
from wire.websocket import Handshake

ANN = CourierId("crr_ann")
PHONE = DeviceId("dev_phone")
SHARD = ShardId(7)
BEGAN_AT = 1_800_000_000_000
_chance = count()
_SMALL, _HEADER_BYTES, _LONG_HEADER_BYTES = 126, 2, 4


class MemoryActs(Acts):
    """What the table of acts would hold."""

    def __init__(self) -> None:
        self.kept: dict[tuple[CourierId, DeviceId, int], Outcome] = {}
        self.places: dict[CourierId, Home] = {ANN: Home(SHARD, is_on_shift=True)}

    async def greet(self, courier_id: CourierId, device_id: DeviceId) -> Standing:
        return Standing(self.places.get(courier_id), self._latest(courier_id, device_id))

    async def homes(self, courier_ids: Sequence[CourierId]) -> Mapping[CourierId, Home]:
        return {one: self.places[one] for one in courier_ids if one in self.places}

    async def find(self, courier_id: CourierId, device_id: DeviceId, counter: int) -> Found:
        outcome = self.kept.get((courier_id, device_id, counter))
        return Found(outcome, self._latest(courier_id, device_id))

    async def keep(self, done: Sequence[acts.Kept]) -> None:
        for one in done:
            self.kept.setdefault((one.courier_id, one.device_id, one.counter), one.outcome)

    def _latest(self, courier_id: CourierId, device_id: DeviceId) -> int:
        counters = [key[2] for key in self.kept if key[:2] == (courier_id, device_id)]
        return max(counters, default=0)


@dataclass(slots=True)
class Script:
    """What actors answer; by default that it counted. Fits `api.ports.Actors`."""

    asked: list[tuple[str, str, Struct]] = field(default_factory=list[tuple[str, str, Struct]])
    answer: Callable[[Struct], Accepted | Refused] = lambda _message: Accepted()
    away: int = 0
    """How many asks from now on find nobody."""
    takes_s: float = 0.0
    taken: list[tuple[ShardId, Track]] = field(default_factory=list[tuple[ShardId, Track]])

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        del shard
        await trio.sleep(self.takes_s)
        if self.away:
            self.away -= 1
            raise Unavailable("nobody is there")
        self.asked.append((kind, key, message))
        return self.answer(message)

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        self.taken += [(shard, track) for track in tracks]

    def is_here(self, shard: ShardId) -> bool:
        return shard == SHARD


@dataclass(slots=True)
class Known:
    """Everybody is the courier whom his token names; fits `api.ports.Accounts`."""

    expires_at: int = 0
    ended: set[str] = field(default_factory=set[str])

    async def find_principal(self, bearer: str) -> Principal | None:
        if not bearer.startswith("crr_"):
            return None
        return Principal(
            subject=f"usr_{bearer}",
            role=Role.COURIER,
            tenant_id=TenantId("tnt_1"),
            courier_id=CourierId(bearer),
            session_id=f"sid_{bearer}",
            expires_at=self.expires_at,
        )

    def is_ended(self, session_id: str) -> bool:
        return session_id in self.ended


class MemoryPresence(RedisPresence):
    """Who has come and gone, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def arrive(self, attendance: Attendance) -> None:
        self.told.append(("arrived", attendance.person))

    async def leave(self, attendance: Attendance) -> None:
        self.told.append(("left", attendance.person))

    async def renew(self, attendances: Sequence[Attendance]) -> None:
        self.told += [("renewed", attendance.person) for attendance in attendances]


class FakeSocket:
    """What a session needs of a socket, and what was sent over it."""

    def __init__(self, notation: Notation = Notation.MSGPACK) -> None:
        self.request = Handshake(path="/v1/courier", subprotocol=notation)
        self.peer = "192.0.2.1"
        self.frames: list[ServerFrame] = []
        self.room = 1_000_000
        self.code: int | None = None

    @property
    def is_closed(self) -> bool:
        return self.code is not None

    def send(self, frame: bytes) -> bool:
        if self.is_closed:
            return False
        header = _HEADER_BYTES if frame[1] < _SMALL else _LONG_HEADER_BYTES
        self.frames.append(msgpack.decode(frame[header:], type=ServerFrame))
        self.room -= 1
        return self.room > 0

    def close(self, code: int, reason: str = "") -> None:
        del reason
        self.code = self.code or code


class Device:
    """A courier's device on a socket in memory."""

    def __init__(
        self, bench: "Bench", device_id: DeviceId = PHONE, socket: FakeSocket | None = None
    ) -> None:
        self.socket = socket or FakeSocket()
        self.session = CourierSession(bench.desk, cast("Any", self.socket))
        self.device_id = device_id
        bench.desk.roster.arrive(self.session)

    def say(self, frame: object) -> None:
        """Send a frame, unless the socket is closed."""
        if not self.socket.is_closed:
            self.session.received(msgpack.encode(frame), False)

    def act(self, counter: int, action: AnyAction) -> None:
        """Do something."""
        self.say(Act(counter=counter, at=Instant(BEGAN_AT), action=action))

    async def greet(self, token: str = ANN, last_message_id: int | None = None) -> Welcome:
        """Say hello, and wait until there is an answer."""
        self.say(Hello(token=token, device_id=self.device_id, last_message_id=last_message_id))
        await trio.testing.wait_all_tasks_blocked()
        return self.heard(Welcome)[-1]

    def heard[F](self, kind: type[F]) -> list[F]:
        """Return the frames of a kind that have come so far."""
        return [frame for frame in self.socket.frames if isinstance(frame, kind)]

    def done(self) -> list[Done]:
        """Return what came of the acts so far."""
        return self.heard(Done)

    def hang_up(self) -> None:
        """Lose the connection."""
        self.socket.close(1006)
        self.session.closed(1006)


@dataclass(slots=True, repr=False)
class Bench:
    """One node's desk, with all that it reaches."""

    acts: MemoryActs = field(default_factory=MemoryActs)
    script: Script = field(default_factory=Script)
    feeds: MemoryFeeds = field(default_factory=MemoryFeeds)
    known: Known = field(default_factory=Known)
    presence: MemoryPresence = field(default_factory=MemoryPresence)
    desk: Desk = field(init=False)
    nursery: trio.Nursery | None = None

    def __post_init__(self) -> None:
        nothing: Any = None
        edge = Edge(
            node=NodeId("node-1"),
            cluster="test",
            clock=now,
            entropy=lambda size: next(_chance).to_bytes(size),
            database=nothing,
            replica=nothing,
            redis=nothing,
            actors=self.script,
            map=OneMarket(),
            zones=nothing,
            wayfinder=nothing,
            feeds=self.feeds,
            live=nothing,
            presence=self.presence,
            accounts=self.known,
            limits=nothing,
            idempotency=nothing,
            doors=nothing,
            is_ready=lambda: True,
        )
        self.desk = Desk(
            edge=edge,
            acts=self.acts,
            act_desk=ActDesk(edge, self.acts),
            ledger=ActLedger(self.acts),
            writer=EventWriter(edge.map),
            pings=PingGatherer(self.script.take),
            attendances=Attendances(self.presence, edge.node),
            pool=Pool(tasks_max=4, jobs_max=100_000),
            roster=Roster(),
            totals=Totals(),
            find_start=self._find_start,
            seen=Seen(edge.database),
            set_alarm=self._set_alarm,
            announce=lambda _session: None,
        )

    async def _find_start(self, person: str, device_id: DeviceId, last: int | None) -> Start:
        del person, device_id
        return Start(last or 0)

    def _set_alarm(self, session: CourierSession, wait_s: float) -> None:
        async def ring() -> None:
            await trio.sleep(wait_s)
            session.wake()

        assert self.nursery is not None
        if not session.has_alarm:
            session.has_alarm = True
            self.nursery.start_soon(ring)


def now() -> Instant:
    """Return what trio's clock says, as an instant."""
    return Instant(BEGAN_AT + round(trio.current_time() * 1_000))


@asynccontextmanager
async def at_work(bench: Bench) -> AsyncGenerator[Bench]:
    """Have a bench's background work done."""
    async with trio.open_nursery() as nursery:
        bench.nursery = nursery
        for work in (bench.desk.pool.run, bench.desk.pings.run, bench.desk.ledger.run):
            nursery.start_soon(work)
        yield bench
        nursery.cancel_scope.cancel()


def refusing(code: Code) -> Callable[[Struct], Refused]:
    """Return an actor's answer to whatever it is asked."""
    return lambda _message: Refused(code)
