"""A public instance through the production actors, on virtual time.

The instance's people become robots: customers who place each order at its minute, kitchens that say
when the food will be ready, couriers who obey. Kitchens know it to the minute, as the problem has
it, or err by as much as is asked for, and then the food is ready when it is. The problem's own
rules come in by Policy and travel times alone: rounds every minute, direct assignment, nobody
diverted, whole minutes of travel. The log holds what the couriers really did, and the day's figures
are those of the problem: an order nobody delivered counts as its maximum click-to-door.
"""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import fmean

import numpy as np
import trio
import trio.testing
from msgspec import Struct, structs

from actors.limits import Limits
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId, after
from dispatch.order import Place
from dispatch.policy import DEFAULT_SOLVER, Policy, Repositioning
from dispatch.restaurant import Open
from geo.point import Point
from geo.travel import StraightLine
from node.hosting import Market
from node.wiring import Composition, composed
from simulations.mdrp import Instance, Log, read_instance
from simulations.robots import OBEDIENT, City, RecordedKitchen, RoboCourier
from simulations.world import DAWN, World, deterministic
from storage.memory import MemoryStore

MARKET = MarketId("mdrp")
MINUTE_S = 60.0
LOAD_MAX = 100
"""Nothing but the bundle limits what a courier of an instance carries."""
DRIVE_PRICE = 0.15
"""What a minute of driving to where work is expected costs, in minutes of customers' waiting."""
AFTERMATH_MIN = 240.0
"""Time after the last shift by which everything in a bag has been delivered."""


class Result(Struct, frozen=True, kw_only=True):
    """A replayed day in figures. Minutes, percent, milliseconds a round, seconds of processor."""

    instance: str
    orders: int
    delivered: int
    pct_undelivered: float
    ctd_mean: float
    ctd_p90: float
    ctd_penalised: float
    overage: float
    """Minutes over the target, of all delivered orders on average."""
    over_maximum: int
    cost_per_order: float
    driving_per_order: float
    round_ms_p99: float
    cpu_s: float

    def figures(self) -> dict[str, str | float]:
        """Return the figures by name."""
        return structs.asdict(self)


def mean(results: Sequence[Result]) -> dict[str, float]:
    """Return the mean of each figure over instances, every instance counting once."""
    names = [name for name in Result.__struct_fields__ if name != "instance"]
    return {name: fmean(getattr(result, name) for result in results) for name in names}


def replay_all(
    folders: Sequence[Path],
    *,
    policy: str = DEFAULT_SOLVER,
    seed: int = 1,
    prep_sd_min: float = 0.0,
    drive_price: float = DRIVE_PRICE,
    jobs: int = 1,
    log_dir: Path | None = None,
) -> Iterator[Result]:
    """Yield each instance's result in the order of `folders`, `jobs` processes at work.

    Every instance is read and checked before the first is replayed.
    """
    for folder in folders:
        read_instance(folder)
    if log_dir is not None:
        log_dir.mkdir(parents=True, exist_ok=True)
    one = partial(
        _replayed,
        policy=policy,
        seed=seed,
        prep_sd_min=prep_sd_min,
        drive_price=drive_price,
        log_dir=log_dir,
    )
    if jobs == 1:
        yield from map(one, folders)
        return
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent
    ) as pool:
        try:
            yield from pool.map(one, folders)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    """Ignore Ctrl-C in a worker: it reaches the whole group, and the parent ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _replayed(
    folder: Path,
    *,
    policy: str,
    seed: int,
    prep_sd_min: float,
    drive_price: float,
    log_dir: Path | None,
) -> Result:
    instance = read_instance(folder)
    rules = policy_of(instance, drive_price=drive_price)
    said_min = guessed(instance, prep_sd_min, seed)
    result, log = replay(instance, solver=policy, seed=seed, policy=rules, said_min=said_min)
    if log_dir is not None:
        (log_dir / f"{instance.name}.jsonl").write_bytes(log)
    return result


def policy_of(instance: Instance, *, drive_price: float = DRIVE_PRICE) -> Policy:
    """Return the problem's rules, and this instance's numbers, as a Policy.

    At a `drive_price` of 0 idle couriers stay where they are.
    """
    return Policy(
        round_s=MINUTE_S,
        offer_s=0.0,
        accept_s=MINUTE_S,
        give_up_s=7 * 86_400.0,
        pickup_s=instance.parameters.pickup_min * MINUTE_S,
        dropoff_s=instance.parameters.dropoff_min * MINUTE_S,
        bag_s_max=7 * 86_400.0,
        load_max=LOAD_MAX,
        diverts=False,
        explained_max=0,
        repositioning=Repositioning(drive_price=drive_price, binds=True),
    )


def travel_of(instance: Instance) -> StraightLine:
    """Return the problem's travel times: straight lines, rounded up to whole minutes."""
    return StraightLine(
        speed_mps=instance.parameters.metres_per_min / MINUTE_S, rounds_up_to_s=MINUTE_S
    )


