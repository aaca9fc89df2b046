"""One request from its bytes to its answer: the same way for every endpoint.

Who asks, whether he may, whether he asks too often, what he sent, whether he sent it before; then
the endpoint; then its answer in the notation that he reads. What goes wrong is raised as `Declined`
at the step that finds it, and told by `api.app` as a problem.

A POST or PATCH under an `Idempotency-Key` is done once. Its effects carry ids that are made of the
claim on the key, so that doing it again after a crash is the same thing once more; its answer is
kept with the claim, and given to whoever sends the same request again.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import trio
from msgspec import Struct
from quart import Request, Response
from werkzeug.datastructures import Headers

from api.endpoint import Call, Endpoint
from api.limits import neighbourhood
from api.log import trail
from api.ports import Edge
from api.replies import Declined, Flaw, Reply
from dispatch.ids import Instant
from dispatch.step import Code
from services.accounts.principal import ANONYMOUS, Principal
from storage.database import DatabaseUnreachable
from storage.idempotency import Answered, Claimed, Pending

JSON = "application/json"
MSGPACK = "application/msgpack"
FORM = "application/x-www-form-urlencoded"
KEY_CHARS_MAX = 255
DETAIL_CHARS_MAX = 280
FIELDS_MAX = 32
NAMES_CLIENT = frozenset({"/v1/oauth/token", "/v1/oauth/revoke"})
"""Where `Authorization: Basic` names an OAuth client, and nobody is signed in yet."""
SEED_BYTES = 16
OK, NO_CONTENT, NOT_MODIFIED = 200, 204, 304
CLAIM_S = 2.0
"""Time to say what became of a claim, also when the request was given up."""

_POINTER = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""U+0000 as JSON writes it: its backslash is not one that was itself written by two."""
_encode_json = msgspec.json.Encoder(order="deterministic").encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


async def answer(endpoint: Endpoint, edge: Edge, request: Request, request_id: str) -> Response:
    """Return the answer to a request; raises `Declined`."""
    principal = await _principal(edge, request)
    trail().principal = principal
    headers = await _within_limits(endpoint, edge, principal, request)
    _check_scope(endpoint, principal)
    writes = _notation(request)
    path = _path(request)
    written = await request.get_data(as_text=False, cache=False)
    assert isinstance(written, bytes)
    body = _body(endpoint, request, written)
    query = _query(endpoint, request)
    async with _once(endpoint, edge, principal, request, written) as once:
        if once.answered is not None:
            headers["Idempotent-Replayed"] = "true"
            headers.update(once.answered.headers)
            return _response(once.answered.status, once.answered.body, writes, headers)
        call = Call(
            edge=edge,
            principal=principal,
            path=path,
            query=query,
            body=body,
            request_id=request_id,
            peer=request.remote_addr or "",
            headers={name.lower(): value for name, value in request.headers},
            began_at=once.began_at,
            seed=once.seed,
            is_secure=request.scheme == "https",
        )
        reply = await endpoint.act(call)
        status = reply.status if reply.status != OK else endpoint.status
        shown = b"" if reply.value is None else _encode_json(reply.value)
        once.done = Answered(status, shown, _own_headers(reply))
    headers.update(reply.headers)
    return _shown(request, reply, status, shown, writes, headers)


