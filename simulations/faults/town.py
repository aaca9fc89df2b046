"""The people of a run: they know what they are told, try again until they are heard, and go on.

Customers order and some call off; kitchens answer and cook; couriers take offers, drive, collect,
deliver, and now and then cross into another shard; purse owners hand tokens about. Each asks with
the same message until a node answers, at whichever node that is, and believes the answer.
"""

from collections.abc import Awaitable, Callable
from itertools import count
from random import Random

import trio
from msgspec import Struct

from actors.codec import encode
from dispatch.courier import (
    Arrive,
    Collect,
    Cross,
    Deliver,
    OfferGone,
    OfferMade,
    RouteChanged,
    StartShift,
)
from dispatch.delivery import Cancel, Party, Reject
from dispatch.ids import CourierId, CustomerId, MarketId, OrderId, RestaurantId, ShardId, after
from dispatch.offer import Decline, Take
from dispatch.order import Accept, MarkReady, Place
from dispatch.restaurant import Open, OrderRequested
from dispatch.route import Pickup
from dispatch.step import Accepted, Code, Refused
from geo.point import Point, gap_m
from simulations.faults.cluster import Node, Visit
from simulations.faults.device import Device
from simulations.faults.purse import Mint, Pay
from simulations.faults.witness import Witness
from simulations.world import DAWN
from wire.link import Ask, Gone

SIDE_M = 800.0
SPEED_MPS = 20.0
PATIENCE_S = 5.0
"""A client who hears nothing for so long asks elsewhere."""
PAUSE_S = (0.1, 1.0)
SHIFT_S = 6 * 3_600.0
LOAD_MAX = 3
LISTENS_SHARE = 0.25
"""Of the customers; couriers and kitchens all do."""
CANCELS_SHARE = 0.2
REJECTS_SHARE = 0.08
IGNORES_SHARE = 0.08
DECLINES_SHARE = 0.08
CROSSES_SHARE = 0.03
"""Of the moments in which a courier has nothing to do."""
TOKENS_MAX = 9

type Work = Callable[[], Awaitable[None]]


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
        kitchens = [Kitchen(self, shard, at, self.chance()) for at in range(spec.restaurants)]
        for kitchen in kitchens:
            self.begin(kitchen.open)
        for at in range(spec.couriers):
            courier = Courier(self, shard, at, self.chance())
            self._start(courier.run)
        for at in range(spec.orders):
            customer = Customer(self, shard, at, kitchens[at % len(kitchens)], self.chance())
            self.begin(customer.run)

    def chance(self) -> Random:
        """Return a source of chance for one more person."""
        return Random(self._chance.random())

    def spot(self, chance: Random) -> Point:
        """Return some place of the town."""
        return Point(chance.uniform(0, SIDE_M), chance.uniform(0, SIDE_M))

    def begin(self, work: Work) -> None:
        """Start something that has to come to its end."""
        number = next(self._numbers)
        self.waiting[number] = getattr(work, "__qualname__", "")
        self._start(lambda: self._finish(number, work))

    async def _finish(self, number: int, work: Work) -> None:
        await work()
        del self.waiting[number]

    def equip(self, person: str, hear: Callable[[Struct], None]) -> None:
        """Give a person a device."""
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


class Kitchen:
    """A restaurant: its staff answers orders and cooks them."""

    def __init__(self, town: Town, shard: ShardId, at: int, chance: Random) -> None:
        self.restaurant_id = RestaurantId(f"rst_{shard}_{at}")
        self.point = town.spot(chance)
        self._town, self._shard, self._chance = town, shard, chance
        self._seen: set[OrderId] = set()

    async def open(self) -> None:
        """Open for orders; every other kitchen asks its staff."""
        self._town.equip(self.restaurant_id, self._hear)
        opening = Open(
            restaurant_id=self.restaurant_id,
            point=self.point,
            auto_accepts=False,
        )
        await self._town.sure(self._shard, "restaurant", self.restaurant_id, opening)

    def _hear(self, news: Struct) -> None:
        if isinstance(news, OrderRequested) and news.order_id not in self._seen:
            order_id = news.order_id
            self._seen.add(order_id)
            self._town.begin(lambda: self._cook(order_id))

    async def _cook(self, order_id: OrderId) -> None:
        await trio.sleep(self._chance.uniform(1.0, 10.0))
        rejects = self._chance.random() < REJECTS_SHARE
        answer = Reject("kitchen-busy") if rejects else Accept()
        await self._town.sure(self._shard, "order", order_id, answer)
        await trio.sleep(self._chance.uniform(5.0, 40.0))
        self._town.ready.add(order_id)
        await self._town.sure(self._shard, "order", order_id, MarkReady())


