"""What one market learns of how long things take, while this node runs its shard.

A reckoner hears what customers are told, as it is committed: each fact moves an order on, and what
a part of its way took is learned at once (`geo.eta`). The first estimate of each phase is kept and
judged when the order is at its door. Now and then it looks at the orders that were promised for a
time, and tells those that are expected too late; whether that is worth a warning is theirs to
decide. Everything here may be lost: orders under way are picked up from their states, and what was
learned begins anew from priors. Nothing here waits, so simulations run it as nodes do.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct, structs

from actors.failures import ActorGone
from actors.ports import Clock, Feeds
from dispatch.arrival import came_on, epoch_s, hour_of, instant_of, progress_of
from dispatch.consequences import is_later_than_told
from dispatch.courier import Courier, Stage
from dispatch.ids import OrderId
from dispatch.kitchen import FINISHED
from dispatch.order import Expect, Order, OrderMoved, OrderPlaced
from dispatch.policy import Policy
from dispatch.step import Refused
from geo.eta import HOURS, LOAD_MAX, Eta, Phase, Progress, Told, observed
from geo.margin import Estimate
from geo.travel import TravelTimes

FOLLOWED_MAX = 20_000
"""Orders under way that are followed; of more, nothing is learned and nobody is warned."""
REMEMBERED_OF = 200
"""With so many orders under way every other outcome is kept to go by, with twice as many a third.

An hour of the largest market must not drive the hours before it out of memory. Which orders are
kept is counted as they begin, since whoever chose among those that end would choose the quick ones.
"""
CALM_S_MAX = 300.0
"""Each order is looked at again after that, since the market may have grown busier."""


class Actors(Protocol):
    """What a reckoner needs of its shard."""

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over keys and states of a kind."""
        ...

    def find_state(self, kind: str, key: str) -> object | None:
        """Return an actor's state if it is in memory."""
        ...

    def tell(self, kind: str, key: str, message: Struct) -> Refused | None:
        """Tell an actor something."""
        ...


type Watch = Callable[[OrderId, Told], None]


@dataclass(slots=True)
class Journey:
    """An order under way: how far it is, and the first estimate of each of its phases."""

    progress: Progress
    told: dict[Phase, Estimate] = field(default_factory=dict[Phase, Estimate])
    calm_until_s: float = 0.0
    """Before then it cannot be late unless something happens to it."""
    is_remembered: bool = True
    """Whether its outcome is kept to go by; of a large market only some are."""


class Score(Struct, frozen=True):
    """Of so many estimates, how many held, and by how many seconds they were off in sum."""

    told: int = 0
    held: int = 0
    off_s: float = 0.0

    def after(self, told: Told) -> "Score":
        """Return the score after one more."""
        estimate = told.estimate
        is_held = estimate.low_s <= told.happened_s <= estimate.high_s
        off_s = self.off_s + abs(told.happened_s - estimate.at_s)
        return Score(self.told + 1, self.held + is_held, off_s)


class ReckonerStatistics(Struct, frozen=True, kw_only=True):
    """How the estimates of a market did, by the phase and the hour of the day they were told in."""

    followed: int
    load: float
    scores: dict[Phase, tuple[Score, ...]]


