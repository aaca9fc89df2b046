"""Surge: by how much a delivery costs more, or pays more, while couriers are short somewhere.

One machine for each place that has a surge: a market as a whole, or a zone that was drawn for it.
It is told now and then how many orders wait there, how many are expected and how many couriers are
free, and moves its percentage by single steps: up when the pressure has been high for a while, down
when it has gone. It never leaves 100 to `percent_max`, never moves twice within `hold_s`, and never
goes up and down between two steps, since going down needs a whole step less than going up. Each
change is a fact with the figures that led to it and a sentence that anybody can read.

A place that nobody measures any more is calm again after `stale_s`: what nobody looks at must not
stay dear. What the percentage is applied to (the customer's fee, the courier's bonus, both) is a
matter of prices, not of this module. It is off by default.
"""

from collections.abc import Mapping
from enum import StrEnum
from math import exp

from msgspec import Struct, structs

from dispatch.ids import Instant, MarketId, after, elapsed_s
from dispatch.policy import Policy, Surging
from dispatch.step import Accepted, Code, Record, Reply, Step, Wake, refuse

CALM = 100
"""Per cent of what things usually cost."""
PRESSURE_MAX = 100.0


class Stage(StrEnum):
    """Whether things cost more than usual."""

    CALM = "calm"
    RAISED = "raised"


class Measure(Struct, frozen=True, tag="surge.measure", kw_only=True):
    """How things stand in a place: orders that wait for a courier, orders to come, couriers free.

    `place` is the market's or the zone's id.
    """

    place: str
    market_id: MarketId
    waiting: int
    expected: float
    free: int
    at: Instant


class Raise(Struct, frozen=True, tag="surge.raise"):
    """Never sent: the moment at which a calm place becomes dear."""


class Calm(Struct, frozen=True, tag="surge.calm"):
    """Never sent: the moment at which a dear place has come down to what is usual."""


class SurgeChanged(Struct, frozen=True, tag="surge_changed", kw_only=True):
    """A fact: the percentage of a place is another, why, and by which figures."""

    place: str
    market_id: MarketId
    before: int
    percent: int
    pressure: float
    waiting: int
    expected: float
    free: int
    reason: str
    at: Instant


type Fact = SurgeChanged
type Message = Measure | Wake

LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.CALM: {Measure: Stage.CALM, Raise: Stage.RAISED, Wake: Stage.CALM},
    Stage.RAISED: {Measure: Stage.RAISED, Calm: Stage.CALM, Wake: Stage.CALM},
}


class Surge(Struct, frozen=True, kw_only=True):
    """One place. `pressure` is smoothed; `reason` is the sentence of the last change."""

    place: str
    market_id: MarketId
    stage: Stage = Stage.CALM
    percent: int = CALM
    pressure: float = 0.0
    waiting: int = 0
    expected: float = 0.0
    free: int = 0
    reason: str = ""
    measured_at: Instant
    changed_at: Instant
    lapses_at: Instant


def wakes_at(surge: Surge) -> Instant | None:
    """Return when the place is as usual again, unless it is measured before."""
    return None if is_finished(surge) else surge.lapses_at


def is_finished(surge: Surge) -> bool:
    """Tell whether nothing is left to be remembered of the place."""
    return surge.stage is Stage.CALM and surge.pressure == 0.0


def step(surge: Surge | None, message: Message, now: Instant, policy: Policy) -> Step[Surge | None]:
    """Return what the message does to the place."""
    match message:
        case Measure():
            return _measured(surge, message, policy.surging)
        case Wake():
            return Step(None) if surge is None else _lapsed(surge, now)


def pressure(message: Measure) -> float:
    """Return how many orders there are for each courier, one more than are free being near."""
    orders = max(0, message.waiting) + max(0.0, message.expected)
    return min(orders / (max(0, message.free) + 1), PRESSURE_MAX)


def wanted_percent(level: float, surging: Surging) -> float:
    """Return the percentage that a pressure calls for, before it is taken step by step."""
    above = CALM + surging.slope_percent * (level - surging.calm_pressure)
    return min(max(above, CALM), surging.percent_max)


