"""What somebody asks for when he orders: lines, places and persons, as they are written and kept.

An order's machine knows none of this; it is kept beside the order, and shown to who may see it. The
same Structs are read from a request's body, written to the store and shown in answers. Text is what
people can write: without control characters, and of a bounded length. Fields are added with
defaults and never renamed, since what was kept years ago is read by them still.

Patterns are read by Python and by whoever reads the interface's schemas, so they are in what both
dialects share; `$` alone would let a last line break through in the one of them.
"""

from typing import Annotated

from msgspec import Meta, Struct

from dispatch.ids import Instant
from dispatch.undeliverable import UndeliverableAction

_WRITTEN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

LINES_MAX = 50
COUNT_MAX = 99
UNIT_MINOR_MAX = 100_000_000

type Words = Annotated[str, Meta(max_length=128, pattern=_WRITTEN)]
type Notes = Annotated[str, Meta(max_length=280, pattern=_WRITTEN)]
type DishId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+(?!\n)$")]
type Phone = Annotated[
    str,
    Meta(pattern=r"^\+[1-9][0-9]{6,14}(?!\n)$", description="E.164", examples=["+4533123456"]),
]
type Lat = Annotated[float, Meta(ge=-90, le=90)]
type Lng = Annotated[float, Meta(ge=-180, le=180)]
type Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}(?!\n)$", description="ISO 4217", examples=["DKK"])
]
type ExternalId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._:~-]{1,64}(?!\n)$",
        description="Yours, unique among your orders",
        examples=["shop-10041"],
    ),
]


class Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """So many of one dish. `unit_minor` is the price of one, in minor units of the currency."""

    dish_id: DishId
    name: Annotated[str, Meta(min_length=1, max_length=128, pattern=_WRITTEN)]
    count: Annotated[int, Meta(ge=1, le=COUNT_MAX)]
    unit_minor: Annotated[int, Meta(ge=0, le=UNIT_MINOR_MAX)] | None = None
    notes: Notes = ""


class Address(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in words, for people: the coordinates beside it count."""

    street: Words = ""
    door: Words = ""
    postal_code: Words = ""
    city: Words = ""
    country: Words = ""


class DropOffPlace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the food goes, and how to be heard there."""

    lat: Lat
    lng: Lng
    address: Address = Address()
    notes: Notes = ""
    phone: Phone | None = None


class PickupPlace(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the food comes from: the restaurant, as it was when the order was placed."""

    lat: Lat
    lng: Lng
    name: str = ""


class Recipient(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who gets the food, where somebody else ordered it for him."""

    name: Annotated[str, Meta(min_length=1, max_length=128, pattern=_WRITTEN)]
    phone: Phone | None = None


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that was asked for and that the machine has no use for, and when it was promised for."""

    lines: tuple[Line, ...]
    pickup: PickupPlace
    dropoff: DropOffPlace
    recipient: Recipient | None = None
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN
    promised_at: Instant | None = None