def replay(
    instance: Instance,
    *,
    solver: str = DEFAULT_SOLVER,
    seed: int = 1,
    policy: Policy | None = None,
    said_min: Mapping[OrderId, float] | None = None,
) -> tuple[Result, bytes]:
    """Replay one instance; return its figures and its log. The same seed gives the same bytes.

    Kitchens say that food will be ready when it will be, or what `said_min` has them say.
    """
    began = time.process_time()
    said_min = guessed(instance, 0.0, seed) if said_min is None else said_min
    day = _Day(instance, said_min, policy or policy_of(instance), solver)
    clock = trio.testing.MockClock(autojump_threshold=0)
    with deterministic(seed):
        trio.run(day.run, clock=clock)
    return day.result(time.process_time() - began), day.log.to_bytes()


def guessed(instance: Instance, prep_sd_min: float, seed: int) -> dict[OrderId, float]:
    """Return when kitchens say that each order will be ready, off by so many minutes.

    The errors are normally distributed, but no order is said to be ready before it was placed.
    """
    said_min: dict[OrderId, float] = {}
    for order in instance.orders:
        error_min = Random(f"{seed} {order.id}").gauss(0.0, prep_sd_min) if prep_sd_min else 0.0
        said_min[OrderId(order.id)] = max(order.placed_min, order.ready_min + error_min)
    return said_min


