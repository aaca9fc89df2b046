"""Zones over HTTP: markets for everybody, and what a tenant's staff draws in them."""

from collections.abc import Mapping
from typing import Any

import pytest

from api.limits import LocalLimits
from api.orders import orders
from api.times import rfc3339
from api.zones import zones
from dispatch.ids import after
from node.clock import steady_s, wall
from services.accounts.principal import Role, Scope
from storage.zones import ZONES_MAX
from tests.api.everything import PLENTY
from tests.api.ordering import ORDER, OTHER_TENANT, customer, keyed, ordering
from tests.api.stage import CENTRE, MARKET, SHARD, Stage, on_stage

NOUNS = (orders, zones)
DOOR = (55.69, 12.58)
"""Where `ORDER` is to go."""


def square(side: float = 0.01, north: float = CENTRE.lat, east: float = CENTRE.lng) -> Any:  # noqa: ANN401
    """A square around a place, as GeoJSON, with half its side in degrees."""
    west, south = east - side, north - side
    east, north = east + side, north + side
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def staff(stage: Stage, role: Role = Role.SUPPORT) -> dict[str, str]:
    return stage.signed_in(f"usr_{role}", role)


def soon(seconds: float = 3_600.0) -> str:
    return rfc3339(after(wall(), seconds))


async def drawn(stage: Stage, kind: str = "service", **rest: Any) -> dict[str, Any]:  # noqa: ANN401
    """Draw a zone around the centre and return it as shown."""
    body = {"market_id": MARKET, "kind": kind, "name": "Centre", "boundary": square()} | rest
    if kind == "paused":
        body = {"reason": "a storm", "until": soon()} | body
    status, shown, _ = await stage.asked("POST", "/v1/zones", staff(stage), body)
    assert status == 201, shown
    return shown


async def test_a_zone_is_shown_with_its_cells_and_its_outline(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, [zones]) as stage:
        status, zone, _ = await stage.asked("GET", f"/v1/zones/{MARKET}")
        _, listed, _ = await stage.asked("GET", "/v1/zones")

    assert status == 200
    assert zone["cells"] == [f"{SHARD:x}"]
    assert zone["boundary"]["type"] == "MultiPolygon"
    ring = zone["boundary"]["coordinates"][0][0]
    assert min(lng for lng, _ in ring) < CENTRE.lng < max(lng for lng, _ in ring)
    assert zone["surge"]["percent"] == 100
    assert listed == {"data": [zone | {"surge": None}], "has_more": False, "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "status"),
    [("lat=55.68&lng=12.57", 200), ("lat=48.85&lng=2.35", 404), ("lat=95&lng=0", 422), ("", 422)],
)
async def test_a_place_is_in_a_zone_or_in_none(
    database: str, redis_url: str, query: str, status: int
) -> None:
    async with on_stage(database, redis_url, [zones]) as stage:
        found = await stage.asked("GET", f"/v1/zones/at?{query}")

    assert found[0] == status


async def test_a_market_that_is_not_there_has_no_zone(database: str, redis_url: str) -> None:
    async with on_stage(database, redis_url, [zones]) as stage:
        missing = await stage.asked("GET", "/v1/zones/atlantis")

    assert missing[0] == 404


async def test_a_zone_that_staff_draws_is_seen_by_its_tenant_and_by_nobody_else(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, NOUNS) as stage:
        zone = await drawn(stage, name="Inner city")
        path = f"/v1/zones/{zone['zone_id']}"
        ours = stage.signed_in("usr_ann", Role.CUSTOMER)
        theirs = stage.signed_in("usr_bob", Role.ADMIN, tenant_id=OTHER_TENANT)
        seen, listed = (
            await stage.asked("GET", path, ours),
            await stage.asked("GET", "/v1/zones", ours),
        )
        hidden = [(await stage.asked("GET", path, who))[0] for who in (None, theirs)]
        _, others, _ = await stage.asked("GET", "/v1/zones", theirs)
        _, services, _ = await stage.asked("GET", "/v1/zones?kind=service&limit=1", ours)

    assert (seen[0], seen[1]) == (200, zone)
    assert zone["kind"] == "service"
    assert [one["zone_id"] for one in listed[1]["data"]] == [MARKET, zone["zone_id"]]
    assert hidden == [404, 404]
    assert [one["zone_id"] for one in others["data"]] == [MARKET]
    assert [one["zone_id"] for one in services["data"]] == [zone["zone_id"]]


