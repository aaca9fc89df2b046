"""When an order will be there: learned from how long the parts of its way have taken lately.

The way from the click to the door has parts: the kitchen (with its word, and before it has given
one), waiting for the courier, the counter, the ride, and the door. Each is learned as a sample of
its latest times, for each restaurant or hour of the day, drawn to that of all of them, and that to
a prior. An estimate adds the parts that are still ahead, given what has happened and how long the
present one has lasted. The parts are added as if they had nothing to do with each other. They have:
a kitchen that is early makes its food wait longer, and a busy hour slows everything. What that does
to the edges is made up for by a `Margin` for each phase of an order, led by the outcomes.

All times are seconds of one clock that the caller chooses; the hour is that of the market's day.
Everything learned is a frozen value of bounded size, so it can be kept, sent and read back. What
nobody believes (a meal of a day, a clock that jumped, a number that is none) is not learned.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import isfinite

from msgspec import Struct, structs

from geo.margin import Estimate, Margin
from geo.sample import Sample
from geo.spread import Spread, certainly, evenly

OWN_MAX = 5_000
"""Restaurants or hours that a part remembers; the one not heard of for longest makes way."""
EVERYBODY_MAX = 256
SETTLE_S = 60.0
"""What a ride takes beside the way: to pack, to unlock, to find the door."""
HOURS = 24
ALL = ""
"""The key of a part that is the same for everybody."""
SAID_S_MAX = 3 * 3_600.0
"""What a kitchen says that it needs beyond that is not believed."""
LOAD_FREE = 0.45
LOAD_MAX = 5.0
QUEUE_S = 60.0
QUEUE_S_PER_LOAD = 700.0


class Part(StrEnum):
    """A part of the way from the click to the door. Written into kept states; never renamed."""

    COOKING = "cooking"
    """From placing to ready, in seconds; by restaurant."""
    WORD = "word"
    """How much later than the kitchen said the food was ready, in seconds; by restaurant."""
    WAITING = "waiting"
    """From ready to the courier's arrival, in times of what the load lets expect; of all."""
    COUNTER = "counter"
    """From when food and courier are both there to the pickup, in seconds; by restaurant."""
    RIDE = "ride"
    """From pickup to the door, in times of what the travel times say; by hour."""
    DOOR = "door"
    """From the arrival at the door until the customer has the food, in seconds; by hour."""


class Habit(Struct, frozen=True, kw_only=True):
    """What a part is taken to be before anything is known, and what of it is believed at all."""

    prior: Spread
    low: float
    high: float


HABITS: Mapping[Part, Habit] = {
    Part.COOKING: Habit(prior=evenly(420, 1_860), low=0, high=4 * 3_600),
    Part.WORD: Habit(prior=evenly(-300, 420), low=-7_200, high=7_200),
    Part.WAITING: Habit(prior=evenly(0, 2), low=0, high=50),
    Part.COUNTER: Habit(prior=evenly(20, 240), low=0, high=3_600),
    Part.RIDE: Habit(prior=evenly(0.8, 1.35), low=0.1, high=8),
    Part.DOOR: Habit(prior=evenly(30, 150), low=0, high=3_600),
}


class Phase(StrEnum):
    """How far an order is; each has its own margin. Written into kept states; never renamed."""

    PLACED = "placed"
    COOKING = "cooking"
    READY = "ready"
    CARRIED = "carried"


class Observation(Struct, frozen=True):
    """One part, of one restaurant or hour, that took so much."""

    part: Part
    key: str
    took: float


class Told(Struct, frozen=True):
    """An estimate that somebody was given, in that phase, and when it came true.

    One that is not remembered still counts in how many fall beyond the edges.
    """

    phase: Phase
    estimate: Estimate
    happened_s: float
    is_remembered: bool = True


