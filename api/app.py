"""The HTTP application: every endpoint at its path, and a problem for whatever goes wrong.

A fault of ours is logged with its traceback and answered 500 without one; a store that is away is
answered 503. The body of a request is bounded in size and in time before anybody looks at it.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import ceil

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, InternalServerError

from actors.failures import ActorFailed
from api import exchange
from api.documents import serve_documents
from api.endpoint import Endpoint, Endpoints
from api.framework import Framework
from api.log import GONE, RequestLog, Served, Trail, begin, fault, trail
from api.ports import Edge, Unavailable
from api.replies import PROBLEM_TYPE, STATUS, Declined, problem
from dispatch.ids import prefixed
from dispatch.step import Code
from storage.database import DatabaseUnreachable
from storage.redis import RedisUnreachable

BODY_BYTES_MAX = 256 * 1024
BODY_S = 10.0
REQUEST_S = 20.0
RETRY_S = 1.0
ENTROPY_BYTES = 10

_AWAY = (Unavailable, DatabaseUnreachable, RedisUnreachable, trio.TooSlowError)


def application(edge: Edge, nouns: Sequence[Endpoints], log: RequestLog | None = None) -> QuartTrio:
    """Return the application that serves these endpoints."""
    app = Framework("dispatch", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.config["BODY_TIMEOUT"] = BODY_S
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False  # A path is right or wrong; nobody is sent on to another.
    log = log or RequestLog()
    for noun in nouns:
        for endpoint in noun.declared:
            app.add_url_rule(
                endpoint.path.replace("{", "<").replace("}", ">"),
                f"{endpoint.verb} {endpoint.path}",
                _view(endpoint, edge, log),
                methods=[endpoint.verb],
            )
    serve_documents(app, nouns)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(500, _failed)
    app.before_request(partial(_begun, edge))
    app.after_request(partial(_ended, edge, log))
    return app


def _view(endpoint: Endpoint, edge: Edge, log: RequestLog) -> Callable[..., Awaitable[Response]]:
    async def view(**_path: str) -> Response:
        try:
            with trio.fail_after(REQUEST_S):
                return await exchange.answer(endpoint, edge, request, trail().request_id)
        except Declined as declined:
            return _problem(declined)
        except _AWAY as error:
            trail().error = error
            told = "a part of the service is away: ask again"
            return _problem(Declined(Code.UNAVAILABLE, told, retry_s=RETRY_S))
        except ActorFailed as error:
            trail().error = error
            return _problem(Declined(Code.FAILED, "it failed on our side, and changed nothing"))
        except trio.Cancelled:
            log.note(_served(edge, GONE))
            raise

    return view


_BY_STATUS = {
    400: Code.MALFORMED,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    408: Code.MALFORMED,
    413: Code.TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA,
    429: Code.RATE_LIMITED,
    503: Code.UNAVAILABLE,
}


async def _begun(edge: Edge) -> None:
    """Give the request its name."""
    request_id = prefixed("req", edge.now(), edge.entropy(ENTROPY_BYTES))
    begin(Trail(request_id=request_id, began_s=trio.current_time()))


async def _refused(error: HTTPException) -> Response:
    """Tell what the framework found wrong."""
    code = _BY_STATUS.get(error.code or 400, Code.MALFORMED)
    allowed = {"Allow": ", ".join(getattr(error, "valid_methods", None) or ())}
    return _problem(
        Declined(code, "", headers=allowed if code is Code.METHOD_NOT_ALLOWED else None)
    )


async def _failed(error: InternalServerError) -> Response:
    """Answer for a fault of ours."""
    trail().error = error.original_exception
    return _problem(Declined(Code.FAILED, "it is noted, and not yours to mend"))


def _problem(declined: Declined) -> Response:
    trail().code = declined.code
    told = problem(declined, request.path, trail().request_id)
    shown = Response(msgspec.json.encode(told), STATUS[declined.code], content_type=PROBLEM_TYPE)
    shown.headers.update(declined.headers)
    shown.headers["Cache-Control"] = "no-store"
    if declined.retry_s is not None:
        shown.headers["Retry-After"] = str(max(1, ceil(declined.retry_s)))
    return shown


async def _ended(edge: Edge, log: RequestLog, shown: Response) -> Response:
    """Write the line of the request, and what every answer says."""
    shown.headers["X-Request-Id"] = trail().request_id
    shown.headers.setdefault("X-Content-Type-Options", "nosniff")
    shown.headers.setdefault("Referrer-Policy", "no-referrer")
    log.note(_served(edge, shown.status_code))
    return shown


def _served(edge: Edge, status: int) -> Served:
    """Return what became of the request; of what is away the names are enough."""
    left = trail()
    return Served(
        method=request.method,
        route=request.url_rule.rule if request.url_rule else "",
        status=status,
        ms=round((trio.current_time() - left.began_s) * 1_000, 2),
        request_id=left.request_id,
        node=edge.node,
        subject=left.principal.subject,
        tenant_id=left.principal.tenant_id,
        code=left.code,
        fault=fault(left.error) if left.error else None,
    )
