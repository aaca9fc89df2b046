"""The page at `/`: plain proof that a cluster lives, for whoever opens its address in a browser.

It asks `GET /v1/pulse` again and again, which is public and names nobody: how many nodes, couriers
and orders there are, and what moved last. The page is three files, served as they are; nothing is
fetched from elsewhere and no script stands in the page, so that its content policy can be strict.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

import trio
from msgspec import Struct
from quart import Response, request
from quart_trio import QuartTrio

from api.endpoint import Call, Endpoints
from api.ports import Edge
from api.replies import Reply
from api.times import WrittenTime, rfc3339
from dispatch.ids import Instant, after
from storage.database import Database
from storage.pulse import fetch_pulse

RECENT_S = 3 * 3_600.0
"""Orders placed so long ago are counted."""
KEPT_S = 1.0
"""An answer is given again for so long, whoever asks."""
FOLDER = Path(__file__).parent
FILES: Mapping[str, tuple[str, str]] = {
    "/": ("front.html", "text/html; charset=utf-8"),
    "/front.css": ("front.css", "text/css; charset=utf-8"),
    "/front.js": ("front.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

pulse = Endpoints("Pulse", "How the cluster stands, in numbers that name nobody.")


class NodeShown(Struct, frozen=True, kw_only=True):
    """A node that lives, and how busy it is, from 0 on."""

    node: str
    load: float


class MovedShown(Struct, frozen=True, kw_only=True):
    """An order came to another status."""

    status: str
    delivery_status: str
    at: WrittenTime


class PulseView(Struct, frozen=True, kw_only=True):
    """How the cluster stands. Orders are those placed in the last hours, by their status."""

    node: str
    """The node that answers."""
    at: WrittenTime
    nodes: tuple[NodeShown, ...]
    markets: tuple[str, ...]
    couriers: Mapping[str, int]
    orders: Mapping[str, int]
    latest: tuple[MovedShown, ...]


@pulse.get("/v1/pulse")
async def show_pulse(call: Call) -> Reply[PulseView]:
    """Show how the cluster stands. The numbers are at most a second old."""
    return Reply(
        value=await _kept(call.edge, call.began_at), headers={"Cache-Control": "public, max-age=1"}
    )


def routes(app: QuartTrio, edge: Edge) -> None:
    """Serve the page and what it needs."""
    del edge
    for path, (name, kind) in FILES.items():
        app.add_url_rule(path, f"front {path}", _serving(FOLDER / name, kind), methods=["GET"])


class _Kept:
    """The last answer of a node, and who waits for the next one."""

    def __init__(self) -> None:
        self.view: PulseView | None = None
        self.until = Instant(0)
        self.asking = trio.Lock()


_by_database: WeakKeyDictionary[Database, _Kept] = WeakKeyDictionary()


async def _kept(edge: Edge, now: Instant) -> PulseView:
    """Return how the cluster stands; many who ask at once cost one look."""
    kept = _by_database.setdefault(edge.replica, _Kept())
    async with kept.asking:
        if kept.view is None or now >= kept.until:
            kept.view, kept.until = await _looked(edge, now), after(edge.now(), KEPT_S)
        return kept.view


async def _looked(edge: Edge, now: Instant) -> PulseView:
    found = await fetch_pulse(edge.replica, after(now, -RECENT_S))
    doors = edge.doors.best(None)
    return PulseView(
        node=edge.node,
        at=rfc3339(now),
        nodes=tuple([NodeShown(node=door.node, load=round(door.load, 3)) for door in doors]),
        markets=tuple([ground.market_id for ground in edge.map.markets()]),
        couriers=found.couriers,
        orders=found.orders,
        latest=tuple(
            [
                MovedShown(
                    status=one.status, delivery_status=one.delivery_status, at=rfc3339(one.at)
                )
                for one in found.latest
            ]
        ),
    )


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
