"""Robo-couriers who are told where to wait, alone and in a day of the public problem."""

import json
from pathlib import Path
from random import Random

import pytest
import trio.testing
from msgspec import Struct, structs

from dispatch.courier import Arrive, RouteChanged
from dispatch.ids import CourierId, Instant, MarketId, OrderId, RestaurantId, after
from dispatch.policy import Policy, Repositioning
from dispatch.route import DropOff, Pickup
from geo.point import Point
from geo.travel import StraightLine
from simulations.mdrp import read_instance
from simulations.replay import policy_of, replay
from simulations.robots import OBEDIENT, City, RoboCourier
from simulations.world import DAWN, World
from tests.simulations.instances import write_instance
from tests.simulations.referee import broken_rules

COURIER, ORDER = CourierId("crr_1"), OrderId("ord_1")
CORNER, KITCHEN = RestaurantId("rst_1"), RestaurantId("rst_2")
HOME, CORNER_AT, KITCHEN_AT = Point(0.0, 0.0), Point(1_000.0, 0.0), Point(400.0, 300.0)
WAIT = RouteChanged(stops=(), heading=CORNER, point=CORNER_AT, version=1)
FETCH = RouteChanged(
    stops=(Pickup(KITCHEN, KITCHEN_AT, (ORDER,)), DropOff(ORDER, HOME)),
    heading=KITCHEN,
    point=KITCHEN_AT,
    version=2,
)


class Street:
    """A city of one courier at ten metres a second, and what he says and does there."""

    def __init__(self) -> None:
        self.world = World()
        self.said: list[Struct] = []
        self.moved: list[tuple[RestaurantId, Instant]] = []
        city = City(
            world=self.world,
            say=lambda _kind, _key, message: self.said.append(message),
            policy=Policy(),
            travel=StraightLine(speed_mps=10.0),
            witness=self,
            market_id=MarketId("mkt_1"),
        )
        self.robot = RoboCourier(city, COURIER, HOME, OBEDIENT, Random(0))

    def tell(self, second: float, news: RouteChanged) -> None:
        self.world.at(after(DAWN, second), lambda: self.robot.hear(news))

    def moves(self, courier: CourierId, restaurant: RestaurantId, at: Instant) -> None:
        assert courier == COURIER
        self.moved.append((restaurant, at))

    def collects(self, courier: CourierId, orders: tuple[OrderId, ...], at: Instant) -> None: ...

    def delivers(self, courier: CourierId, order: OrderId, at: Instant) -> None: ...


async def test_a_courier_on_his_way_to_wait_turns_round_where_he_is_when_there_is_work(
    autojump_clock: trio.testing.MockClock,
) -> None:
    del autojump_clock
    street = Street()
    street.tell(0, WAIT)
    street.tell(40, FETCH)

    await street.world.run(after(DAWN, 300))

    assert street.moved == [(CORNER, DAWN), (KITCHEN, after(DAWN, 40))]
    assert street.said == [Arrive(restaurant_id=KITCHEN)]
    assert street.robot.leg.origin == Point(400.0, 0.0)
    assert street.robot.doings.driven_m == pytest.approx(400.0 + 300.0)


async def test_a_courier_on_his_way_to_fetch_an_order_finishes_that_way_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    del autojump_clock
    street = Street()
    street.tell(0, FETCH)
    street.tell(10, structs.replace(WAIT, version=3))

    await street.world.run(after(DAWN, 300))

    assert street.said[0] == Arrive(restaurant_id=KITCHEN)
    assert street.moved == [(KITCHEN, DAWN), (CORNER, after(DAWN, 50))]


@pytest.mark.slow
def test_couriers_of_a_day_go_where_work_is_expected_and_keep_the_problems_rules(
    tmp_path: Path,
) -> None:
    instance = read_instance(write_instance(tmp_path / "tiny", orders=60, couriers=10))
    staying = policy_of(instance).evolve(repositioning=Repositioning(binds=True))
    willing = staying.evolve(repositioning=Repositioning(drive_price=0.05, binds=True))

    result, log = replay(instance, solver="insert", policy=willing)
    _, again = replay(instance, solver="insert", policy=willing)
    _, still = replay(instance, solver="insert", policy=staying)

    assert broken_rules(instance, log) == []
    assert result.delivered == result.orders
    assert _moves(log) > _moves(still) + 10
    assert again == log


def _moves(log: bytes) -> int:
    return sum(json.loads(line)["ev"] == "move" for line in log.splitlines())
