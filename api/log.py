"""The log of requests: one line for each, when it is answered.

A line says which route was asked, by whom, how long it took and what became of it. It never says
what was sent or shown: no body, query, token, address or place. Of a fault of ours it has the
frames of the traceback and the names of the errors, but not what they say of themselves, because
that may hold what somebody sent. Lines are JSON, unless a person reads them at a terminal.
"""

import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TextIO

import msgspec
import structlog
from msgspec import Struct
from quart import g

from dispatch.lease import NodeId
from dispatch.step import Code
from services.accounts.principal import ANONYMOUS, Principal

CAUSES_MAX = 8
GONE = 499
"""The status of a request whose sender did not wait for the answer; nobody is told it."""


@dataclass(slots=True, kw_only=True)
class Trail:
    """What is known of a request while it is served."""

    request_id: str
    began_s: float
    principal: Principal = ANONYMOUS
    code: Code | None = None
    error: BaseException | None = None


class Served(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request and what became of it: the fields of its line."""

    method: str
    route: str
    status: int
    ms: float
    request_id: str
    node: NodeId
    subject: str = ""
    tenant_id: str = ""
    code: Code | None = None
    fault: str | None = None


class RequestStatistics(Struct, frozen=True, kw_only=True):
    """Requests answered so far, those refused (4xx), failed (5xx) and not waited for."""

    requests: int
    refused: int
    failed: int
    gone: int
    ms: float


class RequestLog:
    """Writes the lines and counts them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, the standard error if none is given."""
        self._logger = _logger(stream or sys.stderr)
        self._requests = self._refused = self._failed = self._gone = 0
        self._ms = 0.0

    def note(self, served: Served) -> None:
        """Write the line of a request."""
        self._requests += 1
        self._ms += served.ms
        self._gone += served.status == GONE
        is_failed = served.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self._failed += is_failed
        self._refused += HTTPStatus.BAD_REQUEST <= served.status < GONE
        fields = msgspec.to_builtins(served)
        if is_failed:
            self._logger.error("request", **fields)
        else:
            self._logger.info("request", **fields)

    def statistics(self) -> RequestStatistics:
        """Return what was counted."""
        return RequestStatistics(
            requests=self._requests,
            refused=self._refused,
            failed=self._failed,
            gone=self._gone,
            ms=round(self._ms, 1),
        )


def begin(trail: Trail) -> None:
    """Keep the trail of the request that is served here."""
    g.trail = trail


def trail() -> Trail:
    """Return the trail of the request that is served here."""
    return g.trail


def fault(error: BaseException) -> str:
    """Return where an error came from, and which it was, without its words."""
    return "\n".join(_frames(error))


def _frames(error: BaseException | None) -> Iterator[str]:
    for _ in range(CAUSES_MAX):
        if error is None:
            return
        yield type(error).__qualname__
        for frame in traceback.extract_tb(error.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        error = _cause(error)


def _cause(error: BaseException) -> BaseException | None:
    """Return what an error came of; of a group the first, since one is enough to go on."""
    grouped: Sequence[BaseException] = getattr(error, "exceptions", ())
    return grouped[0] if grouped else error.__cause__ or error.__context__


def _logger(stream: TextIO) -> structlog.typing.FilteringBoundLogger:
    shown = (
        structlog.dev.ConsoleRenderer()
        if stream.isatty()
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    return structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )


def _json(line: object, **_options: object) -> str:
    return msgspec.json.encode(line).decode()
