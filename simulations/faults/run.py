"""One seed from its first fault to its last order, and many seeds one after another.

The safety phase: everything may fail, by the plan of the seed, and each invariant is asked after
each step. Then the faults stop. The liveness phase: whatever was begun comes to its end in time, or
that is what is broken.
"""

import traceback
from collections.abc import Iterator
from random import Random

import trio
import trio.testing
from msgspec import Struct

from actors.failures import ActorFailed, ActorGone, ShardFailed
from dispatch.ids import ShardId
from dispatch.journal import JournalUnreachable, LeaseLost
from dispatch.kitchen import FINISHED
from dispatch.lease import LeasesUnreachable, NodeId
from dispatch.order import Order
from dispatch.policy import Policy
from geo.travel import StraightLine
from node.hosting import Market
from simulations.faults.cluster import Node, Shared
from simulations.faults.journal import Guard
from simulations.faults.network import Wire
from simulations.faults.plan import Blow, Fault, Plan, Weather, planned
from simulations.faults.process import Holding, Process
from simulations.faults.town import PACE, Spec, Town, market_id
from simulations.faults.witness import Broken, Witness
from simulations.world import deterministic

NODES = tuple(NodeId(f"node-{letter}") for letter in "abc")
POLICY = Policy(
    round_s=8.0,
    round_timeout_s=4.0,
    offer_s=15.0,
    accept_s=60.0,
    prep_default_s=40.0,
    pickup_s=4.0,
    dropoff_s=4.0,
    give_up_s=240.0,
)
CALM_S = 900.0
"""Time in which all that was begun has to end, once nothing fails any more."""
LOOK_S = 2.0
SEEN_CHARS_MAX = 4_000
UNEXPECTED = (
    ActorFailed,
    ActorGone,
    ArithmeticError,
    AssertionError,
    AttributeError,
    JournalUnreachable,
    LeaseLost,
    LeasesUnreachable,
    LookupError,
    RuntimeError,
    ShardFailed,
    TypeError,
    ValueError,
    trio.TooSlowError,
)
"""What a node may raise only by a fault of the program."""


class Result(Struct, frozen=True, kw_only=True):
    """How a seed went. `broken` is None when everything held."""

    seed: int
    broken: Broken | None
    trace: tuple[str, ...]
    steps: int
    faults: dict[Fault, int]
    virtual_s: float
    digest: str


def run_seed(seed: int, without: Guard | None = None, spec: Spec | None = None) -> Result:
    """Run one seed to its end, or to the first invariant that is broken."""
    run = _Run(seed, spec or Spec(), without)
    clock = trio.testing.MockClock(autojump_threshold=0)
    try:
        with deterministic(seed):
            trio.run(run.run, clock=clock, instruments=[Holding()])
    except* UNEXPECTED as errors:
        run.fail(errors)
    assert run.result is not None
    return run.result


