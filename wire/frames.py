"""The frames of the public sockets: `/v1/courier` for couriers, `/v1/stream` for everybody else.

A frame is one WebSocket message: msgpack in a binary message, or JSON in a text message, as the
subprotocol says. Its field `type` names it. The client speaks first, with `Hello`; the server
answers `Welcome`, or `Problem` and a close code. After that each side sends what it has to say:

- What a person should see comes as `Message`, numbered without a gap; the device acknowledges by
  `Ack`, and says in its next `Hello` which one it saw last.
- What a courier does is an `Act`, numbered by his device. Acts may come late and again; each counts
  once, and each is answered by `Done` after its commit.
- Positions are not messages: the latest wins, and nothing is sent again.
- Who says nothing for `offline_s` is taken for gone; a device that has nothing to say sends `Beat`.

Tags, fields and codes are never renamed; fields are added with defaults.
"""

from enum import IntEnum, StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from dispatch.ids import CourierId, DeviceId, Instant, OfferId, OrderId, RestaurantId
from dispatch.step import Code
from geo.ping import Ping

FRAME_BYTES_MAX = 16 * 1024
"""A client's frame; a larger one ends the session with 1009."""
PINGS_MAX = 60
BEAT_S = 4.0
OFFLINE_S = 10.0
ORDER_IDS_MAX = 16

NAME = Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$")
"""What a name is made of: nothing that a store, a log or an address would trip over."""
type Name = Annotated[str, NAME]
type Sentence = Annotated[str, Meta(max_length=280, pattern=r"^[^\x00]*$")]
type Number = Annotated[int, Meta(ge=0, lt=2**53)]
type Moment = Annotated[Instant, Meta(ge=0, lt=2**53)]


class Notation(StrEnum):
    """How a session's frames are written, by its subprotocol; msgpack when none is named."""

    MSGPACK = "dispatch.v1.msgpack"
    JSON = "dispatch.v1.json"


class CloseCode(IntEnum):
    """Why a socket is closed; those from 4000 on are ours. Documented in docs/wire.md."""

    DONE = 1000
    GOING_AWAY = 1001
    PROTOCOL = 1002
    UNSUPPORTED = 1003
    NOT_UTF8 = 1007
    TOO_LARGE = 1009
    RESTART = 1012
    OVERLOADED = 1013
    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    SILENT = 4408
    REPLACED = 4409
    TOO_MANY = 4429
    TOO_SLOW = 4430
    MOVED = 4300


