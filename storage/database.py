"""The connections to Postgres, and the one place where its errors get a name.

Whoever asks the database does it by handing a coroutine function to `call`, which runs on the
asyncio thread of the bridge with a connection: one of a small pool for odd jobs, or a session's own
one. A session that was lost stays lost, because what it stood for (a lock, a place in a queue) is
gone; its owner asks for another. Of several hosts in the URL the one that commits is taken.

A call that is late ends its connection and never just its statement. A commit that waits for the
standby would count as done if its statement was cancelled, and be seen by others, on the primary
alone; with the connection gone it goes on waiting, and nobody sees it before it is kept.

An error is one of three. `DatabaseUnreachable` may pass: try again. `DatabaseRefused` is for the
operator to mend, and its sentence says how. All else is a fault of the program and stays as it is.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlsplit

import asyncpg
import trio
from asyncpg import Connection
from msgspec import Struct

from storage.bridge import Bridge, BridgeClosed, Jobs
from storage.hosts import Hosts, Role

type Ask[T] = Callable[[Connection], Coroutine[Any, Any, T]]


class DatabaseUnreachable(Exception):
    """The database did not answer, or cannot at the moment; what was asked may have been done."""


class DatabaseRefused(Exception):
    """The database will not do it until an operator has mended what the sentence says."""


class Terms(Struct, frozen=True, kw_only=True):
    """How long and how often the database is asked."""

    connect_s: float = 3.0
    """Time to connect, over all hosts of the URL."""
    call_s: float = 4.5
    """Time that a call has when its caller names none."""
    statement_s: float = 4.0
    """Time after which the server gives a statement up by itself; the session goes on."""
    transaction_s: float = 5.0
    """Time after which the server gives a transaction up, and its session with it."""
    lock_s: float = 2.0
    """Time that a statement waits for a lock."""
    idle_s: float = 2.0
    """Time a transaction may do nothing, so that a stopped client cannot keep its locks."""
    host: Literal["primary", "prefer-standby"] = "primary"
    """Which host of the URL is taken: the one that takes writes, or one for late reads."""
    pool_max: int = 4
    """Connections for odd jobs."""
    backoff_s: float = 0.05
    """Wait before connecting again after a failure; each further wait is twice the one before."""
    backoff_s_max: float = 1.0
    """Longest wait between two attempts to connect."""


TERMS = Terms()
MARGIN_S = 0.2
"""Time that a call has to end by itself, once its connection has been cut off."""
ROLES: Mapping[str, Sequence[Role]] = {
    "primary": ("primary",),
    "prefer-standby": ("standby", "any"),
}
FAILURES_MAX = 16
"""Failures in a row that are counted; by then the wait is at its longest."""
PASSING = {
    "25006": "it is a standby and takes no writes",
    "25P03": "a transaction stood idle for too long",
    "25P04": "a transaction took too long",
    "53200": "it is out of memory",
    "53300": "all of its connections are taken",
    "55P03": "a lock was not to be had in time",
    "57014": "a statement took too long",
}
"""What ends by itself, by SQLSTATE. Whole classes that do are in `PASSING_CLASSES`."""
PASSING_CLASSES = {
    "08": "the connection failed",
    "40": "two transactions were in each other's way",
    "57": "it is starting, stopping or was interrupted",
    "58": "it met an error of its system",
}
REFUSALS = {
    "28P01": "refuses the password: mend the user and password in DATABASE_URL",
    "28000": "does not let this user in: mend DATABASE_URL, or the server's pg_hba.conf",
    "3D000": "has no database of that name: create it, or mend DATABASE_URL",
    "42501": "denies this user a right: let the owner of the schema run dispatch",
    "42P01": "has no schema of ours, or an older one: run `dispatch migrate`",
    "42883": "has no schema of ours, or an older one: run `dispatch migrate`",
    "42703": "has an older schema: run `dispatch migrate`",
    "53100": "has no room left on its disk, and wrote nothing: make room there",
    "42704": "does not know a setting of ours: it must be PostgreSQL 17 or newer",
}


def place(url: str) -> str:
    """Return host, port and database of a URL, for people: without user and password."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + parts.path


@contextmanager
def named_errors(where: str) -> Generator[None]:
    """Turn what asyncpg raises into `DatabaseUnreachable` or `DatabaseRefused`."""
    try:
        yield
    except asyncpg.PostgresError as error:
        named = _named(where, error)
        if named is None:
            raise
        raise named from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise DatabaseUnreachable(f"none of the servers at {where} takes writes now") from error
    except asyncpg.ClientConfigurationError as error:
        raise DatabaseRefused(f"DATABASE_URL cannot be understood: {error}") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        told = str(error) or type(error).__name__
        raise DatabaseUnreachable(f"the database at {where} cannot be reached: {told}") from error


