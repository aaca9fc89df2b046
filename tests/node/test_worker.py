"""The solver's worker process: it answers as the function does, and its death costs one round."""

import os
import signal

import pytest
import trio
from msgspec import Struct

from dispatch.courier import RouteChanged, StartShift
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId
from dispatch.order import Accept, Place
from dispatch.policy import Policy
from dispatch.restaurant import Open
from geo.point import Point
from geo.travel import StraightLine
from node.hosting import Market
from node.solver import RoundTaken
from node.wiring import Composition, composed

MARKET = Market(
    market_id=MarketId("m"),
    policy=Policy(round_s=0.2, round_timeout_s=30.0, offer_s=0.0),
    travel=StraightLine(speed_mps=5.0),
)


def _now() -> Instant:
    return Instant(1_800_000_000_000 + round(trio.current_time() * 1000))


async def _populate(market: Composition) -> None:
    restaurant, order = RestaurantId("rst"), OrderId("ord")
    opening = Open(restaurant_id=restaurant, point=Point(0.0, 0.0), auto_accepts=False)
    await market.shard.ask("restaurant", restaurant, opening, 5.0)
    shift = StartShift(
        courier_id=CourierId("crr"),
        market_id=MarketId("m"),
        point=Point(10.0, 0.0),
        ends_at=Instant(_now() + 3_600_000),
        load_max=6,
    )
    await market.shard.ask("courier", "crr", shift, 5.0)
    place = Place(
        order_id=order,
        market_id=MarketId("m"),
        customer_id=CustomerId("usr"),
        restaurant_id=restaurant,
        pickup=Point(0.0, 0.0),
        dropoff=Point(500.0, 0.0),
    )
    await market.shard.ask("order", order, place, 5.0)
    await market.shard.ask("order", order, Accept(_now()), 5.0)


@pytest.mark.slow
async def test_a_worker_process_plans_rounds_and_another_takes_over_when_it_is_killed() -> None:
    rounds = list[RoundTaken]()
    planned, sent = trio.Event(), trio.Event()

    def hear(message: Struct) -> None:
        if isinstance(message, RouteChanged) and message.stops:
            sent.set()

    def watch(taken: RoundTaken) -> None:
        rounds.append(taken)
        planned.set()

    with trio.fail_after(120):
        async with composed(MARKET, _now, watch=watch, in_process=False) as market:
            assert market.worker is not None
            await market.worker.ready.wait()
            market.listen("crr", hear)
            market.begin(_now())
            await planned.wait()
            pid = market.worker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await _populate(market)
            await sent.wait()

    assert market.worker.starts == 2
    assert market.worker.pid != pid
    assert any(one.orders == 1 and one.couriers == 1 for one in rounds)
