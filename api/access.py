"""The one way to an object: whoever asks for it gets it here, or hears that there is no such thing.

What is not his answers exactly as what does not exist (404), so that nobody learns from a refusal
what others have. Endpoints and sockets reach no object by any other way; a test over the tree holds
that.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from api.ports import Edge
from api.presence import Standing, acts_for_tenant, may_see_position
from api.replies import Declined, Flaw
from dispatch.courier_state import Courier
from dispatch.delivery import WITH_COURIER, DeliveryStatus
from dispatch.ids import (
    CourierId,
    CustomerId,
    OfferId,
    OrderId,
    RestaurantId,
    ShardId,
    after,
    prefixed,
)
from dispatch.route import order_ids
from dispatch.step import Code
from dispatch.zone import Zone
from services.accounts.principal import Principal, Role, Scope
from storage import (
    couriers,
    decisions,
    offers,
    order_notes,
    orders,
    restaurants,
    shifts,
    tracking,
    zones,
)
from storage.couriers import CourierRow
from storage.decisions import Filed
from storage.offers import OfferRow
from storage.orders import OfCustomer, OfRestaurants, OrderRow, Stretch
from storage.restaurants import Kept, RestaurantRow
from storage.shifts import ShiftRow

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ENDED_WITH_COURIER = frozenset(
    {DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.RETURNED}
)
HIS = WITH_COURIER | _ENDED_WITH_COURIER
"""Where a delivery is that the courier it names has taken; before that it may only be offered."""
UNDER_WAY_S = 10 * 86_400.0
"""An order is under way for no longer."""
UNDER_WAY_MAX = 64


def an_id(given: str) -> str:
    """Return what may be an id; raises `Declined` for what no id looks like."""
    if _ID.fullmatch(given) is None:
        raise Declined(Code.NOT_FOUND)
    return given


async def order_for(edge: Edge, principal: Principal, order_id: str) -> OrderRow:
    """Return an order of the customer's, of the restaurant's or of the tenant's."""
    row = await orders.find(edge.database, OrderId(an_id(order_id)))
    if row is None or not _is_of_his_side(principal, row):
        raise Declined(Code.NOT_FOUND)
    return row


async def delivery_for(edge: Edge, principal: Principal, order_id: str) -> OrderRow:
    """Return the order of a delivery, also for the courier whose it is or was."""
    row = await orders.find(edge.database, OrderId(an_id(order_id)))
    if row is None or not (_is_of_his_side(principal, row) or _carries(principal, row)):
        raise Declined(Code.NOT_FOUND)
    return row


class UnderWay(NamedTuple):
    """A delivery's courier as he is on his way, to somebody who may see that.

    `known_ids` are the orders of his that may be known to who asks.
    """

    order_id: OrderId
    shard: ShardId
    courier: Courier
    known_ids: Collection[OrderId]


async def under_way_for(edge: Edge, principal: Principal, order_id: str) -> UnderWay:
    """Return the courier of a delivery, and which of his orders are to be known.

    Those who wait for the food see him from pickup until drop-off, as they see his position; he
    himself, and the staff of his own tenant, see him for as long as the delivery is his.
    """
    row = await delivery_for(edge, principal, order_id)
    if principal.role is Role.RESTAURANT:
        raise Declined(Code.NOT_FOUND)
    shift = await _find_shift(edge, principal, row)
    if shift is None:
        told = "the way is shown while a courier has it, and to who waits for it from pickup on"
        raise Declined(Code.NOT_LEGAL_NOW, told)
    known_ids = await _known_ids(edge, principal, row, order_ids(shift.courier.route))
    return UnderWay(row.order_id, shift.shard, shift.courier, known_ids)


async def _find_shift(edge: Edge, principal: Principal, row: OrderRow) -> ShiftRow | None:
    """Return the shift of a delivery's courier, as far as he may be seen on his way now."""
    if row.courier_id is None or row.delivery_status not in WITH_COURIER:
        return None
    if _carries(principal, row) or may_see_position(principal, standing_of(row)):
        return await shifts.find(edge.database, row.courier_id)
    if principal.is_staff:
        return await shifts.find_of_tenant(edge.database, principal.tenant_id, row.courier_id)
    return None


async def _known_ids(
    edge: Edge, principal: Principal, row: OrderRow, carried: Sequence[OrderId]
) -> Collection[OrderId]:
    """Return which of a courier's orders somebody may know of who may see one of them."""
    if principal.role is Role.COURIER:
        return frozenset(carried)
    if acts_for_tenant(principal):
        return await order_notes.fetch_own(edge.database, principal.tenant_id, carried)
    return (row.order_id,)


