"""The OpenAPI 3.1 document, made of the endpoints as they were declared.

Nothing is described here that is not so: schemas are those by which bodies are decoded, and each
operation names every status that it can answer. What no operation has of its own (an unreadable
request, a wrong token, too many requests, a fault of ours) follows from how `api.exchange` serves
all of them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

from api.endpoint import Endpoint, Endpoints, EventStream
from api.replies import PROBLEM_TYPE, STATUS, TITLE, ProblemDetails
from api.schemas import SCHEMAS, Json, first_sentence, rest, schemas
from dispatch.step import Code
from services.accounts.principal import Scope

VERSION = "1.0.0"
JSON = "application/json"
MSGPACK = "application/msgpack"
FORM = "application/x-www-form-urlencoded"
EVENTS = "text/event-stream"
KEY_CHARS_MAX = 255
WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})

INTRODUCTION = """\
Food delivery, dispatched in real time: orders, deliveries, restaurants, couriers.

- **Sign in** by OAuth 2 or with an API key, and send `Authorization: Bearer ...` with each request.
- **Bodies** are JSON, or msgpack by `Content-Type`; answers are either, by `Accept`.
- **Retry** a POST or PATCH safely: send the same `Idempotency-Key` again within a day.
- **Problems** are `application/problem+json`; `code` is made for programs, `detail` for people.
- **Lists** are pages: pass `next_cursor` as `after` while `has_more` is true.
- **Money** is integer minor units, **time** RFC 3339 in UTC with milliseconds.
- **Live** events and positions come over the sockets: see `/docs/sockets`.
"""

ALWAYS = (
    Code.UNAUTHENTICATED,
    Code.NOT_ACCEPTABLE,
    Code.RATE_LIMITED,
    Code.FAILED,
    Code.UNAVAILABLE,
)
"""What any operation can answer: a token that is wrong is told so even where none is needed."""
WITH_BODY = (Code.MALFORMED, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA, Code.INVALID)
WITH_KEY = (Code.KEY_PENDING, Code.KEY_REUSED, Code.INVALID)

HEADERS: Mapping[str, Json] = {
    "X-Request-Id": {
        "description": "Names this request in our log; tell it when you ask for support.",
        "schema": {"type": "string"},
    },
    "RateLimit-Limit": {
        "description": "How many requests of this group may come at once.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Remaining": {
        "description": "How many of them are left now.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Reset": {
        "description": "Seconds until all of them are there again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "ETag": {
        "description": "Names the state that is shown, for If-Match and If-None-Match.",
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "Where what was made is found from now on, if it is found by itself.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "Present when this is the answer to the same request made before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
SUCCESS_HEADERS = ("X-Request-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

PARAMETERS: Mapping[str, Json] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A name of your making for this request: sent again within 24 hours, the"
        " same request is answered as it was the first time, and done once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the state that you mean to change; 412 when it is another now.",
        "schema": {"type": "string"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag that you have; 304 when it is still that.",
        "schema": {"type": "string"},
    },
}

SECURITY: Mapping[str, Json] = {
    "oauth2": {
        "type": "oauth2",
        "description": "Client credentials for programs, code with PKCE for people.",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/v1/oauth/token",
                "scopes": {scope.value: f"`{scope}`" for scope in Scope},
            },
            "authorizationCode": {
                "authorizationUrl": "/v1/oauth/authorize",
                "tokenUrl": "/v1/oauth/token",
                "refreshUrl": "/v1/oauth/token",
                "scopes": {scope.value: f"`{scope}`" for scope in Scope},
            },
        },
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token, signed with EdDSA; the keys are at `/v1/oauth/jwks`.",
    },
    "api_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that begins with `sk_test_` or `sk_live_`.",
    },
}


def openapi(nouns: Sequence[Endpoints]) -> Json:
    """Return the document of these endpoints."""
    endpoints = [one for noun in nouns for one in noun.declared]
    streams = [one for noun in nouns for one in noun.streams]
    told_by_event = [kind for one in streams for kind in one.events.values()]
    kinds = list(dict.fromkeys([ProblemDetails, *_kinds(endpoints), *told_by_event]))
    told, components = schemas(kinds)
    by_kind = dict(zip(kinds, told, strict=True))
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, by_kind, components)
        paths.setdefault(endpoint.path, {})[endpoint.verb.lower()] = operation
    for stream in streams:
        paths.setdefault(stream.path, {})["get"] = _streaming(stream, by_kind)
    queries = {one.query.__name__ for one in endpoints if one.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dispatch", "version": VERSION, "description": INTRODUCTION},
        "servers": [{"url": "/", "description": "The node that you ask."}],
        "tags": [{"name": noun.tag, "description": noun.told} for noun in nouns],
        "paths": paths,
        "components": {
            "schemas": _without(components, queries, paths),
            "headers": dict(HEADERS),
            "parameters": dict(PARAMETERS),
            "securitySchemes": dict(SECURITY),
        },
    }


def _kinds(endpoints: Iterable[Endpoint]) -> Iterator[type]:
    """Return every type that an endpoint takes or gives."""
    for endpoint in endpoints:
        yield from (
            kind
            for kind in (endpoint.body, endpoint.query, endpoint.returns, endpoint.refuses_with)
            if kind is not None
        )


def _without(components: Json, unused: Iterable[str], paths: Json) -> Json:
    """Return the components that are not there only for a query, whose fields are parameters."""
    written = repr(paths)
    return {
        name: one
        for name, one in components.items()
        if name not in unused or f"{SCHEMAS}{name}'" in written
    }


def _operation(endpoint: Endpoint, by_kind: Mapping[type, Json], components: Json) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": first_sentence(endpoint.told),
        "parameters": [*_parameters(endpoint, by_kind, components)],
        "responses": _responses(endpoint, by_kind),
        "security": _security(endpoint),
    }
    if told := rest(endpoint.told):
        operation["description"] = told
    if endpoint.body is not None:
        kinds = (FORM, JSON) if endpoint.takes_form else (JSON, MSGPACK)
        schema = by_kind[endpoint.body]
        content = {kind: {"schema": schema} for kind in kinds}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _streaming(stream: EventStream, by_kind: Mapping[type, Json]) -> Json:
    """Return the operation of a stream; what the data of each event is, OpenAPI has no word for."""
    refusals: dict[int, list[Code]] = {}
    for code in stream.codes:
        refusals.setdefault(STATUS[code], []).append(code)
    content: Json = {
        "schema": {"type": "string"},
        "x-events": {name: by_kind[kind] for name, kind in stream.events.items()},
    }
    told = f"Events: {', '.join(f'`{name}`' for name in stream.events)}, their data in JSON."
    success = {
        "description": told,
        "headers": _headers("X-Request-Id"),
        "content": {EVENTS: content},
    }
    return {
        "operationId": stream.name,
        "tags": [stream.tag],
        "summary": first_sentence(stream.told),
        "description": rest(stream.told),
        "parameters": [*_path_parameters(stream.path)],
        "responses": {"200": success}
        | {str(status): _refusal(status, named) for status, named in sorted(refusals.items())},
        "security": [],
    }


def _security(endpoint: Endpoint) -> list[Json]:
    if endpoint.scope is None:
        return []
    return [{name: [endpoint.scope.value]} for name in SECURITY]


def _parameters(
    endpoint: Endpoint, by_kind: Mapping[type, Json], components: Json
) -> Iterator[Json]:
    yield from _path_parameters(endpoint.path)
    if endpoint.query is not None:
        name = by_kind[endpoint.query]["$ref"].removeprefix(SCHEMAS)
        yield from _query_parameters(components[name])
    if endpoint.verb in {"POST", "PATCH"} and endpoint.keeps_answer:
        yield _ref("parameters", "IdempotencyKey")
    if Code.STALE_ETAG in endpoint.codes:
        yield _ref("parameters", "IfMatch")
    if endpoint.verb == "GET":
        yield _ref("parameters", "IfNoneMatch")


def _path_parameters(path: str) -> Iterator[Json]:
    for name in path_names(path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def path_names(path: str) -> list[str]:
    """Return the variables of a path."""
    return re.findall(r"\{(?:\w+:)?(\w+)\}", path)


def _query_parameters(query: Json) -> Iterator[Json]:
    """Return the fields of a query's Struct as parameters; there is no null in a query."""
    for name, schema in query["properties"].items():
        yield {
            "name": name,
            "in": "query",
            "required": name in query.get("required", ()),
            "schema": _without_null(schema),
        }


