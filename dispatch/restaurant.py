"""The restaurant: whether it takes orders, and how many it can cook at once.

It decides about each order the moment it is placed: a closed, paused or full kitchen, or a dish
that is sold out, rejects it at once; a restaurant that accepts by itself names the time at which
the food will be ready; otherwise its staff is asked through the feed and answers the order itself.
`cooking` are the orders that occupy the kitchen, at most `capacity_max` of them; `recent` are the
last ones that left it, so that a request that comes again late does not bring one back.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, structs

from dispatch.delivery import Reject
from dispatch.ids import Instant, OrderId, RestaurantId, after
from dispatch.order import Accept, Leave, Request
from dispatch.policy import Policy
from dispatch.step import Accepted, Code, Effect, Record, Reply, Step, Tell, Wake, refuse
from geo.point import Point

SOLD_OUT_MAX = 1_000
RECENT_MAX = 64


class Stage(StrEnum):
    """Whether orders are taken."""

    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


class Open(Struct, frozen=True, tag="restaurant.open", kw_only=True):
    """The restaurant opens, with what it is at present. `auto_accepts` needs no staff's word."""

    restaurant_id: RestaurantId
    point: Point
    capacity_max: int = 100
    prep_s: float | None = None
    auto_accepts: bool = True


class Close(Struct, frozen=True, tag="restaurant.close"):
    """No more orders; those in the kitchen are cooked."""


class Pause(Struct, frozen=True, tag="restaurant.pause"):
    """No more orders until then."""

    until: Instant


class Resume(Struct, frozen=True, tag="restaurant.resume"):
    """Orders again, before the pause is over."""


class MarkSoldOut(Struct, frozen=True, tag="restaurant.mark_sold_out"):
    """The kitchen is out of a dish."""

    dish_id: str


class MarkAvailable(Struct, frozen=True, tag="restaurant.mark_available"):
    """The kitchen has a dish again."""

    dish_id: str


class OrderRequested(Struct, frozen=True, tag="order_requested"):
    """To the restaurant's feed: an order waits for your word."""

    order_id: OrderId
    at: Instant


class RestaurantMoved(Struct, frozen=True, tag="restaurant_moved", kw_only=True):
    """A fact: it opened, paused, resumed or closed."""

    restaurant_id: RestaurantId
    stage: Stage
    at: Instant


type Fact = RestaurantMoved
type Message = Open | Close | Pause | Resume | MarkSoldOut | MarkAvailable | Request | Leave | Wake

LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.CLOSED: {Open: Stage.OPEN},
    Stage.OPEN: {
        Open: Stage.OPEN,
        Pause: Stage.PAUSED,
        Close: Stage.CLOSED,
        Request: Stage.OPEN,
    },
    Stage.PAUSED: {
        Resume: Stage.OPEN,
        Wake: Stage.OPEN,
        Pause: Stage.PAUSED,
        Close: Stage.CLOSED,
    },
}


class Restaurant(Struct, frozen=True, kw_only=True):
    """One restaurant and its kitchen."""

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


def wakes_at(restaurant: Restaurant) -> Instant | None:
    """Return when the pause is over."""
    return restaurant.paused_until if restaurant.stage is Stage.PAUSED else None


def may_rest(restaurant: Restaurant) -> bool:
    """Tell whether no round needs to see the restaurant: it is closed and its kitchen empty."""
    return restaurant.stage is Stage.CLOSED and not restaurant.cooking


def step(
    restaurant: Restaurant | None, message: Message, now: Instant, policy: Policy
) -> Step[Restaurant | None]:
    """Return what the message does to the restaurant."""
    if restaurant is None:
        return _opened(None, message, now) if isinstance(message, Open) else _unheard(message)
    match message:
        case Open():
            return _opened(restaurant, message, now)
        case Request():
            return _requested(restaurant, message, now, policy)
        case Leave(order_id):
            return Step(_without(restaurant, order_id))
        case MarkSoldOut() | MarkAvailable():
            return _stocked(restaurant, message)
        case Wake() if restaurant.paused_until is None or now < restaurant.paused_until:
            return Step(restaurant)
        case Wake() | Close() | Pause() | Resume():
            return _staged(restaurant, message, now)


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


