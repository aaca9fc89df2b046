"""Pings of all sessions reach each shard together, a moment later."""

from collections.abc import Sequence

import trio
from trio.testing import MockClock

from api.pings import GATHER_S, TRACKS_MAX, PingGatherer
from dispatch.ids import CourierId, ShardId
from geo.ping import Ping, Track

ANN, BOB = CourierId("crr_ann"), CourierId("crr_bob")
PING = Ping(55.0, 12.0, 4.0, 1)


class Shards:
    """What each shard was brought, and when."""

    def __init__(self) -> None:
        self.taken: list[tuple[float, ShardId, list[Track]]] = []
        self._start_s = trio.current_time()

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        at_s = round(trio.current_time() - self._start_s, 3)
        self.taken.append((at_s, shard, list(tracks)))


async def test_pings_are_gathered_by_shard_for_a_moment(
    autojump_clock: MockClock,  # noqa: ARG001 - it works as an argument only.
) -> None:
    shards = Shards()
    pings = PingGatherer(shards.take)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pings.run)
        await trio.sleep(1)
        pings.add(ShardId(1), ANN, (PING,))
        await trio.sleep(GATHER_S / 2)
        pings.add(ShardId(2), BOB, (PING, PING))
        pings.add(ShardId(1), BOB, (PING,))
        await trio.sleep(1)
        pings.add(ShardId(1), ANN, (PING,))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    assert shards.taken == [
        (1 + GATHER_S, 1, [Track(ANN, (PING,)), Track(BOB, (PING,))]),
        (1 + GATHER_S, 2, [Track(BOB, (PING, PING))]),
        (2.06, 1, [Track(ANN, (PING,))]),
    ]
    assert (pings.taken, pings.lost) == (5, 0)


async def test_what_comes_while_too_many_wait_is_lost() -> None:
    pings = PingGatherer(Shards().take)

    for _ in range(TRACKS_MAX + 3):
        pings.add(ShardId(1), ANN, (PING,))

    assert (pings.taken, pings.lost) == (TRACKS_MAX, 3)
