"""Virtual time in a simulated city: what comes first when things come together."""

from functools import partial

import pytest
import trio
import trio.testing

from dispatch.ids import Instant, MarketId, RestaurantId, after
from dispatch.policy import Policy
from dispatch.restaurant import Open
from geo.point import Point
from geo.travel import StraightLine
from node.hosting import Market
from node.wiring import composed
from simulations.world import DAWN, World, deterministic


async def test_what_comes_ahead_of_an_instant_is_known_to_what_begins_at_it(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001 - the fixture works as an argument only.
) -> None:
    world, noon, seen = World(), after(DAWN, 43_200), list[tuple[str, Instant]]()

    async def begin() -> None:
        await trio.sleep(60 + 43_200)
        seen.append(("round", world.now()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(begin)
        world.at(noon, lambda: seen.append(("courier", world.now())))
        world.ahead(noon, lambda: seen.append(("customer", world.now())))
        await world.run(after(noon, 1))

    assert [who for who, _ in seen] == ["customer", "round", "courier"]
    assert [at - noon for _, at in seen] == [-1, 0, 0]


async def test_something_that_turns_up_earlier_than_what_was_next_comes_first(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001 - the fixture works as an argument only.
) -> None:
    world, seen = World(), list[str]()

    async def hurry() -> None:
        await trio.sleep(90)
        world.at(after(world.now(), 5), lambda: seen.append("soon"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hurry)
        world.at(after(DAWN, 3_600), lambda: seen.append("late"))
        await world.run(after(DAWN, 3_600))

    assert seen == ["soon", "late"]


async def test_rounds_begin_at_their_very_instant_whatever_happens_between_them(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001 - the fixture works as an argument only.
) -> None:
    world, began_s = World(), list[float]()
    market = Market(
        market_id=MarketId("m"), policy=Policy(round_s=10.0), travel=StraightLine(speed_mps=5.0)
    )
    opening = Open(restaurant_id=RestaurantId("rst"), point=Point(0.0, 0.0))

    async with composed(
        market,
        world.now,
        until_s=world.until_s,
        watch=lambda _taken: began_s.append(trio.current_time()),
    ) as composition:
        composition.begin(DAWN)
        for second in (0.0, 3.0, 10.0, 17.5, 20.0):
            act = partial(composition.say, "restaurant", "rst", opening)
            world.at(after(DAWN, second), act)
        await world.run(after(DAWN, 45))

    assert began_s == pytest.approx([60.0, 70.0, 80.0, 90.0, 100.0], abs=1e-6)


def test_tasks_run_in_an_order_that_follows_from_the_seed() -> None:
    async def order() -> list[int]:
        ran = list[int]()

        async def note(number: int) -> None:
            await trio.lowlevel.checkpoint()
            ran.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(note, number)
        return ran

    def seeded(seed: int) -> list[int]:
        with deterministic(seed):
            return trio.run(order)

    assert seeded(1) == seeded(1)
    assert seeded(1) != seeded(2)
    assert sorted(seeded(1)) == list(range(20))
