"""The restaurant: whether it takes orders, and how many it can cook at once.

It decides about each order the moment it is placed: a closed, paused or full kitchen, or a dish
that is sold out, rejects it at once; a restaurant that accepts by itself names the time at which
the food will be ready; otherwise its staff is asked through the feed and answers the order itself.
`cooking` are the orders that occupy the kitchen, at most `capacity_max` of them, each of which
adds `busy_prep_s` to the time of the next; `recent` are the last ones that left it, so that a
request that comes again late does not bring one back.

A restaurant with hours opens and closes by itself at `changes_at`. What staff does by hand against
the hours holds until they next begin or end. A pause holds until its own end, and then the hours
count again, if they have changed meanwhile.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, structs

from dispatch.delivery import Reject
from dispatch.hours import Hours, flaw, is_open, next_change
from dispatch.ids import Instant, OrderId, RestaurantId, after
from dispatch.order import Accept, Leave, Request
from dispatch.policy import Policy
from dispatch.step import Accepted, Code, Effect, Record, Reply, Step, Tell, Wake, refuse
from geo.point import Point

SOLD_OUT_MAX = 1_000
RECENT_MAX = 64
WAKES_AHEAD_MAX = 32
"""Deadlines that are looked through for the next one at which the stage changes."""


class Stage(StrEnum):
    """Whether orders are taken."""

    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"
    ENDED = "ended"


class Settings(Struct, frozen=True, kw_only=True):
    """What a restaurant is at present. `auto_accepts` needs no staff's word.

    Of two settings the one of the higher `version` counts.
    """

    restaurant_id: RestaurantId
    point: Point
    capacity_max: int = 100
    prep_s: float | None = None
    auto_accepts: bool = True
    busy_prep_s: float = 0.0
    hours: Hours | None = None
    version: int = 0


class Open(Settings, frozen=True, tag="restaurant.open", kw_only=True):
    """The restaurant opens by hand, with what it is at present."""


class Configure(Settings, frozen=True, tag="restaurant.configure", kw_only=True):
    """The restaurant is this from now on; it opens or closes only where its hours change."""


class Close(Struct, frozen=True, tag="restaurant.close"):
    """No more orders; those in the kitchen are cooked."""


class Pause(Struct, frozen=True, tag="restaurant.pause"):
    """No more orders until then."""

    until: Instant


class Resume(Struct, frozen=True, tag="restaurant.resume"):
    """Orders again, before the pause is over."""


class End(Struct, frozen=True, tag="restaurant.end"):
    """It closes for good; not while there are orders in its kitchen."""


class MarkSoldOut(Struct, frozen=True, tag="restaurant.mark_sold_out"):
    """The kitchen is out of a dish."""

    dish_id: str


class MarkAvailable(Struct, frozen=True, tag="restaurant.mark_available"):
    """The kitchen has a dish again."""

    dish_id: str


class HoursBegin(Struct, frozen=True, tag="restaurant.hours_begin"):
    """Never sent: the moment at which the hours have begun."""


class HoursEnd(Struct, frozen=True, tag="restaurant.hours_end"):
    """Never sent: the moment at which the hours have ended."""


class EndPause(Struct, frozen=True, tag="restaurant.end_pause"):
    """Never sent: the moment at which a pause is over."""


class OrderRequested(Struct, frozen=True, tag="order_requested"):
    """To the restaurant's feed: an order waits for your word."""

    order_id: OrderId
    at: Instant


class RestaurantMoved(Struct, frozen=True, tag="restaurant_moved", kw_only=True):
    """A fact: it opened, paused, resumed or closed, perhaps for good."""

    restaurant_id: RestaurantId
    stage: Stage
    at: Instant


type Fact = RestaurantMoved
type Message = (
    Open
    | Configure
    | Close
    | Pause
    | Resume
    | End
    | MarkSoldOut
    | MarkAvailable
    | Request
    | Leave
    | Wake
)
type Moment = type[HoursBegin | HoursEnd | EndPause]

LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.CLOSED: {
        Open: Stage.OPEN,
        HoursBegin: Stage.OPEN,
        HoursEnd: Stage.CLOSED,
        End: Stage.ENDED,
    },
    Stage.OPEN: {
        Open: Stage.OPEN,
        Pause: Stage.PAUSED,
        Close: Stage.CLOSED,
        Request: Stage.OPEN,
        HoursBegin: Stage.OPEN,
        HoursEnd: Stage.CLOSED,
        End: Stage.ENDED,
    },
    Stage.PAUSED: {
        Resume: Stage.OPEN,
        EndPause: Stage.OPEN,
        Pause: Stage.PAUSED,
        Close: Stage.CLOSED,
        HoursEnd: Stage.CLOSED,
        End: Stage.ENDED,
    },
    Stage.ENDED: {},
}


class Restaurant(Struct, frozen=True, kw_only=True):
    """One restaurant and its kitchen. Its hours next begin or end at `changes_at`."""

    restaurant_id: RestaurantId
    point: Point
    stage: Stage = Stage.CLOSED
    paused_until: Instant | None = None
    capacity_max: int
    prep_s: float | None
    auto_accepts: bool
    cooking: tuple[OrderId, ...] = ()
    recent: tuple[OrderId, ...] = ()
    sold_out: tuple[str, ...] = ()
    busy_prep_s: float = 0.0
    hours: Hours | None = None
    changes_at: Instant | None = None
    version: int = 0


def wakes_at(restaurant: Restaurant) -> Instant | None:
    """Return when the pause is over, or when the hours next begin or end."""
    is_paused = restaurant.stage is Stage.PAUSED
    return restaurant.paused_until if is_paused else restaurant.changes_at


def stage_at(restaurant: Restaurant, now: Instant) -> Stage:
    """Return the stage at that instant, also when the wake that leads to it is late."""
    return _at(restaurant, now).stage


def moves_at(restaurant: Restaurant, now: Instant) -> Instant | None:
    """Return when its stage next changes by itself, if nobody says anything; None if it is far."""
    looked_at = present = _at(restaurant, now)
    for _ in range(WAKES_AHEAD_MAX):
        due = wakes_at(looked_at)
        if due is None:
            return None
        looked_at = _at(looked_at, due)
        if looked_at.stage is not present.stage:
            return due
    return None


def prep_s(restaurant: Restaurant, policy: Policy, ahead: int) -> float:
    """Return how long an order takes with so many others in the kitchen."""
    alone_s = policy.prep_default_s if restaurant.prep_s is None else restaurant.prep_s
    return alone_s + ahead * restaurant.busy_prep_s


def may_rest(restaurant: Restaurant) -> bool:
    """Tell whether nobody needs to see it: it opens by nobody's hours, and its kitchen is empty."""
    is_shut = restaurant.stage in {Stage.CLOSED, Stage.ENDED}
    is_closed = is_shut and restaurant.changes_at is None
    return is_closed and not restaurant.cooking


def step(
    restaurant: Restaurant | None, message: Message, now: Instant, policy: Policy
) -> Step[Restaurant | None]:
    """Return what the message does to the restaurant."""
    match message:
        case Open() | Configure():
            return _set(restaurant, message, now)
        case _ if restaurant is None:
            return _unheard(message)
        case Request():
            return _requested(restaurant, message, now, policy)
        case Leave(order_id):
            return Step(_without(restaurant, order_id))
        case MarkSoldOut() | MarkAvailable():
            return _stocked(restaurant, message)
        case Wake():
            return _woken(restaurant, now)
        case Close() | Pause() | Resume():
            return _staged(restaurant, message, now)
        case End():
            return _ended(restaurant, now)


def _without(restaurant: Restaurant, order_id: OrderId) -> Restaurant:
    """Return the restaurant with this order out of its kitchen for good."""
    if order_id in restaurant.recent:
        return restaurant
    return structs.replace(
        restaurant,
        cooking=tuple(other for other in restaurant.cooking if other != order_id),
        recent=(*restaurant.recent, order_id)[-RECENT_MAX:],
    )


def _unheard(message: Message) -> Step[Restaurant | None]:
    if isinstance(message, Request):
        return Step(None, (_rejection(message, Code.RESTAURANT_CLOSED),))
    return refuse(None, Code.NOT_FOUND, "there is no such restaurant; open it first")


