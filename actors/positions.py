"""The position feed: pings go into the table, and only what means something is told to a courier.

A ping costs no message. When a courier enters another cell, falls silent for longer than Policy
allows, or is heard again after that, his actor is told, once; so is, at each new cell, one who has
come into the land of another shard. The table is asked for the silent ones by whoever keeps time,
once a second by custom.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from actors.failures import ActorGone
from dispatch.courier import Cross, GoQuiet, Hear, Move
from dispatch.ids import CourierId, Instant, after
from dispatch.step import Refused
from geo.ping import Track
from geo.point import Point
from geo.position import Position
from geo.positions import PositionTable

type Say = Callable[[str, str, Struct], Refused | None]
type Beyond = Callable[[Position], Cross | None]
"""Tells whoever has come into the land of another shard to cross; None for those at home."""


class PositionFeed:
    """The pings of one market's couriers, on their way into its table."""

    __slots__ = ("_beyond", "_quiet", "_quiet_s", "_say", "table")

    def __init__(
        self,
        table: PositionTable,
        say: Say,
        quiet_s: float,
        beyond: Beyond = lambda _position: None,
    ) -> None:
        """Feed `table`, telling couriers' actors through `say`; silence begins at `quiet_s`."""
        self._beyond = beyond
        self.table = table
        self._say = say
        self._quiet_s = quiet_s
        self._quiet: set[CourierId] = set()

    def join(self, courier_id: CourierId, now: Instant) -> None:
        """Take a courier in who begins his shift."""
        self._quiet.discard(courier_id)
        self.table.join(courier_id, now)

    def leave(self, courier_id: CourierId) -> None:
        """Let a courier go who is off shift."""
        self.table.leave(courier_id)
        self._quiet.discard(courier_id)

    def take(self, tracks: Sequence[Track], now: Instant) -> None:
        """Take what the couriers' frames brought, in the order they came."""
        changes = self.table.apply(tracks, now)
        for change in changes.cell_changed:
            if position := self.table.find_position(change.courier):
                told = self._beyond(position) or Move(position.point)
                self._told(CourierId(change.courier), told)
        if self._quiet:
            self._hear(tracks, now)

    def look(self, now: Instant) -> None:
        """Find the couriers who have fallen silent since the last look."""
        for courier in self.table.quiet_since(after(now, -self._quiet_s)):
            courier_id = CourierId(courier)
            if courier_id not in self._quiet and self._told(courier_id, GoQuiet()):
                self._quiet.add(courier_id)

    def sightings(self) -> dict[CourierId, Point]:
        """Return where the couriers who are heard were seen last."""
        slots, points = self.table.located()
        seen = zip(self.table.couriers_in(slots), points.tolist(), strict=True)
        return {
            CourierId(courier): Point(x_m, y_m)
            for courier, (x_m, y_m) in seen
            if courier is not None and courier not in self._quiet
        }

    def _hear(self, tracks: Sequence[Track], now: Instant) -> None:
        silent = frozenset(self.table.quiet_since(after(now, -self._quiet_s)))
        for track in tracks:
            courier_id = CourierId(track.courier)
            is_back = courier_id in self._quiet and courier_id not in silent
            if is_back and self._told(courier_id, Hear()):
                self._quiet.remove(courier_id)

    def _told(self, courier_id: CourierId, message: Struct) -> bool:
        """Tell the courier's actor; what was not taken is told again at the next look or ping."""
        with suppress(ActorGone):
            return self._say("courier", courier_id, message) is None
        return False
