"""The round: one run of matching for a market, every few seconds.

This machine keeps the beat. It asks the solver for a plan, gives it up when it is late, and turns
what the plan decides now into messages: orders taken back, offers opened, idle couriers moved. The
actors hold each part against their own version and refuse what has moved on meanwhile; the rest of
the plan is only a plan, and stays with the solver. An answer to an earlier round is passed over.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, structs

from dispatch.decision import KIND as DECISION
from dispatch.decision import OrderDecided
from dispatch.delivery import Release
from dispatch.ids import CourierId, Instant, MarketId, OfferId, OrderId, RestaurantId, after
from dispatch.invitation import Reposition
from dispatch.offer import Open
from dispatch.policy import Policy
from dispatch.route import Task
from dispatch.step import Accepted, Code, Effect, Record, Reply, Step, Tell, Wake, refuse
from geo.point import Point

SOLVER = "service:solver"


class Stage(StrEnum):
    """Whether a plan is being made."""

    IDLE = "idle"
    SOLVING = "solving"
    STOPPED = "stopped"


class Begin(Struct, frozen=True, tag="round.begin"):
    """Run this market, with its first round at that instant."""

    market_id: MarketId
    first_at: Instant


class Stop(Struct, frozen=True, tag="round.stop"):
    """No more rounds until the market begins again."""


class Solve(Struct, frozen=True, tag="solver.solve"):
    """To the solver: make the plan of this round. Carries no state: it takes its own snapshot."""

    market_id: MarketId
    number: int


class Dispatch(Struct, frozen=True, kw_only=True):
    """A decision: this courier is to set out now, or to take more along from where he goes.

    `versions` are the orders' when the plan was made, one more for those the same plan takes back
    from another courier first.
    """

    courier_id: CourierId
    courier_version: int
    tasks: tuple[Task, ...]
    versions: tuple[int, ...]
    sequence: tuple[OrderId, ...] = ()


class TakeBack(Struct, frozen=True):
    """A decision: this order leaves its courier before pickup."""

    order_id: OrderId
    version: int


class Relocation(Struct, frozen=True, kw_only=True):
    """A decision: this idle courier waits at that restaurant, where work is expected."""

    courier_id: CourierId
    courier_version: int
    restaurant_id: RestaurantId
    point: Point


class Solved(Struct, frozen=True, tag="round.solved", kw_only=True):
    """The solver's answer: what is decided now, and figures of the whole plan."""

    number: int
    take_backs: tuple[TakeBack, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()
    relocations: tuple[Relocation, ...] = ()
    orders: int = 0
    couriers: int = 0
    unplanned: int = 0
    cost_s: float = 0.0
    cut: str = ""
    """Why this is not all that the solver would have found; empty when it is."""
    decided: tuple[OrderDecided, ...] = ()
    """Why, for each order that something is decided about, as many as a round keeps."""
    unexplained: int = 0
    """How many more there were."""


class Unsolved(Struct, frozen=True, tag="round.unsolved"):
    """The solver's answer: it could not."""

    number: int
    reason: str


class RoundPlanned(Struct, frozen=True, tag="round_planned", kw_only=True):
    """A fact: what a round saw, what it decided, and by which policy."""

    market_id: MarketId
    number: int
    orders: int
    couriers: int
    unplanned: int
    take_backs: int
    dispatches: int
    relocations: int
    cost_s: float
    policy: Policy
    at: Instant
    cut: str = ""
    """Why the plan is not all that the solver would have found: what the clock has cut off."""
    unexplained: int = 0
    """Decisions beyond as many as a round keeps the reasons of."""


class RoundMissed(Struct, frozen=True, tag="round_missed", kw_only=True):
    """A fact: a round ended without a plan."""

    market_id: MarketId
    number: int
    reason: str
    at: Instant


type Fact = RoundPlanned | RoundMissed
type Message = Begin | Stop | Solved | Unsolved | Wake

LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.IDLE: {Wake: Stage.SOLVING, Stop: Stage.STOPPED},
    Stage.SOLVING: {
        Solved: Stage.IDLE,
        Unsolved: Stage.IDLE,
        Wake: Stage.IDLE,
        Stop: Stage.STOPPED,
    },
    Stage.STOPPED: {Begin: Stage.IDLE},
}


class Round(Struct, frozen=True, kw_only=True):
    """A market's rounds. `next_at` is when the next one begins, or when the running one is late."""

    market_id: MarketId
    stage: Stage = Stage.IDLE
    number: int = 0
    began_at: Instant
    next_at: Instant


def wakes_at(round_: Round) -> Instant | None:
    """Return when the next round begins, or when the running one is given up."""
    return None if round_.stage is Stage.STOPPED else round_.next_at


def is_finished(round_: Round) -> bool:
    """Tell whether the market has stopped."""
    return round_.stage is Stage.STOPPED


