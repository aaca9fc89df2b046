"""The kitchen: the customer's and the restaurant's side of an order.

Together with `dispatch.delivery`, the courier's side, it is the vocabulary of the order machine.
This module holds the order's statuses, the messages that the restaurant's side knows, and the table
of its legal changes. Some messages (a cancel, a pickup) move both sides and stand in both tables.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from dispatch.delivery import (
    Cancel,
    Discard,
    GiveUp,
    HandToCustomer,
    Lapse,
    PickUp,
    Reject,
    Return,
)
from dispatch.ids import Instant, OrderId


class OrderStatus(StrEnum):
    """Where the customer's and the restaurant's side stands. Wire names; never renamed."""

    PLACED = "placed"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY_FOR_PICKUP = "ready_for_pickup"
    HANDED_OVER = "handed_over"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELED = "canceled"


COOKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PREPARING})
COOKED = frozenset({OrderStatus.READY_FOR_PICKUP, OrderStatus.HANDED_OVER, OrderStatus.COMPLETED})


class Accept(Struct, frozen=True, tag="order.accept"):
    """The restaurant will cook it and expects it to be ready then; None takes the default."""

    ready_at: Instant | None = None


class StartPreparing(Struct, frozen=True, tag="order.start_preparing"):
    """The kitchen has begun."""


class Delay(Struct, frozen=True, tag="order.delay"):
    """The kitchen now expects it to be ready at another time."""

    ready_at: Instant


class MarkReady(Struct, frozen=True, tag="order.mark_ready"):
    """The food waits to be picked up."""


class Request(Struct, frozen=True, tag="restaurant.request", kw_only=True):
    """To the restaurant: an order waits for your word."""

    order_id: OrderId
    dish_ids: tuple[str, ...] = ()
    wanted_at: Instant | None = None


class Leave(Struct, frozen=True, tag="restaurant.leave"):
    """To the restaurant: this order does not occupy your kitchen any more."""

    order_id: OrderId


_S = OrderStatus
_IN_THE_KITCHEN: Mapping[type[Struct], OrderStatus] = {
    PickUp: _S.HANDED_OVER,
    Cancel: _S.CANCELED,
    GiveUp: _S.CANCELED,
}

ORDER_LEGAL: Mapping[OrderStatus, Mapping[type[Struct], OrderStatus]] = {
    _S.PLACED: {
        Accept: _S.ACCEPTED,
        Reject: _S.REJECTED,
        Lapse: _S.REJECTED,
        Cancel: _S.CANCELED,
    },
    _S.ACCEPTED: {
        StartPreparing: _S.PREPARING,
        Delay: _S.ACCEPTED,
        MarkReady: _S.READY_FOR_PICKUP,
        **_IN_THE_KITCHEN,
    },
    _S.PREPARING: {
        Delay: _S.PREPARING,
        MarkReady: _S.READY_FOR_PICKUP,
        **_IN_THE_KITCHEN,
    },
    _S.READY_FOR_PICKUP: _IN_THE_KITCHEN,
    # Another courier may fetch it from the first one, and nobody may come for it.
    _S.HANDED_OVER: {
        PickUp: _S.HANDED_OVER,
        HandToCustomer: _S.COMPLETED,
        Discard: _S.CANCELED,
        Return: _S.CANCELED,
        GiveUp: _S.CANCELED,
    },
    _S.COMPLETED: {},
    _S.REJECTED: {},
    _S.CANCELED: {},
}

FINISHED = frozenset({_S.COMPLETED, _S.REJECTED, _S.CANCELED})

_READY = frozenset({_S.READY_FOR_PICKUP, _S.HANDED_OVER, _S.COMPLETED})
_COOKED = frozenset({_S.PREPARING}) | _READY

KITCHEN_DONE: Mapping[type[Struct], frozenset[OrderStatus]] = {
    Accept: frozenset({_S.ACCEPTED}) | _COOKED,
    StartPreparing: _COOKED,
    MarkReady: _READY,
    Reject: frozenset({_S.REJECTED}),
    Cancel: frozenset({_S.CANCELED}),
}
"""By message, the statuses that only it or a later one leads to: there it has done its work."""
