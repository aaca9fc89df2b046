"""A day of a generated city through the production actors, on virtual time.

The city's people are made in advance from a spec and a seed (`simulations.city`), so that every
policy meets the same day; robots play them. What happens is noted from what people's feeds say and
from what couriers do, and adds up to a `Day`. The same spec, seed and policy give the same day.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import trio
import trio.testing
from msgspec import Struct, structs

from actors.limits import Limits
from actors.positions import PositionFeed
from dispatch.arrival import instant_of
from dispatch.decision import OrderDecided
from dispatch.delivery import BEFORE_PICKUP, DeliveryStatus
from dispatch.fairness import credit
from dispatch.ids import CourierId, CustomerId, Instant, MarketId, OrderId, RestaurantId, after
from dispatch.order import OrderMoved, OrderStatus, Place
from dispatch.policy import DEFAULT_SOLVER, Policy
from dispatch.restaurant import Open
from geo.eta import Eta, Phase, Told
from geo.ping import Ping, Track
from geo.positions import PositionTable
from geo.projection import Projection
from geo.travel import OnStreets
from node.hosting import Market
from node.reckoner import Reckoner
from node.solver import RoundTaken
from node.wiring import Composition, composed
from simulations.city import (
    Courier,
    Order,
    Population,
    Restaurant,
    centre_of,
    populate,
    ways_of,
)
from simulations.day import (
    CourierRecord,
    Day,
    DayRecorder,
    OrderRecord,
    Outcome,
    RestaurantRecord,
    RoundRecord,
    Setting,
)
from simulations.robots import City, Kitchen, Manners, RoboCourier, RoboKitchen
from simulations.safety import SafetyReferee
from simulations.scene import Activity, CourierSpot, Scene, Spot
from simulations.spec import Spec
from simulations.world import DAWN, World, deterministic
from storage.memory import MemoryStore
from streets.folder import load_city
from streets.travel import exact, opened

PING_S = 10.0
LOOK_S = 5.0
RECKON_S = 20.0
SAMPLE_S = 300.0
AFTERMATH_S = 5_400.0
"""Time after the last order in which the city finishes what it began."""
EVENTS_SHOWN = 5

type Watch = Callable[[Scene], None]
type Judged = Callable[[OrderId, Told], None]
type Decided = Callable[[OrderDecided], None]


class _Open(Struct, frozen=True):
    """An order that somebody still waits for, as the day's recorder knows it."""

    restaurant: Restaurant
    courier_id: CourierId | None = None


@dataclass(slots=True)
class Foresight:
    """What a market has learned of how long things take, and who sees its estimates judged."""

    eta: Eta = field(default_factory=Eta)
    judged: Judged = lambda _order_id, _told: None


def simulate(
    spec: Spec,
    *,
    seed: int,
    solver: str = DEFAULT_SOLVER,
    policy: Policy | None = None,
    watch: Watch | None = None,
    is_watched: Callable[[], bool] = lambda: True,
    decided: Decided | None = None,
    foresight: Foresight | None = None,
) -> Day:
    """Simulate one day; `watch` is shown the city as it goes, whenever `is_watched` says so.

    `decided` is told each decision of each round, with its reasons. With `foresight` the market
    begins with what was learned before, and ends by noting what it knows then.
    """
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    show = Show(watch, is_watched) if watch else None
    evening = _Evening(spec, populate(spec, seed), seed, solver, policy or Policy(), show)
    evening.decided = decided
    evening.look_ahead(foresight or Foresight())
    with deterministic(seed):
        trio.run(evening.run, clock=trio.testing.MockClock(autojump_threshold=0))
    if foresight is not None:
        foresight.eta = evening.reckoner.eta
    return evening.recorder.day(
        evening.ends_at,
        evening.courier_records(),
        wall_s=time.perf_counter() - began_s,
        cpu_s=time.process_time() - began_cpu_s,
    )


@dataclass(slots=True)
class Show:
    """Who watches, whether they want to see another scene now, and the speed since the last one."""

    watch: Watch
    is_due: Callable[[], bool]
    _at: Instant = DAWN
    _wall_s: float = field(default_factory=time.perf_counter)

    def speed(self, now: Instant) -> float:
        """Return the virtual seconds that passed for each real one since this was last asked."""
        at, wall_s = self._at, self._wall_s
        self._at, self._wall_s = now, time.perf_counter()
        return (now - at) / 1000 / max(1e-6, self._wall_s - wall_s)


