"""Where the couriers of one hosted shard are: its position table, what it tells, and its copy.

Couriers join when they are first heard while on shift, so that nobody else can be put on the map.
On a new node the copy of the one before is read back; then the rounds see couriers as they were a
moment ago, and their own pings do the rest. What they carry is tracked (`node.tracker`), where they
are going is fenced (`node.fences`), and whether there are enough is measured (`node.surge`).
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import trio

from actors.failures import ActorGone
from actors.ports import Clock
from actors.positions import PositionFeed
from actors.shard import Shard
from api.ports import Live
from dispatch.courier import Courier, Stage
from dispatch.ids import CourierId, ShardId
from dispatch.matching.survey import Sightings
from dispatch.zone import ZoneKind
from geo.ping import Track
from geo.positions import PositionTable
from node.atlas import Atlas, Place
from node.fences import Fences
from node.ports import Positions
from node.positions import PositionCopy
from node.surge import SurgeWatch
from node.tenancy import Tenancy
from node.tracker import Tracker
from node.zones import ZoneBook

LOOK_S = 1.0
"""Time between two looks for couriers who have fallen silent."""
LOAD_S = 5.0
"""Time over which the load of a shard is measured."""
MESSAGES_S_MAX = 20_000.0
"""Messages a second that make up a whole node's load."""

_AWAY = frozenset({Stage.OFF, Stage.GONE})


class Lookout:
    """The couriers of one shard, for as long as this node hosts it."""

    def __init__(
        self,
        shard: Shard,
        place: Place,
        atlas: Atlas,
        positions: Positions,
        clock: Clock,
        live: Live | None,
    ) -> None:
        self._shard = shard
        self._clock = clock
        self._joined: set[CourierId] = set()
        self._feed = PositionFeed(
            PositionTable(place.projection),
            shard.tell,
            place.settings.policy.quiet_s,
            lambda position: atlas.beyond(shard.id, position),
        )
        self._copy = PositionCopy(shard.id, self._feed, positions, clock)
        find_state = partial(shard.find_state, "courier")
        self._tracker = Tracker(find_state, self._feed.table, live) if live else None
        fencing = place.settings.policy.fencing
        self._fences = Fences(find_state, self._feed.table, shard.tell, fencing)

    def sightings(self) -> Sightings:
        """Return where the couriers who are heard were seen last."""
        return self._feed.sightings()

    def take(self, tracks: Sequence[Track]) -> None:
        """Take pings. Those of couriers who are not on shift here are passed over."""
        with suppress(ActorGone):
            working = [track for track in tracks if self._is_working(CourierId(track.courier))]
            for courier_id in {CourierId(track.courier) for track in working} - self._joined:
                self._join(courier_id)
            self._feed.take(working, self._clock())
            self._fences.look(working, self._clock())
            if self._tracker is not None:
                self._tracker.tell(working)

    async def run(self) -> None:
        """Read the copy back, then keep it and look for the silent, until cancelled."""
        await self._shard.opening()
        self._see_who_works()
        await self._copy.restore()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._copy.run)
            nursery.start_soon(self._look)

    async def _look(self) -> None:
        while True:
            await trio.sleep(LOOK_S)
            self._see_who_works()
            self._feed.look(self._clock())

    def _see_who_works(self) -> None:
        """Have couriers join who are on shift, and leave who are not.

        A shard that is being recovered is asked the next time.
        """
        with suppress(ActorGone):
            working = self._on_shift()
            for courier_id in working - self._joined:
                self._join(courier_id)
            for courier_id in self._joined - working:
                self._joined.discard(courier_id)
                self._feed.leave(courier_id)
                self._fences.forget(courier_id)
                if self._tracker is not None:
                    self._tracker.forget(courier_id)

    def _join(self, courier_id: CourierId) -> None:
        self._joined.add(courier_id)
        self._feed.join(courier_id, self._clock())

    def _is_working(self, courier_id: CourierId) -> bool:
        return courier_id in self._joined or _is_on_shift(
            self._shard.find_state("courier", courier_id)
        )

    def _on_shift(self) -> frozenset[CourierId]:
        states = self._shard.states("courier")
        return frozenset(CourierId(key) for key, state in states if _is_on_shift(state))


def _is_on_shift(state: object) -> bool:
    return isinstance(state, Courier) and state.stage not in _AWAY


class Lookouts:
    """Looks after all hosted shards of a node: where their couriers are, and what they cost."""

    def __init__(
        self,
        atlas: Atlas,
        positions: Positions,
        clock: Clock,
        live: Live | None = None,
        zones: ZoneBook | None = None,
    ) -> None:
        """Tell over `live` where couriers are on their way to a door; measure surges by `zones`."""
        self._atlas = atlas
        self._zones = zones
        self._positions = positions
        self._clock = clock
        self._live = live
        self._lookouts: dict[ShardId, Lookout] = {}

    async def attend(self, shard: Shard, tenancy: Tenancy) -> None:
        """Look after a shard while it is hosted."""
        place = self._atlas.find_place(shard.id)
        assert place is not None
        lookout = Lookout(shard, place, self._atlas, self._positions, self._clock, self._live)
        self._lookouts[shard.id] = lookout
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lookout.run)
                nursery.start_soon(_weigh, shard, tenancy)
                if self._zones is not None:
                    plots = partial(self._zones.active, place.row.market_id, ZoneKind.SURGE)
                    watch = SurgeWatch(shard, place, plots, self._clock, lookout.sightings)
                    nursery.start_soon(watch.run)
        finally:
            del self._lookouts[shard.id]

    def sightings(self, shard: ShardId) -> Sightings:
        """Return where a shard's couriers were seen last."""
        lookout = self._lookouts.get(shard)
        return lookout.sightings() if lookout else {}

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        """Take pings of a shard's couriers; those of a shard that is not here are lost."""
        if lookout := self._lookouts.get(shard):
            lookout.take(tracks)


async def _weigh(shard: Shard, tenancy: Tenancy) -> None:
    """Measure what share of a node the shard takes, again and again."""
    before = shard.statistics().totals.messages
    while True:
        await trio.sleep(LOAD_S)
        messages = shard.statistics().totals.messages
        tenancy.load = min(1.0, (messages - before) / LOAD_S / MESSAGES_S_MAX)
        before = messages
