"""What every store of claims must do, as tests that a store's own test module runs on itself.

Time passes by short holds and a little waiting, since one of the stores has the server's clock.
"""

from contextlib import AbstractAsyncContextManager

import trio

from dispatch.claim import Busy, Taken, WorkId
from dispatch.ids import ShardId
from dispatch.lease import NodeId
from node.ports import Claims

A, B = NodeId("a"), NodeId("b")
WORK = WorkId(ShardId(2**60), 2**40)
BRIEF_S = 0.05
LONG_S = 60.0


async def taken(claims: Claims, node: NodeId = A, hold_s: float = LONG_S) -> Taken:
    """Wait until the work can be claimed, and claim it."""
    with trio.fail_after(2):
        while True:
            claim = await claims.claim(WORK, node, hold_s)
            if isinstance(claim, Taken):
                return claim
            await trio.sleep(claim.left_s)


class ClaimConformance:
    """Subclassed by the test module of each store of claims."""

    def fresh(self) -> AbstractAsyncContextManager[Claims]:
        """Return a store without claims."""
        raise NotImplementedError

    async def test_work_that_is_claimed_is_busy_for_everybody(self) -> None:
        async with self.fresh() as claims:
            first = await claims.claim(WORK, A, LONG_S)
            others = [await claims.claim(WORK, node, LONG_S) for node in (A, B)]

        assert first == Taken(1)
        for other in others:
            assert isinstance(other, Busy)
            assert LONG_S - 5 < other.left_s <= LONG_S

    async def test_of_many_that_claim_at_once_one_gets_the_work(self) -> None:
        async with self.fresh() as claims:
            outcomes = list[Taken | Busy]()

            async def claim(node: NodeId) -> None:
                outcomes.append(await claims.claim(WORK, node, LONG_S))

            async with trio.open_nursery() as nursery:
                for at in range(10):
                    nursery.start_soon(claim, NodeId(f"n{at}"))

        assert [outcome for outcome in outcomes if isinstance(outcome, Taken)] == [Taken(1)]
        assert len(outcomes) == 10

    async def test_a_claim_that_ran_out_is_another_attempt_for_whoever_comes(self) -> None:
        async with self.fresh() as claims:
            await claims.claim(WORK, A, BRIEF_S)

            again = await taken(claims, B)

            assert again == Taken(2)
            assert isinstance(await claims.claim(WORK, A, LONG_S), Busy)

    async def test_work_that_is_put_off_is_due_later_for_everybody(self) -> None:
        async with self.fresh() as claims:
            await claims.claim(WORK, A, LONG_S)
            await claims.put_off(WORK, A, BRIEF_S, "the bank is busy")

            early = await claims.claim(WORK, B, LONG_S)
            later = await taken(claims, B)

        assert isinstance(early, Busy)
        assert 0 < early.left_s <= BRIEF_S
        assert later == Taken(2)

    async def test_work_that_is_settled_is_forgotten(self) -> None:
        async with self.fresh() as claims:
            await claims.claim(WORK, A, LONG_S)
            await claims.settle(WORK, A)

            again = await claims.claim(WORK, B, LONG_S)

        assert again == Taken(1)

    async def test_a_node_whose_claim_ran_out_changes_nothing_any_more(self) -> None:
        async with self.fresh() as claims:
            await claims.claim(WORK, A, BRIEF_S)
            await taken(claims, B)

            await claims.settle(WORK, A)
            await claims.put_off(WORK, A, 0.0, "late")
            outcome = await claims.claim(WORK, A, LONG_S)

        assert isinstance(outcome, Busy)
        assert outcome.left_s > LONG_S / 2

    async def test_work_of_another_shard_or_row_is_other_work(self) -> None:
        async with self.fresh() as claims:
            await claims.claim(WORK, A, LONG_S)

            row = await claims.claim(WorkId(WORK.shard, WORK.sequence + 1), B, LONG_S)
            shard = await claims.claim(WorkId(ShardId(1), WORK.sequence), B, LONG_S)

        assert (row, shard) == (Taken(1), Taken(1))

    async def test_claims_that_were_left_behind_are_pruned_and_no_others(self) -> None:
        async with self.fresh() as claims:
            await claims.claim(WORK, A, 0.0)
            await claims.claim(WorkId(ShardId(1), 1), A, LONG_S)
            await trio.sleep(0.01)

            early = await claims.prune(LONG_S)
            gone = await claims.prune(0.001)
            again = await claims.claim(WORK, A, LONG_S)
            held = await claims.claim(WorkId(ShardId(1), 1), A, LONG_S)

        assert (early, gone) == (0, 1)
        assert again == Taken(1)
        assert isinstance(held, Busy)
