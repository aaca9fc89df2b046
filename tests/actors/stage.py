"""Shards on a stage: a journal that a test holds up or breaks, and everything said outside noted.

Virtual time is trio's; the instant a test reads is that time in milliseconds.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import trio
import trio.testing
from msgspec import Struct

from actors.directory import Neighbours
from actors.kind import AnyKind
from actors.life import Ports
from actors.limits import Intensity, Limits
from actors.ports import Parcel
from actors.shard import Shard
from actors.supervision import NODE, keep_running
from dispatch.ids import Instant, ShardId
from dispatch.journal import Batch, Committed, JournalUnreachable, LeaseLost, Recovered
from storage.memory import MemoryStore
from tests.actors.bank import ACCOUNT, Account

SHARD = ShardId(7)
START_S = 1_000
DEATH_SHARE = 0.3


def clock() -> Instant:
    """Return trio's time as an instant."""
    return Instant(round((START_S + trio.current_time()) * 1000))


class HeldJournal:
    """A memory store whose commits wait while held, and fail as often as they are told to."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.begun: list[Batch] = []
        self.written: list[Batch] = []
        self.loads: list[Sequence[tuple[str, str]]] = []
        self.unreachable_count = 0
        self.lost_answers = 0
        self.is_load_held = False
        self._released = trio.Event()
        self._released.set()

    def hold(self) -> None:
        """Let no commit return until released."""
        self._released = trio.Event()

    def release(self) -> None:
        """Let the commits return."""
        self._released.set()

    async def open(self, shard: ShardId) -> Recovered:
        return await self.store.open(shard)

    async def commit(self, batch: Batch) -> Committed:
        self.begun.append(batch)
        await self._released.wait()
        if self.unreachable_count > 0:
            self.unreachable_count -= 1
            raise JournalUnreachable("the test said so")
        committed = await self.store.commit(batch)
        self.written.append(batch)
        if self.lost_answers > 0:
            self.lost_answers -= 1
            raise JournalUnreachable("the answer was lost")
        return committed

    async def load(
        self, shard: ShardId, names: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | None]:
        self.loads.append(names)
        if self.is_load_held:
            await self._released.wait()
        return await self.store.load(shard, names)


class CrashingJournal(HeldJournal):
    """A journal at which the process dies now and then, before or after it has written."""

    def __init__(self, chance: Random, crashes_max: int) -> None:
        super().__init__()
        self._chance = chance
        self._crashes_left = crashes_max

    async def commit(self, batch: Batch) -> Committed:
        draw = self._chance.random() if self._crashes_left > 0 else 1.0
        if draw < DEATH_SHARE:
            self._crashes_left -= 1
            if draw < DEATH_SHARE / 2:
                await super().commit(batch)
            raise LeaseLost("the process died")
        return await super().commit(batch)


class Notes:
    """Feeds and services that note what reaches them."""

    def __init__(self) -> None:
        self.published: list[tuple[str, int, Struct]] = []
        self.submitted: list[tuple[str, int, str, bytes]] = []

    def publish(self, person: str, number: int, message: Struct, epoch: int) -> None:
        del epoch
        self.published.append((person, number, message))

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        self.submitted.append((service, sequence, key, message))


class ByLetter:
    """A directory: accounts from `n` on live in shard 2, the others in shard 1."""

    def home(self, kind: str, key: str) -> ShardId:
        assert kind == "account"
        return ShardId(1 if key < "n" else 2)


class LossyRelay:
    """Neighbours that lose or double what they are told to."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        self.sent: list[Parcel] = []
        self.lose_parcels = 0
        self.lose_settlements = 0
        self.is_doubling = False

    def send(self, target: ShardId, parcel: Parcel) -> None:
        self.sent.append(parcel)
        if self.lose_parcels > 0:
            self.lose_parcels -= 1
            return
        self.neighbours.send(target, parcel)
        if self.is_doubling:
            self.neighbours.send(target, parcel)

    def settle(self, source: ShardId, sequence: int) -> None:
        if self.lose_settlements > 0:
            self.lose_settlements -= 1
            return
        self.neighbours.settle(source, sequence)


def shard_on(
    journal: HeldJournal | MemoryStore,
    *,
    kinds: Sequence[AnyKind] = (ACCOUNT,),
    limits: Limits | None = None,
    notes: Notes | None = None,
) -> Shard:
    """Return a shard of accounts on the journal."""
    ports = Ports(journal=journal, clock=clock, services=notes, feeds=notes)
    return Shard(SHARD, kinds, ports, limits or Limits(idle_s=None))


@asynccontextmanager
async def running(*shards: Shard, intensity: Intensity = NODE) -> AsyncGenerator[trio.Nursery]:
    """Run the shards and end them as a crash would when the block ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_running, shards, clock, intensity)
        for shard in shards:
            await shard.opening()
        yield nursery
        nursery.cancel_scope.cancel()


async def recovered(journal: HeldJournal) -> dict[str, Account]:
    """Return the accounts that a new owner would find, once it has worked off its mail."""
    journal.release()
    shard = shard_on(journal, notes=Notes())
    async with running(shard):
        await settled(shard)
        return accounts(shard)


async def settled(shard: Shard) -> None:
    """Wait until the shard has nothing to do."""
    await trio.testing.wait_all_tasks_blocked()
    while shard.statistics().runnable or shard.statistics().wanted:
        await trio.testing.wait_all_tasks_blocked()


def accounts(shard: Shard) -> dict[str, Account]:
    """Return the accounts in memory."""
    return {key: state for key, state in shard.states("account") if isinstance(state, Account)}


def simulated[T](main: Callable[[], Awaitable[T]], seed: int) -> T:
    """Run `main` in virtual time, its tasks scheduled by the seed."""
    runner = trio._core._run  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    runner._ALLOW_DETERMINISTIC_SCHEDULING = True  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    runner._r.seed(seed)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
