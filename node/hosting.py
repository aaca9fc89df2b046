"""One shard of a market while this node has it: its actors, its rounds, its connections.

`Hosting.host` is what the keeper of the leases runs for each tenancy. It opens the shard, makes it
known to its neighbours and to the relay, begins its rounds, and, when the tenancy is to stop, lets
the shard work off and commit what waits. It ends with `LeaseLost` when another node has taken the
shard, and drops everything where it stands when the keeper cuts it off at the fence.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio
from msgspec import Struct

from actors.courier import courier_kind
from actors.directory import Neighbours
from actors.failures import NodeFailed
from actors.kind import AnyKind
from actors.life import Ports
from actors.limits import Limits
from actors.offer import offer_kind
from actors.order import order_kind
from actors.ports import Clock, Feeds, Journal, Relay, Services
from actors.restaurant import restaurant_kind
from actors.round import round_kind
from actors.shard import LIMITS, Shard
from actors.supervision import keep_running
from actors.surge import surge_kind
from dispatch.ids import CourierId, Instant, MarketId, ShardId
from dispatch.journal import LeaseLost
from dispatch.matching.solvers import SOLVERS
from dispatch.matching.survey import Sightings
from dispatch.policy import DEFAULT_SOLVER, Policy
from dispatch.round import Begin
from geo.point import Point
from geo.travel import Ways
from geo.zone import Outline
from node.solver import Desk, Inline, RoundTaken
from node.tenancy import Tenancy
from node.ways import PresentWays
from node.worker import Window, Worker
from streets.soon import opened_soon
from streets.travel import opened

SOLVER_SHARE = 0.75
"""Of a round's time, what its solver has; the rest is for a plain plan, if no answer came."""


class Market(Struct, frozen=True, kw_only=True):
    """A city run as one: by which policy, with which travel times, planned by which solver."""

    market_id: MarketId
    policy: Policy
    travel: Ways
    solver: str = DEFAULT_SOLVER
    learns_pace: bool = False
    """Whether couriers' own legs teach how long ways take."""
    timezone: str = ""
    """Whose hours of day are told apart in that; without one, those of UTC."""


def kinds(policy: Policy) -> tuple[AnyKind, ...]:
    """Return every kind of actor a market has, deciding by `policy`."""
    return (
        order_kind(policy),
        offer_kind(policy),
        courier_kind(policy),
        restaurant_kind(policy),
        round_kind(policy),
        surge_kind(policy),
    )


def desk_of(
    market: Market,
    clock: Clock,
    sightings: Callable[[], Sightings] = dict[CourierId, Point],
    watch: Callable[[RoundTaken], None] = lambda _round: None,
    closed: Callable[[], Sequence[Outline]] = tuple[Outline, ...],
    *,
    waits: bool = True,
) -> Desk:
    """Return the desk at which this market's rounds are solved.

    A simulation `waits` for streets to be opened; a node goes by a straight line until they are.
    """
    assert market.solver in SOLVERS, market.solver
    find = opened if waits else opened_soon
    return Desk(
        clock=clock,
        policy=market.policy,
        travel=market.travel,
        solver=market.solver,
        sightings=sightings,
        watch=watch,
        present=PresentWays(
            usual=market.travel,
            learns=market.learns_pace,
            timezone=market.timezone,
            opened=find,
        ),
        opened=find,
        closed=closed,
    )


def solving(market: Market, desk: Desk, worker: Worker | None) -> Services:
    """Return the service that solves the market's rounds: a worker's, or this process itself."""
    if worker is None:
        return Inline(desk)
    return Window(worker, desk, SOLVER_SHARE * market.policy.round_timeout_s)


async def kept(shard: Shard, clock: Clock) -> None:
    """Keep the shard running until it is stopped; raise LeaseLost when another node takes it."""
    await keep_running([shard], clock)
    if not shard.is_stopped:
        raise LeaseLost(f"another node owns shard {shard.id}")


class Attachments(Relay, Protocol):
    """A relay to shards of other nodes, and what receives for those of this one."""

    def open(self, shard: Shard) -> None:
        """Bring the shard what comes for it from other nodes."""
        ...

    def close(self, shard: Shard) -> None:
        """Bring it nothing more."""
        ...


type Attend = Callable[[Shard, Tenancy], Awaitable[None]]
"""Runs beside a hosted shard until it is cancelled."""

