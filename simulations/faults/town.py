"""The town of a run: who lives there, and how its people reach whichever node answers.

The people are those of `simulations.people`, with payers beside them who hand tokens from purse to
purse. Each asks with the same message until a node answers, at whichever node that is.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

import trio
from msgspec import Struct

from actors.codec import encode
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
from simulations.faults.cluster import Node, Visit
from simulations.faults.device import Device
from simulations.faults.purse import Mint, Pay
from simulations.faults.witness import Witness
from simulations.people import Courier, Customer, Kitchen, News, Pace, Work
from simulations.world import DAWN
from wire.link import Ask, Gone

PATIENCE_S = 5.0
"""A client who hears nothing for so long asks elsewhere."""
PAUSE_S = (0.1, 1.0)
SHIFT_S = 6 * 3_600.0
LISTENS_SHARE = 0.25
"""Of the customers; couriers and kitchens all do."""
TOKENS_MAX = 9
PACE = Pace()


class Spec(Struct, frozen=True, kw_only=True):
    """How large the town is, and for how long its people begin new things."""

    shards: int = 3
    restaurants: int = 2
    """In each shard, and so are the couriers and the orders."""
    couriers: int = 3
    orders: int = 8
    payers: int = 3
    payments: int = 8
    span_s: float = 180.0


class Town:
    """What all people of a run share."""

    def __init__(
        self,
        spec: Spec,
        nodes: list[Node],
        witness: Witness,
        start: Callable[[Work], None],
        chance: Random,
    ) -> None:
        """Have what people do started by `start`, as tasks that belong to no process."""
        self.spec = spec
        self.nodes = nodes
        self.waiting: dict[int, str] = {}
        """What people wait for an answer to, or have still to begin."""
        self.is_calm = False
        """Whether the time of faults is over."""
        self.ready: set[OrderId] = set()
        """Orders whose food stands on the counter."""
        self._witness, self._start, self._chance = witness, start, chance
        self._numbers = count(1)
        self._owners: dict[ShardId, Node] = {}

    @property
    def shards(self) -> list[ShardId]:
        """All shards of the town."""
        return [ShardId(number) for number in range(1, self.spec.shards + 1)]

    def populate(self) -> None:
        """Have everybody begin."""
        for shard in self.shards:
            self._populate(shard)
        for number in range(self.spec.payers):
            self.begin(Payer(self, number, self.chance()).run)

    def _populate(self, shard: ShardId) -> None:
        spec = self.spec
        kitchens = [
            Kitchen(self, shard, RestaurantId(f"rst_{shard}_{at}"), self.chance())
            for at in range(spec.restaurants)
        ]
        for kitchen in kitchens:
            self.begin(kitchen.open)
        for at in range(spec.couriers):
            courier = Courier(self, shard, CourierId(f"crr_{shard}_{at}"), self.chance())
            self._start(courier.run)
        for at in range(spec.orders):
            self.begin(partial(self._order, shard, at, kitchens[at % len(kitchens)], self.chance()))

    async def _order(self, shard: ShardId, at: int, kitchen: Kitchen, chance: Random) -> None:
        """Be a customer, who orders once."""
        customer = Customer(self, shard, CustomerId(f"cst_{shard}_{at}"), chance)
        await trio.sleep(chance.uniform(0.02, 0.9) * self.spec.span_s)
        if chance.random() < LISTENS_SHARE:
            self.equip(shard, customer.customer_id, lambda _news: None)
        await customer.order(OrderId(f"ord_{shard}_{at}"), kitchen)

    def chance(self) -> Random:
        """Return a source of chance for one more person."""
        return Random(self._chance.random())

    @property
    def pace(self) -> Pace:
        """How fast people live here."""
        return PACE

    def shift_ends_at(self) -> Instant:
        """Return when all shifts end."""
        return after(DAWN, SHIFT_S)

    def market_id(self, shard: ShardId) -> MarketId:
        """Return the market that is run in a shard."""
        return market_id(shard)

    def begin(self, work: Work) -> None:
        """Start something that has to come to its end."""
        number = next(self._numbers)
        self.waiting[number] = getattr(work, "__qualname__", "")
        self._start(lambda: self._finish(number, work))

    async def _finish(self, number: int, work: Work) -> None:
        await work()
        del self.waiting[number]

    def equip(self, shard: ShardId, person: str, hear: Callable[[News], None]) -> None:
        """Give a person a device, which listens at any node, whose shard he may be."""
        del shard
        device, chance = Device(person, hear, self._witness), self.chance()
        self._start(lambda: device.follow(self.nodes, chance))

    async def sure(
        self, shard: ShardId, kind: str, key: str, message: Struct
    ) -> Accepted | Refused:
        """Ask until there is an answer, with the same message each time."""
        ask = Ask(next(self._numbers), shard, kind, key, encode(message), PATIENCE_S)
        self.waiting[ask.number] = f"{kind} {key}: {message}"
        try:
            return await self._insisted(ask, message)
        finally:
            del self.waiting[ask.number]

    async def _insisted(self, ask: Ask, message: Struct) -> Accepted | Refused:
        shard = ask.shard
        while True:
            node = self._owners.get(shard) or self._chance.choice(self.nodes)
            outcome = await self._answer(node, Visit(ask, message))
            if isinstance(outcome, Accepted):
                self._owners[shard] = node
                return outcome
            if isinstance(outcome, Refused) and outcome.code is not Code.OVERLOADED:
                return outcome
            self._look_elsewhere(shard, outcome.address if isinstance(outcome, Gone) else "")
            await trio.sleep(self._chance.uniform(*PAUSE_S))

    async def _answer(self, node: Node, visit: Visit) -> Struct | None:
        if node.life is None:
            return None
        node.life.knock(visit)
        with trio.move_on_after(PATIENCE_S):
            await visit.is_done.wait()
        return visit.outcome

    def _look_elsewhere(self, shard: ShardId, address: str) -> None:
        """Go where one is sent, or try somebody else."""
        self._owners.pop(shard, None)
        for node in self.nodes:
            if node.name == address:
                self._owners[shard] = node


class Payer:
    """Somebody who has tokens minted and hands them from purse to purse."""

    def __init__(self, town: Town, number: int, chance: Random) -> None:
        self._town, self._number, self._chance = town, number, chance

    async def run(self) -> None:
        """Mint and pay, several times."""
        town, chance = self._town, self._chance
        for at in range(town.spec.payments):
            await trio.sleep(chance.uniform(0.1, 1.6) * town.spec.span_s / town.spec.payments)
            shard, other = chance.choice(town.shards), chance.choice(town.shards)
            tokens = chance.randint(1, TOKENS_MAX)
            mint = Mint(f"mint-{self._number}-{at}", tokens)
            await town.sure(shard, "purse", purse(shard), mint)
            target = None if other == shard else other
            key = purse(other) if target else f"{purse(shard)}_b"
            pay = Pay(f"pay-{self._number}-{at}", target, key, chance.randint(1, tokens))
            await town.sure(shard, "purse", purse(shard), pay)


def market_id(shard: ShardId) -> MarketId:
    """Return the market that is run in a shard."""
    return MarketId(f"m{shard}")


def purse(shard: ShardId) -> str:
    """Return the purse of a shard that everybody puts into."""
    return f"prs_{shard}"
