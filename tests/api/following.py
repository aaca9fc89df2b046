"""What tests of feeds share: a market whose orders are followed on real sockets and over HTTP."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from msgspec import convert, json, msgpack

from api.channels import position_channel
from api.endpoint import Endpoints
from api.feed import feed
from api.orders import orders
from api.ports import Live
from api.streams import StreamLimits, StreamSessions
from api.tracking import routes, tracking
from dispatch.ids import CourierId, Instant, OrderId
from dispatch.offer import Take
from dispatch.step import Accepted
from node.feeds import FeedHub
from services.accounts.principal import Role
from storage.bridge import bridged
from storage.database import connected
from storage.postgres import PostgresStore
from tests.api.lines import Line, OneNodeLive, served
from tests.api.ordering import COURIER, ROW, customer, offered, on_shift, opened, placed
from tests.api.stage import CENTRE, Stage, on_stage
from wire.frames import Hello, Message, Notation, Position, Welcome

NOUNS: Sequence[Endpoints] = (orders, feed, tracking)
IDA = "usr_ida"


@dataclass(slots=True)
class Theatre:
    """A stage, its streams, and what is live on them."""

    stage: Stage
    sessions: StreamSessions
    line: Callable[..., Any]
    live: Live
    hub: FeedHub

    def show_position(self, order_id: str, lat: float = CENTRE.lat) -> None:
        """Tell where the order's courier is, as the node that takes his pings does."""
        position = Position(
            order_id=OrderId(order_id),
            lat=lat,
            lng=CENTRE.lng,
            speed_mps=3.0,
            seen_at=Instant(1_700_000_000_000),
        )
        self.live.publish(position_channel(OrderId(order_id)), msgpack.encode(position))

    @asynccontextmanager
    async def followed(
        self,
        subject: str,
        role: Role = Role.CUSTOMER,
        hello: Mapping[str, object] | None = None,
        notation: Notation = Notation.MSGPACK,
        **rest: object,
    ) -> AsyncGenerator[tuple[Line, Welcome]]:
        """A device of somebody's that has been welcomed."""
        self.stage.signed_in(subject, role, **rest)
        async with self.line("/v1/stream", notation) as line:
            await line.say(greeting(subject, **hello or {}))
            yield line, await line.hear_a(Welcome)


def greeting(subject: str, **rest: object) -> Hello:
    """The hello of somebody who is signed in on the stage."""
    return convert(
        {"type": "hello", "token": f"token-of-{subject}", "device_id": "dev_1"} | rest, Hello
    )


@asynccontextmanager
async def theatre(
    database: str, redis_url: str, limits: StreamLimits | None = None
) -> AsyncGenerator[Theatre]:
    """A market with a restaurant, whose feeds are followed."""
    async with bridged() as bridge, connected(bridge, database) as journal:
        hub, live = FeedHub(PostgresStore(journal)), OneNodeLive()
        async with on_stage(database, redis_url, NOUNS, feeds=hub, live=live) as stage:
            routes(stage.app, stage.edge)
            await opened(stage, ROW)
            sessions = StreamSessions(stage.edge, limits)
            async with (
                trio.open_nursery() as nursery,
                served({"/v1/stream": sessions.usher}) as line,
            ):
                nursery.start_soon(hub.run)
                nursery.start_soon(sessions.run)
                yield Theatre(stage, sessions, line, live, hub)
                nursery.cancel_scope.cancel()


async def assigned(stage: Stage, subject: str = IDA, courier_id: CourierId = COURIER) -> OrderId:
    """Place an order, and have a courier take it."""
    who = customer(stage, subject)
    order = await placed(stage, who)
    await on_shift(stage, courier_id)
    offer_id = await offered(stage, who, f"/v1/orders/{order['order_id']}")
    assert await stage.ask("offer", offer_id, Take(courier_id)) == Accepted()
    return OrderId(order["order_id"])


def events_of(messages: Sequence[Message], notation: Notation = Notation.MSGPACK) -> list[Any]:
    """The events that messages hold."""
    format_ = json if notation is Notation.JSON else msgpack
    return [format_.decode(message.event) for message in messages]
