"""What durability costs and how fast it is, through one shard on servers started for it.

Acknowledgement: commands at fixed instants, whether or not those before are answered, and the time
of each counts from the instant at which it was due; beside it stands what the disk takes to keep
one page, which is what an acknowledgement waits for. It comes first, before the server has a heavy
load's dust to sweep. Throughput: so many askers each send one command after the other to orders
drawn by a seed, until all are acknowledged; turns on Postgres and on the memory store alternate,
and each is judged by its median. Recovery: from a market's checkpoints in the database to an open
shard of production kinds. What was done is counted in the database.
"""

import gc
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import batched
from pathlib import Path
from statistics import median, quantiles
from typing import TypedDict

import trio

from actors.kind import AnyKind
from actors.life import Ports
from actors.shard import Shard
from benchmarks.traffic import ADVANCE, checkpoints, kinds, order_key
from dispatch.ids import Instant, ShardId
from dispatch.journal import Batch, Checkpoint
from dispatch.policy import Policy
from dispatch.step import Accepted
from node.embedded import embedded
from node.wiring import kinds as production_kinds
from storage.bridge import bridged
from storage.database import connected
from storage.memory import MemoryStore
from storage.migrate import migrate
from storage.postgres import PostgresStore

SEED = 7
ORDERS, COURIERS = 4_000, 1_000
ASKERS = 500
COMMANDS = 30_000
TURNS = 3
ACK_RATE = 500
ACK_S = 10
LIVE_ORDERS, LIVE_COURIERS = 10_000, 5_000
ASK_S = 30.0
FSYNCS = 250
PAGE = bytes(8_192)
SEED_MAX = 1_000
"""Checkpoints written by one batch when a market is laid out."""


class Measured(TypedDict):
    """The figures of the benchmark."""

    transitions_per_s: int
    commands_per_s: int
    ack_ms_p50: float
    ack_ms_p99: float
    fsync_ms_p50: float
    fsync_ms_p99: float
    ack_fsyncs_p99: float
    recovery_s: float
    cpu_us_per_transition: float
    memory_cpu_us_per_transition: float
    memory_transitions_per_s: int
    ratio: float


type Store = PostgresStore | MemoryStore


class Turn(TypedDict):
    """One turn of throughput."""

    transitions: int
    spent_s: float
    cpu_s: float


