"""Where to connect: the doors of the nodes alive, the best first.

A courier is served best by the node that has the shard he works in, because his pings and acts are
then taken without a detour; every other node serves him as well. The list is an advice for a
moment, since nodes come and go: who is cut off asks again. Who came by TLS, through a proxy that is
trusted, is sent on by TLS.
"""

from typing import Annotated

from msgspec import Meta, Struct

from api.endpoint import Call, Endpoints
from api.ports import Door
from api.replies import Declined, Reply
from dispatch.ids import MarketId
from dispatch.lease import NodeId
from dispatch.step import Code
from geo.point import LatLng

DOORS_MAX = 8
RETRY_S = 1.0

connect = Endpoints("Connect", "Where to connect, and again after a connection was lost.")


class Where(Struct, frozen=True, kw_only=True):
    """Where the asker is; without it any node will do. Both or neither."""

    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lng: Annotated[float, Meta(ge=-180, le=180)] | None = None


class DoorView(Struct, frozen=True, kw_only=True):
    """One node's door: its HTTP, its couriers' socket, its stream."""

    node: NodeId
    http: str
    courier: str
    stream: str


class Connection(Struct, frozen=True, kw_only=True):
    """Try these in their order. `market_id` is the market that lies there, if any does."""

    market_id: MarketId | None
    doors: tuple[DoorView, ...]


@connect.get("/v1/connect", codes=(Code.INVALID, Code.UNAVAILABLE))
async def show_doors(call: Call[None, Where]) -> Reply[Connection]:
    """Tell where to connect, the best door first.

    Ask again, after a while of your own choosing, whenever a connection is lost or refused.
    """
    where = call.query
    if (where.lat is None) != (where.lng is None):
        raise Declined(Code.INVALID, "give both lat and lng, or neither")
    ground = None
    if where.lat is not None and where.lng is not None:
        ground = call.edge.map.find_at(LatLng(where.lat, where.lng))
    doors = call.edge.doors.best(ground.shard if ground else None)[:DOORS_MAX]
    if not doors:
        raise Declined(Code.UNAVAILABLE, "no node has its door open yet", retry_s=RETRY_S)
    market_id = ground.market_id if ground else None
    views = [_view(door, "s" if call.is_secure else "") for door in doors]
    return Reply(value=Connection(market_id=market_id, doors=tuple(views)))


def _view(door: Door, tls: str) -> DoorView:
    at = door.address
    return DoorView(
        node=door.node,
        http=f"http{tls}://{at}",
        courier=f"ws{tls}://{at}/v1/courier",
        stream=f"ws{tls}://{at}/v1/stream",
    )
