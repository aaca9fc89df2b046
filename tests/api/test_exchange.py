"""A request on its way to an endpoint and back: who may, what is read, and what is said once."""

from typing import Annotated

from msgspec import Meta, Struct

from api.endpoint import Call, Endpoints
from api.ports import Unavailable
from api.replies import Declined, Reply
from dispatch.step import Code
from services.accounts.principal import Role, Scope
from tests.api.stage import on_stage

things = Endpoints("Things", "Whatever a test needs.")


class NewThing(Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=8)]


class Thing(Struct, frozen=True, kw_only=True):
    thing_id: str
    name: str


class Wanted(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 50


@things.post("/v1/things", scope=Scope.ORDERS_WRITE, status=201)
async def make_thing(call: Call[NewThing]) -> Reply[Thing]:
    """Make a thing."""
    thing_id = call.new_id("thg")
    return Reply(
        value=Thing(thing_id=thing_id, name=call.body.name),
        etag=f'"{call.body.name}"',
        headers={"Location": f"/v1/things/{thing_id}"},
    )


@things.get("/v1/things/{thing_id}")
async def show_thing(call: Call[None, Wanted]) -> Reply[Thing]:
    """Show a thing."""
    return Reply(value=Thing(thing_id=call.path["thing_id"], name=str(call.query.limit)))


async def test_a_key_sent_twice_makes_one_thing(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [things]) as stage:
        who = stage.signed_in("usr_1", Role.CUSTOMER) | {"Idempotency-Key": "k-1"}
        first = await stage.asked("POST", "/v1/things", who, {"name": "soup"})
        again = await stage.asked("POST", "/v1/things", who, {"name": "soup"})
        other = await stage.asked("POST", "/v1/things", who, {"name": "stew"})

    assert (first[0], again[0], other[0]) == (201, 201, 422)
    assert first[1] == again[1]
    assert first[2]["Location"] == f"/v1/things/{first[1]['thing_id']}"
    assert [again[2][name] for name in ("Location", "ETag")] == [first[2]["Location"], '"soup"']
    assert again[2]["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first[2]
    assert other[1]["code"] == "key-reused"


async def test_a_refusal_of_what_may_have_been_done_before_leaves_its_ids_as_they_were(
    database: str, redis_url: str
) -> None:
    made: list[str] = []
    fates: list[Exception | None] = [Unavailable("no answer"), Declined(Code.INVALID, "no"), None]
    fickle = Endpoints("Fickle", "What ends differently each time.")

    @fickle.post("/v1/fickle", status=201)
    async def make_it(call: Call[NewThing]) -> Reply[Thing]:
        """Make a thing, or not."""
        made.append(call.new_id("thg"))
        if (fate := fates[len(made) - 1]) is not None:
            raise fate
        return Reply(value=Thing(thing_id=made[-1], name=call.body.name))

    async with on_stage(database, redis_url, [fickle]) as stage:
        who = stage.signed_in("usr_1", Role.CUSTOMER) | {"Idempotency-Key": "k-1"}
        statuses = [
            (await stage.asked("POST", "/v1/fickle", who, {"name": "soup"}))[0] for _ in fates
        ]

    assert statuses == [503, 422, 201]
    assert len(set(made)) == 1


async def test_what_is_wrong_with_a_body_is_pointed_at(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [things]) as stage:
        who = stage.signed_in("usr_1", Role.CUSTOMER)
        status, told, headers = await stage.asked("POST", "/v1/things", who, {"name": ""})

    assert status == 422
    assert headers["Content-Type"] == "application/problem+json"
    assert told["errors"][0]["pointer"] == "/name"


async def test_a_thing_that_is_known_already_is_not_sent_again(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [things]) as stage:
        first = await stage.asked("GET", "/v1/things/thg_1?limit=7")
        known = {"If-None-Match": first[2]["ETag"]}
        again = await stage.asked("GET", "/v1/things/thg_1?limit=7", known)
        wrong = await stage.asked("GET", "/v1/things/thg_1?limit=0")

    assert first[:2] == (200, {"thing_id": "thg_1", "name": "7"})
    assert again[:2] == (304, None)
    assert wrong[0] == 422


async def test_without_a_token_or_its_scope_nothing_is_made(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [things]) as stage:
        narrow = stage.signed_in("usr_1", Role.CUSTOMER, scopes=frozenset[Scope]())
        nobody = await stage.asked("POST", "/v1/things", None, {"name": "soup"})
        wrong = await stage.asked("POST", "/v1/things", {"Authorization": "Bearer no"}, {})
        somebody = await stage.asked("POST", "/v1/things", narrow, {"name": "soup"})
        nowhere = await stage.asked("GET", "/v1/nothing")

    assert [one[0] for one in (nobody, wrong, somebody, nowhere)] == [401, 401, 403, 404]
    assert nowhere[1]["code"] == "not-found"
