"""What can be said of a restaurant over HTTP: a new one, what of one is to be another, a pause.

Only forms: what follows from them is in `api.restaurants`.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from api.cursors import Cursor, Limit
from api.hours import HoursView
from api.times import Time
from wire.orders import Address, Lat, Lng, Phone

PAUSE_S_MAX = 7 * 86_400.0
S_PER_MINUTE = 60

type Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
type CapacityMax = Annotated[int, Meta(ge=1, le=1_000)]
type PreparationMinutes = Annotated[float, Meta(ge=0, le=24 * 60)]
type RestaurantExternalId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._:~-]{1,64}(?!\n)$",
        description="Yours, unique among your restaurants",
        examples=["kitchen-12"],
    ),
]
type MarketName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]


class NewRestaurant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A restaurant to be. Without `hours` it is open when its staff says so, and only then.

    Without `preparation_minutes` the market's usual time is assumed. Each order in the kitchen
    adds `busy_minutes` to the time of the next; what comes when there are `capacity_max` is
    rejected. With `auto_accepts` nobody needs to accept an order.
    """

    name: Name
    lat: Lat
    lng: Lng
    address: Address = Address()
    phone: Phone | None = None
    hours: HoursView | None = None
    capacity_max: CapacityMax = 100
    preparation_minutes: PreparationMinutes | None = None
    busy_minutes: PreparationMinutes = 0.0
    auto_accepts: bool = True
    external_id: RestaurantExternalId | None = None


class Changes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be another; what is left out stays.

    With `lat` and `lng` it moves, within its market, once none of its orders are under way.
    """

    name: Name | UnsetType = UNSET
    lat: Lat | UnsetType = UNSET
    lng: Lng | UnsetType = UNSET
    address: Address | UnsetType = UNSET
    phone: Phone | UnsetType | None = UNSET
    hours: HoursView | UnsetType | None = UNSET
    capacity_max: CapacityMax | UnsetType = UNSET
    preparation_minutes: PreparationMinutes | UnsetType | None = UNSET
    busy_minutes: PreparationMinutes | UnsetType = UNSET
    auto_accepts: bool | UnsetType = UNSET
    external_id: RestaurantExternalId | UnsetType | None = UNSET


class Break(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long no orders are to come: until then, or for so long."""

    until: Time | None = None
    minutes: Annotated[int, Meta(ge=1, le=int(PAUSE_S_MAX) // S_PER_MINUTE)] | None = None


class Listing(Struct, frozen=True, kw_only=True):
    """Which restaurants to list."""

    market_id: MarketName | None = None
    limit: Limit = 50
    after: Cursor | None = None
