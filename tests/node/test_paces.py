"""What markets learn of how long ways take outlives their shards."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import Instant, MarketId, ShardId, after
from dispatch.policy import Policy
from geo.travel import CalibratedPace, LearnedPace, Ride, StraightLine
from node.hosting import Market
from node.learned import SAVE_S
from node.paces import Paces
from node.tenancy import Tenancy
from node.ways import PresentWays
from node.wiring import SHARD, composed

DAWN = Instant(1_800_000_000_000)
LINE = StraightLine(speed_mps=5.0)
MARKET = Market(market_id=MarketId("m"), policy=Policy(), travel=LINE, solver="insert")
LEARNED = CalibratedPace().learned(Ride(expected_s=300.0, took_s=450.0, hour=8))
MORE = LEARNED.learned(Ride(expected_s=300.0, took_s=400.0, hour=9))
KEPT = LearnedPace(LINE, "", LEARNED)


class KeptPaces:
    """A store in memory, which can be out of reach."""

    def __init__(self) -> None:
        self.kept: dict[ShardId, LearnedPace] = {}
        self.saves = 0
        self.is_away = False

    async def save(self, shard: ShardId, learned: LearnedPace) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self.saves += 1
        self.kept[shard] = learned

    async def load(self, shard: ShardId) -> LearnedPace | None:
        await trio.lowlevel.checkpoint()
        self._check()
        return self.kept.get(shard)

    def _check(self) -> None:
        if self.is_away:
            raise EstimatesUnreachable("the test said so")


@asynccontextmanager
async def attended(store: KeptPaces) -> AsyncGenerator[PresentWays]:
    """Have the market run here, with its pace attended to, for as long as the block does."""
    paces, present = Paces(store), PresentWays(usual=LINE)
    paces.follow(SHARD, present)
    tenancy = Tenancy(SHARD, trio.current_time() + 86_400, trio.current_time)
    clock = lambda: after(DAWN, trio.current_time())  # noqa: E731 - a clock is a function.
    async with composed(MARKET, clock) as market, trio.open_nursery() as nursery:
        nursery.start_soon(paces.attend, market.shard, tenancy)
        await trio.testing.wait_all_tasks_blocked()
        yield present
        nursery.cancel_scope.cancel()


async def test_the_next_owner_goes_on_from_the_pace_that_was_learned(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptPaces()
    store.kept[SHARD] = KEPT

    async with attended(store) as present:
        present.at(DAWN, [])

    assert present.known == LEARNED


async def test_what_is_learned_is_saved_and_what_stays_as_it_was_is_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptPaces()

    async with attended(store) as present:
        await trio.sleep(3 * SAVE_S)
        saved_nothing = store.saves
        present.known = LEARNED
        await trio.sleep(3 * SAVE_S)

    assert (saved_nothing, store.saves) == (0, 1)
    assert store.kept[SHARD] == KEPT


@pytest.mark.parametrize(
    "kept",
    [
        LearnedPace(StraightLine(speed_mps=9.0), "", LEARNED),
        LearnedPace(LINE, "Asia/Tokyo", LEARNED),
    ],
    ids=["another-map", "other-clocks"],
)
async def test_what_was_true_of_another_map_or_of_other_clocks_is_not_gone_on_from(
    autojump_clock: trio.testing.MockClock, kept: LearnedPace
) -> None:
    store = KeptPaces()
    store.kept[SHARD] = kept

    async with attended(store) as present:
        present.at(DAWN, [])

    assert present.known == CalibratedPace()


async def test_a_store_that_is_away_makes_nobody_forget(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptPaces()

    async with attended(store) as present:
        store.is_away = True
        present.known = LEARNED
        await trio.sleep(2 * SAVE_S)
        store.is_away = False
        await trio.sleep(SAVE_S + 1)

    assert store.kept[SHARD] == KEPT


async def test_what_is_kept_outlives_a_store_that_was_away_as_the_market_moved(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = KeptPaces()
    store.kept[SHARD] = KEPT
    store.is_away = True

    async with attended(store) as present:
        present.known = CalibratedPace().learned(Ride(expected_s=300.0, took_s=300.0, hour=3))
        await trio.sleep(2 * SAVE_S)
        store.is_away = False
        await trio.sleep(2 * SAVE_S)
        present.at(DAWN, [])

    assert present.known == LEARNED
    assert store.kept[SHARD] == KEPT
