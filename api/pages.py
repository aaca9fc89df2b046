"""The documents for people: `/docs` and `/docs/sockets`, rendered from OpenAPI and AsyncAPI.

They are whole pages, written once by the server: no script, nothing from elsewhere, and readable on
a phone. What they show is read from the documents alone, so they show what programs are told too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from api.markup import Content, Markup, element, joined, page, prose, words
from api.schemas import Json, resolved, rest, spelled

STYLE = "/docs/style.css"
DEPTH_MAX = 6
"""How deep an example goes; schemas may refer to themselves."""


def http_page(document: Json) -> str:
    """Return the page of the HTTP API."""
    found = document["components"]["schemas"]
    by_tag: dict[str, list[Markup]] = {one["name"]: [] for one in document["tags"]}
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            shown = _operation(verb.upper(), path, operation, document["components"])
            by_tag[operation["tags"][0]].append(shown)
    sections = [
        _section(_anchor(one["name"]), one["name"], prose(one["description"]), *by_tag[one["name"]])
        for one in document["tags"]
        if by_tag[one["name"]]
    ]
    links = [one["name"] for one in document["tags"] if by_tag[one["name"]]]
    return _page("HTTP", document["info"], links, *sections, _schemas(found))


def sockets_page(document: Json) -> str:
    """Return the page of the sockets."""
    found = document["components"]["schemas"]
    sections = [_channel(name, document) for name in document["channels"]]
    messages = [_message(one, found) for one in document["components"]["messages"].values()]
    closes = [
        element("tr", element("td", element("code", code)), element("td", words(sentence)))
        for code, sentence in sorted(document["x-close-codes"].items())
    ]
    return _page(
        "Sockets",
        document["info"],
        [*(f"/v1/{name}" for name in document["channels"]), "Frames", "Close codes"],
        *sections,
        _section("frames", "Frames", *messages),
        _section("close-codes", "Close codes", _table(("code", "meaning"), closes)),
        _schemas(found),
    )


def _page(kind: str, told: Json, links: Sequence[str], *sections: Markup) -> str:
    others = {"HTTP": "/docs", "Sockets": "/docs/sockets"}
    tabs = [
        element("a", name, href=href, class_="here" if name == kind else "tab")
        for name, href in others.items()
    ]
    places = [element("a", name, href=f"#{_anchor(name)}") for name in (*links, "Schemas")]
    raw = "/v1/openapi.json" if kind == "HTTP" else "/v1/asyncapi.json"
    nav = element(
        "nav",
        element("a", "Dispatch", href="/", class_="brand"),
        element("div", *tabs, class_="tabs"),
        element("div", *places, class_="places"),
        element("a", raw.rpartition("/")[2], href=raw, class_="raw"),
    )
    opening = element(
        "header", element("h1", told["title"]), prose(told["description"]), class_="opening"
    )
    main = element("main", opening, *sections)
    return page(f"Dispatch: {kind}", STYLE, nav, main)


def _section(anchor: str, title: str, *inside: Content) -> Markup:
    return element("section", element("h2", title), *inside, id=anchor)


def _operation(verb: str, path: str, operation: Json, components: Json) -> Markup:
    summary = element(
        "summary",
        element("span", verb, class_=f"verb {verb.lower()}"),
        element("code", *_path(path), class_="path"),
        element("span", words(operation["summary"]), class_="told"),
    )
    scopes = [scope for one in operation["security"][:1] for scope in next(iter(one.values()))]
    needs = [element("code", scope) for scope in scopes] or ["nothing: open to everybody"]
    inside = element(
        "div",
        prose(operation["description"]) if "description" in operation else None,
        element("p", element("strong", "Needs "), *needs, class_="needs"),
        _parameters(operation["parameters"], components),
        _body(verb, path, operation, components["schemas"]),
        _responses(operation["responses"], components["schemas"]),
        class_="inside",
    )
    return element("details", summary, inside, id=operation["operationId"])


def _path(path: str) -> Iterator[Content]:
    """Return a path that can break where a narrow screen needs it to."""
    for part in path.split("/")[1:]:
        yield joined(Markup("<wbr>"), f"/{part}")


def _parameters(parameters: Sequence[Json], components: Json) -> Markup | None:
    told = [_referred(one, components["parameters"]) for one in parameters]
    rows = [
        element(
            "tr",
            element("td", element("code", one["name"]), _required(one.get("required", False))),
            element("td", one["in"]),
            element("td", _kind(one["schema"]), _note(one)),
        )
        for one in told
    ]
    return (
        joined(element("h4", "Parameters"), _table(("name", "in", "what"), rows)) if rows else None
    )


def _referred(parameter: Json, components: Json) -> Json:
    return components[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter


def _note(told: Json) -> Content:
    return joined(element("br"), words(told["description"])) if "description" in told else None


def _body(verb: str, path: str, operation: Json, found: Json) -> Markup | None:
    if "requestBody" not in operation:
        return None
    content = operation["requestBody"]["content"]
    schema = next(iter(content.values()))["schema"]
    written = msgspec.json.encode(sample(schema, found)).decode()
    lines = [
        f"curl -X {verb} $DISPATCH{path.replace('{', '$').replace('}', '')}",
        "-H 'Content-Type: application/json'",
        f"-d '{written}'",
    ]
    if operation["security"]:
        lines.insert(1, '-H "Authorization: Bearer $TOKEN"')
    return joined(
        element("h4", "Body"),
        element("p", ", ".join(content), class_="kinds"),
        _fields(resolved(schema, found)),
        element("pre", " \\\n  ".join(lines)),
    )


def _responses(responses: Mapping[str, Json], found: Json) -> Markup:
    rows = [
        element(
            "tr",
            element("td", element("span", status, class_=f"status s{status[0]}")),
            element("td", words(told["description"]), _answer(told, found)),
        )
        for status, told in responses.items()
    ]
    return joined(element("h4", "Answers"), _table(("status", "what"), rows))


def _answer(told: Json, found: Json) -> Content:
    """Return what a success shows; problems are all alike."""
    stream = told.get("content", {}).get("text/event-stream", {})
    if "x-events" in stream:
        return joined(*[_event(name, one, found) for name, one in stream["x-events"].items()])
    schema = told.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return None
    return joined(" ", _kind(schema), _fields(resolved(schema, found)))


def _event(name: str, schema: Json, found: Json) -> Markup:
    return joined(
        element("p", element("code", name), " ", _kind(schema)), _fields(resolved(schema, found))
    )


def _channel(name: str, document: Json) -> Markup:
    channel = document["channels"][name]
    sent = [_frames(document["operations"][f"{name}_{what}"]) for what in ("receives", "sends")]
    return _section(
        _anchor(f"/v1/{name}"),
        channel["address"],
        element("p", channel["description"]),
        element("p", element("strong", "You send "), *sent[0]),
        element("p", element("strong", "You get "), *sent[1]),
    )


def _frames(operation: Json) -> list[Markup]:
    names = [one["$ref"].rpartition("/")[2] for one in operation["messages"]]
    links = [element("a", element("code", name), href=f"#frame-{name}") for name in names]
    return [joined(link, " ") for link in links]


def _message(message: Json, found: Json) -> Markup:
    schema = resolved(message["payload"], found)
    summary = element(
        "summary",
        element("code", message["name"], class_="path"),
        element("span", words(message["summary"]), class_="told"),
    )
    example = msgspec.json.encode(sample(message["payload"], found)).decode()
    inside = element(
        "div",
        prose(rest(schema["description"])),
        _fields(schema),
        element("pre", example),
        class_="inside",
    )
    return element("details", summary, inside, id=f"frame-{message['name']}")


def _schemas(found: Json) -> Markup:
    parts = [
        element(
            "details",
            element("summary", element("code", name, class_="path")),
            element(
                "div",
                prose(schema["description"]) if "description" in schema else None,
                _fields(schema) or element("p", _kind(schema)),
                class_="inside",
            ),
            id=f"schema-{name}",
        )
        for name, schema in found.items()
    ]
    return _section("schemas", "Schemas", *parts)


def _fields(schema: Json) -> Markup | None:
    required = schema.get("required", ())
    rows = [
        element(
            "tr",
            element("td", element("code", name), _required(name in required)),
            element("td", _kind(one), _note(one)),
        )
        for name, one in schema.get("properties", {}).items()
    ]
    return _table(("field", "what"), rows) if rows else None


def _kind(schema: Json) -> Markup:
    """Return what a schema asks for, with a link to each part that it refers to."""
    told = words(spelled(schema, lambda name: f"<{name}>"))
    return Markup(re.sub(r"&lt;([\w.-]+)&gt;", r'<a href="#schema-\1">\1</a>', told))


def _required(is_required: bool) -> Content:  # noqa: FBT001 - what a table says of a field.
    return element("span", "required", class_="required") if is_required else None


def _table(heads: Sequence[str], rows: Sequence[Markup]) -> Markup:
    head = element("tr", *(element("th", one) for one in heads))
    table = element("table", element("thead", head), element("tbody", *rows))
    return element("div", table, class_="wide")


def _anchor(title: str) -> str:
    return title.lower().strip("/").replace(" ", "-").replace("/", "-")


def sample(schema: Json, found: Json, depth: int = 0) -> object:
    """Return an example of what a schema describes."""
    told = resolved(schema, found)
    if depth > DEPTH_MAX:
        return None
    for key in ("examples", "enum", "default"):
        if told.get(key) is not None and key in told:
            return told[key] if key == "default" else told[key][0]
    if "anyOf" in told:
        return sample(told["anyOf"][0], found, depth + 1)
    match told.get("type"):
        case "object":
            required = told.get("required", ())
            return {
                name: sample(one, found, depth + 1)
                for name, one in told.get("properties", {}).items()
                if name in required
            }
        case "array":
            items = told.get("prefixItems") or [told.get("items", {})]
            return [sample(one, found, depth + 1) for one in items]
        case "integer" | "number":
            return max(told.get("minimum", 1), 1)
        case "string":
            return "..."
        case "boolean":
            return True
        case _:
            return {}
