"""The page at `/`: plain proof that a cluster lives, for whoever opens its address in a browser.

A node that is told to show its pulse gives the page its numbers at `/front.json`: how many nodes,
couriers and orders there are, and what moved last, of everybody together and naming nobody. Any
other node has no such numbers to show, and the page says no more than that it lives. It is three
files, served as they are; nothing is fetched from elsewhere and no script stands in the page, so
that its content policy can be strict.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from api.limits import neighbourhood
from api.ports import Edge
from api.pulse import pulse_view
from storage.database import DatabaseRefused, DatabaseUnreachable

FOLDER = Path(__file__).parent
FILES: Mapping[str, tuple[str, str]] = {
    "/": ("front.html", "text/html; charset=utf-8"),
    "/front.css": ("front.css", "text/css; charset=utf-8"),
    "/front.js": ("front.js", "text/javascript; charset=utf-8"),
}
NUMBERS = "/front.json"
LOOK_S = 5.0
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_AWAY = (DatabaseUnreachable, DatabaseRefused, trio.TooSlowError)


def routes(app: QuartTrio, edge: Edge) -> None:
    """Serve the page and what it needs, and its numbers where they are for everybody."""
    for path, (name, kind) in FILES.items():
        app.add_url_rule(path, f"front {path}", _serving(FOLDER / name, kind), methods=["GET"])
    if not edge.shows_pulse:
        return

    async def show() -> Response:
        left = await edge.limits.take(f"ip:{neighbourhood(request.remote_addr or '')}", "read")
        if not left.is_allowed:
            raise TooManyRequests
        try:
            with trio.fail_after(LOOK_S):
                view = await pulse_view(edge, edge.now(), None)
        except _AWAY as error:
            raise ServiceUnavailable from error
        headers = {"Cache-Control": "public, max-age=1"}
        return Response(msgspec.json.encode(view), 200, headers, content_type="application/json")

    app.add_url_rule(NUMBERS, "front numbers", show, methods=["GET"])


def _serving(file: Path, kind: str) -> Callable[[], Awaitable[Response]]:
    """Return what answers with a file, which is read once."""
    content = file.read_bytes()
    etag = hashlib.blake2b(content, digest_size=12).hexdigest()
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}

    async def serve() -> Response:
        shown = Response(content, 200, headers, content_type=kind)
        shown.set_etag(etag)
        return await shown.make_conditional(request)

    return serve
