"""The courier: his shift, what he carries, and where he is to go next.

His route is the truth of what he has to do; what he reports (arrived, collected, delivered) moves
it on and is told to the orders. A leg to a restaurant, once begun, is his `heading`, and unless
Policy lets couriers be diverted it stays so until he is there, even when his orders are withdrawn.
`version` counts what makes a plan for him stale. Pings never come here: only that he moved to
another cell, went quiet, or was heard again.

This module holds the machine and the stages of a shift. Work given to him is in
`dispatch.engagement`, work done by him in `dispatch.progress`, where he has come by his pings in
`dispatch.nearing`, his way from shard to shard in `dispatch.crossing`, his words in
`dispatch.courier_state`.
"""

from collections.abc import Mapping

from msgspec import Struct, structs

from dispatch import route as stops
from dispatch.courier_state import (
    LEGAL,
    RECENT_MAX,
    TASKS_MAX,
    Abort,
    Arrive,
    BringBack,
    Collect,
    Courier,
    CourierCrossed,
    CourierHeard,
    CourierNeared,
    CourierQuieted,
    Cross,
    Deliver,
    Emptied,
    EndShift,
    Fact,
    GoQuiet,
    Heading,
    Hear,
    Message,
    Move,
    Near,
    Neared,
    OfferGone,
    OfferMade,
    Pause,
    Resume,
    RouteChanged,
    Settle,
    ShiftEnded,
    ShiftStarted,
    Stage,
    StartShift,
)
from dispatch.crossing import crossed, settled
from dispatch.delivery import LoseCourier
from dispatch.engagement import directed
from dispatch.heading import (
    dropping,
    is_advised,
    is_driving,
    may_turn,
    rested,
    route_news,
    said,
)
from dispatch.ids import Instant
from dispatch.invitation import (
    Ask,
    Disengage,
    Engage,
    Invite,
    Reposition,
    Unclaimed,
    Withdraw,
)
from dispatch.nearing import neared
from dispatch.policy import Policy
from dispatch.progress import reported
from dispatch.step import Accepted, Code, Effect, Record, Reply, Step, Tell, Wake, refuse
from dispatch.work import begun, counted

__all__ = [
    "LEGAL",
    "RECENT_MAX",
    "TASKS_MAX",
    "Abort",
    "Arrive",
    "BringBack",
    "Collect",
    "Courier",
    "CourierCrossed",
    "CourierHeard",
    "CourierNeared",
    "CourierQuieted",
    "Cross",
    "Deliver",
    "Emptied",
    "EndShift",
    "Fact",
    "GoQuiet",
    "Heading",
    "Hear",
    "Message",
    "Move",
    "Near",
    "Neared",
    "OfferGone",
    "OfferMade",
    "Pause",
    "Resume",
    "RouteChanged",
    "Settle",
    "ShiftEnded",
    "ShiftStarted",
    "Stage",
    "StartShift",
    "is_finished",
    "step",
    "wakes_at",
]


def may_rest(courier: Courier) -> bool:
    """Tell whether no round needs to see the courier: he is off shift or elsewhere."""
    return courier.stage in {Stage.OFF, Stage.GONE}


_ON_SHIFT = frozenset({Stage.ON, Stage.PAUSED, Stage.QUIET})


def wakes_at(courier: Courier) -> Instant | None:
    """Return the first instant after the shift: a pickup at its very end still counts."""
    return Instant(courier.ends_at + 1) if courier.stage in _ON_SHIFT else None


def is_finished(courier: Courier) -> bool:
    """Tell whether the courier can leave memory for good; he may always come back."""
    del courier
    return False


def step(
    courier: Courier | None, message: Message, now: Instant, policy: Policy
) -> Step[Courier | None]:
    """Return what the message does to the courier, his work being counted where it is."""
    return _counted(courier, _heard(courier, message, now, policy), message, now, policy)


def _heard(
    courier: Courier | None, message: Message, now: Instant, policy: Policy
) -> Step[Courier | None]:
    if courier is None:
        return _unheard(message, now)
    match message:
        case StartShift() | EndShift() | Pause() | Resume() | GoQuiet() | Hear():
            return _staged(courier, message, now)
        case Wake():
            due = wakes_at(courier)
            is_due = due is not None and now >= due
            return _staged(courier, EndShift(), now) if is_due else Step(courier)
        case Move(point):
            is_free = courier.heading is None or policy.diverts
            is_free = is_free or (is_advised(courier) and may_turn(courier, policy))
            moves = is_free and not courier.carried and courier.stage is not Stage.GONE
            return Step(structs.replace(courier, point=point) if moves else courier)
        case Near():
            return neared(courier, message, now, policy)
        case Cross():
            return crossed(courier, message, now)
        case Settle():
            return settled(courier, message, now)
        case Invite() | Ask() | Engage() | Disengage() | Withdraw() | Reposition():
            return directed(courier, message, now, policy)
        case Arrive() | Collect() | Deliver() | Abort() | BringBack():
            return reported(courier, message, now, policy)


def _counted(
    before: Courier | None,
    done: Step[Courier | None],
    message: Message,
    now: Instant,
    policy: Policy,
) -> Step[Courier | None]:
    """Return the step with what it means for his work; one that changed nothing stays as it is."""
    courier = done.state
    if courier is None or courier is before:
        return done
    work = courier.work
    if isinstance(message, StartShift) and message.is_counted:
        work = begun(work, now, policy.safety)
    if work is None:
        return done
    is_working = bool(courier.route) or is_driving(courier)
    had = len(before.carried) if before else 0
    delivered = had - len(courier.carried) if isinstance(message, Deliver) else 0
    work = counted(work, now, policy.safety, is_working=is_working, delivered=delivered)
    return Step(structs.replace(courier, work=work), done.effects)


