"""Restaurants over HTTP: who there is, how each is run, and whether it takes orders now.

A restaurant is a row that its tenant writes and an actor that decides about orders. A change is
written first and then told to the actor, by a message that carries the version and can be repeated:
a request that got no further than the row is completed by the same request under its key, or by
whoever next asks for the restaurant. What is done on one order or dish is in `api.kitchens`.
"""

from contextlib import suppress

from msgspec import UNSET, structs

from api import access
from api.cursors import key_of, page
from api.endpoint import Call, Endpoints
from api.hours import HoursView, hours_of
from api.ports import Edge, Unavailable
from api.premises import check_idle, check_is_there, check_place, ground_at
from api.replies import Declined, Flaw, Page, Reply, accepted
from api.restaurant_forms import (
    PAUSE_S_MAX,
    S_PER_MINUTE,
    Break,
    Changes,
    Listing,
    NewRestaurant,
)
from api.restaurant_views import RestaurantView, restaurant_etag, restaurant_view, version_of
from api.times import instant_of
from dispatch.ids import Instant, RestaurantId, after
from dispatch.restaurant import Close, Configure, End, Message, Open, Pause, Resume, Settings
from dispatch.step import Code
from geo.point import LatLng
from geo.projection import OutOfReach
from services.accounts.principal import Role, Scope
from storage.restaurants import (
    Kept,
    RestaurantRow,
    Written,
    create,
    end,
    fetch_page,
    find_restaurant_id,
    save,
)

LIST = "restaurants"

restaurants = Endpoints("Restaurants", "Who cooks, when, and how much at once.")


@restaurants.post(
    "/v1/restaurants",
    scope=Scope.RESTAURANTS_WRITE,
    status=201,
    codes=(Code.ALREADY_EXISTS, Code.INVALID, Code.UNAVAILABLE),
)
async def open_restaurant(call: Call[NewRestaurant]) -> Reply[RestaurantView]:
    """Add a restaurant, in the market that its place lies in.

    It takes orders by its hours from now on, or, without hours, once it is opened.
    """
    access.only_owner(call.principal)
    row = _new_row(call)
    if await create(call.edge.database, row) is Written.EXTERNAL_ID_TAKEN:
        raise _taken()
    kept = await access.restaurant_for(call.edge, call.principal, row.restaurant_id)
    await configure(call.edge, kept.row)
    reply = await _shown(call, row.restaurant_id)
    return structs.replace(reply, headers={"Location": f"/v1/restaurants/{row.restaurant_id}"})


@restaurants.get("/v1/restaurants", scope=Scope.RESTAURANTS_READ)
async def list_restaurants(call: Call[None, Listing]) -> Reply[Page[RestaurantView]]:
    """List the tenant's restaurants; its own people see those that they run."""
    wanted, principal = call.query, call.principal
    own = tuple(principal.restaurant_ids) if principal.role is Role.RESTAURANT else None
    found = await fetch_page(
        call.edge.replica,
        principal.tenant_id,
        after=key_of(LIST, wanted.after) if wanted.after else "",
        limit=wanted.limit + 1,
        market_id=wanted.market_id,
        restaurant_ids=own,
    )
    return Reply(
        value=page(
            LIST,
            found,
            wanted.limit,
            key=lambda kept: kept.row.restaurant_id,
            shown=lambda kept: restaurant_view(kept, principal, call.edge),
        )
    )


@restaurants.get(
    "/v1/restaurants/{restaurant_id}", scope=Scope.RESTAURANTS_READ, codes=(Code.NOT_FOUND,)
)
async def show_restaurant(call: Call) -> Reply[RestaurantView]:
    """Show a restaurant: whether it is open, when that changes, how long an order takes."""
    seen = await access.restaurant_seen_by(call.edge, call.principal, call.path["restaurant_id"])
    if is_current(seen):
        return _view(call, seen)
    with suppress(Unavailable, Declined):
        await configure(call.edge, seen.row)
    return await _shown(call, seen.row.restaurant_id)