def clock() -> Instant:
    """Return the time of this machine."""
    return Instant(time.time_ns() // 1_000_000)


def durable() -> Measured:
    """Run the benchmark and return its figures; raises `AssertionError` if work was left undone."""
    return trio.run(_durable)


async def _durable() -> Measured:
    with tempfile.TemporaryDirectory(prefix="durable") as folder:
        async with (
            embedded(Path(folder)) as servers,
            bridged() as bridge,
            connected(bridge, servers.database_url) as database,
        ):
            await migrate(database)
            return await measured(PostgresStore(database), Path(folder))


async def measured(store: PostgresStore, folder: Path) -> Measured:
    """Run all of it on this store, whose disk `folder` is on."""
    fsyncs_ms = fsync_ms(folder)
    acks_ms = await acknowledgements_ms(store, ShardId(100))
    fsyncs_ms += fsync_ms(folder)
    on_disk: list[Turn] = []
    in_memory: list[Turn] = []
    for turn in range(TURNS):
        in_memory.append(await throughput(MemoryStore(), ShardId(turn), COMMANDS))
        on_disk.append(await throughput(store, ShardId(turn), COMMANDS))
    recoveries_s = [await recovery_s(store, ShardId(200 + turn)) for turn in range(TURNS)]
    cost_us, memory_cost_us = _cost_us(on_disk), _cost_us(in_memory)
    cuts, fsync_cuts = quantiles(acks_ms, n=100), quantiles(fsyncs_ms, n=100)
    return {
        "transitions_per_s": _rate(on_disk),
        "commands_per_s": round(COMMANDS / median([turn["spent_s"] for turn in on_disk])),
        "ack_ms_p50": round(cuts[49], 2),
        "ack_ms_p99": round(cuts[98], 2),
        "fsync_ms_p50": round(fsync_cuts[49], 2),
        "fsync_ms_p99": round(fsync_cuts[98], 2),
        "ack_fsyncs_p99": round(cuts[98] / fsync_cuts[98], 2),
        "recovery_s": round(median(recoveries_s), 3),
        "cpu_us_per_transition": round(cost_us, 1),
        "memory_cpu_us_per_transition": round(memory_cost_us, 1),
        "memory_transitions_per_s": _rate(in_memory),
        "ratio": round(cost_us / memory_cost_us, 2),
    }


async def throughput(store: Store, shard_id: ShardId, count: int) -> Turn:
    """Have askers send `count` commands, and count in the store that all were kept."""
    await lay_out(store, shard_id, checkpoints(ORDERS, COURIERS))
    numbers = random.Random(SEED).choices(range(ORDERS), k=count)
    keys = iter([order_key(number) for number in numbers])
    before = len(await store.history("order", order_key(numbers[0])))
    async with running(store, shard_id) as shard:
        transitions, cpu_s = shard.statistics().totals.messages, _cpu_s()
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(ASKERS):
                nursery.start_soon(_ask_each, shard, keys)
        spent_s = time.perf_counter() - began
        cpu_s = _cpu_s() - cpu_s
        transitions = shard.statistics().totals.messages - transitions
    assert transitions >= count + count // 2, f"{transitions} transitions of {count} commands"
    facts = len(await store.history("order", order_key(numbers[0]))) - before
    assert facts == numbers.count(numbers[0]), f"{facts} facts of {numbers.count(numbers[0])}"
    return {"transitions": transitions, "spent_s": spent_s, "cpu_s": cpu_s}


async def _ask_each(shard: Shard, keys: Iterator[str]) -> None:
    for key in keys:
        assert await shard.ask("order", key, ADVANCE, ASK_S) == Accepted()


async def acknowledgements_ms(store: Store, shard_id: ShardId) -> list[float]:
    """Send commands at a fixed rate and return how long after its instant each was answered."""
    await lay_out(store, shard_id, checkpoints(ORDERS, COURIERS))
    chance = random.Random(SEED)
    spent_ms: list[float] = []

    async def ask(due_s: float) -> None:
        key = order_key(chance.randrange(ORDERS))
        assert await shard.ask("order", key, ADVANCE, ASK_S) == Accepted()
        spent_ms.append((time.perf_counter() - due_s) * 1e3)

    async with running(store, shard_id) as shard, trio.open_nursery() as nursery:
        began = time.perf_counter()
        for number in range(ACK_RATE * ACK_S):
            due_s = began + number / ACK_RATE
            await trio.sleep(max(0.0, due_s - time.perf_counter()))
            nursery.start_soon(ask, due_s)
    assert len(spent_ms) == ACK_RATE * ACK_S, f"{len(spent_ms)} commands were answered"
    return spent_ms


def fsync_ms(folder: Path) -> list[float]:
    """Return how long the disk takes to keep a page: below that no acknowledgement can be."""
    spent_ms: list[float] = []
    with (folder / "yardstick").open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(PAGE)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            spent_ms.append((time.perf_counter() - began) * 1e3)
    return spent_ms


async def recovery_s(store: Store, shard_id: ShardId) -> float:
    """Return the seconds from a market in the store to its open shard."""
    await lay_out(store, shard_id, checkpoints(LIVE_ORDERS, LIVE_COURIERS))
    gc.collect()
    began = time.perf_counter()
    async with running(store, shard_id, production_kinds(Policy())) as shard:
        spent_s = time.perf_counter() - began
        actors = shard.statistics().actors
    gc.unfreeze()
    assert actors == LIVE_ORDERS + LIVE_COURIERS, f"{actors} actors are in memory"
    return spent_s


@asynccontextmanager
async def running(
    store: Store, shard_id: ShardId, of: Sequence[AnyKind] | None = None
) -> AsyncGenerator[Shard]:
    """Run a shard on this store for as long as the block does."""
    shard = Shard(shard_id, of or kinds(), Ports(journal=store, clock=clock))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shard.run)
        await shard.opening()
        yield shard
        shard.stop()


async def lay_out(store: Store, shard_id: ShardId, rows: Sequence[Checkpoint]) -> None:
    """Write a market's checkpoints."""
    taken = await store.open(shard_id)
    for number, part in enumerate(batched(rows, SEED_MAX, strict=False), start=taken.number + 1):
        await store.commit(Batch(shard_id, taken.epoch, number, clock(), checkpoints=part))


def _rate(turns: Sequence[Turn]) -> int:
    return round(median([turn["transitions"] / turn["spent_s"] for turn in turns]))


def _cost_us(turns: Sequence[Turn]) -> float:
    return median([turn["cpu_s"] / turn["transitions"] * 1e6 for turn in turns])


def _cpu_s() -> float:
    """Return the processor time of this process, the bridge's thread included."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Print the figures as one line of JSON."""
    print(json.dumps(durable()))


if __name__ == "__main__":
    main()
