"""What a message costs in the kernel, beside pykka and thespian in the same run.

Ping-pong is two actors with one ball, fan-in ten actors that send bursts of a hundred to one; each
actor counts what it receives, and the counts are checked. The three take turns, several times over,
and each is judged by its median turn: the best one is luck where threads are scheduled. The other
figures are the kernel's own: resident memory of a million idle actors, measured in a process of
its own, with their keys and small states; and a message through a shard, from the edge to its
commit in a memory journal, with a new state and a fact each.
"""

import json
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypedDict

import trio
from msgspec import Struct

from actors.envelope import Envelope
from actors.kernel import Kernel
from actors.kind import AnyKind, Kind
from actors.life import Ports
from actors.limits import Limits
from actors.shard import Shard
from actors.statistics import Totals
from dispatch.ids import Instant, ShardId
from dispatch.step import Record, Step, Tell
from storage.memory import MemoryStore

NOW = Instant(1_790_000_000_000)
LIMITS = Limits()
TURNS = 15
BALLS = 20_000
ITEMS = 50_000
BURST = 100
SENDERS = 10
IDLE_ACTORS = 1_000_000
COMMITTED = 50_000
COMMITTING_ACTORS = 500

type Run = Callable[[int], float]


class Measured(TypedDict):
    """The figures of the benchmark."""

    messages_per_s: dict[str, dict[str, int]]
    bytes_per_idle_actor: int
    us_per_committed_message: float


class Ball(Struct, frozen=True, gc=False, tag="ball"):
    """A message without content."""


class Idle(Struct, frozen=True, gc=False):
    """The state of an actor with little to remember."""

    is_online: bool
    seen: int


class Sum(Struct, frozen=True, gc=False):
    """The state of an actor that adds up."""

    total: int = 0


class Added(Struct, frozen=True, tag="added"):
    """The fact of an addition."""

    total: int


BALL = Ball()
TO_PING = (Tell("ping", "1", BALL),)
TO_PONG = (Tell("pong", "1", BALL),)
TO_SINK = (Tell("sink", "1", BALL),) * BURST
ONLINE = Idle(is_online=True, seen=0)


def _counting(name: str, tells: tuple[Tell, ...]) -> AnyKind:
    """Return a kind that counts its messages and answers each with the same tells."""

    def step(seen: int | None, message: Ball, now: Instant) -> Step[int | None]:
        del message, now
        return Step((seen or 0) + 1, tells)

    return Kind(name=name, step=step, state_type=int, message_type=Ball, is_durable=False)


def _idle(state: Idle | None, message: Ball, now: Instant) -> Step[Idle | None]:
    del message, now
    return Step(Idle(is_online=True, seen=state.seen + 1 if state else 0))


def _add(state: Sum | None, message: Ball, now: Instant) -> Step[Sum | None]:
    del message, now
    total = (state or Sum()).total + 1
    return Step(Sum(total), (Record(Added(total)),))


IDLE = Kind(name="idle", step=_idle, state_type=Idle, message_type=Ball)
ADDER = Kind(name="adder", step=_add, state_type=Sum, message_type=Ball)


def kernel() -> Measured:
    """Run the benchmark and return its figures; raises `AssertionError` if work was left undone."""
    from benchmarks import yardsticks  # noqa: PLC0415 - pykka and thespian are not the product's.

    return {
        "messages_per_s": {
            "ping_pong": messages_per_s(
                BALLS,
                ours=ping_pong,
                pykka=yardsticks.pykka_ping_pong,
                thespian=yardsticks.thespian_ping_pong,
            ),
            "fan_in": messages_per_s(
                ITEMS,
                ours=fan_in,
                pykka=yardsticks.pykka_fan_in,
                thespian=yardsticks.thespian_fan_in,
            ),
        },
        "bytes_per_idle_actor": bytes_per_idle_actor(),
        "us_per_committed_message": round(
            min(committed_s() for _ in range(3)) / COMMITTED * 1e6, 2
        ),
    }