async def test_only_those_who_act_for_the_tenant_draw_change_and_end_its_zones(
    database: str, redis_url: str
) -> None:
    told: dict[str, list[int]] = {}

    async with on_stage(database, redis_url, NOUNS) as stage:
        zone = await drawn(stage)
        path = f"/v1/zones/{zone['zone_id']}"
        body = {"market_id": MARKET, "kind": "service", "name": "Mine", "boundary": square()}
        people: Mapping[str, Mapping[str, str]] = {
            "nobody": {},
            **{
                role: stage.signed_in(f"usr_{role}", role)
                for role in (Role.CUSTOMER, Role.COURIER, Role.RESTAURANT)
            },
            "unscoped": stage.signed_in("usr_x", Role.ADMIN, scopes=frozenset({Scope.ORDERS_READ})),
            "stranger": stage.signed_in("usr_y", Role.ADMIN, tenant_id=OTHER_TENANT),
        }
        for name, who in people.items():
            asked = [
                ("PATCH", path, {"name": "Mine"}),
                ("DELETE", path, None),
                ("GET", f"{path}/changes", None),
                ("GET", f"{path}/surge", None),
            ]
            if name != "stranger":
                asked.append(("POST", "/v1/zones", body))
            told[name] = [(await stage.asked(verb, at, who, json))[0] for verb, at, json in asked]
        left = await stage.asked("GET", path, staff(stage))

    assert {name: set(codes) for name, codes in told.items()} == {
        "nobody": {401},
        Role.CUSTOMER: {403},
        Role.COURIER: {403},
        Role.RESTAURANT: {403},
        "unscoped": {403},
        "stranger": {404},
    }
    assert left[1]["name"] == "Centre"


async def test_a_zone_is_changed_as_it_was_seen_and_each_change_is_noted(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, NOUNS) as stage:
        zone = await drawn(stage)
        path, who = f"/v1/zones/{zone['zone_id']}", staff(stage, Role.ADMIN)
        _, _, headers = await stage.asked("GET", path, who)
        seen = {**who, "If-Match": headers["ETag"]}
        wider = {"name": "Wider", "boundary": square(0.02)}
        first = await stage.asked("PATCH", path, seen, wider)
        second = await stage.asked("PATCH", path, seen, {"name": "Late"})
        stale = await stage.asked("DELETE", path, seen)
        _, changes, _ = await stage.asked("GET", f"{path}/changes?limit=1", who)
        after_first = f"{path}/changes?after={changes['next_cursor']}"
        _, older, _ = await stage.asked("GET", after_first, who)

    assert (first[0], first[1]["name"]) == (200, "Wider")
    assert (second[0], second[1]["code"], stale[0]) == (412, "stale-etag", 412)
    noted = [*changes["data"], *older["data"]]
    assert [(one["version"], one["name"], one["made_by"]) for one in noted] == [
        (2, "Wider", "usr_admin"),
        (1, "Centre", "usr_support"),
    ]
    assert noted[0]["boundary"] == first[1]["boundary"]


async def test_a_zone_that_is_drawn_or_changed_again_under_its_key_is_one(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, NOUNS) as stage:
        body = {"market_id": MARKET, "kind": "service", "name": "Once", "boundary": square()}
        once = keyed(staff(stage))
        first = await stage.asked("POST", "/v1/zones", once, body)
        again = await stage.asked("POST", "/v1/zones", once, body)
        path, changing = f"/v1/zones/{first[1]['zone_id']}", keyed(staff(stage))
        changed = [await stage.asked("PATCH", path, changing, {"name": "Two"}) for _ in range(2)]
        _, noted, _ = await stage.asked("GET", f"{path}/changes", staff(stage))

    assert first[1] == again[1]
    assert [one[0] for one in changed] == [200, 200]
    assert [one["version"] for one in noted["data"]] == [2, 1]


async def test_a_zone_that_has_ended_is_in_no_list_and_ends_once(
    database: str, redis_url: str
) -> None:
    async with on_stage(database, redis_url, NOUNS) as stage:
        zone = await drawn(stage)
        path = f"/v1/zones/{zone['zone_id']}"
        ended = [await stage.asked("DELETE", path, staff(stage)) for _ in range(2)]
        _, listed, _ = await stage.asked("GET", "/v1/zones?kind=service", staff(stage))
        revived = await stage.asked("PATCH", path, staff(stage), {"name": "Back"})
        unseen = await stage.asked("GET", path, stage.signed_in("usr_ann", Role.CUSTOMER))
        _, noted, _ = await stage.asked("GET", f"{path}/changes", staff(stage))

    assert [(status, shown["is_active"]) for status, shown, _ in ended] == [(200, False)] * 2
    assert listed["data"] == []
    assert (revived[0], revived[1]["code"]) == (409, "not-legal-now")
    assert unseen[0] == 404
    assert [one["version"] for one in noted["data"]] == [2, 1]


