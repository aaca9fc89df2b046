"""What a feed's message tells, as far as robots care.

One wide struct stands for every sort of event: a client reads the fields it needs and passes over
what it does not know, so that new events and new fields never break it.
"""

from msgspec import Struct

from dispatch.ids import Instant
from geo.point import LatLng


class Stop(Struct, frozen=True, kw_only=True):
    """A stop of a courier's route: a pickup has `order_ids`, a drop-off an `order_id`."""

    type: str
    place: LatLng | None = None
    restaurant_id: str | None = None
    order_ids: tuple[str, ...] = ()
    order_id: str = ""


class News(Struct, frozen=True, kw_only=True):
    """An event, named by its `type`."""

    type: str
    order_id: str = ""
    status: str = ""
    delivery_status: str = ""
    reason: str = ""
    at: Instant = Instant(0)
    offer_id: str = ""
    expires_at: Instant = Instant(0)
    stops: tuple[Stop, ...] = ()
    heading: str | None = None
    place: LatLng | None = None
