"""One simulated day as it was measured: what happened to each order, courier and round.

A simulation tells a `DayRecorder` what happens, as it happens, and at the end asks it for the
`Day`, a frozen value that can be written down and read again. Everything that is later said about a
day (`simulations.figures`), or drawn of it (terminal, report), is worked out from that value alone.
Nothing here reads a clock, draws, or decides; instants are virtual time, handed in by the caller.
What depends on the machine rather than on the seed are only `Day.wall_s`, `Day.cpu_s` and
`RoundRecord.took_ms`.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, structs

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId, elapsed_s

ORDERS_MAX = 1_000_000
ROUNDS_MAX = 1_000_000
SAMPLES_MAX = 100_000


class DayTooLong(Exception):
    """The simulation recorded more than a day can hold; simulate fewer orders or hours."""


class Outcome(StrEnum):
    """How an order ended."""

    OPEN = "open"
    """Not ended when the day did."""
    DELIVERED = "delivered"
    """The customer has the food."""
    REJECTED = "rejected"
    """The restaurant did not take the order."""
    CANCELED = "canceled"
    """The customer, the restaurant or operations called it off."""
    STARVED = "starved"
    """Given up because no courier was found in time."""
    FAILED = "failed"
    """Picked up, but it could not be handed over at the door."""


class OrderRecord(Struct, frozen=True, kw_only=True):
    """The life of one order. An instant that never came is None; the last assignment counts."""

    order_id: OrderId
    restaurant_id: RestaurantId
    x_m: float
    """The customer's door, metres east of the city's origin."""
    y_m: float
    """The customer's door, metres north of the city's origin."""
    placed_at: Instant
    promised_at: Instant
    """When the customer was told, at placing, that the food would come at the latest."""
    expected_at: Instant | None = None
    """When it was expected as it was placed; the two below are the edges of eight in ten cases."""
    expected_low_at: Instant | None = None
    expected_high_at: Instant | None = None
    wanted_at: Instant | None = None
    """The time a scheduled order was ordered for; None when it was wanted at once."""
    ready_at: Instant | None = None
    assigned_at: Instant | None = None
    picked_up_at: Instant | None = None
    delivered_at: Instant | None = None
    courier_id: CourierId | None = None
    outcome: Outcome = Outcome.OPEN


class RestaurantRecord(Struct, frozen=True, kw_only=True):
    """A restaurant of the day, where it is and what people call it."""

    restaurant_id: RestaurantId
    name: str
    x_m: float
    y_m: float


class CourierRecord(Struct, frozen=True, kw_only=True):
    """What one courier did in all shifts of the day."""

    courier_id: CourierId
    shift_s: float
    """Time on shift."""
    busy_s: float
    """Time on shift with at least one order assigned."""
    driven_m: float
    """All the way driven on shift, with food or without."""
    loaded_m: float
    """The part of `driven_m` with food in the bag."""
    delivered: int
    declined: int
    """Offers declined or left to lapse."""
    credit: float = 0.0
    """What his orders and his work are worth (see dispatch.fairness)."""
    violations: int = 0
    """Pickups that he should not have been asked for (see simulations.safety)."""


class RoundRecord(Struct, frozen=True, kw_only=True):
    """One run of matching."""

    at: Instant
    orders: int
    """Orders the round could plan."""
    couriers: int
    """Couriers the round could plan for."""
    took_ms: float
    """Wall-clock time from the snapshot to the plan."""
    cost_s: float
    """The plan's price, in seconds of one customer's waiting (see dispatch.policy)."""


class Sample(Struct, frozen=True, kw_only=True):
    """The market at one instant; taken at equal distances, five minutes by custom."""

    at: Instant
    open_orders: int
    """Orders placed and not ended."""
    waiting: int
    """Those of them that have no courier."""
    on_shift: int
    busy: int
    """Couriers on shift with at least one order."""
    quiet: int
    """Couriers on shift who have not been heard from for too long."""


class Tally(Struct, frozen=True, kw_only=True):
    """The day so far, in counts, for whoever watches it happen."""

    placed: int = 0
    open_orders: int = 0
    waiting: int = 0
    delivered: int = 0
    late: int = 0
    lost: int = 0
    """Ended undelivered, for whatever reason."""
    click_to_door_s_mean: float | None = None


class Setting(Struct, frozen=True, kw_only=True):
    """What was simulated: enough, with the program's version, to run the same day again."""

    city: str
    policy: str
    seed: int
    starts_at: Instant
    utc_offset_s: int = 0
    """What the city's clocks show is UTC plus this."""
    restaurants: tuple[RestaurantRecord, ...] = ()
    attribution: str = ""
    """Whom to name wherever the city is shown, when it was made from somebody's map."""


