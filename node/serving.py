"""One node of a cluster, fitted together: what `python -m node` runs until it is told to leave.

A node hosts the shards that its keeper holds, relays what they tell the shards of others, answers
peers on its link, and keeps a copy of where couriers are. Its stores are Postgres and Redis: while
Postgres is away its shards stop and wait for it, while Redis is away it goes on.

It ends in order when it is told to leave: shards stop, their leases are let go, then the link is
closed. It ends with an error when recovering shards does not help, and whoever supervises it starts
another.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from random import Random
from secrets import token_hex

import trio
from msgspec import Struct

from actors.directory import Neighbours
from actors.shard import Shard
from dispatch.lease import NodeId, NodeRow
from dispatch.policy import Policy
from geo.eta import Eta
from geo.travel import LearnedPace
from node.accounts import account_service
from node.atlas import Atlas
from node.auditor import Auditor
from node.backend import ShardBackend
from node.clock import NodeClock, steady_s
from node.cluster import ClusterClient
from node.config import Config
from node.edge import NodeEdge, Surroundings
from node.estimates import Estimates
from node.feeds import FeedHub
from node.garbage import collect_thoroughly
from node.ground import Grounds
from node.hosting import Hosting, kinds
from node.keeper import Keeper, Terms
from node.letters import LetterDesk
from node.link import serve_link
from node.live import LiveHub
from node.lookout import Lookouts
from node.paces import Paces
from node.relay import ClusterRelay
from node.retention import Retention
from node.services import ServiceDesk, Work
from node.stores import Stores
from node.tenancy import Tenancy
from node.wayfinder import Wayfinder
from node.worker import Worker
from node.zones import ZoneBook
from storage import markets
from storage.bus import RedisBus
from storage.claims import PostgresClaims
from storage.clock import database_time
from storage.database import DatabaseUnreachable
from storage.idempotency import Idempotency
from storage.learned import RedisLearned
from storage.leases import PostgresLeases
from storage.letters import PostgresLetters
from storage.live import RedisLive
from storage.positions import RedisPositions
from storage.postgres import PostgresStore
from storage.presence import RedisPresence

VERSION = version("food-dispatch")
TERMS = Terms()
SERVICES: Mapping[str, Work] = {}
"""The services besides the solver. What is asked of one that is not here is a dead letter."""
ATLAS_S = 2.0
"""Time between two readings of the markets."""
CLOCK_ROUNDS = 15
"""Readings of the markets between two looks at the database's clock."""
FORGET_ROUNDS = 300
"""Readings of the markets between two clearances of requests whose day is over."""
BACKLOG = 1_024
"""Connections that the system may hold until the door takes them."""


class Announcement(Struct, frozen=True):
    """What a node says of itself once it can be spoken to.

    `address` is that of its link, for nodes; `door` is where it serves clients.
    """

    node: NodeId
    address: str
    door: str = ""


@dataclass(slots=True)
class Node:
    """A node that runs."""

    announcement: Announcement
    stores: Stores
    clock: NodeClock
    atlas: Atlas
    zones: ZoneBook
    worker: Worker
    hosting: Hosting
    keeper: Keeper
    lookouts: Lookouts
    estimates: Estimates
    paces: Paces
    services: ServiceDesk
    letters: LetterDesk
    live: LiveHub
    feeds: FeedHub
    edge: NodeEdge | None = None
    auditor: Auditor | None = None

    async def leave(self) -> None:
        """Send clients elsewhere, stop every shard in order and let go of it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.keeper.leave)
            if self.edge is not None:
                nursery.start_soon(self.edge.leave)

    async def attend(self, shard: Shard, tenancy: Tenancy) -> None:
        """Look after a shard while it is here, and have its couriers follow it afterwards."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.estimates.attend, shard, tenancy)
                nursery.start_soon(self.paces.attend, shard, tenancy)
                nursery.start_soon(self.lookouts.attend, shard, tenancy)
        finally:
            if self.edge is not None:
                self.edge.moved(shard.id)

    async def read_atlas(self) -> None:
        """Read the markets and their zones now."""
        self.atlas.read(await markets.fetch_all(self.stores.database))
        await self.zones.refresh()

    async def set_clock(self) -> None:
        """Go by the database's clock as it stands now."""
        asked_s = steady_s()
        told = await database_time(self.stores.database)
        self.clock.set(told, asked_s, steady_s())

    async def keep_abreast(self) -> None:
        """Read markets and clock again and again; a database that is away is asked later."""
        rounds = 0
        while True:
            with suppress(DatabaseUnreachable):
                await self.read_atlas()
                if rounds % FORGET_ROUNDS == 0:
                    await Idempotency(self.stores.database).forget_old()
                if rounds % CLOCK_ROUNDS == 0:
                    await self.set_clock()
            rounds += 1
            await trio.sleep(ATLAS_S)


