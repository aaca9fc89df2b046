"""An order as it is shown: to those who ordered it, to its restaurant and to its courier.

Nobody is shown more than his part needs. A restaurant does not learn where its customers live; a
courier learns the door and the telephone while he has the order, and not before or afterwards; a
courier is known to others by his id alone.
"""

import hashlib
from collections.abc import Callable

import msgspec
from msgspec import Struct

from api.access import HIS
from api.arrivals import arrival
from api.ports import Map
from api.times import WrittenTime, rfc3339, written
from dispatch.delivery import WITH_COURIER, DeliveryStatus
from dispatch.ids import CourierId, CustomerId, Instant, OrderId, RestaurantId
from dispatch.kitchen import OrderStatus
from services.accounts.principal import Principal, Role
from storage.orders import OrderRow
from wire.orders import DropOffPlace, Line, PickupPlace, Recipient, UndeliverableAction


class CourierShown(Struct, frozen=True, kw_only=True):
    """Who brings it. He is reached through the order, not by a telephone number of his."""

    courier_id: CourierId


class OrderView(Struct, frozen=True, kw_only=True):
    """An order and how it stands, as committed last.

    `eta` is when it is expected, between `eta_low` and `eta_high` in eight of ten cases; they are
    there until it ends, and move with what happens and with the clock. `promised_at` is by when it
    was promised as it was placed, and stays. `dropoff` is left out for the restaurant.
    """

    order_id: OrderId
    delivery_id: str
    restaurant_id: RestaurantId
    customer_id: CustomerId
    external_id: str | None
    status: OrderStatus
    delivery_status: DeliveryStatus
    status_reason: str
    lines: tuple[Line, ...]
    total_minor: int | None
    currency: str | None
    pickup: PickupPlace
    dropoff: DropOffPlace | None
    recipient: Recipient | None
    undeliverable_action: UndeliverableAction
    courier: CourierShown | None
    eta: WrittenTime | None
    eta_low: WrittenTime | None
    eta_high: WrittenTime | None
    promised_at: WrittenTime | None
    created_at: WrittenTime
    wanted_at: WrittenTime | None
    ready_at: WrittenTime | None
    assigned_at: WrittenTime | None
    picked_up_at: WrittenTime | None
    completed_at: WrittenTime | None
    updated_at: WrittenTime


def order_view(row: OrderRow, principal: Principal, markets: Map, now: Instant) -> OrderView:
    """Return an order as it is shown now to somebody who may see it."""
    expected = arrival(row, markets.find_market(row.market_id), now)
    is_his = row.courier_id is not None and row.delivery_status in HIS
    sees_door = _sees_door(row, principal)
    return OrderView(
        order_id=row.order_id,
        delivery_id=delivery_id_of(row.order_id),
        restaurant_id=row.restaurant_id,
        customer_id=row.customer_id,
        external_id=row.external_id,
        status=row.status,
        delivery_status=row.delivery_status,
        status_reason=row.reason,
        lines=row.asked.lines,
        total_minor=row.total_minor,
        currency=row.currency,
        pickup=row.asked.pickup,
        dropoff=row.asked.dropoff if sees_door else None,
        recipient=row.asked.recipient if sees_door else None,
        undeliverable_action=row.asked.undeliverable_action,
        courier=CourierShown(courier_id=row.courier_id) if is_his and row.courier_id else None,
        eta=written(expected and expected.at),
        eta_low=written(expected and expected.low),
        eta_high=written(expected and expected.high),
        promised_at=written(row.asked.promised_at),
        created_at=rfc3339(row.created_at),
        wanted_at=written(row.wanted_at),
        ready_at=written(row.ready_at),
        assigned_at=written(row.assigned_at),
        picked_up_at=written(row.picked_up_at),
        completed_at=written(row.completed_at),
        updated_at=rfc3339(row.updated_at),
    )


def order_etag(row: OrderRow) -> str:
    """Return the tag of an order's state: of what moves, and nothing else of it does."""
    moving = (
        row.status,
        row.delivery_status,
        row.reason,
        row.courier_id,
        row.ready_at,
        row.updated_at,
    )
    return f'"{hashlib.blake2b(_encode(moving), digest_size=9).hexdigest()}"'


def delivery_id_of(order_id: OrderId) -> str:
    """Return the name of an order's delivery: the same one, with its own prefix."""
    return f"del_{order_id.removeprefix('ord_')}"


def order_id_of(delivery_id: str) -> OrderId:
    """Return the order whose delivery has that name; of any other name, one that no order has."""
    kind, _, rest = delivery_id.partition("_")
    return OrderId(f"ord_{rest}" if kind == "del" and rest else "")


_encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode


def _sees_door(row: OrderRow, principal: Principal) -> bool:
    match principal.role:
        case Role.RESTAURANT:
            return False
        case Role.COURIER:
            return row.delivery_status in WITH_COURIER
        case _:
            return True
