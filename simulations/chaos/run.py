"""One chaos run: servers, nodes, a crowd, blows, and in the end the comparison.

The clients place orders at a steady rate while nodes and servers are struck; then nothing more is
begun, everything has to come to its end, and what the clients were told is held against the
database. Takeovers are timed from the blow to the first commit of each shard's next owner, and
planned hand-overs from the last commit of the one owner to the first of the next. Where the
database has a standby, the first blow is the loss of its primary, and all others come on top of it.
"""

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles

import trio
from msgspec import Struct, structs

from dispatch.ids import MarketId, ShardId
from dispatch.lease import NodeId
from dispatch.policy import DEFAULT_SOLVER, Policy
from dispatch.restaurant import MarkAvailable, MarkSoldOut
from geo.point import LatLng
from node.atlas import Settings, a_market
from node.clock import steady_s
from node.cluster import ClusterClient
from node.config import Config
from node.embedded import Servers
from node.fleet import Fleet, Member
from node.stores import Stores, stored
from simulations.chaos.blows import Blow, Harm, blows
from simulations.chaos.crowd import Crowd, Size
from simulations.chaos.pair import Pair
from simulations.chaos.record import Record
from simulations.chaos.verdict import Court, History, Verdict
from simulations.chaos.vigil import Vigil
from storage import audit, markets
from storage.bridge import bridged
from storage.database import Database, DatabaseUnreachable

POLICY = Policy(
    round_s=1.0,
    round_timeout_s=3.0,
    offer_s=4.0,
    accept_s=30.0,
    give_up_s=60.0,
    prep_default_s=2.0,
    pickup_s=0.0,
    dropoff_s=0.0,
    quiet_s=36_000.0,
)
"""Everything happens within seconds here, so that many orders come to their end in a run."""
STALL_S = 10.0
HEAL_S_MAX = 30.0
CALM_S_MAX = 120.0
"""Time in which everything has to come to its end once nothing is struck any more."""
PROBE_S = 0.01
PROBES_S = 0.3
"""Time in which there comes to be much to commit, before a blow."""
ASK_AGAIN_S = 0.1
MEET_S = 0.5
SETTLE_S = 3.0
"""Time in which the last messages of every feed reach their devices."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a run is to be."""

    nodes: int = 3
    rate_s: float = 50.0
    seconds: float = 120.0
    shards: int = 6
    blow_s: float = 3.0
    """Time between two blows, if the first is healed by then."""
    harm: Harm = Harm()
    size: Size = Size()
    seed: int = 1


class Times(Struct, frozen=True, kw_only=True):
    """How long something took, in seconds, over so many shards."""

    count: int
    p50: float
    max: float


class Report(Struct, frozen=True, kw_only=True):
    """What came of a run. `deposed_tries` is how often a deposed primary was asked to commit."""

    orders: int
    acknowledged: int
    heard: int
    lost: int
    doubled: int
    two_couriers: int
    takeover_s: Times | None
    stalled_takeover_s: Times | None
    handover_s: Times | None
    outage_s: Times | None
    failover_s: Times | None
    deposed_tries: int
    kills: Mapping[str, int]
    ask_ms: Mapping[str, float]
    invariants_broken: Sequence[str]
    examples: Sequence[str]


