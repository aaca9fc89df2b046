"""Keeps the servers running until it is told to end them, or one of them will not run any more.

One thread waits for the parent's pipe, for signals and for the death of a server; everything it
does in between is quick. A server that falls is started again at once; one that has not come up
for some seconds is given up, and the other is ended with it, in order.
"""

import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from node.servers.announcement import ServersFailed
from node.servers.guise import Guise
from node.servers.server import Server, tail

LOOK_S = 0.02
REST_S = 1.0
RETRY_S = 0.2
FALLEN_S_MAX = 10.0
"""How long a server may fail to start, one attempt after the other, before it is given up."""
FALLS_MAX, FALLS_S = 30, 60.0
"""How many falls in how long a time are too many, even of a server that always gets up again."""
READY_S_MAX = 120.0
"""How long a server that runs may take to be ready: after a crash it has its log to read."""
STOP_S_MAX, END_S_MAX = 20.0, 5.0
"""Time to end in order, and after that to end at all."""
LOG_BYTES_MAX = 16 * 1024 * 1024


class Kept:
    """One server and the process it has at the moment."""

    def __init__(self, server: Server, guise: Guise, lock: int) -> None:
        """Keep a server in this guise; nothing is started yet."""
        self.server = server
        self.is_ready = False
        self._guise, self._lock = guise, lock
        self._process: subprocess.Popen[bytes] | None = None
        self._has_served = False
        self._start_at = self._unready_since = time.monotonic()
        self._log_from = 0
        self._falls = deque[float](maxlen=FALLS_MAX)

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    def look(self, now: float) -> None:
        """Start, ask or mourn the server, whichever is due; raises ServersFailed."""
        if self._process is None:
            if now >= self._start_at:
                self._start()
        elif self._process.poll() is not None:
            self._fell(now)
        elif not self.is_ready:
            self._ask(self._process.pid, now)
        else:
            self._trim_log()

    def _start(self) -> None:
        server = self.server
        with server.log.open("ab") as log:
            self._log_from = log.tell()
            self._process = self._guise.start(
                server.command,
                folder=server.folder,
                log=log,
                lock=self._lock,
                last=server.stopped_by,
            )

    def _fell(self, now: float) -> None:
        said = tail(self.server.log, self._log_from)
        was_ready, self.is_ready, self._process = self.is_ready, False, None
        if was_ready:
            self._unready_since = now
            self._falls.append(now)
        if not self._is_worth_another_start(said, now):
            raise ServersFailed(self.server.reason(said))
        self._start_at = now if was_ready else now + RETRY_S

    def _is_worth_another_start(self, said: str, now: float) -> bool:
        is_hopeful = self._has_served or self.server.is_passing(said)
        is_flapping = len(self._falls) == FALLS_MAX and now - self._falls[0] < FALLS_S
        return is_hopeful and not is_flapping and now - self._unready_since <= FALLEN_S_MAX

    def _ask(self, pid: int, now: float) -> None:
        self.is_ready = self.server.is_ready(pid)
        self._has_served = self._has_served or self.is_ready
        if not self.is_ready and now - self._unready_since > READY_S_MAX:
            raise ServersFailed(
                f"{self.server.name} has run for {READY_S_MAX:.0f} s without being ready; see"
                f" {self.server.log}"
            )

    def _trim_log(self) -> None:
        """Drop what the log has, once it is too much; it is only ever appended to."""
        if self.server.log.stat().st_size > LOG_BYTES_MAX:
            os.truncate(self.server.log, 0)
            self._log_from = 0

    def stop(self) -> None:
        """Ask the server to end in order, and wake it for that if somebody has stopped it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self.server.stopped_by)
            self._process.send_signal(signal.SIGCONT)

    def end(self, deadline: float) -> None:
        """See to it that the server has ended, in order if it does so in time."""
        if self._process is None or _has_ended(self._process, deadline - time.monotonic()):
            return
        self._process.send_signal(self.server.ended_by)
        if not _has_ended(self._process, END_S_MAX):
            self._process.kill()
            self._process.wait()


def _has_ended(process: subprocess.Popen[bytes], wait_s: float) -> bool:
    try:
        process.wait(max(0.0, wait_s))
    except subprocess.TimeoutExpired:
        return False
    return True


def supervise(
    servers: Sequence[Server],
    guise: Guise,
    *,
    lock: int,
    parent: int,
    ready: Callable[[Mapping[str, int]], None],
) -> None:
    """Keep these servers until the descriptor `parent` ends or a signal comes.

    Whenever all have become ready, `ready` is told their pids. Raises ServersFailed.
    """
    with ExitStack() as stack:
        woken = stack.enter_context(_signals())
        stack.enter_context(_stopped(kept := [Kept(server, guise, lock) for server in servers]))
        told: Mapping[str, int] = {}
        while True:
            for each in kept:
                each.look(time.monotonic())
            are_ready = all(each.is_ready for each in kept)
            pids = {each.server.name: each.pid for each in kept if each.pid is not None}
            if are_ready and pids != told:
                ready(told := pids)
            if _is_over(parent, woken, REST_S if are_ready else LOOK_S):
                return


@contextmanager
def _stopped(kept: Sequence[Kept]) -> Generator[None]:
    """Have all servers ended when the block is, whatever ended it."""
    try:
        yield
    finally:
        deadline = time.monotonic() + STOP_S_MAX
        for each in kept:
            each.stop()
        for each in kept:
            each.end(deadline)


@contextmanager
def _signals() -> Generator[int]:
    """Yield a descriptor that can be read once a signal has come: a child's death, or our end."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)

    def hear(_number: int, _frame: FrameType | None) -> None:
        """Let the signal come through the descriptor."""

    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, hear)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    yield reader


def _is_over(parent: int, woken: int, rest_s: float) -> bool:
    """Rest until something happens; return whether it is the end."""
    readable, _, _ = select.select([parent, woken], [], [], rest_s)
    if parent in readable and not os.read(parent, 4096):
        return True
    return woken in readable and any(number != signal.SIGCHLD for number in os.read(woken, 4096))
