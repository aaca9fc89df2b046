"""Live positions: where a courier is, told to whoever waits for the food in his bag.

From pickup to drop-off, and no longer: what a courier carries is asked of his actor at each ping,
so that nobody is told of him before he has the order, nor after he has handed it over, nor while he
brings it back. Positions are not messages: the latest wins, and one that comes too soon after the
one before is passed over. Who may see them is not decided here.
"""

from collections.abc import Callable, Sequence
from math import inf

import trio
from msgspec import msgpack

from api.channels import position_channel
from api.ports import Live
from dispatch.courier import Courier
from dispatch.ids import CourierId, Instant, OrderId
from geo.ping import Track
from geo.positions import PositionTable
from wire.frames import Position

GAP_S = 0.2
"""Least time between two positions of a courier that are told."""

_encode = msgpack.Encoder().encode


class Tracker:
    """Tells where the couriers of one shard are, to those who wait for them."""

    __slots__ = ("_find_state", "_live", "_table", "_told_s")

    def __init__(
        self, find_state: Callable[[CourierId], object], table: PositionTable, live: Live
    ) -> None:
        """Tell over `live` of who is in the table; `find_state` gives couriers' states."""
        self._find_state = find_state
        self._table = table
        self._live = live
        self._told_s: dict[CourierId, float] = {}

    def tell(self, tracks: Sequence[Track]) -> None:
        """Tell where those are who have just been heard, if they carry anything.

        Raises ActorGone while the shard is being recovered.
        """
        now_s = trio.current_time()
        for track in tracks:
            courier_id = CourierId(track.courier)
            order_ids = self._carried(courier_id)
            if order_ids and now_s - self._told_s.get(courier_id, -inf) >= GAP_S:
                self._told_s[courier_id] = now_s
                self._publish(courier_id, order_ids)

    def forget(self, courier_id: CourierId) -> None:
        """Forget a courier who is off shift."""
        self._told_s.pop(courier_id, None)

    def _carried(self, courier_id: CourierId) -> Sequence[OrderId]:
        courier = self._find_state(courier_id)
        if not isinstance(courier, Courier) or not courier.carried:
            return ()
        return [one for one in courier.carried if one not in courier.returning]

    def _publish(self, courier_id: CourierId, order_ids: Sequence[OrderId]) -> None:
        found = self._table.find_position(courier_id)
        if found is None:
            return
        for order_id in order_ids:
            position = Position(
                order_id=order_id,
                lat=found.lat,
                lng=found.lng,
                speed_mps=found.speed_mps,
                seen_at=Instant(found.seen_at),
            )
            self._live.publish(position_channel(order_id), _encode(position))