async def _principal(edge: Edge, request: Request) -> Principal:
    """Return who asks: somebody known, or nobody in particular."""
    given = request.headers.get("Authorization", "")
    if not given:
        return ANONYMOUS
    kind, _, bearer = given.partition(" ")
    if kind.lower() == "basic" and request.path in NAMES_CLIENT:
        return ANONYMOUS  # A client that names itself in the standard's own way.
    found = await edge.accounts.find_principal(bearer.strip()) if kind.lower() == "bearer" else None
    if found is None:
        await _take(edge, _address(request), "wrong-token")
        raise Declined(
            Code.UNAUTHENTICATED,
            "the token or key is wrong, ended or expired: sign in again",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    return found


def _check_scope(endpoint: Endpoint, principal: Principal) -> None:
    if endpoint.scope is None or endpoint.scope in principal.scopes:
        return
    if principal is ANONYMOUS:
        raise Declined(
            Code.UNAUTHENTICATED,
            "send `Authorization: Bearer` with a token or an API key",
            headers={"WWW-Authenticate": "Bearer"},
        )
    raise Declined(
        Code.FORBIDDEN,
        f"this needs the scope {endpoint.scope}",
        headers={
            "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{endpoint.scope}"'
        },
    )


async def _within_limits(
    endpoint: Endpoint, edge: Edge, principal: Principal, request: Request
) -> Headers:
    """Return headers that tell what is left of the limit."""
    return await _take(edge, principal.subject or _address(request), endpoint.group)


async def _take(edge: Edge, who: str, group: str) -> Headers:
    """Take one request of what somebody has in a group, and return headers that tell the rest."""
    left = await edge.limits.take(who, group)
    told = {
        "RateLimit-Limit": str(left.limit),
        "RateLimit-Remaining": str(left.remaining),
        "RateLimit-Reset": str(round(left.reset_s)),
    }
    if not left.is_allowed:
        raise Declined(
            Code.RATE_LIMITED,
            f"at most {left.limit} at once: wait {left.retry_s:.0f} s",
            retry_s=left.retry_s,
            headers=told,
        )
    return Headers(told)


def _address(request: Request) -> str:
    """Return whom a request without a name counts as."""
    return f"ip:{neighbourhood(request.remote_addr or '')}"


def _path(request: Request) -> Mapping[str, str]:
    """Return the variables of the path; nothing has a name that no store can keep."""
    path: Mapping[str, str] = request.view_args or {}
    if any("\0" in name for name in path.values()):
        raise Declined(Code.NOT_FOUND)
    return path


def _notation(request: Request) -> str:
    if not request.accept_mimetypes:
        return JSON
    best = request.accept_mimetypes.best_match([JSON, MSGPACK], default="")
    if not best:
        raise Declined(Code.NOT_ACCEPTABLE, f"answers are {JSON} or {MSGPACK}")
    return best


def _body(endpoint: Endpoint, request: Request, written: bytes) -> object:
    """Return the body as the endpoint's type."""
    if endpoint.body is None:
        return None
    given = request.mimetype or JSON
    takes = (FORM, JSON) if endpoint.takes_form else (JSON, MSGPACK)
    if given not in takes:
        raise Declined(Code.UNSUPPORTED_MEDIA, f"send {' or '.join(takes)}, not {given[:64]!r}")
    try:
        return _storable(_READ[given](written, endpoint.body), "")
    except msgspec.ValidationError as error:
        raise _invalid(str(error), "") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        told = f"the body cannot be read: {error}"[:DETAIL_CHARS_MAX]
        raise Declined(Code.MALFORMED, told) from error


def _storable[S: Struct](given: S, where: str) -> S:
    """Return what was given, unless a text in it has the one character that no store can keep."""
    if _NUL.search(_encode_json(given)):
        flaw = Flaw(where, Code.INVALID, "a text holds the character U+0000")
        raise Declined(Code.INVALID, "no text may hold the character U+0000", flaws=(flaw,))
    return given


def _form(written: bytes, kind: type[Struct]) -> Struct:
    given = dict(parse_qsl(written.decode(), max_num_fields=FIELDS_MAX))
    return msgspec.convert(given, kind, strict=False)


type Read = Callable[[bytes, type[Struct]], Struct]

_READ: Mapping[str, Read] = {
    JSON: lambda written, kind: msgspec.json.decode(written, type=kind),
    MSGPACK: lambda written, kind: msgspec.msgpack.decode(written, type=kind),
    FORM: _form,
}


def _query(endpoint: Endpoint, request: Request) -> object:
    if endpoint.query is None:
        return None
    try:
        given = msgspec.convert(request.args.to_dict(), endpoint.query, strict=False)
        return _storable(given, "?")
    except msgspec.ValidationError as error:
        raise _invalid(str(error), "?") from error


def _invalid(said: str, where: str) -> Declined:
    """Tell what msgspec found, and where: ``... - at `$.lines[0].count` `` as `/lines/0/count`."""
    found = _POINTER.search(said)
    path = re.sub(r"[.\[]+", "/", found.group(1)).replace("]", "") if found else ""
    told = _POINTER.sub("", said)
    flaw = Flaw(f"{where}{path}", Code.INVALID, told)
    return Declined(Code.INVALID, f"{path or 'the request'}: {told}", flaws=(flaw,))


@dataclass(slots=True)
class Once:
    """A request under its key: what it was answered before, or what its ids are made of."""

    began_at: Instant
    seed: bytes
    answered: Answered | None = None
    done: Answered | None = None


@asynccontextmanager
async def _once(
    endpoint: Endpoint, edge: Edge, principal: Principal, request: Request, written: bytes
) -> AsyncGenerator[Once]:
    """Claim the request's key for the block, and keep what it was answered."""
    key = request.headers.get("Idempotency-Key", "")
    if not key or endpoint.verb not in {"POST", "PATCH"} or not endpoint.keeps_answer:
        yield Once(edge.now(), edge.entropy(SEED_BYTES))
        return
    if len(key) > KEY_CHARS_MAX:
        raise Declined(Code.INVALID, f"an Idempotency-Key has at most {KEY_CHARS_MAX} characters")
    told = f"{endpoint.verb} {request.full_path} {request.mimetype}\n".encode()
    digest = hashlib.sha256(told + written).digest()
    # Nobody in particular is many: a key of theirs is only ever that of the very same request.
    scope = f"{principal.tenant_id}/{principal.subject or digest.hex()}"
    claim = await edge.idempotency.claim(scope, key, digest)
    match claim:
        case Claimed(began_at, is_first):
            seed = hashlib.sha256(f"{scope}\n{key}\n".encode() + digest).digest()
            once = Once(began_at, seed)
        case Answered():
            yield Once(edge.now(), b"", answered=claim)
            return
        case Pending():
            told = "the same request is being served: ask again"
            raise Declined(Code.KEY_PENDING, told, retry_s=1)
        case _:
            told = "this Idempotency-Key came with another request before"
            raise Declined(Code.KEY_REUSED, told)
    try:
        yield once
    except Declined:
        # It did nothing and may come again, changed or not; unless somebody served it before, who
        # may have done it: then it has to stay the claim that its ids are made of.
        if is_first:
            await edge.idempotency.release(scope, key, digest)
        raise
    finally:
        with trio.move_on_after(CLAIM_S, shield=True), suppress(DatabaseUnreachable):
            if once.done is not None:
                await edge.idempotency.finish(scope, key, digest, once.done)
            else:
                await edge.idempotency.give_way(scope, key, digest)


def _own_headers(reply: Reply[Any]) -> Mapping[str, str]:
    """Return what an answer says of itself, whenever it is given."""
    return dict(reply.headers) | ({"ETag": reply.etag} if reply.etag else {})


def _shown(
    request: Request, reply: Reply[Any], status: int, shown: bytes, writes: str, headers: Headers
) -> Response:
    """Return the answer, or 304 for what the asker has already."""
    etag = reply.etag
    if request.method == "GET" and status == OK:
        etag = etag or f'"{hashlib.blake2b(shown, digest_size=12).hexdigest()}"'
        headers.setdefault("Cache-Control", "private, no-cache")
        named = request.headers.get("If-None-Match", "").split(",")
        known = {tag.strip().removeprefix("W/") for tag in named}
        if etag in known:
            headers["ETag"] = etag
            return Response(b"", NOT_MODIFIED, headers)
    if etag:
        headers["ETag"] = etag
    return _response(status, shown, writes, headers)


def _response(status: int, shown: bytes, writes: str, headers: Headers) -> Response:
    """Return what was written in JSON in the notation that is wanted."""
    headers.setdefault("Cache-Control", "no-store")
    headers.add("Vary", "Accept, Authorization")
    if not shown:
        return Response(b"", NO_CONTENT if status == OK else status, headers)
    if writes == MSGPACK:
        shown = _encode_msgpack(msgspec.json.decode(shown))
    return Response(shown, status, headers, content_type=writes)
