"""The log of requests: a line for each, with what happened and nothing of what was said."""

import io
from dataclasses import replace
from typing import Any

import msgspec
import trio

from api.app import application
from api.endpoint import Call, Endpoints
from api.log import GONE, RequestLog
from api.ports import Unavailable
from api.replies import Reply
from services.accounts.principal import Role
from tests.api.stage import Stage, on_stage

SECRET = "sk_live_secret"  # noqa: S105 - the word that must not be found.

kettles = Endpoints("Kettles", "Something that goes wrong in every way.")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    word: str


@kettles.post("/v1/kettles/{kettle_id}")
async def boil(call: Call[Said]) -> Reply[str]:
    """Boil, or break, as the body says."""
    match call.body.word:
        case "break":
            raise ZeroDivisionError(SECRET)
        case "away":
            raise Unavailable(SECRET)
        case "slow":
            await trio.sleep_forever()
        case _:
            pass
    return Reply(value=call.body.word)


async def told(stage: Stage, *asked: tuple[str, str, object]) -> list[dict[str, Any]]:
    """The lines of these requests, sent to an application that writes them to memory."""
    lines = io.StringIO()
    log = RequestLog(lines)
    client = application(stage.edge, [kettles], log).test_client()
    watched = replace(stage, client=client)
    who = stage.signed_in("usr_1", Role.CUSTOMER)
    for verb, path, body in asked:
        await watched.asked(verb, path, who, body)
    assert log.statistics().requests == len(asked)
    return [msgspec.json.decode(line) for line in lines.getvalue().splitlines()]


async def test_a_request_has_one_line_that_says_what_became_of_it(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [kettles]) as stage:
        (line,) = await told(stage, ("POST", f"/v1/kettles/ket_1?q={SECRET}", {"word": "tea"}))

    assert {key: value for key, value in line.items() if key not in {"at", "ms", "request_id"}} == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "route": "/v1/kettles/<kettle_id>",
        "status": 200,
        "node": "node-test",
        "subject": "usr_1",
        "tenant_id": "tnt_one",
    }
    assert line["request_id"].startswith("req_")
    assert 0 < line["ms"] < 5_000


async def test_a_fault_of_ours_has_its_traceback_but_not_its_words(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [kettles]) as stage:
        broken, away = await told(
            stage,
            ("POST", "/v1/kettles/ket_1", {"word": "break"}),
            ("POST", "/v1/kettles/ket_1", {"word": "away"}),
        )

    assert (broken["status"], broken["code"], broken["level"]) == (500, "failed", "error")
    assert broken["fault"].startswith("ZeroDivisionError\n")
    assert broken["fault"].endswith(" boil")
    assert (away["status"], away["code"]) == (503, "unavailable")
    assert SECRET not in msgspec.json.encode([broken, away]).decode()


async def test_what_is_refused_or_not_there_has_a_line_too(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [kettles]) as stage:
        invalid, nowhere, never = await told(
            stage,
            ("POST", "/v1/kettles/ket_1", {"word": 7}),
            ("GET", f"/v1/{SECRET}", {}),
            ("PUT", "/v1/kettles/ket_1", {}),
        )

    assert (invalid["status"], invalid["code"]) == (422, "invalid")
    assert (nowhere["status"], nowhere["code"], nowhere["route"]) == (404, "not-found", "")
    assert (never["status"], never["code"]) == (405, "method-not-allowed")


async def test_a_request_that_nobody_waited_for_is_counted_as_gone(
    database: str, redis_url: str
) -> None:
    lines = io.StringIO()
    log = RequestLog(lines)

    async with on_stage(database, redis_url, [kettles]) as stage:
        client = application(stage.edge, [kettles], log).test_client()
        with trio.move_on_after(0.1):
            await client.post("/v1/kettles/ket_1", json={"word": "slow"})

    line = msgspec.json.decode(lines.getvalue())
    assert line["status"] == GONE
    assert log.statistics().gone == 1
    assert log.statistics().refused == log.statistics().failed == 0
