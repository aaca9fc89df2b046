"""Postgres in a folder: made once, whole or not at all, and started with the settings we need.

The settings are arguments of each start and not a file in the folder, so that a folder made by an
older version gets them too, and so that nobody's edit takes away what `Acknowledged` rests on.
"""

import shutil
import signal
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from node.servers.announcement import ServersFailed
from node.servers.binaries import Binaries, postgres_version
from node.servers.folder import password, port, write
from node.servers.guise import Guise
from node.servers.server import DISK_IS_FULL, Server

USER = DATABASE = "dispatch"
PORTS = range(20_000, 25_000)
PASSWORD_FILE, PORT_FILE = "dispatch.password", "dispatch.port"
READY_LINE = 7
"""The line of postmaster.pid that says `ready` (counted from 0, as in Postgres's pidfile.h)."""
SYNC = "syncfs" if sys.platform == "linux" else "fsync"
"""How all files are synced when the folder was made, and after a crash: where the system can, all
at once and not one after the other (measured after a kill: 0.1 s and not 2.5)."""
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "off",
    "max_wal_size": "1GB",
    "autovacuum_naptime": "5s",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_cost_delay": "0",
    "idle_in_transaction_session_timeout": "2s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "recovery_init_sync_method": SYNC,
}


def postgres(folder: Path, binaries: Binaries, guise: Guise, given_port: int | None) -> Server:
    """Return the Postgres of a folder, making it if there is none; raises ServersFailed."""
    _make(folder / "postgres", binaries, guise)
    return served(folder, binaries, guise, given_port)


def served(folder: Path, binaries: Binaries, guise: Guise, given_port: int | None) -> Server:
    """Return the Postgres that is in a folder; raises ServersFailed if it cannot be run."""
    home = folder / "postgres"
    _check_version(home, postgres_version(binaries, guise))
    secret = (home / PASSWORD_FILE).read_text("utf-8")
    number = port(home / PORT_FILE, given_port, PORTS)
    guise.own(home)
    settings = [f"{name}={value}" for name, value in {**SETTINGS, "port": str(number)}.items()]
    program = str(binaries.postgres / "postgres")
    return Server(
        name="postgres",
        url=f"postgresql://{USER}:{secret}@127.0.0.1:{number}/{DATABASE}",
        folder=home,
        log=folder / "postgres.log",
        command=[program, "-D", str(home), *(word for each in settings for word in ("-c", each))],
        is_ready=lambda pid: _is_ready(home, pid),
        stopped_by=signal.SIGINT,  # A fast shutdown: sessions are ended, nothing is lost.
        ended_by=signal.SIGQUIT,
        complaints=("FATAL:", "PANIC:", "ERROR:"),
        # What a killed Postgres leaves behind, for as long as its children take to notice.
        passing=("lock file", "pre-existing shared memory block"),
    )


def _is_ready(home: Path, pid: int) -> bool:
    try:
        lines = (home / "postmaster.pid").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > READY_LINE and lines[0] == str(pid) and lines[READY_LINE].strip() == "ready"


def _check_version(home: Path, ours: int) -> None:
    try:
        theirs = (home / "PG_VERSION").read_text("utf-8").strip()
    except FileNotFoundError:
        raise ServersFailed(
            f"{home} holds something, but no Postgres: move it aside, and start again"
        ) from None
    if theirs != str(ours):
        raise ServersFailed(
            f"{home} was written by Postgres {theirs}, and here is Postgres {ours}: move the folder"
            f" aside to begin anew, or carry it over with the pg_dump of version {theirs}"
        )
    if not (home / PASSWORD_FILE).exists():
        raise ServersFailed(
            f"{home} was not made by us (it has no {PASSWORD_FILE}): move it aside, or run it"
            " yourself and set DATABASE_URL"
        )


def _make(home: Path, binaries: Binaries, guise: Guise) -> None:
    if home.exists() and any(home.iterdir()):
        return
    secret, told = password(), home.with_name("postgres.password")
    with made_beside(home) as fresh:
        write(told, secret)
        try:
            guise.own(fresh)
            guise.own(told)
            _initialise(fresh, told, binaries, guise)
        finally:
            told.unlink()
        write(fresh / PASSWORD_FILE, secret)


@contextmanager
def made_beside(home: Path) -> Generator[Path]:
    """Make the folder beside its place, so that what was interrupted is never taken for done."""
    fresh = home.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    yield fresh
    if home.exists():
        home.rmdir()
    fresh.rename(home)


def _initialise(home: Path, secret: Path, binaries: Binaries, guise: Guise) -> None:
    initdb = [str(binaries.postgres / "initdb"), "-D", str(home), "-U", USER]
    how = [f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    _run(guise, home, [*initdb, *how, f"--sync-method={SYNC}", "--no-instructions"])
    alone = [str(binaries.postgres / "postgres"), "--single", "-D", str(home), "template1"]
    _run(guise, home, alone, f"create database {DATABASE}\n")


def _run(guise: Guise, home: Path, command: list[str], told: str = "") -> None:
    done = guise.run(command, told)
    if done.returncode == 0 and "ERROR:" not in done.stderr:
        return
    said = done.stderr.strip() or done.stdout.strip()
    if DISK_IS_FULL in said:
        raise ServersFailed(f"the disk of {home} is full: free some of it, then start again")
    raise ServersFailed(
        f"{guise.name} could not make a Postgres in {home.parent}: {said.splitlines()[-1]}"
    )
