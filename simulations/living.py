"""A living city for `dispatch demo`: kitchens, couriers and customers, on nodes that may be killed.

Everybody here is a robot of `simulations.load` on a real socket, and nothing is faster than life:
ways are short and kitchens quick, so that an order is at its door after a minute or so. One more
customer and the staff of one more restaurant are nobody's robots: their tokens are written to files
and kept fresh, for whoever wants to take part with `curl`.

A node that ends without having been told to is noticed, and how long its market was without an
owner is read from the database: from the end of the process to the first commit of the next owner.
"""

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from random import Random
from shlex import quote

import msgspec
import trio
from msgspec import Struct

from dispatch.ids import after
from dispatch.lease import NodeId
from dispatch.policy import Policy
from geo.point import LatLng
from node.atlas import Settings
from node.clock import steady_s, wall
from node.config import Config
from node.stores import stored
from simulations.load.api import Api, dialled
from simulations.load.courier import Manners, RoboCourier
from simulations.load.customer import STRAY, RoboCustomer
from simulations.load.device import Device
from simulations.load.line import Line
from simulations.load.renewal import keep_renewing
from simulations.load.restaurant import Recipe, RoboRestaurant, Work
from simulations.load.robot import Robot
from simulations.load.shopping import Shoppers, Taste
from simulations.load.site import Site, site
from simulations.load.tally import Tally
from simulations.load.town import Person, Restaurant, invited, newcomers, opened, staff
from simulations.load.way import near
from storage.audit import Head, fetch_heads, fetch_owners
from storage.database import Database, DatabaseUnreachable

TOWN_HALL = LatLng(55.6759, 12.5683)
MARKET = "copenhagen"
POLICY = Policy(
    round_s=2.0,
    round_timeout_s=4.0,
    offer_s=12.0,
    prep_default_s=15.0,
    pickup_s=2.0,
    dropoff_s=2.0,
    quiet_s=45.0,
)
MANNERS = Manners(
    pings_per_s=1.0,
    frame_pings=2,
    speed_mps=(9.0, 12.0),
    thinks_s=(0.5, 2.5),
    waits_s=15.0,
    strolls_m=250.0,
)
SPEED_MPS = 10.0
RECIPE = Recipe(answers_s=(0.5, 2.0), cooks_s=(6.0, 15.0))
TASTE = Taste(reach_m=250.0, cancels_share=0.03)
TOLD_S = 5.0
LOOK_S = 0.05
TAKEOVER_S_MAX = 30.0
OPEN_MAX = 200
"""Orders that may be unanswered at once; beyond it nobody orders."""

type Tell = Callable[[str], None]


class Plan(Struct, frozen=True, kw_only=True):
    """How large the city is, and how long it lives; without `seconds`, until it is ended."""

    nodes: int = 2
    couriers: int = 40
    restaurants: int = 15
    customers: int = 20
    order_s: float = 2.0
    """Time between two orders, in the mean."""
    reach_m: float = 500.0
    seconds: float | None = None
    seed: int = 1


class Ending(Struct, frozen=True, kw_only=True):
    """What came of it."""

    placed: int
    delivered: int
    faults: int
    """Messages that were missing, came twice, or showed what nobody should see."""


async def live(config: Config, plan: Plan, tell: Tell, ended: trio.Event) -> Ending:
    """Let a city live on servers that are there and migrated, until `ended` or its time is over."""
    settings = Settings(centre=TOWN_HALL, speed_mps=SPEED_MPS, detour=1.0, policy=POLICY)
    async with site(config, plan.nodes, MARKET, settings, tell) as here:
        tally, chance = Tally(), Random(plan.seed)
        async with (
            dialled(here.doors(), tally, Random(chance.random())) as api,
            stored(config) as stores,
        ):
            city = _City(plan, here, api, tally, chance, tell)
            return await city.live(stores.database, Path(config.var_dir), ended)


