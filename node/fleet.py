"""The node processes of one machine under one supervisor: started, started again, ended in order.

Each process is told to leave by the end of its input, which also comes when the supervisor dies, so
that none outlives it. One that ends by itself is started again, after a wait that doubles while it
keeps ending soon. One that says that an operator has to mend something ends them all.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import trio
from msgspec import structs

from node.config import Config, environment
from node.endings import MENDABLE_CODE, FleetFailed
from node.serving import Announcement

LINE_BYTES_MAX = 4_096
LEAVE_S_MAX = 20.0
"""Time a node has to hand its shards over and end; then it is killed."""
SOON_S = 10.0
"""A node that ended within this time of its start is started again more slowly."""
WAIT_S = 0.1
WAIT_S_MAX = 5.0

_announcements = msgspec.json.Decoder(Announcement)


@dataclass(slots=True)
class Member:
    """One process of the fleet, and what it announced once it could be spoken to."""

    number: int
    process: trio.Process
    announcement: Announcement | None = None


class Fleet:
    """Some node processes with the same settings."""

    def __init__(
        self,
        config: Config,
        workers: int,
        tell: Callable[[str], None] = lambda _sentence: None,
        log: Path | None = None,
    ) -> None:
        """Run so many processes; `tell` hears one sentence for each that comes or goes.

        What they write to their standard error goes to the file `log`, or to our own.
        """
        self._config = config
        self._workers = workers
        self._tell = tell
        self._log = log
        self._members: dict[int, Member] = {}
        self._is_leaving = trio.Event()
        self._changed = trio.Event()
        self.starts = 0

    @property
    def is_leaving(self) -> bool:
        """Tell whether the processes were told to leave."""
        return self._is_leaving.is_set()

    @property
    def members(self) -> tuple[Member, ...]:
        """Return the processes that can be spoken to, by their numbers."""
        running = (self._members[number] for number in sorted(self._members))
        return tuple(member for member in running if member.announcement is not None)

    async def run(self) -> None:
        """Keep the processes running until told to leave; raises FleetFailed."""
        failed: list[FleetFailed] = []

        async def keep(number: int) -> None:
            try:
                await self._keep(number)
            except FleetFailed as error:
                failed.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for number in range(self._workers):
                nursery.start_soon(keep, number)
        if failed:
            raise failed[0]

    async def ready(self, count: int | None = None) -> None:
        """Wait until so many processes, or all, can be spoken to."""
        wanted = self._workers if count is None else count
        while len(self.members) < wanted:
            self._changed = trio.Event()
            await self._changed.wait()

    def leave(self) -> None:
        """Have all processes hand over what they have and end."""
        self._is_leaving.set()

    async def _keep(self, number: int) -> None:
        wait_s = WAIT_S
        while not self._is_leaving.is_set():
            began_s = trio.current_time()
            code = await self._life(number)
            if self._is_leaving.is_set():
                return
            if code == MENDABLE_CODE:
                raise FleetFailed("a node cannot run: mend what it says above, then start again")
            is_soon = trio.current_time() - began_s < SOON_S
            wait_s = min(2 * wait_s, WAIT_S_MAX) if is_soon else WAIT_S
            self._tell(f"node {number} ended with {code}; starting it again")
            with trio.move_on_after(wait_s):
                await self._is_leaving.wait()

    async def _life(self, number: int) -> int:
        """Run one process from its start to its end and return its code."""
        self.starts += 1
        async with (
            _process(_numbered(self._config, number), self._log) as process,
            trio.open_nursery() as nursery,
        ):
            member = self._members[number] = Member(number, process)
            nursery.start_soon(self._hear, member)
            nursery.start_soon(self._dismiss, member)
            code = await process.wait()
            nursery.cancel_scope.cancel()
        del self._members[number]
        return code

    async def _hear(self, member: Member) -> None:
        """Wait for the announcement, and read on, so that the process is never held up."""
        assert member.process.stdout is not None
        line = bytearray()
        while part := await member.process.stdout.receive_some(LINE_BYTES_MAX):
            if member.announcement is None:
                line += part[: LINE_BYTES_MAX - len(line)]
                if line.endswith(b"\n"):
                    member.announcement = _announcements.decode(line)
                    self._tell(f"node {member.number} serves http://{member.announcement.door}")
                    self._changed.set()

    async def _dismiss(self, member: Member) -> None:
        await self._is_leaving.wait()
        assert member.process.stdin is not None
        await member.process.stdin.aclose()
        await trio.sleep(LEAVE_S_MAX)
        member.process.kill()


def _numbered(config: Config, number: int) -> Config:
    """Return the settings of the process of that number: each has a port of its own."""
    if not config.http_port:
        return config
    return structs.replace(config, http_port=config.http_port + number)


@asynccontextmanager
async def _process(config: Config, log: Path | None) -> AsyncGenerator[trio.Process]:
    """Yield a fresh process, and see to it that it has ended afterwards."""
    with log.open("ab") if log else nullcontext() as errors:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "node"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the supervisor, which ends its nodes in order.
            env=environment(config),
        )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
            process.kill()
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()
