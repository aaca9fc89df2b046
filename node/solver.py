"""The solver as a service: takes a round's question, hands back what is decided now.

A round asks with no more than its number; the survey is taken here, from the states of the shard,
when the question is due. What goes on to the solver itself is a plain `Request`, answered either in
this process (`Inline`, for simulations: the same steps in the same order) or by a worker process
(`node.worker`), which keeps the event loop free. The plan and the learned demand stay here from
round to round, also when a round ends without one; losing them costs a round's quality and nothing
else. So they are forgotten when solvers keep failing at them, which may be why.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol, cast

import msgspec
from msgspec import Struct

from actors.failures import ActorGone
from dispatch.courier import Courier
from dispatch.decision import OrderDecided
from dispatch.ids import CourierId, Instant, MarketId, RestaurantId
from dispatch.matching.demand import Demand
from dispatch.matching.kitchens import Kitchens
from dispatch.matching.solving import Answer, Request, answer
from dispatch.matching.survey import Sightings, survey
from dispatch.order import Order
from dispatch.policy import Policy
from dispatch.restaurant import Restaurant
from dispatch.round import Solve, Solved, Unsolved
from dispatch.step import Tell
from geo.point import Point
from geo.travel import Open, Ways
from geo.zone import Outline
from node.ways import PresentWays
from streets.travel import opened

DOUBTS_MAX = 3
"""Rounds of a market, one after the other, that a solver may fail at before it starts afresh."""


class RoundTaken(Struct, frozen=True, kw_only=True):
    """How a round went, for whoever watches: what it saw, what it cost, how long it took."""

    at: Instant
    number: int
    orders: int
    couriers: int
    unplanned: int
    cost_s: float
    took_ms: float
    cut: str = ""
    """Why the plan is not all that the solver would have found, if it is not."""
    decided: tuple[OrderDecided, ...] = ()
    """What was decided, with its reasons."""


class Actors(Protocol):
    """What the solver needs of a shard."""

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over keys and states of a kind."""
        ...

    def settle(self, sequence: int, tell: Tell | None = None) -> None:
        """Hand the answer to a row of the outbox in."""
        ...


@dataclass(slots=True, kw_only=True)
class Desk:
    """Where questions are made ready and answers handed in; the same for both ways to solve."""

    clock: Callable[[], Instant]
    policy: Policy
    travel: Ways
    solver: str
    sightings: Callable[[], Sightings] = dict[CourierId, Point]
    watch: Callable[[RoundTaken], None] = lambda _round: None
    present: PresentWays | None = None
    """Where `travel` is only the usual, what it is now."""
    opened: Open = opened
    """Opens streets: those of a simulation are waited for, those of a node are not."""
    closed: Callable[[], Sequence[Outline]] = tuple[Outline, ...]
    """The areas whose streets nobody gets through now."""
    _actors: Actors | None = None
    _kept: dict[MarketId, Answer] = field(default_factory=dict[MarketId, Answer])
    _doubts: dict[MarketId, int] = field(default_factory=dict[MarketId, int])

    def attend(self, actors: Actors) -> None:
        """Take the shard whose rounds are solved here."""
        self._actors = actors

    def request(self, solve: Solve) -> Request:
        """Take the survey of this instant, with what is kept of the market's last round."""
        return self.look(solve)()

    def look(self, solve: Solve) -> Callable[[], Request]:
        """Look at everybody now, and return what makes the request of that.

        To look takes a moment; the rest takes longer, needs nothing that changes, and may be done
        in another thread.
        """
        kept = self._kept.get(solve.market_id)
        demand = kept.demand if kept else Demand()
        now, actors = self.clock(), self._attended()
        orders = [cast("Order", state) for _, state in actors.states("order")]
        couriers = [cast("Courier", state) for _, state in actors.states("courier")]
        restaurants = [cast("Restaurant", state) for _, state in actors.states("restaurant")]
        sightings, closed = self.sightings(), self.closed()

        def request() -> Request:
            places = _places(restaurants)
            ways = self.present.at(now, couriers, closed) if self.present else self.travel
            policy, travel = self.policy, self.opened(ways)
            return Request(
                number=solve.number,
                survey=survey(
                    orders, couriers, places, now, policy, travel, sightings, since=demand.at
                ),
                kept=kept.plan if kept else None,
                demand=demand,
                kitchens=kept.kitchens if kept else Kitchens(),
                policy=policy,
                travel=ways,
                solver=self.solver,
            )

        return request

    def hand_in(self, sequence: int, solve: Solve, answered: Answer, took_ms: float) -> None:
        """Keep the plan and tell the market what is decided."""
        if not answered.solved.cut:
            self._doubts.pop(solve.market_id, None)
        if self._doubts.get(solve.market_id, 0) < DOUBTS_MAX:
            self._kept[solve.market_id] = answered
        self._settle(sequence, Tell("round", solve.market_id, answered.solved))
        self.watch(_taken(answered.solved, self.clock(), took_ms))

    def give_up(self, sequence: int, solve: Solve, reason: str) -> None:
        """Tell the market that there is no plan of this round; the last one stays for the next."""
        unsolved = Unsolved(solve.number, reason)
        self._settle(sequence, Tell("round", solve.market_id, unsolved))

    def doubt(self, solve: Solve) -> None:
        """Note that a solver failed at this market's round; too often, and nothing is kept."""
        doubts = self._doubts[solve.market_id] = self._doubts.get(solve.market_id, 0) + 1
        if doubts >= DOUBTS_MAX:
            self._kept.pop(solve.market_id, None)

    def _settle(self, sequence: int, tell: Tell) -> None:
        """Hand an answer in. A shard that has gone meanwhile asks again when it is back."""
        with suppress(ActorGone):
            self._attended().settle(sequence, tell)

    def _attended(self) -> Actors:
        assert self._actors is not None, "nobody's rounds are solved here"
        return self._actors


def _places(restaurants: Iterable[Restaurant]) -> dict[RestaurantId, Point]:
    """Return where the restaurants are, in an order that does not depend on who came when."""
    found = sorted(restaurants, key=lambda restaurant: restaurant.restaurant_id)
    return {restaurant.restaurant_id: restaurant.point for restaurant in found}


def _taken(solved: Solved, at: Instant, took_ms: float) -> RoundTaken:
    return RoundTaken(
        at=at,
        number=solved.number,
        orders=solved.orders,
        couriers=solved.couriers,
        unplanned=solved.unplanned,
        cost_s=solved.cost_s,
        took_ms=took_ms,
        cut=solved.cut,
        decided=solved.decided,
    )


solve_decoder = msgspec.msgpack.Decoder(Solve)


class Inline:
    """Answers in this process, before anything else happens: for simulations."""

    def __init__(self, desk: Desk) -> None:
        """Answer at this desk."""
        self._desk = desk

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Solve the round that asks."""
        assert service == "solver", f"there is no service {service!r} for {key!r}"
        solve = solve_decoder.decode(message)
        began = perf_counter()
        answered = answer(self._desk.request(solve), self._desk.opened)
        self._desk.hand_in(sequence, solve, answered, (perf_counter() - began) * 1000)
