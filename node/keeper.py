"""Keeps the shards of one node: claims them, has them run, and lets go of them in time.

Every second the keeper renews all leases of its node by one call, and several times a second it
looks at how nodes and shards stand and does what `placement` decides. A renewal that comes back
moves the fence of each tenancy to a lease's length after the renewal *began*, less a margin; so no
two nodes act for one shard at any instant. The exception is a node that lives although its session
with the store has ended: its shards may be taken before its fence. It learns of that when it joins
again, and until then the epoch of the shard refuses what it commits.

One task speaks for the node, one call at a time: a renewal never crosses a claim. The keeper stays
up while the store is away, whatever that does to its shards, and takes shards again afterwards.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from msgspec import Struct, structs

from actors.life import Bell
from dispatch.ids import ShardId
from dispatch.lease import LeasesUnreachable, NodeId, NodeRow, View
from node.placement import Patience, Standing, decided
from node.ports import Leases
from node.tenancy import Tenancy


class TermsInvalid(Exception):
    """The terms of the leases do not fit each other; the sentence says how."""


class Terms(Struct, frozen=True, kw_only=True):
    """How long leases run, and how long each step may take. All nodes have the same `ttl_s`."""

    ttl_s: float = 3.0
    """A lease runs so long from its renewal, by the clock of the store."""
    renew_s: float = 1.0
    """Time between two renewals."""
    look_s: float = 0.2
    """Time between two looks when nothing is said to have changed."""
    quiet_s: float = 0.02
    """Time within which several changes count as one."""
    margin_s: float = 0.5
    """A shard is cut off so long before its lease may be over: clocks drift, and cutting takes."""
    call_s: float = 0.75
    """Time that the store has for one call."""
    join_s: float = 2.0
    """Time that it has to begin a session."""
    hand_over_s: float = 5.0
    """Time that a shard has to stop in order."""
    backoff_s: float = 0.02
    """Wait before the second attempt to join; each further wait is twice the one before."""
    backoff_s_max: float = 0.25
    """Longest wait between two attempts to join."""
    patience: Patience = Patience()

    def __post_init__(self) -> None:
        """Refuse terms by which one slow answer would cost a node its shards."""
        if self.renew_s + self.call_s + self.margin_s >= self.ttl_s:
            raise TermsInvalid(
                f"a lease of {self.ttl_s:g} s is too short: make it longer than the"
                f" {self.renew_s:g} s to the next renewal, the {self.call_s:g} s that its answer"
                f" may take and the margin of {self.margin_s:g} s together"
            )


class Totals(Struct, kw_only=True):
    """Counts that only rise, from the keeper's beginning."""

    joins: int = 0
    renewals: int = 0
    looks: int = 0
    claims: int = 0
    claims_refused: int = 0
    hand_overs: int = 0
    releases: int = 0
    losses: int = 0
    """Tenancies that were fenced, or that another node took."""


class KeeperStatistics(Struct, frozen=True, kw_only=True):
    """One look at a keeper. `trouble` is what the store said when it was last unreachable."""

    hosted: int
    stopping: int
    is_joined: bool
    trouble: str | None
    totals: Totals


