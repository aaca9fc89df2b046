"""A server as the launcher sees it: how to start it, ask it, end it, and read its complaints."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TAIL_BYTES_MAX = 8_192
DISK_IS_FULL = "No space left on device"
PORT_IS_TAKEN = ("Address already in use", "could not create any TCP/IP sockets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A program that serves from a folder, and writes what it has to say to `log`.

    `is_ready` is asked with the pid. A failed start whose log speaks of something in `passing` is
    tried again. `known` are words of the log that need a sentence of ours; for everything else the
    log's own complaint is passed on, from the mark that it has in `complaints`.
    """

    name: str
    url: str
    folder: Path
    log: Path
    command: Sequence[str]
    is_ready: Callable[[int], bool]
    stopped_by: signal.Signals
    ended_by: signal.Signals
    complaints: Sequence[str]
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    passing: Sequence[str] = ()

    def reason(self, said: str) -> str:
        """Return one sentence on why the server ended, from what it wrote since it was started."""
        port = f"the port of {self.name} is taken: end what listens there, or give another port"
        full = f"the disk of {self.folder} is full: free some of it, then start again"
        known = {DISK_IS_FULL: full, **dict.fromkeys(PORT_IS_TAKEN, port), **self.known}
        if sentence := next((told for words, told in known.items() if words in said), None):
            return sentence
        last = self._complaint(said)
        return f"{self.name} does not run in {self.folder}: {last} ({self.log} has all it said)"

    def _complaint(self, said: str) -> str:
        found = (
            line[line.index(mark) + len(mark) :].strip()
            for line in reversed(said.splitlines())
            for mark in self.complaints
            if mark in line
        )
        return next(found, "it ended without a word")

    def is_passing(self, said: str) -> bool:
        """Whether what the server complains of ends by itself."""
        return any(phrase in said for phrase in self.passing)


def tail(log: Path, since: int) -> str:
    """Return the end of what was written to a log after its first `since` bytes."""
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(min(since, size), size - TAIL_BYTES_MAX))
        return file.read().decode("utf-8", "replace")
