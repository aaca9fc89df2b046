"""Who lives in a town for a while: restaurants and people, made over HTTP with an operator's key.

People are made many at a time and without passwords: each gets the tokens of one device, as an
invitation to the app would give them. Names are invented.
"""

from collections.abc import Iterator, Sequence
from itertools import batched, count
from random import Random

from msgspec import Struct

from dispatch.ids import DeviceId
from geo.point import LatLng
from simulations.load.api import Answer, Api, ApiFailed
from simulations.load.device import Device
from simulations.load.way import near
from wire.frames import Notation

BATCH_MAX = 200
NAMES = (
    "Amber", "Birch", "Cedar", "Copper", "Dune", "Ember", "Fennel", "Gull", "Harbour", "Ivy",
    "Juniper", "Kelp", "Lantern", "Mill", "Nettle", "Oak", "Pepper", "Quay", "Rye", "Sorrel",
    "Thistle", "Umber", "Vine", "Willow",
)  # fmt: skip
KINDS = ("Kitchen", "Noodles", "Bakery", "Grill", "Pizza", "Sushi", "Curry", "Bistro")


class Restaurant(Struct, frozen=True):
    """A restaurant that was made, and where it lies."""

    restaurant_id: str
    name: str
    place: LatLng


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who was made, signed in on one device."""

    user_id: str
    device_id: DeviceId
    access_token: str
    refresh_token: str
    courier_id: str | None = None

    def device(self, notation: Notation = Notation.MSGPACK, feed: str | None = None) -> Device:
        """Return his device."""
        return Device(self.access_token, self.device_id, notation, feed, self.refresh_token)


class People(Struct, frozen=True):
    """Those who were made at once."""

    users: tuple[Person, ...]


class Newcomer(Struct, frozen=True, omit_defaults=True):
    """Somebody to be made."""

    role: str
    name: str
    restaurant_ids: tuple[str, ...] = ()


class RestaurantMade(Struct, frozen=True):
    """What a client reads of a new restaurant."""

    restaurant_id: str


async def opened(
    api: Api,
    key: str,
    centre: LatLng,
    reach_m: float,
    number: int,
    *,
    auto_accepts: bool,
    prep_s: float,
    chance: Random,
) -> list[Restaurant]:
    """Open so many restaurants around a place; raises ApiFailed."""
    made: list[Restaurant] = []
    for name in _names(number):
        place = near(centre, reach_m, chance)
        body = {
            "name": name,
            "lat": place.lat,
            "lng": place.lng,
            "auto_accepts": auto_accepts,
            "preparation_minutes": prep_s / 60,
            "capacity_max": 1_000,
        }
        answer = _done(await api.ask("POST", "/v1/restaurants", key, body))
        restaurant_id = answer.read(RestaurantMade).restaurant_id
        _done(await api.ask("POST", f"/v1/restaurants/{restaurant_id}/open", key))
        made.append(Restaurant(restaurant_id, name, place))
    return made


async def invited(api: Api, key: str, newcomers: Sequence[Newcomer]) -> list[Person]:
    """Make these people and sign them in; raises ApiFailed."""
    made: list[Person] = []
    for some in batched(newcomers, BATCH_MAX, strict=False):
        body = {"users": some, "signs_in": True}
        answer = _done(await api.ask("POST", "/v1/accounts/users/batch", key, body))
        made += answer.read(People).users
    return made


def newcomers(role: str, number: int) -> list[Newcomer]:
    """Return so many people of a role to be made."""
    return [Newcomer(role, f"{role.capitalize()} {at + 1}") for at in range(number)]


def staff(restaurants: Sequence[Restaurant]) -> list[Newcomer]:
    """Return somebody for each restaurant's tablet."""
    return [Newcomer("restaurant", one.name, (one.restaurant_id,)) for one in restaurants]


def _done(answer: Answer) -> Answer:
    if not answer.is_success:
        raise ApiFailed(f"refused with {answer.status}: {answer.content[:300].decode()}")
    return answer


def _names(number: int) -> Iterator[str]:
    """Yield names, all different: a number follows once they repeat."""
    for at, _ in zip(count(), range(number), strict=False):
        turn, place = divmod(at, len(NAMES))
        name = f"{NAMES[place]} {KINDS[(place + turn) % len(KINDS)]}"
        yield name if not turn // len(KINDS) else f"{name} {turn}"