async def decisions_for(
    edge: Edge, principal: Principal, order_id: str, after: int, count_max: int
) -> Sequence[Filed]:
    """Return what was decided about an order: to the tenant all of it, to a courier his part."""
    if principal.role is Role.COURIER:
        found, courier_id = OrderId(an_id(order_id)), courier_of(principal)
        his = await decisions.fetch_about(edge.database, found, courier_id, after, count_max)
        if not his and not after:
            raise Declined(Code.NOT_FOUND)
        return his
    only_staff(principal)
    row = await order_for(edge, principal, order_id)
    return await decisions.fetch_of_order(edge.database, row.order_id, after, count_max)


async def courier_for(edge: Edge, principal: Principal, courier_id: str) -> CourierRow:
    """Return a courier to himself, and to who acts for his tenant."""
    found = CourierId(an_id(courier_id))
    row = await couriers.find(edge.database, principal.tenant_id, found)
    is_himself = principal.role is Role.COURIER and principal.courier_id == found
    if row is None or not (is_himself or _is_for_tenant(principal)):
        raise Declined(Code.NOT_FOUND)
    return row


async def offer_for(edge: Edge, principal: Principal, offer_id: str) -> OfferRow:
    """Return an offer to the courier to whom it was made."""
    courier_id = courier_of(principal)
    row = await offers.find(edge.database, courier_id, OfferId(an_id(offer_id)))
    if row is None:
        raise Declined(Code.NOT_FOUND)
    return row


async def restaurant_to_order_from(
    edge: Edge, principal: Principal, restaurant_id: str
) -> RestaurantRow:
    """Return a restaurant that he may order from: any of his tenant, or one that is his own."""
    looks_right = _ID.fullmatch(restaurant_id) is not None
    row = await restaurants.find(edge.database, restaurant_id) if looks_right else None
    is_own = principal.role is not Role.RESTAURANT or restaurant_id in principal.restaurant_ids
    is_there = row is not None and row.ended_at is None
    if row is None or not is_there or row.tenant_id != principal.tenant_id or not is_own:
        told = "there is no such restaurant"
        flaw = Flaw("/restaurant_id", Code.INVALID, told)
        raise Declined(Code.INVALID, f"/restaurant_id: {told}", flaws=(flaw,))
    return row


def _is_of_his_side(principal: Principal, row: OrderRow) -> bool:
    if row.tenant_id != principal.tenant_id:
        return False
    match principal.role:
        case Role.CUSTOMER:
            return row.customer_id == principal.subject
        case Role.RESTAURANT:
            return row.restaurant_id in principal.restaurant_ids
        case Role.SUPPORT | Role.ADMIN | Role.INTEGRATOR:
            return True
        case Role.COURIER | Role.ANONYMOUS:
            return False


def _carries(principal: Principal, row: OrderRow) -> bool:
    """Tell whether he is the courier who took it, for whichever tenant that was."""
    is_courier = principal.role is Role.COURIER and principal.courier_id is not None
    return is_courier and row.courier_id == principal.courier_id and row.delivery_status in HIS


def courier_of(principal: Principal) -> CourierId:
    """Return which courier he is; raises `Declined` for whoever is none."""
    if principal.role is not Role.COURIER or principal.courier_id is None:
        raise Declined(Code.FORBIDDEN, "this is for couriers")
    return principal.courier_id


def only_staff(principal: Principal) -> None:
    """Raise `Declined` for whoever does not act for the whole tenant."""
    if not _is_for_tenant(principal):
        raise Declined(Code.FORBIDDEN, "this is for the tenant's staff and its integrators")


async def courier_on_shift_for(edge: Edge, principal: Principal, courier_id: str) -> CourierId:
    """Return a courier of the tenant who works or has worked, for its staff."""
    only_staff(principal)
    found = CourierId(an_id(courier_id))
    if await shifts.find_of_tenant(edge.database, principal.tenant_id, found) is None:
        raise Declined(Code.NOT_FOUND)
    return found


async def restaurant_for(edge: Edge, principal: Principal, restaurant_id: str) -> Kept:
    """Return a restaurant to whoever runs it: its own people, and who acts for its tenant."""
    kept = await restaurants.find_kept(edge.database, an_id(restaurant_id))
    if kept is None or not runs(principal, kept.row):
        raise Declined(Code.NOT_FOUND)
    return kept


async def restaurant_seen_by(edge: Edge, principal: Principal, restaurant_id: str) -> Kept:
    """Return a restaurant to whoever may know of it: the customers and couriers too.

    One that has closed for good is known to those who ran it.
    """
    kept = await restaurants.find_kept(edge.database, an_id(restaurant_id))
    if kept is None or kept.row.tenant_id != principal.tenant_id:
        raise Declined(Code.NOT_FOUND)
    is_theirs = principal.role is Role.RESTAURANT or kept.row.ended_at is not None
    if is_theirs and not runs(principal, kept.row):
        raise Declined(Code.NOT_FOUND)
    return kept


