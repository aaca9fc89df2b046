"""Feeds over HTTP, for whoever cannot keep a socket: the same messages, asked for.

`GET /v1/feed?after=` is answered at once when there is something, else as soon as there is, within
`wait_s`. Each device acknowledges what it has seen, and is given what comes after that when it
names nothing; devices of one person are apart from each other.
"""

from typing import Annotated

import msgspec
import trio
from msgspec import Meta, Struct

from api import access
from api.app import REQUEST_S
from api.endpoint import Call, Endpoints
from api.events import public
from api.ports import Edge
from api.replies import Declined, Page, Reply
from dispatch.ids import DeviceId
from dispatch.step import Code
from services.accounts.principal import Principal, Scope
from storage.cursors import Cursor, find_start, store_cursors
from storage.feeds import fetch_feed
from wire.frames import NAME, Message, Number

LIMIT_MAX = 200
WAIT_S_MAX = 20.0
ANSWER_S = 3.0
"""Of the time that a request has, what is kept for answering it."""
WAITING_MAX = 2_000
"""Requests of one node that may wait at once; one more is answered without waiting."""

feed = Endpoints("Feed", "What a person should see, numbered without a gap.")

_waiting = trio.CapacityLimiter(WAITING_MAX)


class FeedQuery(Struct, frozen=True, kw_only=True):
    """Which messages: after that number (or the device's own cursor), waiting so long for one."""

    after: Number | None = None
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX)] = 50
    wait_s: Annotated[float, Meta(ge=0, le=WAIT_S_MAX)] = 0.0
    feed: Annotated[str, NAME] | None = None
    """Whose feed, for who may follow more than one: a restaurant's, or any of the tenant's."""


class Seen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything up to this message has been seen on this device."""

    message_id: Number
    feed: Annotated[str, NAME] | None = None


class CursorView(Struct, frozen=True, kw_only=True):
    """Where the device goes on when it names nothing: after this message."""

    message_id: int


@feed.get("/v1/feed", scope=Scope.FEED_READ, codes=(Code.NOT_FOUND, Code.INVALID, Code.CURSOR_GONE))
async def show_feed(call: Call[None, FeedQuery]) -> Reply[Page[Message]]:
    """Show messages of your feed, waiting for one if there is none yet.

    `next_cursor` is the `after` of the next request. Events are those of the streams. Messages are
    kept for a while: who was away too long is told so with 410, and after which message to begin.
    """
    edge, query = call.edge, call.query
    person = await access.feed_for(edge, call.principal, query.feed)
    device_id = _device(call.principal, person)
    begin = await find_start(edge.database, person, device_id, query.after)
    start = begin.message_id
    if begin.is_anew:
        raise _gone(start)
    found = await fetch_feed(edge.database, person, start, query.limit + 1)
    if found and found[0].number > start + 1 > 1:
        raise _gone(found[0].number - 1)  # It was cleared away between the two readings.
    if not found and query.wait_s and await _has_come(edge, person, start, query.wait_s):
        found = await fetch_feed(edge.database, person, start, query.limit + 1)
    messages = [
        Message(
            message_id=entry.number,
            epoch=entry.epoch,
            event=msgspec.Raw(msgspec.json.encode(public(entry.message, edge.map))),
        )
        for entry in found[: query.limit]
    ]
    last = messages[-1].message_id if messages else start
    shown = Page(items=tuple(messages), has_more=len(found) > query.limit, next_cursor=str(last))
    return Reply(value=shown, headers={"Cache-Control": "no-store"})


@feed.post("/v1/feed/ack", scope=Scope.FEED_READ, codes=(Code.NOT_FOUND, Code.INVALID))
async def acknowledge(call: Call[Seen]) -> Reply[CursorView]:
    """Say how far this device has seen its feed. It only ever goes on, never back."""
    edge, principal = call.edge, call.principal
    person = await access.feed_for(edge, principal, call.body.feed)
    device_id = _device(principal, person)
    if device_id:
        await store_cursors(edge.database, [Cursor(person, device_id, call.body.message_id)])
    now = await find_start(edge.database, person, device_id, None)
    return Reply(value=CursorView(message_id=now.message_id))


def _gone(number: int) -> Declined:
    """Return what is said to a device whose next message is not kept any more."""
    told = f"messages up to {number} are not kept any more: read afresh what you show, then go on"
    return Declined(Code.CURSOR_GONE, f"{told} with after={number}")


def _device(principal: Principal, person: str) -> DeviceId:
    """Return the device whose cursor counts; of a feed that is not his own, none does."""
    if person not in access.feeds_of(principal):
        return DeviceId("")
    return principal.device_id or DeviceId(principal.subject)


async def _has_come(edge: Edge, person: str, after: int, wait_s: float) -> bool:
    """Wait for the next message; False when there is none in time, or too many wait already."""
    came = trio.Event()

    def show(_number: int, _epoch: int, _message: bytes) -> bool:
        came.set()
        return False

    borrower = object()
    try:
        _waiting.acquire_on_behalf_of_nowait(borrower)
    except trio.WouldBlock:
        return False
    following = edge.feeds.follow(person, after, show)
    try:
        with trio.move_on_after(min(wait_s, REQUEST_S - ANSWER_S)):
            await came.wait()
        return came.is_set()
    finally:
        following.end()
        _waiting.release_on_behalf_of(borrower)
