"""Shifts over HTTP: a courier starts, pauses and ends his; staff sees them and can end one.

The same is done over the courier's socket, by the same messages and by `start_shift` here. A
courier has one shift at a time, wherever he is: one that he left open in another market is ended
first, and as long as he carries anything there, he starts none here.
"""

from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import trio
from msgspec import Meta, Struct

from api import access
from api.cursors import Cursor, Limit, key_of, page
from api.endpoint import Call, Endpoints
from api.ports import Edge, Ground
from api.replies import Declined, Page, Reply, accepted
from api.times import Time, WrittenTime, instant_of, rfc3339
from dispatch.courier_state import (
    Courier,
    EndShift,
    Message,
    Pause,
    Resume,
    Stage,
    StartShift,
)
from dispatch.ids import CourierId, Instant, MarketId, OrderId, ShardId, elapsed_s
from dispatch.step import Code, Refused
from geo.point import LatLng, Point
from geo.projection import OutOfReach
from services.accounts.principal import Scope
from storage import shifts as stored
from storage.database import DatabaseUnreachable
from storage.shifts import ShiftRow
from wire.orders import Lat, Lng

SHIFT_S_MAX = 16 * 3_600.0
MOVES_MAX = 3
"""Times that a courier is looked for anew because he has just moved on."""
SETTLE_S = 2.0
LIST = "shifts"

shifts = Endpoints("Shifts", "When couriers work, where, and with how much room.")


class Vehicle(StrEnum):
    """What a courier is on; it says how much he carries. Wire names; never renamed."""

    WALK = "walk"
    BICYCLE = "bicycle"
    SCOOTER = "scooter"
    CAR = "car"


LOAD_MAX: Mapping[Vehicle, int] = {
    Vehicle.WALK: 3,
    Vehicle.BICYCLE: 6,
    Vehicle.SCOOTER: 8,
    Vehicle.CAR: 16,
}
"""Units of load that fit, unless a courier says otherwise."""


class NewShift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where he begins, until when, and how much he carries: by his vehicle unless it is said."""

    lat: Lat
    lng: Lng
    ends_at: Time
    vehicle: Vehicle = Vehicle.BICYCLE
    load_max: Annotated[int, Meta(ge=1, le=100)] | None = None


class ShiftView(Struct, frozen=True, kw_only=True):
    """A shift as it stands.

    A courier who is `quiet` is not heard of, one who is `ending` delivers what he has left, and one
    who is `gone` is on his way into another market, where he is `on` in a moment.
    """

    courier_id: CourierId
    market_id: MarketId
    stage: Stage
    ends_at: WrittenTime
    load_max: int
    carried: tuple[OrderId, ...]


class Wanted(Struct, frozen=True, kw_only=True):
    """Which shifts to list."""

    market_id: Annotated[str, Meta(max_length=64)] | None = None
    limit: Limit = 50
    after: Cursor | None = None


async def start_shift(
    edge: Edge,
    courier_id: CourierId,
    where: LatLng,
    ends_at: Instant,
    load_max: int | None = None,
) -> Ground:
    """Start a courier's shift in the market that the place lies in, and return that market.

    Without `load_max` he carries what the market's policy says. Raises `Declined` where he cannot,
    and `Unavailable` where it is not known: ask again.
    """
    ground = edge.map.find_at(where)
    if ground is None:
        raise Declined(Code.INVALID, "no market is run here: start where one is")
    point = _point(ground, where)
    if elapsed_s(edge.now(), ends_at) > SHIFT_S_MAX:
        raise Declined(Code.INVALID, f"a shift lasts {SHIFT_S_MAX / 3_600:.0f} hours at most")
    if not await stored.begin(edge.database, courier_id, ground.shard):
        raise Declined(Code.NOT_LEGAL_NOW, "a shift of yours is being started elsewhere", retry_s=1)
    crossings = await _leave(edge, courier_id, ground.shard)
    message = StartShift(
        courier_id=courier_id,
        market_id=ground.market_id,
        point=point,
        ends_at=ends_at,
        load_max=load_max or ground.policy.load_max,
        crossings=crossings,
        is_counted=True,
    )
    answer = await edge.actors.ask(ground.shard, "courier", courier_id, message)
    await _settle(edge, courier_id, ground.shard)
    accepted(answer)
    return ground


async def _leave(edge: Edge, courier_id: CourierId, shard: ShardId) -> int:
    """End a shift that he has open in another shard, and return how often he has crossed.

    Nobody is started who is on his way to another shard: he will be on shift there in a moment.
    """
    for _ in range(MOVES_MAX):
        row = await stored.find(edge.database, courier_id)
        if row is None:
            return 0
        if row.courier.stage is Stage.GONE:
            break
        if row.shard == shard or row.courier.stage is Stage.OFF:
            return row.courier.crossings
        if not await _ended(edge, row):
            await _settle(edge, courier_id, shard)
            told = "first deliver what you carry from your last shift, in another market"
            raise Declined(Code.NOT_LEGAL_NOW, told)
    await _settle(edge, courier_id, shard)
    raise _on_his_way()


async def _ended(edge: Edge, row: ShiftRow) -> bool:
    """End the shift of that row; False when something is left to deliver, or he will not."""
    if row.courier.stage is Stage.ENDING:
        return False
    answer = await edge.actors.ask(row.shard, "courier", row.courier.courier_id, EndShift())
    return not isinstance(answer, Refused) or answer.code is Code.MOVED


def _on_his_way() -> Declined:
    return Declined(Code.MOVED, "the courier is on his way to another market", retry_s=1)


async def _settle(edge: Edge, courier_id: CourierId, shard: ShardId) -> None:
    """Let him be started elsewhere; if that cannot be said, a while does it."""
    with trio.move_on_after(SETTLE_S), suppress(DatabaseUnreachable):
        await stored.settle(edge.database, courier_id, shard)


def _point(ground: Ground, where: LatLng) -> Point:
    try:
        return ground.projection.to_point(where)
    except OutOfReach as error:
        raise Declined(Code.INVALID, "no market is run here: start where one is") from error


async def ask_courier(edge: Edge, courier_id: CourierId, message: Message) -> None:
    """Have the courier hear it where he works; raises `Declined` for what he refuses."""
    row = await stored.find(edge.database, courier_id)
    if row is None:
        raise Declined(Code.NOT_FOUND, "you have no shift: start one")
    shard = row.shard
    for _ in range(MOVES_MAX):
        answer = await edge.actors.ask(shard, "courier", courier_id, message)
        if not isinstance(answer, Refused) or answer.code is not Code.MOVED:
            accepted(answer)
            return
        shard = ShardId(int(answer.detail))
    raise _on_his_way()


@shifts.post("/v1/shifts", scope=Scope.COURIERS_WRITE, status=201, codes=(Code.NOT_LEGAL_NOW,))
async def begin_shift(call: Call[NewShift]) -> Reply[ShiftView]:
    """Start a shift: in the market where the courier is, until then, with so much room."""
    courier_id = access.courier_of(call.principal)
    body = call.body
    load_max = body.load_max or LOAD_MAX[body.vehicle]
    await start_shift(
        call.edge, courier_id, LatLng(body.lat, body.lng), instant_of(body.ends_at), load_max
    )
    return Reply(value=await _shown(call.edge, courier_id))


@shifts.get("/v1/shifts/current", scope=Scope.COURIERS_READ)
async def show_shift(call: Call) -> Reply[ShiftView]:
    """Show the courier's own shift."""
    return Reply(value=await _shown(call.edge, access.courier_of(call.principal)))


