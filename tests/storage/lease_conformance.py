"""What every table of leases must do, as tests that a table's own test module runs on itself.

A module that tests a table subclasses `LeaseConformance` and says how a fresh one is made. Time
passes as it does for everybody: leases are made short, and a test asks again until its deadline.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest
import trio

from dispatch.ids import ShardId
from dispatch.lease import LeaseRow, LeasesUnreachable, NodeId, NodeRow, View
from node.ports import Leases

ANN, BOB = NodeId("ann"), NodeId("bob")
ONE, TWO = ShardId(1), ShardId(2)
LONG_S, SHORT_S = 60.0, 0.4
DEADLINE_S = 5.0


class Table(Protocol):
    """A table that nodes share, and the powers that a test has over it."""

    async def ensure(self, shards: Sequence[ShardId]) -> None:
        """Have these shards exist."""
        ...

    def seat(self, node: NodeId) -> Leases:
        """Return the hold of a new process of that node."""
        ...

    async def cut(self, node: NodeId) -> None:
        """End the session of a node, as the death of its process would."""
        ...


def row(node: NodeId, *, is_leaving: bool = False) -> NodeRow:
    """Return what a node tells of itself."""
    return NodeRow(node=node, address=f"{node}:4000", version="1", is_leaving=is_leaving)


def owner(view: View, shard: ShardId) -> NodeId | None:
    """Return who has the shard's lease."""
    return _lease(view, shard).node


def living(view: View) -> list[NodeId]:
    """Return the nodes that live."""
    return [node.node for node in view.nodes if node.is_alive]


async def until(happens: Callable[[], Awaitable[bool]]) -> float:
    """Ask until the answer is yes, and return how long that took."""
    began = trio.current_time()
    with trio.fail_after(DEADLINE_S):
        while not await happens():  # noqa: ASYNC110 - another process tells nobody.
            await trio.sleep(0.01)
    return trio.current_time() - began


async def _passed(at_s: float) -> bool:
    await trio.lowlevel.checkpoint()
    return trio.current_time() >= at_s


async def _changes(seat: Leases) -> None:
    while True:
        await seat.changed()


def _lease(view: View, shard: ShardId) -> LeaseRow:
    return next(lease for lease in view.leases if lease.shard == shard)