class Frame(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every frame has: a type."""


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame of a client. Without `last_message_id` the device's stored cursor counts."""

    token: Annotated[str, Meta(max_length=8192)]
    device_id: Annotated[DeviceId, NAME]
    last_message_id: Number | None = None
    feed: Name | None = None
    """Whose feed, for who may follow more than one: a restaurant's, or operations'."""


class Pings(Frame, frozen=True, kw_only=True, tag="pings"):
    """Where a courier was, oldest first: `[lat, lng, speed_mps, seen_at]` each."""

    pings: Annotated[tuple[Ping, ...], Meta(max_length=PINGS_MAX)]


class Ack(Frame, frozen=True, kw_only=True, tag="ack"):
    """Everything up to this message has been seen on this device."""

    message_id: Number


class Beat(Frame, frozen=True, kw_only=True, tag="beat"):
    """Nothing to say, but still here."""


class Action(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What a courier does."""


class StartShift(Action, frozen=True, kw_only=True, tag="start_shift"):
    """He begins to work, here, until then, with room for so many units of load."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]
    ends_at: Moment
    load_max: Annotated[int, Meta(ge=1, le=100)] | None = None


class EndShift(Action, frozen=True, kw_only=True, tag="end_shift"):
    """He stops: what he carries he still delivers."""


class Pause(Action, frozen=True, kw_only=True, tag="pause"):
    """A break: no new offers."""


class Resume(Action, frozen=True, kw_only=True, tag="resume"):
    """The break is over."""


class Take(Action, frozen=True, kw_only=True, tag="take"):
    """He says yes to an offer, as it stood under this epoch."""

    offer_id: Annotated[OfferId, NAME]
    epoch: Number = 0


class Decline(Action, frozen=True, kw_only=True, tag="decline"):
    """He says no to an offer; it costs him nothing."""

    offer_id: Annotated[OfferId, NAME]
    epoch: Number = 0


class Arrive(Action, frozen=True, kw_only=True, tag="arrive"):
    """He is at that restaurant, or at that order's door."""

    restaurant_id: Annotated[RestaurantId, NAME] | None = None
    order_id: Annotated[OrderId, NAME] | None = None


class Collect(Action, frozen=True, kw_only=True, tag="collect"):
    """He has picked these orders up."""

    order_ids: Annotated[
        tuple[Annotated[OrderId, NAME], ...],
        Meta(min_length=1, max_length=ORDER_IDS_MAX),
    ]


class Deliver(Action, frozen=True, kw_only=True, tag="deliver"):
    """He has handed the order over, or left it at the door as agreed."""

    order_id: Annotated[OrderId, NAME]
    left_at_door: bool = False


class Abort(Action, frozen=True, kw_only=True, tag="abort"):
    """It cannot be handed over, though he is at the door and has waited as long as is asked.

    The order's `undeliverable_action` then says what he does: he leaves it there, throws it away,
    or brings it back. With `returns` false it is spoiled, and thrown away wherever he is.
    """

    order_id: Annotated[OrderId, NAME]
    reason: Sentence
    returns: bool = True


class BringBack(Action, frozen=True, kw_only=True, tag="bring_back"):
    """The undeliverable order is back at its restaurant."""

    order_id: Annotated[OrderId, NAME]


type AnyAction = (
    StartShift
    | EndShift
    | Pause
    | Resume
    | Take
    | Decline
    | Arrive
    | Collect
    | Deliver
    | Abort
    | BringBack
)


class Act(Frame, frozen=True, kw_only=True, tag="act"):
    """What the courier did at `at` by his device's clock, which numbers its acts from 1 on."""

    counter: Annotated[int, Meta(ge=1, lt=2**53)]
    at: Moment
    action: AnyAction


type CourierFrame = Hello | Pings | Act | Ack | Beat
"""What comes in on `/v1/courier`."""


class Watch(Frame, frozen=True, kw_only=True, tag="watch"):
    """Show live positions of this order's courier, or, with `courier_id`, that he is here."""

    order_id: Annotated[OrderId, NAME] | None = None
    courier_id: Annotated[CourierId, NAME] | None = None


class Unwatch(Frame, frozen=True, kw_only=True, tag="unwatch"):
    """Show them no more."""

    order_id: Annotated[OrderId, NAME] | None = None
    courier_id: Annotated[CourierId, NAME] | None = None


type StreamFrame = Hello | Watch | Unwatch | Ack | Beat
"""What comes in on `/v1/stream`."""


class Welcome(Frame, frozen=True, kw_only=True, tag="welcome"):
    """You are known. Messages follow from `last_message_id` on, acts up to `counter` are done.

    When it `is_anew`, messages between the last that the device has seen and these are gone, for it
    was away too long: it forgets what it shows and reads it afresh over HTTP.
    """

    session_id: str
    person: str
    node: str
    last_message_id: Number
    counter: Number = 0
    server_at: Instant
    beat_s: float = BEAT_S
    offline_s: float = OFFLINE_S
    is_anew: bool = False


class Message(Frame, frozen=True, kw_only=True, tag="message"):
    """The person's message of that number, committed under the epoch of its shard.

    `event` is one of the events of docs/wire.md, as its field `type` says.
    """

    message_id: Number
    epoch: Number
    event: msgspec.Raw


class Done(Frame, frozen=True, kw_only=True, tag="done"):
    """The act of that number counted; or, with a `code`, it changed nothing, and why."""

    counter: Number
    code: Code | None = None
    detail: str = ""


class Position(Frame, frozen=True, kw_only=True, tag="position"):
    """Where the courier of that order is; the latest wins."""

    order_id: OrderId
    lat: float
    lng: float
    speed_mps: float
    seen_at: Instant


class Presence(Frame, frozen=True, kw_only=True, tag="presence"):
    """Whether somebody is here now."""

    person: str
    is_online: bool


class GoTo(Frame, frozen=True, kw_only=True, tag="go_to"):
    """Connect there instead, after a while of your own choosing up to `within_s`; a close follows.

    `address` is `host:port`, empty where any node will do.
    """

    address: str = ""
    within_s: float = 1.0


class Problem(Frame, frozen=True, kw_only=True, tag="problem"):
    """What was wrong with a frame; if a close follows, it says so by its code."""

    code: Code
    detail: str = ""


type ServerFrame = Welcome | Message | Done | Position | Presence | GoTo | Problem | Beat
"""What goes out, on either socket."""