@shifts.post("/v1/shifts/current/end", scope=Scope.COURIERS_WRITE, codes=(Code.NOT_LEGAL_NOW,))
async def end_shift(call: Call) -> Reply[ShiftView]:
    """End it: what he carries he still delivers, what he has not collected is given to others."""
    return await _done(call, EndShift())


@shifts.post("/v1/shifts/current/pause", scope=Scope.COURIERS_WRITE, codes=(Code.NOT_LEGAL_NOW,))
async def pause_shift(call: Call) -> Reply[ShiftView]:
    """Take a break: no new offers until it is over; his route goes on."""
    return await _done(call, Pause())


@shifts.post("/v1/shifts/current/resume", scope=Scope.COURIERS_WRITE, codes=(Code.NOT_LEGAL_NOW,))
async def resume_shift(call: Call) -> Reply[ShiftView]:
    """End the break."""
    return await _done(call, Resume())


@shifts.get("/v1/shifts", scope=Scope.COURIERS_READ)
async def list_shifts(call: Call[None, Wanted]) -> Reply[Page[ShiftView]]:
    """List the shifts of the tenant's couriers who are not off, by courier. For staff."""
    access.only_staff(call.principal)
    wanted = call.query
    found = await stored.fetch_page(
        call.edge.replica,
        call.principal.tenant_id,
        after=key_of(LIST, wanted.after) if wanted.after else "",
        limit=wanted.limit + 1,
        market_id=wanted.market_id,
    )
    return Reply(
        value=page(
            LIST,
            found,
            wanted.limit,
            key=lambda row: row.courier.courier_id,
            shown=lambda row: _view(row.courier),
        )
    )


@shifts.post("/v1/shifts/{courier_id}/end", scope=Scope.COURIERS_WRITE, codes=(Code.NOT_LEGAL_NOW,))
async def end_shift_of(call: Call) -> Reply[ShiftView]:
    """End a courier's shift for him. For staff."""
    courier_id = await access.courier_on_shift_for(
        call.edge, call.principal, call.path["courier_id"]
    )
    await ask_courier(call.edge, courier_id, EndShift())
    return Reply(value=await _shown(call.edge, courier_id))


async def _done(call: Call, message: EndShift | Pause | Resume) -> Reply[ShiftView]:
    courier_id = access.courier_of(call.principal)
    await ask_courier(call.edge, courier_id, message)
    return Reply(value=await _shown(call.edge, courier_id))


async def _shown(edge: Edge, courier_id: CourierId) -> ShiftView:
    """Return the shift as committed; on the primary, so that what was just done shows."""
    row = await stored.find(edge.database, courier_id)
    if row is None:
        raise Declined(Code.NOT_FOUND, "you have no shift: start one")
    return _view(row.courier)


def _view(courier: Courier) -> ShiftView:
    return ShiftView(
        courier_id=courier.courier_id,
        market_id=courier.market_id,
        stage=courier.stage,
        ends_at=rfc3339(courier.ends_at),
        load_max=courier.load_max,
        carried=courier.carried,
    )
