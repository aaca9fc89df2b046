"""What markets learn goes on with their next owner, and is known where they are not run."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import numpy as np
import trio
import trio.testing

from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import Instant, MarketId, ShardId, after
from dispatch.policy import Policy
from geo.eta import Eta, Observation, Part
from geo.point import LatLng, Point
from geo.travel import OnStreets, StraightLine, TravelTimes, Ways
from node.estimates import Estimates, StreetsSoon, way_of
from node.hosting import Market
from node.learned import SAVE_S
from node.tenancy import Tenancy
from node.wiring import SHARD, composed
from streets.exact import UNREACHABLE_S
from streets.soon import STAND_IN
from streets.travel import NoStreets

DAWN = Instant(1_800_000_000_000)
ELSEWHERE = ShardId(7)
MARKET = Market(
    market_id=MarketId("m"),
    policy=Policy(),
    travel=StraightLine(speed_mps=5.0),
    solver="insert",
)
STREETS = OnStreets(folder="malta", vehicle="bicycle", centre=LatLng(35.9, 14.5))
LEARNED = Eta().learned(Observation(Part.COOKING, "rst_1", 2_400.0))
MORE = LEARNED.learned(Observation(Part.COOKING, "rst_1", 2_500.0))


class KeptTimes:
    """A store in memory, which can be out of reach."""

    def __init__(self) -> None:
        self.kept: dict[ShardId, Eta] = {}
        self.is_away = False

    async def save(self, shard: ShardId, learned: Eta) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self.kept[shard] = learned

    async def load(self, shard: ShardId) -> Eta | None:
        await trio.lowlevel.checkpoint()
        self._check()
        return self.kept.get(shard)

    def _check(self) -> None:
        if self.is_away:
            raise EstimatesUnreachable("the test said so")


def _now() -> Instant:
    return after(DAWN, trio.current_time())


def estimates(store: KeptTimes) -> Estimates:
    return Estimates(store, _now, lambda: (SHARD, ELSEWHERE))


@asynccontextmanager
async def attended(known: Estimates) -> AsyncGenerator[None]:
    """Have the market run here, with its estimates attended to, for as long as the block does."""
    known.listen(MARKET, SHARD, None)
    tenancy = Tenancy(SHARD, trio.current_time() + 86_400, trio.current_time)
    async with composed(MARKET, _now) as market, trio.open_nursery() as nursery:
        nursery.start_soon(known.attend, market.shard, tenancy)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


async def test_the_next_owner_goes_on_from_what_was_learned(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptTimes()
    store.kept[SHARD] = LEARNED
    known = estimates(store)

    async with attended(known):
        found = known.find(SHARD)

    assert found.parts == LEARNED.parts


async def test_what_is_learned_is_saved_each_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptTimes()
    known = estimates(store)

    async with attended(known):
        await trio.sleep(SAVE_S + 1)

    assert store.kept[SHARD].parts == {}
    assert SHARD in store.kept


async def test_a_store_that_is_away_stops_nobody_from_learning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptTimes()
    store.is_away = True
    known = estimates(store)

    async with attended(known):
        await trio.sleep(3 * SAVE_S)
        store.is_away = False
        await trio.sleep(2 * SAVE_S + 1)

    assert SHARD in store.kept


async def test_what_is_kept_outlives_a_store_that_was_away_as_the_market_moved(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptTimes()
    store.kept[SHARD] = LEARNED
    store.is_away = True
    known = estimates(store)

    async with attended(known):
        await trio.sleep(2 * SAVE_S)
        store.is_away = False
        await trio.sleep(3 * SAVE_S)
        found = known.find(SHARD)

    assert found.parts == LEARNED.parts
    assert store.kept[SHARD].parts == LEARNED.parts


async def test_a_market_of_another_node_is_known_as_that_node_saved_it() -> None:
    store = KeptTimes()
    known = estimates(store)
    store.kept[ELSEWHERE] = LEARNED
    await known.refresh()
    store.kept[ELSEWHERE] = MORE

    await known.refresh()

    assert known.find(ELSEWHERE) == MORE


async def test_what_was_read_is_kept_while_the_store_is_away() -> None:
    store = KeptTimes()
    store.kept[ELSEWHERE] = LEARNED
    known = estimates(store)
    await known.refresh()
    store.is_away = True

    await known.refresh()

    assert known.find(ELSEWHERE) == LEARNED


def test_a_market_that_nobody_knows_anything_of_has_priors() -> None:
    assert estimates(KeptTimes()).find(ELSEWHERE) == Eta()


HERE, THERE = Point(0, 0), Point(900, 0)
SLOW = StraightLine(speed_mps=3.0)


def test_rides_are_measured_by_the_streets_that_rounds_plan_with() -> None:
    asked: list[Ways] = []

    def opened(ways: Ways) -> TravelTimes:
        asked.append(ways)
        return SLOW if len(asked) > 1 else STAND_IN

    way = StreetsSoon(STREETS, opened)
    took_s = [way.seconds(HERE, THERE) for _ in range(5)]

    assert took_s == [STAND_IN.seconds(HERE, THERE), *[300] * 4]
    assert asked == [STREETS] * 2
    assert way_of(STREETS) == StreetsSoon(STREETS)


def test_rides_are_measured_by_a_straight_line_where_streets_cannot_be_opened() -> None:
    def opened(ways: Ways) -> TravelTimes:
        raise NoStreets(f"{ways} is not here")

    took_s = StreetsSoon(STREETS, opened).seconds(HERE, THERE)

    assert took_s == STAND_IN.seconds(HERE, THERE)


def test_a_ride_that_no_street_leads_to_is_measured_by_a_straight_line() -> None:
    def opened(_ways: Ways) -> TravelTimes:
        return StraightLine(speed_mps=900 / UNREACHABLE_S)

    way = StreetsSoon(STREETS, opened)
    took_s = way.seconds(HERE, THERE)
    times_s = way.matrix_s(np.array([(0.0, 0.0)]), np.array([(900.0, 0.0), (0.0, 0.0)]))

    assert took_s == STAND_IN.seconds(HERE, THERE)
    assert times_s.tolist() == [[took_s, 0.0]]


def test_where_there_are_no_streets_rides_are_measured_by_the_straight_line_of_rounds() -> None:
    assert way_of(MARKET.travel) == MARKET.travel


async def test_of_a_node_that_dies_only_what_was_learned_since_the_last_minute_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptTimes()
    dying, next_owner = estimates(store), estimates(store)

    async with attended(dying):
        reckoner = dying._own[SHARD]  # noqa: SLF001 - it learns from orders.  # pyright: ignore[reportPrivateUsage]
        reckoner.eta = MORE
        await trio.sleep(SAVE_S + 1)
        reckoner.eta = MORE.learned(Observation(Part.COOKING, "rst_1", 2_600.0))
    async with attended(next_owner):
        found = next_owner.find(SHARD)

    assert found.parts == MORE.parts
