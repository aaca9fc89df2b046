"""A Valkey of a test's own, to be killed, stopped and started again at the same address."""

import signal
import socket
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import trio

from node.servers.binaries import binaries
from storage.bridge import bridged
from storage.redis import RedisServer, RedisUnreachable, redis_server

PATIENCE_S = 8.0
LOOK_S = 0.005


class Valkey:
    """One server that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._folder = folder
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it is, whether it runs or not."""
        return f"redis://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it with nothing in it."""
        where = ("--bind", "127.0.0.1", "--port", f"{self._port}", "--dir", f"{self._folder}")
        what = ("--save", "", "--appendonly", "no")
        command = [f"{binaries().valkey}", *where, *what]
        self._running = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._running is not None:
            self._running.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    async def answering(self) -> None:
        """Wait until it serves."""
        async with bridged() as bridge, redis_server(bridge, self.url) as server:
            with trio.fail_after(PATIENCE_S):
                while not await _answers(server):  # noqa: ASYNC110 - a server rings no event.
                    await trio.sleep(LOOK_S)


@contextmanager
def valkey(folder: Path) -> Generator[Valkey]:
    """Run a server for as long as the block does."""
    server = Valkey(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; what happens in a server cannot be waited for otherwise."""
    with trio.fail_after(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - nor does it here.
            await trio.sleep(LOOK_S)


async def _answers(server: RedisServer) -> bool:
    try:
        await server.exchange([("ping",)])
    except RedisUnreachable:
        return False
    return True
