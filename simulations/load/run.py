"""One run of `dispatch load`: a town is filled with people, and lives for some minutes under load.

The load is open: pings and orders are due at instants that do not depend on how the server keeps
up, and each latency counts from the instant at which something was due. What the node says of
itself (how late its loop is, how much memory it has) is asked of it meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import trio
from msgspec import Struct, structs

from dispatch.ids import Instant, after
from dispatch.policy import Policy
from geo.point import LatLng
from node.clock import steady_s, wall
from simulations.load.api import Api, ApiFailed, dialled
from simulations.load.courier import Manners, RoboCourier
from simulations.load.customer import RoboCustomer
from simulations.load.flood import Flood
from simulations.load.histogram import Latency
from simulations.load.line import Line
from simulations.load.robot import Robot
from simulations.load.shopping import Shoppers, Taste
from simulations.load.tally import Tally
from simulations.load.town import invited, newcomers, opened
from simulations.load.way import near
from wire.frames import Notation

POLICY = Policy(
    round_s=2.0,
    round_timeout_s=4.0,
    offer_s=10.0,
    prep_default_s=20.0,
    pickup_s=2.0,
    dropoff_s=2.0,
    quiet_s=60.0,
)
"""A market of a load: a round every two seconds, and everything quick enough for a short run."""
SPEED_MPS = 12.0
MANNERS = Manners(speed_mps=(10.0, 14.0), waits_s=20.0)
TASTE = Taste()
PREP_S = 20.0
LINES_MAX = 25
"""So many of each sort are connected by a WebSocket library, the rest by sockets of our own."""
JSON_EVERY = 10
"""Each so-manieth device speaks JSON."""
GATHER_S_MAX = 120.0
LOOK_S = 2.0
ASK_S = 2.0
CALM_S = 5.0
"""Time after the last order in which what was begun may still be answered."""
OPEN_MAX = 2_000
"""Orders that may be unanswered at once; what is due beyond is counted as an error."""

type Tell = Callable[[str], None]


class Plan(Struct, frozen=True, kw_only=True):
    """What a run is to be."""

    couriers: int = 100
    customers: int = 100
    restaurants: int = 20
    rate_s: float = 1.0
    """Orders a second."""
    seconds: float = 60.0
    pings_per_s: float = 1.0
    frame_pings: int = 5
    reach_m: float = 2_500.0
    seed: int = 1


class Report(Struct, frozen=True, kw_only=True):
    """What came of a run."""

    seconds: float
    couriers: int
    customers: int
    orders: int
    delivered: int
    pings_per_s: float
    ping_to_frame_ms: Latency
    order_ack_ms: Latency
    act_ms: Latency
    click_to_door_ms: Latency
    late_ms: Latency
    """How late the load itself was: above a few milliseconds it measures its own machine."""
    loop_lag_ms: Mapping[str, float]
    resident_mib: float
    node_cpu_share: float
    counts: Mapping[str, int]
    refusals: Mapping[str, int]
    errors: Mapping[str, int]


class _Lag(Struct, frozen=True):
    p50: float
    p99: float
    max: float


class _Statistics(Struct, frozen=True):
    """What a client reads of a node's statistics."""

    node: str
    resident_bytes: int
    cpu_s: float
    loop_lag_ms: _Lag


@dataclass(slots=True)
class _Heard:
    """What one node has said of itself."""

    first: tuple[float, float]
    last: tuple[float, float]
    """When by our clock, and its processor time by then."""
    p50: float = 0.0
    p99: float = 0.0
    resident_bytes: int = 0


async def run(plan: Plan, key: str, addresses: Sequence[str], centre: LatLng, tell: Tell) -> Report:
    """Fill a town around a place and let it live; raises ApiFailed when it cannot be filled."""
    tally, chance = Tally(), Random(plan.seed)
    async with dialled(addresses, tally, Random(chance.random())) as api:
        return await _Run(plan, key, api, tally, chance, tell).live(centre)


