"""Decisions in words: one sentence for the courier, one for operations.

Every sentence is made of a decision's structured reasons and nothing else, in one place, so that
another language is another table of phrases. A courier is told about himself, the food and the
restaurant, never who else there is or where. No sentence asks anybody to hurry: times are what the
way takes, and an order that goes to somebody else costs nobody anything.

Instants become text by a clock that the caller hands in, for it knows whose clock is on the wall.
"""

from collections.abc import Callable, Mapping

from dispatch.decision import Option, OrderDecided, Reason, Verdict
from dispatch.ids import CourierId, Instant, after

type Clock = Callable[[Instant], str]
"""From an instant to what the reader's clock shows."""

_MINUTE_S = 60.0

_FREE_OF_CHARGE = "It does not count against you."

_LEAVES: Mapping[Reason, str] = {
    Reason.CHEAPER: "it goes to another courier, because all orders come sooner that way",
    Reason.IMPOSSIBLE: "it goes to another courier, because you could not fetch it before your "
    "shift or your time at work ends, or it does not fit with what you carry",
}

_WHY: Mapping[Reason, str] = {
    Reason.IN_TIME: "who leaves now is there as the food is ready",
    Reason.AT_ONCE: "the food is ready before anybody can be there, so he leaves at once",
    Reason.ON_HIS_WAY: "he fetches food there anyway",
    Reason.CHEAPER: "the whole plan costs less so",
    Reason.IMPOSSIBLE: "its courier cannot bring it any more",
    Reason.BUSY: "everybody has other orders to bring first",
    Reason.NOBODY: "nobody was found who could bring it for less than leaving it out costs",
}

_DONE: Mapping[Verdict, str] = {
    Verdict.SENT: "{who} is sent now",
    Verdict.JOINED: "it joins the trip of {who}",
    Verdict.MOVED: "it moves from {before} to {who}",
    Verdict.TAKEN_BACK: "it is taken back from {before}, and {who} is planned for it",
    Verdict.KEPT_WAITING: "it is kept waiting, and {who} is planned for it",
}


def to_courier(decided: OrderDecided, courier_id: CourierId, place: str, clock: Clock) -> str:
    """Return what a courier is told of a decision about him; `place` is the restaurant's name."""
    if courier_id != decided.courier_id:
        reason = decided.reason if decided.reason in _LEAVES else Reason.CHEAPER
        return f"You need not fetch this order at {place}: {_LEAVES[reason]}. {_FREE_OF_CHARGE}"
    if decided.chosen is None or decided.verdict in {Verdict.TAKEN_BACK, Verdict.KEPT_WAITING}:
        return f"This order of {place} is planned for you later; nothing is to be done now."
    food = _food(decided, clock)
    if decided.verdict is Verdict.JOINED:
        return f"You fetch food at {place} anyway; for this order {food}."
    return f"{_gap(decided.chosen, place)}; {food}, and {_rivals(decided)}."


def to_operations(decided: OrderDecided, clock: Clock) -> str:
    """Return what operations are told: who, why, what it costs, and what was next best."""
    cut = [f"The plan was cut short: {decided.cut}."] if decided.cut else []
    return " ".join([_summary(decided, clock), _times(decided, clock), *_prices(decided), *cut])


def _summary(decided: OrderDecided, clock: Clock) -> str:
    round_ = f"Round {decided.number} at {clock(decided.at)}"
    seen = f"{decided.orders} orders and {decided.couriers} couriers"
    who, before = decided.courier_id or "nobody", decided.held_by or "nobody"
    done = _DONE[decided.verdict].format(who=who, before=before)
    return f"{round_}, {seen}: {done}; {_WHY[decided.reason]}."


def _gap(chosen: Option, place: str) -> str:
    minutes = round(chosen.arrival_s / _MINUTE_S)
    if minutes < 1:
        return f"You are at {place}"
    return f"You are {minutes} {'minute' if minutes == 1 else 'minutes'} from {place}"


def _food(decided: OrderDecided, clock: Clock) -> str:
    ready = clock(after(decided.at, decided.ready_s))
    return f"the food is ready at {ready}" if decided.ready_s > 0 else "the food is ready"


def _rivals(decided: OrderDecided) -> str:
    if decided.sooner:
        return "with you there all orders come soonest, though others are nearer"
    return "nobody else can be there sooner"


def _times(decided: OrderDecided, clock: Clock) -> str:
    def shown(seconds: float) -> str:
        return clock(after(decided.at, seconds))

    if decided.chosen is None:
        return f"The food is ready at {shown(decided.ready_s)}."
    there, done = shown(decided.chosen.arrival_s), shown(decided.chosen.dropped_off_s)
    picked_up, ready = shown(decided.chosen.picked_up_s), shown(decided.ready_s)
    return f"There {there}, food ready {ready}, picked up {picked_up}, at the door {done}."


def _prices(decided: OrderDecided) -> list[str]:
    chosen, others = decided.chosen, decided.others
    prices = [] if chosen is None else [f"It costs {chosen.terms.total_s:,.0f} s."]
    if others:
        best = min(others, key=lambda one: one.terms.total_s)
        more_s = best.terms.total_s - (chosen.terms.total_s if chosen else 0.0)
        sign = "" if chosen is None else "+"
        prices.append(f"Next best: {best.courier_id}, {more_s:{sign},.0f} s.")
    if decided.saves_s:
        prices.append(f"Against {decided.held_by} that saves {decided.saves_s:,.0f} s.")
    prices.append(f"To leave it for later would cost {decided.leave_out_s:,.0f} s.")
    return prices
