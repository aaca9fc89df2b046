"""The OWASP API Security Top 10 of 2023, one test for each, on everything that is served.

Two tenants live side by side, the otters and the badgers; both have a restaurant, people of every
role, and an order. What one of them tries on the other, or on his own house beyond his role, must
come to nothing, and must look as if there were nothing.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import fields

from api.app import BODY_BYTES_MAX
from api.endpoint import Endpoint
from api.exchange import JSON
from api.limits import LocalLimits, Rate
from api.nouns import NOUNS
from api.openapi import openapi, path_names
from api.orders import orders
from api.pages import sample
from api.times import rfc3339
from dispatch.ids import after
from node.clock import steady_s, wall
from services.accounts.principal import Role
from tests.api.everything import PLENTY, Everything, House, everything
from tests.api.ordering import HOME, ORDER
from tests.api.stage import MARKET
from tests.api.tenants import bearer

ENDPOINTS = [endpoint for noun in NOUNS for endpoint in noun.declared]
PUBLIC_NAMES = {"name", "market_id"}
"""Variables of paths that name what everybody may see: a machine, a market."""
DENIED = {401, 403, 404}
INTERNAL = re.compile(r"traceback|asyncpg|postgres|valkey|redis|\.py\b", re.IGNORECASE)


def path_to(endpoint: Endpoint, house: House) -> str:
    """The path of an endpoint to what a house has."""
    names = {
        "order_id": house.order_id,
        "delivery_id": house.order_id.replace("ord_", "del_"),
        "restaurant_id": house.restaurant_id,
        "courier_id": house.courier_id,
        "user_id": house.customer_id,
        "market_id": MARKET,
        "name": "order",
    }
    return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "x"), endpoint.path)


DOCUMENT = openapi(NOUNS)


def body_of(endpoint: Endpoint) -> object:
    """A body that an endpoint can read, made of its schema."""
    told = DOCUMENT["paths"][endpoint.path][endpoint.verb.lower()].get("requestBody")
    if told is None:
        return None
    schema = next(iter(told["content"].values()))["schema"]
    body = sample(schema, DOCUMENT["components"]["schemas"])
    if isinstance(body, dict) and "ready_at" in body:
        body["ready_at"] = rfc3339(after(wall(), 600.0))
    return body  # pyright: ignore[reportUnknownVariableType] - JSON of any kind.


async def status_of(
    whole: Everything, who: Mapping[str, str] | None, endpoint: Endpoint, house: House
) -> int:
    """What somebody gets who tries an endpoint on a house."""
    path = path_to(endpoint, house)
    return (await whole.asked(who, endpoint.verb, path, body_of(endpoint)))[0]


async def test_api1_what_is_not_ones_own_is_not_there_whatever_is_tried_on_it(
    database: str, redis_url: str
) -> None:
    reached: list[tuple[str, str, int]] = []

    async with everything(database, redis_url) as whole:
        named = [one for one in ENDPOINTS if set(path_names(one.path)) - PUBLIC_NAMES]
        for endpoint in named:
            for role in (Role.CUSTOMER, Role.RESTAURANT, Role.COURIER, Role.INTEGRATOR):
                who = whole.badgers.people[role]
                status = await status_of(whole, who, endpoint, whole.otters)
                if status not in DENIED:
                    reached.append((endpoint.name, role, status))
        own = await whole.asked(
            whole.otters.people[Role.CUSTOMER], "GET", f"/v1/orders/{whole.otters.order_id}"
        )
        nobodys = await whole.asked(
            whole.badgers.people[Role.INTEGRATOR], "GET", f"/v1/orders/{whole.otters.order_id}"
        )
        nothing = await whole.asked(
            whole.badgers.people[Role.INTEGRATOR], "GET", "/v1/orders/ord_there_is_none"
        )

    assert named
    assert reached == []
    assert own[0] == 200
    unlike = {"instance", "request_id"}
    assert {key: value for key, value in nobodys[1].items() if key not in unlike} == {
        key: value for key, value in nothing[1].items() if key not in unlike
    }


async def test_api2_who_guesses_or_bends_a_token_is_nobody_and_soon_not_heard(
    database: str, redis_url: str
) -> None:
    limits = LocalLimits(steady_s, dict(PLENTY) | {"wrong-token": Rate(20, 0.001)})

    async with everything(database, redis_url, limits) as whole:
        token = whole.otters.people[Role.ADMIN]["Authorization"].removeprefix("Bearer ")
        head, claims, signature = token.split(".")
        bent = [
            "",
            "null",
            head,
            f"{head}.{claims}.",
            f"{head}.{claims}.{signature[::-1]}",
            f"eyJhbGciOiJub25lIn0.{claims}.",
            "sk_live_0000000000000000000000000000",
            "x" * 8000,
        ]
        path = "/v1/accounts/me"
        told = [(await whole.asked(bearer(one), "GET", path))[0] for one in bent]
        basic = await whole.asked({"Authorization": f"Basic {token}"}, "GET", path)
        good = await whole.asked(bearer(token), "GET", path)
        flood = [(await whole.asked(bearer(f"guess-{n}"), "GET", path))[0] for n in range(20)]

    assert told == [401] * len(bent)
    assert (basic[0], good[0]) == (401, 200)
    assert flood[-1] == 429


async def test_api3_nobody_reads_or_writes_a_field_that_is_not_his_to(
    database: str, redis_url: str
) -> None:
    async with everything(database, redis_url) as whole:
        house = whole.otters
        customer = house.people[Role.CUSTOMER]
        greedy = dict(ORDER) | {
            "restaurant_id": house.restaurant_id,
            "customer_id": "usr_somebody_else",
            "tenant_id": whole.badgers.tenant_id,
            "total_minor": 1,
            "status": "completed",
        }
        placed = await whole.asked(customer, "POST", "/v1/orders", greedy)
        promoted = await whole.asked(
            customer, "PATCH", "/v1/accounts/me", {"role": "admin", "tenant_id": "tnt_x"}
        )
        me = await whole.asked(customer, "GET", "/v1/accounts/me")
        shown = await whole.asked(customer, "GET", f"/v1/restaurants/{house.restaurant_id}")

    if placed[0] == 201:
        assert placed[1]["status"] != "completed"
        assert placed[1].get("customer_id", house.customer_id) == house.customer_id
    else:
        assert placed[0] == 422
    assert promoted[0] in {200, 422}
    assert me[1]["role"] == "customer"
    assert not {"password", "secret", "otp_secret", "hash"} & set(me[1])
    assert not {"capacity_max", "auto_accepts", "version"} & set(shown[1])


async def test_api4_what_anybody_can_ask_for_has_a_bound(database: str, redis_url: str) -> None:
    limits = LocalLimits(steady_s, dict(PLENTY) | {"read": Rate(5, 0.001)})

    async with everything(database, redis_url, limits) as whole:
        who = whole.otters.people[Role.CUSTOMER]
        page = await whole.asked(who, "GET", "/v1/orders?limit=1000000")
        body = {"name": "x" * (BODY_BYTES_MAX + 1)}
        large = await whole.asked(who, "POST", "/v1/orders", body)
        told = [(await whole.asked(who, "GET", "/v1/orders?limit=1"))[0] for _ in range(6)]
        another = await whole.asked(whole.badgers.people[Role.CUSTOMER], "GET", "/v1/orders")

    limited = [one for one in ENDPOINTS if one.query and "limit" in names_of(one.query)]
    assert (page[0], large[0]) == (422, 413)
    assert told[-1] == 429
    assert another[0] == 200
    assert len(limited) >= 5


def names_of(query: type) -> set[str]:
    """The parameters of a query."""
    return {field.encode_name for field in fields(query)}


async def test_api5_what_needs_a_scope_is_closed_to_who_has_not_got_it(
    database: str, redis_url: str
) -> None:
    open_to_nobody: list[tuple[str, int]] = []
    beyond: list[tuple[str, str, int]] = []

    async with everything(database, redis_url) as whole:
        scoped = [one for one in ENDPOINTS if one.scope is not None]
        for endpoint in scoped:
            status = await status_of(whole, None, endpoint, whole.otters)
            if status != 401:
                open_to_nobody.append((endpoint.name, status))
            for role in (Role.CUSTOMER, Role.COURIER, Role.RESTAURANT):
                if endpoint.scope == "tenant:admin":
                    who = whole.otters.people[role]
                    status = await status_of(whole, who, endpoint, whole.otters)
                    if status != 403:
                        beyond.append((endpoint.name, role, status))

    assert len(scoped) > 40
    assert open_to_nobody == []
    assert beyond == []


async def test_api6_one_who_orders_again_and_again_is_slowed_down(
    database: str, redis_url: str
) -> None:
    limits = LocalLimits(steady_s, dict(PLENTY) | {"write": Rate(8, 0.001)})

    async with everything(database, redis_url, limits) as whole:
        who = whole.otters.people[Role.CUSTOMER]
        body = dict(ORDER) | {"restaurant_id": whole.otters.restaurant_id}
        told = [(await whole.asked(who, "POST", "/v1/orders", body))[0] for _ in range(8)]
        mine = await whole.asked(who, "GET", "/v1/orders?limit=50")
        once = {**who, "Idempotency-Key": "again"}
        again = [(await whole.asked(once, "POST", "/v1/orders", body))[0] for _ in range(2)]

    assert told == [201] * 7 + [429]  # The first was ordered when the house was made.
    assert len(mine[1]["data"]) == 8
    assert again == [429, 429]


async def test_api7_no_request_names_an_address_that_we_would_ask(
    database: str, redis_url: str
) -> None:
    asking = re.compile(r"(^|_)(url|uri|callback|webhook|host|endpoint)(_|$)")
    bodies = {one.body for one in ENDPOINTS if one.body is not None}

    named = {
        f"{body.__name__}.{name}"
        for body in bodies
        for name in names_of(body)
        if asking.search(name)
    }

    async with everything(database, redis_url) as whole:
        mine = {"Host": "169.254.169.254", "X-Forwarded-Host": "169.254.169.254"}
        told = await whole.asked(mine, "GET", "/v1/connect")

    # Where a browser is sent back to is compared with what was registered, and never asked for.
    assert {name.rpartition(".")[2] for name in named} <= {"redirect_uri", "redirect_uris"}
    assert "169.254" not in str(told[1])


async def test_api8_every_answer_is_hardened_and_no_fault_tells_of_our_insides(
    database: str, redis_url: str
) -> None:
    async with everything(database, redis_url) as whole:
        answers = [
            await whole.asked(None, "GET", "/v1/health"),
            await whole.asked(None, "GET", "/v1/nothing"),
            await whole.asked(None, "TRACE", "/v1/health"),
            await whole.asked(None, "POST", "/v1/orders", {}),
            await whole.asked(
                whole.otters.people[Role.INTEGRATOR], "POST", "/v1/orders", {"lines": "x"}
            ),
            await whole.asked(
                whole.otters.people[Role.INTEGRATOR], "GET", "/v1/orders?after=%27%3B--"
            ),
        ]
        page = await whole.stage.client.get("/docs")
        cross = await whole.stage.client.get(
            "/v1/health", headers={"Origin": "https://evil.example"}
        )

    for status, told, headers in answers:
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers
        assert status == 200 or headers["Content-Type"] == "application/problem+json"
        assert not INTERNAL.search(str(told))
    assert [status for status, _, _ in answers][:4] == [200, 404, 405, 401]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in cross.headers


async def test_api9_what_is_served_is_documented_and_nothing_else_is_served(
    database: str, redis_url: str
) -> None:
    async with everything(database, redis_url) as whole:
        _, document, _ = await whole.asked(None, "GET", "/v1/openapi.json")
        rules = {
            (verb, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
            for rule in whole.stage.app.url_map.iter_rules()
            for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        old = await whole.asked(None, "GET", "/v0/orders")

    told = {(verb.upper(), path) for path, item in document["paths"].items() for verb in item}
    pages = {path for _, path in rules - told}
    assert told <= rules
    assert {path for path in pages if path.startswith("/v1/")} <= {
        "/v1/openapi.json",
        "/v1/asyncapi.json",
        "/v1/oauth/authorize",
        "/v1/oauth/sign-in.css",
        "/v1/track/{token}",
        "/v1/track/{token}/state",
    }
    assert old[0] == 404


async def test_api10_what_comes_from_elsewhere_is_checked_before_it_is_kept(
    database: str, redis_url: str
) -> None:
    (place,) = [one for one in orders.declared if one.verb == "POST" and one.path == "/v1/orders"]
    assert place.body is not None

    async with everything(database, redis_url) as whole:
        house = whole.otters
        who = {**house.people[Role.CUSTOMER], "Content-Type": JSON}
        good: dict[str, Any] = dict(ORDER) | {"restaurant_id": house.restaurant_id}
        home: dict[str, Any] = dict(HOME)
        odd: list[dict[str, Any]] = [
            good | {"dropoff": home | {"lat": 95.0}},
            good | {"dropoff": home | {"phone": "'; drop table orders; --"}},
            good | {"dropoff": home | {"notes": "x" * 281}},
            good | {"dropoff": home | {"notes": "a\0b"}},
            good | {"lines": []},
            good | {"lines": [{"dish_id": "d", "name": "n", "count": 2**70}]},
            good | {"lines": [{"dish_id": "d", "name": "n", "count": -1}]},
            good | {"restaurant_id": "../../etc/passwd"},
            good | {"wanted_at": "2026-02-30T00:00:00Z"},
        ]
        told = [(await whole.asked(who, "POST", "/v1/orders", one))[0] for one in odd]
        mine = await whole.asked(who, "GET", "/v1/orders?limit=50")

    assert set(told) == {422}
    assert len(mine[1]["data"]) == 1
