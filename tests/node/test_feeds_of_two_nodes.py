"""Two devices of one person on two nodes over real servers: each message once and in order.

The short form of what happens when nodes are killed: batches are committed through one node and the
other, which tell each other of them by Redis when they can; nodes and the devices' sockets go away
in the middle, and devices come back on another node with the number they saw last.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from msgspec import Struct, msgpack

from dispatch.ids import Instant, ShardId
from dispatch.journal import Batch, FeedRow
from dispatch.lease import NodeId
from node.feeds import FeedHub, FeedLimits, Follower
from node.live import LiveHub
from storage.bridge import Bridge, bridged
from storage.database import Database
from storage.live import RedisLive
from storage.postgres import PostgresStore
from storage.presence import RedisPresence
from storage.redis import RedisServer, redis_server

ANN = "usr_ann"
OTHERS = tuple(f"usr_{at}" for at in range(20))
LIMITS = FeedLimits(look_s=0.5, page_max=16, waiting_max=4)


class Said(Struct, frozen=True, tag="said"):
    """A message of a feed."""

    text: str


class Process:
    """One node, as far as feeds go: it commits for one shard and shows what it can."""

    def __init__(
        self, bridge: Bridge, url: str, redis: RedisServer, shard: ShardId, name: str
    ) -> None:
        self.database = Database(bridge, url)
        self.store = PostgresStore(self.database)
        self.live = LiveHub(
            RedisLive(redis, "c"), RedisPresence(redis, "c"), NodeId(name), lambda: True
        )
        self.hub = FeedHub(self.store, LIMITS, self.live)
        self.shard = shard
        self.scope = trio.CancelScope()
        self._batch = 0
        self._epoch = 0

    async def run(self) -> None:
        """Live until killed."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.live.run)
                nursery.start_soon(self.hub.run)
        with trio.CancelScope(shield=True):
            await self.database.close()

    async def open(self) -> None:
        """Take the shard over."""
        recovered = await self.store.open(self.shard)
        self._epoch, self._batch = recovered.epoch, recovered.number

    async def commit(self, persons: list[str], text: str) -> int:
        """Commit a message for each, and publish them as a shard does; return the epoch."""
        said = Said(text)
        rows = tuple(FeedRow(person, msgpack.encode(said)) for person in persons)
        self._batch += 1
        batch = Batch(self.shard, self._epoch, self._batch, Instant(0), feed=rows)
        committed = await self.store.commit(batch)
        for person, number in zip(persons, committed.feed_numbers, strict=True):
            self.hub.publish(person, number, said, self._epoch)
        return self._epoch


class Device:
    """A device of Ann's: what it has seen, and the follower of its socket now."""

    def __init__(self, rng: Random) -> None:
        self.seen: list[tuple[int, int, str]] = []
        self._rng = rng
        self._follower: Follower | None = None
        self.process: Process | None = None

    def connect(self, process: Process) -> None:
        """Come back, and say which message was seen last."""
        self.process = process
        if self._follower is not None:
            self._follower.end()
        last = self.seen[-1][0] if self.seen else 0
        self._follower = process.hub.follow(ANN, last, self._show)

    def drain(self) -> None:
        """There is room again."""
        if self._follower is not None:
            self._follower.resume()

    def _show(self, number: int, epoch: int, message: bytes) -> bool:
        if self._rng.random() < 0.2:
            return False
        self.seen.append((number, epoch, msgpack.decode(message, type=Said).text))
        return True


class Cluster:
    """Two nodes on the same servers; one that is killed is started again."""

    def __init__(self, nursery: trio.Nursery, bridge: Bridge, url: str, redis: RedisServer) -> None:
        self._nursery = nursery
        self._bridge = bridge
        self._url = url
        self._redis = redis
        self._lives = 0
        self.nodes: list[Process] = []

    async def start(self, at: int) -> None:
        """Start the node, in the place of the one that was there."""
        self._lives += 1
        name = f"node-{self._lives}"
        process = Process(self._bridge, self._url, self._redis, ShardId(at + 1), name)
        self.nodes[at : at + 1] = [process]
        self._nursery.start_soon(process.run)
        await process.open()

    async def kill(self, at: int) -> None:
        """Kill the node and start it again."""
        self.nodes[at].scope.cancel()
        await self.start(at)


@asynccontextmanager
async def clustered(database: str, redis_url: str) -> AsyncGenerator[Cluster]:
    async with (
        bridged() as bridge,
        redis_server(bridge, redis_url) as redis,
        trio.open_nursery() as nursery,
    ):
        cluster = Cluster(nursery, bridge, database, redis)
        for at in range(2):
            await cluster.start(at)
        yield cluster
        for node in cluster.nodes:
            node.scope.cancel()


@pytest.mark.parametrize(
    ("seed", "turns"),
    [(1, 60), (2, 60), pytest.param(3, 2_000, marks=pytest.mark.slow)],
)
async def test_two_devices_see_each_message_once_and_in_order_while_nodes_come_and_go(
    seed: int, turns: int, database: str, redis_url: str
) -> None:
    rng, committed = Random(seed), list[str]()
    devices = [Device(Random(seed)), Device(Random(seed + 1))]
    async with clustered(database, redis_url) as cluster:
        for device, node in zip(devices, cluster.nodes, strict=True):
            device.connect(node)
        for turn in range(turns):
            at = rng.randrange(2)
            persons = [ANN, *rng.sample(OTHERS, 3)]
            await cluster.nodes[at].commit(persons, f"{turn}")
            committed.append(f"{turn}")
            if rng.random() < 0.05:
                killed = rng.randrange(2)
                cut_off = [one for one in devices if one.process is cluster.nodes[killed]]
                await cluster.kill(killed)
                for device in cut_off:
                    device.connect(cluster.nodes[1 - killed])
            if rng.random() < 0.1:
                rng.choice(devices).connect(rng.choice(cluster.nodes))
            for device in devices:
                device.drain()
        with trio.fail_after(20):
            while min(len(device.seen) for device in devices) < turns:
                for device in devices:
                    device.drain()
                await trio.sleep(0.02)

    for device in devices:
        assert [number for number, _, _ in device.seen] == list(range(1, turns + 1))
        assert [text for _, _, text in device.seen] == committed
        assert min(epoch for _, epoch, _ in device.seen) >= 1