def _opened(before: Restaurant | None, message: Message, now: Instant) -> Step[Restaurant | None]:
    assert isinstance(message, Open)
    if message.capacity_max < 1:
        return refuse(before, Code.INVALID, "a kitchen must hold at least one order")
    if message.prep_s is not None and message.prep_s < 0:
        return refuse(before, Code.INVALID, "cooking cannot take less than no time")
    stage = LEGAL[before.stage if before else Stage.CLOSED].get(Open)
    if stage is None:
        return refuse(before, Code.NOT_LEGAL_NOW, "it is paused; resume it")
    opened = Restaurant(
        restaurant_id=message.restaurant_id,
        point=message.point,
        stage=stage,
        capacity_max=message.capacity_max,
        prep_s=message.prep_s,
        auto_accepts=message.auto_accepts,
        cooking=before.cooking if before else (),
        recent=before.recent if before else (),
        sold_out=before.sold_out if before else (),
    )
    return Step(opened, (*_news(before, opened, now), Reply(Accepted())))


def _news(before: Restaurant | None, moved: Restaurant, now: Instant) -> tuple[Effect, ...]:
    if before is not None and before.stage is moved.stage:
        return ()
    fact = RestaurantMoved(restaurant_id=moved.restaurant_id, stage=moved.stage, at=now)
    return (Record(fact), Tell("feed", moved.restaurant_id, fact))


def _staged(restaurant: Restaurant, message: Message, now: Instant) -> Step[Restaurant | None]:
    stage = LEGAL[restaurant.stage].get(type(message))
    if stage is None:
        is_done = restaurant.stage is _REACHED.get(type(message))
        if is_done:
            return Step(restaurant, (Reply(Accepted()),))
        return refuse(restaurant, Code.NOT_LEGAL_NOW, f"the restaurant is {restaurant.stage}")
    until = message.until if isinstance(message, Pause) else None
    if until is not None and until <= now:
        return refuse(restaurant, Code.INVALID, "a pause must end after now")
    moved = structs.replace(restaurant, stage=stage, paused_until=until)
    return Step(moved, (*_news(restaurant, moved, now), Reply(Accepted())))


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
    if code := _objection(restaurant, request):
        return Step(restaurant, (_rejection(request, code),))
    if request.order_id not in restaurant.cooking:
        cooking = (*restaurant.cooking, request.order_id)
        restaurant = structs.replace(restaurant, cooking=cooking)
    if not restaurant.auto_accepts:
        asked = OrderRequested(request.order_id, now)
        return Step(restaurant, (Tell("feed", restaurant.restaurant_id, asked),))
    prep_s = restaurant.prep_s if restaurant.prep_s is not None else policy.prep_default_s
    ready_at = max(after(now, prep_s), request.wanted_at or now)
    return Step(restaurant, (Tell("order", request.order_id, Accept(ready_at)),))


def _objection(restaurant: Restaurant, request: Request) -> Code | None:
    """Return why it will not cook this order, or None."""
    if request.order_id in restaurant.cooking:
        return None
    if Request not in LEGAL[restaurant.stage]:
        is_paused = restaurant.stage is Stage.PAUSED
        return Code.RESTAURANT_PAUSED if is_paused else Code.RESTAURANT_CLOSED
    if len(restaurant.cooking) >= restaurant.capacity_max:
        return Code.KITCHEN_FULL
    return Code.SOLD_OUT if set(request.dish_ids) & set(restaurant.sold_out) else None


def _rejection(request: Request, code: Code) -> Tell:
    return Tell("order", request.order_id, Reject(code))