@asynccontextmanager
async def serving(config: Config, stores: Stores, terms: Terms = TERMS) -> AsyncGenerator[Node]:
    """Run a node for as long as the block does; to leave in order is for the block to ask.

    Raises NodeFailed, in a group, when recovering shards does not help.
    """
    assert config.cluster_secret is not None
    listeners = await trio.open_tcp_listeners(config.link_port, host=config.link_host)
    doors = await trio.open_tcp_listeners(config.http_port, host=config.http_host, backlog=BACKLOG)
    announcement = Announcement(
        NodeId(f"{config.node_name or 'node'}-{token_hex(4)}"),
        f"{config.link_host}:{_port(listeners)}",
        config.door(_port(doors)),
    )
    node, bus, backend = _fitted(stores, announcement, terms)
    await node.set_clock()
    await node.read_atlas()
    async with trio.open_nursery() as nursery:
        for work in (
            node.keep_abreast,
            bus.run,
            node.worker.run,
            node.keeper.run,
            node.estimates.run,
            collect_thoroughly,
        ):
            nursery.start_soon(work)
        retention = Retention(
            stores.database, feed_days=config.feed_kept_days, fact_days=config.facts_kept_days
        )
        nursery.start_soon(retention.run)
        for desk in (node.services, node.letters):
            nursery.start_soon(desk.run)
        nursery.start_soon(
            partial(
                serve_link,
                listeners,
                node=announcement.node,
                secret=config.cluster_secret.encode(),
                backend=backend,
            )
        )
        node.edge = _edged(node, nursery, config)
        nursery.start_soon(node.edge.run, doors)
        if config.audit_every:
            node.auditor = Auditor(config.audit_every)
            node.worker.overhear = node.auditor.overhear
            nursery.start_soon(node.auditor.run)
        yield node
        nursery.cancel_scope.cancel()


def _port(listeners: Sequence[trio.SocketListener]) -> int:
    return listeners[0].socket.getsockname()[1]


def _edged(node: Node, nursery: trio.Nursery, config: Config) -> NodeEdge:
    """Return the node's edge; its links to other nodes live in `nursery`."""
    stores, announcement, secret = node.stores, node.announcement, config.cluster_secret
    assert secret is not None
    surroundings = Surroundings(
        node=announcement.node,
        address=announcement.door,
        proxies=config.proxies(),
        shows_pulse=config.show_pulse,
        version=VERSION,
        stores=stores,
        clock=node.clock,
        grounds=Grounds(node.atlas, node.estimates.find),
        zones=node.zones,
        wayfinder=Wayfinder(atlas=node.atlas, closed=node.zones.closed),
        shards=node.hosting.shards,
        take=node.lookouts.take,
        feeds=node.feeds,
        live=node.live,
        presence=RedisPresence(stores.redis, stores.cluster),
        view=lambda: node.keeper.view,
        foretold=node.estimates.foretold,
    )
    cluster = ClusterClient(
        nursery,
        [announcement.address],
        secret.encode(),
        Random(announcement.node),
        name=announcement.node,
    )
    accounts = account_service(
        stores.database, stores.redis, cluster=stores.cluster, secret=secret, clock=node.clock
    )
    return NodeEdge(surroundings, cluster, accounts)


def _fitted(
    stores: Stores, announcement: Announcement, terms: Terms
) -> tuple[Node, RedisBus, ShardBackend]:
    """Return a node whose parts know each other."""
    clock, atlas, worker, neighbours = NodeClock(), Atlas(), Worker(), Neighbours()
    journal = PostgresStore(stores.database, announcement.node)
    presence = RedisPresence(stores.redis, stores.cluster)
    live = LiveHub(
        RedisLive(stores.redis, stores.cluster),
        presence,
        announcement.node,
        lambda: len([one for one in keeper.view.nodes if one.is_alive]) > 1,
    )
    feeds = FeedHub(journal, live=live)
    bus = RedisBus(stores.redis, stores.cluster)
    zones = ZoneBook(stores.database, clock)
    lookouts = Lookouts(atlas, RedisPositions(stores.redis, stores.cluster), clock, live, zones)
    estimates = Estimates(
        RedisLearned(stores.redis, stores.cluster, "eta", Eta),
        clock,
        lambda: atlas.shards().values(),
    )
    paces = Paces(RedisLearned(stores.redis, stores.cluster, "pace", LearnedPace))
    services = ServiceDesk(
        SERVICES, PostgresClaims(stores.database), announcement.node, Random(announcement.node)
    )

    async def attend(shard: Shard, tenancy: Tenancy) -> None:
        await node.attend(shard, tenancy)

    hosting = Hosting(
        clock=clock,
        journal=journal,
        markets=atlas.find_market,
        neighbours=neighbours,
        relay=ClusterRelay(bus, neighbours),
        feeds=feeds,
        worker=worker,
        sightings=lookouts.sightings,
        closed=zones.closed,
        attend=attend,
        listen=estimates.listen,
        follow=paces.follow,
        serve=services.window,
    )
    row = NodeRow(node=announcement.node, address=announcement.address, version=VERSION)
    keeper = Keeper(PostgresLeases(stores.leases), row, hosting.host, terms, steady_s)
    node = Node(
        announcement=announcement,
        stores=stores,
        clock=clock,
        atlas=atlas,
        zones=zones,
        worker=worker,
        hosting=hosting,
        keeper=keeper,
        lookouts=lookouts,
        estimates=estimates,
        paces=paces,
        services=services,
        letters=LetterDesk(
            PostgresLetters(stores.database), kinds(Policy()), lambda: hosting.shards
        ),
        live=live,
        feeds=feeds,
    )
    backend = ShardBackend(
        kinds(Policy()),
        feeds,
        find_shard=hosting.shards.get,
        take=lookouts.take,
        view=lambda: keeper.view,
        markets=atlas.shards,
    )
    return node, bus, backend