@restaurants.get(
    "/v1/restaurants/by-external-id/{external_id}",
    scope=Scope.RESTAURANTS_READ,
    codes=(Code.NOT_FOUND,),
)
async def show_restaurant_by_external_id(call: Call) -> Reply[RestaurantView]:
    """Show the restaurant that you gave this id of yours."""
    named = call.path["external_id"]
    named = named if named.isascii() and named.isprintable() else ""
    found = await find_restaurant_id(call.edge.database, call.principal.tenant_id, named)
    return await _shown(call, found or RestaurantId(""))


@restaurants.patch(
    "/v1/restaurants/{restaurant_id}",
    scope=Scope.RESTAURANTS_WRITE,
    codes=(
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.NOT_LEGAL_NOW,
        Code.INVALID,
        Code.STALE_ETAG,
        Code.UNAVAILABLE,
    ),
)
async def change_restaurant(call: Call[Changes]) -> Reply[RestaurantView]:
    """Change how a restaurant is run. With `If-Match` only if nobody else has meanwhile.

    One that moves takes new orders at its new place; it cannot while an order is under way.
    """
    return await _changed(call, _changes(call))


@restaurants.delete(
    "/v1/restaurants/{restaurant_id}",
    scope=Scope.RESTAURANTS_WRITE,
    codes=(Code.NOT_FOUND, Code.NOT_LEGAL_NOW, Code.STALE_ETAG, Code.UNAVAILABLE),
)
async def end_restaurant(call: Call) -> Reply[RestaurantView]:
    """Close a restaurant for good, which cannot be undone, once none of its orders are under way.

    It is in no list any more and its `external_id` is free; it and its orders can still be read by
    whoever ran it. One that has closed stays so.
    """
    edge = call.edge
    kept = await access.restaurant_for(edge, call.principal, call.path["restaurant_id"])
    access.only_owner(call.principal)
    row = kept.row
    if row.ended_at is None:
        _must_match(call, kept)
        await check_idle(edge, row)
        if kept.state is None:
            await configure(edge, row)
        accepted(await edge.actors.ask(row.shard, "restaurant", row.restaurant_id, End()))
        await end(edge.database, row.restaurant_id)
    return await _shown(call, row.restaurant_id)


@restaurants.put(
    "/v1/restaurants/{restaurant_id}/hours",
    scope=Scope.RESTAURANTS_WRITE,
    codes=(
        Code.NOT_FOUND,
        Code.NOT_LEGAL_NOW,
        Code.INVALID,
        Code.STALE_ETAG,
        Code.UNAVAILABLE,
    ),
)
async def set_hours(call: Call[HoursView]) -> Reply[RestaurantView]:
    """Set the opening hours. The restaurant opens or closes at once where they say so."""
    return await _changed(call, {"hours": hours_of(call.body, call.began_at, "")})


_STAGING = (Code.NOT_FOUND, Code.NOT_LEGAL_NOW, Code.UNAVAILABLE)


@restaurants.post(
    "/v1/restaurants/{restaurant_id}/open", scope=Scope.RESTAURANTS_WRITE, codes=_STAGING
)
async def open_now(call: Call) -> Reply[RestaurantView]:
    """Take orders from now on; where there are hours, until they next begin or end."""
    kept = await access.restaurant_for(call.edge, call.principal, call.path["restaurant_id"])
    return await _staged(call, kept, _settings(Open, call.edge, kept.row))


@restaurants.post(
    "/v1/restaurants/{restaurant_id}/close", scope=Scope.RESTAURANTS_WRITE, codes=_STAGING
)
async def close_now(call: Call) -> Reply[RestaurantView]:
    """Take no more orders, until the hours next begin; what is in the kitchen is cooked."""
    kept = await access.restaurant_for(call.edge, call.principal, call.path["restaurant_id"])
    return await _staged(call, kept, Close())


