"""Placing an order, for whoever may: the one way by which orders and deliveries come about.

First everything about the request is checked that can be known here, and what is wrong is pointed
at. Then the note is kept (`storage.order_notes`), then the order's actor is asked in the shard of
its restaurant; when it refuses, the note goes again. All ids are made of the request, so that one
that comes again under its key meets its own note and its own order, and places nothing twice.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api import access
from api.arrivals import promised_at
from api.coverage import check_coverage
from api.endpoint import Call
from api.ports import Ground
from api.replies import Declined, Flaw, accepted
from api.times import Time, instant_of
from dispatch.ids import CustomerId, Instant, OrderId, RestaurantId, after
from dispatch.order import Place
from dispatch.step import Code, Refused
from geo.point import LatLng
from services.accounts.principal import Role
from storage import order_notes, orders
from storage.order_notes import Kept, OrderNote
from storage.orders import OrderRow
from storage.restaurants import RestaurantRow
from wire.orders import (
    LINES_MAX,
    Asked,
    Currency,
    DropOffPlace,
    ExternalId,
    Line,
    PickupPlace,
    Recipient,
    UndeliverableAction,
)

AHEAD_S_MAX = 7 * 86_400.0
"""How far ahead an order may be wanted."""
SIZE_MAX = 100

_FOR_THEMSELVES = frozenset({Role.CUSTOMER})
_FOR_OTHERS = frozenset({Role.INTEGRATOR, Role.SUPPORT, Role.ADMIN, Role.RESTAURANT})


class NewOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be ordered.

    A customer orders for himself. An integrator, or whoever takes an order for somebody else, says
    in `customer` for whom; only he may name an `external_id` and prices, and then all of them, with
    their `currency`: the total is computed from them.
    """

    restaurant_id: Annotated[RestaurantId, Meta(min_length=1, max_length=64)]
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=LINES_MAX)]
    dropoff: DropOffPlace
    customer: Recipient | None = None
    size: Annotated[int, Meta(ge=1, le=SIZE_MAX, description="Units of a courier's load")] = 1
    wanted_at: Time | None = None
    external_id: ExternalId | None = None
    currency: Currency | None = None
    undeliverable_action: UndeliverableAction = UndeliverableAction.RETURN


async def place(call: Call[NewOrder]) -> OrderRow:
    """Place the order and return it as committed; raises `Declined`."""
    wanted, edge = call.body, call.edge
    _check_sender(call)
    restaurant = await access.restaurant_to_order_from(edge, call.principal, wanted.restaurant_id)
    ground = edge.map.find_market(restaurant.market_id)
    flaws = _flaws(call, ground)
    if flaws:
        raise Declined(Code.INVALID, f"{flaws[0].pointer}: {flaws[0].detail}", flaws=flaws)
    assert ground is not None
    _check_coverage(call, restaurant, ground)
    note = _note(call, restaurant, ground)
    if await order_notes.keep(edge.database, note) is Kept.EXTERNAL_ID_TAKEN:
        told = "another order of yours has this id: see /v1/orders/by-external-id/"
        raise Declined(
            Code.ALREADY_EXISTS,
            f"/external_id: {told}",
            flaws=(Flaw("/external_id", Code.ALREADY_EXISTS, told),),
        )
    answer = await edge.actors.ask(
        restaurant.shard, "order", note.order_id, _placing(note, wanted, ground)
    )
    if isinstance(answer, Refused):
        await order_notes.drop(edge.database, note.order_id)
    accepted(answer)
    placed = await orders.find(edge.database, note.order_id)
    assert placed is not None, note.order_id
    return placed


def _check_sender(call: Call[NewOrder]) -> None:
    if call.principal.role not in _FOR_THEMSELVES | _FOR_OTHERS:
        raise Declined(Code.FORBIDDEN, "orders are placed by customers, and by who sells to them")


def _check_coverage(call: Call[NewOrder], restaurant: RestaurantRow, ground: Ground) -> None:
    """Raise `Declined` where the zones of the tenant do not let the order be taken."""
    door = call.body.dropoff
    check_coverage(
        call.edge,
        restaurant.tenant_id,
        ground,
        LatLng(restaurant.lat, restaurant.lng),
        LatLng(door.lat, door.lng),
        _wanted_at(call.body) or call.began_at,
    )


def _flaws(call: Call[NewOrder], ground: Ground | None) -> tuple[Flaw, ...]:
    """Return what is wrong with the order, of what its fields alone do not tell."""
    found = (
        *_place_flaws(call, ground),
        *_time_flaws(call),
        *(_own_flaws(call) if call.principal.role in _FOR_THEMSELVES else _others_flaws(call)),
    )
    return tuple([Flaw(pointer, Code.INVALID, detail) for pointer, detail in found])