def _set(
    before: Restaurant | None, message: Open | Configure, now: Instant
) -> Step[Restaurant | None]:
    """Take the settings over, and open where that is asked or the hours say so."""
    if told := _unsettable(message):
        return refuse(before, Code.INVALID, told)
    if before is not None and before.stage is Stage.ENDED:
        return refuse(before, Code.NOT_LEGAL_NOW, "it has closed for good")
    present = _at(before, now) if before else None
    stage = present.stage if present else Stage.CLOSED
    if isinstance(message, Open) and Open not in LEGAL[stage]:
        return refuse(before, Code.NOT_LEGAL_NOW, "it is paused; resume it")
    if present is not None and message.version < present.version:
        message = structs.replace(message, **_settings(present))
    settled = _settled(present, message, now)
    cause = Open if isinstance(message, Open) else _cause(present, settled, now)
    moved = structs.replace(settled, stage=LEGAL[stage][cause] if cause else stage)
    return Step(moved, (*_news(before, moved, now), Reply(Accepted())))


def _unsettable(message: Settings) -> str | None:
    """Return what is wrong with the settings, or None."""
    if message.capacity_max < 1:
        return "a kitchen must hold at least one order"
    if min(message.prep_s or 0, message.busy_prep_s) < 0:
        return "cooking cannot take less than no time"
    return None if message.hours is None else flaw(message.hours)


def _settings(of: Restaurant | Settings) -> dict[str, object]:
    return {field: getattr(of, field) for field in Settings.__struct_fields__}


def _settled(before: Restaurant | None, message: Settings, now: Instant) -> Restaurant:
    """Return the restaurant with these settings and the deadline that they lead to.

    Hours that are new in a pause count when that is over, as if they had changed by themselves.
    """
    known = before or Restaurant(
        restaurant_id=message.restaurant_id,
        point=message.point,
        capacity_max=message.capacity_max,
        prep_s=message.prep_s,
        auto_accepts=message.auto_accepts,
    )
    is_new = message.hours is not None and message.hours != known.hours
    settled = structs.replace(known, **_settings(message))
    return _timed(structs.replace(settled, changes_at=now) if is_new else settled, now)


def _timed(restaurant: Restaurant, now: Instant) -> Restaurant:
    """Return the restaurant with the deadline of its hours as of now.

    One that has passed during a pause stays, for it tells that the hours count when that is over.
    """
    hours, passed_at = restaurant.hours, restaurant.changes_at
    if restaurant.stage is Stage.PAUSED and passed_at is not None and passed_at <= now:
        return restaurant
    changes_at = None if hours is None else next_change(hours, now)
    return structs.replace(restaurant, changes_at=changes_at)


def _cause(before: Restaurant | None, settled: Restaurant, now: Instant) -> Moment | None:
    """Return what new hours do at once; the same hours as before do nothing."""
    is_new = settled.hours != (before.hours if before else None)
    if settled.hours is None or not is_new or settled.stage is Stage.PAUSED:
        return None
    return HoursBegin if is_open(settled.hours, now) else HoursEnd


def _moment(restaurant: Restaurant, now: Instant) -> Moment | None:
    """Return what the deadlines of the state lead to by now, if any has come."""
    due = wakes_at(restaurant)
    if due is None or now < due:
        return None
    changes_at, hours = restaurant.changes_at, restaurant.hours
    has_changed = changes_at is not None and now >= changes_at
    if has_changed and hours is not None and not is_open(hours, now):
        return HoursEnd
    return EndPause if restaurant.stage is Stage.PAUSED else HoursBegin


def _at(restaurant: Restaurant, now: Instant) -> Restaurant:
    """Return the restaurant after the deadlines that have come by now."""
    moment = _moment(restaurant, now)
    if moment is None:
        return restaurant
    stage = LEGAL[restaurant.stage][moment]
    return _timed(structs.replace(restaurant, stage=stage, paused_until=None), now)


def _woken(restaurant: Restaurant, now: Instant) -> Step[Restaurant | None]:
    woken = _at(restaurant, now)
    return Step(woken, () if woken is restaurant else _news(restaurant, woken, now))