BOW = {
    "type": "Polygon",
    "coordinates": [
        [[12.56, 55.67], [12.58, 55.69], [12.58, 55.67], [12.56, 55.69], [12.56, 55.67]]
    ],
}


@pytest.mark.parametrize(
    ("changes", "pointer", "told"),
    [
        ({"boundary": BOW}, "/boundary/coordinates/0", "crosses itself at longitude 12.57"),
        (
            {"boundary": {"type": "MultiPolygon", "coordinates": [BOW["coordinates"]]}},
            "/boundary/coordinates/0/0",
            "crosses itself",
        ),
        (
            {"boundary": {"type": "Polygon", "coordinates": [BOW["coordinates"][0][:4]]}},
            "/boundary/coordinates/0",
            "not closed",
        ),
        (
            {"boundary": square(north=CENTRE.lng, east=CENTRE.lat)},
            "/boundary/coordinates/0/0",
            "the longitude comes first",
        ),
        ({"boundary": square(north=48.85, east=2.35)}, "/boundary/coordinates/0/0", "outside"),
        ({"kind": "closed", "boundary": square(0.1)}, "/boundary", "25 square kilometres"),
        ({"kind": "paused", "until": soon()}, "/reason", "says why"),
        ({"kind": "paused", "reason": "a storm"}, "/until", "until when"),
        ({"until": soon(-60.0)}, "/until", "after now"),
        ({"market_id": "atlantis"}, "/market_id", "no such market"),
        ({"kind": "market"}, "/kind", "Invalid enum value"),
        ({"name": "a\nb"}, "/name", "regex"),
    ],
)
async def test_a_zone_that_cannot_be_is_refused_with_what_to_do(
    database: str, redis_url: str, changes: dict[str, Any], pointer: str, told: str
) -> None:
    async with on_stage(database, redis_url, NOUNS) as stage:
        body = {"market_id": MARKET, "kind": "service", "name": "Odd", "boundary": square()}
        status, refused, _ = await stage.asked("POST", "/v1/zones", staff(stage), body | changes)
        _, listed, _ = await stage.asked("GET", "/v1/zones", staff(stage))

    assert (status, refused["errors"][0]["pointer"]) == (422, pointer)
    assert told in refused["detail"]
    assert len(listed["data"]) == 1


async def test_a_tenant_has_only_so_many_zones(database: str, redis_url: str) -> None:
    plenty = LocalLimits(steady_s, PLENTY)

    async with on_stage(database, redis_url, NOUNS, limits=plenty) as stage:
        for number in range(ZONES_MAX):
            await drawn(stage, name=f"Zone {number}", boundary=square(0.0005))
        body = {"market_id": MARKET, "kind": "service", "name": "More", "boundary": square()}
        status, refused, _ = await stage.asked("POST", "/v1/zones", staff(stage), body)

    assert (status, refused["code"]) == (422, "load-exceeded")


async def test_a_pause_refuses_an_order_and_says_why_and_until_when(
    database: str, redis_url: str
) -> None:
    until = soon(1_800.0)

    async with ordering(database, redis_url, NOUNS) as stage:
        around_door = square(0.002, *DOOR)
        await drawn(stage, "paused", boundary=around_door, reason="the harbour floods", until=until)
        status, refused, headers = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        later = dict(ORDER) | {"wanted_at": soon(7_200.0)}
        scheduled = await stage.asked("POST", "/v1/orders", customer(stage), later)
        stranger = stage.signed_in("usr_bob", Role.ADMIN, tenant_id=OTHER_TENANT)
        elsewhere = await stage.asked("GET", "/v1/zones?kind=paused", stranger)

    assert (status, headers["Content-Type"]) == (409, "application/problem+json")
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("zone-paused", "/dropoff")
    assert refused["detail"] == (
        f"no orders are taken around your door until {until}: the harbour floods"
    )
    assert 1_700 < int(headers["Retry-After"]) <= 1_800
    assert scheduled[0] == 201
    assert elsewhere[1]["data"] == []


async def test_service_areas_say_where_orders_are_taken(database: str, redis_url: str) -> None:
    async with ordering(database, redis_url, NOUNS) as stage:
        unlimited = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        zone = await drawn(stage, boundary=square(0.002))
        outside = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)
        path = f"/v1/zones/{zone['zone_id']}"
        await stage.asked("PATCH", path, staff(stage), {"boundary": square(0.03)})
        inside = await stage.asked("POST", "/v1/orders", customer(stage), ORDER)

    assert (unlimited[0], outside[0], inside[0]) == (201, 422, 201)
    assert [one["pointer"] for one in outside[1]["errors"]] == ["/dropoff"]
    assert "areas that are served" in outside[1]["detail"]
