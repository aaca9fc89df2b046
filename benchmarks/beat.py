"""How late the event loop is while rounds are planned beside it: the beat must not stumble.

On one loop: 10,000 pings a second into the position tables of a node, gathered as a node gathers
them, and every two seconds a round of 500 orders and 800 couriers, looked at by the desk that
production uses and solved by a real worker process. A watch sleeps for ten milliseconds again and
again and notes how much later it wakes. The yardstick is the same loop with the same pings and no
rounds, in turns with it, so that both meet the same state of the machine.

The work is fixed by a seed and checked: every ping is accepted, every round is answered by the
solver itself, and none is cut off. What the loop's thread spends on a round, and what is left to
another thread or to the worker, is measured besides, on a market of that size and on a large one.
"""

import gc
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import NamedTuple, TypedDict

import msgspec
import trio

from actors.positions import PositionFeed
from benchmarks.evening import MARKET, Evening
from dispatch.ids import Instant
from dispatch.matching.solving import Answer, Request, answer
from dispatch.policy import Policy
from dispatch.round import Solve
from geo.ping import Ping, Track
from geo.point import LatLng
from geo.positions import PositionTable
from geo.projection import Projection
from geo.travel import StraightLine
from node.lag import LagWatch
from node.solver import Desk, RoundTaken
from node.solver_process import written
from node.worker import Window, Worker

SEED = 5
BEAT_S = 2.0
TURN_S = 0.04
"""Time over which a node gathers pings before they go into a table."""
PINGS_PER_S = 10_000
FRAME_PINGS = 5
PING_MS = 1_000
COURIERS_IN_ALL = PINGS_PER_S * PING_MS // 1_000
"""Couriers whose pings come: those of the market, and those of the node's other markets."""
MIDDLE = LatLng(55.68, 12.57)
STEP_DEGREES = 2e-5
TURNS = 3
"""How often pings alone and pings with rounds take turns."""
REPEATS = 5
ROUND_S_MAX = 60.0
"""Time for a round: here it is the loop that must not be late, whatever else the machine does."""
TRAVEL = StraightLine(speed_mps=5.0, detour=1.3)


class Size(NamedTuple):
    """How large a market is."""

    orders: int
    couriers: int
    side_m: float


CITY = Size(500, 800, 9_000.0)
LARGE = Size(2_000, 3_000, 20_000.0)


class Costs(TypedDict):
    """Milliseconds of one round by where they are spent, and what crosses the pipe."""

    loop_look_ms: float
    thread_survey_ms: float
    thread_encode_ms: float
    worker_decode_ms: float
    worker_answer_ms: float
    worker_encode_ms: float
    loop_decode_ms: float
    request_bytes: int
    answer_bytes: int


class Lag(TypedDict):
    """How late the loop was, in milliseconds."""

    p50: float
    p99: float
    max: float


class Beat(TypedDict):
    """What the benchmark found, in milliseconds."""

    pings_per_s: int
    rounds: int
    lag_ms: dict[str, Lag]
    round_ms_p50: float
    round_ms_max: float
    costs: dict[str, Costs]


def beat(turns: int = TURNS, seconds: float = 10.0, sizes: Sequence[Size] = (CITY, LARGE)) -> Beat:
    """Return the lag of the loop with and without rounds, and what rounds of `sizes` cost where."""
    costs = {f"{size.orders}x{size.couriers}": costs_of(size) for size in sizes}
    gc.collect()
    gc.freeze()
    try:
        return trio.run(_measured, turns, seconds, costs)
    finally:
        gc.unfreeze()


