"""Orders and couriers of their usual size, and the work that a benchmark of durability gives them.

The states are those of production, the machines are not: an order only moves on to its next status,
which costs the kernel little, so that what is measured is what a commit costs. Each command to an
order changes it, records a fact and tells its customer; three in four also tell its courier, who
changes too. That is 1.75 transitions and 5.75 rows a command: the checkpoints, a fact, a feed
message, and the rows of the order and its delivery. Couriers' rows do not change.
"""

from msgspec import Struct, structs

from actors.codec import encode
from actors.kind import AnyKind, Kind
from dispatch.courier_state import Courier, Stage
from dispatch.delivery import Delivery, DeliveryStatus
from dispatch.ids import (
    CourierId,
    CustomerId,
    Instant,
    MarketId,
    OfferId,
    OrderId,
    RestaurantId,
)
from dispatch.journal import Checkpoint
from dispatch.kitchen import OrderStatus
from dispatch.order_state import Order, OrderMoved
from dispatch.route import Task, trip
from dispatch.step import Accepted, Record, Reply, Step, Tell
from geo.point import Point

NOW = Instant(1_790_000_000_000)
FAR = Instant(NOW + 86_400_000)
MARKET = MarketId("mkt_bench")
HOME = Point(1_250.5, 2_480.25)
DOOR = Point(3_100.75, 980.5)
TOLD_EVERY = 4
"""Of so many versions of an order, its courier is told of all but one."""
STATUSES = tuple(DeliveryStatus)


class Advance(Struct, frozen=True, tag="advance"):
    """Move the order on."""


class Note(Struct, frozen=True, tag="note"):
    """Tell the courier that one of his orders moved."""

    order_id: OrderId


ADVANCE = Advance()


def order_key(number: int) -> OrderId:
    """Return the id of an order, like those of production."""
    return OrderId(f"ord_01k{number:023d}")


def courier_key(number: int) -> CourierId:
    """Return the id of a courier, like those of production."""
    return CourierId(f"crr_01k{number:023d}")


def order(number: int, couriers: int) -> Order:
    """Return an order that a courier has."""
    return Order(
        order_id=order_key(number),
        market_id=MARKET,
        customer_id=CustomerId(f"cus_01k{number:023d}"),
        restaurant_id=RestaurantId(f"rst_01k{number % 300:023d}"),
        status=OrderStatus.PREPARING,
        delivery=Delivery(
            status=DeliveryStatus.ASSIGNED,
            pickup=HOME,
            offer_id=OfferId(f"ofr_01k{number:023d}"),
            courier_id=courier_key(number % couriers),
            pending_at=NOW,
            assigned_at=NOW,
        ),
        dropoff=DOOR,
        size=1,
        placed_at=NOW,
        wanted_at=None,
        decide_by=FAR,
        ready_at=FAR,
        give_up_at=FAR,
    )


def courier(number: int) -> Courier:
    """Return a courier with two orders to carry."""
    tasks = tuple(
        Task(
            order_id=order_key(2 * number + at),
            restaurant_id=RestaurantId(f"rst_01k{number % 300:023d}"),
            pickup=HOME,
            dropoff=DOOR,
            offer_id=OfferId(f"ofr_01k{number:023d}"),
        )
        for at in range(2)
    )
    return Courier(
        courier_id=courier_key(number),
        market_id=MARKET,
        stage=Stage.ON,
        ends_at=FAR,
        load_max=4,
        point=HOME,
        leaves_at=NOW,
        route=trip(tasks),
        tasks=tasks,
    )


def kinds() -> tuple[AnyKind, AnyKind]:
    """Return the kinds of the benchmark."""
    return (
        Kind(name="order", step=_advance, state_type=Order, message_type=Advance),
        Kind(name="courier", step=_note, state_type=Courier, message_type=Note),
    )


def checkpoints(orders: int, couriers: int) -> list[Checkpoint]:
    """Return the states that a market of this size has."""
    return [
        *(_checkpoint("order", order_key(at), order(at, couriers)) for at in range(orders)),
        *(_checkpoint("courier", courier_key(at), courier(at)) for at in range(couriers)),
    ]


def _checkpoint(kind: str, key: str, state: Struct) -> Checkpoint:
    return Checkpoint(kind, key, encode(state))


def _advance(before: Order | None, message: Advance, now: Instant) -> Step[Order | None]:
    del message
    assert before is not None, "a benchmark seeds its orders"
    delivery = before.delivery
    version = before.version + 1
    moved = structs.replace(delivery, status=STATUSES[version % len(STATUSES)])
    fact = OrderMoved(
        order_id=before.order_id,
        status=before.status,
        delivery_status=moved.status,
        courier_id=moved.courier_id,
        ready_at=before.ready_at,
        reason="",
        at=now,
    )
    said = (Record(fact), Reply(Accepted()), Tell("feed", before.customer_id, fact))
    after = structs.replace(before, delivery=moved, version=version)
    if version % TOLD_EVERY == 0 or moved.courier_id is None:
        return Step(after, said)
    return Step(after, (*said, Tell("courier", moved.courier_id, Note(before.order_id))))


def _note(before: Courier | None, message: Note, now: Instant) -> Step[Courier | None]:
    assert before is not None, "a benchmark seeds its couriers"
    assert message.order_id, message
    return Step(structs.replace(before, leaves_at=now, version=before.version + 1))
