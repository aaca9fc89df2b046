"""Couriers who cross from shard to shard, on the production kind: once, and never nowhere."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import Sequence

import trio
import trio.testing

from actors.courier import courier_kind
from actors.life import Ports
from actors.limits import Limits
from actors.ports import Parcel
from actors.shard import Shard
from dispatch.courier import Courier, Cross, Stage, StartShift
from dispatch.ids import CourierId, MarketId, ShardId, after
from dispatch.policy import Policy
from dispatch.step import Accepted, Code, Refused
from geo.point import Point
from tests.actors.stage import HeldJournal, clock, running, settled

WEST, EAST = ShardId(1), ShardId(2)
PIA = CourierId("crr_pia")


class Post:
    """A relay between shards of this process that may lose parcels, or bring them twice."""

    def __init__(self, *, losses: int = 0, copies: int = 1) -> None:
        self.shards: dict[ShardId, Shard] = {}
        self._losses, self._copies = losses, copies

    def send(self, target: ShardId, parcel: Parcel) -> None:
        if self._losses > 0:
            self._losses -= 1
            return
        for _ in range(self._copies):
            self.shards[target].deliver(parcel)

    def settle(self, source: ShardId, sequence: int) -> None:
        self.shards[source].settle(sequence)


def shards_on(journals: Sequence[HeldJournal], post: Post) -> list[Shard]:
    """Return a shard on each journal, all reached by the post."""
    for number, journal in zip((WEST, EAST), journals, strict=True):
        ports = Ports(journal=journal, clock=clock, relay=post)
        limits = Limits(resend_s=2, idle_s=None)
        post.shards[number] = Shard(number, [courier_kind(Policy())], ports, limits)
    return list(post.shards.values())


async def begun(west: Shard) -> None:
    """Let Pia begin her shift in the west."""
    shift = StartShift(
        courier_id=PIA,
        market_id=MarketId("west"),
        point=Point(0, 0),
        ends_at=after(clock(), 36_000),
        load_max=4,
    )
    assert await west.ask("courier", PIA, shift, 1) == Accepted()


def stages(shards: Sequence[Shard]) -> list[Stage | None]:
    """Return the stage of Pia in each shard."""
    found = [dict(shard.states("courier")).get(PIA) for shard in shards]
    return [one.stage if isinstance(one, Courier) else None for one in found]


async def outboxes(journals: Sequence[HeldJournal]) -> int:
    """Return how much no shard has settled."""
    opened = [await one.store.open(at) for at, one in zip((WEST, EAST), journals, strict=True)]
    return sum(len(taken.outbox) for taken in opened)


CROSS = Cross(EAST, MarketId("east"), Point(5, 5))


async def test_a_courier_crosses_and_whoever_asks_in_the_west_is_sent_east(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journals = (HeldJournal(), HeldJournal())
    shards = shards_on(journals, Post())

    async with running(*shards):
        await begun(shards[0])
        answer = await shards[0].ask("courier", PIA, CROSS, 1)
        await settled(shards[1])
        found = stages(shards)
        again = await shards[0].ask(
            "courier", PIA, Cross(ShardId(3), MarketId("x"), Point(0, 0)), 1
        )

    assert answer == Accepted()
    assert found == [Stage.GONE, Stage.ON]
    assert again == Refused(Code.MOVED, f"{EAST}")
    assert await outboxes(journals) == 0


async def test_a_crossing_whose_parcel_is_lost_or_comes_twice_happens_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journals = (HeldJournal(), HeldJournal())
    shards = shards_on(journals, Post(losses=3, copies=2))

    async with running(*shards):
        await begun(shards[0])
        await shards[0].ask("courier", PIA, CROSS, 1)
        await trio.sleep(20)
        found = stages(shards)
    facts = await journals[1].store.history("courier", PIA)

    assert found == [Stage.GONE, Stage.ON]
    assert len(facts) == 1
    assert await outboxes(journals) == 0


async def test_a_crash_right_after_leaving_does_not_lose_the_courier(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journals = (HeldJournal(), HeldJournal())
    before = shards_on(journals, Post(losses=1_000))

    async with running(*before):
        await begun(before[0])
        await before[0].ask("courier", PIA, CROSS, 1)
        lost = stages(before)
    after_it = shards_on(journals, Post())
    async with running(*after_it):
        await trio.sleep(10)
        found = stages(after_it)

    assert lost == [Stage.GONE, None]
    assert found == [Stage.GONE, Stage.ON]
