"""`python -m node.servers FOLDER`: run the servers of a folder until standard input ends.

With `--standby-of PRIMARY` it is only a Postgres that follows the one of that folder.
The one line on standard output tells where they are, or why they are not; `servers.json` in the
folder keeps the same, with the processes as they are now. Exit code 1 says that they failed.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from node.servers.announcement import KEPT_IN, Announcement, Failed, Running, ServersFailed
from node.servers.binaries import binaries, reachable
from node.servers.folder import locked, write
from node.servers.guise import guise_for
from node.servers.postgres import postgres
from node.servers.standby import standby
from node.servers.supervisor import supervise
from node.servers.valkey import valkey

STDIN = 0


def run(
    folder: Path, postgres_port: int | None, valkey_port: int | None, primary: Path | None = None
) -> None:
    """Run the servers until the input ends; raises ServersFailed."""
    with locked(folder) as lock:
        (folder / KEPT_IN).unlink(missing_ok=True)
        guise = guise_for(folder, [folder / "postgres", folder / "valkey"])
        programs = reachable(binaries(), guise, folder)
        if primary is None:
            servers = [
                postgres(folder, programs, guise, postgres_port),
                valkey(folder, programs, guise, valkey_port),
            ]
        else:
            servers = [standby(folder, primary, programs, guise, postgres_port)]
        database_url, redis_url = (*(server.url for server in servers), "")[:2]

        def ready(pids: Mapping[str, int]) -> None:
            running = Running(database_url, redis_url, os.getpid(), dict(pids))
            is_first = not (folder / KEPT_IN).exists()
            write(folder / KEPT_IN, msgspec.json.encode(running).decode())
            if is_first:
                _announce(running)

        try:
            supervise(servers, guise, lock=lock, parent=STDIN, ready=ready)
        finally:
            (folder / KEPT_IN).unlink(missing_ok=True)


def _announce(said: Announcement) -> None:
    """Say it, if the parent still listens."""
    try:
        os.write(sys.stdout.fileno(), msgspec.json.encode(said) + b"\n")
    except BrokenPipeError:
        return


def main() -> int:
    """Read the command line, run the servers, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m node.servers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--postgres-port", type=int)
    parser.add_argument("--valkey-port", type=int)
    parser.add_argument("--standby-of", type=Path)
    asked = parser.parse_args()
    primary = asked.standby_of and asked.standby_of.resolve()
    try:
        run(asked.folder.resolve(), asked.postgres_port, asked.valkey_port, primary)
    except ServersFailed as failure:
        _announce(Failed(str(failure)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