def _unheard(message: Message, now: Instant) -> Step[Courier | None]:
    """Answer for a courier who never worked, so that neither an offer nor an order waits."""
    match message:
        case StartShift():
            return _started(None, message, now)
        case Invite():
            return Step(None, (Tell("offer", message.offer_id, Unclaimed(message.courier_id)),))
        case Settle():
            return settled(None, message, now)
        case _:
            return refuse(None, Code.NOT_FOUND, "there is no such courier; start a shift first")


type _Staging = StartShift | EndShift | Pause | Resume | GoQuiet | Hear

_REACHED: Mapping[type[Struct], frozenset[Stage]] = {
    StartShift: frozenset({Stage.ON}),
    EndShift: frozenset({Stage.ENDING, Stage.OFF}),
    Pause: frozenset({Stage.PAUSED}),
    Resume: frozenset({Stage.ON}),
    GoQuiet: frozenset({Stage.QUIET}),
    Hear: frozenset({Stage.ON}),
}


def _staged(courier: Courier, message: _Staging, now: Instant) -> Step[Courier | None]:
    """Move between the stages of a shift, and free what the new stage cannot keep."""
    stage = LEGAL[courier.stage].get(type(message))
    if stage is None:
        return _late(courier, message)
    match message:
        case StartShift() if courier.stage is Stage.GONE and message.crossings < courier.crossings:
            return _late(courier, message)
        case StartShift():
            return _started(courier, message, now)
        case GoQuiet():
            return _gone_quiet(courier, stage, now)
        case EndShift():
            return _ending(courier, stage, now)
        case Hear():
            heard = Record(CourierHeard(courier.courier_id, now))
            return Step(_in_stage(courier, stage), (heard, Reply(Accepted())))
        case Pause() | Resume():
            return Step(_in_stage(courier, stage), (Reply(Accepted()),))


def _late(courier: Courier, message: _Staging) -> Step[Courier | None]:
    if courier.stage is Stage.GONE:
        return refuse(courier, Code.MOVED, f"{courier.shard}")
    is_done = courier.stage in _REACHED[type(message)]
    if isinstance(message, StartShift):
        is_done = is_done and message.ends_at == courier.ends_at
    if is_done:
        return Step(courier, (Reply(Accepted()),))
    return refuse(courier, Code.NOT_LEGAL_NOW, f"the courier is {courier.stage}")


def _in_stage(courier: Courier, stage: Stage) -> Courier:
    return structs.replace(courier, stage=stage, version=courier.version + 1)


def _started(before: Courier | None, message: StartShift, now: Instant) -> Step[Courier | None]:
    """Begin the shift here, unless he still carries something: then he goes on from where he is."""
    if message.ends_at <= now:
        return refuse(before, Code.INVALID, "the shift must end after now")
    if message.load_max < 1:
        return refuse(before, Code.INVALID, "a courier carries at least one unit of load")
    before = before or _newcomer(message, now)
    started = structs.replace(
        before,
        stage=LEGAL[before.stage][StartShift],
        market_id=message.market_id,
        ends_at=message.ends_at,
        load_max=message.load_max,
        version=before.version + 1,
        shard=None,
        crossings=max(before.crossings, message.crossings),
    )
    if not started.route:
        started = structs.replace(started, point=message.point, leaves_at=now, heading=None)
    fact = ShiftStarted(started.courier_id, started.ends_at, now)
    return Step(started, (Record(fact), Reply(Accepted()), route_news(started)))


def _newcomer(message: StartShift, now: Instant) -> Courier:
    return Courier(
        courier_id=message.courier_id,
        market_id=message.market_id,
        ends_at=message.ends_at,
        load_max=message.load_max,
        point=message.point,
        leaves_at=now,
    )


def _gone_quiet(courier: Courier, stage: Stage, now: Instant) -> Step[Courier | None]:
    """Free what he has not collected, and have the orders he carries looked at."""
    freed, effects = _freed(courier, "quiet")
    quieted = structs.replace(freed, stage=stage)
    troubled = tuple(
        said(courier, order_id, LoseCourier, reason="quiet") for order_id in courier.carried
    )
    if quieted == courier:
        return Step(courier, (Reply(Accepted()), *troubled))
    fact = Record(CourierQuieted(courier.courier_id, now))
    return Step(_in_stage(quieted, stage), (fact, Reply(Accepted()), *effects, *troubled))


def _ending(courier: Courier, stage: Stage, now: Instant) -> Step[Courier | None]:
    freed, effects = _freed(courier, "off-shift")
    leaving = structs.replace(_in_stage(freed, stage), heading=None)
    ended = Record(ShiftEnded(courier.courier_id, freed.carried, now))
    return Step(rested(leaving), (ended, Reply(Accepted()), *effects))


def _freed(courier: Courier, reason: str) -> tuple[Courier, tuple[Effect, ...]]:
    """Return the courier without uncollected orders and without an offer, and who hears of it."""
    given_up = stops.to_collect(courier.route)
    effects: list[Effect] = [
        said(courier, order_id, LoseCourier, reason=reason) for order_id in given_up
    ]
    if courier.offer_id is not None:
        effects.append(Tell("offer", courier.offer_id, Unclaimed(courier.courier_id)))
        effects.append(Tell("feed", courier.courier_id, OfferGone(courier.offer_id)))
    freed = dropping(structs.replace(courier, offer_id=None), given_up)
    if freed.route != courier.route:
        effects.append(route_news(freed))
    return freed, tuple(effects)
