"""The pings of all sessions of this node, on their way to the shards of their couriers.

They are gathered for a moment and taken to each shard in one batch, because a batch costs little
more than a ping does. What comes while too many wait is lost: the next ping says it again.
"""

from collections.abc import Callable, Sequence

import trio

from dispatch.ids import CourierId, ShardId
from geo.ping import Ping, Track

GATHER_S = 0.04
"""Time for which pings are gathered; a customer sees his courier so much later at most."""
TRACKS_MAX = 20_000
"""Tracks that wait for one shard: far more than one node's couriers send in that time."""

type Take = Callable[[ShardId, Sequence[Track]], None]


class PingGatherer:
    """Gathers tracks by shard and takes them there."""

    __slots__ = ("_has_some", "_take", "_waiting", "lost", "taken")

    def __init__(self, take: Take) -> None:
        """Bring the tracks of a shard there by `take`."""
        self._take = take
        self._waiting: dict[ShardId, list[Track]] = {}
        self._has_some = trio.Event()
        self.taken = self.lost = 0

    def add(self, shard: ShardId, courier_id: CourierId, pings: tuple[Ping, ...]) -> None:
        """Take a frame's pings of a courier along."""
        tracks = self._waiting.get(shard)
        if tracks is None:
            tracks = self._waiting[shard] = []
            self._has_some.set()
        if len(tracks) >= TRACKS_MAX:
            self.lost += len(pings)
            return
        tracks.append(Track(courier_id, pings))
        self.taken += len(pings)

    async def run(self) -> None:
        """Bring what has been gathered, again and again, until cancelled."""
        while True:
            await self._has_some.wait()
            await trio.sleep(GATHER_S)
            waiting, self._waiting = self._waiting, {}
            self._has_some = trio.Event()
            for shard, tracks in waiting.items():
                self._take(shard, tracks)