class _City:
    """The city itself."""

    def __init__(
        self, plan: Plan, here: Site, api: Api, tally: Tally, chance: Random, tell: Tell
    ) -> None:
        self._plan, self._here, self._api = plan, here, api
        self._tally, self._chance, self._tell = tally, chance, tell
        self._robots: list[Robot] = []
        self._couriers: list[RoboCourier] = []
        self._open = 0

    async def live(self, database: Database, folder: Path, ended: trio.Event) -> Ending:
        """Fill the city, tell how to take part in it, and let it live."""
        self._tell("opening kitchens and hiring couriers")
        async with trio.open_nursery() as nursery:
            guest, shoppers = await self._filled(nursery, folder)
            nursery.start_soon(self._shop, shoppers)
            nursery.start_soon(_Watch(database, self._here, self._tell).run)
            owners = frozenset((await fetch_owners(database)).values())
            self._tell(self._invitation(guest, folder, owners))
            nursery.start_soon(self._report)
            with trio.move_on_after(self._plan.seconds or float("inf")):
                await ended.wait()
            nursery.cancel_scope.cancel()
        for robot in self._robots:
            robot.close()
        return Ending(
            placed=self._tally.counts["orders placed"],
            delivered=self._tally.counts["delivered"],
            faults=sum(robot.device.faults.total() for robot in self._robots)
            + self._tally.errors[STRAY],
        )

    async def _filled(self, nursery: trio.Nursery, folder: Path) -> tuple[Restaurant, Shoppers]:
        """Have everybody there and connected; return the restaurant that is for guests."""
        plan, api, key = self._plan, self._api, self._here.key
        restaurants = await opened(
            api,
            key,
            TOWN_HALL,
            plan.reach_m,
            plan.restaurants,
            auto_accepts=False,
            prep_s=RECIPE.cooks_s[1],
            chance=self._someone(),
        )
        cooks = await invited(api, key, staff(restaurants))
        hired = await invited(api, key, newcomers("courier", plan.couriers))
        guest, *buyers = await invited(api, key, newcomers("customer", plan.customers + 1))
        for person, restaurant in zip(cooks, restaurants, strict=True):
            self._robots.append(self._cook(person, restaurant, nursery))
        for person in hired:
            place = near(TOWN_HALL, plan.reach_m, self._chance)
            courier = RoboCourier(person.device(), place, MANNERS, self._tally, self._someone())
            self._couriers.append(courier)
        customers = [RoboCustomer(person.device(), self._tally) for person in buyers]
        self._robots += [*self._couriers, *customers]
        for robot in self._robots:
            line = Line(robot, api, self._tally, self._someone())
            nursery.start_soon(line.run)
        kept = {"customer": guest.device(), "restaurant": self._robots[0].device}
        await self._keep_signed_in(kept, nursery, folder)
        shoppers = Shoppers(customers, restaurants, api, TASTE, self._tally, self._someone())
        return restaurants[0], shoppers

    def _cook(
        self, person: Person, restaurant: Restaurant, nursery: trio.Nursery
    ) -> RoboRestaurant:
        def begin(work: Work) -> None:
            nursery.start_soon(work)

        device = person.device(feed=restaurant.restaurant_id)
        return RoboRestaurant(device, self._api, begin, RECIPE, self._tally, self._someone())

    async def _keep_signed_in(
        self, kept: dict[str, Device], nursery: trio.Nursery, folder: Path
    ) -> None:
        """Write the tokens of those who are nobody's robots to files, and keep all fresh."""
        devices = list(dict.fromkeys([*kept.values(), *(one.device for one in self._robots)]))
        _write(folder, kept)
        nursery.start_soon(keep_renewing, devices, self._api)
        nursery.start_soon(_keep_writing, folder, kept)

    def _invitation(self, guest: Restaurant, folder: Path, owners: Collection[NodeId]) -> str:
        """Say how to take part, at a node that goes on when the market's owner is killed."""
        place, running = guest.place, self._here.running()
        owner = next((one for one in running if one.node in owners), running[0])
        door = f"http://{next((one for one in running if one is not owner), owner).door}"
        bearer = f'-H "Authorization: Bearer $(cat {quote(str(folder / "customer.token"))})"'
        order = {
            "restaurant_id": guest.restaurant_id,
            "lines": [{"dish_id": "dsh_soup", "name": "Soup", "count": 1}],
            "dropoff": {
                "lat": round(place.lat + 0.001, 5),
                "lng": round(place.lng + 0.001, 5),
                "phone": "+4533123456",
            },
        }
        body = msgspec.json.encode(order).decode()
        sent = "-H 'Content-Type: application/json' -H 'Idempotency-Key: hello'"
        return "\n".join(
            [
                f"the city lives at {door}/",
                "",
                f"  a customer's token    {folder / 'customer.token'}",
                f"  a restaurant's token  {folder / 'restaurant.token'} ({guest.name})",
                f"  an operations key     {self._here.key}",
                "",
                "place an order, see how it stands, and hear what becomes of it:",
                "",
                f"  curl -s {door}/v1/orders {bearer} {sent} -d '{body}'",
                f"  curl -s '{door}/v1/orders?limit=1' {bearer}",
                f"  curl -s '{door}/v1/feed?after=0&wait_s=10' {bearer}",
                "",
                f"kill the node that has the market and watch: kill -9 {owner.pid}",
                "end with Ctrl-C",
                "",
            ]
        )

    async def _shop(self, shoppers: Shoppers) -> None:
        """Have somebody order, at instants fixed beforehand."""
        chance, due_at = self._someone(), wall()
        async with trio.open_nursery() as nursery:
            while True:
                due_at = after(due_at, chance.expovariate(1 / self._plan.order_s))
                await trio.sleep(max(0.0, (due_at - wall()) / 1_000))
                if self._open < OPEN_MAX:
                    nursery.start_soon(self._order, shoppers)

    async def _order(self, shoppers: Shoppers) -> None:
        self._open += 1
        await shoppers.order(wall())
        self._open -= 1

    async def _report(self) -> None:
        """Say how it goes, every few seconds."""
        while True:
            await trio.sleep(TOLD_S)
            counts = self._tally.counts
            online = sum(courier.is_welcome for courier in self._couriers)
            took = self._tally.took_ms["click_to_door"]
            usual = f", in {took.quantile_ms(0.5) / 1_000:.0f} s mostly" if len(took) else ""
            self._tell(
                f"{counts['orders placed']} orders placed, {counts['delivered']} delivered{usual};"
                f" {online} of {len(self._couriers)} couriers online;"
                f" {len(self._here.fleet.members)} nodes"
            )

    def _someone(self) -> Random:
        return Random(self._chance.random())


