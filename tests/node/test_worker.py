"""The solver's process fails in every way there is, and the round is planned all the same."""

import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from msgspec import Struct

from dispatch.courier import RouteChanged, StartShift
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId
from dispatch.matching.demand import Demand
from dispatch.matching.plan import Plan
from dispatch.matching.solving import Answer
from dispatch.matching.survey import Sightings
from dispatch.order import Accept, Place
from dispatch.policy import Policy
from dispatch.restaurant import Open
from dispatch.round import Solve, Solved, Unsolved
from dispatch.step import Tell
from geo.point import Point
from geo.travel import StraightLine
from node.hosting import Market
from node.solver import DOUBTS_MAX, Desk, RoundTaken
from node.wiring import Composition, composed
from node.worker import NoWorker, Window, Worker
from tests.dispatch.builders import COURIER, NOW, ORDER, a_courier, a_restaurant, an_order

MARKET = Market(
    market_id=MarketId("m"),
    policy=Policy(round_s=0.2, round_timeout_s=30.0, offer_s=0.0),
    travel=StraightLine(speed_mps=5.0),
)

PROCESS = """
import sys, time

def read():
    length = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(int.from_bytes(length)) if length else sys.exit()

def say(said):
    sys.stdout.buffer.write(len(said).to_bytes(4) + said)
    sys.stdout.buffer.flush()

hasty = bytes.fromhex(sys.argv[1])
"""
"""A process that speaks as a solver does, and can be told how to fail."""

IS_WARM = PROCESS + "read(); say(b''); read()\n"


class _Shard:
    """A shard with one order that is ready and one courier, who notes what is settled."""

    def __init__(self) -> None:
        self._states = {
            "order": {ORDER: an_order(Accept(NOW))},
            "courier": {COURIER: a_courier()},
            "restaurant": {"rst_1": a_restaurant()},
        }
        self.answers = list[Solved | Unsolved]()
        self._settled = trio.Event()

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over the states of a kind."""
        return iter(self._states[kind].items())

    def settle(self, sequence: int, tell: Tell | None = None) -> None:
        """Note an answer to a round."""
        assert sequence == 1
        assert tell is not None
        assert isinstance(tell.message, Solved | Unsolved)
        self.answers.append(tell.message)
        self._settled.set()

    async def next_answer(self) -> Solved | Unsolved:
        """Return the answer that is settled next."""
        await self._settled.wait()
        self._settled = trio.Event()
        return self.answers[-1]


class _Bureau:
    """A market whose rounds are asked for by hand, at a worker with that command."""

    def __init__(self, script: str, timeout_s: float, *said: Answer) -> None:
        hasty = b"".join(map(msgspec.msgpack.encode, said)).hex()
        self.worker = Worker((sys.executable, "-c", script, hasty))
        self.shard = _Shard()
        self.desk = _desk(self.shard)
        self._window = Window(self.worker, self.desk, timeout_s)

    async def round(self, number: int = 1) -> Solved | Unsolved:
        """Ask for a round and return what comes of it."""
        solve = msgspec.msgpack.encode(Solve(MarketId("m"), number))
        self._window.submit("solver", 1, "m", solve)
        return await self.shard.next_answer()


def _desk(shard: _Shard, sightings: Sightings | None = None) -> Desk:
    desk = Desk(
        clock=lambda: NOW,
        policy=MARKET.policy,
        travel=MARKET.travel,
        solver="insert",
        sightings=lambda: sightings or {},
    )
    desk.attend(shard)
    return desk


@asynccontextmanager
async def _bureau(script: str, *said: Answer, timeout_s: float = 20.0) -> AsyncGenerator[_Bureau]:
    bureau = _Bureau(script, timeout_s, *said)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bureau.worker.run)
            yield bureau
            nursery.cancel_scope.cancel()


def _an_answer(number: int = 1, cost_s: float = 123.0) -> Answer:
    return Answer(solved=Solved(number=number, cost_s=cost_s), plan=Plan(), demand=Demand())


def _sends(solved: Solved | Unsolved) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Return who is sent for what."""
    assert isinstance(solved, Solved), solved
    return [(one.courier_id, one.sequence) for one in solved.dispatches]


