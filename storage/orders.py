"""The tables of orders and deliveries, made from the orders' own states in the commit itself.

People and reports ask these tables; nothing is decided by them. They hold what was committed last,
because a batch that changes an order writes its row with it.
"""

from collections.abc import Iterable

from msgspec import msgpack

from dispatch.journal import Checkpoint
from dispatch.order_state import Order

KIND = "order"
_decode = msgpack.Decoder(Order).decode


def order_columns(checkpoints: Iterable[Checkpoint]) -> list[list[object]]:
    """Return the columns of the orders among the checkpoints, as `commit_batch` takes them."""
    orders = [_decode(row.state) for row in checkpoints if row.kind == KIND]
    deliveries = [order.delivery for order in orders]
    return [
        [order.order_id for order in orders],
        [order.market_id for order in orders],
        [order.customer_id for order in orders],
        [order.restaurant_id for order in orders],
        [delivery.courier_id for delivery in deliveries],
        [order.status for order in orders],
        [order.reason for order in orders],
        [order.placed_at for order in orders],
        [order.wanted_at for order in orders],
        [order.ready_at for order in orders],
        [delivery.status for delivery in deliveries],
        [delivery.assigned_at for delivery in deliveries],
        [delivery.picked_up_at for delivery in deliveries],
        [delivery.ended_at for delivery in deliveries],
    ]
