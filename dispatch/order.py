"""The order, from the customer's click to the door, with its delivery inside.

One machine holds both sides, so that a cancel and a pickup never both win (docs/decisions/0002). A
message moves the order by `ORDER_LEGAL`, the delivery by `DELIVERY_LEGAL`, or both; it is legal
when every table that knows its type allows it. A message that comes again after it did its work is
answered `Accepted` and changes nothing. Deadlines are fields of the state, named by `wakes_at`.

Messages from one actor to this one come in the order in which they were sent; those of different
actors in any order, and each may come again at any later time.

This module decides which message is followed; its words are in `dispatch.kitchen` (the restaurant's
side) and `dispatch.delivery` (the courier's), and what then follows in `dispatch.consequences`.
"""

from msgspec import Struct

from dispatch.consequences import followed, kept, reached, warned
from dispatch.delivery import (
    DELIVERY_DONE,
    DELIVERY_LEGAL,
    WITH_COURIER,
    ArriveAtDropOff,
    ArriveAtPickup,
    Assign,
    ByCourier,
    Cancel,
    Claim,
    CloseOffer,
    Delivery,
    DeliveryStatus,
    Depart,
    DepartToDropOff,
    Discard,
    Due,
    GiveUp,
    HandOver,
    HandToCustomer,
    Lapse,
    LoseCourier,
    Party,
    PickUp,
    Reject,
    Release,
    Return,
    StartReturn,
)
from dispatch.ids import CustomerId, Instant, MarketId, OrderId, RestaurantId, after
from dispatch.invitation import Claimed, Unclaimed, Withdraw
from dispatch.kitchen import (
    FINISHED,
    KITCHEN_DONE,
    ORDER_LEGAL,
    Accept,
    Delay,
    Leave,
    MarkReady,
    OrderStatus,
    Request,
    StartPreparing,
)
from dispatch.order_state import (
    DeliveryTroubled,
    Fact,
    Order,
    OrderCanceled,
    OrderDelayed,
    OrderMoved,
    OrderPlaced,
)
from dispatch.policy import Policy
from dispatch.step import Accepted, Code, Record, Reply, Step, Tell, Wake, refuse
from dispatch.undeliverable import UndeliverableAction
from geo.point import Point

__all__ = [
    "DELIVERY_LEGAL",
    "FINISHED",
    "ORDER_LEGAL",
    "Accept",
    "Delay",
    "DeliveryTroubled",
    "Expect",
    "Fact",
    "Leave",
    "MarkReady",
    "Message",
    "Order",
    "OrderCanceled",
    "OrderDelayed",
    "OrderMoved",
    "OrderPlaced",
    "OrderStatus",
    "Party",
    "Place",
    "Request",
    "StartPreparing",
    "is_finished",
    "step",
    "wakes_at",
]


class Place(Struct, frozen=True, tag="order.place", kw_only=True):
    """The customer orders. `wanted_at` is None for as soon as possible.

    `promised_at` is when he was told that it comes at the latest, None when he was told nothing.
    """

    order_id: OrderId
    market_id: MarketId
    customer_id: CustomerId
    restaurant_id: RestaurantId
    pickup: Point
    dropoff: Point
    size: int = 1
    dish_ids: tuple[str, ...] = ()
    wanted_at: Instant | None = None
    promised_at: Instant | None = None
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN


class Expect(Struct, frozen=True, tag="order.expect"):
    """The order is as likely before that instant at its door as after it; reckoned by its node."""

    at: Instant


type Message = (
    Place
    | Accept
    | Reject
    | StartPreparing
    | Delay
    | MarkReady
    | Cancel
    | Claim
    | CloseOffer
    | Assign
    | Release
    | Depart
    | ArriveAtPickup
    | PickUp
    | DepartToDropOff
    | ArriveAtDropOff
    | HandToCustomer
    | StartReturn
    | Discard
    | Return
    | LoseCourier
    | HandOver
    | Expect
    | Wake
)


def wakes_at(order: Order) -> Instant | None:
    """Return when the restaurant's, the schedule's or the courier search's time is up."""
    if order.status is OrderStatus.PLACED:
        return order.decide_by
    if order.delivery.status is DeliveryStatus.SCHEDULED:
        return order.release_at
    if order.delivery.status is DeliveryStatus.PENDING:
        return order.give_up_at
    return None


def is_finished(order: Order) -> bool:
    """Tell whether nothing can happen to the order any more."""
    return order.status in FINISHED


def step(order: Order | None, message: Message, now: Instant, policy: Policy) -> Step[Order | None]:
    """Return what the message does to the order."""
    if order is None:
        return _placed(message, now, policy) if isinstance(message, Place) else _unheard(message)
    if isinstance(message, Wake):
        return _woken(order, now, policy)
    if isinstance(message, Expect):
        return warned(order, message.at, now, policy)
    if reached(order, type(message)) is None:
        return _late(order, message)
    if isinstance(message, PickUp) and _has_it(order, message):
        return kept(order, message, now, policy)
    if code := _objection(order, message):
        return _denied(order, message, code)
    return followed(order, message, now, policy)