@pytest.mark.parametrize(
    ("failure", "reason", "timeout_s"),
    [
        ("sys.exit(1)", "it has died", 20.0),
        ("say(b'\\xc1'); say(b'\\xc1'); read()", "it says nonsense", 20.0),
        ("sys.stdout.buffer.write(b'\\xff' * 9); sys.stdout.flush(); read()", "answered 42949", 20),
        ("time.sleep(60)", "it was late", 1.0),
    ],
)
async def test_a_round_whose_solver_fails_without_a_word_has_a_plain_plan(
    failure: str, reason: str, timeout_s: float
) -> None:
    async with _bureau(IS_WARM + failure, timeout_s=timeout_s) as bureau:
        await bureau.worker.ready.wait()
        solved = await bureau.round()

    assert _sends(solved) == [(COURIER, (ORDER,))]
    assert isinstance(solved, Solved)
    assert reason in solved.cut


@pytest.mark.parametrize(
    ("failure", "reason", "timeout_s"),
    [
        ("sys.exit(1)", "it has died", 20.0),
        ("say(b'nonsense'); read()", "it says nonsense", 20.0),
        ("time.sleep(60)", "it was late", 1.0),
    ],
)
async def test_a_round_whose_solver_fails_after_a_hasty_answer_has_that_one(
    failure: str, reason: str, timeout_s: float
) -> None:
    script = IS_WARM + "say(hasty)\n" + failure
    async with _bureau(script, _an_answer(cost_s=123.0), timeout_s=timeout_s) as bureau:
        await bureau.worker.ready.wait()
        solved = await bureau.round()

    assert isinstance(solved, Solved)
    assert solved.cost_s == 123.0
    assert reason in solved.cut


async def test_an_answer_to_another_round_is_not_taken_for_one_to_this() -> None:
    script = IS_WARM + "say(hasty); say(hasty); read()"
    async with _bureau(script, _an_answer(number=7)) as bureau:
        await bureau.worker.ready.wait()
        solved = await bureau.round()

    assert _sends(solved) == [(COURIER, (ORDER,))]
    assert isinstance(solved, Solved)
    assert "it answered round 7" in solved.cut


async def test_a_round_that_no_process_begins_with_has_a_plain_plan_halfway_to_its_deadline() -> (
    None
):
    async with _bureau(PROCESS + "time.sleep(60)", timeout_s=0.2) as bureau:
        began = trio.current_time()
        solved = await bureau.round()
        waited_s = trio.current_time() - began

    assert waited_s >= 0.1
    assert _sends(solved) == [(COURIER, (ORDER,))]
    assert isinstance(solved, Solved)
    assert solved.cut == "no solver was ready in time"


async def test_each_round_is_planned_though_each_process_dies_of_it() -> None:
    async with _bureau(IS_WARM + "sys.exit(1)") as bureau:
        answers = [await bureau.round(number) for number in (1, 2, 3)]
        starts = bureau.worker.starts

    assert [_sends(solved) for solved in answers] == [[(COURIER, (ORDER,))]] * 3
    assert starts >= 3


async def test_a_solver_that_never_comes_up_ends_the_node_with_a_word_on_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("node.worker.BACKOFF_S", 0.0)
    worker = Worker((sys.executable, "-c", "pass"))

    with trio.fail_after(30), pytest.RaisesGroup(pytest.RaisesExc(NoWorker, match="by hand")):
        await worker.run()

    assert worker.starts == 5


async def test_a_round_that_is_too_much_for_plain_code_too_is_given_up_and_the_node_goes_on() -> (
    None
):
    async with _bureau(PROCESS + "time.sleep(60)", timeout_s=0.02) as bureau:
        bureau.desk.sightings = _nothing_is_known_here
        missed = await bureau.round(1)
        bureau.desk.sightings = dict[CourierId, Point]
        solved = await bureau.round(2)

    assert isinstance(missed, Unsolved)
    assert "a plain plan failed as well: KeyError('nowhere')" in missed.reason
    assert _sends(solved) == [(COURIER, (ORDER,))]


async def test_a_market_that_cannot_be_surveyed_costs_its_round_and_not_the_process() -> None:
    script = IS_WARM + "say(hasty); say(hasty); read()"
    async with _bureau(script, _an_answer(number=2)) as bureau:
        await bureau.worker.ready.wait()
        bureau.desk.sightings = _nothing_is_known_here
        missed = await bureau.round(1)
        bureau.desk.sightings = dict[CourierId, Point]
        solved = await bureau.round(2)

    assert missed == Unsolved(1, "nothing could be asked: KeyError('nowhere')")
    assert solved == _an_answer(number=2).solved
    assert bureau.worker.starts == 1


