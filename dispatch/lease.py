"""Who owns which shard: the rows that nodes read and write to agree on it.

A node owns a shard while its lease runs by the clock of the store. Taking over claims the lease and
then opens the shard's journal, which raises the epoch; whatever the owner before still sends
carries the older epoch, and is refused. A node that ends leaves no session behind, so that its
death is seen at once; one that is stopped or cut off keeps its shards until the leases run out.
"""

from typing import NewType

from msgspec import Struct

from dispatch.ids import ShardId

NodeId = NewType("NodeId", str)


class LeasesUnreachable(Exception):
    """The store of the leases did not answer; what was asked may or may not have been done."""


class NodeRow(Struct, frozen=True, kw_only=True):
    """A node as the others see it. `address` is `host:port` of its link, `load` a share of one.

    `is_alive` is False as soon as its session has ended or it has not renewed for too long; a node
    that `is_leaving` is given nothing and hands over what it has.
    """

    node: NodeId
    address: str
    version: str
    load: float = 0.0
    is_alive: bool = True
    is_leaving: bool = False


class LeaseRow(Struct, frozen=True, kw_only=True):
    """A shard's lease. `left_s` is how long it still runs, negative once it is over.

    A lease without a node is free, since `-left_s` seconds. `load` is what its shard costs its
    owner, as a share of one node.
    """

    shard: ShardId
    node: NodeId | None = None
    left_s: float = 0.0
    load: float = 0.0


class View(Struct, frozen=True):
    """All nodes and all leases at one instant, in the order of their ids."""

    nodes: tuple[NodeRow, ...] = ()
    leases: tuple[LeaseRow, ...] = ()
