"""The shortage of couriers as a node measures it: who waits where, who is free, who is expected."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from msgspec import structs
from trio.testing import MockClock

from dispatch.courier import StartShift
from dispatch.ids import CourierId, MarketId, OrderId, RestaurantId, TenantId, ZoneId, after
from dispatch.order import Accept
from dispatch.policy import Policy, Surging
from dispatch.restaurant import Open
from dispatch.surge import Surge
from dispatch.zone import Plot, Zone, ZoneKind
from geo.area import area_of
from geo.point import LatLng, Point
from geo.polygon import checked
from geo.travel import StraightLine
from node.atlas import Atlas, Place, Settings, a_market
from node.hosting import Market
from node.surge import SurgeWatch, crowd_of
from node.wiring import Composition, composed
from tests.actors.stage import clock
from tests.dispatch.builders import (
    COURIER,
    KITCHEN,
    NOW,
    a_courier,
    a_place,
    a_task,
    an_assigned_order,
    an_order,
    busy,
    later,
    sure,
)

CENTRE = LatLng(55.68, 12.57)
HERE, FAR = Point(0.0, 0.0), Point(4_000.0, 0.0)
SURGING = Surging(percent_max=150, measure_s=30.0)
MARKET = MarketId("copenhagen")


def place(surging: Surging) -> Place:
    atlas = Atlas()
    row = a_market(MARKET, Settings(centre=CENTRE, policy=Policy(surging=surging)))
    atlas.read([row])
    return sure(atlas.find_place(row.shard))


def around_here(side_deg: float = 0.01) -> Plot:
    west, south = CENTRE.lng - side_deg, CENTRE.lat - side_deg
    east, north = CENTRE.lng + side_deg, CENTRE.lat + side_deg
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    zone = Zone(
        zone_id=ZoneId("zon_here"),
        tenant_id=TenantId("tnt_1"),
        market_id=MARKET,
        kind=ZoneKind.SURGE,
        name="Here",
        outline=checked([[ring]]),
    )
    return Plot(zone, area_of(zone.outline))


@dataclass(slots=True)
class City:
    """A market that runs, and what measures it."""

    running: Composition
    watch: SurgeWatch

    def order(self, number: int, at: Point) -> None:
        restaurant_id = RestaurantId(f"rst_{at.x_m:.0f}")
        opens = Open(restaurant_id=restaurant_id, point=at)
        assert self.running.say("restaurant", restaurant_id, opens) is None
        order_id = OrderId(f"ord_{number}")
        asked = structs.replace(
            a_place(order_id, restaurant_id=restaurant_id, pickup=at), market_id=MARKET
        )
        assert self.running.say("order", order_id, asked) is None

    def work(self, number: int, at: Point) -> None:
        courier_id = CourierId(f"crr_{number}")
        shift = StartShift(
            courier_id=courier_id,
            market_id=MARKET,
            point=at,
            ends_at=after(clock(), 36_000),
            load_max=4,
        )
        assert self.running.say("courier", courier_id, shift) is None

    def surge(self, of: str) -> Surge | None:
        state = self.running.shard.find_state("surge", of)
        assert state is None or isinstance(state, Surge)
        return state


@asynccontextmanager
async def city(surging: Surging = SURGING, plots: Sequence[Plot] = ()) -> AsyncGenerator[City]:
    """A market in which no rounds are held, so that nobody gets an offer."""
    there = place(surging)
    market = Market(
        market_id=MARKET,
        policy=there.settings.policy,
        travel=StraightLine(speed_mps=5.0),
        solver="nearest",
    )
    async with composed(market, clock) as running, trio.open_nursery() as nursery:
        watch = SurgeWatch(running.shard, there, lambda: plots, clock, dict)
        nursery.start_soon(watch.run)
        yield City(running, watch)
        nursery.cancel_scope.cancel()


def test_waiting_orders_and_free_couriers_are_counted_where_they_are() -> None:
    orders = [an_order(Accept()), an_assigned_order()]
    couriers = [a_courier(), busy(a_task())]

    crowd = crowd_of(orders, couriers, {COURIER: Point(7.0, 8.0)}, since=later(-1))

    assert crowd.waiting.tolist() == [[KITCHEN.x_m, KITCHEN.y_m]]
    assert crowd.free.tolist() == [[7.0, 8.0]]
    assert len(crowd.came) == 2
    assert len(crowd_of(orders, couriers, {}, since=NOW).came) == 0


async def test_a_market_and_a_zone_in_it_are_measured_apart(autojump_clock: MockClock) -> None:
    async with city(plots=[around_here()]) as running:
        await trio.sleep(1)
        for number in range(6):
            running.order(number, HERE)
        for number in range(4):
            running.work(number, FAR)
        await trio.sleep(31)
        market, zone = sure(running.surge(MARKET)), sure(running.surge("zon_here"))

    assert (market.waiting, market.free) == (6, 4)
    assert (zone.waiting, zone.free) == (6, 0)
    assert zone.expected > 6
    assert zone.pressure > market.pressure > 0


async def test_a_shortage_that_lasts_makes_a_place_dear_and_couriers_end_it(
    autojump_clock: MockClock,
) -> None:
    async with city() as running:
        for number in range(40):
            running.order(number, HERE)
        await trio.sleep(900)
        dear = sure(running.surge(MARKET))
        for number in range(60):
            running.work(number, HERE)
        await trio.sleep(2_400)
        calm = sure(running.surge(MARKET))

    assert dear.percent > 110
    assert "40 orders waiting" in dear.reason
    assert calm.percent == 100
    assert "with 60 couriers free" in calm.reason


async def test_where_policy_allows_no_surge_nothing_is_measured(autojump_clock: MockClock) -> None:
    async with city(Surging()) as running:
        running.order(1, HERE)
        await trio.sleep(900)

        assert running.surge(MARKET) is None