def _nothing_is_known_here() -> Sightings:
    raise KeyError("nowhere")


def test_a_round_without_a_plan_leaves_the_last_one_to_the_next() -> None:
    desk = _desk(shard := _Shard())
    solve = Solve(MarketId("m"), 2)
    kept = Plan(cost_s=77.0)
    desk.hand_in(1, solve, Answer(solved=Solved(number=1), plan=kept, demand=Demand()), 1.0)

    desk.give_up(1, solve, "no time")

    assert shard.answers[-1] == Unsolved(2, "no time")
    assert desk.request(solve).kept == kept


def test_a_plan_that_solvers_keep_failing_at_is_forgotten_until_one_answers() -> None:
    desk = _desk(_Shard())
    solve = Solve(MarketId("m"), 1)
    cut = Answer(solved=Solved(number=1, cut="it died"), plan=Plan(), demand=Demand())

    kept = list[Plan | None]()
    for _ in range(DOUBTS_MAX):
        desk.doubt(solve)
        desk.hand_in(1, solve, cut, 1.0)
        kept.append(desk.request(solve).kept)
    desk.hand_in(1, solve, _an_answer(), 1.0)
    kept.append(desk.request(solve).kept)

    assert kept == [Plan()] * (DOUBTS_MAX - 1) + [None, Plan()]


def _now() -> Instant:
    return Instant(1_800_000_000_000 + round(trio.current_time() * 1000))


async def _open(market: Composition) -> None:
    opening = Open(restaurant_id=RestaurantId("rst"), point=Point(0.0, 0.0), auto_accepts=False)
    await market.shard.ask("restaurant", "rst", opening, 5.0)


async def _courier(market: Composition, courier: str) -> None:
    shift = StartShift(
        courier_id=CourierId(courier),
        market_id=MarketId("m"),
        point=Point(10.0, 0.0),
        ends_at=Instant(_now() + 3_600_000),
        load_max=6,
    )
    await market.shard.ask("courier", courier, shift, 5.0)


async def _order(market: Composition, order: str) -> None:
    place = Place(
        order_id=OrderId(order),
        market_id=MarketId("m"),
        customer_id=CustomerId("usr"),
        restaurant_id=RestaurantId("rst"),
        pickup=Point(0.0, 0.0),
        dropoff=Point(500.0, 0.0),
    )
    await market.shard.ask("order", order, place, 5.0)
    await market.shard.ask("order", order, Accept(_now()), 5.0)


@pytest.mark.slow
async def test_orders_move_though_the_solvers_process_is_killed_and_the_next_one_stopped() -> None:
    cuts = set[str]()
    replaced = trio.Event()
    policy = MARKET.policy.evolve(round_timeout_s=2.0)

    def watch(taken: RoundTaken) -> None:
        cuts.add(taken.cut)
        if not taken.cut and market.worker is not None and market.worker.starts == 2:
            replaced.set()

    with trio.fail_after(120):
        async with composed(
            msgspec.structs.replace(MARKET, policy=policy), _now, watch=watch, in_process=False
        ) as market:
            assert market.worker is not None
            await market.worker.ready.wait()
            await _open(market)
            market.begin(_now())

            _send(market.worker, signal.SIGKILL)
            await _is_sent(market, "crr_1", "ord_1")
            await replaced.wait()
            _send(market.worker, signal.SIGSTOP)
            await _is_sent(market, "crr_2", "ord_2")
            market.check_health()

    assert any("it has died" in cut or "no solver was ready" in cut for cut in cuts)
    assert any("it was late" in cut for cut in cuts)


def _send(worker: Worker, number: signal.Signals) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, number)


async def _is_sent(market: Composition, courier: str, order: str) -> None:
    """Have a courier and an order come, and wait until he is sent for it."""
    sent = trio.Event()

    def hear(message: Struct) -> None:
        if isinstance(message, RouteChanged) and message.stops:
            sent.set()

    market.listen(courier, hear)
    await _courier(market, courier)
    await _order(market, order)
    await sent.wait()
