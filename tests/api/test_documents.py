"""The documents: valid, complete, true to the endpoints, and harmless to read in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.asyncapi import CHANNELS, CLOSES, EVENTS, asyncapi, frames
from api.connect import connect
from api.endpoint import Call, Endpoints
from api.health import health
from api.machines import machines
from api.openapi import openapi
from api.pages import http_page, sockets_page
from api.replies import Page, Reply
from api.schemas import Json, tag
from api.tracking import tracking
from api.wire_page import page
from dispatch.step import Code
from services.accounts.principal import Scope
from tests.api.stage import on_stage
from wire.frames import CloseCode

PAGE = Path(__file__).parents[2] / "docs" / "wire.md"
REWRITE = "python -c 'from api.wire_page import page; print(page(), end=\"\")' > docs/wire.md"

soups = Endpoints("Soups", "What is <in> the `pot`.")


class NewSoup(Struct, frozen=True, kw_only=True):
    """A soup <to be>."""

    name: Annotated[str, Meta(min_length=1, max_length=8)]
    salt: Annotated[int, Meta(ge=0)] | None = None


class Soup(Struct, frozen=True, kw_only=True):
    """A soup."""

    soup_id: str
    name: str


class Wanted(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    name: str | None = None


@soups.post("/v1/soups", scope=Scope.ORDERS_WRITE, status=201, codes=(Code.SOLD_OUT,))
async def cook(call: Call[NewSoup]) -> Reply[Soup]:
    """Cook a `soup` <script>alert(1)</script>.

    It takes a **while**.
    """
    return Reply(value=Soup(soup_id="sop_1", name=call.body.name))


@soups.get("/v1/soups")
async def list_soups(call: Call[None, Wanted]) -> Reply[Page[Soup]]:
    """List the soups."""
    del call
    return Reply(value=Page(items=(), has_more=False))


@soups.delete("/v1/soups/{soup_id}", scope=Scope.ORDERS_WRITE)
async def pour_away(call: Call) -> Reply[None]:
    """Pour a soup away."""
    del call
    return Reply(value=None)


NOUNS = (soups, health, connect, machines)


def refs(part: object) -> Iterator[str]:
    """Every place that a document points at."""
    if isinstance(part, dict):
        for key, value in part.items():  # pyright: ignore[reportUnknownVariableType]
            if key == "$ref":
                yield str(value)  # pyright: ignore[reportUnknownArgumentType]
            else:
                yield from refs(value)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(part, list):
        for value in part:  # pyright: ignore[reportUnknownVariableType]
            yield from refs(value)  # pyright: ignore[reportUnknownArgumentType]


def lost(document: Json) -> list[str]:
    """The places that a document points at and does not have."""
    return [ref for ref in set(refs(document)) if not _leads_somewhere(document, ref)]


def _leads_somewhere(document: Json, ref: str) -> bool:
    part = document
    for step in ref.removeprefix("#/").split("/"):
        if step not in part:
            return False
        part = part[step]
    return True


def test_the_http_document_is_valid_and_points_at_nothing_that_is_not_there() -> None:
    document = openapi(NOUNS)

    OpenAPIV31SpecValidator(document).validate()
    assert lost(document) == []


def test_an_operation_names_every_status_that_it_can_answer() -> None:
    cooked = openapi(NOUNS)["paths"]["/v1/soups"]["post"]
    listed = openapi(NOUNS)["paths"]["/v1/soups"]["get"]
    poured = openapi(NOUNS)["paths"]["/v1/soups/{soup_id}"]["delete"]

    assert sorted(cooked["responses"]) == [
        *("201", "400", "401", "403", "406", "409", "413", "415", "422", "429", "500", "503")
    ]
    assert sorted(listed["responses"]) == ["200", "304", "401", "406", "422", "429", "500", "503"]
    assert set(poured["responses"]) >= {"204", "403", "404"}
    assert "`sold-out`" in cooked["responses"]["409"]["description"]


def test_an_operation_says_what_it_takes_and_whose_leave_it_needs() -> None:
    document = openapi(NOUNS)
    cooked = document["paths"]["/v1/soups"]["post"]
    listed = document["paths"]["/v1/soups"]["get"]

    assert set(cooked["requestBody"]["content"]) == {"application/json", "application/msgpack"}
    assert cooked["security"][0] == {"oauth2": ["orders:write"]}
    assert cooked["parameters"] == [{"$ref": "#/components/parameters/IdempotencyKey"}]
    assert listed["parameters"][:2] == [
        {
            "name": "limit",
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
        },
        {"name": "name", "in": "query", "required": False, "schema": {"type": "string"}},
    ]
    assert "Wanted" not in document["components"]["schemas"]


def test_a_stream_of_events_says_what_each_event_holds() -> None:
    document = openapi([tracking])
    told = document["paths"]["/v1/track/{token}"]["get"]
    content = told["responses"]["200"]["content"]["text/event-stream"]

    OpenAPIV31SpecValidator(document).validate()
    assert lost(document) == []
    assert content["x-events"] == {
        "status": {"$ref": "#/components/schemas/TrackView"},
        "position": {"$ref": "#/components/schemas/PositionView"},
    }
    assert sorted(told["responses"]) == ["200", "404", "429", "500", "503"]
    assert [one["name"] for one in told["parameters"]] == ["token"]
    assert "speed_mps" in http_page(document)


def test_the_sockets_document_has_every_frame_event_and_close_code() -> None:
    document = asyncapi()

    assert lost(document) == []
    assert set(document["components"]["messages"]) == {tag(kind) for kind in frames()}
    assert {kind.__name__ for kind in EVENTS} <= set(document["components"]["schemas"])
    assert set(CLOSES) == set(CloseCode)
    for channel in CHANNELS:
        told = document["operations"][f"{channel.name}_receives"]["messages"]
        assert [ref.rpartition("/")[2] for ref in refs(told)] == [tag(one) for one in channel.takes]


def test_the_page_of_the_wire_is_the_one_that_the_frames_give() -> None:
    assert PAGE.read_text() == page(), f"write it anew: {REWRITE}"


def test_nothing_in_a_page_can_run_or_be_fetched_from_elsewhere() -> None:
    pages = http_page(openapi(NOUNS)), sockets_page(asyncapi())

    for shown in pages:
        assert "<script" not in shown
        assert not re.search(r" (?:src|on\w+|style)=", shown)
        assert re.findall(r'href="(?!#)([^"]*)"', shown) == [
            *("/docs/style.css", "/", "/docs", "/docs/sockets"),
            "/v1/openapi.json" if shown == pages[0] else "/v1/asyncapi.json",
        ]
    assert "Cook a <code>soup</code> &lt;script&gt;alert(1)&lt;/script&gt;." in pages[0]


def test_every_link_inside_a_page_leads_to_a_place_in_it() -> None:
    for shown in (http_page(openapi(NOUNS)), sockets_page(asyncapi())):
        wanted = set(re.findall(r'href="#([^"]*)"', shown))

        assert wanted - set(re.findall(r' id="([^"]*)"', shown)) == set()


async def test_the_documents_are_served_and_not_sent_twice(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, NOUNS) as stage:
        told = await stage.asked("GET", "/v1/openapi.json")
        live = await stage.asked("GET", "/v1/asyncapi.json")
        shown = await stage.client.get("/docs")
        known = {"If-None-Match": shown.headers["ETag"]}
        again = await stage.client.get("/docs", headers=known)
        sockets = await stage.client.get("/docs/sockets")
        style = await stage.client.get("/docs/style.css")

    assert told[1] == openapi(NOUNS)
    assert live[1] == asyncapi()
    assert (await shown.get_data(as_text=True)).startswith("<!doctype html>")
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert again.status_code == 304
    assert (sockets.status_code, style.mimetype) == (200, "text/css")