@dataclass(slots=True)
class Timing:
    """What was timed, by the sort of blow."""

    took_s: dict[Blow, list[float]] = field(
        default_factory=lambda: defaultdict[Blow, list[float]](list)
    )
    dealt: Counter[str] = field(default_factory=Counter[str])

    def of(self, *sorts: Blow) -> Times | None:
        """Return the times of some sorts of blows together."""
        took_s = sorted(second for blow in sorts for second in self.took_s[blow])
        if not took_s:
            return None
        return Times(
            count=len(took_s),
            p50=round(took_s[len(took_s) // 2], 3),
            max=round(took_s[-1], 3),
        )


type Tell = Callable[[str], None]


async def run(
    config: Config, servers: Servers, plan: Plan, tell: Tell, pair: Pair | None = None
) -> Report:
    """Run on servers that are embedded, since they are killed too."""
    async with stored(config) as stores, bridged() as bridge:
        assert config.database_url is not None
        watched = Database(bridge, config.database_url)
        places = await _marketed(stores, plan)
        fleet = Fleet(config, plan.nodes, tell)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fleet.run)
            await fleet.ready()
            scene = _Scene(config, servers, plan, fleet, Vigil(watched), stores, tell, pair)
            report = await scene.play(places)
            fleet.leave()
        await watched.close()
    return report


async def _sure[T](ask: Callable[[Database], Awaitable[T]], database: Database) -> T:
    """Ask the database until it answers: the last blow may not have healed yet."""
    while True:
        with suppress(DatabaseUnreachable):
            return await ask(database)
        await trio.sleep(ASK_AGAIN_S)


async def _marketed(stores: Stores, plan: Plan) -> Mapping[ShardId, MarketId]:
    """Have some cities, far apart from each other."""
    settings = Settings(centre=LatLng(0, 0), speed_mps=60.0, policy=POLICY, solver=DEFAULT_SOLVER)
    rows: list[markets.MarketRow] = []
    for number in range(plan.shards):
        centre = LatLng(45.0 + 2 * (number // 4), 2.0 + 3 * (number % 4))
        here = structs.replace(settings, centre=centre)
        rows.append(a_market(f"chaos-{number}", here, rows))
        await markets.save(stores.database, rows[-1])
    return {row.shard: row.market_id for row in rows}


def _deposed_deeds(pair: Pair | None) -> Sequence[str]:
    """Return what a deposed primary did that it must not."""
    if pair is None or not pair.deposed_commits:
        return ()
    return (f"the deposed primary committed {pair.deposed_commits} of {pair.deposed_tries} times",)


class _Scene:
    """The run itself."""

    def __init__(
        self,
        config: Config,
        servers: Servers,
        plan: Plan,
        fleet: Fleet,
        vigil: Vigil,
        stores: Stores,
        tell: Tell,
        pair: Pair | None,
    ) -> None:
        self._pair = pair
        self._config, self._servers, self._plan = config, servers, plan
        self._fleet, self._vigil, self._stores, self._tell = fleet, vigil, stores, tell
        self._chance = Random(plan.seed)
        self._timing = Timing()
        self._stalled: set[int] = set()

    async def play(self, places: Mapping[ShardId, MarketId]) -> Report:
        """Let the day happen, then judge it."""
        assert self._config.cluster_secret is not None
        secret = self._config.cluster_secret.encode()
        addresses = [one.announcement.address for one in self._fleet.members if one.announcement]
        async with trio.open_nursery() as nursery:
            client = ClusterClient(nursery, addresses, secret, Random(self._chance.random()))
            crowd = Crowd(nursery, client, places, self._plan.size, Random(self._chance.random()))
            nursery.start_soon(self._vigil.run)
            nursery.start_soon(self._introduce, client)
            self._crowd, self._client = crowd, client
            await crowd.populate()
            self._tell(f"{self._plan.shards} cities are open; striking now")
            orders = await self._strike_while(nursery)
            crowd.is_calm = True
            unfinished = await self._calmed(crowd)
            nursery.cancel_scope.cancel()
        return await self._judged(crowd.record, orders, unfinished)

    async def _introduce(self, client: ClusterClient) -> None:
        """Tell the clients which nodes there are, as a directory of services would."""
        while True:
            members = self._fleet.members
            client.meet([one.announcement.address for one in members if one.announcement])
            await trio.sleep(MEET_S)

    async def _strike_while(self, nursery: trio.Nursery) -> int:
        """Deal blows for as long as orders are placed."""
        orders = 0
        async with trio.open_nursery() as striking:
            striking.start_soon(self._strike, nursery)
            orders = await self._crowd.order(self._plan.rate_s, self._plan.seconds)
            striking.cancel_scope.cancel()
        for pid in tuple(self._stalled):
            self._resume(pid)
        return orders

    async def _strike(self, nursery: trio.Nursery) -> None:
        if self._pair is not None:
            await self._strike_once(Blow.FAIL_OVER, nursery)
        while True:
            for blow in blows(self._plan.harm, self._chance):
                await self._strike_once(blow, nursery)

    async def _strike_once(self, blow: Blow, nursery: trio.Nursery) -> None:
        next_s = trio.current_time() + self._plan.blow_s
        with trio.move_on_after(HEAL_S_MAX) as healing:
            await self._deal(blow, nursery)
        if healing.cancelled_caught:
            self._timing.took_s[blow].append(HEAL_S_MAX)
            self._tell(f"{blow} was not healed within {HEAL_S_MAX:.0f} s")
        await trio.sleep_until(next_s)

    async def _deal(self, blow: Blow, nursery: trio.Nursery) -> None:
        match blow:
            case Blow.KILL_NODE | Blow.STALL | Blow.HAND_OVER:
                await self._strike_node(blow, nursery)
            case Blow.KILL_REDIS:
                await self._strike_server(blow, "valkey")
            case Blow.KILL_POSTGRES:
                await self._strike_server(blow, "postgres")
            case Blow.FAIL_OVER:
                assert self._pair is not None
                await self._fail_over(self._pair, nursery)

    async def _strike_node(self, blow: Blow, nursery: trio.Nursery) -> None:
        await self._fleet.ready(self._plan.nodes - len(self._stalled))
        member, shards = await self._chosen()
        epochs = self._vigil.epochs()
        self._timing.dealt[blow] += 1
        async with trio.open_nursery() as probing:
            for shard in shards:
                probing.start_soon(self._probe, shard)
            await trio.sleep(PROBES_S)
            began_s = steady_s()
            self._hit(blow, member, nursery)
            sights = await self._vigil.taken_over(shards, epochs)
            probing.cancel_scope.cancel()
        is_planned = blow is Blow.HAND_OVER
        took_s = [one.gap_s if is_planned else one.took_over_s - began_s for one in sights.values()]
        self._timing.took_s[blow] += took_s
        self._tell(f"{blow}: {len(shards)} shards, at most {max(took_s, default=0.0):.2f} s")

    def _hit(self, blow: Blow, member: Member, nursery: trio.Nursery) -> None:
        pid = member.process.pid
        match blow:
            case Blow.KILL_NODE:
                os.kill(pid, signal.SIGKILL)
            case Blow.HAND_OVER:
                os.kill(pid, signal.SIGTERM)
            case _:
                os.kill(pid, signal.SIGSTOP)
                self._stalled.add(pid)
                nursery.start_soon(self._resume_later, pid)

    async def _resume_later(self, pid: int) -> None:
        await trio.sleep(STALL_S)
        self._resume(pid)

    def _resume(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self._stalled.discard(pid)

    async def _chosen(self) -> tuple[Member, Collection[ShardId]]:
        """Return a node that has shards, and these."""
        while True:
            shards = await self._owned()
            members = [
                one
                for one in self._fleet.members
                if one.process.pid not in self._stalled and one.announcement
            ]
            having = [
                (one, owned)
                for one in members
                if one.announcement and (owned := shards.get(one.announcement.node))
            ]
            if having:
                return self._chance.choice(having)
            await trio.sleep(0.1)

    async def _owned(self) -> Mapping[NodeId, list[ShardId]]:
        owned: dict[NodeId, list[ShardId]] = defaultdict(list)
        for shard, node in (await _sure(audit.fetch_owners, self._stores.database)).items():
            owned[node].append(shard)
        return owned

    async def _probe(self, shard: ShardId) -> None:
        """Have a restaurant of the shard change all the time, so that there is much to commit."""
        key = f"rst_{self._crowd.market_id(shard)}_0"
        words: Sequence[Struct] = (MarkSoldOut("soup"), MarkAvailable("soup"))
        while True:
            for word in words:
                with suppress(trio.TooSlowError):
                    await self._client.ask(shard, "restaurant", key, word, 5.0)
                await trio.sleep(PROBE_S)

    async def _fail_over(self, pair: Pair, nursery: trio.Nursery) -> None:
        """Kill the primary and promote its standby, which nodes have to find by themselves."""
        self._timing.dealt[Blow.FAIL_OVER] += 1
        async with trio.open_nursery() as probing:
            for shard in self._crowd.shards:
                probing.start_soon(self._probe, shard)
            await trio.sleep(PROBES_S)
            began_s = steady_s()
            os.kill(pair.present.pids()["postgres"], signal.SIGKILL)
            await pair.promote()
            promoted_s = steady_s() - began_s
            nursery.start_soon(pair.tempt)
            await self._vigil.looked()
            await self._vigil.advanced(self._vigil.batches())
            probing.cancel_scope.cancel()
        took_s = steady_s() - began_s
        self._timing.took_s[Blow.FAIL_OVER].append(took_s)
        self._tell(
            f"{Blow.FAIL_OVER}: the standby was promoted after {promoted_s:.2f} s, and every shard"
            f" has committed there after {took_s:.2f} s"
        )

    async def _strike_server(self, blow: Blow, name: str) -> None:
        there = self._pair.present if self._pair and name == "postgres" else self._servers
        pid = there.pids().get(name)
        if pid is None:
            return
        batches = self._vigil.batches()
        self._timing.dealt[blow] += 1
        began_s = steady_s()
        os.kill(pid, signal.SIGKILL)
        await self._vigil.advanced(batches)
        took_s = steady_s() - began_s
        self._timing.took_s[blow].append(took_s)
        self._tell(f"{blow}: every shard has committed again after {took_s:.2f} s")

    async def _calmed(self, crowd: Crowd) -> Sequence[str]:
        """Wait until everything has come to its end; return what has not."""
        self._tell("no more blows; waiting for everything to come to its end")
        ends_s = trio.current_time() + CALM_S_MAX
        while True:
            left = await _sure(audit.fetch_unfinished, self._stores.database)
            outbox = await _sure(audit.outbox_count, self._stores.database)
            if not left and not crowd.unfinished and not outbox:
                await trio.sleep(SETTLE_S)
                return ()
            if trio.current_time() > ends_s:
                break
            await trio.sleep(0.5)
        told = f"{len(left)} orders, {crowd.unfinished} doings, {outbox} tells did not end"
        told += f"; asks open by shard: {dict(crowd.waiting)}"
        return (told, *[f"{order_id} is still {how}" for order_id, how in list(left.items())[:5]])

    async def _judged(self, record: Record, orders: int, unfinished: Sequence[str]) -> Report:
        history, feeds = History(), defaultdict[str, list[audit.FeedMessage]](list)
        async for fact in audit.facts(self._stores.database):
            history.enter(fact)
        async for message in audit.feed_messages(self._stores.database):
            feeds[message.person].append(message)
        letters = await audit.fetch_letters(self._stores.database)
        verdict = Court(record, history, feeds).verdict()
        trouble = (*unfinished, *letters[:5], *_deposed_deeds(self._pair))
        return self._report(record, verdict, orders, trouble)

    def _report(
        self, record: Record, verdict: Verdict, orders: int, trouble: Sequence[str]
    ) -> Report:
        timing = self._timing
        cuts = quantiles(record.ask_ms, n=100) if len(record.ask_ms) > 1 else [0.0] * 99
        return Report(
            orders=orders,
            acknowledged=verdict.acknowledged,
            heard=verdict.heard,
            lost=verdict.lost,
            doubled=verdict.doubled,
            two_couriers=verdict.two_couriers,
            takeover_s=timing.of(Blow.KILL_NODE),
            stalled_takeover_s=timing.of(Blow.STALL),
            handover_s=timing.of(Blow.HAND_OVER),
            outage_s=timing.of(Blow.KILL_POSTGRES, Blow.KILL_REDIS),
            failover_s=timing.of(Blow.FAIL_OVER),
            deposed_tries=self._pair.deposed_tries if self._pair else 0,
            kills=dict(timing.dealt),
            ask_ms={"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)},
            invariants_broken=(*verdict.invariants_broken, *trouble),
            examples=verdict.examples,
        )