class Day(Struct, frozen=True, kw_only=True):
    """Everything measured of one simulated day."""

    setting: Setting
    ends_at: Instant
    orders: tuple[OrderRecord, ...]
    """In the order of placing."""
    couriers: tuple[CourierRecord, ...]
    rounds: tuple[RoundRecord, ...]
    samples: tuple[Sample, ...]
    wall_s: float
    """Real time that the simulation took."""
    cpu_s: float
    """Processor time that the simulation took."""


def click_to_door_s(order: OrderRecord) -> float | None:
    """Return the time from placing to the door; None unless delivered and wanted at once."""
    if order.delivered_at is None or order.wanted_at is not None:
        return None
    return elapsed_s(order.placed_at, order.delivered_at)


def lateness_s(order: OrderRecord) -> float | None:
    """Return the time from the promise to the door, negative when early; None if not delivered."""
    if order.delivered_at is None:
        return None
    return elapsed_s(order.promised_at, order.delivered_at)


def is_late(order: OrderRecord) -> bool:
    """Return whether the order was delivered after the time it was promised for."""
    late_s = lateness_s(order)
    return late_s is not None and late_s > 0


def ready_to_pickup_s(order: OrderRecord) -> float | None:
    """Return how long ready food waited for its courier, 0 when he was there first."""
    if order.ready_at is None or order.picked_up_at is None:
        return None
    return max(0.0, elapsed_s(order.ready_at, order.picked_up_at))


def arrived_as_expected(order: OrderRecord) -> bool | None:
    """Return whether it came between the edges told at placing; None if nothing was told."""
    low_at, at, high_at = order.expected_low_at, order.delivered_at, order.expected_high_at
    if at is None or low_at is None or high_at is None:
        return None
    return low_at <= at <= high_at


def expected_off_s(order: OrderRecord) -> float | None:
    """Return by how much it came before or after what was expected at placing."""
    if order.delivered_at is None or order.expected_at is None:
        return None
    return abs(elapsed_s(order.expected_at, order.delivered_at))


