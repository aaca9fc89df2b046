"""What an offer, the orders in it and the courier it is for say to each other.

An offer first claims all that it needs: every order, so that none stands in two live offers, and
the courier, so that he has one invitation at a time. Only then is he asked. These messages are the
whole conversation; who may say what and when is in the LEGAL tables of offer, order and courier.
"""

from msgspec import Struct

from dispatch.ids import CourierId, Instant, OfferId, OrderId, RestaurantId
from dispatch.route import Task
from geo.point import Point


class Invite(Struct, frozen=True, tag="courier.invite", kw_only=True):
    """To the courier: keep yourself free for this offer, if you still are as the round saw you."""

    offer_id: OfferId
    courier_id: CourierId
    version: int
    tasks: tuple[Task, ...]


class Claimed(Struct, frozen=True, tag="offer.claimed"):
    """To the offer, from an order or the courier: I am yours until you close."""

    name: OrderId | CourierId


class Unclaimed(Struct, frozen=True, tag="offer.unclaimed"):
    """To the offer, from an order or the courier: not me, or not any more."""

    name: OrderId | CourierId


class Ask(Struct, frozen=True, tag="courier.ask", kw_only=True):
    """To the courier: all is claimed, the offer stands until `expires_at`."""

    offer_id: OfferId
    tasks: tuple[Task, ...]
    expires_at: Instant


class Engage(Struct, frozen=True, tag="courier.engage", kw_only=True):
    """To the courier: you took the offer, these orders are yours; set out.

    `sequence` is the order of the drop-offs of the whole trip, those he already had included.
    """

    offer_id: OfferId
    tasks: tuple[Task, ...]
    sequence: tuple[OrderId, ...] = ()


class Disengage(Struct, frozen=True, tag="courier.disengage"):
    """To the courier: the offer is closed and you did not take it."""

    offer_id: OfferId


RELEASED = "order.release"
"""The reason of a withdrawal for a better plan, which comes too late for who has collected."""


class Withdraw(Struct, frozen=True, tag="courier.withdraw"):
    """To the courier: this order is not yours, or not any more.

    Meant for the assignment that this offer led to; None means whichever there is.
    """

    order_id: OrderId
    reason: str = ""
    offer_id: OfferId | None = None


class Reposition(Struct, frozen=True, tag="courier.reposition", kw_only=True):
    """To an idle courier: go and wait at this restaurant, work is expected there."""

    version: int
    restaurant_id: RestaurantId
    point: Point
