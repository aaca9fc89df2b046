"""What the edge answers: replies of endpoints, and problems (RFC 9457) for whatever cannot be done.

`STATUS` gives each code its HTTP status, and is total. An endpoint, or what it calls, raises
`Declined` for what a peer caused; it becomes a problem of `application/problem+json` here, and
nowhere is one written by hand.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from dispatch.step import Accepted, Code, Refused

PROBLEM_TYPE = "application/problem+json"

STATUS: Mapping[Code, int] = {
    Code.MALFORMED: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.NOT_YOURS: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_ACCEPTABLE: 406,
    Code.NOT_LEGAL_NOW: 409,
    Code.ALREADY_EXISTS: 409,
    Code.STALE_VERSION: 409,
    Code.OFFER_CLOSED: 409,
    Code.OFFER_LAPSED: 409,
    Code.NOT_CANCELABLE: 409,
    Code.RESTAURANT_CLOSED: 409,
    Code.RESTAURANT_PAUSED: 409,
    Code.KITCHEN_FULL: 409,
    Code.SOLD_OUT: 409,
    Code.ZONE_PAUSED: 409,
    Code.COURIER_UNAVAILABLE: 409,
    Code.NOT_AT_STOP: 409,
    Code.MOVED: 409,
    Code.KEY_PENDING: 409,
    Code.CURSOR_GONE: 410,
    Code.STALE_ETAG: 412,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA: 415,
    Code.INVALID: 422,
    Code.LOAD_EXCEEDED: 422,
    Code.KEY_REUSED: 422,
    Code.RATE_LIMITED: 429,
    Code.FAILED: 500,
    Code.PARKED: 503,
    Code.OVERLOADED: 503,
    Code.UNAVAILABLE: 503,
}

TITLE: Mapping[int, str] = {
    400: "The request cannot be read",
    401: "Sign in first",
    403: "Not allowed",
    404: "There is no such thing",
    405: "Not this way",
    406: "No such representation",
    409: "Not as things stand",
    410: "It is not kept any more",
    412: "It has changed meanwhile",
    413: "Too large",
    415: "Not in this format",
    422: "Not acceptable as it is",
    429: "Too many requests",
    500: "A fault of ours",
    503: "Not now",
}

RETRYABLE = frozenset(
    {Code.KEY_PENDING, Code.RATE_LIMITED, Code.OVERLOADED, Code.UNAVAILABLE, Code.MOVED}
)


class Flaw(Struct, frozen=True):
    """One thing wrong with a request: where (a JSON pointer), and what it should be."""

    pointer: str
    code: Code
    detail: str


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    type: str
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str
    instance: str
    code: Code
    request_id: str
    retryable: bool
    errors: tuple[Flaw, ...] = ()


class Declined(Exception):
    """The request cannot be followed, for a reason that its sender can know."""

    def __init__(
        self,
        code: Code,
        detail: str = "",
        *,
        flaws: tuple[Flaw, ...] = (),
        retry_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.flaws = flaws
        self.retry_s = retry_s
        self.headers = headers or {}


class Reply[R](Struct, frozen=True, kw_only=True):
    """The answer of an endpoint. `etag` is what `If-Match` must name to change what is shown."""

    value: R
    status: int = 200
    etag: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Page[R](Struct, frozen=True, kw_only=True, rename={"items": "data"}):
    """A stretch of a list; `next_cursor` is the `after` of the next one.

    On the wire the stretch itself is called `data`, as integrators know it.
    """

    items: tuple[R, ...]
    has_more: bool
    next_cursor: str | None = None


def accepted(answer: Accepted | Refused) -> None:
    """Raise `Declined` for a refusal of an actor."""
    if isinstance(answer, Refused):
        raise Declined(answer.code, answer.detail)


def problem(declined: Declined, instance: str, request_id: str) -> ProblemDetails:
    """Return the body that tells of it."""
    status = STATUS[declined.code]
    return ProblemDetails(
        type=f"/v1/problems/{declined.code}",
        title=TITLE[status],
        status=status,
        detail=declined.detail or TITLE[status],
        instance=instance,
        code=declined.code,
        request_id=request_id,
        retryable=declined.code in RETRYABLE,
        errors=declined.flaws,
    )
