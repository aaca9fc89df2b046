"""Restaurants over HTTP, from opening to the food in the courier's hands, and whose each is."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from msgspec import Struct

from api.app import application
from api.kitchens import kitchens
from api.offers import offers
from api.orders import orders
from api.ports import Actors, Unavailable
from api.restaurants import restaurants
from api.shifts import shifts
from api.times import rfc3339
from dispatch.courier import Arrive, Collect
from dispatch.ids import RestaurantId, ShardId, TenantId, after
from dispatch.step import Accepted, Refused
from geo.ping import Track
from services.accounts.principal import Role
from tests.api.ordering import (
    COURIER,
    FAR_AWAY,
    HOME,
    SOUP,
    courier,
    customer,
    integrator,
    keyed,
    placed,
    reached,
)
from tests.api.stage import CENTRE, Stage, on_stage

NOUNS = (restaurants, kitchens, orders, offers, shifts)
PLACE = {"lat": CENTRE.lat, "lng": CENTRE.lng}
NEW: Mapping[str, Any] = {"name": "Nordhavn", **PLACE, "auto_accepts": False}
ALWAYS = [{"opens": "00:00", "closes": "24:00"}]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
OPEN_ALWAYS = {"timezone": "Europe/Copenhagen", "week": dict.fromkeys(DAYS, ALWAYS)}
NEVER_OPEN: Mapping[str, Any] = {"timezone": "Europe/Copenhagen", "week": {}}


@asynccontextmanager
async def kitchen(database: str, redis_url: str) -> AsyncGenerator[Stage]:
    async with on_stage(database, redis_url, NOUNS) as stage:
        yield stage


async def opened(stage: Stage, **changes: Any) -> str:  # noqa: ANN401
    """Add a restaurant that is always open and return its path."""
    wanted = dict(NEW) | {"hours": OPEN_ALWAYS} | changes
    status, shown, headers = await stage.asked("POST", "/v1/restaurants", owner(stage), wanted)
    assert (status, shown["stage"]) == (201, "open"), shown
    return headers["Location"]


def owner(stage: Stage, **rest: Any) -> dict[str, str]:  # noqa: ANN401
    return integrator(stage, "cli_chain", **rest)


def cook(stage: Stage, path: str, name: str = "usr_cook") -> dict[str, str]:
    """Return the headers of the staff of a restaurant."""
    own = frozenset({restaurant_id_of(path)})
    return stage.signed_in(name, Role.RESTAURANT, restaurant_ids=own)


def restaurant_id_of(path: str) -> RestaurantId:
    return RestaurantId(path.rpartition("/")[2])


def dinner(path: str) -> dict[str, Any]:
    return {"restaurant_id": restaurant_id_of(path), "lines": [SOUP], "dropoff": HOME}


async def test_an_order_goes_through_a_kitchen(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path = await opened(stage)
        staff, guest, his = cook(stage, path), customer(stage), courier(stage)
        order_id = (await placed(stage, guest, dinner(path)))["order_id"]
        work = f"{path}/orders/{order_id}"

        queue = await stage.asked("GET", f"{path}/orders", staff)
        accepted = await stage.asked("POST", f"{work}/accept", staff, {"preparation_minutes": 0})
        began = await stage.asked("POST", f"{work}/preparing", staff)
        is_ready = await stage.asked("POST", f"{work}/ready", staff)
        shift = {**PLACE, "ends_at": rfc3339(after(stage.edge.now(), 3_600))}
        await stage.asked("POST", "/v1/shifts", his, shift)
        await reached(stage, staff, f"/v1/orders/{order_id}", "delivery_status", "offered")
        _, offered, _ = await stage.asked("GET", "/v1/offers", his)
        await stage.asked("POST", f"/v1/offers/{offered['data'][0]['offer_id']}/take", his)
        await stage.ask("courier", COURIER, Arrive(restaurant_id=restaurant_id_of(path)))
        await stage.ask("courier", COURIER, Collect((order_id,)))
        done = await reached(stage, guest, f"/v1/orders/{order_id}", "status", "handed_over")
        left = await stage.asked("GET", f"{path}/orders?status=handed_over", staff)

    assert [one["order_id"] for one in queue[1]["data"]] == [order_id]
    assert [shown["status"] for _, shown, _ in (accepted, began, is_ready)] == [
        "accepted",
        "preparing",
        "ready_for_pickup",
    ]
    assert done["picked_up_at"]
    assert [one["order_id"] for one in left[1]["data"]] == [order_id]


async def test_a_restaurant_is_added_once_however_often_it_is_asked_for(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        who = keyed(owner(stage))
        first = await stage.asked("POST", "/v1/restaurants", who, NEW)
        again = await stage.asked("POST", "/v1/restaurants", who, NEW)
        _, listed, _ = await stage.asked("GET", "/v1/restaurants", who)

    assert (first[0], again[0]) == (201, 201)
    assert again[1] == first[1]
    assert len(listed["data"]) == 1


async def test_a_restaurant_outside_every_market_is_not_added(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        far = dict(NEW) | FAR_AWAY
        status, told, _ = await stage.asked("POST", "/v1/restaurants", owner(stage), far)

    assert status == 422
    assert told["errors"][0]["pointer"] == "/lat"


async def test_without_hours_a_restaurant_opens_and_closes_by_hand(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        who = owner(stage)
        _, added, headers = await stage.asked("POST", "/v1/restaurants", who, NEW)
        path = headers["Location"]
        _, opened_, _ = await stage.asked("POST", f"{path}/open", who)
        _, closed, _ = await stage.asked("POST", f"{path}/close", who)

    assert [one["stage"] for one in (added, opened_, closed)] == ["closed", "open", "closed"]
    assert added["changes_at"] is None


async def test_new_hours_open_and_close_at_once(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path, who = await opened(stage), owner(stage)
        _, closed, _ = await stage.asked("PUT", f"{path}/hours", who, NEVER_OPEN)
        _, open_again, _ = await stage.asked("PUT", f"{path}/hours", who, OPEN_ALWAYS)

    assert [closed["stage"], open_again["stage"]] == ["closed", "open"]
    assert open_again["hours"]["week"]["monday"] == ALWAYS


async def test_hours_that_cannot_be_are_pointed_at(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path, who = await opened(stage), owner(stage)
        nowhere = {**NEVER_OPEN, "timezone": "Europe/Kopenhagen"}
        status, told, _ = await stage.asked("PATCH", path, who, {"hours": nowhere})

    assert status == 422
    assert told["errors"][0]["pointer"] == "/hours"


REJECTIONS = {
    "restaurant-closed": ("POST", "/close", None),
    "restaurant-paused": ("POST", "/pause", {"minutes": 30}),
    "sold-out": ("PUT", f"/sold-out/{SOUP['dish_id']}", None),
}


@pytest.mark.parametrize("reason", REJECTIONS)
async def test_what_a_restaurant_cannot_cook_is_rejected_and_said_why(
    database: str, redis_url: str, reason: str
) -> None:
    verb, act, body = REJECTIONS[reason]
    async with kitchen(database, redis_url) as stage:
        path, guest = await opened(stage), customer(stage)
        status, _, _ = await stage.asked(verb, f"{path}{act}", cook(stage, path), body)
        order = await placed(stage, guest, dinner(path))
        seen = await reached(stage, guest, f"/v1/orders/{order['order_id']}", "status", "rejected")

    assert status == 200
    assert seen["status_reason"] == reason


async def test_a_full_kitchen_rejects_what_is_too_much(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path, guest = await opened(stage, capacity_max=1), customer(stage)
        await placed(stage, guest, dinner(path))
        second = await placed(stage, guest, dinner(path))
        seen = await reached(stage, guest, f"/v1/orders/{second['order_id']}", "status", "rejected")
        _, shown, _ = await stage.asked("GET", path, cook(stage, path))

    assert seen["status_reason"] == "kitchen-full"
    assert (shown["running"]["cooking"], shown["running"]["capacity_max"]) == (1, 1)


async def test_a_full_kitchen_is_expected_to_take_longer(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        times = {"preparation_minutes": 10, "busy_minutes": 4, "auto_accepts": True}
        path, guest = await opened(stage, **times), customer(stage)
        order = await placed(stage, guest, dinner(path))
        await reached(stage, guest, f"/v1/orders/{order['order_id']}", "status", "accepted")
        _, shown, _ = await stage.asked("GET", path, guest)

    assert shown["preparation_minutes"] == 14
    assert shown["running"] is None


async def test_staff_rejects_an_order_and_says_why(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path = await opened(stage)
        staff, guest = cook(stage, path), customer(stage)
        order = await placed(stage, guest, dinner(path))
        work = f"{path}/orders/{order['order_id']}"
        no_word = await stage.asked("POST", f"{work}/reject", staff, {"reason": "do not want"})
        _, told, _ = await stage.asked("POST", f"{work}/reject", staff, {"reason": "sold-out"})
        late = await stage.asked("POST", f"{work}/accept", staff, {})

    assert (no_word[0], late[0], late[1]["code"]) == (422, 409, "not-legal-now")
    assert (told["status"], told["status_reason"]) == ("rejected", "sold-out")


async def test_what_is_ready_later_is_promised_later(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path = await opened(stage)
        staff, guest = cook(stage, path), customer(stage)
        order = await placed(stage, guest, dinner(path))
        work = f"{path}/orders/{order['order_id']}"
        ready_at = rfc3339(after(stage.edge.now(), 3_600))
        await stage.asked("POST", f"{work}/accept", staff, {})
        _, delayed, _ = await stage.asked("POST", f"{work}/delay", staff, {"ready_at": ready_at})
        too_far = {"ready_at": "2099-01-01T00:00:00Z"}
        never = await stage.asked("POST", f"{work}/delay", staff, too_far)

    assert delayed["ready_at"] == ready_at
    assert (never[0], never[1]["errors"][0]["pointer"]) == (422, "/ready_at")


async def test_a_pause_ends_when_it_is_said(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path = await opened(stage)
        staff = cook(stage, path)
        until = rfc3339(after(stage.edge.now(), 600))
        _, paused, _ = await stage.asked("POST", f"{path}/pause", staff, {"until": until})
        both = {"until": until, "minutes": 5}
        unclear = await stage.asked("POST", f"{path}/pause", staff, both)
        _, resumed, _ = await stage.asked("POST", f"{path}/resume", staff)

    assert (paused["stage"], paused["changes_at"]) == ("paused", until)
    assert unclear[0] == 422
    assert resumed["stage"] == "open"


async def test_what_is_sold_out_is_listed_until_it_is_there_again(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        path = await opened(stage)
        staff, guest = cook(stage, path), customer(stage)
        await stage.asked("PUT", f"{path}/sold-out/dsh_soup", staff)
        _, seen, _ = await stage.asked("GET", f"{path}/sold-out", guest)
        await stage.asked("DELETE", f"{path}/sold-out/dsh_soup", staff)
        _, seen_again, _ = await stage.asked("GET", f"{path}/sold-out", guest)

    assert [seen["dish_ids"], seen_again["dish_ids"]] == [["dsh_soup"], []]


async def test_a_change_of_what_has_changed_meanwhile_is_refused(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        path, who = await opened(stage), owner(stage)
        etag = (await stage.asked("GET", path, who))[2]["ETag"]
        await stage.asked("POST", f"{path}/close", who)
        matching = who | {"If-Match": etag}
        first = await stage.asked("PATCH", path, matching, {"name": "Refshalevej"})
        second = await stage.asked("PATCH", path, matching, {"name": "Christianshavn"})

    assert (first[0], first[1]["name"], first[1]["stage"]) == (200, "Refshalevej", "closed")
    assert (second[0], second[1]["code"]) == (412, "stale-etag")


async def test_what_a_change_leaves_out_stays(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path, who = await opened(stage, preparation_minutes=12), owner(stage)
        _, changed, _ = await stage.asked("PATCH", path, who, {"capacity_max": 3})
        _, forgotten, _ = await stage.asked("PATCH", path, who, {"preparation_minutes": None})

    assert changed["running"]["capacity_max"] == 3
    assert changed["running"]["preparation_minutes"] == 12
    assert changed["hours"] is not None
    assert forgotten["running"]["preparation_minutes"] is None


async def test_a_list_shows_each_restaurant_once_and_staff_only_its_own(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        paths = [await opened(stage, name=f"No {number}") for number in range(3)]
        guest, staff = customer(stage), cook(stage, paths[1])
        _, first, _ = await stage.asked("GET", "/v1/restaurants?limit=2", guest)
        more = f"/v1/restaurants?limit=2&after={first['next_cursor']}"
        _, second, _ = await stage.asked("GET", more, guest)
        _, own, _ = await stage.asked("GET", "/v1/restaurants", staff)

    seen = [one["restaurant_id"] for one in (*first["data"], *second["data"])]
    assert sorted(seen) == sorted(path.rpartition("/")[2] for path in paths)
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [one["name"] for one in own["data"]] == ["No 1"]


class Unheard:
    """Actors that cannot be reached for a while; fits `api.ports.Actors`."""

    def __init__(self, actors: Actors) -> None:
        self.actors = actors
        self.is_away = True

    async def ask(self, shard: ShardId, kind: str, key: str, message: Struct) -> Accepted | Refused:
        if self.is_away:
            raise Unavailable("for a test")
        return await self.actors.ask(shard, kind, key, message)

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        self.actors.take(shard, tracks)

    def is_here(self, shard: ShardId) -> bool:
        return self.actors.is_here(shard)


@asynccontextmanager
async def unheard(stage: Stage) -> AsyncGenerator[Stage]:
    """The same stage, whose actors do not hear anything."""
    edge = replace(stage.edge, actors=Unheard(stage.edge.actors))
    app = application(edge, NOUNS)
    async with app.test_app():
        yield replace(stage, edge=edge, app=app, client=app.test_client())


async def test_a_restaurant_whose_actor_was_away_is_completed_by_the_same_request(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        who = keyed(owner(stage))
        wanted = dict(NEW) | {"hours": OPEN_ALWAYS}
        async with unheard(stage) as alone:
            away = await alone.asked("POST", "/v1/restaurants", who, wanted)
        again = await stage.asked("POST", "/v1/restaurants", who, wanted)
        _, listed, _ = await stage.asked("GET", "/v1/restaurants", who)

    assert (away[0], again[0], again[1]["stage"]) == (503, 201, "open")
    assert len(listed["data"]) == 1


async def test_a_restaurant_whose_actor_was_never_opened_is_by_whoever_looks(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        who = owner(stage)
        async with unheard(stage) as alone:
            await alone.asked("POST", "/v1/restaurants", who, dict(NEW) | {"hours": OPEN_ALWAYS})
        _, listed, _ = await stage.asked("GET", "/v1/restaurants", who)
        path = f"/v1/restaurants/{listed['data'][0]['restaurant_id']}"
        _, shown, _ = await stage.asked("GET", path, customer(stage))

    assert listed["data"][0]["stage"] == "closed"
    assert shown["stage"] == "open"


async def test_a_change_that_the_actor_did_not_hear_reaches_it_by_the_same_request(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        path, who = await opened(stage), owner(stage)
        etag = (await stage.asked("GET", path, who))[2]["ETag"]
        matching = keyed(who) | {"If-Match": etag}
        async with unheard(stage) as alone:
            away = await alone.asked("PATCH", path, matching, {"hours": NEVER_OPEN})
        again = await stage.asked("PATCH", path, matching, {"hours": NEVER_OPEN})

    assert away[0] == 503
    assert (again[0], again[1]["stage"], again[1]["running"]["version"]) == (200, "closed", 2)


async def test_a_restaurant_is_found_by_the_id_that_its_tenant_gave_it(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        who, by_own_id = owner(stage), "/v1/restaurants/by-external-id/k-1"
        path = await opened(stage, external_id="k-1")
        other = await opened(stage, name="Next door")
        _, shown, _ = await stage.asked("GET", by_own_id, who)
        stranger = integrator(stage, "cli_other", tenant_id=TenantId("tnt_two"))
        hidden = await stage.asked("GET", by_own_id, stranger)
        taken = await stage.asked(
            "POST", "/v1/restaurants", owner(stage), dict(NEW) | {"external_id": "k-1"}
        )
        also_taken = await stage.asked("PATCH", other, owner(stage), {"external_id": "k-1"})
        _, renamed, _ = await stage.asked("PATCH", path, owner(stage), {"external_id": "k-2"})
        gone = await stage.asked("GET", by_own_id, owner(stage))

    assert (shown["restaurant_id"], shown["external_id"]) == (restaurant_id_of(path), "k-1")
    assert (hidden[0], gone[0]) == (404, 404)
    for status, told, _ in (taken, also_taken):
        assert (status, told["errors"][0]["pointer"]) == (409, "/external_id")
    assert renamed["external_id"] == "k-2"


SYDHAVN = {"lat": CENTRE.lat - 0.01, "lng": CENTRE.lng}


async def test_a_restaurant_moves_once_its_orders_are_done(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path, guest, who = await opened(stage), customer(stage), owner(stage)
        order = await placed(stage, guest, dinner(path))
        busy = await stage.asked("PATCH", path, who, SYDHAVN)
        await stage.asked("POST", f"/v1/orders/{order['order_id']}/cancel", guest, {})
        _, moved, _ = await stage.asked("PATCH", path, who, SYDHAVN)
        _, old, _ = await stage.asked("GET", f"/v1/orders/{order['order_id']}", guest)
        new = await placed(stage, guest, dinner(path))

    assert (busy[0], busy[1]["code"]) == (409, "not-legal-now")
    assert order["order_id"] in busy[1]["detail"]
    assert {"lat": moved["lat"], "lng": moved["lng"]} == SYDHAVN
    assert (old["pickup"]["lat"], new["pickup"]["lat"]) == (CENTRE.lat, SYDHAVN["lat"])


@pytest.mark.parametrize("place", [FAR_AWAY, {"lat": CENTRE.lat}], ids=["elsewhere", "half"])
async def test_a_restaurant_does_not_leave_its_market(
    database: str, redis_url: str, place: dict[str, float]
) -> None:
    async with kitchen(database, redis_url) as stage:
        path, who = await opened(stage), owner(stage)
        status, told, _ = await stage.asked("PATCH", path, who, place)

    assert (status, told["errors"][0]["pointer"]) == (422, "/lat")


async def test_a_restaurant_that_closes_for_good_leaves_its_history(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        path, guest, who = await opened(stage, external_id="k-1"), customer(stage), owner(stage)
        there = f"/v1/orders/{(await placed(stage, guest, dinner(path)))['order_id']}"
        busy = await stage.asked("DELETE", path, who)
        await stage.asked("POST", f"{there}/cancel", guest, {})
        ended = [await stage.asked("DELETE", path, who) for _ in range(2)]
        changed = [
            await stage.asked("PATCH", path, who, {"name": "Again"}),
            await stage.asked("POST", f"{path}/open", who),
        ]
        order = await stage.asked("POST", "/v1/orders", guest, dinner(path))
        for_guest = await stage.asked("GET", path, guest)
        _, listed, _ = await stage.asked("GET", "/v1/restaurants", who)
        _, old, _ = await stage.asked("GET", there, guest)
        _, queue, _ = await stage.asked("GET", f"{path}/orders?status=canceled", who)
        again = await opened(stage, external_id="k-1")

    assert busy[0] == 409
    assert [(status, told["stage"]) for status, told, _ in ended] == [(200, "ended")] * 2
    assert ended[0][1]["running"]["ended_at"]
    assert [status for status, _, _ in changed] == [409, 409]
    assert (order[0], for_guest[0], listed["data"]) == (422, 404, [])
    assert old["status"] == "canceled"
    assert [one["order_id"] for one in queue["data"]] == [old["order_id"]]
    assert again != path


async def test_staff_of_a_restaurant_does_not_close_it_for_good(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        path = await opened(stage)
        status, _, _ = await stage.asked("DELETE", path, cook(stage, path))

    assert status == 403


ACTS: Mapping[str, tuple[str, str, object]] = {
    "show": ("GET", "", None),
    "change": ("PATCH", "", {"name": "Mine"}),
    "end": ("DELETE", "", None),
    "hours": ("PUT", "/hours", OPEN_ALWAYS),
    "open": ("POST", "/open", None),
    "close": ("POST", "/close", None),
    "pause": ("POST", "/pause", {"minutes": 5}),
    "resume": ("POST", "/resume", None),
    "queue": ("GET", "/orders", None),
    "sold out": ("GET", "/sold-out", None),
    "mark sold out": ("PUT", "/sold-out/dsh_soup", None),
    "mark available": ("DELETE", "/sold-out/dsh_soup", None),
    "accept": ("POST", "/orders/{order_id}/accept", {}),
    "reject": ("POST", "/orders/{order_id}/reject", {"reason": "other"}),
    "preparing": ("POST", "/orders/{order_id}/preparing", None),
    "delay": ("POST", "/orders/{order_id}/delay", {"ready_at": "{soon}"}),
    "ready": ("POST", "/orders/{order_id}/ready", None),
}


def test_every_route_of_a_restaurant_is_among_those_that_strangers_try() -> None:
    routes = {
        (one.verb, one.path.removeprefix("/v1/restaurants/{restaurant_id}"))
        for noun in (restaurants, kitchens)
        for one in noun.declared
        if "{restaurant_id}" in one.path
    }

    tried = {(verb, act.replace("dsh_soup", "{dish_id}")) for verb, act, _ in ACTS.values()}
    assert tried == routes


@pytest.mark.parametrize("role", [Role.RESTAURANT, Role.INTEGRATOR], ids=["next door", "tenant"])
async def test_strangers_find_no_restaurant_by_any_route(
    database: str, redis_url: str, role: Role
) -> None:
    async with kitchen(database, redis_url) as stage:
        path, other_path = await opened(stage), await opened(stage, name="Next door")
        order = await placed(stage, customer(stage), dinner(path))
        stranger = owner(stage, tenant_id=TenantId("tnt_two"))
        if role is Role.RESTAURANT:
            stranger = cook(stage, other_path, "usr_next_door")
        soon = rfc3339(after(stage.edge.now(), 600))
        answers: dict[str, int] = {}
        for name, (verb, act, body) in ACTS.items():
            at = path + act.replace("{order_id}", order["order_id"])
            wanted = {"ready_at": soon} if name == "delay" else body
            answers[name], _, _ = await stage.asked(verb, at, stranger, wanted)
        _, unchanged, _ = await stage.asked("GET", path, cook(stage, path))

    assert answers == dict.fromkeys(ACTS, 404)
    assert (unchanged["name"], unchanged["running"]["sold_out"]) == ("Nordhavn", [])


async def test_an_order_is_not_reached_through_another_restaurant(
    database: str, redis_url: str
) -> None:
    async with kitchen(database, redis_url) as stage:
        path, own_path = await opened(stage), await opened(stage, name="Next door")
        order = await placed(stage, customer(stage), dinner(path))
        work = f"{own_path}/orders/{order['order_id']}/accept"
        status, _, _ = await stage.asked("POST", work, cook(stage, own_path), {})

    assert status == 404


async def test_who_may_only_order_runs_no_kitchen(database: str, redis_url: str) -> None:
    async with kitchen(database, redis_url) as stage:
        path, guest = await opened(stage), customer(stage)
        answers = [
            await stage.asked("POST", "/v1/restaurants", guest, NEW),
            await stage.asked("POST", f"{path}/close", guest),
            await stage.asked("GET", f"{path}/orders", guest),
            await stage.asked("GET", path, guest),
        ]

    assert [status for status, _, _ in answers] == [403, 404, 404, 200]
