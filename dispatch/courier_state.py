"""What is known of one courier, and everything he is told or tells.

The machine is `dispatch.courier`: shifts live there, work given to him in `dispatch.engagement`,
work done by him in `dispatch.progress`, and the leg he is on in `dispatch.heading`.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from dispatch.ids import CourierId, Instant, MarketId, OfferId, OrderId, RestaurantId, ShardId
from dispatch.invitation import Ask, Disengage, Engage, Invite, Reposition, Withdraw
from dispatch.route import Route, Stop, Task
from dispatch.step import Wake
from dispatch.undeliverable import Doorstep
from dispatch.work import Work
from geo.point import Point

RECENT_MAX = 32
TASKS_MAX = 64


class Stage(StrEnum):
    """Whether the courier works."""

    OFF = "off"
    ON = "on"
    PAUSED = "paused"
    QUIET = "quiet"
    ENDING = "ending"
    GONE = "gone"


class StartShift(Struct, frozen=True, tag="courier.start_shift", kw_only=True):
    """The courier begins to work, here, until then, with so much room.

    `crossings` are those of his life so far: who has left from here can only be started here by
    somebody who knows of that. Where his work `is_counted` it is spread fairly and has its limits.
    """

    courier_id: CourierId
    market_id: MarketId
    point: Point
    ends_at: Instant
    load_max: int
    crossings: int = 0
    is_counted: bool = False


class EndShift(Struct, frozen=True, tag="courier.end_shift"):
    """The courier stops: what he has not collected is freed, what he carries he still delivers."""


class Pause(Struct, frozen=True, tag="courier.pause"):
    """The courier takes a break: no new offers, his route goes on."""


class Resume(Struct, frozen=True, tag="courier.resume"):
    """The break is over."""


class Move(Struct, frozen=True, tag="courier.move"):
    """The position feed: he is in another cell, here."""

    point: Point


class GoQuiet(Struct, frozen=True, tag="courier.go_quiet"):
    """The position feed: nothing was heard of him for too long."""


class Hear(Struct, frozen=True, tag="courier.hear"):
    """The position feed: he is heard again."""


class Near(Struct, frozen=True, tag="courier.near", kw_only=True):
    """The position feed: he has come to that restaurant or that order's door, and stays there."""

    restaurant_id: RestaurantId | None = None
    order_id: OrderId | None = None


class Arrive(Struct, frozen=True, tag="courier.arrive"):
    """He is where he was going: at the restaurant, or, with `order_id`, at that order's door.

    Who names the restaurant is never taken to have arrived at the one after it.
    """

    order_id: OrderId | None = None
    restaurant_id: RestaurantId | None = None


class Collect(Struct, frozen=True, tag="courier.collect"):
    """He has these orders of his next pickup in the bag, and the set is fixed."""

    order_ids: tuple[OrderId, ...]


class Deliver(Struct, frozen=True, tag="courier.deliver"):
    """He handed it over, or left it at the door as agreed."""

    order_id: OrderId
    left_at_door: bool = False


class Abort(Struct, frozen=True, tag="courier.abort"):
    """It cannot be handed over: he has waited at the door, or, unless it `returns`, it is spoiled.

    What is done with food that nobody takes was said when it was ordered.
    """

    order_id: OrderId
    reason: str
    returns: bool = True


class BringBack(Struct, frozen=True, tag="courier.bring_back"):
    """The undeliverable order is back at its restaurant."""

    order_id: OrderId


class Cross(Struct, frozen=True, tag="courier.cross"):
    """The position feed: he has come into the land of another shard, which that market runs."""

    shard: ShardId
    market_id: MarketId
    point: Point


class Settle(Struct, frozen=True, tag="courier.settle", kw_only=True):
    """From himself in the shard he has left: go on with the shift here.

    `crossings` counts them over his life, so that the latest of them is known wherever he is.
    """

    courier_id: CourierId
    market_id: MarketId
    point: Point
    ends_at: Instant
    load_max: int
    version: int
    crossings: int
    work: Work | None = None


class Emptied(Struct, frozen=True, tag="courier.emptied"):
    """Never sent: the moment at which a courier who is leaving has nothing left to do."""


class ShiftStarted(Struct, frozen=True, tag="shift_started"):
    """A fact: he began to work."""

    courier_id: CourierId
    ends_at: Instant
    at: Instant


class ShiftEnded(Struct, frozen=True, tag="shift_ended"):
    """A fact: he takes no more work; `carried` he still delivers."""

    courier_id: CourierId
    carried: tuple[OrderId, ...]
    at: Instant


class CourierQuieted(Struct, frozen=True, tag="courier_quieted"):
    """A fact: he is not heard any more."""

    courier_id: CourierId
    at: Instant


