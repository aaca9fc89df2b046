"""The tracking link: whoever has it follows one order, without an account and without a socket.

A link is an unguessable token that the order's owner asks for and passes on. It shows how the order
stands and when it is expected, and, from pickup to the door, where its courier is; nobody's name,
address or id. `GET /v1/track/{token}` tells of it as it happens, as Server-Sent Events: `status`
whenever something has changed, `position` for the latest one, and a comment now and then, so that a
line that is dead is noticed. It ends with the order, and a while later the link opens nothing.

There are so many viewers of one node, and each stays for so long; a browser comes back by itself.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

import msgspec
import trio
from msgspec import DecodeError, Struct
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import NotFound, ServiceUnavailable, TooManyRequests

from api import access
from api.arrivals import arrival
from api.channels import position_channel
from api.endpoint import Call, Endpoints
from api.events import public
from api.limits import neighbourhood
from api.ports import Edge, Unavailable
from api.presence import TRACKED
from api.replies import Declined, Reply
from api.times import WrittenTime, rfc3339, written
from dispatch.delivery import DeliveryStatus
from dispatch.ids import Instant, OrderId, after
from dispatch.kitchen import OrderStatus
from dispatch.step import Code
from services.accounts.principal import Scope
from storage import tracking as links
from storage.cursors import find_newest
from storage.database import DatabaseRefused, DatabaseUnreachable
from storage.orders import OrderRow
from wire.events import OrderMoved
from wire.frames import Position

TOKEN_BYTES = 32
LINK_S = 10 * 86_400.0
"""A link opens nothing after that, whatever became of the order."""
AFTER_S = 900.0
"""A link opens nothing any more so long after the order has ended."""
BEAT_S = 10.0
STAY_S = 3_600.0
"""A viewer is sent away then; a browser comes back by itself."""
RETRY_MS = 3_000
VIEWERS_MAX = 2_000
OPEN_S = 5.0
"""Time to find the order of a link."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_AWAY = (Unavailable, DatabaseUnreachable, DatabaseRefused, trio.TooSlowError)
_viewers = trio.CapacityLimiter(VIEWERS_MAX)
_read_position = msgspec.msgpack.Decoder(Position).decode
_encode = msgspec.json.Encoder().encode

tracking = Endpoints("Tracking", "Links by which anybody who has one follows an order.")


class LinkView(Struct, frozen=True, kw_only=True):
    """A link: keep it among those who may know where the order is."""

    token: str
    events_path: str
    """Server-Sent Events, as it happens."""
    state_path: str
    """The same as one answer."""
    expires_at: WrittenTime
    """At the latest; it ends a quarter of an hour after the order has."""


class TrackView(Struct, frozen=True, kw_only=True):
    """How the order stands. It is over once `is_over`; nothing follows then."""

    status: OrderStatus
    delivery_status: DeliveryStatus
    eta: WrittenTime | None
    eta_low: WrittenTime | None
    eta_high: WrittenTime | None
    is_over: bool


class PositionView(Struct, frozen=True, kw_only=True):
    """Where the courier is."""

    lat: float
    lng: float
    speed_mps: float
    seen_at: WrittenTime


@tracking.post(
    "/v1/orders/{order_id}/tracking-link",
    scope=Scope.ORDERS_READ,
    status=201,
    codes=(Code.NOT_FOUND, Code.NOT_LEGAL_NOW),
    keeps_answer=False,
)
async def make_link(call: Call) -> Reply[LinkView]:
    """Make a link by which anybody who has it can follow an order of yours.

    An order has a few links; a new one takes the place of the oldest.
    """
    edge = call.edge
    row = await access.order_to_share(edge, call.principal, call.path["order_id"])
    if row.completed_at is not None:
        raise Declined(Code.NOT_LEGAL_NOW, "the order is over: there is nothing to follow")
    token = urlsafe_b64encode(edge.entropy(TOKEN_BYTES)).decode().rstrip("=")
    expires_at = after(row.created_at, LINK_S)
    await links.create_link(edge.database, token, row.order_id, expires_at)
    path = f"/v1/track/{token}"
    return Reply(
        value=LinkView(
            token=token,
            events_path=path,
            state_path=f"{path}/state",
            expires_at=rfc3339(expires_at),
        )
    )


@tracking.get("/v1/track/{token}/state", codes=(Code.NOT_FOUND,))
async def show_state(call: Call) -> Reply[TrackView]:
    """Show how the order of a link stands."""
    row = await _order_of(call.edge, call.path["token"])
    return Reply(value=track_view(call.edge, row), headers={"Cache-Control": "no-store"})


EVENTS = tracking.stream(
    "/v1/track/{token}",
    "follow_link",
    """Follow the order of a link as it happens, by Server-Sent Events.

    `status` says how it stands, at once and whenever something has changed; `position` where its
    courier is, from pickup to the door. It ends with the order, or after an hour: a browser comes
    back by itself. A comment now and then shows that the line is not dead.
    """,
    events={"status": TrackView, "position": PositionView},
    codes=(Code.NOT_FOUND, Code.RATE_LIMITED, Code.FAILED, Code.UNAVAILABLE),
)