class Customer:
    """Somebody who orders once, and may think better of it."""

    def __init__(
        self, town: Town, shard: ShardId, at: int, kitchen: Kitchen, chance: Random
    ) -> None:
        self._town, self._shard, self._kitchen, self._chance = town, shard, kitchen, chance
        self._order_id = OrderId(f"ord_{shard}_{at}")
        self._customer_id = CustomerId(f"cst_{shard}_{at}")

    async def run(self) -> None:
        """Order, and perhaps cancel."""
        chance, town = self._chance, self._town
        await trio.sleep(chance.uniform(0.02, 0.9) * town.spec.span_s)
        if chance.random() < LISTENS_SHARE:
            town.equip(self._customer_id, lambda _news: None)
        place = Place(
            order_id=self._order_id,
            market_id=market_id(self._shard),
            customer_id=self._customer_id,
            restaurant_id=self._kitchen.restaurant_id,
            pickup=self._kitchen.point,
            dropoff=town.spot(chance),
            size=chance.choice((1, 1, 2)),
        )
        await town.sure(self._shard, "order", self._order_id, place)
        if chance.random() < CANCELS_SHARE:
            await trio.sleep(chance.uniform(1.0, 60.0))
            await town.sure(self._shard, "order", self._order_id, Cancel(Party.CUSTOMER))


class Courier:
    """A courier who does what his route says, one thing after the other."""

    def __init__(self, town: Town, shard: ShardId, at: int, chance: Random) -> None:
        self._town, self._shard, self._chance = town, shard, chance
        self._courier_id = CourierId(f"crr_{shard}_{at}")
        self._point = town.spot(chance)
        self._route: RouteChanged | None = None
        self._offer: OfferMade | None = None
        self._news = trio.Event()

    async def run(self) -> None:
        """Begin the shift and work until the run is over."""
        self._town.equip(self._courier_id, self._hear)
        shift = StartShift(
            courier_id=self._courier_id,
            market_id=market_id(self._shard),
            point=self._point,
            ends_at=after(DAWN, SHIFT_S),
            load_max=LOAD_MAX,
        )
        await self._say(shift)
        while True:
            await self._act()
            with trio.move_on_after(self._chance.uniform(1.0, 4.0)):
                await self._news.wait()
            self._news = trio.Event()

    def _hear(self, news: Struct) -> None:
        match news:
            case OfferMade():
                self._offer = news
            case OfferGone(offer_id) if self._offer and self._offer.offer_id == offer_id:
                self._offer = None
            case RouteChanged():
                self._route = news
            case _:
                return
        self._news.set()

    async def _act(self) -> None:
        offer, route = self._offer, self._route
        if offer is not None:
            self._offer = None
            await self._consider(offer)
        elif route is not None and (route.stops or route.heading):
            await self._go_on(route)
        elif not self._town.is_calm and self._chance.random() < CROSSES_SHARE:
            await self._cross(self._chance.choice(self._town.shards))

    async def _consider(self, offer: OfferMade) -> None:
        chance = self._chance.random()
        await trio.sleep(self._chance.uniform(0.2, 4.0))
        if chance < IGNORES_SHARE:
            return
        declines = chance < IGNORES_SHARE + DECLINES_SHARE
        word = Decline(self._courier_id) if declines else Take(self._courier_id)
        await self._town.sure(self._shard, "offer", offer.offer_id, word)

    async def _go_on(self, route: RouteChanged) -> None:
        stop = route.stops[0] if route.stops else None
        if route.heading is not None and route.point is not None:
            await self._drive(route.point)
            await self._say(Arrive(restaurant_id=route.heading))
        if isinstance(stop, Pickup):
            if self._town.ready.issuperset(stop.order_ids):
                await self._say(Collect(stop.order_ids))
        elif stop is not None:
            await self._drive(stop.point)
            await self._say(Arrive(order_id=stop.order_id))
            await self._say(Deliver(stop.order_id))

    async def _drive(self, goal: Point) -> None:
        await trio.sleep(gap_m(self._point, goal) / SPEED_MPS)
        self._point = goal

    async def _cross(self, shard: ShardId) -> None:
        cross = Cross(shard, market_id(shard), self._point)
        if shard != self._shard and isinstance(await self._say(cross), Accepted):
            self._shard = shard

    async def _say(self, message: Struct) -> Accepted | Refused:
        return await self._town.sure(self._shard, "courier", self._courier_id, message)


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