type _Found = list[tuple[str, str]]


def _place_flaws(call: Call[NewOrder], ground: Ground | None) -> _Found:
    if ground is None:
        return [("/restaurant_id", "the restaurant's market is not served at present")]
    dropoff = call.body.dropoff
    there = call.edge.map.find_at(LatLng(dropoff.lat, dropoff.lng))
    if there is None or there.market_id != ground.market_id:
        return [("/dropoff", "outside the restaurant's market: see /v1/zones")]
    return []


def _time_flaws(call: Call[NewOrder]) -> _Found:
    wanted_at = _wanted_at(call.body)
    if wanted_at is None or call.began_at < wanted_at <= after(call.began_at, AHEAD_S_MAX):
        return []
    return [("/wanted_at", "must be after now, and within seven days")]


def _own_flaws(call: Call[NewOrder]) -> _Found:
    """Return what a customer may not say."""
    wanted = call.body
    said = [name for name in _NOT_HIS if getattr(wanted, name) is not None]
    prices = [at for at, line in enumerate(wanted.lines) if line.unit_minor is not None]
    return [
        *[(f"/{name}", f"{_NOT_HIS[name]}: leave it out") for name in said],
        *[(f"/lines/{at}/unit_minor", f"{_NOT_HIS['currency']}: leave it out") for at in prices],
    ]


_NOT_HIS = {
    "customer": "you order for yourself",
    "external_id": "it is for integrators",
    "currency": "prices are not yours to name",
}


def _others_flaws(call: Call[NewOrder]) -> _Found:
    """Return what is missing in an order that somebody places for somebody else."""
    wanted = call.body
    found: _Found = []
    if wanted.customer is None:
        found.append(("/customer", "say who gets it: `name`, and `phone` if there is one"))
    priced = [line.unit_minor is not None for line in wanted.lines]
    if any(priced) and wanted.currency is None:
        found.append(("/currency", "say what currency the prices are in"))
    if any(priced) or wanted.currency is not None:
        missing = [at for at, is_priced in enumerate(priced) if not is_priced]
        found += [(f"/lines/{at}/unit_minor", "give every line a price, or none") for at in missing]
    return found


def _wanted_at(wanted: NewOrder) -> Instant | None:
    return None if wanted.wanted_at is None else instant_of(wanted.wanted_at)


def _note(call: Call[NewOrder], restaurant: RestaurantRow, ground: Ground) -> OrderNote:
    wanted, principal = call.body, call.principal
    pickup = PickupPlace(lat=restaurant.lat, lng=restaurant.lng, name=restaurant.name)
    is_own = principal.role in _FOR_THEMSELVES
    return OrderNote(
        order_id=OrderId(call.new_id("ord")),
        tenant_id=principal.tenant_id,
        market_id=restaurant.market_id,
        customer_id=CustomerId(principal.subject if is_own else call.new_id("usr")),
        restaurant_id=restaurant.restaurant_id,
        external_id=wanted.external_id,
        total_minor=_total_minor(wanted),
        currency=wanted.currency,
        asked=Asked(
            lines=wanted.lines,
            pickup=pickup,
            dropoff=wanted.dropoff,
            recipient=wanted.customer,
            undeliverable_action=wanted.undeliverable_action,
            promised_at=promised_at(
                restaurant.restaurant_id,
                pickup,
                wanted.dropoff,
                ground,
                call.began_at,
                _wanted_at(wanted),
            ),
        ),
    )


def _total_minor(wanted: NewOrder) -> int | None:
    if wanted.currency is None:
        return None
    return sum(line.count * (line.unit_minor or 0) for line in wanted.lines)


def _placing(note: OrderNote, wanted: NewOrder, ground: Ground) -> Place:
    pickup, dropoff = note.asked.pickup, note.asked.dropoff
    return Place(
        order_id=note.order_id,
        market_id=note.market_id,
        customer_id=note.customer_id,
        restaurant_id=note.restaurant_id,
        pickup=ground.projection.to_point(LatLng(pickup.lat, pickup.lng)),
        dropoff=ground.projection.to_point(LatLng(dropoff.lat, dropoff.lng)),
        size=wanted.size,
        dish_ids=tuple(dict.fromkeys(line.dish_id for line in wanted.lines)),
        wanted_at=_wanted_at(wanted),
        promised_at=note.asked.promised_at,
        undeliverable_action=wanted.undeliverable_action,
    )
