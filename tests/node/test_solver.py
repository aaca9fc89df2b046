"""Rounds solved beside the actors: what a survey sees, and what becomes of a plan's decisions."""

from collections.abc import Callable, Iterator

import msgspec
import trio
import trio.testing
from msgspec import Struct

from dispatch.courier import RouteChanged, StartShift
from dispatch.delivery import DeliveryStatus
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId, after
from dispatch.order import Accept, Order, Place
from dispatch.policy import Policy
from dispatch.restaurant import Open
from dispatch.round import Solve, Unsolved
from dispatch.step import Tell
from geo.point import Point
from geo.travel import StraightLine
from node.hosting import Market
from node.solver import Desk, RoundTaken
from node.wiring import Composition, composed
from node.worker import Window, Worker

DAWN = Instant(1_800_000_000_000)


def _now() -> Instant:
    return after(DAWN, trio.current_time())


def _market(solver: str = "insert") -> Market:
    return Market(
        market_id=MarketId("m"),
        policy=Policy(round_s=10.0, offer_s=0.0),
        travel=StraightLine(speed_mps=5.0),
        solver=solver,
    )


def _open(market: Composition) -> None:
    opening = Open(restaurant_id=RestaurantId("rst"), point=Point(0.0, 0.0), auto_accepts=False)
    market.say("restaurant", "rst", opening)


def _start_shift(market: Composition, courier: str, x_m: float) -> None:
    shift = StartShift(
        courier_id=CourierId(courier),
        market_id=MarketId("m"),
        point=Point(x_m, 0.0),
        ends_at=after(_now(), 7200),
        load_max=6,
    )
    market.say("courier", courier, shift)


async def _order(market: Composition, order: str, ready_s: float) -> None:
    place = Place(
        order_id=OrderId(order),
        market_id=MarketId("m"),
        customer_id=CustomerId("usr"),
        restaurant_id=RestaurantId("rst"),
        pickup=Point(0.0, 0.0),
        dropoff=Point(900.0, 0.0),
    )
    await market.shard.ask("order", order, place, 1.0)
    await market.shard.ask("order", order, Accept(after(_now(), ready_s)), 1.0)


async def test_the_nearer_courier_is_sent_when_he_would_arrive_as_the_food_is_ready(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001 - the fixture works as an argument only.
) -> None:
    sent = list[tuple[Instant, str]]()
    async with composed(_market(), _now) as market:
        _open(market)
        for courier, x_m in (("far", 3000.0), ("near", 500.0)):
            market.listen(courier, _noting(sent, courier))
            _start_shift(market, courier, x_m)
        await _order(market, "ord", ready_s=600.0)
        market.begin(DAWN)

        await trio.sleep(700)

    departures = [(at, courier) for at, courier in sent]
    assert [courier for _, courier in departures] == ["near"]
    just_in_time = after(DAWN, 600.0 - 500.0 / 5.0 - 60.0)
    assert after(just_in_time, -10.0) <= departures[0][0] <= just_in_time


async def test_every_solver_answers_a_market_of_one(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001 - the fixture works as an argument only.
) -> None:
    for solver in ("nearest", "insert"):
        rounds = list[RoundTaken]()
        async with composed(_market(solver), _now, watch=rounds.append) as market:
            _open(market)
            _start_shift(market, "crr", 100.0)
            await _order(market, "ord", ready_s=0.0)
            market.begin(_now())

            await trio.sleep(15)

            [(_, state)] = market.shard.states("order")
        assert isinstance(state, Order)
        assert state.delivery.status is DeliveryStatus.ENROUTE_TO_PICKUP
        assert rounds[0].orders == 1
        assert rounds[0].unplanned == 0


def _noting(sent: list[tuple[Instant, str]], courier: str) -> Callable[[Struct], None]:
    def note(message: Struct) -> None:
        if isinstance(message, RouteChanged) and message.heading is not None:
            sent.append((_now(), courier))

    return note


class _Settled:
    """A shard that only notes what is settled."""

    def __init__(self) -> None:
        self.tells = list[tuple[int, Tell | None]]()

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Have no actors."""
        del kind
        return iter(())

    def settle(self, sequence: int, tell: Tell | None = None) -> None:
        """Note an answer."""
        self.tells.append((sequence, tell))


def test_a_question_that_waits_is_given_up_for_a_newer_one_of_its_market() -> None:
    market = _market()
    desk = Desk(clock=lambda: DAWN, policy=market.policy, travel=market.travel, solver="insert")
    shard = _Settled()
    desk.attend(shard)

    async def ask() -> None:
        window = Window(Worker(), desk, timeout_s=5.0)
        for sequence, name in ((1, "a"), (2, "b"), (3, "a")):
            solve = msgspec.msgpack.encode(Solve(MarketId(name), sequence))
            window.submit("solver", sequence, name, solve)
        await trio.lowlevel.checkpoint()

    trio.run(ask)

    given_up = Unsolved(1, "a newer round came before its turn")
    assert shard.tells == [(1, Tell("round", "a", given_up))]