class _Evening:
    """One day being simulated: the city, its robots, and the recorder that watches them."""

    def __init__(
        self,
        spec: Spec,
        population: Population,
        seed: int,
        solver: str,
        policy: Policy,
        show: Show | None,
    ) -> None:
        self._spec, self._population, self._seed = spec, population, seed
        self._solver, self._policy, self._show = solver, policy, show
        self._ways = ways_of(spec)
        self._roads = exact(self._ways) if isinstance(self._ways, OnStreets) else None
        self._detour = 1.0 if self._roads else spec.detour
        self._projection = Projection(centre_of(spec))
        self._starts_at = after(DAWN, spec.opens_h * 3600)
        closes_s = (spec.opens_h + spec.hours) * 3600
        self.ends_at = after(DAWN, closes_s + AFTERMATH_S)
        self._world = World(self._starts_at)
        self._robots: dict[CourierId, RoboCourier] = {}
        self._on_shift: dict[CourierId, RoboCourier] = {}
        self._open: dict[OrderId, _Open] = {}
        self._said: deque[str] = deque(maxlen=EVENTS_SHOWN)
        self.decided: Decided | None = None
        self._referee = SafetyReferee(policy.safety)
        self.reckoner = Reckoner(
            clock=self._world.now, policy=self._policy, travel=opened(self._ways)
        )
        self.recorder = DayRecorder(
            Setting(
                city=spec.name,
                policy=solver,
                seed=seed,
                starts_at=self._starts_at,
                restaurants=tuple(map(_restaurant_record, population.restaurants)),
                attribution=load_city(Path(spec.folder)).attribution if spec.folder else "",
            )
        )

    async def run(self) -> None:
        """Let the day happen."""
        table = PositionTable(self._projection)
        feed = PositionFeed(table, self._say, self._policy.quiet_s)
        market = Market(
            market_id=MarketId(self._spec.name),
            policy=self._policy,
            travel=self._ways,
            solver=self._solver,
            learns_pace=self._roads is not None,
        )
        async with composed(
            market,
            self._world.now,
            until_s=self._world.until_s,
            journal=MemoryStore(keeps_history=False),
            limits=Limits(idle_s=None),
            sightings=feed.sightings,
            watch=self._note_round,
        ) as composition:
            self._composition: Composition = composition
            self._feed = feed
            composition.reckon(self.reckoner)
            city = self._city(composition)
            self._open_kitchens(composition, city)
            self._send_couriers(composition, city)
            self._place_orders(composition)
            composition.begin(self._starts_at)
            self._every(PING_S, self._ping)
            self._every(LOOK_S, feed.look)
            self._every(SAMPLE_S, self._sample)
            self._every(RECKON_S, self._reckon)
            await self._world.run(self.ends_at)
            composition.check_health()

    def look_ahead(self, foresight: Foresight) -> None:
        """Begin with what was learned, and have the first estimate of each order recorded."""

        def witness(order_id: OrderId, told: Told) -> None:
            if told.phase is Phase.PLACED:
                self.recorder.estimate(
                    order_id,
                    low_at=instant_of(told.estimate.low_s),
                    at=instant_of(told.estimate.at_s),
                    high_at=instant_of(told.estimate.high_s),
                )
            foresight.judged(order_id, told)

        self.reckoner.eta, self.reckoner.watch = foresight.eta, witness

    def courier_records(self) -> list[CourierRecord]:
        """Return what each courier did."""
        shifts = {CourierId(one.id): one for one in self._population.couriers}
        return [
            CourierRecord(
                courier_id=courier_id,
                shift_s=shifts[courier_id].ends_s - shifts[courier_id].starts_s,
                busy_s=robot.doings.busy_ms / 1000,
                driven_m=robot.doings.driven_m * self._detour,
                loaded_m=robot.doings.loaded_m * self._detour,
                delivered=robot.doings.delivered,
                declined=robot.doings.declined,
                credit=credit(
                    robot.doings.delivered, robot.doings.busy_ms / 1000, self._policy.fairness
                ),
                violations=self._referee.count(courier_id),
            )
            for courier_id, robot in self._robots.items()
        ]

    def _city(self, composition: Composition) -> City:
        return City(
            world=self._world,
            say=composition.say,
            policy=self._policy,
            travel=opened(self._ways),
            witness=self,
            market_id=composition.market_id,
            roads=self._roads,
        )

    def _say(self, kind: str, key: str, message: Struct) -> None:
        self._composition.say(kind, key, message)

    def _open_kitchens(self, composition: Composition, city: City) -> None:
        for restaurant in self._population.restaurants:
            key = RestaurantId(restaurant.id)
            kitchen = Kitchen(
                reject_share=self._spec.reject_share,
                answers_s=(5.0, 60.0),
                prep_s=restaurant.prep_s,
                prep_sd_s=60 * self._spec.prep_error_min,
            )
            robot = RoboKitchen(city, key, kitchen, Random(f"{self._seed}:{key}"))
            composition.listen(key, robot.hear)
            opening = Open(restaurant_id=key, point=restaurant.point, auto_accepts=False)
            composition.say("restaurant", key, opening)

    def _send_couriers(self, composition: Composition, city: City) -> None:
        manners = Manners(
            thinks_s=self._spec.thinks_s,
            decline_share=self._spec.decline_share,
            ignore_share=self._spec.ignore_share,
            pace_sd=self._spec.pace_sd,
        )
        for courier in self._population.couriers:
            courier_id = CourierId(courier.id)
            rng = Random(f"{self._seed}:{courier_id}")
            robot = RoboCourier(city, courier_id, courier.point, manners, rng)
            self._robots[courier_id] = robot
            composition.listen(courier_id, robot.hear)
            self._plan_shift(courier, robot)

    def _plan_shift(self, courier: Courier, robot: RoboCourier) -> None:
        world, ends_at = self._world, after(DAWN, courier.ends_s)
        world.ahead(after(DAWN, courier.starts_s), lambda: self._start_shift(robot, ends_at))
        world.at(ends_at, lambda: self._end_shift(robot))
        for begins_s, ends_s in courier.quiet_s:
            world.at(after(DAWN, begins_s), robot.cut_off)
            world.at(after(DAWN, ends_s), robot.come_back)

    def _start_shift(self, robot: RoboCourier, ends_at: Instant) -> None:
        self._on_shift[robot.courier_id] = robot
        self._feed.join(robot.courier_id, self._world.now())
        now, load_max = self._world.now(), self._spec.load_max
        self._referee.begins(robot.courier_id, now, ends_at, load_max)
        robot.start_shift(ends_at, load_max, is_counted=True)

    def _end_shift(self, robot: RoboCourier) -> None:
        """Go home, or bring the last orders to their doors first."""
        if robot.is_busy:
            self._world.at(after(self._world.now(), PING_S), lambda: self._end_shift(robot))
            return
        del self._on_shift[robot.courier_id]
        self._feed.leave(robot.courier_id)

    def _place_orders(self, composition: Composition) -> None:
        for order in self._population.orders:
            composition.listen(order.customer, self._hear_customer)
            self._world.ahead(after(DAWN, order.placed_s), partial(self._place, order))

    def _place(self, order: Order) -> None:
        now = self._world.now()
        order_id, restaurant = OrderId(order.id), self._population.restaurants[order.restaurant]
        self._open[order_id] = _Open(restaurant)
        promised_at = after(now, order.promised_s)
        self.recorder.place(
            OrderRecord(
                order_id=order_id,
                restaurant_id=RestaurantId(restaurant.id),
                x_m=order.dropoff.x_m,
                y_m=order.dropoff.y_m,
                placed_at=now,
                promised_at=promised_at,
            )
        )
        self._say(
            "order",
            order_id,
            Place(
                order_id=order_id,
                market_id=MarketId(self._spec.name),
                customer_id=CustomerId(order.customer),
                restaurant_id=RestaurantId(restaurant.id),
                pickup=restaurant.point,
                dropoff=order.dropoff,
                promised_at=promised_at,
            ),
        )

    def _hear_customer(self, message: Struct) -> None:
        """Note what a customer is told."""
        if isinstance(message, OrderMoved) and message.order_id in self._open:
            self._note_move(message)

    def _note_move(self, moved: OrderMoved) -> None:
        order_id, recorder = moved.order_id, self.recorder
        known = self._open[order_id]
        if moved.status is OrderStatus.READY_FOR_PICKUP and moved.ready_at == moved.at:
            recorder.ready(order_id, moved.at)
        if moved.delivery_status in BEFORE_PICKUP and moved.courier_id != known.courier_id:
            assert moved.courier_id is not None
            recorder.assign(order_id, moved.courier_id, moved.at)
            self._open[order_id] = structs.replace(known, courier_id=moved.courier_id)
            self._tell(
                moved.at, f"{moved.courier_id} takes {order_id} from {known.restaurant.name}"
            )
        elif moved.delivery_status is DeliveryStatus.PENDING and known.courier_id is not None:
            recorder.unassign(order_id)
            self._open[order_id] = structs.replace(known, courier_id=None)
        elif moved.delivery_status is DeliveryStatus.PICKED_UP:
            recorder.pick_up(order_id, moved.at)
        elif moved.status is OrderStatus.COMPLETED:
            recorder.deliver(order_id, moved.at)
            del self._open[order_id]
        elif moved.status in {OrderStatus.REJECTED, OrderStatus.CANCELED}:
            recorder.close(order_id, _OUTCOMES.get(moved.reason, _ENDED[moved.status]))
            del self._open[order_id]
            self._tell(moved.at, f"{order_id} is {moved.status}: {moved.reason}")

    def _note_round(self, taken: RoundTaken) -> None:
        if self.decided is not None:
            for one in taken.decided:
                self.decided(one)
        self.recorder.round(
            RoundRecord(
                at=taken.at,
                orders=taken.orders,
                couriers=taken.couriers,
                took_ms=taken.took_ms,
                cost_s=taken.cost_s,
            )
        )

    def _tell(self, at: Instant, sentence: str) -> None:
        if self._show is not None:
            minutes = (at - DAWN) // 60_000
            self._said.append(f"{minutes // 60 % 24:02}:{minutes % 60:02} {sentence}")

    def _every(self, seconds: float, act: Callable[[Instant], None]) -> None:
        """Have this happen at equal distances until the day ends."""

        def again(at: Instant) -> None:
            act(at)
            if at < self.ends_at:
                following = after(at, seconds)
                self._world.at(following, lambda: again(following))

        self._world.at(self._starts_at, lambda: again(self._starts_at))

    def _ping(self, now: Instant) -> None:
        """Have every connected courier say where he is; show the city if somebody looks."""
        talking = [one for one in self._on_shift.values() if not one.is_cut_off]
        if talking:
            points = [one.leg.point(now) for one in talking]
            places = self._projection.to_lat_lngs(np.array([(at.x_m, at.y_m) for at in points]))
            speed_mps = self._spec.speed_kmh / 3.6
            self._feed.take(
                [
                    Track(one.courier_id, (Ping(lat, lng, speed_mps * one.is_driving(now), now),))
                    for one, (lat, lng) in zip(talking, places.tolist(), strict=True)
                ],
                now,
            )
        if self._show is not None and self._show.is_due():
            self._show.watch(self._scene(now, self._show.speed(now)))

    def _reckon(self, now: Instant) -> None:
        """Count what there is to do, and warn the customers of orders that will be late."""
        del now
        self.reckoner.count()
        for order_id in self.reckoner.followed():
            self.reckoner.look(order_id)

    def _sample(self, now: Instant) -> None:
        robots = self._on_shift.values()
        self.recorder.sample(
            now,
            on_shift=len(robots),
            busy=sum(one.is_busy for one in robots),
            quiet=sum(one.is_cut_off for one in robots),
        )

    def _scene(self, now: Instant, speed: float) -> Scene:
        waiting = (one.restaurant.point for one in self._open.values() if one.courier_id is None)
        return Scene(
            setting=self.recorder.setting,
            at=now,
            ends_at=self.ends_at,
            speed=speed,
            tally=self.recorder.tally,
            couriers=tuple(_spot(one, now) for one in self._on_shift.values()),
            waiting=tuple(Spot(point.x_m, point.y_m) for point in waiting),
            events=tuple(self._said),
            last_round=self.recorder.last_round,
            samples=self.recorder.samples,
        )

    def moves(self, courier: CourierId, restaurant: RestaurantId, at: Instant) -> None:
        """See a courier set out; his feed has said it already."""
        del restaurant
        self._referee.sets_out(courier, at)

    def collects(self, courier: CourierId, orders: tuple[OrderId, ...], at: Instant) -> None:
        """See a courier collect; the customers are told."""
        self._referee.collects(courier, orders, at)

    def delivers(self, courier: CourierId, order: OrderId, at: Instant) -> None:
        """See a courier deliver; the customer is told."""
        self._referee.delivers(courier, order, at)


_ENDED = {OrderStatus.REJECTED: Outcome.REJECTED, OrderStatus.CANCELED: Outcome.CANCELED}
_OUTCOMES = {"no-courier": Outcome.STARVED}


def _restaurant_record(restaurant: Restaurant) -> RestaurantRecord:
    return RestaurantRecord(
        restaurant_id=RestaurantId(restaurant.id),
        name=restaurant.name,
        x_m=restaurant.point.x_m,
        y_m=restaurant.point.y_m,
    )


def _spot(robot: RoboCourier, now: Instant) -> CourierSpot:
    point = robot.leg.point(now)
    activity = Activity.IDLE
    if robot.is_cut_off:
        activity = Activity.QUIET
    elif robot.has_food:
        activity = Activity.LOADED
    elif robot.is_busy:
        activity = Activity.TO_PICKUP
    return CourierSpot(point.x_m, point.y_m, activity)
