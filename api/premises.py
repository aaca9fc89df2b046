"""Where a restaurant is, and that it is no more: what changes only while it has no orders.

An order is fetched where its restaurant was when it was placed, and comes back there if nobody
takes it. So a restaurant moves, and closes for good, only once none of its orders are under way,
those that are wanted in some days included. An order that slips in between the look and the move
keeps the old place, as it was shown to whoever placed it; into one that ends none can slip, for
that is decided by its actor.
"""

from api.orders import since
from api.ports import Edge, Ground
from api.replies import Declined, Flaw
from dispatch.kitchen import FINISHED, OrderStatus
from dispatch.step import Code
from geo.point import LatLng
from storage.orders import OfRestaurants, Stretch, fetch_page
from storage.restaurants import RestaurantRow

_UNDER_WAY = tuple(status for status in OrderStatus if status not in FINISHED)


def ground_at(edge: Edge, place: LatLng) -> Ground:
    """Return the market in which a restaurant can be at that place; raises `Declined`."""
    ground = edge.map.find_at(place)
    if ground is None:
        raise _misplaced("no market is run at this place: see /v1/zones")
    return ground


async def check_place(edge: Edge, before: RestaurantRow, after: RestaurantRow) -> None:
    """Raise `Declined` when a restaurant cannot be where it is to be, or not yet."""
    if (before.lat, before.lng) == (after.lat, after.lng):
        return
    if ground_at(edge, LatLng(after.lat, after.lng)).market_id != before.market_id:
        raise _misplaced("in another market: close this one for good, and add one there")
    await check_idle(edge, before)


async def check_idle(edge: Edge, row: RestaurantRow) -> None:
    """Raise `Declined` as long as an order of the restaurant is under way."""
    own = OfRestaurants(tenant_id=row.tenant_id, restaurant_ids=(row.restaurant_id,))
    stretch = Stretch(since=since(edge.now(), is_live=True), statuses=_UNDER_WAY, count_max=1)
    found = await fetch_page(edge.database, own, stretch)
    if found:
        told = f"order {found[0].order_id} is under way: close, and try again when there are none"
        raise Declined(Code.NOT_LEGAL_NOW, told)


def check_is_there(row: RestaurantRow) -> None:
    """Raise `Declined` for a restaurant that has closed for good."""
    if row.ended_at is not None:
        raise Declined(Code.NOT_LEGAL_NOW, "it has closed for good")


def _misplaced(told: str) -> Declined:
    return Declined(Code.INVALID, f"/lat: {told}", flaws=(Flaw("/lat", Code.INVALID, told),))
