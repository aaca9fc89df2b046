"""The one composition root: machines, kernel, store and solver, fitted together.

A `Composition` is one market in one shard, ready to be spoken to. Production and simulations are
made by the same function and differ in the ports they hand in: the clock, the store, and how rounds
are solved. Whoever listens to a person's feed here hears what was committed, and nothing before.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from msgspec import Struct

from actors.life import Ports
from actors.limits import Limits
from actors.ports import Clock, Journal
from actors.shard import Shard
from dispatch.ids import CourierId, Instant, MarketId, ShardId
from dispatch.matching.survey import Sightings
from dispatch.round import Begin
from dispatch.step import Refused
from geo.point import Point
from node.hosting import Market, desk_of, kept, kinds, solving
from node.reckoner import Reckoner
from node.solver import RoundTaken
from node.worker import Worker
from storage.memory import MemoryStore

SHARD = ShardId(0)
type Hear = Callable[[Struct], None]


class Unhealthy(RuntimeError):
    """A message could not be handled, where that must not be passed over."""


@dataclass(slots=True)
class Listeners:
    """The feeds of this process: hands each person's messages to whoever listens."""

    by_person: dict[str, Hear] = field(default_factory=dict[str, Hear])
    reckoner: Reckoner | None = None

    def publish(self, person: str, number: int, message: Struct, epoch: int) -> None:
        """Hand a committed message on; nobody listening is no matter, the journal has it."""
        del number, epoch
        if self.reckoner is not None:
            self.reckoner.hear(message)
        if hear := self.by_person.get(person):
            hear(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A running market."""

    market_id: MarketId
    shard: Shard
    listeners: Listeners
    worker: Worker | None

    def say(self, kind: str, key: str, message: Struct) -> Refused | None:
        """Tell an actor something, as the edge does; return why it was not taken, else None."""
        return self.shard.tell(kind, key, message)

    def listen(self, person: str, hear: Hear) -> None:
        """Have a person's committed feed messages handed to `hear`."""
        self.listeners.by_person[person] = hear

    def reckon(self, reckoner: Reckoner) -> None:
        """Have a reckoner hear what all feeds are told, and learn from it how long things take."""
        self.listeners.reckoner = reckoner
        reckoner.attend(self.shard)

    def check_health(self) -> None:
        """Raise `Unhealthy` when a handler has failed: a fault of the program, not of its users."""
        letters = self.shard.dead_letters()
        if letters:
            first = letters[0]
            failed = f"{len(letters)} messages failed; {first.kind} {first.key}: {first.error}"
            raise Unhealthy(failed)

    def begin(self, first_at: Instant) -> None:
        """Begin the market's rounds."""
        self.say("round", self.market_id, Begin(self.market_id, first_at))


@asynccontextmanager
async def composed(
    market: Market,
    clock: Clock,
    *,
    until_s: Callable[[Instant], float] | None = None,
    journal: Journal | None = None,
    limits: Limits | None = None,
    sightings: Callable[[], Sightings] = dict[CourierId, Point],
    watch: Callable[[RoundTaken], None] = lambda _round: None,
    in_process: bool = True,
) -> AsyncGenerator[Composition]:
    """Run one market by itself for as long as the block does, then stop it in order.

    With `in_process` rounds are solved between two events, as simulations want it; otherwise in a
    worker process. Raises `NodeFailed` when recovering the shard does not help.
    """
    worker = None if in_process else Worker()
    listeners = Listeners()
    desk = desk_of(market, clock, sightings, watch, waits=in_process)
    ports = Ports(
        journal=journal or MemoryStore(),
        clock=clock,
        until_s=until_s,
        services=solving(market, desk, worker),
        feeds=listeners,
    )
    shard = Shard(SHARD, kinds(market.policy), ports, limits or Limits())
    desk.attend(shard)
    async with trio.open_nursery() as around:
        if worker is not None:
            around.start_soon(worker.run)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kept, shard, clock)
            await shard.opening()
            yield Composition(
                market_id=market.market_id, shard=shard, listeners=listeners, worker=worker
            )
            shard.stop()
        around.cancel_scope.cancel()