def messages_per_s(count: int, turns: int = TURNS, **runs: Run) -> dict[str, int]:
    """Let the runs take turns at `count` messages and return the median rate of each."""
    spent_s: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            spent_s[name].append(run(count))
    return {name: round(count / median(times)) for name, times in spent_s.items()}


def ping_pong(count: int) -> float:
    """Play `count` balls between two actors and return the seconds it took."""
    table = _kernel(_counting("ping", TO_PONG), _counting("pong", TO_PING))
    began = time.perf_counter()
    table.tell("ping", "1", Envelope(BALL))
    _drain(table, count)
    spent_s = time.perf_counter() - began
    seen = [_seen(table, kind) for kind in ("ping", "pong")]
    assert seen == [count // 2, count // 2], f"the kernel played {seen} balls"
    return spent_s


def fan_in(count: int) -> float:
    """Send `count` messages from several actors to one and return the seconds it took."""
    table = _kernel(_counting("sender", TO_SINK), _counting("sink", ()))
    began = time.perf_counter()
    for _ in range(count // BURST // SENDERS):
        for sender in range(SENDERS):
            table.tell("sender", f"{sender}", Envelope(BALL))
        _drain(table, SENDERS * (BURST + 1))
    spent_s = time.perf_counter() - began
    assert _seen(table, "sink") == count, f"the sink saw {_seen(table, 'sink')} messages"
    return spent_s


def bytes_per_idle_actor() -> int:
    """Measure a million idle actors in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.kernel", "idle"]
    root = Path(__file__).parent.parent
    ran = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)  # noqa: S603
    return int(ran.stdout)


def idle_bytes(count: int) -> int:
    """Make `count` durable actors of one message each, and return the resident bytes of one."""
    table = _kernel(IDLE)
    before = _resident()
    for first in range(0, count, LIMITS.transitions_max):
        keys = [f"crr_{number:08d}" for number in range(first, first + LIMITS.transitions_max)]
        for key in keys:
            table.tell("idle", key, Envelope(BALL))
        rows = table.take_wanted()
        table.load(rows, [None] * len(rows))
        _drain(table, len(rows))
    spent = _resident() - before
    actors = table.statistics(asks=0, unsettled=0).actors
    assert actors == count, f"{actors} actors are in memory"
    return round(spent / count)


def committed_s() -> float:
    """Send messages through a shard until all are committed, and return the seconds it took."""
    return trio.run(_commit_all)


async def _commit_all() -> float:
    store = MemoryStore()
    shard = Shard(ShardId(1), [ADDER], Ports(journal=store, clock=lambda: NOW))
    keys = [f"{number}" for number in range(COMMITTING_ACTORS)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shard.run)
        await shard.opening()
        began = time.perf_counter()
        for _ in range(COMMITTED // COMMITTING_ACTORS):
            for key in keys:
                assert shard.tell("adder", key, BALL) is None
            await trio.lowlevel.checkpoint()
        shard.stop()
    spent_s = time.perf_counter() - began
    facts = sum([len(await store.history("adder", key)) for key in keys])
    assert facts == COMMITTED, f"{facts} of {COMMITTED} messages were committed"
    return spent_s


def _kernel(*kinds: AnyKind) -> Kernel:
    return Kernel(
        kinds, LIMITS, shard=ShardId(1), epoch=1, totals=Totals(), dead_letters=deque(maxlen=1)
    )


def _drain(table: Kernel, count: int) -> None:
    """Handle so many messages as a shard does, a draft at a time, with nothing to commit to."""
    left = count
    while left > 0:
        left -= table.run(min(left, LIMITS.transitions_max), NOW)
        table.commit(table.seal())


def _seen(table: Kernel, kind: str) -> object:
    return dict(table.states(kind))["1"]


def _resident() -> int:
    """Return the bytes of memory that this process occupies."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    """Print the figures as one line of JSON."""
    if sys.argv[1:] == ["idle"]:
        print(idle_bytes(IDLE_ACTORS))
    else:
        print(json.dumps(kernel()))


if __name__ == "__main__":
    main()
