"""Fences around where couriers are going: their pings say when they have come there.

Only who is on his way to a restaurant or a door has a fence, around that one place. It is asked of
the position that the table believes, and the less often the further he has to ride: nearly all
pings cost no more than finding that it is too soon. Once he has stayed there his actor is told,
once for each leg, and again only if it did not take it. What is known of a fence is lost with the
node, and begins anew with the next ping.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from actors.failures import ActorGone
from actors.positions import Say
from dispatch.courier import Courier, Near
from dispatch.ids import CourierId, Instant, after
from dispatch.nearing import Target, is_noted, target_of
from geo.fence import Fencing, Presence, Sighting, Standing, seen
from geo.ping import Track
from geo.point import gap_m
from geo.positions import PositionTable

LOOK_S = 2.0
"""Least time between two looks at one courier's fence."""
LOOK_S_MAX = 15.0
"""Most time, also for who is going nowhere: he may be given something to fetch next door."""
RIDE_MPS = 25.0
"""Nobody comes near faster than that; who does is seen a moment later."""


class Watched(Struct, frozen=True, gc=False):
    """One courier's fence, and how he stood to it when it was looked at last."""

    target: Target
    presence: Presence


class Fences:
    """The fences of one shard's couriers."""

    __slots__ = ("_due_at", "_fencing", "_find_state", "_say", "_table", "_watched")

    def __init__(
        self,
        find_state: Callable[[CourierId], object],
        table: PositionTable,
        say: Say,
        fencing: Fencing,
    ) -> None:
        """Watch who is in the table; `find_state` gives couriers' states, `say` tells them."""
        self._find_state = find_state
        self._table = table
        self._say = say
        self._fencing = fencing
        self._due_at: dict[CourierId, Instant] = {}
        self._watched: dict[CourierId, Watched] = {}

    def look(self, tracks: Sequence[Track], now: Instant) -> None:
        """Look at the fences of those who have just been heard.

        Raises ActorGone while the shard is being recovered.
        """
        for track in tracks:
            courier_id = CourierId(track.courier)
            if now >= self._due_at.get(courier_id, 0):
                self._due_at[courier_id] = after(now, self._look_at(courier_id))

    def forget(self, courier_id: CourierId) -> None:
        """Forget a courier who is off shift."""
        self._due_at.pop(courier_id, None)
        self._watched.pop(courier_id, None)

    def _look_at(self, courier_id: CourierId) -> float:
        """Look at one courier's fence, and return the seconds until that is worth doing again."""
        courier = self._find_state(courier_id)
        target = target_of(courier) if isinstance(courier, Courier) else None
        if not isinstance(courier, Courier) or target is None or is_noted(courier, target):
            self._watched.pop(courier_id, None)
            return LOOK_S_MAX
        presence = self._presence(courier_id, target)
        if presence is None:
            return LOOK_S
        self._watched[courier_id] = Watched(target, presence)
        if presence.standing is Standing.THERE:
            near = Near(restaurant_id=target.restaurant_id, order_id=target.order_id)
            with suppress(ActorGone):
                self._say("courier", courier_id, near)
        ride_s = (gap_m(presence.last.point, target.point) - self._fencing.near_m) / RIDE_MPS
        return min(max(ride_s, LOOK_S), LOOK_S_MAX)

    def _presence(self, courier_id: CourierId, target: Target) -> Presence | None:
        """Return how he stands to where he is going, by where he is believed to be."""
        found = self._table.find_position(courier_id)
        if found is None:
            return None
        before = self._watched.get(courier_id)
        known = before.presence if before is not None and before.target == target else None
        sighting = Sighting(found.point, found.speed_mps, found.seen_at)
        return seen(known, target.point, sighting, self._fencing)
