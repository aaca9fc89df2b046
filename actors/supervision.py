"""How often what may fail: the ladder from a bad message to a process that ends.

A handler that raises costs its message, and its actor nothing. More failures of one actor than its
intensity allows park it: what comes for it is refused, and what a sibling tells it becomes a dead
letter, until somebody lets it go. More failures in one shard than the shard's intensity drop its
memory and recover it from the journal; more recoveries than the node's intensity end the node.
The one place that catches whatever a handler raises is the run loop of `kernel`.
"""

import traceback
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Protocol

import trio

from actors.failures import JournalAway, NodeFailed, ShardFailed
from actors.limits import Intensity, Limits
from actors.ports import Clock
from dispatch.ids import Instant, elapsed_s
from dispatch.journal import LeaseLost

NODE = Intensity(failures_max=3, within_s=300)
AWAY_S = 0.25
"""Wait before a shard whose journal did not answer is opened again."""


class Tally:
    """Counts failures, and remembers only as many as the intensity needs."""

    __slots__ = ("_at", "_intensity")

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._at: deque[Instant] = deque(maxlen=intensity.failures_max + 1)

    def is_past(self, now: Instant) -> bool:
        """Count a failure and tell whether it was one too many."""
        self._at.append(now)
        is_full = len(self._at) == self._at.maxlen
        return is_full and elapsed_s(self._at[0], now) <= self._intensity.within_s


class Supervisor:
    """Judges the failures of one shard's life."""

    __slots__ = ("_actors", "_limits", "_shard")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shard = Tally(limits.shard)
        self._actors: OrderedDict[tuple[str, str], Tally] = OrderedDict()

    def parks(self, kind: str, key: str, now: Instant) -> bool:
        """Count a failure of the actor and tell whether it is to be parked."""
        tally = self._actors.get((kind, key))
        if tally is None:
            if len(self._actors) >= self._limits.failing_max:
                self._actors.popitem(last=False)
            tally = self._actors[kind, key] = Tally(self._limits.actor)
        return tally.is_past(now)

    def forgive(self, kind: str, key: str) -> None:
        """Start counting the actor's failures afresh."""
        self._actors.pop((kind, key), None)

    def check_shard(self, now: Instant, error: Exception) -> None:
        """Count a failure of the shard and raise `ShardFailed` when it was one too many."""
        if self._shard.is_past(now):
            told = f"more than {self._limits.shard.failures_max} failures of actors"
            raise ShardFailed(f"{told} in {self._limits.shard.within_s:g} s") from error


class Runnable(Protocol):
    """What `keep_running` runs: one life of a shard for each call."""

    async def run(self) -> None:
        """Run until stopped; raise `ShardFailed` to be run again."""
        ...


async def keep_running(
    shards: Iterable[Runnable], clock: Clock, intensity: Intensity = NODE
) -> None:
    """Run the shards, recover those that fail, and raise `NodeFailed` when that does not help.

    A shard that lost its lease belongs to another node and is not run again. One whose journal is
    away waits for it, and that counts as no failure: another process would find it away too.
    """
    tally = Tally(intensity)
    failed: list[NodeFailed] = []

    async def keep(shard: Runnable) -> None:
        while True:
            try:
                await shard.run()
            except LeaseLost:
                return
            except JournalAway:
                await trio.sleep(AWAY_S)
                continue
            except ShardFailed as error:
                if not tally.is_past(clock()):
                    continue
                told = f"more than {intensity.failures_max} shards failed"
                failure = NodeFailed(f"{told} in {intensity.within_s:g} s; the last: {error}")
                failure.__cause__ = error
                failed.append(failure)
                nursery.cancel_scope.cancel()
            return

    async with trio.open_nursery() as nursery:
        for shard in shards:
            nursery.start_soon(keep, shard)
    for failure in failed:
        raise failure


def traced(error: Exception, chars_max: int) -> str:
    """Return the end of the error's traceback as text."""
    return "".join(traceback.format_exception(error))[-chars_max:]
