"""Offers over HTTP, for a courier whose socket is down or who has none.

The same words as over the socket: a take counts once it is answered, and whoever is too late hears
that the offer has lapsed or closed.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api import access
from api.endpoint import Call, Endpoints
from api.ports import Ground, Map
from api.replies import Page, Reply, accepted
from api.times import WrittenTime, rfc3339
from dispatch.ids import OfferId
from dispatch.offer import Decline, Stage, Take
from dispatch.step import Code
from geo.point import LatLng, Point
from geo.projection import OutOfReach
from services.accounts.principal import Scope
from storage import offers as kept_offers
from storage.offers import OfferRow
from wire.events import Task

offers = Endpoints("Offers", "What a courier is asked to carry, until he says yes or no.")

_CODES = (Code.NOT_FOUND, Code.OFFER_CLOSED, Code.OFFER_LAPSED, Code.UNAVAILABLE)


class OfferView(Struct, frozen=True, kw_only=True):
    """An offer as it stands: `open` until `expires_at`, then taken, declined, lapsed, withdrawn."""

    offer_id: OfferId
    stage: Stage
    tasks: Annotated[tuple[Task, ...], Meta(description="What it asks him to carry")]
    expires_at: WrittenTime


@offers.get("/v1/offers", scope=Scope.COURIERS_READ, codes=(Code.FORBIDDEN,))
async def list_offers(call: Call) -> Reply[Page[OfferView]]:
    """List the offers that stand open for the courier: one at most."""
    courier_id = access.courier_of(call.principal)
    row = await kept_offers.find_present(call.edge.database, courier_id)
    is_open = row is not None and row.offer.stage is Stage.OPEN
    shown = (_view(row, call.edge.map),) if row is not None and is_open else ()
    return Reply(value=Page(items=shown, has_more=False))


@offers.get("/v1/offers/{offer_id}", scope=Scope.COURIERS_READ, codes=(Code.NOT_FOUND,))
async def show_offer(call: Call) -> Reply[OfferView]:
    """Show an offer that was made to the courier."""
    row = await access.offer_for(call.edge, call.principal, call.path["offer_id"])
    return Reply(value=_view(row, call.edge.map))


@offers.post("/v1/offers/{offer_id}/take", scope=Scope.COURIERS_WRITE, codes=_CODES)
async def take_offer(call: Call) -> Reply[OfferView]:
    """Say yes: once this is answered, the orders are his."""
    return await _decided(call, Take)


@offers.post("/v1/offers/{offer_id}/decline", scope=Scope.COURIERS_WRITE, codes=_CODES)
async def decline_offer(call: Call) -> Reply[OfferView]:
    """Say no; it costs him nothing."""
    return await _decided(call, Decline)


async def _decided(call: Call, decision: type[Take | Decline]) -> Reply[OfferView]:
    row = await access.offer_for(call.edge, call.principal, call.path["offer_id"])
    offer = row.offer
    message = decision(offer.courier_id)
    accepted(await call.edge.actors.ask(row.shard, "offer", offer.offer_id, message))
    row = await access.offer_for(call.edge, call.principal, offer.offer_id)
    return Reply(value=_view(row, call.edge.map))


def _view(row: OfferRow, markets: Map) -> OfferView:
    ground, offer = markets.find_market(row.market_id), row.offer
    return OfferView(
        offer_id=offer.offer_id,
        stage=offer.stage,
        tasks=tuple(
            [
                Task(
                    order_id=task.order_id,
                    restaurant_id=task.restaurant_id,
                    pickup=_place(task.pickup, ground),
                    dropoff=_place(task.dropoff, ground),
                    size=task.size,
                    undeliverable_action=task.undeliverable_action,
                )
                for task in offer.tasks
            ]
        ),
        expires_at=rfc3339(offer.expires_at),
    )


def _place(point: Point, ground: Ground | None) -> LatLng | None:
    try:
        return None if ground is None else ground.projection.to_lat_lng(point)
    except OutOfReach:
        return None
