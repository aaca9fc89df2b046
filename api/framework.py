"""The framework as we need it: where Quart and its server would keep too much, or wait too long.

- A body never holds more than it may, also when nobody has said how long it is.
- A request that is answered before its body has come is read to its end, for a moment, so that the
  connection can serve the next one; what takes longer has its connection closed.
- The server tells the application that the request is over while that is still saying its last
  word. Quart would stop it in the middle of that, and leave a connection that nobody closes and
  nobody answers on.
- What goes wrong stands in the line of its request, and is not logged a second time.
"""

from contextlib import suppress
from types import TracebackType
from typing import cast

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, ASGISendEvent
from quart import Request
from quart.ctx import AppContext
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers.request import TrioBody, TrioRequest
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

NOT_FOUND = 404
REST_S = 1.0
"""Time for the rest of a body whose request is answered already."""


class BoundedBody(TrioBody):
    """A body that lets fall what is too much."""

    _bytes = 0

    async def put(  # pyright: ignore[reportIncompatibleMethodOverride] - a name of ours.
        self, part: bytes
    ) -> None:
        """Take a part of it, or let it fall once it is too much."""
        self._bytes += len(part)
        if self._max_content_length is not None and self._bytes > self._max_content_length:
            self._must_raise = self._must_raise or RequestEntityTooLarge()
            self.set_complete()
        elif self._must_raise is None:
            self._queue.put_nowait(part)  # It has room for a whole body.

    @property
    def is_whole(self) -> bool:
        """Tell whether all of it has come, or as much as is taken."""
        return self._must_raise is not None or self._complete.is_set()


class BoundedRequest(TrioRequest):
    """A request with such a body."""

    body_class = BoundedBody

    async def take_rest(self) -> None:
        """Wait a moment for what of the body has not come yet, and let it fall."""
        body = self.body
        assert isinstance(body, BoundedBody)
        if body.is_whole:
            return
        with trio.move_on_after(REST_S), suppress(RequestEntityTooLarge, RequestTimeout):
            await self.get_data(cache=False, as_text=False, parse_form_data=False)


class Exchange(TrioASGIHTTPConnection):
    """One request and its answer, of which the last word is said to its end."""

    _is_said = False
    _request: Request | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the request."""

        async def say(event: ASGISendEvent) -> None:
            if event["type"] == "http.response.body" and not event["more_body"]:
                await self._take_rest()
                self._is_said = True
            await send(event)

        next_event = _prompt(receive)

        async def hear() -> ASGIReceiveEvent:
            event = await next_event()
            if event["type"] == "http.disconnect" and self._is_said:
                await trio.sleep_forever()  # Until the last word is said, which ends this as well.
            return event

        await super().__call__(hear, say)

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        self._request = super()._create_request_from_scope(send)
        return self._request

    async def _take_rest(self) -> None:
        if isinstance(self._request, BoundedRequest):
            await self._request.take_rest()


def _prompt(receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    """Return what receives without a turn of the loop for each event that is there already."""
    channel = getattr(receive, "__self__", None)
    if not isinstance(channel, trio.MemoryReceiveChannel):
        return receive
    events = cast("trio.MemoryReceiveChannel[ASGIReceiveEvent]", channel)

    async def prompt() -> ASGIReceiveEvent:
        try:
            return events.receive_nowait()
        except trio.WouldBlock:
            return await events.receive()

    return prompt


class NoSocket:
    """A WebSocket that is asked for where there is none: the reactor has them all."""

    def __init__(self, app: object, scope: object) -> None:
        del app, scope

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer 404, as any other path does that nobody serves."""
        await receive()
        await send({"type": "websocket.http.response.start", "status": NOT_FOUND, "headers": ()})
        await send({"type": "websocket.http.response.body", "body": b"", "more_body": False})


class Framework(QuartTrio):
    """An application of that kind."""

    request_class: type[Request] = BoundedRequest
    asgi_http_class = Exchange
    asgi_websocket_class = NoSocket

    def log_exception(
        self,
        ctx: AppContext,
        exception_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Say nothing: the line of the request tells of it."""
