"""The edge of one node: HTTP, sockets and streams, fitted to its actors, stores and feeds.

It lets clients in once the node has joined the cluster, and stops before it leaves: nobody new is
let in, sessions are told where to go on, what was asked is answered. When a shard moves to another
node while this one stays, its couriers are sent after it, so that their pings need no detour; until
they have gone everything works from here as well.
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

import trio

from actors.shard import Shard
from api.app import application
from api.door import serve_door
from api.limits import SharedLimits
from api.nouns import NOUNS, ROUTES
from api.ports import Edge
from api.proxies import Proxies
from api.reactor import Reactor
from api.sockets import CourierSessions
from api.statistics import Foretold, Lag, NodeStatistics, Traffic
from api.streams import StreamSessions
from dispatch.ids import ShardId
from dispatch.lease import NodeId, View
from node.clock import NodeClock, steady_s
from node.cluster import ClusterClient
from node.doors import Doorkeeper
from node.feeds import FeedHub
from node.ground import Grounds
from node.lag import LagWatch
from node.live import LiveHub
from node.reach import Reach, Take
from node.stores import Stores
from node.wayfinder import Wayfinder
from node.zones import ZoneBook
from services.accounts.service import AccountService
from storage.doors import DoorRow
from storage.idempotency import Idempotency
from storage.limits import RedisBuckets
from storage.presence import RedisPresence
from wire.frames import CloseCode

OWNER_S = 3.0
"""Time in which a shard that left has another owner; after that its couriers may go anywhere."""
LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the edge needs of its node. `address` is the door's, as clients reach it."""

    node: NodeId
    address: str
    proxies: Proxies
    shows_pulse: bool
    version: str
    stores: Stores
    clock: NodeClock
    grounds: Grounds
    zones: ZoneBook
    wayfinder: Wayfinder
    shards: Mapping[ShardId, Shard]
    take: Take
    feeds: FeedHub
    live: LiveHub
    presence: RedisPresence
    view: Callable[[], View]
    foretold: Callable[[], Mapping[str, Foretold]] = dict[str, Foretold]


class NodeEdge:
    """The edge of a node: have it `run`, and in the end `leave`."""

    def __init__(
        self, around: Surroundings, cluster: ClusterClient, accounts: AccountService
    ) -> None:
        self._around = around
        self._accounts = accounts
        self._began_s = steady_s()
        self._lag = LagWatch()
        self._leaving = trio.Event()
        self._left = trio.Event()
        self._moved: set[ShardId] = set()
        self._has_moved = trio.Event()
        self._reach = Reach(around.shards, around.take, cluster, around.view)
        own = DoorRow(around.node, around.address)
        self._doors = Doorkeeper(around.stores.database, own, around.view)
        edge = self._edge()
        self._couriers = CourierSessions(edge)
        self._streams = StreamSessions(edge)
        self._reactor = Reactor(
            {"/v1/courier": self._couriers.usher, "/v1/stream": self._streams.usher},
            proxies=around.proxies,
        )
        self._app = application(edge, NOUNS)
        for serve in ROUTES:
            serve(self._app, edge)

    async def run(self, listeners: Sequence[trio.SocketListener]) -> None:
        """Serve clients until the edge has left, or this is cancelled."""
        await self._accounts.opening()
        async with trio.open_nursery() as nursery:
            for work in (
                self._accounts.run,
                self._around.feeds.run,
                self._around.live.run,
                self._reach.run,
                self._doors.run,
                self._couriers.run,
                self._streams.run,
                self._lag.run,
                self._escort,
            ):
                nursery.start_soon(work)
            await serve_door(
                listeners,
                self._app,
                self._reactor,
                leave=self._leaving,
                farewell=self._farewell,
                proxies=self._around.proxies,
            )
            self._left.set()
            await trio.sleep_forever()  # Acts that are under way still need all the rest.

    async def leave(self) -> None:
        """Let nobody in, send everybody elsewhere, and answer what was asked."""
        await self._doors.leave()
        self._leaving.set()
        await self._left.wait()

    def moved(self, shard: ShardId) -> None:
        """Note that a shard is not here any more: its couriers are to follow it."""
        self._moved.add(shard)
        self._has_moved.set()

    def statistics(self) -> NodeStatistics:
        """Return how the node stands."""
        around, traffic, sessions = self._around, self._reactor.statistics(), self._couriers
        couriers = sessions.statistics()
        lag = self._lag.lag()
        return NodeStatistics(
            node=around.node,
            version=around.version,
            uptime_s=round(steady_s() - self._began_s, 1),
            resident_bytes=_resident_bytes(),
            cpu_s=round(time.process_time(), 3),
            loop_lag_ms=Lag(p50=lag.p50, p99=lag.p99, max=lag.max),
            shards=len(around.shards),
            couriers=couriers.welcome,
            listeners=self._streams.count(),
            traffic=Traffic(
                sockets=traffic.sockets,
                frames_in=traffic.frames_in,
                frames_out=traffic.frames_out,
                cut_off=traffic.too_slow + traffic.too_many,
                pings=couriers.pings,
            ),
            messages=sum(one.statistics().totals.messages for one in around.shards.values()),
            foretold=dict(around.foretold()),
        )

    def _edge(self) -> Edge:
        around, stores = self._around, self._around.stores
        return Edge(
            node=around.node,
            cluster=stores.cluster,
            clock=around.clock,
            entropy=token_bytes,
            database=stores.database,
            replica=stores.replica,
            redis=stores.redis,
            actors=self._reach,
            map=around.grounds,
            zones=around.zones,
            wayfinder=around.wayfinder,
            feeds=around.feeds,
            live=around.live,
            presence=around.presence,
            accounts=self._accounts,
            limits=SharedLimits(RedisBuckets(stores.redis, stores.cluster), steady_s),
            idempotency=Idempotency(stores.database),
            doors=self._doors,
            is_ready=self._is_ready,
            shows_pulse=around.shows_pulse,
            statistics=self.statistics,
        )

    def _is_ready(self) -> bool:
        """Tell whether this node is among the living, and every shard has an owner."""
        view = self._around.view()
        is_known = any(one.node == self._around.node and one.is_alive for one in view.nodes)
        return is_known and all(lease.node is not None for lease in view.leases)

    async def _farewell(self) -> None:
        """Send everybody to another node, then close what is left."""
        address = self._doors.another(None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._couriers.send_away, None, address)
            nursery.start_soon(self._streams.send_away, address)
        await self._reactor.close_all(CloseCode.RESTART, "the node leaves")

    async def _escort(self) -> None:
        """Send the couriers of shards that moved after them."""
        while True:
            await self._has_moved.wait()
            self._has_moved = trio.Event()
            while self._moved:
                shard = self._moved.pop()
                if not self._leaving.is_set():
                    await self._couriers.send_away(shard, await self._new_address(shard))

    async def _new_address(self, shard: ShardId) -> str:
        """Return the door of the shard's new owner, empty where there is none in time."""
        for _ in range(round(OWNER_S / LOOK_S)):
            if self._has_owner(shard):
                return self._doors.another(shard)
            await trio.sleep(LOOK_S)
        return ""

    def _has_owner(self, shard: ShardId) -> bool:
        leases = self._around.view().leases
        owners = [lease.node for lease in leases if lease.shard == shard and lease.left_s > 0]
        return bool(owners) and owners[0] != self._around.node


def _resident_bytes() -> int:
    """Return the memory of this process that is its own."""
    resident, shared = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
    return (int(resident) - int(shared)) * resource.getpagesize()
