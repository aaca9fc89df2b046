"""The nodes of a run: the production code in simulated processes, started again when they die.

A node is put together as one in production is: a keeper with its leases, shards hosted under them,
a relay on the bus, feeds for whoever listens, rounds planned in the process. Only the stores and
wires are the simulation's, and so is the door through which clients come.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import trio
from msgspec import Struct

from actors.directory import Neighbours
from actors.failures import NodeFailed
from actors.limits import Limits
from dispatch.ids import Instant, MarketId, ShardId
from dispatch.journal import JournalUnreachable
from dispatch.lease import NodeId, NodeRow
from dispatch.step import Accepted, Refused
from node.backend import ShardBackend
from node.clock import NodeClock
from node.feeds import FeedHub, FeedLimits
from node.hosting import Hosting, Market, kinds
from node.keeper import Keeper, Terms
from node.relay import ClusterRelay
from node.tenancy import Tenancy
from simulations.faults.chronicle import Said
from simulations.faults.journal import Guard, JournalSeat, SharedJournal
from simulations.faults.network import Network
from simulations.faults.plan import Fault, Weather
from simulations.faults.process import Process
from simulations.faults.purse import PURSE
from simulations.faults.seats import BusSeat, LeasesSeat
from simulations.faults.witness import Witness
from simulations.world import DAWN
from storage.memory_bus import MemoryBus
from storage.memory_leases import MemoryLeases
from wire.link import Ask, Outcome

TERMS = Terms(look_s=1.0)
LIMITS = Limits(idle_s=60.0)
FEEDS = FeedLimits(look_s=10.0)
DOOR_MAX = 1_000
CLOCK_S = 20.0
"""Time between two looks at the store's clock."""
RESTART_S = (0.1, 8.0)


@dataclass(eq=False, slots=True)
class Visit:
    """A client's question at a node's door, and what came back."""

    ask: Ask
    message: Struct
    outcome: Outcome | None = None
    is_done: trio.Event = field(default_factory=trio.Event)


@dataclass(eq=False, slots=True)
class Listening:
    """A device that listens at a node's door until it `has_left`."""

    person: str
    cursor: int
    take: Callable[[int, bytes], None]
    has_left: bool = False


class Shared:
    """What all nodes of a run have in common."""

    def __init__(
        self,
        nursery: trio.Nursery,
        weather: Weather,
        witness: Witness,
        markets: Mapping[ShardId, Market],
        without: Guard | None,
    ) -> None:
        self.nursery = nursery
        self.weather = weather
        self.markets = markets
        self.witness = witness
        self.network = Network(nursery, weather)
        self.journal = SharedJournal(self.witness, without)
        self.leases = MemoryLeases(trio.current_time, TERMS.ttl_s)
        self.leases.ensure(markets)
        self.bus = MemoryBus()

    def shards(self) -> Mapping[MarketId, ShardId]:
        """Return the shard of each market."""
        return {market.market_id: shard for shard, market in self.markets.items()}