def _lapsed(surge: Surge, now: Instant) -> Step[Surge | None]:
    """Forget a place that nobody measures any more."""
    if is_finished(surge) or now < surge.lapses_at:
        return Step(surge)
    calm = structs.replace(surge, pressure=0.0, waiting=0, expected=0.0, free=0)
    if surge.stage is Stage.CALM:
        return Step(calm)
    return _moved(calm, CALM, "as usual again: nobody has measured it for a while", now)


def _measured(surge: Surge | None, message: Measure, surging: Surging) -> Step[Surge | None]:
    if surge is None:
        surge = _unmeasured(message, surging)
    elif message.at < surge.measured_at:
        return refuse(surge, Code.STALE_VERSION, "it was measured later than that")
    elif message.at == surge.measured_at:
        return Step(surge, (Reply(Accepted()),))
    seen = structs.replace(
        surge,
        stage=LEGAL[surge.stage][Measure],
        pressure=_smoothed(surge, message, surging),
        waiting=message.waiting,
        expected=message.expected,
        free=message.free,
        measured_at=message.at,
        lapses_at=after(message.at, surging.stale_s),
    )
    percent = _next_percent(seen, message.at, surging)
    if percent == seen.percent:
        return Step(seen, (Reply(Accepted()),))
    moved = _moved(seen, percent, _told(seen, percent, surging), message.at)
    return Step(moved.state, (*moved.effects, Reply(Accepted())))


def _unmeasured(message: Measure, surging: Surging) -> Surge:
    """Return a place as it was before anybody looked: calm, and free to move at once."""
    return Surge(
        place=message.place,
        market_id=message.market_id,
        measured_at=message.at,
        changed_at=after(message.at, -surging.hold_s),
        lapses_at=message.at,
    )


def _smoothed(surge: Surge, message: Measure, surging: Surging) -> float:
    """Return the pressure with the past fading from it; a first look counts for one of many."""
    since_s = max(elapsed_s(surge.measured_at, message.at), surging.measure_s)
    share = 1 - exp(-since_s / surging.memory_s)
    return surge.pressure + share * (pressure(message) - surge.pressure)


def _next_percent(surge: Surge, at: Instant, surging: Surging) -> int:
    """Return the percentage from now on: a step up, a step down, or as it was."""
    if surge.percent > surging.percent_max:
        return surging.percent_max  # The policy allows less than it did, or nothing any more.
    if elapsed_s(surge.changed_at, at) < surging.hold_s:
        return surge.percent
    wanted = wanted_percent(surge.pressure, surging)
    up = min(surge.percent + surging.step_percent, surging.percent_max)
    down = max(surge.percent - surging.step_percent, CALM)
    if up > surge.percent and wanted >= up:
        return up
    return down if wanted <= down else surge.percent


def _moved(surge: Surge, percent: int, told: str, now: Instant) -> Step[Surge | None]:
    stage = surge.stage
    if (percent > CALM) is not (stage is Stage.RAISED):
        stage = LEGAL[stage][Raise if percent > CALM else Calm]
    fact = SurgeChanged(
        place=surge.place,
        market_id=surge.market_id,
        before=surge.percent,
        percent=percent,
        pressure=surge.pressure,
        waiting=surge.waiting,
        expected=surge.expected,
        free=surge.free,
        reason=told,
        at=now,
    )
    moved = structs.replace(surge, stage=stage, percent=percent, reason=told, changed_at=now)
    return Step(moved, (Record(fact),))


def _told(surge: Surge, percent: int, surging: Surging) -> str:
    """Say in a sentence why a place costs what it costs from now on."""
    if surge.percent > surging.percent_max:
        return f"down to {percent} %: the market allows no more"
    way = "up" if percent > surge.percent else "down"
    return (
        f"{way} to {percent} %: {_counted(surge.waiting, 'order')} waiting and"
        f" {surge.expected:.0f} more expected, with {_counted(surge.free, 'courier')} free;"
        f" lately {surge.pressure:.1f} orders for each courier, where {surging.calm_pressure:.1f}"
        " is usual"
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
