"""Nodes that answer on loopback sockets, for tests of the link: real frames over real connections.

A `Desk` is a backend without actors: it answers what a test tells it to, and shows feeds from a
journal in memory, by way of a real `FeedHub`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from random import Random

import trio
from msgspec import Struct, msgpack

from dispatch.ids import MarketId, ShardId
from dispatch.journal import FeedEntry
from dispatch.lease import NodeId
from dispatch.step import Accepted
from geo.ping import Track
from node.cluster import ClusterClient, ClusterLimits
from node.feeds import FeedHub, FeedLimits, Listening
from node.line import LinkLimits
from node.link import Backend, serve_link
from node.peer import LinkClient, dialled
from wire.link import Ask, Outcome, Owner

SECRET = b"a secret of this cluster"
SHARD = ShardId(7)
PERSON = "cus_1"
EPOCH = 3
BRISK = LinkLimits(proof_s=0.5, beat_s=0.05, idle_s=0.5, stall_s=0.5)
BRISK_FEEDS = FeedLimits(look_s=0.05, backoff_s=0.01)
BRISK_CLUSTER = ClusterLimits(shun_s=0.05, look_s=0.05)


class Text(Struct, frozen=True, tag="text"):
    """A feed message."""

    text: str


class FeedStore:
    """The feeds of all persons, as a journal keeps them."""

    def __init__(self) -> None:
        self.messages: dict[str, list[bytes]] = {}
        self.reads = self.looks = 0

    def commit(self, person: str, text: str) -> int:
        """Keep a message and return its number."""
        feed = self.messages.setdefault(person, [])
        feed.append(msgpack.encode(Text(text)))
        return len(feed)

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]:
        self.reads += 1
        await trio.lowlevel.checkpoint()
        return [self._page(person, after, page_max) for person, after in wanted]

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]:
        self.looks += 1
        await trio.lowlevel.checkpoint()
        return {one: len(self.messages[one]) for one in persons if one in self.messages}

    def _page(self, person: str, after: int, page_max: int) -> list[FeedEntry]:
        entries = enumerate(self.messages.get(person, [])[after:], start=after + 1)
        return [FeedEntry(number, EPOCH, message) for number, message in entries][:page_max]


async def accepted(_asked: Ask) -> Outcome:
    """Accept whatever is asked."""
    await trio.lowlevel.checkpoint()
    return Accepted()


class Desk:
    """A backend that answers as it is told to."""

    def __init__(self, store: FeedStore | None = None, limits: FeedLimits = BRISK_FEEDS) -> None:
        self.store = store or FeedStore()
        self.hub = FeedHub(self.store, limits)
        self.answer: Callable[[Ask], Awaitable[Outcome]] = accepted
        self.asked: list[Ask] = []
        self.taken: list[tuple[ShardId, Track]] = []
        self.address_of_owner = ""
        self.peers: tuple[str, ...] = ()

    async def ask(self, asked: Ask) -> Outcome:
        self.asked.append(asked)
        return await self.answer(asked)

    def take(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        self.taken += [(shard, track) for track in tracks]

    def owner(self, number: int, place: ShardId | MarketId) -> Owner:
        del place
        return Owner(number, SHARD, self.address_of_owner, self.peers)

    def listening(self, person: str, after: int) -> AbstractContextManager[Listening]:
        return self.hub.listening(person, after)

    def say(self, text: str) -> None:
        """Commit a message for the person and publish it."""
        self.hub.publish(PERSON, self.store.commit(PERSON, text), Text(text), EPOCH)


class Node:
    """A node that answers on the link until it is cut."""

    def __init__(self, address: str, scope: trio.CancelScope) -> None:
        self.address = address
        self._scope = scope

    def cut(self) -> None:
        """End the node and all its connections at once."""
        self._scope.cancel()


async def answering(
    nursery: trio.Nursery, backend: Backend, *, port: int = 0, limits: LinkLimits = BRISK
) -> Node:
    """Return a node that answers from the backend, on a free port unless one is named."""
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    scope = trio.CancelScope()

    async def serve() -> None:
        with scope:
            async with trio.open_nursery() as running:
                if isinstance(backend, Desk):
                    running.start_soon(backend.hub.run)
                await serve_link(
                    listeners, node=NodeId("n"), secret=SECRET, backend=backend, limits=limits
                )

    nursery.start_soon(serve)
    host, found = listeners[0].socket.getsockname()[:2]
    return Node(f"{host}:{found}", scope)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that rings no bell here, because it happens on the other side."""
    with trio.fail_after(3):
        while not is_so():  # noqa: ASYNC110 - as the sentence says.
            await trio.sleep(0.001)


@asynccontextmanager
async def alive() -> AsyncGenerator[trio.Nursery]:
    """Yield a nursery whose tasks end with the block."""
    async with trio.open_nursery() as nursery:
        with trio.fail_after(5):
            yield nursery
        nursery.cancel_scope.cancel()


async def linked(
    nursery: trio.Nursery, node: Node, *, secret: bytes = SECRET, limits: LinkLimits = BRISK
) -> LinkClient:
    """Return a link to the node."""
    return await dialled(nursery, node.address, secret, name="client", limits=limits)


def clustered(
    nursery: trio.Nursery, *nodes: Node, link: LinkLimits = BRISK, seed: int = 1
) -> ClusterClient:
    """Return a client of a cluster of these nodes."""
    return ClusterClient(
        nursery,
        [node.address for node in nodes],
        SECRET,
        Random(seed),
        link=link,
        limits=BRISK_CLUSTER,
    )


def texts(messages: Sequence[tuple[int, bytes]]) -> list[tuple[int, str]]:
    """Return what the messages say, with their numbers."""
    return [(number, msgpack.decode(message, type=Text).text) for number, message in messages]
