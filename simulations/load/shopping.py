"""Orders as robo-customers place them: at instants fixed beforehand, whatever the server does.

An order's acknowledgement is timed from the instant at which it was due and not from the one at
which it could be sent, so that a server that stalls is not spared the orders it held up.
"""

from collections.abc import Sequence
from random import Random

import trio
from msgspec import Struct

from dispatch.ids import Instant
from geo.point import LatLng
from node.clock import wall
from simulations.load.api import Api, ApiFailed
from simulations.load.customer import RoboCustomer
from simulations.load.tally import Tally
from simulations.load.town import Restaurant
from simulations.load.way import near

DISHES = ("soup", "noodles", "dumplings", "flatbread", "salad", "curry", "pie")


class Taste(Struct, frozen=True, kw_only=True):
    """What customers want, and how sure they are."""

    reach_m: float = 1_200.0
    """How far from a restaurant, north and east, its customers live."""
    cancels_share: float = 0.02
    hesitates_s: float = 4.0


class Placed(Struct, frozen=True):
    """What a client reads of an order."""

    order_id: str


class Shoppers:
    """All robo-customers, and what they may order from."""

    def __init__(
        self,
        customers: Sequence[RoboCustomer],
        restaurants: Sequence[Restaurant],
        api: Api,
        taste: Taste,
        tally: Tally,
        chance: Random,
    ) -> None:
        self._customers, self._restaurants, self._api = customers, restaurants, api
        self._taste, self._tally, self._chance = taste, tally, chance

    async def order(self, due_at: Instant) -> None:
        """Have somebody place the order that is due then, and perhaps call it off."""
        customer = self._chance.choice(self._customers)
        restaurant = self._chance.choice(self._restaurants)
        token = customer.device.token
        self._tally.count("orders due")
        body = _basket(restaurant, near(restaurant.place, self._taste.reach_m, self._chance))
        try:
            answer = await self._api.ask("POST", "/v1/orders", token, body)
            if not answer.is_success:
                return
            self._tally.time("order_ack", wall() - due_at)
            self._tally.count("orders placed")
            order_id = answer.read(Placed).order_id
            customer.placed(order_id, due_at)
            if self._chance.random() < self._taste.cancels_share:
                await trio.sleep(self._taste.hesitates_s)
                await self._api.ask("POST", f"/v1/orders/{order_id}/cancel", token, {"reason": ""})
        except ApiFailed:
            self._tally.count("orders unanswered")


def _basket(restaurant: Restaurant, door: LatLng) -> object:
    dish = DISHES[len(restaurant.name) % len(DISHES)]
    return {
        "restaurant_id": restaurant.restaurant_id,
        "lines": [{"dish_id": f"dsh_{dish}", "name": dish.capitalize(), "count": 1}],
        "dropoff": {
            "lat": door.lat,
            "lng": door.lng,
            "address": {"street": "Invented Street 1"},
            "phone": "+4500000000",
        },
    }
