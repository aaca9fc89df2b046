"""The copy of a shard's positions: saved by the second, and fed to the table of the next owner."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import Sequence

import trio
import trio.testing
from msgspec import Struct

from actors.positions import PositionFeed
from dispatch.courier import Move
from dispatch.ids import CourierId, Instant, ShardId
from dispatch.spot import PositionsUnreachable, Spot
from geo.ping import Ping, Track
from geo.point import LatLng
from geo.positions import PositionTable
from geo.projection import Projection
from node.positions import PositionCopy
from storage.memory_positions import MemoryPositions

SHARD = ShardId(1)
CENTRE = LatLng(55.676, 12.568)
ANN, BOB = CourierId("ann"), CourierId("bob")


class AwayPositions(MemoryPositions):
    """A store that can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.saved: list[tuple[Spot, ...]] = []

    async def save(self, shard: ShardId, spots: Sequence[Spot]) -> None:
        if self.is_away:
            raise PositionsUnreachable("the test said so")
        self.saved.append(tuple(spots))
        await super().save(shard, spots)

    async def load(self, shard: ShardId) -> tuple[Spot, ...]:
        if self.is_away:
            raise PositionsUnreachable("the test said so")
        return await super().load(shard)


class Owner:
    """A node that owns the shard, with its couriers on shift."""

    def __init__(self, positions: MemoryPositions, *couriers: CourierId) -> None:
        self.said: list[tuple[str, Struct]] = []
        self.feed = PositionFeed(
            PositionTable(Projection(CENTRE)),
            lambda _, key, message: self.said.append((key, message)),
            quiet_s=90.0,
        )
        for courier_id in couriers:
            self.feed.join(courier_id, _now())
        self.copy = PositionCopy(SHARD, self.feed, positions, _now)

    def ping(self, courier_id: CourierId, lat: float) -> None:
        """Have a courier report where he is."""
        ping = Ping(lat, CENTRE.lng, 5.0, _now())
        self.feed.take([Track(courier_id, (ping,))], _now())

    def lat(self, courier_id: CourierId) -> float | None:
        """Return where the table has the courier."""
        position = self.feed.table.find_position(courier_id)
        return None if position is None else position.lat


def _now() -> Instant:
    return Instant(1_800_000_000_000 + round(trio.current_time() * 1_000))


async def test_the_next_owner_knows_where_the_couriers_on_shift_are(
    autojump_clock: trio.testing.MockClock,
) -> None:
    positions = MemoryPositions()
    before = Owner(positions, ANN, BOB)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(before.copy.run)
        before.ping(ANN, 55.67)
        before.ping(BOB, 55.68)
        await trio.sleep(2)
        before.ping(ANN, 55.671)
        await trio.sleep(2)
        nursery.cancel_scope.cancel()
    after = Owner(positions, ANN)
    known = await after.copy.restore()

    assert known == 2
    assert after.lat(ANN) == 55.671
    assert [(key, type(message)) for key, message in after.said] == [(ANN, Move)]
    assert after.feed.table.statistics().couriers == 1


async def test_only_what_changed_is_saved(autojump_clock: trio.testing.MockClock) -> None:
    positions = AwayPositions()
    owner = Owner(positions, ANN, BOB)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owner.copy.run)
        owner.ping(ANN, 55.67)
        owner.ping(BOB, 55.68)
        await trio.sleep(1.5)
        owner.ping(BOB, 55.681)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()

    assert [{spot.courier_id for spot in spots} for spots in positions.saved] == [{ANN, BOB}, {BOB}]


async def test_what_could_not_be_saved_is_saved_later_the_newest_of_each_courier(
    autojump_clock: trio.testing.MockClock,
) -> None:
    positions = AwayPositions()
    owner = Owner(positions, ANN, BOB)

    positions.is_away = True
    owner.ping(ANN, 55.67)
    owner.ping(BOB, 55.68)
    await owner.copy.save()
    await trio.sleep(1)
    owner.ping(ANN, 55.671)
    await owner.copy.save()
    positions.is_away = False
    await owner.copy.save()
    await owner.copy.save()

    saved = [{spot.courier_id: spot.lat for spot in spots} for spots in positions.saved]
    assert saved == [{ANN: 55.671, BOB: 55.68}]


async def test_a_shard_opens_without_a_copy_that_is_out_of_reach(
    autojump_clock: trio.testing.MockClock,
) -> None:
    positions = AwayPositions()
    positions.is_away = True
    owner = Owner(positions, ANN)

    known = await owner.copy.restore()
    owner.ping(ANN, 55.67)

    assert known == 0
    assert owner.lat(ANN) == 55.67


async def test_a_copy_never_moves_a_courier_back(autojump_clock: trio.testing.MockClock) -> None:
    positions = MemoryPositions()
    await positions.save(SHARD, [Spot(ANN, 55.67, CENTRE.lng, 5.0, _now())])
    await trio.sleep(3)
    owner = Owner(positions, ANN)
    owner.ping(ANN, 55.672)

    await owner.copy.restore()

    assert owner.lat(ANN) == 55.672
