"""The bridge from trio to the thread on which asyncio's clients of Postgres and Redis run.

A whole transaction is one coroutine here, so that nothing on the trio side can tear it: a caller
who is cancelled, or has waited long enough, goes at once, and what he began runs to its own end on
the other side, for as long as it was given. Both directions cross in batches: many jobs, or many
results, cost one wake-up of the other thread.

Nothing of asyncio is touched outside the coroutines that are handed in, and nothing of trio inside
of them. The coroutines bring their own reconnecting; the bridge knows no server.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import trio
import uvloop
from msgspec import Struct

POSTS_MAX = 10_000
"""Jobs nobody waits for that may be under way at once; one more is dropped and counted."""
GRACE_S = 5.0
"""Time that running jobs have when the bridge ends, before they are cancelled."""

CLOSE_S = 2.0
"""Time in which the loop is closed, or left to the end of the process."""

type Work[T] = Callable[[], Coroutine[Any, Any, T]]


class BridgeClosed(Exception):
    """The bridge has ended: nothing was begun."""


class BridgeStatistics(Struct, frozen=True, kw_only=True):
    """How the bridge stands: jobs under way, jobs so far, and wake-ups of either thread."""

    running: int
    called: int
    posted: int
    dropped: int
    failed: int
    abandoned: int
    crossings: int
    returns: int


class _Call:
    """One job and whoever waits for it; `settled` is for the trio thread alone."""

    __slots__ = ("answer", "error", "settled", "timeout_s", "work")

    def __init__(self, work: Work[Any], timeout_s: float) -> None:
        self.work = work
        self.timeout_s = timeout_s
        self.settled = trio.Event()
        self.answer: Any = None
        self.error: BaseException | None = None


type _Job = _Call | Work[None]


class Bridge:
    """A running asyncio thread. All but `to_trio` is for the thread that runs trio."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bridge to a loop that another thread runs."""
        self._loop = loop
        self._trio = trio.lowlevel.current_trio_token()
        self._there: deque[_Job] = deque()
        self._back: deque[Callable[[], None]] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_open = True
        self._called = self._posted = self._dropped = 0
        self._failed = self._abandoned = self._crossings = self._returns = 0

    async def call[T](self, work: Work[T], timeout_s: float) -> T:
        """Run the work over there and return what it returns, or raise what it raises.

        Raises `trio.TooSlowError` after `timeout_s`; only then is the work itself cancelled. A
        cancelled caller leaves at once, and the work goes on without him.
        """
        call = _Call(work, timeout_s)
        self._called += 1
        self._cross(call)
        try:
            await call.settled.wait()
        except trio.Cancelled:
            self._abandoned += 1
            raise
        if call.error is not None:
            raise call.error
        return call.answer

    def post(self, work: Work[None]) -> None:
        """Run the work over there, with nobody waiting; what it raises is counted."""
        if len(self._tasks) + len(self._there) >= POSTS_MAX:
            self._dropped += 1
            return
        self._posted += 1
        self._cross(work)

    def to_trio(self, act: Callable[[], None]) -> None:
        """Have `act` called in the trio thread soon, after all that was handed over before."""
        self._back.append(act)
        if len(self._back) == 1:  # Asked after the append, or a wake-up could be lost.
            self._wake_trio()

    def statistics(self) -> BridgeStatistics:
        """Return how the bridge stands."""
        return BridgeStatistics(
            running=len(self._tasks),
            called=self._called,
            posted=self._posted,
            dropped=self._dropped,
            failed=self._failed,
            abandoned=self._abandoned,
            crossings=self._crossings,
            returns=self._returns,
        )

    def _cross(self, job: _Job) -> None:
        if not self._is_open:
            raise BridgeClosed("the bridge to the databases has ended")
        self._there.append(job)
        if len(self._there) == 1:  # Asked after the append, or a wake-up could be lost.
            self._crossings += 1
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        """Begin all that has crossed. Whoever adds to an empty queue rings again."""
        while self._there:
            job = self._there.popleft()
            if isinstance(job, _Call):
                task = self._loop.create_task(_bounded(job))
                task.add_done_callback(lambda done, call=job: self._settle(call, done))
            else:
                task = self._loop.create_task(job())
                task.add_done_callback(self._note)
            self._tasks.add(task)

    def _settle(self, call: _Call, done: asyncio.Task[Any]) -> None:
        """Bring a result home; called for a task that was cancelled before its first step too."""
        self._tasks.discard(done)
        call.error = _error(done)
        if call.error is None:
            call.answer = done.result()
        self.to_trio(call.settled.set)

    def _note(self, done: asyncio.Task[None]) -> None:
        self._tasks.discard(done)
        if not done.cancelled() and done.exception() is not None:
            self._failed += 1

    def _wake_trio(self) -> None:
        self._returns += 1
        try:
            self._trio.run_sync_soon(self._come_back)
        except trio.RunFinishedError:
            self._back.clear()

    def _come_back(self) -> None:
        for _ in range(len(self._back)):
            self._back.popleft()()
        if self._back:
            self._wake_trio()

    async def close(self) -> None:
        """Take nothing more, give what runs a moment to end, then cancel it."""
        self._is_open = False
        ended = trio.Event()

        def end() -> None:
            task = self._loop.create_task(self._end())
            task.add_done_callback(lambda _: self.to_trio(ended.set))

        self._loop.call_soon_threadsafe(end)
        await ended.wait()

    async def _end(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE_S)


async def _bounded(call: _Call) -> Any:  # noqa: ANN401 - each caller knows his own.
    async with asyncio.timeout(call.timeout_s):
        return await call.work()


def _error(done: asyncio.Task[Any]) -> BaseException | None:
    if done.cancelled():
        return BridgeClosed("the bridge ended while this was under way")
    error = done.exception()
    if isinstance(error, TimeoutError):
        return trio.TooSlowError(str(error) or "the server did not answer in time")
    return error


class Jobs:
    """The jobs of one client that are under way on the asyncio side, waited for or not.

    A client that is closed while a job of it connects would lose that connection, and with it the
    end of the loop: so it waits for `none` first.
    """

    __slots__ = ("_count", "none")

    def __init__(self) -> None:
        self._count = 0
        self.none = asyncio.Event()
        self.none.set()

    def counted[T](self, work: Work[T]) -> Work[T]:
        """Return the work, counted while it is done."""

        async def counted() -> T:
            self._count += 1
            self.none.clear()
            try:
                return await work()
            finally:
                self._count -= 1
                if not self._count:
                    self.none.set()

        return counted


@asynccontextmanager
async def bridged() -> AsyncGenerator[Bridge]:
    """Run the asyncio thread for as long as the block does."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="bridge", daemon=True)
    thread.start()
    bridge = Bridge(loop)
    try:
        yield bridge
    finally:
        with trio.CancelScope(shield=True):
            await bridge.close()
            loop.call_soon_threadsafe(loop.stop)
            await trio.to_thread.run_sync(thread.join)
            with trio.move_on_after(CLOSE_S):  # uvloop waits for ever for what was left open.
                await trio.to_thread.run_sync(loop.close, abandon_on_cancel=True)
