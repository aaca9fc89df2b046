"""What the markets have learned of how long things take, on this node and on the others.

For each shard that is hosted here a `Reckoner` listens, learns and warns; a copy of what it knows
goes to the store each minute, and the next owner goes on from there. Nodes that do not have the
shard read the copy, for whoever asks them when an order will be there. So what anybody is told may
be a minute old, and while the store is away it gets older; where nothing is known, priors hold.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import trio

from actors.ports import Clock, Feeds
from actors.shard import Shard
from api.statistics import Foretold
from dispatch.arrival import EstimatesUnreachable
from dispatch.ids import ShardId
from geo.eta import Eta
from geo.point import Floats, Point
from geo.travel import OnStreets, Open, StraightLine, TravelTimes, Ways
from node.hosting import Market
from node.learned import SAVE_S, read_kept
from node.ports import Learned
from node.reckoner import Overheard, Reckoner, ReckonerStatistics, Score
from node.tenancy import Tenancy
from streets.exact import UNREACHABLE_S
from streets.soon import STAND_IN, opened_soon
from streets.travel import NoStreets

LOOK_S = 20.0
"""Time between two looks at the orders that may be late."""
LOOKED_AT_ONCE = 16
"""Orders that are looked at before others have their turn."""
READ_S = 30.0
"""Time between two readings of what other nodes' markets have learned."""
MARKETS_MAX = 64
"""Markets whose streets are kept at hand."""


@dataclass(slots=True)
class StreetsSoon:
    """The times on the streets that rounds plan with; straight lines for as long as there are none.

    They are opened beside what goes on and asked for one way at a time, so nobody waits for them.
    Where no way joins two places the straight line stands in too: an order that waits for streets
    to be opened again is not told to come tomorrow.
    """

    streets: OnStreets
    opened: Open = opened_soon
    _found: TravelTimes = STAND_IN

    def seconds(self, a: Point, b: Point) -> float:
        """Return the travel time from `a` to `b`."""
        took_s = self._present().seconds(a, b)
        return took_s if took_s < UNREACHABLE_S else STAND_IN.seconds(a, b)

    def matrix_s(self, origins: Floats, destinations: Floats) -> Floats:
        """Return the travel times from each of (n, 2) origins to each of (m, 2) destinations."""
        times_s = self._present().matrix_s(origins, destinations)
        straight_s = STAND_IN.matrix_s(origins, destinations)
        return np.where(times_s < UNREACHABLE_S, times_s, straight_s)

    def _present(self) -> TravelTimes:
        """Return what is open by now; once that are the streets, nothing is asked for any more."""
        if self._found is STAND_IN:
            with suppress(NoStreets):
                self._found = self.opened(self.streets)
        return self._found


@lru_cache(MARKETS_MAX)
def _streets_soon(streets: OnStreets) -> StreetsSoon:
    return StreetsSoon(streets)


def way_of(travel: Ways) -> TravelTimes:
    """Return the travel times by which rides are measured; what they are off by is learned."""
    return travel if isinstance(travel, StraightLine) else _streets_soon(travel)


def _foretold(scores: Iterable[Score]) -> Foretold:
    counted = [score for score in scores if score.told]
    told = sum(score.told for score in counted)
    return Foretold(
        told=told,
        held=sum(score.held for score in counted),
        off_s_mean=round(sum(score.off_s for score in counted) / max(1, told), 1),
    )


@dataclass(slots=True)
class Estimates:
    """The estimates of all markets that this node knows."""

    store: Learned[Eta]
    clock: Clock
    shards: Callable[[], Iterable[ShardId]]
    _opening: dict[ShardId, Reckoner] = field(default_factory=dict[ShardId, Reckoner])
    _own: dict[ShardId, Reckoner] = field(default_factory=dict[ShardId, Reckoner])
    _read: dict[ShardId, Eta] = field(default_factory=dict[ShardId, Eta])

    def find(self, shard: ShardId) -> Eta:
        """Return what a market has learned, as far as it is known here."""
        own = self._own.get(shard)
        return own.eta if own else self._read.get(shard, Eta())

    def listen(self, market: Market, shard: ShardId, feeds: Feeds | None) -> Feeds:
        """Return the feeds of a shard that is about to open here, with somebody who learns."""
        reckoner = Reckoner(
            clock=self.clock,
            policy=market.policy,
            travel=way_of(market.travel),
            eta=self._read.get(shard, Eta()),
        )
        self._opening[shard] = reckoner
        return Overheard(reckoner, feeds)

    async def attend(self, shard: Shard, tenancy: Tenancy) -> None:
        """Learn and warn for as long as the shard is hosted here."""
        del tenancy
        reckoner = self._own[shard.id] = self._opening.pop(shard.id)
        try:
            has_read = await read_kept(self.store, shard.id, reckoner.go_on_from)
            reckoner.attend(shard)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_looking, reckoner)
                nursery.start_soon(self._keep_saving, shard.id, reckoner, has_read)
        finally:
            self._read[shard.id] = reckoner.eta
            if self._own.get(shard.id) is reckoner:
                del self._own[shard.id]

    async def run(self) -> None:
        """Read what the markets of other nodes have learned, until cancelled."""
        while True:
            await self.refresh()
            await trio.sleep(READ_S)

    async def refresh(self) -> None:
        """Read it now. A market that is gone is forgotten, one out of reach stays as it was."""
        shards = frozenset(self.shards())
        self._read = {shard: eta for shard, eta in self._read.items() if shard in shards}
        for shard in sorted(shards - self._own.keys()):
            if (known := await self._load(shard)) is not None:
                self._read[shard] = known

    def statistics(self) -> dict[ShardId, ReckonerStatistics]:
        """Return how the estimates of the markets did that are run here."""
        return {shard: reckoner.statistics() for shard, reckoner in self._own.items()}

    def foretold(self) -> dict[str, Foretold]:
        """Return what the estimates of all markets that are run here were worth, by phase."""
        scores: dict[str, list[Score]] = defaultdict(list)
        for reckoner in self._own.values():
            for phase, hours in reckoner.statistics().scores.items():
                scores[phase] += hours
        return {phase: _foretold(found) for phase, found in scores.items()}

    async def _load(self, shard: ShardId) -> Eta | None:
        with suppress(EstimatesUnreachable):
            return await self.store.load(shard)
        return None

    async def _keep_looking(self, reckoner: Reckoner) -> None:
        while True:
            reckoner.count()
            for place, order_id in enumerate(reckoner.followed(), start=1):
                reckoner.look(order_id)
                if place % LOOKED_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
            await trio.sleep(LOOK_S)

    async def _keep_saving(self, shard: ShardId, reckoner: Reckoner, has_read: bool) -> None:  # noqa: FBT001 - a task's.
        while True:
            await trio.sleep(SAVE_S)
            if not has_read:
                has_read = await read_kept(self.store, shard, reckoner.go_on_from)
                continue
            with suppress(EstimatesUnreachable):
                await self.store.save(shard, reckoner.eta)