class LeaseConformance:
    """The suite. `fresh` gives a table without nodes or shards, and takes it down afterwards."""

    def fresh(self, ttl_s: float) -> AbstractAsyncContextManager[Table]:
        """Return a fresh table whose leases run for so long."""
        raise NotImplementedError

    async def test_a_node_that_joined_is_seen_by_all(self) -> None:
        async with self.fresh(LONG_S) as table:
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))

            view = await ann.look()

        assert view.nodes == (row(ANN), row(BOB))

    async def test_whoever_has_not_joined_is_told_so(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            ann = table.seat(ANN)

            for call in (ann.look, ann.changed, ann.leave, lambda: ann.claim(ONE)):
                with pytest.raises(LeasesUnreachable, match="join"):
                    await call()

    async def test_a_free_shard_goes_to_the_first_who_claims_it(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))

            answers = [await ann.claim(ONE), await bob.claim(ONE), await ann.claim(ONE)]
            view = await bob.look()

        assert answers == [True, False, True]
        assert owner(view, ONE) == ANN
        assert LONG_S - DEADLINE_S < _lease(view, ONE).left_s <= LONG_S

    async def test_a_shard_that_does_not_exist_cannot_be_claimed(self) -> None:
        async with self.fresh(LONG_S) as table:
            ann = table.seat(ANN)
            await ann.join(row(ANN))

            assert not await ann.claim(ONE)

    async def test_ensuring_a_shard_again_leaves_it_with_its_owner(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            ann = table.seat(ANN)
            await ann.join(row(ANN))
            await ann.claim(ONE)

            await table.ensure([ONE, TWO])
            view = await ann.look()

        assert [lease.node for lease in view.leases] == [ANN, None]
        assert -DEADLINE_S < _lease(view, TWO).left_s <= 0

    async def test_of_many_who_claim_at_once_one_gets_the_shard(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            seats = {NodeId(f"n{at}"): table.seat(NodeId(f"n{at}")) for at in range(5)}
            won: list[NodeId] = []

            async def claim(node: NodeId) -> None:
                await seats[node].join(row(node))
                if await seats[node].claim(ONE):
                    won.append(node)

            async with trio.open_nursery() as nursery:
                for node in seats:
                    nursery.start_soon(claim, node)
            view = await seats[won[0]].look()

        assert won == [owner(view, ONE)]

    async def test_a_renewed_lease_outlasts_its_time_and_one_that_is_not_ends_then(self) -> None:
        async with self.fresh(SHORT_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)

            async def held_for_two_terms() -> bool:
                await ann.renew(0.0, {ONE: 0.0})
                assert not await bob.claim(ONE)
                return trio.current_time() - began > 2 * SHORT_S

            began = trio.current_time()
            await until(held_for_two_terms)
            asked_at = trio.current_time()
            await ann.renew(0.0, {ONE: 0.0})
            await until(lambda: bob.claim(ONE))
            lasted_s = trio.current_time() - asked_at
            view = await bob.look()

        assert lasted_s >= SHORT_S
        assert owner(view, ONE) == BOB

    async def test_a_lease_that_ran_out_is_renewed_while_nobody_has_claimed_it(self) -> None:
        async with self.fresh(SHORT_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)

            async def is_over() -> bool:
                return _lease(await bob.renew(0.0, {}), ONE).left_s < 0

            await until(is_over)
            view = await ann.renew(0.0, {ONE: 0.0})

            assert owner(view, ONE) == ANN
            assert _lease(view, ONE).left_s > 0
            assert not await bob.claim(ONE)

    async def test_a_lease_that_another_claimed_is_not_renewed(self) -> None:
        async with self.fresh(SHORT_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)
            await until(lambda: bob.claim(ONE))

            view = await ann.renew(0.0, {ONE: 0.0})

        assert owner(view, ONE) == BOB

    async def test_renewing_lets_go_of_what_is_not_named_and_wakes_the_others(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE, TWO])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)
            await ann.claim(TWO)

            woken = await self._woken(bob, lambda: ann.renew(0.5, {TWO: 0.25}))
            view = await bob.look()

        assert woken
        assert view.leases[0].node is None
        assert view.leases[1].node == ANN
        assert (view.leases[1].load, view.nodes[0].load) == (0.25, 0.5)

    async def test_a_node_whose_session_ended_is_dead_at_once_and_its_shards_can_be_had(
        self,
    ) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)

            await table.cut(ANN)
            view = await bob.look()

            assert living(view) == [BOB]
            assert await bob.claim(ONE)
            with pytest.raises(LeasesUnreachable):
                await ann.renew(0.0, {ONE: 0.0})

    async def test_a_node_that_joins_again_keeps_what_nobody_took(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE, TWO])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)
            await ann.claim(TWO)
            await table.cut(ANN)
            await bob.claim(TWO)

            await self._rejoined(ann)
            view = await ann.renew(0.0, {ONE: 0.0, TWO: 0.0})

        assert living(view) == [ANN, BOB]
        assert [lease.node for lease in view.leases] == [ANN, BOB]

    async def test_a_node_that_does_not_renew_is_dead_after_the_time_of_a_lease(self) -> None:
        async with self.fresh(SHORT_S) as table:
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))

            async def is_alone() -> bool:
                return living(await bob.renew(0.0, {})) == [BOB]

            await until(is_alone)
            view = await ann.renew(0.0, {})

        assert living(view) == [ANN, BOB]

    async def test_claiming_is_a_sign_of_life_and_what_was_claimed_last_is_kept_longest(
        self,
    ) -> None:
        async with self.fresh(SHORT_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            joined_at = trio.current_time()
            await until(lambda: _passed(joined_at + SHORT_S / 2))

            claimed_at = trio.current_time()
            await ann.claim(ONE)
            await until(lambda: bob.claim(ONE))

        assert trio.current_time() - claimed_at >= SHORT_S

    async def test_a_second_process_of_a_living_node_is_turned_away(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            first, second = table.seat(ANN), table.seat(ANN)
            await first.join(row(ANN))
            await first.claim(ONE)

            with pytest.raises(LeasesUnreachable, match="ann is running already"):
                await second.join(row(ANN))
            view = await first.look()

        assert (living(view), owner(view, ONE)) == ([ANN], ANN)

    async def test_the_process_that_follows_a_dead_one_has_its_name(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            first, second = table.seat(ANN), table.seat(ANN)
            await first.join(row(ANN))
            await first.claim(ONE)
            await table.cut(ANN)

            await second.join(row(ANN))
            view = await second.renew(0.0, {})

            assert (living(view), owner(view, ONE)) == ([ANN], None)
            with pytest.raises(LeasesUnreachable):
                await first.renew(0.0, {ONE: 0.0})

    async def test_releasing_frees_a_shard_of_ones_own_and_wakes_the_others(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)

            await bob.release(ONE)
            before = await bob.look()
            woken = await self._woken(bob, lambda: ann.release(ONE))
            after = await bob.look()

        assert woken
        assert (owner(before, ONE), owner(after, ONE)) == (ANN, None)

    async def test_a_node_that_says_it_leaves_is_seen_leaving(self) -> None:
        async with self.fresh(LONG_S) as table:
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))

            woken = await self._woken(bob, lambda: ann.join(row(ANN, is_leaving=True)))
            view = await bob.look()

        assert woken
        assert view.nodes == (row(ANN, is_leaving=True), row(BOB))

    async def test_a_node_that_left_is_gone_with_all_it_had(self) -> None:
        async with self.fresh(LONG_S) as table:
            await table.ensure([ONE])
            ann, bob = table.seat(ANN), table.seat(BOB)
            await ann.join(row(ANN))
            await bob.join(row(BOB))
            await ann.claim(ONE)

            woken = await self._woken(bob, ann.leave)
            view = await bob.look()

            assert woken
            assert view.nodes == (row(BOB),)
            assert owner(view, ONE) is None
            with pytest.raises(LeasesUnreachable):
                await ann.look()

    async def test_whoever_waits_for_a_change_is_told_when_his_session_ends(self) -> None:
        async with self.fresh(LONG_S) as table:
            ann = table.seat(ANN)
            await ann.join(row(ANN))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(table.cut, ANN)
                with trio.fail_after(DEADLINE_S), pytest.raises(LeasesUnreachable):
                    await _changes(ann)

    async def _rejoined(self, seat: Leases) -> None:
        async def joins() -> bool:
            try:
                await seat.join(row(ANN))
            except LeasesUnreachable:
                return False
            return True

        await until(joins)

    async def _woken(self, seat: Leases, act: Callable[[], Awaitable[object]]) -> bool:
        """Act, and tell whether the seat heard of a change that came after it had heard all."""
        heard = 0

        async def listen() -> None:
            nonlocal heard
            while True:
                await seat.changed()
                heard += 1

        async def is_quiet() -> bool:
            before = heard
            await trio.sleep(0.05)
            return heard == before

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await until(is_quiet)
            before = heard
            await act()

            async def has_heard() -> bool:
                await trio.lowlevel.checkpoint()
                return heard > before

            await until(has_heard)
            nursery.cancel_scope.cancel()
        return True
