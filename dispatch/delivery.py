"""Delivery: the courier's side of an order.

A delivery lives inside its order's state (docs/decisions/0002), so that what the customer cancels
and what the courier picks up are decided by one machine in one sequence. This module holds its
statuses, its messages and the table of its legal changes; `dispatch.kitchen` holds the other side.

Every assignment is named by the offer that led to it. What a courier says of an order carries that
name, so that a word from an earlier assignment is never taken for one from the present, not even
when both are the same courier's. The messages `Due`, `GiveUp` and `Lapse` are never sent: they name
the moments at which a deadline of the state has come.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from dispatch.ids import CourierId, Instant, OfferId, OrderId
from geo.point import Point

DECLINED_MAX = 64


class DeliveryStatus(StrEnum):
    """Where the courier's side stands. Wire names; never renamed."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    OFFERED = "offered"
    ASSIGNED = "assigned"
    ENROUTE_TO_PICKUP = "enroute_to_pickup"
    ARRIVED_AT_PICKUP = "arrived_at_pickup"
    PICKED_UP = "picked_up"
    ENROUTE_TO_DROPOFF = "enroute_to_dropoff"
    ARRIVED_AT_DROPOFF = "arrived_at_dropoff"
    DELIVERED = "delivered"
    CANCELED = "canceled"
    FAILED = "failed"
    RETURNING = "returning"
    RETURNED = "returned"


class Party(StrEnum):
    """Who may act on an order."""

    CUSTOMER = "customer"
    RESTAURANT = "restaurant"
    COURIER = "courier"
    SUPPORT = "support"
    SYSTEM = "system"


class Claim(Struct, frozen=True, tag="order.claim", kw_only=True):
    """An offer asks to have this order for a courier; answered to the offer."""

    offer_id: OfferId
    order_id: OrderId
    courier_id: CourierId
    version: int


class CloseOffer(Struct, frozen=True, tag="order.close_offer"):
    """The offer ended without a courier; `declined_by` is set when one said no."""

    offer_id: OfferId
    declined_by: CourierId | None = None


class Assign(Struct, frozen=True, tag="order.assign"):
    """The courier took the offer: the order is his."""

    offer_id: OfferId
    courier_id: CourierId


class Release(Struct, frozen=True, tag="order.release"):
    """Take the order back from its courier before pickup; a round or operations found better."""

    version: int


class ByCourier(Struct, frozen=True, kw_only=True):
    """What a courier says of an order he holds, and by which offer it became his.

    Without an `offer_id` operations speak for him: that he is lost, or that the order has ended.
    """

    courier_id: CourierId
    offer_id: OfferId | None = None


class Depart(ByCourier, frozen=True, tag="order.depart"):
    """The courier set out for the restaurant."""


class ArriveAtPickup(ByCourier, frozen=True, tag="order.arrive_at_pickup"):
    """The courier is at the restaurant."""


class PickUp(ByCourier, frozen=True, tag="order.pick_up"):
    """The courier has the food."""


class DepartToDropOff(ByCourier, frozen=True, tag="order.depart_to_drop_off"):
    """The courier set out for the customer's door."""


class ArriveAtDropOff(ByCourier, frozen=True, tag="order.arrive_at_drop_off"):
    """The courier is at the door."""


class HandToCustomer(ByCourier, frozen=True, tag="order.hand_to_customer"):
    """The customer has the food, or it was left at the door as agreed."""

    left_at_door: bool = False


class StartReturn(ByCourier, frozen=True, tag="order.start_return"):
    """It could not be handed over: the courier brings it back to the restaurant."""

    reason: str


class Discard(ByCourier, frozen=True, tag="order.discard"):
    """There is nothing to bring back, or it is not worth the way.

    The courier `has_waited` at the door in vain, unless the food was spoiled or is lost.
    """

    reason: str
    has_waited: bool = False


class Return(ByCourier, frozen=True, tag="order.return"):
    """The food is back at the restaurant."""


class LoseCourier(ByCourier, frozen=True, tag="order.lose_courier"):
    """The courier has gone quiet or off shift: before pickup the order is freed from him."""

    reason: str


class HandOver(Struct, frozen=True, tag="order.hand_over"):
    """Operations have another courier fetch the food, at `point`, from the one who carries it."""

    point: Point


class Due(Struct, frozen=True, tag="order.due"):
    """The time to look for a courier has come."""


class GiveUp(Struct, frozen=True, tag="order.give_up"):
    """Nobody could be found for it in time."""


class Cancel(Struct, frozen=True, tag="order.cancel"):
    """One of the parties calls it off."""

    by: Party
    reason: str = ""


class Reject(Struct, frozen=True, tag="order.reject"):
    """The restaurant will not cook it."""

    reason: str


class Lapse(Struct, frozen=True, tag="order.lapse"):
    """The restaurant let its time to answer pass."""


_S = DeliveryStatus
_BEFORE_PICKUP: Mapping[type[Struct], DeliveryStatus] = {
    PickUp: _S.PICKED_UP,
    Release: _S.PENDING,
    LoseCourier: _S.PENDING,
    Cancel: _S.CANCELED,
}
_IN_THE_BAG: Mapping[type[Struct], DeliveryStatus] = {
    HandToCustomer: _S.DELIVERED,
    StartReturn: _S.RETURNING,
    Discard: _S.FAILED,
    HandOver: _S.PENDING,
}