type Serve = Callable[[Shard, Services], Services]
"""Return the services of a shard, of which one is the solver that is handed in."""


type Follow = Callable[[ShardId, PresentWays], None]
"""Hears how the couriers of a shard that opens get about."""

type Listen = Callable[[Market, ShardId, Feeds | None], Feeds | None]
"""Return the feeds of a market's shard, with whoever listens to what is committed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """What all shards of one node share."""

    clock: Clock
    journal: Journal
    markets: Callable[[ShardId], Market | None]
    neighbours: Neighbours
    relay: Attachments | None = None
    feeds: Feeds | None = None
    worker: Worker | None = None
    until_s: Callable[[Instant], float] | None = None
    sightings: Callable[[ShardId], Sightings] = lambda _shard: {}
    closed: Callable[[MarketId], Sequence[Outline]] = lambda _market: ()
    """The areas of a market whose streets nobody gets through now."""
    serve: Serve = lambda _shard, solver: solver
    attend: Attend | None = None
    listen: Listen = lambda _market, _shard, feeds: feeds
    follow: Follow = lambda _shard, _present: None
    limits: Limits = LIMITS
    extra_kinds: tuple[AnyKind, ...] = ()
    """Kinds that only a simulation has, beside those of a market."""
    shards: dict[ShardId, Shard] = field(default_factory=dict[ShardId, Shard])
    """The shards that are hosted now, open or opening."""

    async def host(self, tenancy: Tenancy) -> None:
        """Run the shard until its tenancy stops or is lost; raises LeaseLost, NodeFailed."""
        market = self.markets(tenancy.shard)
        if market is None:
            raise LeaseLost(f"no market is known to have shard {tenancy.shard}")
        shard = self._shard(market, tenancy)
        self._join(shard)
        try:
            await self._run(shard, market, tenancy)
        finally:
            self._leave(shard)

    def statistics(self) -> Mapping[ShardId, object]:
        """Return how each hosted shard stands."""
        return {number: shard.statistics() for number, shard in self.shards.items()}

    def _shard(self, market: Market, tenancy: Tenancy) -> Shard:
        desk = desk_of(
            market,
            self.clock,
            lambda: self.sightings(tenancy.shard),
            closed=lambda: self.closed(market.market_id),
            waits=self.worker is None,
        )
        solver = Serving(solving(market, desk, self.worker))
        ports = Ports(
            journal=self.journal,
            clock=self.clock,
            until_s=self.until_s,
            services=solver,
            feeds=self.listen(market, tenancy.shard, self.feeds),
            relay=self.relay,
            fence=tenancy.check,
        )
        shard = Shard(tenancy.shard, (*kinds(market.policy), *self.extra_kinds), ports, self.limits)
        desk.attend(shard)
        if desk.present is not None:
            self.follow(tenancy.shard, desk.present)
        solver.services = self.serve(shard, solver.services)
        return shard

    async def _run(self, shard: Shard, market: Market, tenancy: Tenancy) -> None:
        ended_by: LeaseLost | NodeFailed | None = None

        async def keep() -> None:
            nonlocal ended_by
            try:
                await kept(shard, self.clock)
            except (LeaseLost, NodeFailed) as error:
                ended_by = error
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep)
            await self._begin(shard, market)
            if self.attend is not None:
                nursery.start_soon(self.attend, shard, tenancy)
            await tenancy.stopping.wait()
            shard.stop()
            await trio.sleep_forever()
        if ended_by is not None:
            raise ended_by

    async def _begin(self, shard: Shard, market: Market) -> None:
        """Have letters come and rounds run; rounds go on counting where they were."""
        await shard.opening()
        if self.relay is not None:
            self.relay.open(shard)  # No sooner: a letter that finds nobody is late.
        shard.tell("round", market.market_id, Begin(market.market_id, self.clock()))

    def _join(self, shard: Shard) -> None:
        self.shards[shard.id] = shard
        self.neighbours.join(shard)

    def _leave(self, shard: Shard) -> None:
        if self.relay is not None:
            self.relay.close(shard)
        self.neighbours.leave(shard)
        del self.shards[shard.id]


@dataclass(slots=True)
class Serving:
    """The services of a shard that is being made: they need the shard, and the shard needs them."""

    services: Services

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Hand the work on."""
        self.services.submit(service, sequence, key, message)