class _Run:
    """The run itself."""

    def __init__(
        self, plan: Plan, key: str, api: Api, tally: Tally, chance: Random, tell: Tell
    ) -> None:
        self._plan, self._key, self._api = plan, key, api
        self._tally, self._chance, self._tell = tally, chance, tell
        self._heard: dict[str, _Heard] = {}
        self._open = 0

    async def live(self, centre: LatLng) -> Report:
        """Fill the town, let it live, and tell how it was."""
        couriers, customers, shoppers = await self._filled(centre)
        self._tell(f"{len(couriers)} couriers and {len(customers)} customers connect")
        async with trio.open_nursery() as nursery:
            self._connect(couriers, nursery)
            self._connect(customers, nursery)
            await self._gathered(couriers, customers)
            self._tally.begin()
            began_s, pings = steady_s(), self._tally.counts["pings"]
            nursery.start_soon(self._ask_nodes)
            self._tell(f"{self._plan.rate_s:g} orders a second for {self._plan.seconds:.0f} s")
            await self._shop(shoppers)
            seconds = steady_s() - began_s
            pings_per_s = (self._tally.counts["pings"] - pings) / seconds
            await trio.sleep(CALM_S)
            nursery.cancel_scope.cancel()
        for robot in (*couriers, *customers):
            robot.close()
        return self._report(seconds, pings_per_s)

    async def _filled(
        self, centre: LatLng
    ) -> tuple[list[RoboCourier], list[RoboCustomer], Shoppers]:
        plan, api, tally = self._plan, self._api, self._tally
        restaurants = await opened(
            api,
            self._key,
            centre,
            plan.reach_m,
            plan.restaurants,
            auto_accepts=True,
            prep_s=PREP_S,
            chance=self._someone(),
        )
        manners = structs.replace(
            MANNERS, pings_per_s=plan.pings_per_s, frame_pings=plan.frame_pings
        )
        hired = await invited(api, self._key, newcomers("courier", plan.couriers))
        guests = await invited(api, self._key, newcomers("customer", plan.customers))
        couriers = [
            RoboCourier(
                person.device(_notation(at)),
                near(centre, plan.reach_m, self._chance),
                manners,
                tally,
                self._someone(),
            )
            for at, person in enumerate(hired)
        ]
        customers = [
            RoboCustomer(person.device(_notation(at)), tally) for at, person in enumerate(guests)
        ]
        shoppers = Shoppers(customers, restaurants, api, TASTE, tally, self._someone())
        return couriers, customers, shoppers

    def _connect(self, robots: Sequence[Robot], nursery: trio.Nursery) -> None:
        """Connect some by a library, as anybody would, and the rest by the leanest way."""
        for robot in robots[:LINES_MAX]:
            line = Line(robot, self._api, self._tally, self._someone())
            nursery.start_soon(line.run)
        flood = Flood(robots[LINES_MAX:], self._api, self._tally, self._someone())
        nursery.start_soon(flood.run)

    async def _gathered(
        self, couriers: Sequence[RoboCourier], customers: Sequence[RoboCustomer]
    ) -> None:
        """Wait until everybody is connected and every courier on his shift."""
        ends_s = trio.current_time() + GATHER_S_MAX
        while trio.current_time() < ends_s:
            await trio.sleep(LOOK_S)
            on_shift = sum(one.is_on_shift for one in couriers)
            connected = sum(one.is_welcome for one in customers)
            if (on_shift, connected) == (len(couriers), len(customers)):
                return
            self._tell(f"{on_shift:,} couriers on shift, {connected:,} customers connected")
        self._tell(f"somebody is missing after {GATHER_S_MAX:.0f} s; going on without")
        self._tally.fail("somebody missing at the beginning")

    async def _shop(self, shoppers: Shoppers) -> None:
        """Have orders placed at instants that are fixed beforehand."""
        chance, due_at = self._someone(), wall()
        ends_at = after(due_at, self._plan.seconds)
        async with trio.open_nursery() as nursery:
            while True:
                due_at = after(due_at, chance.expovariate(self._plan.rate_s))
                if due_at >= ends_at:
                    break
                if due_at > (now := wall()):  # Of what is overdue, none waits for another's turn.
                    await trio.sleep((due_at - now) / 1_000)
                if self._open >= OPEN_MAX:
                    self._tally.fail("too many orders unanswered")
                    continue
                nursery.start_soon(self._place, shoppers, due_at)
            await trio.sleep(max(0.0, (ends_at - wall()) / 1_000))

    async def _place(self, shoppers: Shoppers, due_at: Instant) -> None:
        self._open += 1
        await shoppers.order(due_at)
        self._open -= 1

    async def _ask_nodes(self) -> None:
        """Ask every node for its statistics, again and again."""
        while True:
            for door in self._api.doors.addresses:
                try:
                    answer = await self._api.ask_once("GET", door, "/v1/statistics", self._key)
                    self._note(answer.read(_Statistics))
                except ApiFailed:
                    self._tally.fail("statistics unanswered")
            await trio.sleep(ASK_S)

    def _note(self, told: _Statistics) -> None:
        stamp = (steady_s(), told.cpu_s)
        heard = self._heard.setdefault(told.node, _Heard(stamp, stamp))
        heard.last = stamp
        heard.p50 = max(heard.p50, told.loop_lag_ms.p50)
        heard.p99 = max(heard.p99, told.loop_lag_ms.p99)
        heard.resident_bytes = max(heard.resident_bytes, told.resident_bytes)

    def _report(self, seconds: float, pings_per_s: float) -> Report:
        tally, heard = self._tally, self._heard.values()
        took_ms = {name: histogram.latency() for name, histogram in tally.took_ms.items()}
        nothing = Latency(count=0, p50=0.0, p90=0.0, p99=0.0, max=0.0)
        spans = [
            (one.last[1] - one.first[1]) / max(0.001, one.last[0] - one.first[0]) for one in heard
        ]
        return Report(
            seconds=round(seconds, 1),
            couriers=self._plan.couriers,
            customers=self._plan.customers,
            orders=tally.counts["orders placed"],
            delivered=tally.counts["delivered"],
            pings_per_s=round(pings_per_s, 1),
            ping_to_frame_ms=took_ms.get("ping_to_frame", nothing),
            order_ack_ms=took_ms.get("order_ack", nothing),
            act_ms=took_ms.get("act", nothing),
            click_to_door_ms=took_ms.get("click_to_door", nothing),
            late_ms=took_ms.get("lateness", nothing),
            loop_lag_ms={
                "p50": max((one.p50 for one in heard), default=0.0),
                "p99": max((one.p99 for one in heard), default=0.0),
            },
            resident_mib=round(max((one.resident_bytes for one in heard), default=0) / 2**20, 1),
            node_cpu_share=round(max(spans, default=0.0), 3),
            counts=dict(tally.counts),
            refusals=dict(tally.refusals),
            errors=dict(tally.errors),
        )

    def _someone(self) -> Random:
        return Random(self._chance.random())


def _notation(number: int) -> Notation:
    return Notation.JSON if number % JSON_EVERY == JSON_EVERY - 1 else Notation.MSGPACK
