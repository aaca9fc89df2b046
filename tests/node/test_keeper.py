"""Nodes share shards, replace each other in time, and never act for one shard at once."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
import trio.testing

from actors.failures import NodeFailed
from dispatch.journal import LeaseLost
from dispatch.lease import LeaseRow, NodeId
from node.keeper import Terms, TermsInvalid
from simulations.world import deterministic
from storage.memory_leases import MemoryLeases
from tests.node.tenants import STOP_S, TERMS, Town

SETTLED_S = 10.3
"""Long enough for shards to be spread, and between two renewals."""
FENCE_S = TERMS.ttl_s - TERMS.margin_s
SEEDS = range(40)
WORLD_S = 40.0
DRIFT_MAX = 0.03
"""How much faster or slower the clock of a node may run; the margin is there for it."""


@asynccontextmanager
async def town(*shards: int) -> AsyncGenerator[Town]:
    async with trio.open_nursery() as nursery:
        built = Town(nursery, MemoryLeases(trio.current_time, TERMS.ttl_s))
        built.found(*shards)
        yield built
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def three_nodes(*shards: int) -> AsyncGenerator[Town]:
    """Three nodes among which the shards have been spread."""
    async with town(*shards) as built:
        for name in ("ann", "bob", "cat"):
            built.settle(name)
        await trio.sleep(SETTLED_S)
        yield built


def lease(built: Town, shard: int) -> LeaseRow:
    return next(row for row in built.leases.view().leases if row.shard == shard)


async def until(happens: Callable[[], bool], within_s: float = 30.0) -> float:
    """Wait for something, and return how long it took."""
    began = trio.current_time()
    with trio.fail_after(within_s):
        while not happens():  # noqa: ASYNC110 - what happens is for the test to say.
            await trio.sleep(0.01)
    return trio.current_time() - began


def test_terms_under_which_one_slow_answer_costs_the_shards_are_refused() -> None:
    with pytest.raises(TermsInvalid, match=r"a lease of 2 s is too short"):
        Terms(ttl_s=2.0)


async def test_a_lone_node_takes_every_shard(autojump_clock: object) -> None:
    del autojump_clock
    async with town(1, 2, 3) as built:
        built.settle("ann")
        took_s = await until(lambda: built.owned("ann") == [1, 2, 3])

    assert took_s < TERMS.look_s


async def test_a_shard_that_comes_into_being_is_taken(autojump_clock: object) -> None:
    del autojump_clock
    async with town(1) as built:
        built.settle("ann")
        await trio.sleep(SETTLED_S)
        built.found(2)
        took_s = await until(lambda: built.owned("ann") == [1, 2])

    assert took_s < TERMS.look_s


async def test_nodes_share_shards_evenly(autojump_clock: object) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        counts = [len(built.owned(name)) for name in ("ann", "bob", "cat")]

    assert counts == [3, 3, 3]
    assert built.conflicts == []


async def test_what_is_renewed_is_kept_for_good(autojump_clock: object) -> None:
    del autojump_clock
    async with three_nodes(1, 2, 3) as built:
        before = built.owners()
        stays = len(built.stays)
        await trio.sleep(120)

        assert built.owners() == before
    assert len(before) == 3
    assert len(built.stays) == stays


async def test_a_killed_node_is_replaced_at_the_next_look(autojump_clock: object) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        kept = {name: built.owned(name) for name in ("ann", "cat")}
        built.nodes[NodeId("bob")].kill()
        took_s = await until(lambda: len(built.owners()) == 9)
        after = {name: built.owned(name) for name in ("ann", "cat")}

    assert took_s <= TERMS.look_s + 0.02
    assert all(set(kept[name]) < set(after[name]) for name in kept)


async def test_a_stalled_node_is_replaced_after_its_lease_and_cut_off_before(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        lost = built.owned("bob")
        left_s = lease(built, lost[0]).left_s
        stalled_at = trio.current_time()
        built.nodes[NodeId("bob")].seat.stall()
        await until(lambda: len(built.owners()) == 9 and not built.owned("bob"))

        old = [stay for stay in built.stays if stay.node == "bob" and stay.tenancy.shard in lost]
        new = [stay for stay in built.stays if stay.began_at > stalled_at]
        ends = [stay.ended_at - stalled_at for stay in old]
        begins = [stay.began_at - stalled_at for stay in new]

    assert ends == pytest.approx([left_s - TERMS.margin_s] * 3)
    assert left_s <= min(begins)
    assert max(begins) <= left_s + TERMS.look_s + 0.05
    assert built.conflicts == []


async def test_a_node_that_was_stalled_too_long_has_its_part_again(autojump_clock: object) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        bob = built.nodes[NodeId("bob")]
        bob.seat.stall()
        await trio.sleep(SETTLED_S)
        bob.seat.flow()
        await trio.sleep(SETTLED_S)

        assert len(built.owned("bob")) == 3
    assert built.conflicts == []


@pytest.mark.parametrize("is_stalled", [True, False])
async def test_a_table_that_is_back_in_time_costs_no_shard(
    autojump_clock: object, *, is_stalled: bool
) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        before = len(built.stays)
        for node in built.nodes.values():
            node.seat.is_failing = not is_stalled
            if is_stalled:
                node.seat.stall()
        await trio.sleep(FENCE_S - TERMS.renew_s - TERMS.backoff_s_max - 0.01)
        for node in built.nodes.values():
            node.seat.flow()
        await trio.sleep(SETTLED_S)

        assert len(built.owners()) == 9
    assert len(built.stays) == before


async def test_a_table_that_is_away_for_long_costs_the_shards_until_it_is_back(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        for node in built.nodes.values():
            node.seat.is_failing = True
        await trio.sleep(FENCE_S + 0.01)
        meanwhile = built.owners()
        told = [node.keeper.statistics() for node in built.nodes.values()]
        await trio.sleep(60)
        for node in built.nodes.values():
            node.seat.flow()
        took_s = await until(lambda: len(built.owners()) == 9)
        after = [node.keeper.statistics().is_joined for node in built.nodes.values()]

    assert meanwhile == {}
    assert all(after)
    assert {(one.is_joined, one.trouble) for one in told} == {(False, "the table is away")}
    assert took_s < 1.0
    assert built.conflicts == []


async def test_a_session_that_is_lost_and_found_costs_no_shard(autojump_clock: object) -> None:
    del autojump_clock
    async with town(1, 2) as built:
        ann = built.settle("ann")
        await trio.sleep(SETTLED_S)
        ann.seat.seat.cut()
        await trio.sleep(SETTLED_S)
        joins = ann.keeper.statistics().totals.joins

    assert joins == 2
    assert len(built.stays) == 2


async def test_a_living_node_whose_session_ended_gives_up_what_others_took(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with town(1) as built:
        ann, bob = built.settle("ann"), built.settle("bob")
        await trio.sleep(SETTLED_S)
        first, second = (ann, bob) if built.owned("ann") else (bob, ann)
        first.seat.stall()
        first.seat.seat.cut()
        await until(lambda: built.owners() == {1: second.name})
        first.seat.flow()
        took_s = await until(lambda: len(built.stays) == 2 and built.stays[0].ended_at < 1e9)

    assert took_s < TERMS.look_s
    assert built.stays[0].tenancy.is_over


async def test_a_node_that_joins_is_handed_its_part_in_order(autojump_clock: object) -> None:
    del autojump_clock
    async with town(*range(6)) as built:
        ann = built.settle("ann")
        await trio.sleep(SETTLED_S)
        built.settle("bob")
        began_at = trio.current_time()
        await trio.sleep(SETTLED_S)
        totals = ann.keeper.statistics().totals
        moves = [stay for stay in built.stays if stay.node == "bob"]
        ended = {s.tenancy.shard: s.ended_at for s in built.stays if s.node == "ann"}
        gaps = [stay.began_at - ended[stay.tenancy.shard] for stay in moves]

        assert built.owned("bob") == sorted(stay.tenancy.shard for stay in moves)
    assert (len(moves), totals.hand_overs, totals.releases, totals.losses) == (3, 3, 3, 0)
    assert min(stay.began_at for stay in moves) > began_at + TERMS.patience.settled_s
    assert max(gaps) <= 0.05


async def test_a_node_that_leaves_hands_everything_over_and_is_gone(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        began_at = trio.current_time()
        await built.nodes[NodeId("bob")].keeper.leave()
        took_s = trio.current_time() - began_at
        await until(lambda: len(built.owners()) == 9)
        handed_s = trio.current_time() - began_at
        names = [node.node for node in built.leases.view().nodes]

    assert took_s == pytest.approx(STOP_S)
    assert handed_s <= STOP_S + 0.05
    assert names == ["ann", "cat"]
    assert built.conflicts == []


async def test_a_shard_that_is_slow_to_stop_does_not_keep_the_others_from_being_handed_over(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with three_nodes(*range(9)) as built:
        bob = built.nodes[NodeId("bob")]
        slow, *quick = built.owned("bob")
        bob.stop_s[slow] = 4.0
        began_at = trio.current_time()
        built.nursery.start_soon(bob.keeper.leave)
        await until(lambda: set(quick) <= {*built.owned("ann"), *built.owned("cat")})
        quick_s = trio.current_time() - began_at
        await until(lambda: len(built.owned("ann")) + len(built.owned("cat")) == 9)
        slow_s = trio.current_time() - began_at

    assert quick_s == pytest.approx(STOP_S, abs=0.05)
    assert slow_s == pytest.approx(4.0, abs=0.05)


async def test_claims_of_a_slow_table_do_not_keep_the_renewal_waiting(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with town(*range(30)) as built:
        ann = built.settle("ann")
        ann.seat.lag_s = 0.2
        await until(lambda: len(built.owners()) == 30)

    assert len(built.stays) == 30


async def test_a_node_can_leave_while_the_table_is_away(autojump_clock: object) -> None:
    del autojump_clock
    async with town(1, 2) as built:
        ann = built.settle("ann")
        await trio.sleep(SETTLED_S)
        ann.seat.stall()
        with trio.fail_after(TERMS.ttl_s + TERMS.hand_over_s):
            await ann.keeper.leave()

        assert built.owners() == {}
        assert all(stay.tenancy.stopping.is_set() for stay in built.stays)


async def test_a_shard_that_lingers_past_its_fence_is_not_kept_from_the_others(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with town(1) as built:
        ann = built.settle("ann")
        ann.linger_s = 60.0
        await trio.sleep(SETTLED_S)
        built.settle("bob")
        ann.seat.stall()
        await until(lambda: built.owners() == {})
        ann.seat.flow()
        await trio.sleep(SETTLED_S)

        assert built.owners() == {1: "bob"}
    assert built.conflicts == []


async def test_a_lone_node_waits_for_a_shard_that_lingers_before_it_runs_it_again(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with town(1) as built:
        ann = built.settle("ann")
        ann.linger_s = 20.0
        await trio.sleep(SETTLED_S)
        ann.seat.stall()
        await until(lambda: built.owners() == {})
        ann.seat.flow()
        await until(lambda: built.owners() == {1: "ann"})
        first, second = built.stays

    assert second.began_at - first.ended_at == pytest.approx(0, abs=TERMS.quiet_s)


async def test_a_shard_that_does_not_stop_is_cut_off_and_handed_over(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with town(1) as built:
        ann = built.settle("ann")
        ann.stop_s[1] = 600.0
        await trio.sleep(SETTLED_S)
        built.settle("bob")
        began_at = trio.current_time()
        await ann.keeper.leave()
        took_s = trio.current_time() - began_at
        await trio.sleep(0.1)

        assert built.owners() == {1: "bob"}
    assert took_s == pytest.approx(TERMS.hand_over_s)


async def test_a_shard_whose_epoch_is_over_is_claimed_again_but_not_at_once(
    autojump_clock: object,
) -> None:
    del autojump_clock
    async with town(1) as built:
        ann = built.settle("ann")
        ann.fails_with = LeaseLost("another epoch")
        await trio.sleep(SETTLED_S)
        ann.fails_with = None
        await trio.sleep(SETTLED_S)

        assert built.owners() == {1: "ann"}
    assert 3 <= len(built.stays) <= SETTLED_S / TERMS.renew_s + 2


async def test_a_shard_that_fails_ends_the_keeper(autojump_clock: object) -> None:
    del autojump_clock

    async with town(1) as built:
        ann = built.inhabitant("ann")
        ann.fails_with = NodeFailed("recovering did not help")

        with pytest.RaisesGroup(NodeFailed):
            await ann.run()


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_nodes_ever_act_for_a_shard_whatever_befalls_them(seed: int) -> None:
    with deterministic(seed):
        clock = trio.testing.MockClock(autojump_threshold=0)
        conflicts, owned = trio.run(_rough_times, seed, clock=clock)

    assert (conflicts, owned) == ([], 7), f"seed {seed}"


async def _rough_times(seed: int) -> tuple[list[str], int]:
    """Three nodes, whose clocks drift, among stalls, failures and deaths; then all is well."""
    rng = Random(seed)
    async with town(*range(7)) as built:
        for name in ("ann", "bob", "cat"):
            built.settle(name, _drifting(rng))
        while trio.current_time() < WORLD_S:
            await trio.sleep(rng.uniform(0.0, 2.5))
            _befall(built, rng)
        for node in built.nodes.values():
            node.seat.flow()
        await trio.sleep(SETTLED_S)
        return built.conflicts, len(built.owners())


def _drifting(rng: Random) -> Callable[[], float]:
    start_s, rate = rng.uniform(0, 1e6), 1 + rng.uniform(-DRIFT_MAX, DRIFT_MAX)
    return lambda: start_s + rate * trio.current_time()


def _befall(built: Town, rng: Random) -> None:
    node = rng.choice([node for node in built.nodes.values() if node.is_up])
    match rng.randrange(6):
        case 0:
            node.seat.stall()
        case 1:
            node.seat.stall(is_late=True)
        case 2:
            node.seat.is_failing = True
        case 3:
            node.kill()
            built.settle(f"{node.name}+", _drifting(rng))
        case _:
            for one in built.nodes.values():
                one.seat.flow()
