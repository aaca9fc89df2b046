"""A robo-restaurant: its staff hears of orders by the stream, accepts them, cooks, says when ready.

What it hears comes by the socket; what it answers goes over HTTP, as the tablet in a kitchen does
it. An order that it is told of twice is cooked once.
"""

from collections.abc import Awaitable, Callable, Iterator
from random import Random

import trio
from msgspec import Struct

from dispatch.ids import Instant
from simulations.load.api import Api, ApiFailed
from simulations.load.courier import Range
from simulations.load.device import Device
from simulations.load.news import News
from simulations.load.robot import Robot
from simulations.load.tally import Tally
from wire.frames import Frame

SEEN_MAX = 4_096
NEVER = Instant(2**62)

type Work = Callable[[], Awaitable[None]]


class Recipe(Struct, frozen=True, kw_only=True):
    """How a kitchen works, in seconds from the least to the most."""

    answers_s: Range = (0.5, 3.0)
    cooks_s: Range = (8.0, 20.0)
    rejects_share: float = 0.0


class RoboRestaurant(Robot):
    """The staff of one restaurant; `begin` has what it does happen beside everything else."""

    path = "/v1/stream"

    def __init__(
        self,
        device: Device,
        api: Api,
        begin: Callable[[Work], None],
        recipe: Recipe,
        tally: Tally,
        chance: Random,
    ) -> None:
        assert device.feed, "a restaurant follows its own feed"
        super().__init__(device, tally)
        self._api, self._begin, self._recipe, self._chance = api, begin, recipe, chance
        self._seen: dict[str, None] = {}

    @property
    def acts_at(self) -> Instant:
        """All it does follows from what it hears."""
        return NEVER

    def welcomed(self, now: Instant) -> None:
        """Go on as before."""

    def says(self, now: Instant) -> Iterator[Frame]:
        """Yield nothing: it answers over HTTP."""
        del now
        return iter(())

    def learns(self, news: News, now: Instant) -> None:
        """Hear of an order that waits for an answer."""
        del now
        if news.type == "order_requested" and news.order_id not in self._seen:
            self._seen[news.order_id] = None
            if len(self._seen) > SEEN_MAX:
                del self._seen[next(iter(self._seen))]
            self._begin(lambda: self._cook(news.order_id))

    async def _cook(self, order_id: str) -> None:
        chance, recipe = self._chance, self._recipe
        cooks_s = chance.uniform(*recipe.cooks_s)
        await trio.sleep(chance.uniform(*recipe.answers_s))
        if chance.random() < recipe.rejects_share:
            await self._say(order_id, "reject", {"reason": "other"})
            return
        if await self._say(order_id, "accept", {"preparation_minutes": cooks_s / 60}):
            await trio.sleep(cooks_s)
            await self._say(order_id, "ready", None)

    async def _say(self, order_id: str, verb: str, body: object) -> bool:
        """Say it, and tell whether it counted: an order may have been called off meanwhile."""
        path = f"/v1/restaurants/{self.device.feed}/orders/{order_id}/{verb}"
        try:
            answer = await self._api.ask("POST", path, self.device.token, body)
        except ApiFailed:
            return False
        return answer.is_success
