"""A process that is not one: the tasks of one simulated node, which stop and die like a process.

Trio has no way to hold a task, and cancelling is far kinder than `kill -9`: it runs clean-up code
and lets shielded work finish. So each task that a process spawns is wrapped where trio drives it.
While its process is stopped a task that is due does not run; it runs when the process goes on, and
only then sees that its deadlines have passed, as after a real SIGSTOP. The tasks of a process that
was killed never run again: no clean-up, no last word. They are unwound when all is over.
"""

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from typing import Any

import trio

_present: ContextVar["Process | None"] = ContextVar("_present", default=None)


class Process:
    """Tasks with one fate. Those spawned by its tasks belong to it, too."""

    def __init__(self, name: str) -> None:
        """Make a process without tasks, which runs."""
        self.name = name
        self.is_dead = False
        self._is_held = False
        self._due: dict[trio.lowlevel.Task, None] = {}
        token = _present.set(self)
        self._context = copy_context()
        _present.reset(token)

    @property
    def is_stopped(self) -> bool:
        """Tell whether its tasks are held, for a while or for good."""
        return self._is_held

    def spawn(self, nursery: trio.Nursery, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task of this process in a nursery."""
        self._context.run(nursery.start_soon, work)

    def stop(self) -> None:
        """Hold every task from its next step on."""
        self._is_held = True

    def resume(self) -> None:
        """Let the tasks go on, unless they were killed."""
        if not self.is_dead:
            self._let_go()

    def kill(self) -> None:
        """Hold every task for good."""
        self.is_dead = True
        self._is_held = True

    def unwind(self) -> None:
        """Let the tasks of a killed process end, once its nursery has been cancelled."""
        self._let_go()

    def awake(self) -> Generator[Any, Any]:
        """Hold the present task for as long as the process is stopped."""
        while self._is_held:
            self._due[trio.lowlevel.current_task()] = None
            held = trio.lowlevel.wait_task_rescheduled(_stays)  # noqa: ASYNC105 - a generator waits.
            yield from held.__await__()

    def _let_go(self) -> None:
        self._is_held = False
        due, self._due = self._due, {}
        for task in due:
            trio.lowlevel.reschedule(task)


def _stays(_raise_cancel: object) -> trio.lowlevel.Abort:
    """Refuse to be cancelled: a stopped process does not know of it before it goes on."""
    return trio.lowlevel.Abort.FAILED


class Holding(trio.abc.Instrument):
    """Wraps the tasks that processes spawn, where trio drives them."""

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """Put a new task under its process's hand."""
        process = task.context.get(_present)
        if process is not None:
            task.coro = _held(task.coro, process)  # pyright: ignore[reportAttributeAccessIssue]


@types.coroutine
def _held(inner: Coroutine[Any, Any, Any], process: Process) -> Generator[Any, Any, Any]:
    """Drive `inner` as trio would, but only while its process runs."""
    sent: Any = None
    while True:
        yield from process.awake()
        try:
            wanted = inner.send(sent)
        except StopIteration as end:
            return end.value
        sent = yield wanted
