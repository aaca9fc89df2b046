"""A Postgres that follows another one of ours: what a cluster's second database is, on one machine.

It is copied from the running primary once, whole or not at all, and streams from it from then on;
it has the same users and passwords. Whether the primary waits for it is the primary's setting
(`synchronous_standby_names`, in which it is called `STANDBY`), and who promotes it, and when, is an
operator's to say: nothing here does either.
"""

from pathlib import Path
from urllib.parse import urlsplit

from node.servers.announcement import ServersFailed, find_running
from node.servers.binaries import Binaries
from node.servers.folder import write
from node.servers.guise import Guise
from node.servers.postgres import PASSWORD_FILE, PORT_FILE, SYNC, USER, made_beside, served
from node.servers.server import Server

STANDBY = "dispatch_standby"
"""The name by which the primary knows it."""
PASSWORDS = "primary.passwords"
"""Where the standby reads the primary's password, for as long as it follows it."""


def standby(
    folder: Path, primary: Path, binaries: Binaries, guise: Guise, given_port: int | None
) -> Server:
    """Return the standby of a folder, copying the primary first if there is none.

    Raises ServersFailed.
    """
    home = folder / "postgres"
    if not (home / PASSWORD_FILE).exists():
        _copy(folder, _primary_url(primary), binaries, guise)
    return served(folder, binaries, guise, given_port)


def _primary_url(primary: Path) -> str:
    running = find_running(primary)
    if running is None:
        raise ServersFailed(
            f"no servers run in {primary}: start the primary first, for a standby is a copy of it"
        )
    return running.database_url


def _copy(folder: Path, primary_url: str, binaries: Binaries, guise: Guise) -> None:
    primary = urlsplit(primary_url)
    passwords = folder / PASSWORDS
    write(passwords, f"{primary.hostname}:{primary.port}:*:{USER}:{primary.password}\n")
    guise.own(passwords)
    source = (
        f"host={primary.hostname} port={primary.port} user={USER} passfile={passwords}"
        f" application_name={STANDBY}"
    )
    backup = [str(binaries.postgres / "pg_basebackup"), "-d", source, "--no-password"]
    how = ["-R", "--wal-method=stream", "--checkpoint=fast", f"--sync-method={SYNC}"]
    with made_beside(folder / "postgres") as fresh:
        guise.own(fresh)
        done = guise.run([*backup, *how, "-D", str(fresh)])
        if done.returncode != 0:
            said = (done.stderr.strip() or "it ended without a word").splitlines()[-1]
            raise ServersFailed(f"the primary could not be copied to {folder}: {said}")
        (fresh / PORT_FILE).unlink(missing_ok=True)  # That port is the primary's.
