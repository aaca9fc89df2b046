"""What is known of one order, and the facts it leaves in the journal.

The state carries its own deadlines; `dispatch.order.wakes_at` reads them. What the machine does is
told by `dispatch.order` (what is heard) and `dispatch.consequences` (what follows).
"""

from msgspec import Struct

from dispatch.delivery import Delivery, DeliveryStatus, Party
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId
from dispatch.kitchen import OrderStatus
from dispatch.undeliverable import UndeliverableAction
from geo.point import Point


class Order(Struct, frozen=True, kw_only=True):
    """One order. `version` counts the changes of its delivery that a round must know of.

    `decide_by` is the restaurant's time to answer, `release_at` when dispatch takes a scheduled
    order up, `give_up_at` when an order that nobody has picked up is canceled. `promised_at` is by
    when the customer was told that it comes, `warned_for` the later time he was warned of since.
    """

    order_id: OrderId
    market_id: MarketId
    customer_id: CustomerId
    restaurant_id: RestaurantId
    status: OrderStatus = OrderStatus.PLACED
    delivery: Delivery
    dropoff: Point
    size: int
    placed_at: Instant
    wanted_at: Instant | None
    decide_by: Instant
    ready_at: Instant | None = None
    said_at: Instant | None = None
    release_at: Instant | None = None
    give_up_at: Instant | None = None
    reason: str = ""
    version: int = 0
    promised_at: Instant | None = None
    warned_for: Instant | None = None
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN


class OrderPlaced(Struct, frozen=True, tag="order_placed", kw_only=True):
    """A fact: the customer ordered."""

    order_id: OrderId
    customer_id: CustomerId
    restaurant_id: RestaurantId
    wanted_at: Instant | None
    at: Instant
    promised_at: Instant | None = None


class OrderMoved(Struct, frozen=True, tag="order_moved", kw_only=True):
    """A fact: the order or its delivery reached another status, or its times changed."""

    order_id: OrderId
    status: OrderStatus
    delivery_status: DeliveryStatus
    courier_id: CourierId | None
    ready_at: Instant | None
    reason: str
    at: Instant


class OrderCanceled(Struct, frozen=True, tag="order_canceled", kw_only=True):
    """A fact: the order ends without food, and whether its customer owes nothing for it.

    Each order that was accepted ends with exactly one of two facts: that it was completed, and is
    owed whole, or this one. It is free when it is called off before a courier was bound, or by
    anybody but the customer, and when the food was spoiled or lost; it is not when its courier has
    waited at the door in vain.
    """

    order_id: OrderId
    by: Party
    reason: str
    is_free: bool
    at: Instant


class DeliveryTroubled(Struct, frozen=True, tag="delivery_troubled", kw_only=True):
    """A fact: the food is with a courier who cannot be counted on; operations should look."""

    order_id: OrderId
    courier_id: CourierId
    reason: str
    at: Instant


class OrderDelayed(Struct, frozen=True, tag="order_delayed", kw_only=True):
    """A fact: it is expected later than the customer was promised, or warned of the last time."""

    order_id: OrderId
    restaurant_id: RestaurantId
    promised_at: Instant
    expected_at: Instant
    at: Instant


type Fact = OrderPlaced | OrderMoved | OrderCanceled | DeliveryTroubled | OrderDelayed
