"""One node of a cluster, fitted together: what `python -m node` runs until it is told to leave.

A node hosts the shards that its keeper holds, relays what they tell the shards of others, answers
peers on its link, and keeps a copy of where couriers are. Its stores are Postgres and Redis: while
Postgres is away its shards stop and wait for it, while Redis is away it goes on.

It ends in order when it is told to leave: shards stop, their leases are let go, then the link is
closed. It ends with an error when recovering shards does not help, and whoever supervises it starts
another.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from random import Random
from secrets import token_hex

import trio
from msgspec import Struct

from actors.directory import Neighbours
from dispatch.lease import NodeId, NodeRow
from dispatch.policy import Policy
from node.atlas import Atlas
from node.backend import ShardBackend
from node.clock import NodeClock, steady_s
from node.config import Config
from node.feeds import FeedHub
from node.hosting import Hosting, kinds
from node.keeper import Keeper, Terms
from node.letters import LetterDesk
from node.link import serve_link
from node.lookout import Lookouts
from node.relay import ClusterRelay
from node.services import ServiceDesk, Work
from node.worker import Worker
from storage import leases, markets
from storage.bridge import bridged
from storage.bus import RedisBus
from storage.claims import PostgresClaims
from storage.clock import database_time
from storage.database import Database, DatabaseUnreachable
from storage.leases import PostgresLeases
from storage.letters import PostgresLetters
from storage.migrate import check
from storage.positions import RedisPositions
from storage.postgres import PostgresStore
from storage.redis import RedisServer, redis_server

VERSION = version("food-dispatch")
TERMS = Terms()
SERVICES: Mapping[str, Work] = {}
"""The services besides the solver. What is asked of one that is not here is a dead letter."""
ATLAS_S = 2.0
"""Time between two readings of the markets."""
CLOCK_ROUNDS = 15
"""Readings of the markets between two looks at the database's clock."""


class Announcement(Struct, frozen=True):
    """What a node says of itself once it can be spoken to.

    `address` is that of its link, for nodes; `door` is where it serves clients.
    """

    node: NodeId
    address: str
    door: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What a node's servers are reached by. The leases have connections that nobody else uses."""

    database: Database
    leases: Database
    redis: RedisServer
    cluster: str


@asynccontextmanager
async def stored(config: Config) -> AsyncGenerator[Stores]:
    """Reach the servers of a node, and let go of them in the end."""
    assert config.database_url is not None
    assert config.redis_url is not None
    async with bridged() as bridge, redis_server(bridge, config.redis_url) as redis:
        database = Database(bridge, config.database_url)
        hold = Database(bridge, config.database_url, leases.TERMS)
        try:
            yield Stores(database=database, leases=hold, redis=redis, cluster=config.cluster_name)
        finally:
            with trio.CancelScope(shield=True):
                await hold.close()
                await database.close()


async def reached(database: Database, tell: Callable[[str], None]) -> None:
    """Wait for the database to answer, then see whether its schema is the one of this version.

    Raises DatabaseRefused, with one sentence, for what an operator must mend.
    """
    while True:
        try:
            return await check(database)
        except DatabaseUnreachable as error:
            tell(f"waiting: {error}")
            await trio.sleep(1)


@dataclass(slots=True)
class Node:
    """A node that runs."""

    announcement: Announcement
    stores: Stores
    clock: NodeClock
    atlas: Atlas
    worker: Worker
    hosting: Hosting
    keeper: Keeper
    lookouts: Lookouts
    services: ServiceDesk
    letters: LetterDesk

    async def leave(self) -> None:
        """Stop every shard in order and let go of it."""
        await self.keeper.leave()

    async def read_atlas(self) -> None:
        """Read the markets now."""
        self.atlas.read(await markets.fetch_all(self.stores.database))

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
    name = NodeId(f"{config.node_name or 'node'}-{token_hex(4)}")
    port: int = listeners[0].socket.getsockname()[1]
    announcement = Announcement(name, f"{config.link_host}:{port}")
    node, bus, backend = _fitted(stores, announcement, terms)
    await node.set_clock()
    await node.read_atlas()
    async with trio.open_nursery() as nursery:
        for work in (node.keep_abreast, bus.run, node.worker.run, node.keeper.run):
            nursery.start_soon(work)
        for desk in (node.services, node.letters):
            nursery.start_soon(desk.run)
        nursery.start_soon(
            partial(
                serve_link,
                listeners,
                node=name,
                secret=config.cluster_secret.encode(),
                backend=backend,
            )
        )
        yield node
        nursery.cancel_scope.cancel()


def _fitted(
    stores: Stores, announcement: Announcement, terms: Terms
) -> tuple[Node, RedisBus, ShardBackend]:
    """Return a node whose parts know each other."""
    clock, atlas, worker, neighbours = NodeClock(), Atlas(), Worker(), Neighbours()
    journal = PostgresStore(stores.database, announcement.node)
    feeds = FeedHub(journal)
    bus = RedisBus(stores.redis, stores.cluster)
    lookouts = Lookouts(atlas, RedisPositions(stores.redis, stores.cluster), clock)
    services = ServiceDesk(
        SERVICES, PostgresClaims(stores.database), announcement.node, Random(announcement.node)
    )
    hosting = Hosting(
        clock=clock,
        journal=journal,
        markets=atlas.find_market,
        neighbours=neighbours,
        relay=ClusterRelay(bus, neighbours),
        feeds=feeds,
        worker=worker,
        sightings=lookouts.sightings,
        attend=lookouts.attend,
        serve=services.window,
    )
    row = NodeRow(node=announcement.node, address=announcement.address, version=VERSION)
    keeper = Keeper(PostgresLeases(stores.leases), row, hosting.host, terms, steady_s)
    node = Node(
        announcement=announcement,
        stores=stores,
        clock=clock,
        atlas=atlas,
        worker=worker,
        hosting=hosting,
        keeper=keeper,
        lookouts=lookouts,
        services=services,
        letters=LetterDesk(
            PostgresLetters(stores.database), kinds(Policy()), lambda: hosting.shards
        ),
    )
    backend = ShardBackend(
        kinds(Policy()),
        feeds,
        find_shard=hosting.shards.get,
        view=lambda: keeper.view,
        markets=atlas.shards,
    )
    return node, bus, backend
