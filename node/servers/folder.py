"""The folder in which the servers keep everything: its lock, its ports and its secrets.

The lock is held by the launcher and by every server it starts, so that it stays taken for as long
as any of them runs: two Valkeys in one folder would both run, and ruin it.
"""

import fcntl
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from node.servers.announcement import ServersFailed, is_alive

LOCK_S_MAX = 20.0
"""How long servers whose launcher was killed are given to end."""
FREE_BYTES_MIN = 256 * 1024 * 1024
LOOK_S = 0.05
PORT_TRIES_MAX = 100


@contextmanager
def locked(folder: Path) -> Generator[int]:
    """Hold the folder; yields the descriptor of its lock. Raises ServersFailed if it is taken."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "servers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServersFailed(f"{folder} cannot be written: {error.strerror}") from error
    try:
        _take(lock, folder)
        _check_free(folder)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, folder: Path) -> None:
    give_up_at = time.monotonic() + LOCK_S_MAX
    while not _is_taken(lock, fcntl.LOCK_EX):
        if (launcher := _launcher(lock)) is not None:
            raise ServersFailed(
                f"servers are running in {folder} already, kept by process {launcher}: end that one"
                " first, or use another folder"
            )
        if time.monotonic() > give_up_at:
            raise ServersFailed(
                f"servers that nobody keeps are still running in {folder}: end the postgres and"
                " valkey-server processes there, or use another folder"
            )
        time.sleep(LOOK_S)
    os.truncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _is_taken(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _launcher(lock: int) -> int | None:
    """Return the process that the lock names, if it is alive."""
    pid = int(os.pread(lock, 32, 0) or 0)
    return pid if pid and is_alive(pid) else None


def is_held(folder: Path) -> bool:
    """Whether servers are running in the folder."""
    try:
        lock = os.open(folder / "servers.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _is_taken(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _check_free(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        raise ServersFailed(
            f"the disk of {folder} is full: {free // 2**20} MB are free and the servers need"
            f" {FREE_BYTES_MIN // 2**20}"
        )


def kept(path: Path, make: Callable[[], str]) -> str:
    """Return what a file of ours holds, which is made the first time."""
    if not path.exists():
        write(path, make())
    return path.read_text("utf-8").strip()


def write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.rename(path)


def password() -> str:
    """Return a new password, of letters and digits."""
    return secrets.token_hex(24)


def port(path: Path, given: int | None, choice: range) -> int:
    """Return the given port, or the one kept in the file, or a free one to keep there.

    The choice lies below the ports that machines give to outgoing connections: among those, one of
    them could take the port of a server that is being started again, or even connect to itself.
    """
    if given is not None:
        if not _is_free(given):
            raise ServersFailed(
                f"port {given} is taken: end what listens there, or give another port"
            )
        return given
    chosen = int(kept(path, lambda: _free_port(choice)))
    if not _is_free(chosen):  # Others learn the port from us, so another is as good.
        write(path, _free_port(choice))
    return int(path.read_text("utf-8"))


def _free_port(choice: range) -> str:
    for _ in range(PORT_TRIES_MAX):
        candidate = secrets.choice(choice)
        if _is_free(candidate):
            return str(candidate)
    raise ServersFailed(
        f"no free port was found between {choice.start} and {choice.stop}: give ports of your own"
    )


def _is_free(candidate: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", candidate))
        except OSError:
            return False
    return True