class Life:
    """One process of a node, from its start to its end."""

    def __init__(self, name: NodeId, shared: Shared, wall: Instant) -> None:
        """Begin on a machine whose clock on the wall says `wall`."""
        self.process = Process(name)
        self.ended = trio.Event()
        excuse = shared.witness.excused
        self.leases = LeasesSeat(shared.leases, shared.network, name, excuse)
        self.journal = JournalSeat(shared.journal, shared.network, name)
        self._name, self._shared = name, shared
        self._bus = BusSeat(shared.bus.seat(), shared.network, name)
        self._clock = NodeClock(wall, trio.current_time)
        self._feeds = FeedHub(self.journal, FEEDS)
        neighbours = Neighbours()
        self.hosting = Hosting(
            clock=self._clock,
            journal=self.journal,
            markets=shared.markets.get,
            neighbours=neighbours,
            relay=ClusterRelay(self._bus, neighbours),
            feeds=self._feeds,
            limits=LIMITS,
            extra_kinds=(PURSE,),
        )
        me = NodeRow(node=name, address=name, version="1")
        self._keeper = Keeper(self.leases, me, self._host, TERMS, trio.current_time)
        any_market = next(iter(shared.markets.values()))
        self._backend = ShardBackend(
            (*kinds(any_market.policy), PURSE),
            self._feeds,
            find_shard=self.hosting.shards.get,
            view=lambda: self._keeper.view,
            markets=shared.shards,
        )
        self._door, self._visitors = trio.open_memory_channel[Visit | Listening](DOOR_MAX)

    async def run(self) -> None:
        """Be a node until it leaves or fails; one that is killed just stays where it is."""
        try:
            async with trio.open_nursery() as nursery:
                await self._set_clock()
                nursery.start_soon(self._keep_clock)
                nursery.start_soon(self._bus.run)
                nursery.start_soon(self._feeds.run)
                nursery.start_soon(self._serve, nursery)
                if self._shared.journal.without is Guard.OUTPUT_AFTER_COMMIT:
                    nursery.start_soon(self.journal.write_behind)
                await self._keeper.run()
                nursery.cancel_scope.cancel()
        except* NodeFailed as failures:
            self._shared.witness.note(f"{self._name} exits: {failures.exceptions[0]}")

    async def leave(self) -> None:
        """Hand all shards over in order and end."""
        await self._keeper.leave()

    def knock(self, visitor: Visit | Listening) -> None:
        """Let somebody in, unless too many wait at the door."""
        try:
            self._door.send_nowait(visitor)
        except trio.WouldBlock:
            return

    async def _host(self, tenancy: Tenancy) -> None:
        witness = self._shared.witness
        witness.hosted(self._name, tenancy, tenancy.shard)
        try:
            await self.hosting.host(tenancy)
        finally:
            witness.unhosted(self._name, tenancy, tenancy.shard)

    async def _keep_clock(self) -> None:
        while True:
            await trio.sleep(CLOCK_S)
            await self._set_clock()

    async def _set_clock(self) -> None:
        """Go by the store's clock, as soon as it can be reached."""
        while True:
            asked_s = trio.current_time()
            with suppress(JournalUnreachable):
                told = await self.journal.now()
                return self._clock.set(told, asked_s, trio.current_time())
            await trio.sleep(CLOCK_S / 10)

    async def _serve(self, nursery: trio.Nursery) -> None:
        async for visitor in self._visitors:
            if isinstance(visitor, Visit):
                nursery.start_soon(self._answer, visitor)
            else:
                nursery.start_soon(self._show, visitor)

    async def _answer(self, visit: Visit) -> None:
        outcome = await self._backend.ask(visit.ask)
        if isinstance(outcome, Accepted | Refused):
            said = Said(
                shard=visit.ask.shard,
                kind=visit.ask.kind,
                key=visit.ask.key,
                message=visit.message,
                answer=outcome,
            )
            self._shared.witness.said(self._name, said)
        if not self._shared.weather.strikes(Fault.CLIENT_UNHEARD):
            visit.outcome = outcome
            visit.is_done.set()

    async def _show(self, listening: Listening) -> None:
        with self._backend.listening(listening.person, listening.cursor) as shown:
            async for number, message in shown:
                if listening.has_left:
                    return
                listening.take(number, message)


class Node:
    """A machine of the cluster: its clock, and the process that runs on it now, if any."""

    def __init__(self, name: NodeId, shared: Shared) -> None:
        """Be down."""
        self.name = name
        self.life: Life | None = None
        self.skew_s = 0.0
        self._shared = shared
        self._dead: list[Life] = []

    def wall(self) -> Instant:
        """Return what the clock on the wall of this machine says."""
        return Instant(DAWN + round((trio.current_time() + self.skew_s) * 1000))

    def start(self) -> None:
        """Start a process, unless one runs."""
        if self.life is None:
            self._shared.witness.note(f"{self.name} starts")
            life = Life(self.name, self._shared, self.wall())
            life.journal.dies = lambda fault: self._die(life, fault)
            self.life = life
            life.process.spawn(self._shared.nursery, lambda: self._run(life))

    def kill(self) -> None:
        """End the process as `kill -9` does; another is started after a while."""
        if self.life is not None:
            self._shared.witness.note(f"{self.name} is killed")
            self.life.process.kill()
            self._bury()

    def leave(self) -> None:
        """End the process in order, as for a new version; another is started after a while."""
        if self.life is not None:
            self._shared.witness.note(f"{self.name} leaves")
            self.life.process.spawn(self._shared.nursery, self.life.leave)

    def lose_session(self) -> None:
        """Have the leases take the node for dead while it lives, and learn of it late."""
        if self.life is not None:
            self._shared.witness.excused(self.name)
            self.life.leases.cut()

    def unwind(self) -> None:
        """Let the tasks of all processes end, when the run is over."""
        for life in (*self._dead, *([self.life] if self.life else [])):
            life.process.unwind()

    async def _run(self, life: Life) -> None:
        await life.run()
        if life is self.life:
            self._bury()

    def _die(self, life: Life, fault: Fault) -> None:
        if life is self.life:
            self._shared.weather.counts[fault] += 1
            self.kill()

    def _bury(self) -> None:
        """Have the others see the process gone, and a new one started."""
        life, self.life = self.life, None
        assert life is not None
        life.ended.set()
        life.leases.close()
        self._shared.witness.excused(self.name)
        self._dead.append(life)
        self._shared.network.start(self._start_again)

    async def _start_again(self) -> None:
        await trio.sleep(self._shared.weather.uniform(*RESTART_S))
        self.start()