@contextmanager
def _in_time(where: str) -> Generator[None]:
    try:
        yield
    except trio.TooSlowError as error:
        raise DatabaseUnreachable(f"the database at {where} did not answer in time") from error


@contextmanager
def _cut_off_at(ends_at: float, cut: Callable[[], None]) -> Generator[None]:
    """Cut a connection off when the time is up. For the asyncio thread."""
    late = asyncio.get_running_loop().call_at(ends_at, cut)
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if asyncio.get_running_loop().time() >= ends_at:
            raise TimeoutError("it did not answer in time") from error
        raise
    finally:
        late.cancel()


def _named(where: str, error: asyncpg.PostgresError) -> Exception | None:
    state = error.sqlstate
    if refusal := REFUSALS.get(state):
        return DatabaseRefused(f"the database at {where} {refusal} ({error})")
    if passing := PASSING.get(state) or PASSING_CLASSES.get(state[:2]):
        return DatabaseUnreachable(f"the database at {where} cannot now: {passing} ({error})")
    return None


def _is_survived(error: BaseException | None) -> bool:
    """Tell whether a connection can be asked on after this error: one statement failed, no more."""
    return isinstance(error, asyncpg.PostgresError) and error.severity_en == "ERROR"


class Session:
    """One connection of its own, asked one thing at a time. Made by `Database.connection`."""

    def __init__(
        self, bridge: Bridge, terms: Terms, where: str, lost: Callable[[], None] | None
    ) -> None:
        self._bridge = bridge
        self._terms = terms
        self._where = where
        self._lost = lost
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._is_wanted = True

    @property
    def is_lost(self) -> bool:
        """Tell whether the connection has ended, by whomever."""
        return self._connection is None

    async def call[T](self, ask: Ask[T], timeout_s: float | None = None) -> T:
        """Have the connection asked, after all that it was asked before.

        When the time is up the connection is cut off, for nobody knows what it is in the middle of.
        """
        limit_s = timeout_s or self._terms.call_s
        with _in_time(self._where):
            return await self._bridge.call(lambda: self._run(ask, limit_s), limit_s + MARGIN_S)

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        """Have the notifications of a channel told to `heard`, in the thread that runs trio."""

        def hear(_connection: Connection, _pid: int, _channel: str, payload: object) -> None:
            self._bridge.to_trio(lambda: heard(str(payload)))

        await self.call(lambda connection: connection.add_listener(channel, hear))

    async def close(self) -> None:
        """End the connection in order; one that is lost already is no matter."""
        await self._bridge.call(self.end, self._terms.call_s)

    def drop(self) -> None:
        """Have the connection ended, with nobody waiting; with the bridge it ends anyway."""
        with suppress(BridgeClosed):
            self._bridge.post(self.end)

    async def begin(self, connect: Callable[[], Coroutine[Any, Any, Connection]]) -> None:
        """Connect, unless nobody wants it any more. For the asyncio thread."""
        async with self._lock:
            if not self._is_wanted:
                return
            with named_errors(self._where):
                self._connection = await connect()
            self._connection.add_termination_listener(self._note_lost)

    async def end(self) -> None:
        """Disconnect. For the asyncio thread."""
        self._is_wanted = False
        async with self._lock:
            if self._connection is None:
                return
            with named_errors(self._where):
                await self._connection.close(timeout=self._terms.connect_s)

    async def _run[T](self, ask: Ask[T], limit_s: float) -> T:
        ends_at = asyncio.get_running_loop().time() + limit_s
        async with self._lock:
            connection = self._connection
            if connection is None:
                raise DatabaseUnreachable(f"the connection to {self._where} was lost")
            try:
                with named_errors(self._where), _cut_off_at(ends_at, lambda: self._cut(connection)):
                    return await ask(connection)
            except asyncio.CancelledError:
                self._cut(connection)
                raise
            except DatabaseUnreachable as error:
                if not _is_survived(error.__cause__):
                    self._cut(connection)
                raise

    def _cut(self, connection: Connection) -> None:
        """Give the connection up at once. asyncpg does not tell its listeners of every end."""
        connection.terminate()
        self._note_lost(connection)

    def _note_lost(self, _connection: Connection) -> None:
        was_lost, self._connection = self.is_lost, None
        if self._lost is not None and self._is_wanted and not was_lost:
            self._bridge.to_trio(self._lost)


