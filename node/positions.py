"""The failover copy of a shard's position table: what changed goes out each second, and comes back.

The table is the truth and the copy only shortens the moment after a failover in which nobody knows
where the couriers are. So a server that is away stops nothing: what could not be written waits for
the next second, the newest of each courier, and pings fill a table that could not be restored.
"""

from contextlib import suppress

import trio

from actors.ports import Clock
from actors.positions import PositionFeed
from dispatch.ids import CourierId, Instant, ShardId
from dispatch.spot import PositionsUnreachable, Spot
from geo.ping import Ping, Track
from geo.positions import TRACKS_MAX
from node.ports import Positions

SAVE_S = 1.0
"""Time between two savings."""


class PositionCopy:
    """The copy of one shard's positions."""

    __slots__ = ("_clock", "_feed", "_positions", "_shard", "_unsaved")

    def __init__(
        self, shard: ShardId, feed: PositionFeed, positions: Positions, clock: Clock
    ) -> None:
        """Copy the table of `feed` to `positions`."""
        self._shard = shard
        self._feed = feed
        self._positions = positions
        self._clock = clock
        self._unsaved: dict[CourierId, Spot] = {}

    async def restore(self) -> int:
        """Feed the copy to the table; return how many couriers it knew, 0 if it is out of reach.

        Only couriers who have joined are taken, so have those on shift join before.
        """
        spots: tuple[Spot, ...] = ()
        with suppress(PositionsUnreachable):
            spots = await self._positions.load(self._shard)
        tracks = [_track(spot) for spot in spots]
        for start in range(0, len(tracks), TRACKS_MAX):
            self._feed.take(tracks[start : start + TRACKS_MAX], self._clock())
        return len(tracks)

    async def run(self) -> None:
        """Save what has changed, each second until cancelled."""
        while True:
            await trio.sleep(SAVE_S)
            await self.save()

    async def save(self) -> None:
        """Save what has changed since the last time, or keep it for the next; one at a time."""
        spots = self._unsaved | {spot.courier_id: spot for spot in self._changed()}
        if not spots:
            return
        try:
            await self._positions.save(self._shard, tuple(spots.values()))
            self._unsaved = {}
        except PositionsUnreachable:
            self._unsaved = spots

    def _changed(self) -> list[Spot]:
        drained = self._feed.table.drain()
        columns = (drained.lat, drained.lng, drained.speed_mps, drained.seen_at)
        rows = zip(drained.couriers, *[column.tolist() for column in columns], strict=True)
        return [
            Spot(CourierId(courier), lat, lng, speed_mps, Instant(seen_at))
            for courier, lat, lng, speed_mps, seen_at in rows
        ]


def _track(spot: Spot) -> Track:
    return Track(spot.courier_id, (Ping(spot.lat, spot.lng, spot.speed_mps, spot.seen_at),))
