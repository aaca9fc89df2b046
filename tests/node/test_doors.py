"""Clients are sent to the node that has their shard, and never to one that is gone."""

from dispatch.ids import ShardId
from dispatch.lease import LeaseRow, NodeId, NodeRow, View
from node.doors import Doorkeeper
from storage.bridge import bridged
from storage.database import connected
from storage.doors import DoorRow, close_door, fetch_doors, open_door

SHARD = ShardId(7)
OWN = DoorRow(NodeId("ann"), "127.0.0.1:1")


def a_node(
    name: str, load: float = 0.0, *, is_alive: bool = True, is_leaving: bool = False
) -> NodeRow:
    return NodeRow(
        node=NodeId(name),
        address="",
        version="1",
        load=load,
        is_alive=is_alive,
        is_leaving=is_leaving,
    )


async def test_the_owner_comes_first_then_the_least_loaded(database: str) -> None:
    nodes = (a_node("ann", 0.9), a_node("bob", 0.5), a_node("cid", 0.1))
    lease = LeaseRow(shard=SHARD, node=NodeId("ann"), left_s=2.0)
    view = View(nodes=nodes, leases=(lease,))
    async with bridged() as bridge, connected(bridge, database) as base:
        keeper = Doorkeeper(base, OWN, lambda: view)
        for name in ("bob", "cid"):
            await open_door(base, DoorRow(NodeId(name), f"{name}:1"))
        await open_door(base, OWN)
        await keeper.look()

        best, anywhere = keeper.best(SHARD), keeper.best(None)

    assert [door.node for door in best] == ["ann", "cid", "bob"]
    assert [door.node for door in anywhere] == ["cid", "bob", "ann"]
    assert keeper.another(SHARD) == "cid:1"


async def test_nobody_is_sent_to_a_node_that_died_or_leaves(database: str) -> None:
    view = View(
        nodes=(a_node("ann"), a_node("bob", is_alive=False), a_node("cid", is_leaving=True))
    )
    async with bridged() as bridge, connected(bridge, database) as base:
        keeper = Doorkeeper(base, OWN, lambda: view)
        for name in ("ann", "bob", "cid", "dora"):
            await open_door(base, DoorRow(NodeId(name), f"{name}:1"))
        await keeper.look()

        found = keeper.best(SHARD)

    assert [door.node for door in found] == ["ann"]
    assert keeper.another(SHARD) == ""


async def test_a_node_that_leaves_takes_its_door_back(database: str) -> None:
    async with bridged() as bridge, connected(bridge, database) as base:
        await open_door(base, OWN)
        await open_door(base, DoorRow(NodeId("bob"), "bob:1"))

        await close_door(base, OWN.node)
        left = await fetch_doors(base)

    assert left == (DoorRow(NodeId("bob"), "bob:1"),)