class _Watch:
    """Notices nodes that end, and times who takes their market over."""

    def __init__(self, database: Database, here: Site, tell: Tell) -> None:
        self._database, self._here, self._tell = database, here, tell
        self._head = Head(0, 0)
        self._looked = trio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        pids = self._pids()
        async with trio.open_nursery() as nursery:
            while True:
                before = self._head  # A takeover may be over before the death is seen.
                await self._look()
                looked, self._looked = self._looked, trio.Event()
                looked.set()
                now = self._pids()
                for pid in pids - now:
                    nursery.start_soon(self._time_takeover, pid, before, steady_s())
                pids = now
                await trio.sleep(LOOK_S)

    def _pids(self) -> set[int]:
        fleet = self._here.fleet
        return set() if fleet.is_leaving else {member.process.pid for member in fleet.members}

    async def _look(self) -> None:
        try:
            heads = await fetch_heads(self._database)
        except DatabaseUnreachable:
            return
        self._head = max(heads.values(), key=lambda head: head.epoch, default=self._head)

    async def _time_takeover(self, pid: int, before: Head, ended_s: float) -> None:
        with trio.move_on_after(TAKEOVER_S_MAX):
            while self._head.epoch <= before.epoch or self._head.batch <= before.batch:
                await self._looked.wait()
            took_s = steady_s() - ended_s
            self._tell(f"node {pid} ended; another took its market over within {took_s:.2f} s")
            return
        self._tell(f"node {pid} ended; it had no market, so nothing was taken over")


def _write(folder: Path, kept: dict[str, Device]) -> None:
    """Write each token to a file that only its owner can read, whole at every moment."""
    for name, device in kept.items():
        path = folder / f"{name}.token"
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(device.token)
        fresh.replace(path)


async def _keep_writing(folder: Path, kept: dict[str, Device]) -> None:
    """Write the tokens again whenever one was renewed."""
    written: Sequence[str] = [device.token for device in kept.values()]
    while True:
        await trio.sleep(1)
        now = [device.token for device in kept.values()]
        if now != written:
            _write(folder, kept)
            written = now
