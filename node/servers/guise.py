"""Whom the servers run as, and how they are started so that they cannot be left behind.

Postgres refuses to run as root, and its tools want a user that the machine knows by name. So root
puts on a guise. In a folder that is root's own, the launcher steps into a user namespace, where
root's files belong to a plain user; where the machine allows no namespaces, the servers run as
`nobody`. In somebody else's folder they run as its owner. A plain user needs no guise.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from msgspec import Struct

from node.servers.announcement import ServersFailed

NOBODY = 65534
RUN_S_MAX = 120.0
PR_SET_PDEATHSIG = 1
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""All that the servers see of the environment: settings like PGDATA must not reach them."""


class Guise(Struct, frozen=True):
    """A user to run as; without one, whoever we are. `name` is for sentences."""

    uid: int | None = None
    gid: int | None = None
    name: str = "this user"

    def run(self, command: Sequence[str], told: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end with this input; raises OSError when it cannot be run."""
        return subprocess.run(  # noqa: S603 - the commands are ours.
            command,
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_S_MAX,
            cwd="/",
            env=ENVIRONMENT,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else (),
        )

    def start(
        self, command: Sequence[str], *, folder: Path, log: IO[bytes], lock: int, last: int
    ) -> subprocess.Popen[bytes]:
        """Start a server that holds the folder's lock, and gets the signal `last` if we die."""
        return subprocess.Popen(  # noqa: S603 - as above.
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=ENVIRONMENT,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else (),
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C is for the launcher, which ends them in order.
            preexec_fn=_bound_to_us(last),  # noqa: PLW1509 - the launcher has one thread.
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may go into a folder."""
        return self.run(["/bin/sh", "-c", 'cd "$0"', str(folder)]).returncode == 0

    def own(self, path: Path) -> None:
        """Give a file or a folder with all that is in it to this user, if it is another's."""
        if os.geteuid() != 0 or not path.exists():
            return
        uid, gid = self.uid or 0, self.gid or 0
        for each in (path, *path.rglob("*")):
            if each.lstat().st_uid != uid:
                os.chown(each, uid, gid, follow_symlinks=False)


def guise_for(folder: Path, kept: Sequence[Path]) -> Guise:
    """Return the guise for the servers of a folder, and put it on if it is this process's own.

    What was `kept` there by another guise is first given back to root.
    """
    if os.geteuid() != 0:
        if not _is_known(os.geteuid()):
            _enter_namespace()
        return Guise()
    owner = folder.stat()
    if owner.st_uid != 0:
        return Guise(owner.st_uid, owner.st_gid, _name(owner.st_uid))
    for path in kept:
        Guise().own(path)
    return Guise() if _enter_namespace() else Guise(NOBODY, NOBODY, _name(NOBODY))


def _is_known(uid: int) -> bool:
    return any(user.pw_uid == uid for user in pwd.getpwall())


def _name(uid: int) -> str:
    known = (user.pw_name for user in pwd.getpwall() if user.pw_uid == uid)
    return f"the user {next(known, uid)}"


def _enter_namespace() -> bool:
    """Become, for ourselves and our children, a plain user that the machine knows; or not."""
    uid, gid = os.geteuid(), os.getegid()
    inner = next((user.pw_uid for user in pwd.getpwall() if user.pw_uid != 0), None)
    if inner is None or sys.platform != "linux":
        return False
    try:
        os.unshare(os.CLONE_NEWUSER)
    except OSError:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"{inner} {uid} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"{inner} {gid} 1", "ascii")
    except OSError as error:
        raise ServersFailed(
            f"this machine begins user namespaces but does not let them be used ({error.strerror});"
            " run the servers as a plain user, in a folder that is this user's"
        ) from error
    return True


def _bound_to_us(last: int) -> Callable[[], None] | None:
    """What a child does before it becomes a server: have itself signalled when we die."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, last)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return bind