class Progress(Struct, frozen=True, kw_only=True):
    """How far an order has come; what has not happened, or was not noticed, is None.

    `way_s` is what the travel times say from the restaurant to the door, `load` how many orders
    there were to fetch for each courier as it came so far, `said_s` when the kitchen says that the
    food is ready, `wanted_s` the time for which it was ordered.
    """

    restaurant_id: str
    hour: int
    way_s: float
    load: float = 0.5
    placed_s: float
    wanted_s: float | None = None
    said_s: float | None = None
    ready_s: float | None = None
    here_s: float | None = None
    """When its courier came to the restaurant."""
    picked_up_s: float | None = None
    at_door_s: float | None = None
    delivered_s: float | None = None

    @property
    def phase(self) -> Phase:
        """How far it is."""
        if self.picked_up_s is not None:
            return Phase.CARRIED
        if self.ready_s is not None:
            return Phase.READY
        return Phase.PLACED if self.said_s is None else Phase.COOKING

    @property
    def begins_s(self) -> float:
        """When it was placed, or is wanted if that is later."""
        return max(self.placed_s, self.wanted_s or self.placed_s)

    @property
    def queue_s(self) -> float:
        """What ready food waits for its courier at that load, as it did in simulated cities.

        Up to LOAD_FREE nearly every courier comes in time; further orders queue. What a market is
        off by is learned, and with this only that, so that a rush is expected as it begins.
        """
        over = min(LOAD_MAX, max(0.0, self.load - LOAD_FREE))
        return QUEUE_S + QUEUE_S_PER_LOAD * over

    @property
    def ride_s(self) -> float:
        """What the ride takes by the travel times, which nobody is expected to undercut."""
        return self.way_s + SETTLE_S


class Learned(Struct, frozen=True, kw_only=True):
    """What was seen of one part: by everybody, and by each restaurant or hour."""

    everybody: Sample = Sample()
    own: dict[str, Sample] = {}

    def after(self, key: str, took: float) -> "Learned":
        """Return what is known after one more."""
        own = dict(self.own)
        sample = own.pop(key, Sample()).learned(took)
        if len(own) >= OWN_MAX:
            del own[next(iter(own))]
        own[key] = sample
        return Learned(everybody=self.everybody.learned(took, EVERYBODY_MAX), own=own)


class Eta(Struct, frozen=True, kw_only=True):
    """All that a market has learned of how long things take."""

    parts: dict[Part, Learned] = {}
    margins: dict[Phase, Margin] = {}
    load: float = 0.5
    """How many orders there are to fetch for each courier at work, as counted last."""

    def learned(self, seen: Observation) -> "Eta":
        """Return what is known after one more part of an order's way."""
        habit = HABITS[seen.part]
        if not habit.low <= seen.took <= habit.high:  # Nor is NaN between any two numbers.
            return self
        known = self.parts.get(seen.part, Learned()).after(seen.key, seen.took)
        return structs.replace(self, parts=self.parts | {seen.part: known})

    def judged(self, told: Told) -> "Eta":
        """Return what is known after an estimate has met what happened."""
        margin = self.margins.get(told.phase, Margin()).learned(
            told.estimate, told.happened_s, is_remembered=told.is_remembered
        )
        return structs.replace(self, margins=self.margins | {told.phase: margin})

    def beside(self, under_way: Mapping[Phase, Sequence[Estimate]], now_s: float) -> "Eta":
        """Return what is known beside the estimates whose outcome is still to come."""
        phases = self.margins.keys() | under_way.keys()
        margins = {
            phase: self.margins.get(phase, Margin()).beside(under_way.get(phase, ()), now_s)
            for phase in sorted(phases)
        }
        return structs.replace(self, margins=margins)

    def spread(self, part: Part, key: str) -> Spread:
        """Return what a part may take there."""
        known = self.parts.get(part, Learned())
        parent = known.everybody.spread(HABITS[part].prior)
        return known.own.get(key, Sample()).spread(parent)

    def ready(self, order: Progress, now_s: float) -> Spread:
        """Return when the food may be ready: known, or not before now."""
        if order.ready_s is not None:
            return certainly(order.ready_s)
        if order.said_s is not None:
            said_s = min(order.said_s, order.begins_s + SAID_S_MAX)
            return self.spread(Part.WORD, order.restaurant_id).shifted(said_s).beyond(now_s)
        cooked = self.spread(Part.COOKING, order.restaurant_id).shifted(order.placed_s)
        if order.wanted_s is not None:
            cooked = cooked.shifted(max(0.0, order.wanted_s - cooked.median))
        return cooked.beyond(now_s)

    def arrival(self, order: Progress, now_s: float) -> Estimate:
        """Return when the order will be there, as far as that is known `now_s`."""
        margin = self.margins.get(order.phase, Margin())
        found = margin.estimate(self.arrivals(order, now_s), told_s=now_s, load=order.load)
        low_s = max(now_s, found.low_s)
        at_s = max(low_s, found.at_s)
        return structs.replace(found, low_s=low_s, at_s=at_s, high_s=max(at_s, found.high_s))

    def arrivals(self, order: Progress, now_s: float) -> Spread:
        """Return all times at which the order may be there, before any margin."""
        door = self.spread(Part.DOOR, _hour(order))
        if order.at_door_s is not None:
            return door.shifted(order.at_door_s).beyond(now_s)
        ride = self.spread(Part.RIDE, _hour(order)).scaled(order.ride_s)
        if order.picked_up_s is not None:
            return ride.shifted(order.picked_up_s).beyond(now_s).plus(door)
        return self._pickup(order, now_s).plus(ride).plus(door)

    def _pickup(self, order: Progress, now_s: float) -> Spread:
        """Return when the food may change hands at the restaurant."""
        counter = self.spread(Part.COUNTER, order.restaurant_id)
        if order.here_s is not None and order.ready_s is not None:
            return counter.shifted(max(order.here_s, order.ready_s)).beyond(now_s)
        ready = self.ready(order, now_s)
        if order.here_s is not None:
            return ready.plus(counter)
        waiting = self.spread(Part.WAITING, ALL).scaled(order.queue_s)
        if order.ready_s is not None:
            return waiting.shifted(order.ready_s).beyond(now_s).plus(counter)
        return ready.plus(waiting).plus(counter)