def _news(before: Restaurant | None, moved: Restaurant, now: Instant) -> tuple[Effect, ...]:
    if moved.stage is (before.stage if before else Stage.CLOSED):
        return ()
    fact = RestaurantMoved(restaurant_id=moved.restaurant_id, stage=moved.stage, at=now)
    return (Record(fact), Tell("feed", moved.restaurant_id, fact))


def _staged(restaurant: Restaurant, message: Message, now: Instant) -> Step[Restaurant | None]:
    present = _at(restaurant, now)
    stage = LEGAL[present.stage].get(type(message))
    if stage is None:
        is_done = present.stage is _REACHED.get(type(message))
        if is_done:
            return Step(restaurant, (Reply(Accepted()),))
        return refuse(restaurant, Code.NOT_LEGAL_NOW, f"the restaurant is {present.stage}")
    until = message.until if isinstance(message, Pause) else None
    if until is not None and until <= now:
        return refuse(restaurant, Code.INVALID, "a pause must end after now")
    moved = _timed(structs.replace(present, stage=stage, paused_until=until), now)
    return Step(moved, (*_news(restaurant, moved, now), Reply(Accepted())))


def _ended(restaurant: Restaurant, now: Instant) -> Step[Restaurant | None]:
    """Close for good, once what is in the kitchen has left it."""
    if restaurant.stage is Stage.ENDED:
        return Step(restaurant, (Reply(Accepted()),))
    if restaurant.cooking:
        told = f"{len(restaurant.cooking)} orders are in its kitchen"
        return refuse(restaurant, Code.NOT_LEGAL_NOW, told)
    stage = LEGAL[restaurant.stage][End]
    ended = structs.replace(restaurant, stage=stage, paused_until=None, changes_at=None)
    return Step(ended, (*_news(restaurant, ended, now), Reply(Accepted())))


_REACHED: Mapping[type[Struct], Stage] = {Close: Stage.CLOSED, Resume: Stage.OPEN}


def _stocked(
    restaurant: Restaurant, message: MarkSoldOut | MarkAvailable
) -> Step[Restaurant | None]:
    others = tuple(dish for dish in restaurant.sold_out if dish != message.dish_id)
    sold_out = (*others, message.dish_id) if isinstance(message, MarkSoldOut) else others
    if len(sold_out) > SOLD_OUT_MAX:
        return refuse(restaurant, Code.OVERLOADED, f"at most {SOLD_OUT_MAX} dishes can be sold out")
    if set(sold_out) == set(restaurant.sold_out):
        return Step(restaurant, (Reply(Accepted()),))
    return Step(structs.replace(restaurant, sold_out=sold_out), (Reply(Accepted()),))


def _requested(
    restaurant: Restaurant, request: Request, now: Instant, policy: Policy
) -> Step[Restaurant | None]:
    if request.order_id in restaurant.recent:
        return Step(restaurant)
    if code := _objection(restaurant, request, now):
        return Step(restaurant, (_rejection(request, code),))
    if request.order_id not in restaurant.cooking:
        cooking = (*restaurant.cooking, request.order_id)
        restaurant = structs.replace(restaurant, cooking=cooking)
    if not restaurant.auto_accepts:
        asked = OrderRequested(request.order_id, now)
        return Step(restaurant, (Tell("feed", restaurant.restaurant_id, asked),))
    ahead = restaurant.cooking.index(request.order_id)
    ready_at = max(after(now, prep_s(restaurant, policy, ahead)), request.wanted_at or now)
    return Step(restaurant, (Tell("order", request.order_id, Accept(ready_at)),))


def _objection(restaurant: Restaurant, request: Request, now: Instant) -> Code | None:
    """Return why it will not cook this order, or None."""
    if request.order_id in restaurant.cooking:
        return None
    stage = stage_at(restaurant, now)
    if Request not in LEGAL[stage]:
        is_paused = stage is Stage.PAUSED
        return Code.RESTAURANT_PAUSED if is_paused else Code.RESTAURANT_CLOSED
    if len(restaurant.cooking) >= restaurant.capacity_max:
        return Code.KITCHEN_FULL
    return Code.SOLD_OUT if set(request.dish_ids) & set(restaurant.sold_out) else None


def _rejection(request: Request, code: Code) -> Tell:
    return Tell("order", request.order_id, Reject(code))