class DayRecorder:
    """Collects a day while it happens; orders must be placed before anything happens to them."""

    def __init__(self, setting: Setting) -> None:
        """Start an empty day."""
        self._setting = setting
        self._orders: dict[OrderId, OrderRecord] = {}
        self._rounds: list[RoundRecord] = []
        self._samples: list[Sample] = []
        self._waiting = 0
        self._delivered = 0
        self._late = 0
        self._lost = 0
        self._click_to_door_s = 0.0
        self._clicked = 0

    @property
    def setting(self) -> Setting:
        """What is being simulated."""
        return self._setting

    @property
    def tally(self) -> Tally:
        """The day so far."""
        placed = len(self._orders)
        return Tally(
            placed=placed,
            open_orders=placed - self._delivered - self._lost,
            waiting=self._waiting,
            delivered=self._delivered,
            late=self._late,
            lost=self._lost,
            click_to_door_s_mean=self._click_to_door_s / self._clicked if self._clicked else None,
        )

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples so far."""
        return tuple(self._samples)

    @property
    def last_round(self) -> RoundRecord | None:
        """The latest round."""
        return self._rounds[-1] if self._rounds else None

    def place(self, order: OrderRecord) -> None:
        """Begin an order; it must be open and without a courier."""
        assert order.order_id not in self._orders, f"{order.order_id} was placed before"
        assert order.outcome is Outcome.OPEN
        assert order.courier_id is None
        if len(self._orders) >= ORDERS_MAX:
            raise DayTooLong(f"more than {ORDERS_MAX} orders in one day: simulate fewer")
        self._orders[order.order_id] = order
        self._waiting += 1

    def ready(self, order_id: OrderId, at: Instant) -> None:
        """The kitchen has finished the order."""
        self._change(self._open(order_id), ready_at=at)

    def assign(self, order_id: OrderId, courier_id: CourierId, at: Instant) -> None:
        """A courier has the order, the first one or another than before."""
        order = self._open(order_id)
        self._waiting -= order.courier_id is None
        self._change(order, courier_id=courier_id, assigned_at=at)

    def unassign(self, order_id: OrderId) -> None:
        """The order has lost its courier and waits for another. Twice is as good as once."""
        order = self._open(order_id)
        self._waiting += order.courier_id is not None
        self._change(order, courier_id=None, assigned_at=None)

    def pick_up(self, order_id: OrderId, at: Instant) -> None:
        """The courier has the food."""
        order = self._open(order_id)
        assert order.assigned_at is not None, f"{order_id} was picked up by nobody"
        assert order.assigned_at <= at, f"{order_id} was picked up before it was assigned"
        self._change(order, picked_up_at=at)

    def deliver(self, order_id: OrderId, at: Instant) -> None:
        """The customer has the food."""
        order = self._open(order_id)
        assert order.picked_up_at is not None, f"{order_id} was delivered without a pickup"
        assert order.picked_up_at <= at, f"{order_id} was delivered before it was picked up"
        order = self._change(order, delivered_at=at, outcome=Outcome.DELIVERED)
        self._delivered += 1
        self._late += is_late(order)
        if (took_s := click_to_door_s(order)) is not None:
            self._click_to_door_s += took_s
            self._clicked += 1

    def estimate(
        self, order_id: OrderId, *, low_at: Instant, at: Instant, high_at: Instant
    ) -> None:
        """Note what was expected of the order as it was placed; it may be told in the end."""
        order = self._orders[order_id]
        self._change(order, expected_at=at, expected_low_at=low_at, expected_high_at=high_at)

    def close(self, order_id: OrderId, outcome: Outcome) -> None:
        """The order ended without reaching its customer."""
        assert outcome not in {Outcome.OPEN, Outcome.DELIVERED}, f"{outcome} does not close"
        order = self._open(order_id)
        self._change(order, outcome=outcome)
        self._lost += 1
        self._waiting -= order.courier_id is None

    def round(self, record: RoundRecord) -> None:
        """A round has ended."""
        if len(self._rounds) >= ROUNDS_MAX:
            raise DayTooLong(f"more than {ROUNDS_MAX} rounds in one day: make rounds rarer")
        self._rounds.append(record)

    def sample(self, at: Instant, *, on_shift: int, busy: int, quiet: int) -> None:
        """Note how the market stands; to be called at equal distances, five minutes by custom."""
        if len(self._samples) >= SAMPLES_MAX:
            raise DayTooLong(f"more than {SAMPLES_MAX} samples in one day: make samples rarer")
        open_orders = len(self._orders) - self._delivered - self._lost
        self._samples.append(
            Sample(
                at=at,
                open_orders=open_orders,
                waiting=self._waiting,
                on_shift=on_shift,
                busy=busy,
                quiet=quiet,
            )
        )

    def day(
        self, ends_at: Instant, couriers: Iterable[CourierRecord], *, wall_s: float, cpu_s: float
    ) -> Day:
        """Return everything measured."""
        orders = sorted(self._orders.values(), key=lambda order: (order.placed_at, order.order_id))
        return Day(
            setting=self._setting,
            ends_at=ends_at,
            orders=tuple(orders),
            couriers=tuple(couriers),
            rounds=tuple(self._rounds),
            samples=tuple(self._samples),
            wall_s=wall_s,
            cpu_s=cpu_s,
        )

    def _open(self, order_id: OrderId) -> OrderRecord:
        order = self._orders[order_id]
        assert order.outcome is Outcome.OPEN, f"{order_id} is {order.outcome} already"
        return order

    def _change(self, order: OrderRecord, **changes: object) -> OrderRecord:
        changed = structs.replace(order, **changes)
        self._orders[order.order_id] = changed
        return changed
