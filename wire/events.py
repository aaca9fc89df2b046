"""The events of the feeds: what `Message.event` holds, as its field `type` says.

A feed is a person's: a customer hears what becomes of his orders, a restaurant what is asked of it
and becomes of its orders, a courier what he is offered and what he has to do. Places are in degrees
here; a place is left out where it is not known. Tags, fields and values are never renamed; fields
are added with defaults, and a client passes over the events and the fields that it does not know.
"""

from msgspec import Struct

from dispatch.delivery import DeliveryStatus, Party
from dispatch.ids import CourierId, CustomerId, Instant, OfferId, OrderId, RestaurantId
from dispatch.kitchen import OrderStatus
from dispatch.restaurant import Stage as RestaurantStage
from dispatch.undeliverable import UndeliverableAction
from geo.point import LatLng


class Event(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event has: a type."""


class OrderPlaced(Event, frozen=True, kw_only=True, tag="order_placed"):
    """The customer ordered."""

    order_id: OrderId
    customer_id: CustomerId
    restaurant_id: RestaurantId
    wanted_at: Instant | None = None
    at: Instant
    promised_at: Instant | None = None


class OrderMoved(Event, frozen=True, kw_only=True, tag="order_moved"):
    """The order or its delivery reached another status, or its times changed."""

    order_id: OrderId
    status: OrderStatus
    delivery_status: DeliveryStatus
    courier_id: CourierId | None = None
    ready_at: Instant | None = None
    reason: str = ""
    at: Instant


class OrderCanceled(Event, frozen=True, kw_only=True, tag="order_canceled"):
    """The order ends without food: it was called off, or nobody took it at its door.

    When it `is_free` its customer owes nothing for it.
    """

    order_id: OrderId
    by: Party
    reason: str
    is_free: bool
    at: Instant


class DeliveryTroubled(Event, frozen=True, kw_only=True, tag="delivery_troubled"):
    """The food is with a courier who cannot be counted on: somebody should look."""

    order_id: OrderId
    courier_id: CourierId
    reason: str
    at: Instant


class OrderDelayed(Event, frozen=True, kw_only=True, tag="order_delayed"):
    """The order is expected later than was promised, or told the last time."""

    order_id: OrderId
    restaurant_id: RestaurantId
    promised_at: Instant
    expected_at: Instant
    at: Instant


class OrderRequested(Event, frozen=True, kw_only=True, tag="order_requested"):
    """An order waits for the restaurant's word."""

    order_id: OrderId
    at: Instant


class RestaurantMoved(Event, frozen=True, kw_only=True, tag="restaurant_moved"):
    """The restaurant opened, paused, resumed or closed; `ended` is for good."""

    restaurant_id: RestaurantId
    stage: RestaurantStage
    at: Instant


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order as a courier is offered it: where from, where to, and its size in units of load.

    `undeliverable_action` is what he does with it when he has waited at its door in vain.
    """

    order_id: OrderId
    restaurant_id: RestaurantId
    pickup: LatLng | None = None
    dropoff: LatLng | None = None
    size: int = 1
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN


class OfferMade(Event, frozen=True, kw_only=True, tag="offer_made"):
    """These orders can be the courier's until then."""

    offer_id: OfferId
    tasks: tuple[Task, ...]
    expires_at: Instant


class OfferGone(Event, frozen=True, kw_only=True, tag="offer_gone"):
    """That offer does not stand any more."""

    offer_id: OfferId


class Pickup(Struct, frozen=True, kw_only=True, tag_field="type", tag="pickup", omit_defaults=True):
    """Orders to collect at one restaurant, in the order in which they are delivered."""

    restaurant_id: RestaurantId
    order_ids: tuple[OrderId, ...]
    place: LatLng | None = None


class DropOff(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="drop_off", omit_defaults=True
):
    """One order to one door."""

    order_id: OrderId
    place: LatLng | None = None


class RouteChanged(Event, frozen=True, kw_only=True, tag="route_changed"):
    """What the courier has to do now, and which restaurant he is to be going to or waiting at."""

    stops: tuple[Pickup | DropOff, ...]
    heading: RestaurantId | None = None
    place: LatLng | None = None
    version: int


class CourierNeared(Event, frozen=True, kw_only=True, tag="courier_neared"):
    """By his pings the courier is where he was going: the app may ask whether he has arrived."""

    restaurant_id: RestaurantId | None = None
    order_id: OrderId | None = None
    at: Instant


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"):
    """Something that this version of the server cannot show; it keeps its number in the feed."""


type AnyEvent = (
    OrderPlaced
    | OrderMoved
    | OrderCanceled
    | DeliveryTroubled
    | OrderDelayed
    | OrderRequested
    | RestaurantMoved
    | OfferMade
    | OfferGone
    | RouteChanged
    | CourierNeared
    | Unknown
)
"""Every event there is."""
