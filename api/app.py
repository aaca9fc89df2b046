"""The HTTP application: every endpoint at its path, and a problem for whatever goes wrong.

A fault of ours is logged with its traceback and answered 500 without one; a store that is away is
answered 503. The body of a request is bounded in size and in time before anybody looks at it.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors.failures import ActorFailed
from api import exchange
from api.endpoint import Endpoint, Endpoints
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


def application(edge: Edge, nouns: Sequence[Endpoints]) -> QuartTrio:
    """Return the application that serves these endpoints."""
    app = QuartTrio("dispatch", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX
    app.config["BODY_TIMEOUT"] = BODY_S
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    for noun in nouns:
        for endpoint in noun.declared:
            app.add_url_rule(
                endpoint.path.replace("{", "<").replace("}", ">"),
                f"{endpoint.verb} {endpoint.path}",
                _view(endpoint, edge),
                methods=[endpoint.verb],
            )
    app.register_error_handler(HTTPException, partial(_refused, edge))
    app.register_error_handler(500, partial(_failed, edge))
    app.after_request(_hardened)
    return app


def _view(endpoint: Endpoint, edge: Edge) -> Callable[..., Awaitable[Response]]:
    async def view(**_path: str) -> Response:
        request_id = prefixed("req", edge.now(), edge.entropy(ENTROPY_BYTES))
        try:
            with trio.fail_after(REQUEST_S):
                shown = await exchange.answer(endpoint, edge, request, request_id)
        except Declined as declined:
            return _problem(declined, request_id)
        except _AWAY as error:
            del error
            told = "a part of the service is away: ask again"
            return _problem(Declined(Code.UNAVAILABLE, told, retry_s=RETRY_S), request_id)
        except ActorFailed:
            told = "it failed on our side, and changed nothing"
            return _problem(Declined(Code.FAILED, told), request_id)
        shown.headers["X-Request-Id"] = request_id
        return shown

    return view


_BY_STATUS = {
    400: Code.MALFORMED,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    408: Code.MALFORMED,
    413: Code.TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA,
}


async def _refused(edge: Edge, error: HTTPException) -> Response:
    """Tell what the framework found wrong."""
    code = _BY_STATUS.get(error.code or 400, Code.MALFORMED)
    allowed = {"Allow": ", ".join(getattr(error, "valid_methods", None) or ())}
    declined = Declined(code, "", headers=allowed if code is Code.METHOD_NOT_ALLOWED else None)
    return _problem(declined, _request_id(edge))


async def _failed(edge: Edge, error: BaseException) -> Response:
    """Answer for a fault of ours; Quart has logged it."""
    del error
    return _problem(Declined(Code.FAILED, "it is noted, and not yours to mend"), _request_id(edge))


def _request_id(edge: Edge) -> str:
    return prefixed("req", edge.now(), edge.entropy(ENTROPY_BYTES))


def _problem(declined: Declined, request_id: str) -> Response:
    told = problem(declined, request.path, request_id)
    shown = Response(msgspec.json.encode(told), STATUS[declined.code], content_type=PROBLEM_TYPE)
    shown.headers.update(declined.headers)
    shown.headers["X-Request-Id"] = request_id
    shown.headers["Cache-Control"] = "no-store"
    if declined.retry_s is not None:
        shown.headers["Retry-After"] = str(max(1, round(declined.retry_s)))
    return shown


async def _hardened(shown: Response) -> Response:
    shown.headers.setdefault("X-Content-Type-Options", "nosniff")
    shown.headers.setdefault("Referrer-Policy", "no-referrer")
    return shown