@restaurants.post(
    "/v1/restaurants/{restaurant_id}/pause",
    scope=Scope.RESTAURANTS_WRITE,
    codes=(*_STAGING, Code.INVALID),
)
async def pause(call: Call[Break]) -> Reply[RestaurantView]:
    """Take no orders for a while."""
    kept = await access.restaurant_for(call.edge, call.principal, call.path["restaurant_id"])
    return await _staged(call, kept, Pause(_until(call)))


@restaurants.post(
    "/v1/restaurants/{restaurant_id}/resume", scope=Scope.RESTAURANTS_WRITE, codes=_STAGING
)
async def resume(call: Call) -> Reply[RestaurantView]:
    """Take orders again before the pause is over."""
    kept = await access.restaurant_for(call.edge, call.principal, call.path["restaurant_id"])
    return await _staged(call, kept, Resume())


async def configure(edge: Edge, row: RestaurantRow) -> None:
    """Tell the actor how the restaurant is to be run; again does no harm."""
    message = _settings(Configure, edge, row)
    accepted(await edge.actors.ask(row.shard, "restaurant", row.restaurant_id, message))


async def ask_restaurant(edge: Edge, kept: Kept, message: Message) -> None:
    """Have the restaurant hear it, as it is to be run by now; raises `Declined` if it refuses."""
    row = kept.row
    check_is_there(row)
    if not is_current(kept):
        await configure(edge, row)
    accepted(await edge.actors.ask(row.shard, "restaurant", row.restaurant_id, message))


def is_current(kept: Kept) -> bool:
    """Tell whether the actor knows how the restaurant is to be run."""
    return kept.state is not None and kept.state.version >= kept.row.version


def _new_row(call: Call[NewRestaurant]) -> RestaurantRow:
    body = call.body
    ground = ground_at(call.edge, LatLng(body.lat, body.lng))
    hours = None if body.hours is None else hours_of(body.hours, call.began_at, "/hours")
    minutes = body.preparation_minutes
    return RestaurantRow(
        restaurant_id=RestaurantId(call.new_id("rst")),
        tenant_id=call.principal.tenant_id,
        market_id=ground.market_id,
        shard=ground.shard,
        name=body.name,
        lat=body.lat,
        lng=body.lng,
        address=body.address,
        phone=body.phone,
        hours=hours,
        capacity_max=body.capacity_max,
        prep_s=None if minutes is None else minutes * S_PER_MINUTE,
        busy_prep_s=body.busy_minutes * S_PER_MINUTE,
        auto_accepts=body.auto_accepts,
        external_id=body.external_id,
        change_id=call.new_id("chg"),
    )


def _settings[S: Settings](kind: type[S], edge: Edge, row: RestaurantRow) -> S:
    """Return what the actor is told of the row."""
    ground = edge.map.find_market(row.market_id)
    if ground is None:
        raise Declined(Code.UNAVAILABLE, "the restaurant's market is not run at present", retry_s=5)
    try:
        point = ground.projection.to_point(LatLng(row.lat, row.lng))
    except OutOfReach as error:
        raise Declined(Code.INVALID, "the restaurant lies too far from its market") from error
    return kind(
        restaurant_id=row.restaurant_id,
        point=point,
        capacity_max=row.capacity_max,
        prep_s=row.prep_s,
        auto_accepts=row.auto_accepts,
        busy_prep_s=row.busy_prep_s,
        hours=row.hours,
        version=row.version,
    )


_SAME = ("name", "lat", "lng", "address", "phone", "capacity_max", "auto_accepts", "external_id")
_IN_SECONDS = {"preparation_minutes": "prep_s", "busy_minutes": "busy_prep_s"}


