"""What the process that keeps the servers tells of them, to its parent and in the folder."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

KEPT_IN = "servers.json"
"""The file in the folder that tells what runs there now; only its owner may read it."""


class ServersFailed(Exception):
    """The servers do not run; the message is one sentence that says what to do."""


class Running(Struct, frozen=True, tag="running"):
    """The servers answer here. `launcher` is the process that keeps them, `pids` are theirs.

    A folder that has only a standby has no Redis, and its URL is empty.
    """

    database_url: str
    redis_url: str
    launcher: int
    pids: dict[str, int]


class Failed(Struct, frozen=True, tag="failed"):
    """The servers have been given up, and why."""

    told: str


type Announcement = Running | Failed

_announcements = msgspec.json.Decoder[Announcement](Running | Failed)
_running = msgspec.json.Decoder(Running)


def heard(line: bytes) -> Announcement:
    """Return what a line of the launcher's output says; raises `msgspec.DecodeError`."""
    return _announcements.decode(line)


def find_running(folder: Path) -> Running | None:
    """Return what the folder says of its servers, unless the process that kept them is gone."""
    try:
        running = _running.decode((folder / KEPT_IN).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return running if is_alive(running.launcher) else None


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number, be it ours or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