def _placed(place: Place, now: Instant, policy: Policy) -> Step[Order | None]:
    if place.size < 1:
        return refuse(None, Code.INVALID, "an order is at least one unit of load")
    if place.size > policy.load_max:
        return refuse(None, Code.LOAD_EXCEEDED, f"no courier carries {place.size} units")
    order = Order(
        order_id=place.order_id,
        market_id=place.market_id,
        customer_id=place.customer_id,
        restaurant_id=place.restaurant_id,
        delivery=Delivery(pickup=place.pickup),
        dropoff=place.dropoff,
        size=place.size,
        placed_at=now,
        wanted_at=place.wanted_at,
        decide_by=after(now, policy.accept_s),
        promised_at=place.promised_at,
        undeliverable_action=place.undeliverable_action,
    )
    fact = OrderPlaced(
        order_id=order.order_id,
        customer_id=order.customer_id,
        restaurant_id=order.restaurant_id,
        wanted_at=order.wanted_at,
        at=now,
        promised_at=order.promised_at,
    )
    request = Request(order_id=order.order_id, dish_ids=place.dish_ids, wanted_at=place.wanted_at)
    return Step(
        order,
        (
            Record(fact),
            Reply(Accepted()),
            Tell("restaurant", order.restaurant_id, request),
            Tell("feed", order.customer_id, fact),
        ),
    )


def _unheard(message: Message) -> Step[Order | None]:
    """Answer for an order that does not exist, so that neither an offer nor a courier waits."""
    if isinstance(message, Claim):
        return _unclaimed(None, message)
    return refuse(None, Code.NOT_FOUND, "there is no such order")


def _unclaimed(order: Order | None, claim: Claim) -> Step[Order | None]:
    return Step(order, (Tell("offer", claim.offer_id, Unclaimed(claim.order_id)),))


def _woken(order: Order, now: Instant, policy: Policy) -> Step[Order | None]:
    due = wakes_at(order)
    if due is None or now < due:
        return Step(order)
    if order.status is OrderStatus.PLACED:
        return followed(order, Lapse(), now, policy)
    if order.delivery.status is DeliveryStatus.SCHEDULED:
        return followed(order, Due(), now, policy)
    return followed(order, GiveUp(), now, policy)


def _objection(order: Order, message: Message) -> Code | None:
    """Return why this message, legal in this status, is still not to be followed."""
    match message:
        case Claim() | Release() if message.version != order.version:
            return Code.STALE_VERSION
        case Claim() if message.courier_id in order.delivery.declined_by:
            return Code.COURIER_UNAVAILABLE
        case CloseOffer() if message.offer_id != order.delivery.offer_id:
            return Code.OFFER_CLOSED
        case Assign() | ByCourier() if not _is_his(order, message):
            return Code.NOT_YOURS
        case Cancel() if message.by is Party.COURIER:
            return Code.NOT_CANCELABLE
        case Delay(int(ready_at)) | Accept(int(ready_at)) if ready_at < order.placed_at:
            return Code.INVALID
        case _:
            return None


def _has_it(order: Order, message: PickUp) -> bool:
    """Tell whether a courier from whom it was taken back had collected it before he heard."""
    return not _is_his(order, message) and order.delivery.released == (
        message.courier_id,
        message.offer_id,
    )


_SPOKEN_FOR = (LoseCourier, HandToCustomer, Discard, Return)
"""What operations may say of an order in the name of its courier: that he is done with it."""


def _is_his(order: Order, message: Assign | ByCourier) -> bool:
    """Tell whether the order is this courier's, and by the assignment that he speaks of."""
    held = order.delivery
    if message.offer_id is None:
        is_taken = held.status is not DeliveryStatus.OFFERED and isinstance(message, _SPOKEN_FOR)
        return is_taken and message.courier_id == held.courier_id
    return (message.courier_id, message.offer_id) == (held.courier_id, held.offer_id)


def _late(order: Order, message: Message) -> Step[Order | None]:
    """Answer a message that the tables do not allow: done already, or not possible any more."""
    if isinstance(message, Claim):
        return _claimed_late(order, message)
    if _is_done(order, message):
        return Step(order, (Reply(Accepted()),))
    return _denied(order, message, _why_late(order, message))


def _claimed_late(order: Order, claim: Claim) -> Step[Order | None]:
    held = order.delivery
    if held.status is DeliveryStatus.OFFERED and held.offer_id == claim.offer_id:
        return Step(order, (Tell("offer", claim.offer_id, Claimed(order.order_id)),))
    return _unclaimed(order, claim)


def _is_done(order: Order, message: Message) -> bool:
    """Tell whether the message has done its work before, and for the same courier."""
    if isinstance(message, Place):
        return _places_this(order, message)
    if isinstance(message, Assign | ByCourier) and not _is_his(order, message):
        return False
    in_kitchen = KITCHEN_DONE.get(type(message), frozenset())
    in_delivery = DELIVERY_DONE.get(type(message), frozenset())
    return order.status in in_kitchen or order.delivery.status in in_delivery


def _places_this(order: Order, place: Place) -> bool:
    return all(
        getattr(order, field) == getattr(place, field)
        for field in ("customer_id", "restaurant_id", "dropoff", "size", "wanted_at")
    )


def _why_late(order: Order, message: Message) -> Code:
    match message:
        case Place():
            return Code.ALREADY_EXISTS
        case Cancel():
            return Code.NOT_CANCELABLE
        case Assign() | ByCourier() if not _is_his(order, message):
            return Code.NOT_YOURS
        case _:
            return Code.NOT_LEGAL_NOW


def _denied(order: Order, message: Message, code: Code) -> Step[Order | None]:
    """Refuse, and see to it that neither an offer nor a courier goes on believing otherwise."""
    if isinstance(message, Claim):
        return _unclaimed(order, message)
    refused: Step[Order | None] = refuse(
        order, code, f"the order is {order.status}, its delivery {order.delivery.status}"
    )
    if not isinstance(message, Assign | ByCourier) or message.offer_id is None:
        return refused
    if _is_his(order, message) and order.delivery.status in _HELD:
        return refused
    withdraw = Withdraw(order.order_id, str(code), message.offer_id)
    return Step(order, (*refused.effects, Tell("courier", message.courier_id, withdraw)))


_HELD = WITH_COURIER | {DeliveryStatus.OFFERED}