def _changes(call: Call[Changes]) -> dict[str, object]:
    """Return which fields of the row are to be what."""
    given = {name: value for name, value in structs.asdict(call.body).items() if value is not UNSET}
    changes = {name: given[name] for name in _SAME if name in given}
    if ("lat" in given) != ("lng" in given):
        flaw = Flaw("/lat", Code.INVALID, "say `lat` and `lng` together")
        raise Declined(Code.INVALID, f"{flaw.pointer}: {flaw.detail}", flaws=(flaw,))
    for name, field in _IN_SECONDS.items():
        if name in given:
            changes[field] = None if given[name] is None else given[name] * S_PER_MINUTE
    hours = call.body.hours
    if hours is not UNSET:
        changes["hours"] = None if hours is None else hours_of(hours, call.began_at, "/hours")
    return changes


async def _changed(
    call: Call[Changes] | Call[HoursView], changes: dict[str, object]
) -> Reply[RestaurantView]:
    """Write the changes over the row as it was seen, and tell the actor."""
    edge, change_id = call.edge, call.new_id("chg")
    kept = await access.restaurant_for(edge, call.principal, call.path["restaurant_id"])
    if kept.row.change_id != change_id:  # Or this request has written the row before.
        check_is_there(kept.row)
        _must_match(call, kept)
        row = structs.replace(kept.row, change_id=change_id, **changes)
        await check_place(edge, kept.row, row)
        await _save(edge, row)
        kept = await access.restaurant_for(edge, call.principal, row.restaurant_id)
    await configure(edge, kept.row)
    return await _shown(call, kept.row.restaurant_id)


async def _save(edge: Edge, row: RestaurantRow) -> None:
    match await save(edge.database, row):
        case Written.WRITTEN:
            return
        case Written.OVERTAKEN:
            raise Declined(Code.STALE_ETAG, "somebody else has just changed it: read it again")
        case Written.EXTERNAL_ID_TAKEN:
            raise _taken()


def _taken() -> Declined:
    told = "another restaurant of yours has this id: see /v1/restaurants/by-external-id/"
    flaw = Flaw("/external_id", Code.ALREADY_EXISTS, told)
    return Declined(Code.ALREADY_EXISTS, f"{flaw.pointer}: {told}", flaws=(flaw,))


def _must_match(call: Call | Call[Changes] | Call[HoursView], kept: Kept) -> None:
    """Raise `Declined` when `If-Match` names no tag of this version of the row."""
    named = call.headers.get("if-match", "").split(",")
    same = [tag.strip() for tag in named if version_of(tag) == str(kept.row.version)]
    now = restaurant_etag(kept.row, restaurant_view(kept, call.principal, call.edge))
    call.must_match(same[0].removeprefix("W/") if same else now)


async def _staged(call: Call | Call[Break], kept: Kept, message: Message) -> Reply[RestaurantView]:
    await ask_restaurant(call.edge, kept, message)
    return await _shown(call, kept.row.restaurant_id)


def _until(call: Call[Break]) -> Instant:
    """Return when the pause is over."""
    body, now = call.body, call.began_at
    if (body.until is None) == (body.minutes is None):
        raise Declined(Code.INVALID, "say either `until` or `minutes`")
    if body.until is None:
        return after(now, (body.minutes or 0) * S_PER_MINUTE)
    until = instant_of(body.until)
    if until > after(now, PAUSE_S_MAX):
        told = f"at most {PAUSE_S_MAX / 86_400:.0f} days ahead; change the hours for longer"
        raise Declined(Code.INVALID, f"/until: {told}", flaws=(Flaw("/until", Code.INVALID, told),))
    return until


type _AnyCall = Call | Call[Break] | Call[Changes] | Call[HoursView] | Call[NewRestaurant]


async def _shown(call: _AnyCall, restaurant_id: RestaurantId) -> Reply[RestaurantView]:
    """Return the restaurant as committed; on the primary, so that what was just done shows."""
    return _view(call, await access.restaurant_seen_by(call.edge, call.principal, restaurant_id))


def _view(call: _AnyCall, kept: Kept) -> Reply[RestaurantView]:
    view = restaurant_view(kept, call.principal, call.edge)
    return Reply(value=view, etag=restaurant_etag(kept.row, view))
