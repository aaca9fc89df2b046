"""Importing a city: from a file that anybody may have made to a folder that is whole.

The file is read in a process of its own, with a limit of memory and of time, because the library
that reads it may end its process on a file made to harm it. Whatever happens there, what comes out
here is a `Report` or a sentence (`NoCity`), and nothing half-made stays behind.
"""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streets.folder import NAME_MAX, BadFolder, check_target, folder_in_the_making
from streets.request import LAYERS, Answer, Flaw, Report, Request
from streets.tiles import NoTiles, checked_program, make_tiles

MEMORY_BYTES_MAX = 6 * 1024**3
READING_S_MAX = 1_800.0

_answers = msgspec.json.Decoder(Answer)


class NoCity(Exception):
    """There is no city folder; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What to import to where, and what it may cost."""

    source: Path
    target: Path
    name: str
    timezone: str = ""
    """Empty to have it guessed."""
    replace: bool = False
    """Whether a city that is there already makes way."""
    has_tiles: bool = True
    memory_bytes_max: int = MEMORY_BYTES_MAX
    reading_s_max: float = READING_S_MAX


def import_city(wanted: Import) -> Report:
    """Make a city folder; raises NoCity."""
    _check(wanted)
    try:
        check_target(wanted.target, replace=wanted.replace)
        program = checked_program() if wanted.has_tiles else None
        with folder_in_the_making(wanted.target, replace=wanted.replace) as folder:
            report = _built(wanted, folder)
            if program is not None:
                make_tiles(program, folder, LAYERS, wanted.name)
            (folder / LAYERS).unlink()
    except (BadFolder, NoTiles) as error:
        raise NoCity(str(error)) from error
    except OSError as error:
        raise NoCity(f"{wanted.target} cannot be written: {error.strerror or error}") from error
    return report


def _check(wanted: Import) -> None:
    if not wanted.source.is_file():
        raise NoCity(f"there is no file {wanted.source}")
    if not 1 <= len(wanted.name) <= NAME_MAX or not wanted.name.isprintable():
        raise NoCity(f"a city's name has 1 to {NAME_MAX} characters; give another with --name")
    if wanted.timezone and not _is_zone(wanted.timezone):
        raise NoCity(f"{wanted.timezone!r} is no time zone of the IANA, such as Europe/Copenhagen")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _built(wanted: Import, folder: Path) -> Report:
    """Have the folder filled by another process."""
    request = Request(
        source=str(wanted.source.resolve()),
        folder=str(folder.resolve()),
        name=wanted.name,
        timezone=wanted.timezone,
        has_tiles=wanted.has_tiles,
        memory_bytes_max=wanted.memory_bytes_max,
    )
    try:
        done = subprocess.run(
            (sys.executable, "-m", "streets.build"),
            input=msgspec.json.encode(request),
            capture_output=True,
            check=False,
            timeout=wanted.reading_s_max,
        )
    except subprocess.TimeoutExpired as error:
        raise NoCity(
            f"reading {wanted.source} took over {error.timeout:.0f} s: cut out one city"
        ) from error
    return _report(wanted, done)


def _report(wanted: Import, done: subprocess.CompletedProcess[bytes]) -> Report:
    """Read what the other process said, or how it ended when it said nothing."""
    try:
        answer = _answers.decode(done.stdout)
    except msgspec.MsgspecError as error:
        raise NoCity(
            f"{wanted.source} is damaged or made to harm: reading it ended {_ending(done)}"
        ) from error
    if isinstance(answer, Flaw):
        raise NoCity(f"{wanted.source} makes no city: {answer.sentence}")
    return answer


def _ending(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"by {signal.Signals(-done.returncode).name}"
    last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return f"with code {done.returncode}" + (f" ({last[0][:200]})" if last else "")