DELIVERY_LEGAL: Mapping[DeliveryStatus, Mapping[type[Struct], DeliveryStatus]] = {
    _S.SCHEDULED: {
        Due: _S.PENDING,
        Cancel: _S.CANCELED,
        Reject: _S.CANCELED,
        Lapse: _S.CANCELED,
    },
    # A courier it was just taken from may have it in his bag already.
    _S.PENDING: {
        Claim: _S.OFFERED,
        PickUp: _S.PICKED_UP,
        Cancel: _S.CANCELED,
        GiveUp: _S.CANCELED,
    },
    # A courier who took the offer may be heard before the offer itself is.
    _S.OFFERED: {
        Assign: _S.ASSIGNED,
        CloseOffer: _S.PENDING,
        Depart: _S.ENROUTE_TO_PICKUP,
        ArriveAtPickup: _S.ARRIVED_AT_PICKUP,
        PickUp: _S.PICKED_UP,
        LoseCourier: _S.PENDING,
        Cancel: _S.CANCELED,
    },
    _S.ASSIGNED: {
        Depart: _S.ENROUTE_TO_PICKUP,
        ArriveAtPickup: _S.ARRIVED_AT_PICKUP,
        **_BEFORE_PICKUP,
    },
    _S.ENROUTE_TO_PICKUP: {ArriveAtPickup: _S.ARRIVED_AT_PICKUP, **_BEFORE_PICKUP},
    _S.ARRIVED_AT_PICKUP: _BEFORE_PICKUP,
    _S.PICKED_UP: {
        DepartToDropOff: _S.ENROUTE_TO_DROPOFF,
        ArriveAtDropOff: _S.ARRIVED_AT_DROPOFF,
        LoseCourier: _S.PICKED_UP,
        **_IN_THE_BAG,
    },
    _S.ENROUTE_TO_DROPOFF: {
        ArriveAtDropOff: _S.ARRIVED_AT_DROPOFF,
        LoseCourier: _S.ENROUTE_TO_DROPOFF,
        **_IN_THE_BAG,
    },
    _S.ARRIVED_AT_DROPOFF: {LoseCourier: _S.ARRIVED_AT_DROPOFF, **_IN_THE_BAG},
    _S.RETURNING: {Return: _S.RETURNED, Discard: _S.FAILED, LoseCourier: _S.RETURNING},
    _S.DELIVERED: {},
    _S.CANCELED: {},
    _S.FAILED: {},
    _S.RETURNED: {},
}

BEFORE_PICKUP = frozenset({_S.ASSIGNED, _S.ENROUTE_TO_PICKUP, _S.ARRIVED_AT_PICKUP})
AFTER_PICKUP = frozenset({_S.PICKED_UP, _S.ENROUTE_TO_DROPOFF, _S.ARRIVED_AT_DROPOFF, _S.RETURNING})
WITH_COURIER = BEFORE_PICKUP | AFTER_PICKUP

_DELIVERED = frozenset({_S.DELIVERED})
_AT_DOOR = frozenset({_S.ARRIVED_AT_DROPOFF}) | _DELIVERED
_TO_DOOR = frozenset({_S.ENROUTE_TO_DROPOFF}) | _AT_DOOR
_RETURN = frozenset({_S.RETURNING, _S.RETURNED})
_PICKED_UP = frozenset({_S.PICKED_UP, _S.FAILED}) | _TO_DOOR | _RETURN
_AT_RESTAURANT = frozenset({_S.ARRIVED_AT_PICKUP}) | _PICKED_UP
_TO_RESTAURANT = frozenset({_S.ENROUTE_TO_PICKUP}) | _AT_RESTAURANT
_FREE = frozenset({_S.PENDING})

DELIVERY_DONE: Mapping[type[Struct], frozenset[DeliveryStatus]] = {
    Assign: frozenset({_S.ASSIGNED}) | _TO_RESTAURANT,
    Depart: _TO_RESTAURANT,
    ArriveAtPickup: _AT_RESTAURANT,
    PickUp: _PICKED_UP,
    DepartToDropOff: _TO_DOOR,
    ArriveAtDropOff: _AT_DOOR,
    HandToCustomer: _DELIVERED,
    StartReturn: _RETURN,
    Discard: frozenset({_S.FAILED}),
    Return: frozenset({_S.RETURNED}),
    CloseOffer: _FREE,
    Release: _FREE,
}
"""By message, the statuses that only it or a later one leads to: there it has done its work."""


class Delivery(Struct, frozen=True, kw_only=True):
    """The courier's side of one order.

    `pickup` is where the food is to be fetched: the restaurant, or where another courier hands it
    over; then the restaurant is at `kitchen`. `declined_by` holds at most DECLINED_MAX couriers.
    `attention` says why operations should look at it, empty when they need not. `released` is the
    courier it was last taken back from, and by which offer he had it: should he have collected it
    before he heard, it stays his.
    """

    status: DeliveryStatus = DeliveryStatus.SCHEDULED
    pickup: Point
    offer_id: OfferId | None = None
    courier_id: CourierId | None = None
    declined_by: tuple[CourierId, ...] = ()
    pending_at: Instant | None = None
    assigned_at: Instant | None = None
    picked_up_at: Instant | None = None
    ended_at: Instant | None = None
    attention: str = ""
    released: tuple[CourierId, OfferId] | None = None
    kitchen: Point | None = None
