"""A robo-customer at the stream: follows his orders, and holds what he is shown against the rules.

He counts how old positions are when they reach him, how long an order takes from the click to the
door, and what may not happen: a position of an order that is not on its way to him. Positions and
messages come by different ways, so a position counts as stray only if it was measured well before
the pickup or well after the end, as the messages tell them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dispatch.ids import Instant, OrderId, after
from simulations.load.device import Device
from simulations.load.news import News
from simulations.load.robot import Robot
from simulations.load.tally import Tally
from wire.frames import Frame, Position, Watch

CARRIED = frozenset({"picked_up", "enroute_to_dropoff", "arrived_at_dropoff"})
ENDED = frozenset({"delivered", "canceled", "failed", "returning", "returned"})
ORDERS_MAX = 256
"""Orders that a customer remembers; the oldest are forgotten."""
EARLY_S = 10.0
"""Pings of one frame, and of one read of positions, may be from before the pickup."""
LATE_S = 3.0
NEVER = Instant(2**62)
STRAY = "position outside pickup and drop-off"


@dataclass(slots=True)
class Followed:
    """What he knows of an order; `status` is its delivery's."""

    placed_at: Instant = NEVER
    status: str = ""
    picked_up_at: Instant = NEVER
    ended_at: Instant = NEVER
    seen: list[Instant] = field(default_factory=list[Instant])
    """When the positions were measured that came before he knew of the pickup."""


class RoboCustomer(Robot):
    """One customer and his device. `moved` hears of every message that names an order."""

    path = "/v1/stream"

    def __init__(
        self, device: Device, tally: Tally, moved: Callable[[News], None] = lambda _news: None
    ) -> None:
        super().__init__(device, tally)
        self.orders: dict[str, Followed] = {}
        self._moved = moved
        self._watches: list[Watch] = []

    @property
    def acts_at(self) -> Instant:
        """He only looks on."""
        return NEVER

    def placed(self, order_id: str, at: Instant) -> None:
        """Know of an order of his own; its messages may have come before its answer."""
        order = self._order(order_id)
        order.placed_at = at
        self._time_delivery(order)

    def welcomed(self, now: Instant) -> None:
        """Watch again what is on its way, which nobody tells him twice."""
        del now
        on_their_way = [key for key, order in self.orders.items() if order.status in CARRIED]
        self._watches = [Watch(order_id=OrderId(order_id)) for order_id in on_their_way]

    def says(self, now: Instant) -> Iterator[Frame]:
        """Yield what he wants to watch."""
        del now
        yield from self._watches
        self._watches = []

    def learns(self, news: News, now: Instant) -> None:
        """Hear how an order stands."""
        del now
        if not news.order_id:
            return
        order = self._order(news.order_id)
        order.status = news.delivery_status or order.status
        if order.status in CARRIED and order.picked_up_at == NEVER:
            order.picked_up_at = news.at
            self._judge(order, order.seen)
        if order.status in ENDED and order.ended_at == NEVER:
            order.ended_at = news.at
            self.tally.count(f"orders {order.status}")
            self._time_delivery(order)
            if order.picked_up_at == NEVER:
                self._judge(order, order.seen)
        self._moved(news)

    def sees(self, position: Position, now: Instant) -> None:
        """See a courier, and note how long ago he was there."""
        self.tally.count("positions")
        self.tally.time("ping_to_frame", now - position.seen_at)
        order = self._order(position.order_id)
        if order.picked_up_at == NEVER and order.ended_at == NEVER:
            order.seen = [*order.seen, position.seen_at][-ORDERS_MAX:]
        else:
            self._judge(order, [position.seen_at])

    def close(self) -> None:
        """Tell what was wrong; what never came to a pickup had no business to be seen."""
        for order in self.orders.values():
            if order.picked_up_at == NEVER:
                self._judge(order, order.seen)
        super().close()

    def _judge(self, order: Followed, seen: list[Instant]) -> None:
        """Count the positions that were none of his business."""
        for seen_at in seen:
            if not after(order.picked_up_at, -EARLY_S) <= seen_at <= after(order.ended_at, LATE_S):
                self.tally.fail(STRAY)
        order.seen = []

    def _time_delivery(self, order: Followed) -> None:
        if order.status == "delivered" and order.placed_at != NEVER:
            self.tally.time("click_to_door", order.ended_at - order.placed_at)

    def _order(self, order_id: str) -> Followed:
        if order_id not in self.orders and len(self.orders) >= ORDERS_MAX:
            del self.orders[next(iter(self.orders))]
        return self.orders.setdefault(order_id, Followed())
