"""A shard is this node's up to the fence, by the node's own clock, and never again after it."""

import pytest
import trio

from dispatch.ids import ShardId
from dispatch.journal import LeaseLost
from node.tenancy import Tenancy

SHARD = ShardId(7)


class Clock:
    """A clock that a test can set ahead, as a machine that slept sees it."""

    def __init__(self) -> None:
        self.ahead_s = 100.0

    def __call__(self) -> float:
        return trio.current_time() + self.ahead_s


async def for_ever(_tenancy: Tenancy) -> None:
    await trio.sleep_forever()


async def test_the_shard_is_cut_off_at_the_fence(autojump_clock: object) -> None:
    del autojump_clock
    began_at = trio.current_time()
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 2.5, clock)

    await tenancy.run(for_ever)

    assert trio.current_time() - began_at == pytest.approx(2.5)
    assert tenancy.is_over


async def test_a_renewal_moves_the_fence_on_and_never_back(autojump_clock: object) -> None:
    del autojump_clock
    began_at = trio.current_time()
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 2.5, clock)

    tenancy.extend(clock() + 5.0)
    tenancy.extend(clock() + 3.0)
    await tenancy.run(for_ever)

    assert trio.current_time() - began_at == pytest.approx(5.0)


async def test_a_machine_that_slept_past_the_fence_may_not_act(autojump_clock: object) -> None:
    del autojump_clock
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 2.5, clock)
    tenancy.check()

    clock.ahead_s += 60.0

    with pytest.raises(LeaseLost, match="shard 7"):
        tenancy.check()


async def test_a_renewal_that_comes_after_the_fence_is_too_late(autojump_clock: object) -> None:
    del autojump_clock
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 2.5, clock)

    await trio.sleep(2.5)
    tenancy.extend(clock() + 3.0)

    assert tenancy.is_over


async def test_a_stop_ends_in_order_or_at_its_time(autojump_clock: object) -> None:
    del autojump_clock
    began_at = trio.current_time()
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 60.0, clock)

    tenancy.stop(5.0)
    tenancy.stop(50.0)
    await tenancy.run(for_ever)

    assert trio.current_time() - began_at == pytest.approx(5.0)
    assert tenancy.stopping.is_set()
    assert not tenancy.is_over


async def test_a_shard_that_another_took_is_cut_off_at_once(autojump_clock: object) -> None:
    del autojump_clock
    began_at = trio.current_time()
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 60.0, clock)

    tenancy.lose()
    tenancy.extend(clock() + 90.0)
    await tenancy.run(for_ever)

    assert trio.current_time() == began_at
    assert tenancy.is_over


async def test_work_that_finds_the_lease_lost_ends_the_tenancy(autojump_clock: object) -> None:
    del autojump_clock
    clock = Clock()
    tenancy = Tenancy(SHARD, clock() + 60.0, clock)

    async def refused(_tenancy: Tenancy) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(for_ever, tenancy)
            raise LeaseLost("another epoch")

    await tenancy.run(refused)

    assert tenancy.is_over