@dataclass(slots=True, kw_only=True)
class Reckoner:
    """Learns from one market's orders, and says when they will be there."""

    clock: Clock
    policy: Policy
    travel: TravelTimes
    eta: Eta = field(default_factory=Eta)
    watch: Watch = lambda _order_id, _told: None
    _actors: Actors | None = None
    _couriers: int = 1
    _to_fetch: int = 0
    _begun: int = 0
    _journeys: dict[OrderId, Journey] = field(default_factory=dict[OrderId, Journey])
    _scores: dict[Phase, list[Score]] = field(default_factory=dict[Phase, list[Score]])

    def go_on_from(self, kept: Eta) -> None:
        """Estimate, and learn, from what is kept of the market on."""
        self.eta = kept

    def attend(self, actors: Actors) -> None:
        """Take the shard of the market, and follow the orders that are under way there."""
        self._actors = actors
        with suppress(ActorGone):
            for key, state in actors.states("order"):
                if isinstance(state, Order) and len(self._journeys) < FOLLOWED_MAX:
                    self._follow(OrderId(key))

    def hear(self, message: Struct) -> None:
        """Take what somebody's feed was told, as it was committed; it may come again."""
        match message:
            case OrderPlaced(order_id=order_id):
                self._follow(order_id)
            case OrderMoved():
                self._move(message)
            case _:
                pass

    def followed(self) -> tuple[OrderId, ...]:
        """Return the orders that are under way."""
        return tuple(self._journeys)

    def count(self) -> None:
        """Count who works and what there is to fetch: how loaded the market is."""
        if self._actors is None:
            return
        with suppress(ActorGone):
            states = (state for _, state in self._actors.states("courier"))
            self._couriers = sum(
                isinstance(state, Courier) and state.stage is Stage.ON for state in states
            )
        journeys = self._journeys.values()
        self._to_fetch = sum(one.progress.picked_up_s is None for one in journeys)
        known = self.eta.beside(self._under_way(), epoch_s(self.clock()))
        self.eta = structs.replace(known, load=self._load())

    def look(self, order_id: OrderId) -> None:
        """Tell an order that it will be late, if it will be and does not know."""
        journey, now_s = self._journeys.get(order_id), epoch_s(self.clock())
        if journey is None or now_s < journey.calm_until_s or self._actors is None:
            return
        order = self._find(order_id)
        if order is None or order.promised_at is None:
            return
        expected_s = self.eta.arrival(journey.progress, now_s).at_s
        # As long as nothing happens, what is expected moves no faster than the clock does.
        journey.calm_until_s = now_s + min(CALM_S_MAX, epoch_s(order.promised_at) - expected_s)
        if is_later_than_told(order, instant_of(expected_s), self.policy):
            self._actors.tell("order", order_id, Expect(instant_of(expected_s)))

    def statistics(self) -> ReckonerStatistics:
        """Return how the estimates did."""
        return ReckonerStatistics(
            followed=len(self._journeys),
            load=self.eta.load,
            scores={phase: tuple(scores) for phase, scores in self._scores.items()},
        )

    def _follow(self, order_id: OrderId) -> None:
        """Begin to follow an order, from what its state tells."""
        order = self._find(order_id)
        if order is None or order_id in self._journeys or len(self._journeys) >= FOLLOWED_MAX:
            return
        way_s = self.travel.seconds(order.delivery.pickup, order.dropoff)
        progress = progress_of(order, way_s, self._load())
        if progress is not None:
            self._to_fetch += progress.picked_up_s is None
            self._begun += 1
            is_remembered = self._begun % (1 + len(self._journeys) // REMEMBERED_OF) == 0
            self._journeys[order_id] = Journey(progress, is_remembered=is_remembered)
            self._tell(self._journeys[order_id])

    def _move(self, moved: OrderMoved) -> None:
        """Move an order on, and learn what that took."""
        journey = self._journeys.get(moved.order_id)
        if journey is None:
            return
        before, after = journey.progress, came_on(journey.progress, moved)
        if after is None or moved.status in FINISHED:
            del self._journeys[moved.order_id]
        if after is None or after == before:
            return
        journey.progress, journey.calm_until_s = after, 0.0
        self._to_fetch -= before.picked_up_s is None and after.picked_up_s is not None
        for seen in observed(before, after):
            self.eta = self.eta.learned(seen)
        if after.delivered_s is not None:
            self._judge(moved.order_id, journey, after.delivered_s)
        else:
            self._tell(journey)

    def _tell(self, journey: Journey) -> None:
        """Keep the first estimate of the phase that an order has come to."""
        phase = journey.progress.phase
        if phase not in journey.told:
            journey.progress = structs.replace(journey.progress, load=self._load())
            journey.told[phase] = self.eta.arrival(journey.progress, epoch_s(self.clock()))

    def _judge(self, order_id: OrderId, journey: Journey, delivered_s: float) -> None:
        """Hold what was told of an order against what happened."""
        for phase, estimate in journey.told.items():
            told = Told(phase, estimate, delivered_s, journey.is_remembered)
            self.eta = self.eta.judged(told)
            scores = self._scores.setdefault(phase, [Score()] * HOURS)
            hour = hour_of(instant_of(estimate.told_s))
            scores[hour] = scores[hour].after(told)
            self.watch(order_id, told)

    def _under_way(self) -> dict[Phase, list[Estimate]]:
        """Return the estimates of remembered orders that have not arrived, the latest first."""
        found: dict[Phase, list[Estimate]] = defaultdict(list)
        for journey in reversed(self._journeys.values()):
            if journey.is_remembered:
                for phase, told in journey.told.items():
                    found[phase].append(told)
        return found

    def _load(self) -> float:
        """Return how many orders there are to fetch for each courier at work."""
        return min(LOAD_MAX, (self._to_fetch + 1) / max(1, self._couriers))

    def _find(self, order_id: OrderId) -> Order | None:
        if self._actors is None:
            return None
        with suppress(ActorGone):
            state = self._actors.find_state("order", order_id)
            return state if isinstance(state, Order) else None
        return None


@dataclass(frozen=True, slots=True)
class Overheard:
    """The feeds of a shard, with a reckoner who listens."""

    reckoner: Reckoner
    feeds: Feeds | None

    def publish(self, person: str, number: int, message: Struct, epoch: int) -> None:
        """Have the reckoner hear a committed message, and hand it on."""
        self.reckoner.hear(message)
        if self.feeds is not None:
            self.feeds.publish(person, number, message, epoch)
