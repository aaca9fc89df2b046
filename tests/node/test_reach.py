"""The edge reaches an actor whether its shard is on this node, on another, or on its way."""

from collections.abc import Sequence

import pytest
import trio
from msgspec import Struct

from actors.failures import ActorGone
from api.ports import Unavailable
from dispatch.ids import ShardId
from dispatch.lease import NodeId, NodeRow, View
from dispatch.step import Accepted
from geo.ping import Ping, Track
from node import reach as reaching
from node.reach import Reach
from tests.node.loopback import SHARD, Desk, Node, Text, alive, answering, clustered

MESSAGE = Text("hello")
TRACK = Track("crr_1", (Ping(55.6, 12.5, 4.0, 1_700_000_000_000),))


class ShardHere:
    """A shard of this node; it may be closing."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.is_open = is_open
        self.asked: list[str] = []

    async def ask(self, kind: str, key: str, message: Struct, timeout_s: float) -> Struct:
        del kind, message, timeout_s
        await trio.lowlevel.checkpoint()
        if not self.is_open:
            raise ActorGone("it is closing")
        self.asked.append(key)
        return Accepted()


class Taken:
    """Notes the pings that this node takes itself."""

    def __init__(self) -> None:
        self.tracks: list[tuple[ShardId, Track]] = []

    def __call__(self, shard: ShardId, tracks: Sequence[Track]) -> None:
        self.tracks += [(shard, track) for track in tracks]


def a_view(*nodes: Node) -> View:
    """Return a view in which these nodes are alive."""
    rows = [
        NodeRow(node=NodeId(f"n{at}"), address=node.address, version="1", is_alive=True)
        for at, node in enumerate(nodes)
    ]
    return View(nodes=tuple(rows))


async def test_a_shard_of_this_node_is_asked_without_a_link() -> None:
    here, elsewhere = ShardHere(), Desk()
    async with alive() as nursery:
        node = await answering(nursery, elsewhere)
        reach = Reach({SHARD: here}, Taken(), clustered(nursery, node), a_view)  # pyright: ignore[reportArgumentType] (an `Askable` stands in)

        answer = await reach.ask(SHARD, "order", "o1", MESSAGE)

    assert answer == Accepted()
    assert (here.asked, elsewhere.asked) == (["o1"], [])


@pytest.mark.parametrize("shards", [{}, {SHARD: ShardHere(is_open=False)}], ids=["gone", "closing"])
async def test_a_shard_that_is_not_open_here_is_asked_where_it_is(
    shards: dict[ShardId, ShardHere],
) -> None:
    elsewhere = Desk()
    async with alive() as nursery:
        node = await answering(nursery, elsewhere)
        elsewhere.address_of_owner = node.address
        reach = Reach(shards, Taken(), clustered(nursery, node), a_view)  # pyright: ignore[reportArgumentType] (an `Askable` stands in)

        answer = await reach.ask(SHARD, "order", "o1", MESSAGE)

    assert answer == Accepted()
    assert [asked.key for asked in elsewhere.asked] == ["o1"]


async def test_whoever_cannot_be_reached_in_time_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaching, "ASK_S", 0.1)
    async with alive() as nursery:
        node = await answering(nursery, Desk())
        reach = Reach({}, Taken(), clustered(nursery, node), a_view)

        with pytest.raises(Unavailable, match="order o1 did not answer"):
            await reach.ask(SHARD, "order", "o1", MESSAGE)


async def test_pings_go_to_the_node_that_has_their_shard() -> None:
    taken, elsewhere = Taken(), Desk()
    other = ShardId(8)
    async with alive() as nursery:
        node = await answering(nursery, elsewhere)
        elsewhere.address_of_owner = node.address
        here = {other: ShardHere()}
        reach = Reach(here, taken, clustered(nursery, node), lambda: a_view(node))  # pyright: ignore[reportArgumentType] (an `Askable` stands in)
        nursery.start_soon(reach.run)

        reach.take(other, [TRACK])
        reach.take(SHARD, [TRACK])
        with trio.fail_after(5):
            while not elsewhere.taken:
                await trio.lowlevel.checkpoint()

    assert taken.tracks == [(other, TRACK)]
    assert elsewhere.taken == [(SHARD, TRACK)]
