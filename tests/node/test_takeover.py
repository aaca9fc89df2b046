"""Real processes on a real Postgres replace one another, and how long that takes."""

import math
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from dispatch.ids import ShardId
from node.keeper import Terms
from node.servers.announcement import Running
from storage.bridge import bridged
from storage.database import Database
from storage.leases import ensure
from tests.node.lodger import now_s

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHARDS = range(1, 7)
NODES = 3
KILLS = 5
DEADLINE_S = 20.0
TERMS = Terms()
LONG_S = 30.0
"""A lease that outlasts a crash of the server however busy the machine is."""
CRASH_S = 5.0
QUIET_S = 0.73
"""Time in which nodes come to look only as often as they do when nothing happens."""


class Lodger:
    """A process that keeps shards, and what it said."""

    def __init__(self, url: str, name: str, ttl_s: float) -> None:
        self.name = name
        self.stays: dict[int, list[float]] = {}
        self.is_up = True
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.node.lodger", url, name, str(ttl_s)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def has(self) -> set[int]:
        """The shards it acts for."""
        if not self.is_up:
            return set()
        return {shard for shard, (_, ended_at) in self.stays.items() if ended_at == math.inf}

    def signal(self, number: signal.Signals) -> float:
        """Send the process a signal and return when that was."""
        self.is_up = self.is_up and number is not signal.SIGKILL
        at_s = now_s()
        self.process.send_signal(number)
        return at_s

    def leave(self) -> float:
        """Have the process leave in order, and return when that was asked."""
        assert self.process.stdin is not None
        at_s = now_s()
        self.process.stdin.close()
        return at_s

    def end(self) -> None:
        """Have the process over, however it is."""
        self.process.kill()
        self.process.wait()
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what, shard, at_s = line.split()
            if what == "begins":
                self.stays[int(shard)] = [float(at_s), math.inf]
            else:
                self.stays[int(shard)][1] = float(at_s)


class Street:
    """The processes that share the shards."""

    def __init__(self, url: str, ttl_s: float) -> None:
        self.lodgers: list[Lodger] = []
        self._url, self._ttl_s = url, ttl_s

    def add(self) -> None:
        """Have one more process."""
        self.lodgers.append(Lodger(self._url, f"lodger{len(self.lodgers)}", self._ttl_s))

    def settle(self) -> None:
        """Wait until the shards are spread evenly over all that are up."""
        up = [lodger for lodger in self.lodgers if lodger.is_up]
        share = len(SHARDS) // len(up)
        until(lambda: all(len(lodger.has) == share for lodger in up))

    def taken_s(self, shards: set[int], since_s: float, but: Lodger) -> list[float]:
        """Wait until others have these shards, and return how long each was without an owner."""
        others = [lodger for lodger in self.lodgers if lodger is not but]
        until(lambda: shards <= set().union(*(lodger.has for lodger in others)))
        begins = [lodger.stays[shard][0] for lodger in others for shard in lodger.has & shards]
        return [begin - since_s for begin in begins]


def until(happens: Callable[[], bool]) -> None:
    """Wait for something that processes do."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


async def _ensure(url: str, shards: Sequence[int]) -> None:
    async with bridged() as bridge:
        database = Database(bridge, url)
        await ensure(database, [ShardId(shard) for shard in shards])
        await database.close()


@contextmanager
def street(url: str, ttl_s: float = TERMS.ttl_s) -> Generator[Street]:
    """Have three processes share six shards."""
    trio.run(_ensure, url, SHARDS)
    built = Street(url, ttl_s)
    try:
        for _ in range(NODES):
            built.add()
        built.settle()
        yield built
    finally:
        for lodger in built.lodgers:
            lodger.end()


def test_the_shards_of_a_killed_process_are_taken_in_tenths_of_a_second(database: str) -> None:
    took_s: list[float] = []

    with street(database) as built:
        for _ in range(KILLS):
            time.sleep(QUIET_S)
            victim = next(lodger for lodger in built.lodgers if lodger.is_up)
            lost = victim.has
            killed_at_s = victim.signal(signal.SIGKILL)
            took_s += built.taken_s(lost, killed_at_s, victim)
            built.add()
            built.settle()

    assert len(took_s) == KILLS * len(SHARDS) // NODES
    assert statistics.median(took_s) <= TERMS.look_s + 0.1
    assert max(took_s) < TERMS.ttl_s


def test_the_shards_of_a_stopped_process_are_taken_when_their_leases_are_over(
    database: str,
) -> None:
    with street(database) as built:
        victim = built.lodgers[0]
        lost = victim.has
        stopped_at_s = victim.signal(signal.SIGSTOP)
        took_s = built.taken_s(lost, stopped_at_s, victim)
        victim.signal(signal.SIGCONT)
        until(lambda: not lost & victim.has or min(victim.stays[s][0] for s in lost) > stopped_at_s)
        built.settle()

    assert TERMS.ttl_s - TERMS.renew_s - 0.1 < min(took_s)
    assert max(took_s) < TERMS.ttl_s + 1.0


def test_a_process_that_leaves_hands_over_within_tenths_of_a_second(database: str) -> None:
    with street(database) as built:
        leaver = built.lodgers[0]
        given = leaver.has
        asked_at_s = leaver.leave()
        took_s = built.taken_s(given, asked_at_s, leaver)
        code = leaver.process.wait(DEADLINE_S)

    assert code == 0
    assert max(took_s) < TERMS.look_s + 0.5


def test_a_crash_of_the_server_makes_nobody_look_dead(database: str, servers: Running) -> None:
    with street(database, LONG_S) as built:
        before = [dict(lodger.stays) for lodger in built.lodgers]
        _crash_a_session(servers.pids["postgres"], database)
        time.sleep(CRASH_S)

        assert [lodger.stays for lodger in built.lodgers] == before


def _crash_a_session(postmaster: int, url: str) -> None:
    """Kill one session of the server, which then ends all others and recovers."""
    name = url.rpartition("/")[2]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    titles = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in children}
    victim = next(pid for pid, title in titles.items() if f" {name} " in title)
    os.kill(int(victim), signal.SIGKILL)