async def _measured(turns: int, seconds: float, costs: dict[str, Costs]) -> Beat:
    market, pings = Market(CITY), Pings(CITY.couriers)
    quiet, busy = LagWatch(), LagWatch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(market.worker.run)
        await market.worker.ready.wait()
        await market.round()  # The first has no plan to start from.
        for _ in range(turns):
            await _under(seconds, quiet.run, pings.run)
            await _under(seconds, busy.run, pings.run, market.run)
        nursery.cancel_scope.cancel()
    pings.check()
    took_ms = market.checked_ms()[1:]
    return Beat(
        pings_per_s=PINGS_PER_S,
        rounds=len(took_ms),
        lag_ms={"pings": _figures(quiet), "pings_and_rounds": _figures(busy)},
        round_ms_p50=round(took_ms[len(took_ms) // 2], 1),
        round_ms_max=round(max(took_ms), 1),
        costs=costs,
    )


def _figures(watch: LagWatch) -> Lag:
    found = watch.lag()
    return Lag(p50=found.p50, p99=found.p99, max=found.max)


async def _under(seconds: float, *loads: Callable[[], Awaitable[None]]) -> None:
    """Let the loop carry these loads together for a while."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for load in loads:
                nursery.start_soon(load)


class Market:
    """A market whose rounds a worker process solves, every two seconds."""

    def __init__(self, size: Size) -> None:
        self.worker = Worker()
        self._took = list[RoundTaken]()
        self._evening = Evening(SEED, size.orders, size.couriers, size.side_m, now=_now())
        desk = _desk(self._evening, self._note)
        self._window = Window(self.worker, desk, ROUND_S_MAX)
        self._number = 0
        self._answered = trio.Event()

    async def run(self) -> None:
        """Have a round planned on every beat, until cancelled."""
        while True:
            beat_s = trio.current_time() + BEAT_S
            with trio.CancelScope(shield=True):  # A round that has begun is waited for.
                await self.round()
            await trio.sleep_until(beat_s)

    async def round(self) -> None:
        """Have a round planned, after some orders have gone and come."""
        self._evening.go_on(_now())
        self._number += 1
        self._answered = trio.Event()
        solve = msgspec.msgpack.encode(Solve(MARKET, self._number))
        self._window.submit("solver", self._number, MARKET, solve)
        with trio.fail_after(2 * ROUND_S_MAX):
            await self._answered.wait()

    def checked_ms(self) -> list[float]:
        """Return how long the rounds took; all were answered, by the solver itself, in full."""
        assert [one.number for one in self._took] == list(range(1, self._number + 1))
        assert not any(one.cut for one in self._took), [one.cut for one in self._took]
        assert all(one.orders == CITY.orders for one in self._took), self._took
        return [one.took_ms for one in self._took]

    def _note(self, taken: RoundTaken) -> None:
        self._took.append(taken)
        self._answered.set()


class Pings:
    """Pings of many couriers, some of them one market's, gathered and put into their tables."""

    def __init__(self, here: int) -> None:
        self._names = [f"crr_01k{number:023d}" for number in range(COURIERS_IN_ALL)]
        self._feeds = _feed(self._names[:here]), _feed(self._names[here:])
        self._here = here
        self._sent = 0
        self._next = cycle(range(COURIERS_IN_ALL))
        self._counts = [0] * COURIERS_IN_ALL
        self._began_at = _now()

    async def run(self) -> None:
        """Bring what has come in each turn, until cancelled."""
        frames = round(PINGS_PER_S * TURN_S / FRAME_PINGS)
        due_s = trio.current_time()
        while True:
            due_s += TURN_S
            await trio.sleep_until(due_s)
            self._take(list(islice(self._next, frames)))

    def check(self) -> None:
        """Check that every ping was accepted."""
        accepted = sum(feed.table.statistics().pings["accepted"] for feed in self._feeds)
        assert accepted == self._sent > 0, f"{accepted} of {self._sent} pings were accepted"

    def _take(self, couriers: list[int]) -> None:
        tracks = [self._track(courier) for courier in couriers]
        here = [track for one, track in zip(couriers, tracks, strict=True) if one < self._here]
        elsewhere = [
            track for one, track in zip(couriers, tracks, strict=True) if one >= self._here
        ]
        for feed, theirs in zip(self._feeds, (here, elsewhere), strict=True):
            if theirs:
                feed.take(theirs, _now())
        self._sent += FRAME_PINGS * len(tracks)

    def _track(self, courier: int) -> Track:
        """Return the next pings of a courier, who goes north step by step."""
        first = self._counts[courier]
        self._counts[courier] += FRAME_PINGS
        return Track(self._names[courier], tuple(self._pings(courier, first)))

    def _pings(self, courier: int, first: int) -> Iterator[Ping]:
        lng = MIDDLE.lng + courier * STEP_DEGREES
        for number in range(first, first + FRAME_PINGS):
            lat = MIDDLE.lat + number * STEP_DEGREES
            yield Ping(lat, lng, 2.0, self._began_at + number)


def _feed(couriers: list[str]) -> PositionFeed:
    table = PositionTable(Projection(MIDDLE))
    for courier in couriers:
        table.join(courier, _now())
    return PositionFeed(table, lambda _kind, _key, _message: None, Policy().quiet_s)


def costs_of(size: Size) -> Costs:
    """Return what a round of a market of that size costs where; the cheapest of several."""
    evening = Evening(SEED, size.orders, size.couriers, size.side_m, now=_now())
    desk = _desk(evening)
    solve = Solve(MARKET, 1)
    answered = answer(desk.request(solve))
    desk.hand_in(1, solve, answered, 0.0)  # A round starts from the plan of the last.
    look = desk.look(solve)
    request = look()
    question = msgspec.msgpack.encode(request)
    said = msgspec.msgpack.encode(answered)
    return Costs(
        loop_look_ms=_ms(lambda: desk.look(solve)),
        thread_survey_ms=_ms(look),
        thread_encode_ms=_ms(lambda: written(request, 1.0)),
        worker_decode_ms=_ms(lambda: msgspec.msgpack.decode(question, type=Request)),
        worker_answer_ms=_ms(lambda: answer(request)),
        worker_encode_ms=_ms(lambda: msgspec.msgpack.encode(answered)),
        loop_decode_ms=_ms(lambda: msgspec.msgpack.decode(said, type=Answer)),
        request_bytes=len(question),
        answer_bytes=len(said),
    )


def _ms(work: Callable[[], object]) -> float:
    spent_s = list[float]()
    for _ in range(REPEATS):
        began_s = time.thread_time()
        work()
        spent_s.append(time.thread_time() - began_s)
    return round(min(spent_s) * 1_000, 2)


def _desk(evening: Evening, watch: Callable[[RoundTaken], None] = lambda _taken: None) -> Desk:
    desk = Desk(
        clock=_now,
        policy=Policy(round_s=BEAT_S),
        travel=TRAVEL,
        solver="improve",
        sightings=evening.couriers,
        watch=watch,
    )
    desk.attend(evening)
    return desk


def _now() -> Instant:
    return Instant(round(time.time() * 1_000))


if __name__ == "__main__":
    print(json.dumps(beat()))
