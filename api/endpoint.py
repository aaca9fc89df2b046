"""How an endpoint is declared: one function, whose annotations say what it takes and gives.

    orders = Endpoints("Orders", "What customers order, and what became of it.")

    @orders.post("/v1/orders", scope=Scope.ORDERS_WRITE, status=201, codes=(Code.SOLD_OUT,))
    async def place_order(call: Call[NewOrder]) -> Reply[OrderView]:
        '''Place an order.'''

`Call[B, Q]` names the body and the query, `Reply[R]` the answer; all are msgspec Structs. From the
same declaration a request is validated, checked, limited and answered (`api.exchange`), and the
OpenAPI document is written (`api.documents`), so that the one cannot differ from the other.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any, Literal, get_args, get_type_hints

from msgspec import Struct

from api.ports import Edge
from api.replies import Declined, Reply
from dispatch.ids import Instant, prefixed
from dispatch.step import Code
from services.accounts.principal import Principal, Scope

type Verb = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
type Act = Callable[[Any], Awaitable[Reply[Any]]]
type Group = Literal["read", "write", "sign-in"]
"""The groups of routes that have a limit of their own."""


@dataclass(slots=True, kw_only=True)
class Call[B = None, Q = None]:
    """One request, decoded and allowed in. `path` holds the variables of the path.

    New ids are made by `new_id` of `began_at` and `seed`, which are the same when a request comes
    again under its idempotency key: then what it does is the same thing once more, not another one.
    """

    edge: Edge
    principal: Principal
    path: Mapping[str, str]
    query: Q
    body: B
    request_id: str
    peer: str
    headers: Mapping[str, str]
    began_at: Instant
    seed: bytes
    is_secure: bool = False
    """Whether it came by https, as far as the client sees it."""
    _made: int = field(default=0)

    def new_id(self, prefix: str) -> str:
        """Return an id that no other request can make."""
        self._made += 1
        entropy = hashlib.sha256(self.seed + f"{prefix}{self._made}".encode()).digest()
        return prefixed(prefix, self.began_at, entropy)

    def must_match(self, etag: str) -> None:
        """Raise `Declined` when `If-Match` names another state than this one."""
        wanted = self.headers.get("if-match", "").strip()
        named = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
        if wanted and wanted != "*" and etag not in named:
            raise Declined(
                Code.STALE_ETAG,
                "it has changed since you read it: read it again, and decide anew",
                headers={"ETag": etag},
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What is done at one verb and path. `scope` None is open to everybody."""

    verb: Verb
    path: str
    act: Act
    body: type[Struct] | None
    query: type[Struct] | None
    returns: type[Struct] | None
    status: int
    scope: Scope | None
    group: Group
    codes: tuple[Code, ...]
    takes_form: bool
    tag: str
    keeps_answer: bool = True
    """False where an answer holds a secret: it is not kept, under whatever key the request came."""
    refuses_with: type | None = None
    """What it answers in the place of a problem, where a standard says so."""

    @property
    def name(self) -> str:
        """The name of the operation."""
        return getattr(self.act, "__name__", "")

    @property
    def told(self) -> str:
        """What it does, in words."""
        return cleandoc(self.act.__doc__ or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """Server-Sent Events at one path, open to whoever knows it: what each event's data is.

    It is no answer to a request, so it is served by a route of its own (`api.nouns.ROUTES`).
    """

    path: str
    name: str
    told: str
    tag: str
    events: Mapping[str, type[Struct]]
    codes: tuple[Code, ...]


@dataclass(slots=True)
class Endpoints:
    """The endpoints of one noun."""

    tag: str
    told: str
    declared: list[Endpoint] = field(default_factory=list[Endpoint])
    streams: list[EventStream] = field(default_factory=list[EventStream])

    def get(self, path: str, **rest: Any) -> Callable[[Act], Act]:  # noqa: ANN401 - see `_declare`.
        """Declare what a GET does."""
        return self._declare("GET", path, **rest)

    def post(self, path: str, **rest: Any) -> Callable[[Act], Act]:  # noqa: ANN401
        """Declare what a POST does."""
        return self._declare("POST", path, **rest)

    def patch(self, path: str, **rest: Any) -> Callable[[Act], Act]:  # noqa: ANN401
        """Declare what a PATCH does."""
        return self._declare("PATCH", path, **rest)

    def put(self, path: str, **rest: Any) -> Callable[[Act], Act]:  # noqa: ANN401
        """Declare what a PUT does."""
        return self._declare("PUT", path, **rest)

    def delete(self, path: str, **rest: Any) -> Callable[[Act], Act]:  # noqa: ANN401
        """Declare what a DELETE does."""
        return self._declare("DELETE", path, **rest)

    def stream(
        self,
        path: str,
        name: str,
        told: str,
        *,
        events: Mapping[str, type[Struct]],
        codes: tuple[Code, ...],
    ) -> EventStream:
        """Declare the events that a GET is told one after the other."""
        declared = EventStream(
            path=path, name=name, told=cleandoc(told), tag=self.tag, events=events, codes=codes
        )
        self.streams.append(declared)
        return declared

    def _declare(  # noqa: PLR0913 - what an endpoint can say of itself.
        self,
        verb: Verb,
        path: str,
        *,
        scope: Scope | None = None,
        status: int = 200,
        codes: tuple[Code, ...] = (),
        group: Group | None = None,
        takes_form: bool = False,
        keeps_answer: bool = True,
        refuses_with: type | None = None,
    ) -> Callable[[Act], Act]:
        def declare(act: Act) -> Act:
            hints = get_type_hints(act)
            body, query = (*get_args(hints["call"]), None, None)[:2]
            (returns,) = get_args(hints["return"]) or (None,)
            endpoint = Endpoint(
                verb=verb,
                path=path,
                act=act,
                body=_none(body),
                query=_none(query),
                returns=_none(returns),
                status=status,
                scope=scope,
                group=group or ("read" if verb == "GET" else "write"),
                codes=codes,
                takes_form=takes_form,
                tag=self.tag,
                keeps_answer=keeps_answer,
                refuses_with=refuses_with,
            )
            self.declared.append(endpoint)
            return act

        return declare


def _none(named: Any) -> type[Struct] | None:  # noqa: ANN401 - whatever an annotation may hold.
    return None if named is type(None) else named
