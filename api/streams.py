"""The streams of a node: `StreamSessions.usher` takes the sockets of `/v1/stream` from the reactor.

Customers, restaurants and operations follow their feeds here. What goes on by itself is here:
sessions are looked at in turns, acknowledgements are stored once a second, and all are told where
to go when the node goes away. What one session does is in `api.stream_session`.
"""

from collections import Counter
from itertools import count, cycle

import trio
from msgspec import Struct

from api.attendance import Attendances
from api.events import EventWriter
from api.pool import Pool
from api.ports import Edge
from api.presence import PresenceBoard
from api.reactor import Guest, Socket
from api.seen import Seen, sent_away
from api.stream_session import Desk, StreamSession, Totals
from wire.frames import CloseCode

LOOK_S = 1.0
"""Time in which every session is looked at once."""
SPOKES = 10
"""Parts into which the sessions are divided, so that looking at one part takes no time."""


class StreamLimits(Struct, frozen=True, kw_only=True):
    """What bounds the streams of a node."""

    sessions_max: int = 20_000
    own_sessions_max: int = 32
    """Sessions of one person."""
    tasks_max: int = 64
    """Hellos and wishes that are looked at at once."""
    away_s: float = 1.0
    """Time over which sessions that are sent away are spread."""


class StreamStatistics(Struct, frozen=True, kw_only=True):
    """The sessions now, what waits, and what was done so far."""

    sessions: int
    present: int
    watched: int
    jobs_waiting: int
    welcomed: int
    refused: int
    shown: int
    positions: int
    overtaken: int


class StreamSessions:
    """All streams of a node."""

    def __init__(self, edge: Edge, limits: StreamLimits | None = None) -> None:
        self._edge = edge
        self._limits = limits or StreamLimits()
        self._spokes: tuple[set[StreamSession], ...] = tuple(
            set[StreamSession]() for _ in range(SPOKES)
        )
        self._next_spoke = cycle(range(SPOKES))
        self._counts: Counter[str] = Counter()
        self._desk = Desk(
            edge=edge,
            writer=EventWriter(edge.map),
            attendances=Attendances(edge.presence, edge.node),
            pool=Pool(self._limits.tasks_max, self._limits.sessions_max),
            board=PresenceBoard(edge.presence, edge.live),
            totals=Totals(),
            seen=Seen(edge.database),
            admit=self._admit,
            leave=self._leave,
        )

    def usher(self, socket: Socket) -> Guest:
        """Take a socket in: the usher of `/v1/stream`."""
        session = StreamSession(self._desk, socket)
        if self.count() >= self._limits.sessions_max:
            session.end(CloseCode.OVERLOADED)
            return session
        session.spoke = next(self._next_spoke)
        self._spokes[session.spoke].add(session)
        return session

    def count(self) -> int:
        """Return how many sessions there are."""
        return sum(map(len, self._spokes))

    async def run(self) -> None:
        """Do what sessions need in the background, until cancelled."""
        desk = self._desk
        async with trio.open_nursery() as nursery:
            for work in (desk.pool.run, desk.attendances.run, desk.board.run, desk.seen.run):
                nursery.start_soon(work)
            nursery.start_soon(self._look)

    async def send_away(self, address: str) -> None:
        """Tell all sessions to go on at `address`, empty for anywhere, and close them."""
        leaving = [session for spoke in self._spokes for session in spoke]
        await sent_away(leaving, CloseCode.RESTART, address, self._limits.away_s)

    @property
    def seen(self) -> Seen:
        """Return how far devices have come since that was last stored."""
        return self._desk.seen

    def statistics(self) -> StreamStatistics:
        """Return how the streams are doing."""
        desk, totals = self._desk, self._desk.totals
        return StreamStatistics(
            sessions=self.count(),
            present=desk.attendances.count(),
            watched=desk.board.count(),
            jobs_waiting=desk.pool.waiting_count(),
            welcomed=totals.welcomed,
            refused=totals.refused,
            shown=totals.shown,
            positions=totals.positions,
            overtaken=totals.overtaken,
        )

    def _admit(self, session: StreamSession) -> bool:
        assert session.principal is not None
        subject = session.principal.subject
        if self._counts[subject] >= self._limits.own_sessions_max:
            session.principal = None
            return False
        self._counts[subject] += 1
        return True

    def _leave(self, session: StreamSession) -> None:
        self._spokes[session.spoke].discard(session)
        if session.principal is not None:
            subject, session.principal = session.principal.subject, None
            self._counts[subject] -= 1
            if not self._counts[subject]:
                del self._counts[subject]

    async def _look(self) -> None:
        """Look at each session once in `LOOK_S`, at a part of them at a time."""
        for turn in count():
            await trio.sleep(LOOK_S / SPOKES)
            now = self._edge.now()
            for session in tuple(self._spokes[turn % SPOKES]):
                session.look(now)
