"""Valkey in a folder, with its log of writes on, so that a restart forgets a second at most.

What it holds can be lost without loss to anybody: positions and presence come back by themselves,
and letters between shards are sent again. The log only makes a restart quick.
"""

import signal
import socket
from pathlib import Path

from node.servers.binaries import Binaries
from node.servers.folder import kept, password, port, write
from node.servers.guise import Guise
from node.servers.server import Server

PORTS = range(25_000, 30_000)
ASK_S_MAX = 0.5
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {secret}
dir ./
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
logfile ""
"""


def valkey(folder: Path, binaries: Binaries, guise: Guise, given_port: int | None) -> Server:
    """Return the Valkey of a folder, making it if there is none; raises ServersFailed."""
    home = folder / "valkey"
    home.mkdir(mode=0o700, exist_ok=True)
    secret = kept(home / "dispatch.password", password)
    number = port(home / "dispatch.port", given_port, PORTS)
    write(home / "valkey.conf", CONFIG.format(port=number, secret=secret))
    guise.own(home)
    return Server(
        name="valkey",
        url=f"redis://:{secret}@127.0.0.1:{number}/0",
        folder=home,
        log=folder / "valkey.log",
        command=[str(binaries.valkey), str(home / "valkey.conf")],
        is_ready=lambda _pid: _answers(number, secret),
        stopped_by=signal.SIGTERM,
        ended_by=signal.SIGKILL,
        complaints=(" # ", "***"),
        known={
            "Can't handle RDB format version": f"{home} was written by a newer Valkey than the one"
            " here: move it aside (nothing acknowledged is lost with it), or run that Valkey"
            " yourself and set REDIS_URL"
        },
    )


def _answers(number: int, secret: str) -> bool:
    """Whether it has loaded what it kept: until then it answers every question with LOADING."""
    try:
        with socket.create_connection(("127.0.0.1", number), ASK_S_MAX) as connection:
            connection.sendall(f"AUTH {secret}\r\nPING\r\n".encode())
            said = b""
            while said.count(b"\r\n") < 2 and (part := connection.recv(256)):  # noqa: PLR2004
                said += part
    except OSError:
        return False
    return b"+PONG" in said
