"""Which node should own which shard, and what one node does about it. Pure: nothing here waits.

Every node works this out for itself from the same rows, so the answer depends on nothing else.
Nodes that look at different moments may disagree for a while; that costs a refused claim and no
more, because who owns a shard is decided by its lease alone.

A shard stays where it is as long as its owner lives and no node bears far more or less than its
fair share. A shard without an owner goes to the node that ranks it highest (rendezvous hashing)
among those that it would not lift above the fair share. So a node that joins takes shards until it
bears its part, the shards of one that goes are spread, and all others stay; a node that comes back
soon finds most of what it had.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import blake2b

from msgspec import Struct

from dispatch.ids import ShardId
from dispatch.lease import LeaseRow, NodeId, NodeRow, View

WEIGHT_MIN = 0.1
"""What a shard weighs when nothing happens in it, as a share of one node.

It is no measured cost. It makes shards count as equal as long as their loads are small, so that
nothing moves for the noise of an idle cluster.
"""
SHARE_MAX = 1.25
"""A node that bears more than so many fair shares gives shards away."""
SHARE_MIN = 0.75
"""A node that bears fewer fair shares is given some."""
GAP_SHARE_MAX = 0.9
"""A shard moves only if it weighs less than this part of the gap that it closes.

It would otherwise have every reason to move back as soon as the loads wavered.
"""


class Patience(Struct, frozen=True, kw_only=True):
    """How long a node waits for another to do its part, and how much it gives away at once."""

    grace_s: float = 2.0
    """A shard that nobody took for so long is taken by whoever sees it."""
    settled_s: float = 1.0
    """A node is handed shards once it has been seen for so long."""
    hand_overs_max: int = 4
    """Shards that a node hands over at a time."""


class Standing(Struct, frozen=True, kw_only=True):
    """Where one node stands: who it is, what it runs, and how long it has seen each other node.

    `hosted` are all shards that it runs, and `stopping` those of them that it is about to let go.
    """

    node: NodeId
    hosted: frozenset[ShardId] = frozenset()
    stopping: frozenset[ShardId] = frozenset()
    seen_s: Mapping[NodeId, float] = {}
    is_leaving: bool = False


class Decision(Struct, frozen=True, kw_only=True):
    """What a node does: shards to claim, to stop and hand over, and to drop since they are lost."""

    claims: tuple[ShardId, ...] = ()
    hand_overs: tuple[ShardId, ...] = ()
    losses: tuple[ShardId, ...] = ()


def placed(leases: Iterable[LeaseRow], nodes: Iterable[NodeRow]) -> Mapping[ShardId, NodeId]:
    """Return the node that should own each shard; nothing when no node can own any."""
    hosts = sorted(row.node for row in nodes if row.is_alive and not row.is_leaving)
    if not hosts:
        return {}
    plan = _Plan(hosts, sorted(leases, key=lambda lease: lease.shard))
    plan.settle()
    plan.level()
    return plan.owners


def decided(view: View, standing: Standing, patience: Patience) -> Decision:
    """Return what the node has to do for its shards to come to be where they should."""
    owners = placed(view.leases, view.nodes)
    mine = {lease.shard for lease in view.leases if lease.node == standing.node}
    return Decision(
        claims=() if standing.is_leaving else tuple(_claims(view, standing, patience, owners)),
        hand_overs=tuple(_hand_overs(mine, standing, patience, owners)),
        losses=tuple(sorted(standing.hosted - mine)),
    )


def rank(node: NodeId, shard: ShardId) -> int:
    """How much a node wants a shard, the same on every machine and for ever."""
    return int.from_bytes(blake2b(f"{node}/{shard}".encode(), digest_size=8).digest())


class _Plan:
    """A placement in the making: what each node bears, and who owns what."""

    def __init__(self, hosts: list[NodeId], leases: list[LeaseRow]) -> None:
        self._leases = leases
        self._weights = {lease.shard: WEIGHT_MIN + max(0.0, lease.load) for lease in leases}
        self._fair = sum(self._weights.values()) / len(hosts)
        self._borne = dict.fromkeys(hosts, 0.0)
        self.owners: dict[ShardId, NodeId] = {}

    def settle(self) -> None:
        """Leave every shard with its living owner and place the others, heavy ones first."""
        orphans = [lease.shard for lease in self._leases if lease.node not in self._borne]
        for lease in self._leases:
            if lease.node is not None and lease.node in self._borne:
                self._give(lease.shard, lease.node)
        for shard in sorted(orphans, key=lambda shard: (-self._weights[shard], shard)):
            self._give(shard, self._host_of(shard))

    def level(self) -> None:
        """Move shards from who bears most to who bears least, until all bear about the same.

        Every move brings the two closer together, so that no shard needs to move twice.
        """
        for _ in self._leases:
            most = max(self._borne, key=self._bearing)
            least = min(self._borne, key=self._bearing)
            is_level = self._borne[most] <= SHARE_MAX * self._fair
            if is_level and self._borne[least] >= SHARE_MIN * self._fair:
                return
            shard = self._mover(most, least)
            if shard is None:
                return
            self._borne[most] -= self._weights[shard]
            self._give(shard, least)

    def _give(self, shard: ShardId, host: NodeId) -> None:
        self.owners[shard] = host
        self._borne[host] += self._weights[shard]

    def _bearing(self, host: NodeId) -> tuple[float, NodeId]:
        return round(self._borne[host], 9), host

    def _host_of(self, shard: ShardId) -> NodeId:
        weight = self._weights[shard]
        room = max(self._fair, min(self._borne.values()) + weight) + 1e-9
        hosts = [host for host, borne in self._borne.items() if borne + weight <= room]
        return max(hosts, key=lambda host: rank(host, shard))

    def _mover(self, giver: NodeId, taker: NodeId) -> ShardId | None:
        """The shard that closes the gap best; among equals the one that the taker ranks highest."""
        gap = self._borne[giver] - self._borne[taker]
        movers = [
            shard
            for shard, host in self.owners.items()
            if host == giver and self._weights[shard] < GAP_SHARE_MAX * gap
        ]
        return min(movers, key=lambda shard: self._fit(shard, taker, gap), default=None)

    def _fit(self, shard: ShardId, taker: NodeId, gap: float) -> tuple[float, int]:
        return round(abs(gap / 2 - self._weights[shard]), 9), -rank(taker, shard)


def _claims(
    view: View, standing: Standing, patience: Patience, owners: Mapping[ShardId, NodeId]
) -> Iterator[ShardId]:
    living = {row.node for row in view.nodes if row.is_alive}
    for lease in view.leases:
        if lease.shard in standing.hosted or not _is_free(lease, standing.node, living):
            continue
        if owners.get(lease.shard) == standing.node or -lease.left_s > patience.grace_s:
            yield lease.shard


def _is_free(lease: LeaseRow, node: NodeId, living: Collection[NodeId]) -> bool:
    """Whether the node may take the lease.

    One that is its own although it does not run the shard is let go with the next renewal.
    """
    if lease.node == node:
        return False
    return lease.node is None or lease.left_s <= 0 or lease.node not in living


def _hand_overs(
    mine: Collection[ShardId],
    standing: Standing,
    patience: Patience,
    owners: Mapping[ShardId, NodeId],
) -> list[ShardId]:
    room = max(0, patience.hand_overs_max - len(standing.stopping))
    movers = [
        shard
        for shard in sorted(standing.hosted - standing.stopping)
        if shard in mine and _is_awaited(owners.get(shard), standing, patience)
    ]
    return movers[:room]


def _is_awaited(heir: NodeId | None, standing: Standing, patience: Patience) -> bool:
    """Whether somebody else should have the shard, and has been there for long enough."""
    if heir is None or heir == standing.node:
        return False
    return standing.seen_s.get(heir, 0.0) >= patience.settled_s
