"""Live channels between nodes: heard here at once, elsewhere by Redis, and never twice."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from api.channels import AWAY, HERE
from dispatch.lease import NodeId
from node.live import LiveHub
from storage.bridge import bridged
from storage.live import RedisLive
from storage.presence import Attendance, RedisPresence
from storage.redis import redis_server
from tests.storage.valkey import until


class Stage:
    """Two nodes on one server."""

    def __init__(self, hubs: tuple[LiveHub, LiveHub], presence: RedisPresence) -> None:
        self.here, self.there = hubs
        self.presence = presence

    async def met(self) -> None:
        """Wait until each hears the other."""
        for one, other in ((self.here, self.there), (self.there, self.here)):
            heard: list[bytes] = []
            silence = one.subscribe("met", heard.append)
            while not heard:
                other.publish("met", b"")
                await trio.sleep(0.01)
            silence()


@asynccontextmanager
async def staged(url: str, *, has_others: bool = True) -> AsyncGenerator[Stage]:
    """Two nodes that run."""
    async with (
        bridged() as bridge,
        redis_server(bridge, url) as server,
        trio.open_nursery() as nursery,
    ):
        presence = RedisPresence(server, "c")
        hubs = [
            LiveHub(RedisLive(server, "c"), presence, NodeId(name), lambda: has_others)
            for name in ("here", "there")
        ]
        for hub in hubs:
            nursery.start_soon(hub.run)
        yield Stage((hubs[0], hubs[1]), presence)
        nursery.cancel_scope.cancel()


async def test_what_is_published_is_heard_once_on_either_node(redis_url: str) -> None:
    async with staged(redis_url) as stage:
        await stage.met()
        here, there = list[bytes](), list[bytes]()
        stage.here.subscribe("a", here.append)
        stage.there.subscribe("a", there.append)
        heard = list[bytes]()
        stage.there.subscribe("b", heard.append)
        while not heard:
            stage.here.publish("b", b"joined")
            await trio.sleep(0.01)
        stage.here.publish("a", b"1")
        at_once = list(here)
        stage.here.publish("a", b"2")
        await until(lambda: len(there) == 2)
        await trio.sleep(0.1)

    assert at_once == [b"1"]
    assert (here, there) == ([b"1", b"2"], [b"1", b"2"])


async def test_a_channel_is_heard_until_it_is_silenced_and_the_others_go_on(
    redis_url: str,
) -> None:
    async with staged(redis_url) as stage:
        first, second = list[bytes](), list[bytes]()
        silence = stage.here.subscribe("a", first.append)
        stage.here.subscribe("a", second.append)
        stage.here.publish("a", b"1")
        silence()
        silence()
        stage.here.publish("a", b"2")

    assert (first, second) == ([b"1"], [b"1", b"2"])


async def test_a_node_that_is_alone_says_nothing_to_the_server(redis_url: str) -> None:
    async with bridged() as bridge, redis_server(bridge, redis_url) as server:
        wires = RedisLive(server, "c")
        alone = LiveHub(wires, RedisPresence(server, "c"), NodeId("here"), lambda: False)
        heard = list[bytes]()
        alone.subscribe("a", heard.append)

        alone.publish("a", b"1")

    assert heard == [b"1"]
    assert wires.statistics().waiting == 0


async def test_a_persons_coming_and_going_is_heard_on_every_node(redis_url: str) -> None:
    phone = Attendance("crr_1", NodeId("here"), "ses_1")
    async with staged(redis_url) as stage:
        await stage.met()
        here, there = list[bytes](), list[bytes]()
        stage.here.subscribe("presence:crr_1", here.append)
        stage.there.subscribe("presence:crr_1", there.append)
        while not (here and there):  # The channel of presence is joined soon, not at once.
            await stage.presence.leave(phone)
            await stage.presence.arrive(phone)
            await trio.sleep(0.01)
        await stage.presence.leave(phone)
        await until(lambda: here[-1:] == there[-1:] == [AWAY])

    assert HERE in here
    assert HERE in there
