"""The documents as they are served: OpenAPI and AsyncAPI for programs, pages of them for people.

Each is written once, when it is asked for first, and from then on is bytes with an ETag. The pages
bring a policy that allows nothing but their own style sheet, so that nothing a document says could
run even if it were not escaped.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec
from quart import Response, request
from quart_trio import QuartTrio

from api.asyncapi import asyncapi
from api.endpoint import Endpoints
from api.openapi import openapi
from api.pages import STYLE, http_page, sockets_page

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
JSON = "application/json"
HTML = "text/html; charset=utf-8"
CSS = "text/css; charset=utf-8"
KEPT_S = 60

_STYLE_SHEET = Path(__file__).with_name("docs.css")


def serve_documents(app: QuartTrio, nouns: Sequence[Endpoints]) -> None:
    """Have the documents of these endpoints served."""
    written: Mapping[str, tuple[str, Callable[[], bytes]]] = {
        "/v1/openapi.json": (JSON, lambda: msgspec.json.encode(openapi(nouns))),
        "/v1/asyncapi.json": (JSON, lambda: msgspec.json.encode(asyncapi())),
        "/docs": (HTML, lambda: http_page(openapi(nouns)).encode()),
        "/docs/sockets": (HTML, lambda: sockets_page(asyncapi()).encode()),
        STYLE: (CSS, _STYLE_SHEET.read_bytes),
    }
    for path, (kind, write) in written.items():
        app.add_url_rule(path, f"GET {path}", _view(kind, write), methods=["GET"])


def _view(kind: str, write: Callable[[], bytes]) -> Callable[[], Awaitable[Response]]:
    @cache
    def kept() -> tuple[bytes, str]:
        content = write()
        return content, f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'

    async def view() -> Response:
        content, etag = kept()
        is_known = etag in request.headers.get("If-None-Match", "")
        shown = Response(b"" if is_known else content, 304 if is_known else 200, content_type=kind)
        shown.headers["ETag"] = etag
        shown.headers["Cache-Control"] = f"public, max-age={KEPT_S}"
        shown.headers["Content-Security-Policy"] = POLICY
        return shown

    return view
