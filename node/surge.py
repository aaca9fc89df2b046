"""The shortage of couriers, measured again and again where there is a surge to be decided.

For a market whose Policy allows a surge, and for each zone that is drawn for one in it, the orders
that wait for a courier are counted, the couriers who are free, and the orders that are expected by
how many came of late. The figures are told to the place's actor, which decides; nothing is decided
here, and what is remembered here (how many came) may be lost.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import exp

import numpy as np
import trio

from actors.failures import ActorGone
from actors.ports import Clock
from actors.shard import Shard
from dispatch.courier import Courier, Stage
from dispatch.delivery import DeliveryStatus
from dispatch.ids import CourierId, Instant, elapsed_s
from dispatch.matching.survey import Sightings
from dispatch.order import Order
from dispatch.surge import CALM, Measure
from dispatch.zone import Plot
from geo.point import Floats, Point
from node.atlas import Place

WAITING = frozenset({DeliveryStatus.PENDING, DeliveryStatus.OFFERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who is where at one look: waiting orders, those that are new, free couriers; (n, 2) each."""

    waiting: Floats
    came: Floats
    free: Floats


class SurgeWatch:
    """Measures one market for as long as its shard is here."""

    def __init__(
        self,
        shard: Shard,
        place: Place,
        plots: Callable[[], Sequence[Plot]],
        clock: Clock,
        sightings: Callable[[], Sightings],
    ) -> None:
        """Measure the market, and each of the `plots` that are drawn in it for a surge."""
        self._shard = shard
        self._market_id = place.row.market_id
        self._projection = place.projection
        self._surging = place.settings.policy.surging
        self._plots = plots
        self._clock = clock
        self._sightings = sightings
        self._rates_s: dict[str, float] = {}
        self._looked_at: Instant | None = None

    async def run(self) -> None:
        """Measure until cancelled; at once over where there is nothing to decide."""
        if self._surging.percent_max == CALM:
            return
        await self._shard.opening()
        self._looked_at = self._clock()
        while True:
            await trio.sleep(self._surging.measure_s)
            with suppress(ActorGone):
                self.measure()

    def measure(self) -> None:
        """Tell each place how it stands now; raises ActorGone while the shard is recovered."""
        now = self._clock()
        since = now if self._looked_at is None else self._looked_at
        crowd = crowd_of(self._orders(), self._couriers(), self._sightings(), since)
        elapsed = max(elapsed_s(since, now), 1.0)
        known, self._rates_s, self._looked_at = self._rates_s, {}, now
        for place, part in self._parts(crowd):
            rate_s = self._faded(known.get(place, 0.0), len(part.came) / elapsed, elapsed)
            self._rates_s[place] = rate_s
            self._shard.tell("surge", place, self._measure_of(place, part, rate_s, now))

    def _parts(self, crowd: Crowd) -> Sequence[tuple[str, Crowd]]:
        """Return the crowd of the whole market and of each zone in it."""
        places = [
            self._projection.to_lat_lngs(one) for one in (crowd.waiting, crowd.came, crowd.free)
        ]
        parts = [(str(self._market_id), crowd)]
        for plot in self._plots():
            inside = [one[plot.area.contains_all(one[:, 0], one[:, 1])] for one in places]
            parts.append(
                (plot.zone.zone_id, Crowd(waiting=inside[0], came=inside[1], free=inside[2]))
            )
        return parts

    def _faded(self, before_s: float, rate_s: float, elapsed: float) -> float:
        """Return orders a second, as of late; beginning at none, so that one order is no rush."""
        return before_s + (1 - exp(-elapsed / self._surging.memory_s)) * (rate_s - before_s)

    def _measure_of(self, place: str, part: Crowd, rate_s: float, now: Instant) -> Measure:
        return Measure(
            place=place,
            market_id=self._market_id,
            waiting=len(part.waiting),
            expected=rate_s * self._surging.expected_s,
            free=len(part.free),
            at=now,
        )

    def _orders(self) -> list[Order]:
        return [one for _, one in self._shard.states("order") if isinstance(one, Order)]

    def _couriers(self) -> list[Courier]:
        return [one for _, one in self._shard.states("courier") if isinstance(one, Courier)]


def crowd_of(
    orders: Sequence[Order], couriers: Sequence[Courier], sightings: Sightings, since: Instant
) -> Crowd:
    """Return who waits where for a courier, what has come up since, and who could go."""
    waiting = [one.delivery.pickup for one in orders if one.delivery.status in WAITING]
    came = [one.delivery.pickup for one in orders if _came_up(one, since)]
    free = [_seen(one, sightings) for one in couriers if _is_free(one)]
    return Crowd(waiting=_points(waiting), came=_points(came), free=_points(free))


def _came_up(order: Order, since: Instant) -> bool:
    pending_at = order.delivery.pending_at
    return pending_at is not None and pending_at > since


def _is_free(courier: Courier) -> bool:
    return courier.stage is Stage.ON and courier.offer_id is None and not courier.route


def _seen(courier: Courier, sightings: Sightings) -> Point:
    return sightings.get(CourierId(courier.courier_id), courier.point)


def _points(points: Sequence[Point]) -> Floats:
    return np.array([(one.x_m, one.y_m) for one in points], dtype=np.float64).reshape(-1, 2)