class Database:
    """A Postgres server, or a primary with its standbys. All but the underscored is for trio."""

    def __init__(self, bridge: Bridge, url: str, terms: Terms = TERMS) -> None:
        self.where = place(url)
        self._bridge = bridge
        self._hosts = Hosts(url, ROLES[terms.host], _settings(terms))
        self._terms = terms
        self._pool: asyncpg.Pool | None = None
        self._pooling = asyncio.Lock()
        self._jobs = Jobs()
        self._sessions: set[Session] = set()
        self._failures = 0
        self._connects_at = 0.0

    async def call[T](self, ask: Ask[T], timeout_s: float | None = None) -> T:
        """Have any connection of the pool asked."""
        limit_s = timeout_s or self._terms.call_s
        with _in_time(self.where):
            work = self._jobs.counted(lambda: self._run(ask, limit_s))
            return await self._bridge.call(work, limit_s + MARGIN_S)

    async def connection(self, lost: Callable[[], None] | None = None) -> Session:
        """Connect a session; `lost` is called in trio's thread if it ends before it is closed."""
        session = Session(self._bridge, self._terms, self.where, lost)
        try:
            with _in_time(self.where):
                limit_s = self._terms.connect_s + MARGIN_S
                await self._bridge.call(lambda: self._begin(session), limit_s)
        except (trio.Cancelled, DatabaseUnreachable):
            self._bridge.post(session.end)
            raise
        return session

    async def close(self) -> None:
        """End all connections. A database that is gone, or a bridge, has none to end."""
        try:
            await self._bridge.call(self._end, 2 * self._terms.connect_s)
        except (trio.TooSlowError, BridgeClosed):
            return

    async def _run[T](self, ask: Ask[T], limit_s: float) -> T:
        ends_at = asyncio.get_running_loop().time() + limit_s
        with named_errors(self.where):
            pool = await self._opened_pool()
            async with pool.acquire() as connection:
                with _cut_off_at(ends_at, connection.terminate):
                    return await ask(connection)

    async def _begin(self, session: Session) -> None:
        await session.begin(self._connect)
        self._sessions = {kept for kept in self._sessions if not kept.is_lost} | {session}

    async def _opened_pool(self) -> asyncpg.Pool:
        async with self._pooling:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    min_size=0,
                    max_size=self._terms.pool_max,
                    max_inactive_connection_lifetime=60,
                    connect=self._connect,
                    reset=_kept,
                )
            return self._pool

    async def _connect(self, *_dsn: object, **_pool: object) -> Connection:
        """Connect to a host that will do, no sooner than the last failure allows."""
        clock_s = asyncio.get_running_loop().time
        ends_at = clock_s() + self._terms.connect_s
        await asyncio.sleep(max(0.0, self._connects_at - clock_s()))
        failures = min(self._failures + 1, FAILURES_MAX)
        try:
            connection = await self._hosts.connect(ends_at)
            failures = 0
            return connection
        finally:
            self._failures = failures
            self._connects_at = clock_s() + self._wait_s()

    def _wait_s(self) -> float:
        if not self._failures:
            return 0.0
        return min(self._terms.backoff_s * 2 ** (self._failures - 1), self._terms.backoff_s_max)

    async def _end(self) -> None:
        for session in tuple(self._sessions):
            await session.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._terms.connect_s):
                await self._jobs.none.wait()
        if self._pool is not None:
            self._pool.terminate()


@asynccontextmanager
async def connected(bridge: Bridge, url: str, terms: Terms = TERMS) -> AsyncGenerator[Database]:
    """A database whose connections end with the block, however that ends."""
    database = Database(bridge, url, terms)
    try:
        yield database
    finally:
        with trio.CancelScope(shield=True):
            await database.close()


async def _kept(_connection: Connection) -> None:
    """Leave a pooled connection as it is; a transaction left open was rolled back before this.

    Calls leave nothing else behind (locks and notifications belong to sessions), and the pool's own
    reset would be a second round trip for each of them.
    """


def _settings(terms: Terms) -> Mapping[str, str]:
    limits_s = {
        "statement_timeout": terms.statement_s,
        "transaction_timeout": terms.transaction_s,
        "lock_timeout": terms.lock_s,
        "idle_in_transaction_session_timeout": terms.idle_s,
    }
    settings = {name: f"{round(limit_s * 1000)}" for name, limit_s in limits_s.items()}
    return {"application_name": "dispatch", **settings}