def expected_ready(eta: Eta, restaurant_id: str, said_s: float, now_s: float) -> float:
    """Return in how many seconds the food is as likely ready as not, given that it is not yet.

    `said_s` is when the kitchen said it would be, on the clock of `now_s`. What it says is moved by
    how far this kitchen has been off lately.
    """
    said = eta.spread(Part.WORD, restaurant_id).shifted(said_s)
    return max(0.0, said.beyond(now_s).median - now_s)


def promise_s(eta: Eta, order: Progress, now_s: float, share: float) -> float:
    """Return by when the order can be promised, to be kept in that share of cases.

    It is never before what the food needs at least and a courier can ride by the travel times: a
    promise is nobody's reason to hurry.
    """
    estimate, spread = eta.arrival(order, now_s), eta.arrivals(order, now_s)
    edge_s, asked_s = spread.quantile(0.9), spread.quantile(share)
    ready_s = max(now_s, eta.ready(order, now_s).quantile(0.1))
    return max(estimate.high_s + asked_s - edge_s, estimate.at_s, ready_s + order.ride_s)


def observed(before: Progress, after: Progress) -> tuple[Observation, ...]:
    """Return what can be learned from how an order has come on; each part once."""
    parts = (
        *_cooked(before, after),
        *_collected(before, after),
        *_ridden(before, after),
    )
    return tuple([one for one in parts if isfinite(one.took)])


def _hour(order: Progress) -> str:
    return str(order.hour % HOURS)


def _cooked(before: Progress, after: Progress) -> list[Observation]:
    """Return what the kitchen took, once the food is ready or gone."""
    was_ready = before.ready_s is not None or before.picked_up_s is not None
    ready_s = after.ready_s if after.ready_s is not None else after.picked_up_s
    if was_ready or ready_s is None:
        return []
    found: list[Observation] = []
    if after.said_s is not None:
        found.append(Observation(Part.WORD, after.restaurant_id, ready_s - after.said_s))
    if after.wanted_s is None:
        found.append(Observation(Part.COOKING, after.restaurant_id, ready_s - after.placed_s))
    return found


def _collected(before: Progress, after: Progress) -> list[Observation]:
    """Return what waiting and the counter took, once the courier has the food."""
    if before.picked_up_s is not None or after.picked_up_s is None:
        return []
    ready_s = after.ready_s if after.ready_s is not None else after.picked_up_s
    here_s = after.here_s if after.here_s is not None else after.picked_up_s
    waited_s = max(0.0, here_s - ready_s)
    found = [Observation(Part.WAITING, ALL, waited_s / after.queue_s)]
    if after.here_s is not None:
        took_s = after.picked_up_s - max(here_s, ready_s)
        found.append(Observation(Part.COUNTER, after.restaurant_id, max(0.0, took_s)))
    return found


def _ridden(before: Progress, after: Progress) -> list[Observation]:
    """Return what the ride took, in times of the expected, and the door."""
    there_s = after.at_door_s if after.at_door_s is not None else after.delivered_s
    found: list[Observation] = []
    was_there = before.at_door_s is not None or before.delivered_s is not None
    if not was_there and there_s is not None and after.picked_up_s is not None:
        ridden_s = there_s - after.picked_up_s
        found.append(Observation(Part.RIDE, _hour(after), ridden_s / after.ride_s))
    is_over = before.delivered_s is None and after.delivered_s is not None
    if is_over and after.at_door_s is not None and after.delivered_s is not None:
        found.append(Observation(Part.DOOR, _hour(after), after.delivered_s - after.at_door_s))
    return found
