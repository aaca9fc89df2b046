"""The clients of a chaos run: people who speak to the cluster over its links, and write down.

Each person has a device of his own. What is asked is asked with the same message until there is an
answer, wherever its actor has gone meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from itertools import count
from random import Random

import msgspec
import trio
from msgspec import Struct

from actors.failures import ActorFailed
from dispatch.ids import (
    CourierId,
    CustomerId,
    Instant,
    MarketId,
    OrderId,
    RestaurantId,
    ShardId,
    after,
)
from dispatch.step import Accepted, Code, Refused
from node.clock import steady_s, wall
from node.cluster import ClusterClient
from simulations.chaos.record import Heard, Record, Told
from simulations.people import Courier, Customer, Kitchen, News, Pace, Work

ASK_S = 10.0
"""A client asks anew after so long."""
SHIFT_S = 12 * 3_600.0
PACE = Pace(
    answers_s=(0.05, 0.4),
    cooks_s=(0.2, 1.5),
    thinks_s=(0.05, 0.5),
    looks_s=(0.4, 1.2),
    changes_mind_s=(0.2, 5.0),
    speed_mps=600.0,
    cancels_share=0.08,
    crosses_share=0.02,
)

_news = msgspec.msgpack.Decoder[News](News)


class Size(Struct, frozen=True, kw_only=True):
    """How many people there are, in each shard."""

    kitchens: int = 4
    couriers: int = 40
    customers: int = 12


class Crowd:
    """All people of a run. Fits `simulations.people.Streets`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        client: ClusterClient,
        markets: Mapping[ShardId, MarketId],
        size: Size,
        chance: Random,
    ) -> None:
        """Live in `nursery`, and reach the cluster through `client`."""
        self.record = Record()
        self.ready: set[OrderId] = set()
        self.is_calm = False
        self.unfinished = 0
        """Things that were begun and have not come to their end."""
        self.waiting: Counter[ShardId] = Counter()
        """Asks that are open, by shard."""
        self._nursery, self._client, self._markets = nursery, client, markets
        self._size, self._chance = size, chance
        self._numbers = count(1)
        self._kitchens: dict[ShardId, list[Kitchen]] = {}
        self._customers: dict[ShardId, list[Customer]] = {}

    @property
    def pace(self) -> Pace:
        """How fast people live here."""
        return PACE

    @property
    def shards(self) -> Sequence[ShardId]:
        """All shards."""
        return list(self._markets)

    def shift_ends_at(self) -> Instant:
        """Return when shifts end that begin now."""
        return after(wall(), SHIFT_S)

    def market_id(self, shard: ShardId) -> MarketId:
        """Return the market that is run in a shard."""
        return self._markets[shard]

    async def populate(self) -> None:
        """Have every kitchen open and every courier begin his shift."""
        async with trio.open_nursery() as opening:
            for shard in self._markets:
                self._populate(shard, opening)

    def _populate(self, shard: ShardId, opening: trio.Nursery) -> None:
        name, size = self._markets[shard], self._size
        kitchens = [
            Kitchen(self, shard, RestaurantId(f"rst_{name}_{at}"), self._someone())
            for at in range(size.kitchens)
        ]
        self._kitchens[shard] = kitchens
        for kitchen in kitchens:
            opening.start_soon(kitchen.open)
        for at in range(size.couriers):
            courier = Courier(self, shard, CourierId(f"crr_{name}_{at}"), self._someone())
            self._nursery.start_soon(courier.run)
        self._customers[shard] = [
            Customer(self, shard, CustomerId(f"cst_{name}_{at}"), self._someone())
            for at in range(size.customers)
        ]
        for customer in self._customers[shard]:
            self.equip(shard, customer.customer_id, lambda _news: None)

    async def order(self, rate_s: float, seconds: float) -> int:
        """Place so many orders a second, whether or not the cluster keeps up; return how many."""
        began_s, placed = steady_s(), 0
        while (passed_s := steady_s() - began_s) < seconds:
            while placed < passed_s * rate_s:
                placed += 1
                self._place_one()
            await trio.sleep(1 / rate_s)
        return placed

    def _place_one(self) -> None:
        shard = self._chance.choice(self.shards)
        order_id = OrderId(f"ord_{next(self._numbers)}")
        customer = self._chance.choice(self._customers[shard])
        kitchen = self._chance.choice(self._kitchens[shard])
        self.begin(lambda: customer.order(order_id, kitchen))

    def begin(self, work: Work) -> None:
        """Start something that has to come to its end."""
        self.unfinished += 1
        self._nursery.start_soon(self._finish, work)

    async def _finish(self, work: Work) -> None:
        await work()
        self.unfinished -= 1

    def equip(self, shard: ShardId, person: str, hear: Callable[[News], None]) -> None:
        """Give a person a device, which hears the feed from its beginning."""
        self._nursery.start_soon(self._follow, shard, person, hear)

    async def _follow(self, shard: ShardId, person: str, hear: Callable[[News], None]) -> None:
        async with aclosing(self._client.listen(shard, person, 0)) as feed:
            async for number, message in feed:
                self.record.hear(person, Heard(number, message))
                hear(_news.decode(message))

    async def sure(
        self, shard: ShardId, kind: str, key: str, message: Struct
    ) -> Accepted | Refused:
        """Ask until there is an answer, with the same message each time."""
        began_s = steady_s()
        self.record.asked += 1
        self.waiting[shard] += 1
        try:
            return await self._insisted(shard, kind, key, message, began_s)
        finally:
            self.waiting[shard] -= 1

    async def _insisted(
        self, shard: ShardId, kind: str, key: str, message: Struct, began_s: float
    ) -> Accepted | Refused:
        while True:
            answer = await self._answer(shard, kind, key, message)
            if isinstance(answer, Accepted):
                self.record.told.append(Told(shard, kind, key, message))
                self.record.ask_ms.append((steady_s() - began_s) * 1000)
                return answer
            if answer is not None and answer.code is not Code.OVERLOADED:
                self.record.refused += 1
                return answer
            await trio.sleep(self._chance.uniform(0.05, 0.2))

    async def _answer(
        self, shard: ShardId, kind: str, key: str, message: Struct
    ) -> Accepted | Refused | None:
        try:
            return await self._client.ask(shard, kind, key, message, ASK_S)
        except (trio.TooSlowError, ActorFailed):
            return None

    def _someone(self) -> Random:
        return Random(self._chance.random())