def routes(app: QuartTrio, edge: Edge) -> None:
    """Serve the events of a link."""

    async def show(token: str) -> Response:
        left = await edge.limits.take(f"ip:{neighbourhood(request.remote_addr or '')}", "read")
        if not left.is_allowed:
            raise TooManyRequests
        if not _viewers.available_tokens:
            raise ServiceUnavailable
        try:
            with trio.fail_after(OPEN_S):
                order = await _order_of(edge, token)
                newest = await find_newest(edge.database, order.customer_id)
        except Declined as declined:
            raise NotFound from declined
        except _AWAY as error:
            raise ServiceUnavailable from error
        shown = Response(events(edge, order, newest), content_type="text/event-stream")
        shown.timeout = None
        shown.headers["Cache-Control"] = "no-store"
        shown.headers["X-Accel-Buffering"] = "no"
        return shown

    rule = EVENTS.path.replace("{", "<").replace("}", ">")
    app.add_url_rule(rule, "tracking events", show, methods=["GET"])


async def _order_of(edge: Edge, token: str) -> OrderRow:
    """Return the order that a token opens; raises `Declined` for one that opens nothing."""
    found = await links.find_link(edge.database, token) if _TOKEN.fullmatch(token) else None
    row = await access.order_by_link(edge, found) if found is not None else None
    if row is None or _is_long_over(row, edge.now()):
        raise Declined(Code.NOT_FOUND, "this link opens nothing, or nothing any more")
    return row


def _is_long_over(row: OrderRow, now: Instant) -> bool:
    return row.completed_at is not None and now >= after(row.completed_at, AFTER_S)


def track_view(edge: Edge, row: OrderRow) -> TrackView:
    """Return what a link shows of an order."""
    expected = arrival(row, edge.map.find_market(row.market_id), edge.now())
    return TrackView(
        status=row.status,
        delivery_status=row.delivery_status,
        eta=written(expected and expected.at),
        eta_low=written(expected and expected.low),
        eta_high=written(expected and expected.high),
        is_over=row.completed_at is not None,
    )


async def events(edge: Edge, order: OrderRow, after_number: int) -> AsyncGenerator[bytes]:
    """Yield the events of an order until it is over, beginning with how it stands.

    `order` was read after the feed's newest message was `after_number`, so that none is missed.
    """
    viewer, viewed = object(), Viewed(edge, order.order_id, order.delivery_status)
    try:
        _viewers.acquire_on_behalf_of_nowait(viewer)
    except trio.WouldBlock:
        return
    following = edge.feeds.follow(order.customer_id, after_number, viewed.show)
    silence = edge.live.subscribe(position_channel(order.order_id), viewed.hear)
    try:
        yield b"retry: %d\n\n" % RETRY_MS
        until_s = trio.current_time() + STAY_S
        view = track_view(edge, order)
        yield _event("status", view)
        while not view.is_over and trio.current_time() < until_s:
            await viewed.something()
            if viewed.has_moved:
                viewed.has_moved = False
                view = track_view(edge, await access.order_by_link(edge, order.order_id))
                yield _event("status", view)
            for written_event in viewed.taken():
                yield written_event
    except _AWAY:
        return  # The viewer comes back by itself.
    finally:
        following.end()
        silence()
        _viewers.release_on_behalf_of(viewer)


class Viewed:
    """What has happened to an order since its viewer was last told: the latest of each."""

    def __init__(self, edge: Edge, order_id: OrderId, status: DeliveryStatus) -> None:
        self._edge = edge
        self._order_id = order_id
        self._status = status
        self._position: bytes | None = None
        self._happened = trio.Event()
        self.has_moved = False

    def show(self, number: int, epoch: int, message: bytes) -> bool:
        """Take a message of the customer's feed, which may be of another order."""
        del number, epoch
        event = public(message, self._edge.map)
        if isinstance(event, OrderMoved) and event.order_id == self._order_id:
            self._status, self.has_moved = event.delivery_status, True
            if self._status not in TRACKED:
                self._position = None
            self._happened.set()
        return True

    def hear(self, told: bytes) -> None:
        """Take a position; before pickup, and after drop-off, none is shown."""
        if self._status in TRACKED:
            self._position = told
            self._happened.set()

    async def something(self) -> None:
        """Wait until there is something to tell, or to say that there is nothing."""
        with trio.move_on_after(BEAT_S):
            await self._happened.wait()
        self._happened = trio.Event()

    def taken(self) -> Iterator[bytes]:
        """Yield what is to be sent: the latest position, or else a sign of life."""
        told, self._position = self._position, None
        if told is None:
            yield b": beat\n\n"
            return
        with suppress(DecodeError, UnicodeDecodeError):
            position = _read_position(told)
            shown = PositionView(
                lat=position.lat,
                lng=position.lng,
                speed_mps=position.speed_mps,
                seen_at=rfc3339(position.seen_at),
            )
            yield _event("position", shown)


def _event(name: str, shown: Struct) -> bytes:
    assert EVENTS.events[name] is type(shown), name  # What the document tells of it.
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(shown))