def _without_null(schema: Json) -> Json:
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    if schema.get("default") is not None:
        kept["default"] = schema["default"]
    match options:
        case []:
            return kept
        case [only]:
            return {**only, **kept}
        case _:
            return {**kept, "anyOf": options}


def codes(endpoint: Endpoint) -> tuple[Code, ...]:
    """Return every code that an endpoint can answer with, its own and what all have."""
    found = [*endpoint.codes, *ALWAYS]
    if endpoint.scope is not None:
        found.append(Code.FORBIDDEN)
    if path_names(endpoint.path):
        found.append(Code.NOT_FOUND)
    if endpoint.body is not None:
        found += WITH_BODY
    elif endpoint.verb in WRITES:
        found.append(Code.TOO_LARGE)
    if endpoint.query is not None:
        found.append(Code.INVALID)
    if endpoint.verb in {"POST", "PATCH"} and endpoint.keeps_answer:
        found += WITH_KEY
    return tuple(dict.fromkeys(found))


def _responses(endpoint: Endpoint, by_kind: Mapping[type, Json]) -> Json:
    status, success = _success(endpoint, by_kind)
    responses = {status: success}
    if endpoint.verb == "GET" and status == "200":
        responses["304"] = {
            "description": "It is still what your If-None-Match names.",
            "headers": _headers("X-Request-Id", "ETag"),
        }
    by_status: dict[int, list[Code]] = {}
    for code in codes(endpoint):
        by_status.setdefault(STATUS[code], []).append(code)
    for number, named in sorted(by_status.items()):
        responses[str(number)] = _refusal(number, named)
        if endpoint.refuses_with is not None:
            schema = {"schema": by_kind[endpoint.refuses_with]}
            responses[str(number)]["content"] |= dict.fromkeys((JSON, MSGPACK), schema)
    return responses


