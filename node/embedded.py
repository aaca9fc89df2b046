"""Servers of our own beside the node: `embedded(folder)` has them running while its block does.

They are kept by a process of their own (`node/servers`), which ends them in order when this one is
gone, however it went. What fails before they answer is one sentence; what fails later is told to
whoever waits for `lost`.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec
import trio

from node.servers.announcement import (
    Announcement,
    Failed,
    Running,
    ServersFailed,
    find_running,
    heard,
)

__all__ = ["Servers", "ServersFailed", "embedded"]

START_S_MAX = 150.0
STOP_S_MAX = 30.0
LINE_BYTES_MAX = 8_192


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers answer, and the process that keeps them. A standby has no Redis."""

    database_url: str
    redis_url: str
    folder: Path
    process: trio.Process

    def pids(self) -> Mapping[str, int]:
        """The processes that `postgres` and `valkey` had when they last answered."""
        running = find_running(self.folder)
        return {} if running is None else running.pids

    async def lost(self) -> NoReturn:
        """Wait until the servers have been given up, and raise ServersFailed."""
        raise ServersFailed(_reason(await _said(self.process), self.folder))


@asynccontextmanager
async def embedded(
    folder: Path,
    *,
    postgres_port: int | None = None,
    valkey_port: int | None = None,
    standby_of: Path | None = None,
) -> AsyncGenerator[Servers]:
    """Have Postgres and Valkey running in a folder; raises ServersFailed with one sentence.

    With `standby_of` it is only a Postgres, which follows the one of that folder.
    """
    options = {
        "--postgres-port": postgres_port,
        "--valkey-port": valkey_port,
        "--standby-of": standby_of,
    }
    given = [word for name, option in options.items() if option for word in (name, str(option))]
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "node.servers", str(folder), *given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the node, which ends its servers last.
    )
    try:
        yield await _started(process, folder)
    finally:
        await _end(process)


async def _started(process: trio.Process, folder: Path) -> Servers:
    with trio.move_on_after(START_S_MAX):
        said = await _said(process)
        if isinstance(said, Running):
            return Servers(said.database_url, said.redis_url, folder, process)
        raise ServersFailed(_reason(said, folder))
    raise ServersFailed(
        f"the servers in {folder} were not ready after {START_S_MAX:.0f} s; see the logs there"
    )


async def _said(process: trio.Process) -> Announcement | None:
    """Return the next line of the launcher, or None when it ended without one."""
    assert process.stdout is not None
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
        part = await process.stdout.receive_some(LINE_BYTES_MAX)
        if not part:
            break
        line += part
    try:
        return heard(bytes(line))
    except msgspec.DecodeError:
        return None


def _reason(said: Announcement | None, folder: Path) -> str:
    if isinstance(said, Failed):
        return said.told
    return f"the process that keeps the servers in {folder} has died: start again"


async def _end(process: trio.Process) -> None:
    """Let the launcher end its servers in order, and see to it that it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    with trio.CancelScope(shield=True):
        await process.stdin.aclose()
        with trio.move_on_after(STOP_S_MAX):
            await process.wait()
        process.kill()
        await process.wait()
        await process.stdout.aclose()