async def kitchen_order_for(
    edge: Edge, principal: Principal, restaurant_id: str, order_id: str
) -> OrderRow:
    """Return an order of that restaurant to whoever runs it."""
    row = await orders.find(edge.database, OrderId(an_id(order_id)))
    is_its = row is not None and row.restaurant_id == restaurant_id
    if row is None or not is_its or not runs(principal, row):
        raise Declined(Code.NOT_FOUND)
    return row


def runs(principal: Principal, row: RestaurantRow | OrderRow) -> bool:
    """Tell whether he runs that restaurant, or the restaurant of that order."""
    if row.tenant_id != principal.tenant_id:
        return False
    is_of_it = principal.role is Role.RESTAURANT and row.restaurant_id in principal.restaurant_ids
    return is_of_it or _is_for_tenant(principal)


def _is_for_tenant(principal: Principal) -> bool:
    return principal.is_staff or principal.role is Role.INTEGRATOR


async def zone_for(edge: Edge, principal: Principal, zone_id: str) -> Zone:
    """Return a zone to everybody of its tenant, as long as its rules are not over for good."""
    zone = await zones.find(edge.database, an_id(zone_id))
    is_seen = zone is not None and zone.tenant_id == principal.tenant_id
    if zone is None or not is_seen or not (zone.ended_at is None or _is_for_tenant(principal)):
        raise Declined(Code.NOT_FOUND)
    return zone


async def zone_run_by(edge: Edge, principal: Principal, zone_id: str) -> Zone:
    """Return a zone to who acts for its tenant, also one that has ended."""
    only_staff(principal)
    return await zone_for(edge, principal, zone_id)


def only_owner(principal: Principal) -> None:
    """Raise `Declined` for whoever may not add to what the tenant has."""
    if principal.role not in {Role.ADMIN, Role.INTEGRATOR}:
        raise Declined(Code.FORBIDDEN, "this is for the tenant's administrators and integrators")


def feeds_of(principal: Principal) -> tuple[str, ...]:
    """Return whose feeds are his own: his restaurants', his as a courier, or simply his."""
    match principal.role:
        case Role.RESTAURANT:
            return tuple(sorted(principal.restaurant_ids))
        case Role.COURIER if principal.courier_id is not None:
            return (principal.courier_id,)
        case _:
            return (principal.subject,)


async def feed_for(edge: Edge, principal: Principal, named: str | None) -> str:
    """Return whose feed he follows: the one he names, or, if he has only one, his own."""
    if Scope.FEED_READ not in principal.scopes:
        raise Declined(Code.FORBIDDEN, f"this needs the scope {Scope.FEED_READ}")
    own = feeds_of(principal)
    if named is None and len(own) != 1:
        raise Declined(Code.INVALID, "name the feed: there is more than one, or none, of your own")
    if named is None or named in own:
        return named or own[0]
    person = an_id(named)
    is_theirs = acts_for_tenant(principal) and await tracking.is_of_tenant(
        edge.database, principal.tenant_id, person
    )
    if not is_theirs:
        raise Declined(Code.NOT_FOUND, "there is no such feed")
    return person


async def orders_under_way(edge: Edge, principal: Principal, person: str) -> Sequence[OrderRow]:
    """Return the orders of his own feed that a courier has now, some of the newest."""
    if person not in feeds_of(principal):
        return ()
    match principal.role:
        case Role.CUSTOMER:
            whose = OfCustomer(tenant_id=principal.tenant_id, customer_id=CustomerId(person))
        case Role.RESTAURANT:
            theirs = (RestaurantId(person),)
            whose = OfRestaurants(tenant_id=principal.tenant_id, restaurant_ids=theirs)
        case _:
            return ()
    stretch = Stretch(
        since=prefixed("ord", after(edge.now(), -UNDER_WAY_S), bytes(10)),
        delivery_statuses=tuple(WITH_COURIER),
        count_max=UNDER_WAY_MAX,
    )
    return await orders.fetch_page(edge.database, whose, stretch)


def standing_of(row: OrderRow) -> Standing:
    """Return what of an order decides who may see its courier."""
    return Standing(row.order_id, row.delivery_status, row.courier_id)


async def order_to_share(edge: Edge, principal: Principal, order_id: str) -> OrderRow:
    """Return an order to whoever may let others follow it: its customer, and the tenant's."""
    if principal.role is Role.RESTAURANT:
        raise Declined(Code.NOT_FOUND)
    return await order_for(edge, principal, order_id)


async def order_by_link(edge: Edge, order_id: OrderId) -> OrderRow:
    """Return the order to whoever has shown a link that opens it."""
    row = await orders.find(edge.database, order_id)
    if row is None:
        raise Declined(Code.NOT_FOUND)
    return row