def _success(endpoint: Endpoint, by_kind: Mapping[type, Json]) -> tuple[str, Json]:
    is_empty = endpoint.returns is None
    status = 204 if is_empty and endpoint.status == HTTPStatus.OK else endpoint.status
    names = SUCCESS_HEADERS
    if endpoint.verb != "DELETE":
        names += ("ETag",)
    if status == HTTPStatus.CREATED:
        names += ("Location",)
    if endpoint.verb in {"POST", "PATCH"} and endpoint.keeps_answer:
        names += ("Idempotent-Replayed",)
    success: Json = {"description": HTTPStatus(status).phrase, "headers": _headers(*names)}
    if endpoint.returns is not None:
        schema = by_kind[endpoint.returns]
        success["content"] = {kind: {"schema": schema} for kind in (JSON, MSGPACK)}
    return str(status), success


def _refusal(status: int, named: Sequence[Code]) -> Json:
    names = ["X-Request-Id"]
    if status in {429, 503}:
        names.append("Retry-After")
    return {
        "description": f"{TITLE[status]}: {', '.join(f'`{code}`' for code in named)}.",
        "headers": _headers(*names),
        "content": {PROBLEM_TYPE: {"schema": {"$ref": f"{SCHEMAS}{ProblemDetails.__name__}"}}},
    }


def _headers(*names: str) -> Json:
    return {name: _ref("headers", name) for name in names}


def _ref(section: str, name: str) -> Json:
    return {"$ref": f"#/components/{section}/{name}"}