@dataclass
class _Day:
    """One instance being replayed, and the witness of what its couriers do."""

    instance: Instance
    said_min: Mapping[OrderId, float]
    policy: Policy
    solver: str
    log: Log = field(default_factory=Log)
    delivered_min: dict[str, float] = field(default_factory=dict[str, float])
    delivered_by: dict[str, int] = field(default_factory=dict[str, int])
    driven_s: float = 0.0
    places: dict[str, Point] = field(default_factory=dict[str, Point])
    """Where each courier went last."""
    round_ms: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        """Learn the places by name."""
        whole = self.instance
        self.places = {one.id: Point(one.x_m, one.y_m) for one in whole.couriers}
        self.restaurants = {one.id: Point(one.x_m, one.y_m) for one in whole.restaurants}
        self.doors = {one.id: Point(one.x_m, one.y_m) for one in whole.orders}

    async def run(self) -> None:
        world = World(DAWN)
        ends_at = _instant(self._last_min())
        market = Market(
            market_id=MARKET,
            policy=self.policy,
            travel=travel_of(self.instance),
            solver=self.solver,
        )
        async with composed(
            market,
            world.now,
            until_s=world.until_s,
            journal=MemoryStore(keeps_history=False),
            limits=Limits(idle_s=None),
            watch=lambda taken: self.round_ms.append(taken.took_ms),
        ) as composition:
            city = City(
                world=world,
                say=composition.say,
                policy=self.policy,
                travel=travel_of(self.instance),
                witness=self,
                market_id=MARKET,
            )
            self._open_kitchens(composition, city)
            self._send_couriers(composition, city)
            self._place_orders(composition, city)
            composition.begin(DAWN)
            await world.run(ends_at)
            composition.check_health()

    def _last_min(self) -> float:
        latest = max(courier.off_min for courier in self.instance.couriers)
        placed = max((order.placed_min for order in self.instance.orders), default=0.0)
        return max(latest, placed) + AFTERMATH_MIN

    def _open_kitchens(self, composition: Composition, city: City) -> None:
        ready_at: dict[str, dict[OrderId, Instant]] = {}
        said_at = {order: _instant(minute) for order, minute in self.said_min.items()}
        for order in self.instance.orders:
            mine = ready_at.setdefault(order.restaurant, {})
            mine[OrderId(order.id)] = _instant(order.ready_min)
        for restaurant in self.instance.restaurants:
            key = RestaurantId(restaurant.id)
            kitchen = RecordedKitchen(city, key, ready_at.get(restaurant.id, {}), said_at)
            composition.listen(key, kitchen.hear)
            opening = Open(
                restaurant_id=key,
                point=Point(restaurant.x_m, restaurant.y_m),
                capacity_max=100_000,
                auto_accepts=False,
            )
            composition.say("restaurant", key, opening)

    def _send_couriers(self, composition: Composition, city: City) -> None:
        for courier in self.instance.couriers:
            if courier.off_min <= courier.on_min:
                continue
            point = Point(courier.x_m, courier.y_m)
            robot = RoboCourier(city, CourierId(courier.id), point, OBEDIENT, Random(0))
            composition.listen(courier.id, robot.hear)
            start = partial(robot.start_shift, _instant(courier.off_min), LOAD_MAX)
            city.world.ahead(_instant(courier.on_min), start)

    def _place_orders(self, composition: Composition, city: City) -> None:
        places = {one.id: Point(one.x_m, one.y_m) for one in self.instance.restaurants}
        for order in self.instance.orders:
            place = Place(
                order_id=OrderId(order.id),
                market_id=MARKET,
                customer_id=CustomerId(f"customer of {order.id}"),
                restaurant_id=RestaurantId(order.restaurant),
                pickup=places[order.restaurant],
                dropoff=Point(order.x_m, order.y_m),
            )
            act = partial(composition.say, "order", place.order_id, place)
            city.world.ahead(_instant(order.placed_min), act)

    def moves(self, courier: CourierId, restaurant: RestaurantId, at: Instant) -> None:
        """Log that a courier sets out."""
        self.log.move(_minute(at), courier, restaurant)
        self._drives(courier, self.restaurants[restaurant])

    def collects(self, courier: CourierId, orders: tuple[OrderId, ...], at: Instant) -> None:
        """Log that a bundle is settled and picked up."""
        self.log.pickup(_minute(at), courier, orders)

    def delivers(self, courier: CourierId, order: OrderId, at: Instant) -> None:
        """Log that an order is delivered."""
        self.log.dropoff(_minute(at), courier, order)
        self.delivered_min[order] = _minute(at)
        self.delivered_by[courier] = self.delivered_by.get(courier, 0) + 1
        self._drives(courier, self.doors[order])

    def _drives(self, courier: CourierId, goal: Point) -> None:
        self.driven_s += travel_of(self.instance).seconds(self.places[courier], goal)
        self.places[courier] = goal

    def result(self, cpu_s: float) -> Result:
        placed = {order.id: order.placed_min for order in self.instance.orders}
        took = [minute - placed[order] for order, minute in self.delivered_min.items()]
        orders, parameters = len(placed), self.instance.parameters
        maximum, lost = parameters.maximum_min, orders - len(took)
        return Result(
            instance=self.instance.name,
            orders=orders,
            delivered=len(took),
            pct_undelivered=100 * lost / max(1, orders),
            ctd_mean=fmean(took) if took else 0.0,
            ctd_p90=float(np.percentile(took, 90)) if took else 0.0,
            ctd_penalised=(sum(took) + maximum * lost) / max(1, orders),
            overage=fmean(max(0.0, one - parameters.target_min) for one in took) if took else 0.0,
            over_maximum=sum(one > maximum for one in took),
            cost_per_order=self._pay() / max(1, len(took)),
            driving_per_order=self.driven_s / MINUTE_S / max(1, len(took)),
            round_ms_p99=float(np.percentile(self.round_ms, 99)) if self.round_ms else 0.0,
            cpu_s=cpu_s,
        )

    def _pay(self) -> float:
        """Return what the couriers are paid: for each order, or for their hours if that is more."""
        parameters = self.instance.parameters
        return sum(
            max(
                parameters.pay_per_order * self.delivered_by.get(courier.id, 0),
                parameters.pay_per_hour * (courier.off_min - courier.on_min) / 60,
            )
            for courier in self.instance.couriers
        )


def _instant(minute: float) -> Instant:
    return after(DAWN, minute * MINUTE_S)


def _minute(at: Instant) -> float:
    return (at - DAWN) / 60_000