class _Run:
    """A seed under way."""

    def __init__(self, seed: int, spec: Spec, without: Guard | None) -> None:
        self.result: Result | None = None
        self._seed, self._spec, self._without = seed, spec, without
        chance = Random(f"faults:{seed}")
        self._plan: Plan = planned(Random(chance.random()), NODES, spec.span_s)
        self._weather = Weather(Random(chance.random()), dict(self._plan.shares))
        self._witness = Witness()
        self._chance = chance

    async def run(self) -> None:
        """Run both phases, and unwind what is left."""
        async with trio.open_nursery() as nursery:
            self._build(nursery)
            try:
                nursery.start_soon(self._both_phases)
                await self._witness.is_over.wait()
                self.result = self._result(self._witness.broken)
            finally:
                for node in self._nodes:
                    node.unwind()
                nursery.cancel_scope.cancel()

    def fail(self, errors: BaseExceptionGroup[BaseException]) -> None:
        """Take what a node raised as broken, unless the run was over by then."""
        told = "".join(traceback.format_exception(errors))[-SEEN_CHARS_MAX:]
        claim = "No node raises what nobody expects"
        broken = Broken(invariant=claim, seen=told, at_s=self._witness.at_s)
        self.result = self.result or self._result(broken)

    def _build(self, nursery: trio.Nursery) -> None:
        shards = [ShardId(number) for number in range(1, self._spec.shards + 1)]
        markets = {shard: _market(shard) for shard in shards}
        self._shared = Shared(nursery, self._weather, self._witness, markets, self._without)
        self._nodes = [Node(name, self._shared) for name in NODES]
        chance = Random(self._chance.random())
        start = self._shared.network.start
        self._town = Town(self._spec, self._nodes, self._witness, start, chance)

    async def _both_phases(self) -> None:
        for node in self._nodes:
            node.start()
        self._town.populate()
        for blow in self._plan.blows:
            await trio.sleep_until(blow.at_s)
            self._strike(blow)
        await trio.sleep_until(self._spec.span_s)
        self._calm()
        await self._settled()
        self._witness.ended(self._unsettled())
        self._witness.look_back()
        self._witness.is_over.set()

    def _strike(self, blow: Blow) -> None:
        self._witness.note(f"{blow.fault} strikes {blow.node} for {blow.lasts_s:.1f} s")
        node = next(node for node in self._nodes if node.name == blow.node)
        network, life = self._shared.network, node.life
        if life is None and blow.fault in _OF_PROCESSES:
            return
        match blow.fault:
            case Fault.CRASH_BEFORE_COMMIT | Fault.CRASH_AFTER_COMMIT if life is not None:
                life.journal.crashes_at = blow.fault
                return  # Counted when it dies.
            case Fault.STALL if life is not None:
                network.start(lambda: _stall(life.process, blow.lasts_s))
            case Fault.CRASH:
                node.kill()
            case Fault.LEAVE:
                node.leave()
            case Fault.CLOCK_JUMP:
                node.skew_s += blow.jump_s
            case Fault.SESSION_LOST:
                node.lose_session()
            case Fault.JOURNAL_AWAY:
                network.start(lambda: network.take_away(Wire.JOURNAL, blow.lasts_s))
            case Fault.BUS_WIPED:
                self._shared.bus.wipe()
            case _:
                wire = _WIRES[blow.fault]
                network.start(lambda: network.cut(blow.node, wire, blow.lasts_s))
        self._weather.counts[blow.fault] += 1

    def _calm(self) -> None:
        """Let nothing fail any more."""
        self._witness.note("calm")
        self._weather.clear_up()
        self._town.is_calm = True
        for node in self._nodes:
            node.skew_s = 0.0
            if node.life is not None:
                node.life.journal.crashes_at = None

    async def _settled(self) -> None:
        with trio.move_on_after(CALM_S):
            while any(True for _ in self._unsettled()):  # noqa: ASYNC110 - many things, no one event.
                await trio.sleep(LOOK_S)

    def _unsettled(self) -> Iterator[tuple[str, str]]:
        """Yield what has not come to its end, each under the sentence that says it should."""
        chronicle = self._witness.chronicle
        if self._town.waiting:
            yield "Every client is answered", "; ".join(self._town.waiting.values())
        for (_, _, key), order in chronicle.every(Order):
            if order.status not in FINISHED:
                yield "Every order comes to its end", f"{key} is {order.status}: {order}"
        for (shard, sequence), row in chronicle.outbox.items():
            if not row.kind.startswith("service:"):
                yield "Every outbox is emptied", f"row {sequence} of shard {shard}: {row}"
        if chronicle.held != chronicle.minted:
            told = f"{chronicle.held} held, {chronicle.minted} minted"
            yield "All tokens arrive", told
        for lease in self._shared.leases.view().leases:
            if lease.node is None or lease.left_s <= 0:
                yield "Every shard is owned", f"nobody has shard {lease.shard}"

    def _result(self, broken: Broken | None) -> Result:
        return Result(
            seed=self._seed,
            broken=broken,
            trace=tuple(self._witness.trace),
            steps=self._witness.steps,
            faults=dict(sorted(self._weather.counts.items())),
            virtual_s=self._witness.at_s,
            digest=self._witness.digest,
        )


async def _stall(process: Process, lasts_s: float) -> None:
    process.stop()
    await trio.sleep(lasts_s)
    process.resume()


_OF_PROCESSES = frozenset(
    {
        Fault.CRASH,
        Fault.CRASH_BEFORE_COMMIT,
        Fault.CRASH_AFTER_COMMIT,
        Fault.LEAVE,
        Fault.STALL,
        Fault.SESSION_LOST,
    }
)
_WIRES = {
    Fault.LEASES_CUT: Wire.LEASES,
    Fault.JOURNAL_CUT: Wire.JOURNAL,
    Fault.BUS_CUT: Wire.BUS,
}


def _market(shard: ShardId) -> Market:
    return Market(
        market_id=market_id(shard),
        policy=POLICY,
        travel=StraightLine(speed_mps=PACE.speed_mps),
        solver="nearest",
    )