class Keeper:
    """The shards of one node. `host` is called with each tenancy and runs its shard until it ends.

    What `host` raises, other than `LeaseLost`, ends the keeper and all that it hosts.
    """

    def __init__(
        self,
        leases: Leases,
        me: NodeRow,
        host: Callable[[Tenancy], Awaitable[None]],
        terms: Terms,
        monotonic_s: Callable[[], float],
    ) -> None:
        """Keep shards for the node `me`, by a clock that goes on while the machine sleeps."""
        self._leases = leases
        self._me = me
        self._run = host
        self._terms = terms
        self._monotonic_s = monotonic_s
        self._tenancies: dict[ShardId, Tenancy] = {}
        self._seen_at_s: dict[NodeId, float] = {}
        self._view = View()
        self._totals = Totals()
        self._trouble: str | None = None
        self._failures = 0
        self._renews_at_s = 0.0
        self._bell = Bell()
        self._ended = trio.Event()

    @property
    def view(self) -> View:
        """How nodes and shards stood at the last look."""
        return self._view

    async def run(self) -> None:
        """Keep shards until left."""
        try:
            async with trio.open_nursery() as nursery:
                while not self._is_done():
                    await self._back_off()
                    await self._attend(nursery)
        finally:
            self._ended.set()

    async def leave(self) -> None:
        """Have every shard stop in order and its lease let go, then the node taken off the list."""
        self._me = structs.replace(self._me, is_leaving=True)
        self._bell.ring()
        await self._ended.wait()

    def statistics(self) -> KeeperStatistics:
        """Return how the keeper stands."""
        return KeeperStatistics(
            hosted=len(self._tenancies),
            stopping=len(self._stopping()),
            is_joined=self._totals.joins > 0 and self._failures == 0,
            trouble=self._trouble,
            totals=structs.replace(self._totals),
        )

    async def _back_off(self) -> None:
        wait_s = self._terms.backoff_s * 2 ** min(self._failures, 16) if self._failures else 0.0
        await trio.sleep(min(wait_s, self._terms.backoff_s_max))

    async def _attend(self, nursery: trio.Nursery) -> None:
        """Hold a session with the store for as long as it lasts."""
        try:
            async with trio.open_nursery() as session:
                await self._join(self._terms.join_s)
                session.start_soon(self._listen)
                await self._hold(nursery)
                session.cancel_scope.cancel()
        except* LeasesUnreachable as group:
            self._failures += 1
            self._trouble = str(group.exceptions[0])
        if self._me.is_leaving:
            self._stop_all()

    async def _join(self, within_s: float) -> None:
        await self._told(self._leases.join(self._me), within_s)
        self._totals.joins += 1
        self._renews_at_s = self._monotonic_s()

    async def _listen(self) -> None:
        while True:
            await self._leases.changed()
            self._bell.ring()
            await trio.sleep(self._terms.quiet_s)

    async def _hold(self, nursery: trio.Nursery) -> None:
        has_said = self._me.is_leaving
        while not self._is_done():
            if self._me.is_leaving and not has_said:
                await self._join(self._terms.call_s)
                has_said = True
            if has_said:
                self._stop_all()
            await self._turn(nursery)
            await self._pause()
        await self._told(self._leases.leave())

    async def _turn(self, nursery: trio.Nursery) -> None:
        """See how things stand and do what is decided."""
        self._note(await (self._renewed() if self._is_due() else self._looked()))
        decision = decided(self._view, self._standing(), self._terms.patience)
        for shard in decision.losses:
            self._tenancies[shard].lose()
        for shard in decision.hand_overs:
            self._totals.hand_overs += 1
            self._tenancies[shard].stop(self._terms.hand_over_s)
        for shard in decision.claims:
            if self._is_due() or self._me.is_leaving:
                return
            await self._claim(shard, nursery)

    async def _pause(self) -> None:
        wait_s = min(self._renews_at_s - self._monotonic_s(), self._terms.look_s)
        with trio.move_on_after(max(0.0, wait_s)):
            await self._bell.heard()

    async def _renewed(self) -> View:
        began_s = self._monotonic_s()
        loads = {
            shard: tenancy.load for shard, tenancy in self._tenancies.items() if not tenancy.is_over
        }
        view = await self._told(self._leases.renew(min(1.0, sum(loads.values())), loads))
        self._failures = 0
        self._totals.renewals += 1
        self._renews_at_s = began_s + self._terms.renew_s
        for lease in view.leases:
            if lease.node == self._me.node and lease.shard in loads:
                self._extend(lease.shard, began_s)
        return view

    async def _looked(self) -> View:
        self._totals.looks += 1
        return await self._told(self._leases.look())

    async def _claim(self, shard: ShardId, nursery: trio.Nursery) -> None:
        began_s = self._monotonic_s()
        if not await self._told(self._leases.claim(shard)):
            self._totals.claims_refused += 1
            return
        self._totals.claims += 1
        self._tenancies[shard] = Tenancy(shard, self._fence_s(began_s), self._monotonic_s)
        nursery.start_soon(self._host, self._tenancies[shard])

    async def _host(self, tenancy: Tenancy) -> None:
        await tenancy.run(self._run)
        if tenancy.is_over:
            self._totals.losses += 1
        else:
            await self._release(tenancy.shard)
        del self._tenancies[tenancy.shard]
        self._bell.ring()

    async def _release(self, shard: ShardId) -> None:
        """Let go of a lease now; if that fails, the next renewal does it."""
        with suppress(LeasesUnreachable):
            await self._told(self._leases.release(shard))
            self._totals.releases += 1

    async def _told[T](self, call: Awaitable[T], within_s: float | None = None) -> T:
        within_s = within_s or self._terms.call_s
        try:
            with trio.fail_after(within_s):
                return await call
        except trio.TooSlowError as error:
            told = f"the store of the leases did not answer within {within_s:g} s"
            raise LeasesUnreachable(told) from error

    def _note(self, view: View) -> None:
        now_s = self._monotonic_s()
        self._view = view
        self._seen_at_s = {
            row.node: self._seen_at_s.get(row.node, now_s) for row in view.nodes if row.is_alive
        }

    def _standing(self) -> Standing:
        now_s = self._monotonic_s()
        return Standing(
            node=self._me.node,
            hosted=frozenset(self._tenancies),
            stopping=frozenset(self._stopping()),
            seen_s={node: now_s - at_s for node, at_s in self._seen_at_s.items()},
            is_leaving=self._me.is_leaving,
        )

    def _stopping(self) -> list[ShardId]:
        return [shard for shard, one in self._tenancies.items() if one.stopping.is_set()]

    def _stop_all(self) -> None:
        for tenancy in self._tenancies.values():
            tenancy.stop(self._terms.hand_over_s)

    def _extend(self, shard: ShardId, began_s: float) -> None:
        if shard in self._tenancies:
            self._tenancies[shard].extend(self._fence_s(began_s))

    def _fence_s(self, began_s: float) -> float:
        return began_s + self._terms.ttl_s - self._terms.margin_s

    def _is_due(self) -> bool:
        return self._monotonic_s() >= self._renews_at_s

    def _is_done(self) -> bool:
        return self._me.is_leaving and not self._tenancies
