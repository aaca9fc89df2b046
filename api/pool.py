"""A bounded number of tasks for work that awaits, begun by callbacks that must not.

A task is made when there is work and ends when there is none, so that idle sockets cost no task.
Work that finds no free task waits in a queue, and the queue has an end.
"""

from collections import deque
from collections.abc import Awaitable, Callable

import trio

type Job = Callable[[], Awaitable[None]]


class Pool:
    """Does jobs, so many at a time, in the order in which they came."""

    __slots__ = ("_jobs_max", "_nursery", "_running", "_tasks_max", "_waiting")

    def __init__(self, tasks_max: int, jobs_max: int) -> None:
        """Do `tasks_max` jobs at a time; `jobs_max` may wait besides."""
        self._tasks_max = tasks_max
        self._jobs_max = jobs_max
        self._waiting: deque[Job] = deque()
        self._running = 0
        self._nursery: trio.Nursery | None = None

    def start(self, job: Job) -> bool:
        """Have a job done as soon as can be; False when too many wait."""
        if len(self._waiting) >= self._jobs_max:
            return False
        self._waiting.append(job)
        self._hire()
        return True

    def waiting_count(self) -> int:
        """Return how many jobs wait for a task."""
        return len(self._waiting)

    async def run(self) -> None:
        """Do jobs until cancelled."""
        async with trio.open_nursery() as self._nursery:
            self._hire()
            await trio.sleep_forever()

    def _hire(self) -> None:
        wanted = min(len(self._waiting), self._tasks_max - self._running)
        for _ in range(wanted if self._nursery else 0):
            assert self._nursery is not None
            self._running += 1
            self._nursery.start_soon(self._work)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft()()
        finally:
            self._running -= 1