def step(
    round_: Round | None, message: Message, now: Instant, policy: Policy
) -> Step[Round | None]:
    """Return what the message does to the market's rounds."""
    if isinstance(message, Begin):
        return _begun(round_, message, now)
    if round_ is None:
        return refuse(None, Code.NOT_FOUND, "this market has not begun")
    stage = LEGAL[round_.stage].get(type(message))
    if stage is None:
        return _late(round_, message)
    match message:
        case Stop():
            return Step(structs.replace(round_, stage=stage), (Reply(Accepted()),))
        case Wake() if now < round_.next_at:
            return Step(round_)
        case Wake():
            return _woken(round_, stage, now, policy)
        case Solved() | Unsolved() if message.number != round_.number:
            return refuse(round_, Code.STALE_VERSION, "that round is over")
        case Solved():
            return _solved(_rested(round_, stage, now, policy), message, now, policy)
        case Unsolved():
            return _missed(_rested(round_, stage, now, policy), message.reason, now)


def _late(round_: Round, message: Message) -> Step[Round | None]:
    match message:
        case Wake():
            return Step(round_)
        case Stop():
            return Step(round_, (Reply(Accepted()),))
        case _:
            return refuse(round_, Code.NOT_LEGAL_NOW, f"the round is {round_.stage}")


def _begun(round_: Round | None, message: Begin, now: Instant) -> Step[Round | None]:
    """Begin, or go on counting where the market stopped; one that runs is left as it is."""
    if round_ is not None and Begin not in LEGAL[round_.stage]:
        return Step(round_, (Reply(Accepted()),))
    first_at = max(message.first_at, now)
    begun = Round(
        market_id=message.market_id,
        number=round_.number if round_ else 0,
        began_at=first_at,
        next_at=first_at,
    )
    return Step(begun, (Reply(Accepted()),))


def _woken(round_: Round, stage: Stage, now: Instant, policy: Policy) -> Step[Round | None]:
    if round_.stage is Stage.SOLVING:
        return _missed(_rested(round_, stage, now, policy), "the solver was late", now)
    solving = structs.replace(
        round_,
        stage=stage,
        number=round_.number + 1,
        began_at=round_.next_at,
        next_at=max(after(now, policy.round_timeout_s), Instant(now + 1)),
    )
    return Step(solving, (Tell(SOLVER, round_.market_id, Solve(round_.market_id, solving.number)),))


def _rested(round_: Round, stage: Stage, now: Instant, policy: Policy) -> Round:
    """Return the market waiting for its next round: on the beat, or at once after a long one."""
    next_at = max(after(round_.began_at, policy.round_s), Instant(now + 1))
    return structs.replace(round_, stage=stage, next_at=next_at)


def _missed(round_: Round, reason: str, now: Instant) -> Step[Round | None]:
    fact = RoundMissed(market_id=round_.market_id, number=round_.number, reason=reason, at=now)
    return Step(round_, (Record(fact),))


def _solved(round_: Round, plan: Solved, now: Instant, policy: Policy) -> Step[Round | None]:
    """Turn the decisions into messages: first what is freed, then what is offered."""
    fact = RoundPlanned(
        market_id=round_.market_id,
        number=plan.number,
        orders=plan.orders,
        couriers=plan.couriers,
        unplanned=plan.unplanned,
        take_backs=len(plan.take_backs),
        dispatches=len(plan.dispatches),
        relocations=len(plan.relocations),
        cost_s=plan.cost_s,
        policy=policy,
        at=now,
        cut=plan.cut,
        unexplained=plan.unexplained,
    )
    releases = (Tell("order", back.order_id, Release(back.version)) for back in plan.take_backs)
    offers = (
        _offer(round_, place, decision, policy) for place, decision in enumerate(plan.dispatches)
    )
    moves = map(_reposition, plan.relocations)
    return Step(round_, (Record(fact), *_reasons(plan), *releases, *offers, *moves))


def _reasons(plan: Solved) -> Iterator[Effect]:
    """Yield the records of why, each filed under its order."""
    for one in plan.decided:
        decided = structs.replace(one, cut=plan.cut) if plan.cut else one
        yield Record(decided, about=(DECISION, one.order_id))


def _offer(round_: Round, place: int, decision: Dispatch, policy: Policy) -> Effect:
    offer_id = OfferId(f"off_{round_.market_id}_{round_.number}_{place}")
    opened = Open(
        offer_id=offer_id,
        courier_id=decision.courier_id,
        courier_version=decision.courier_version,
        tasks=decision.tasks,
        versions=decision.versions,
        sequence=decision.sequence,
        is_direct=policy.offer_s == 0,
    )
    return Tell("offer", offer_id, opened)


def _reposition(relocation: Relocation) -> Effect:
    move = Reposition(
        version=relocation.courier_version,
        restaurant_id=relocation.restaurant_id,
        point=relocation.point,
    )
    return Tell("courier", relocation.courier_id, move)