class CourierHeard(Struct, frozen=True, tag="courier_heard"):
    """A fact: he is back."""

    courier_id: CourierId
    at: Instant


class CourierCrossed(Struct, frozen=True, tag="courier_crossed", kw_only=True):
    """A fact: he left for another shard, or, with no `shard`, came from one."""

    courier_id: CourierId
    shard: ShardId | None
    crossings: int
    at: Instant


class CourierNeared(Struct, frozen=True, tag="courier_neared", kw_only=True):
    """A fact: by his pings he is where he was going, at a restaurant or at an order's door."""

    courier_id: CourierId
    restaurant_id: RestaurantId | None
    order_id: OrderId | None
    at: Instant


class OfferMade(Struct, frozen=True, tag="offer_made", kw_only=True):
    """To the courier's feed: these can be yours until then."""

    offer_id: OfferId
    tasks: tuple[Task, ...]
    expires_at: Instant
    market_id: MarketId = MarketId("")
    """On whose plane the tasks' points lie."""


class OfferGone(Struct, frozen=True, tag="offer_gone"):
    """To the courier's feed: that offer does not stand any more."""

    offer_id: OfferId


class RouteChanged(Struct, frozen=True, tag="route_changed", kw_only=True):
    """To the courier's feed: this is what you have to do now, and where you are to be going."""

    stops: tuple[Stop, ...]
    heading: RestaurantId | None
    point: Point | None
    version: int
    market_id: MarketId = MarketId("")
    """On whose plane the points lie."""


type Fact = (
    ShiftStarted | ShiftEnded | CourierQuieted | CourierHeard | CourierCrossed | CourierNeared
)
type Message = (
    StartShift
    | EndShift
    | Pause
    | Resume
    | Move
    | GoQuiet
    | Hear
    | Near
    | Arrive
    | Collect
    | Deliver
    | Abort
    | BringBack
    | Cross
    | Settle
    | Invite
    | Ask
    | Engage
    | Disengage
    | Withdraw
    | Reposition
    | Wake
)

LEGAL: Mapping[Stage, Mapping[type[Struct], Stage]] = {
    Stage.OFF: {StartShift: Stage.ON, Settle: Stage.ON},
    Stage.ON: {
        Cross: Stage.GONE,
        EndShift: Stage.ENDING,
        Pause: Stage.PAUSED,
        GoQuiet: Stage.QUIET,
        Invite: Stage.ON,
        Reposition: Stage.ON,
    },
    Stage.PAUSED: {EndShift: Stage.ENDING, Resume: Stage.ON, GoQuiet: Stage.PAUSED},
    Stage.QUIET: {EndShift: Stage.ENDING, Hear: Stage.ON},
    Stage.ENDING: {StartShift: Stage.ON, Emptied: Stage.OFF, GoQuiet: Stage.ENDING},
    Stage.GONE: {StartShift: Stage.ON, Settle: Stage.ON},
}


class Heading(Struct, frozen=True, kw_only=True):
    """The restaurant he is driving to or waiting at, since when, and from where."""

    restaurant_id: RestaurantId
    point: Point
    origin: Point
    departed_at: Instant
    arrived_at: Instant | None = None
    is_advised: bool = False
    """Whether he is only to wait there for work: none has been given to him there so far."""


class Neared(Struct, frozen=True, kw_only=True):
    """Where he had come by his pings, at the end of which leg, and when that was noted."""

    restaurant_id: RestaurantId | None
    order_id: OrderId | None
    departed_at: Instant | None
    at: Instant


class Courier(Struct, frozen=True, kw_only=True):
    """One courier. `point` is where he last was for sure; he could leave it at `leaves_at`.

    `tasks` are all orders of his route, at most TASKS_MAX; `carried` those of them in his bag, and
    `returning` those of these that he brings back; `recent` the last RECENT_MAX he is done with.
    Once he has crossed into another shard he is GONE here, and `shard` tells where to. `work` is
    what he has done in this shift, where that is counted. `doorstep` is the door he said he is at.
    """

    courier_id: CourierId
    market_id: MarketId
    stage: Stage = Stage.OFF
    ends_at: Instant
    load_max: int
    point: Point
    leaves_at: Instant
    heading: Heading | None = None
    route: Route = ()
    tasks: tuple[Task, ...] = ()
    carried: tuple[OrderId, ...] = ()
    returning: tuple[OrderId, ...] = ()
    recent: tuple[OrderId, ...] = ()
    offer_id: OfferId | None = None
    version: int = 0
    shard: ShardId | None = None
    crossings: int = 0
    work: Work | None = None
    neared: Neared | None = None
    doorstep: Doorstep | None = None
