"""The bridge: whole jobs on the other thread, torn by nobody, with no wake-up lost."""

import asyncio
import gc

import pytest
import trio

from storage.bridge import BridgeClosed, bridged


async def test_what_a_job_returns_or_raises_comes_home() -> None:
    async def good() -> int:
        await asyncio.sleep(0)
        return 7

    async def bad() -> int:
        raise LookupError("no such row")

    async with bridged() as bridge:
        answer = await bridge.call(good, 1)
        with pytest.raises(LookupError, match="no such row"):
            await bridge.call(bad, 1)

    assert answer == 7


async def test_a_caller_who_is_cancelled_leaves_at_once_and_the_job_goes_on_whole() -> None:
    steps: list[str] = []
    under_way, may_end, done = trio.Event(), asyncio.Event(), trio.Event()

    async with bridged() as bridge:

        async def transaction() -> None:
            steps.append("begin")
            bridge.to_trio(under_way.set)
            await may_end.wait()
            steps.append("commit")
            bridge.to_trio(done.set)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bridge.call, transaction, 5)
            await under_way.wait()
            nursery.cancel_scope.cancel()
        at_the_cancel = tuple(steps)

        async def let_it_end() -> None:
            may_end.set()

        await bridge.call(let_it_end, 1)
        await done.wait()
        statistics = bridge.statistics()

    assert at_the_cancel == ("begin",)
    assert steps == ["begin", "commit"]
    assert statistics.abandoned == 1


async def test_a_job_that_takes_too_long_is_cancelled_and_its_caller_told() -> None:
    ends: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("rolled back")

    async with bridged() as bridge:
        with pytest.raises(trio.TooSlowError):
            await bridge.call(slow, 0.01)

    assert ends == ["rolled back"]


async def test_many_jobs_all_come_home_and_share_their_crossings() -> None:
    came: list[int] = []

    async with bridged() as bridge:

        async def ask(number: int) -> None:
            async def job() -> int:
                await asyncio.sleep(0)
                return number

            came.append(await bridge.call(job, 5))

        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for number in range(500):
                    nursery.start_soon(ask, number)
        statistics = bridge.statistics()

    assert sorted(came) == sorted(list(range(500)) * 3)
    assert statistics.crossings < 300
    assert statistics.returns < 750


async def test_two_threads_that_hand_over_all_the_time_lose_no_wake_up() -> None:
    async with bridged() as bridge:
        for number in range(3_000):

            async def job(answer: int = number) -> int:
                return answer

            with trio.fail_after(5):
                assert await bridge.call(job, 5) == number


async def test_a_job_that_nobody_waits_for_is_counted_when_it_fails() -> None:
    async def bad() -> None:
        raise LookupError

    async def nothing() -> None:
        pass

    async with bridged() as bridge:
        bridge.post(bad)
        await bridge.call(nothing, 1)
        await bridge.call(nothing, 1)
        statistics = bridge.statistics()

    assert (statistics.posted, statistics.failed, statistics.running) == (1, 1, 0)


async def test_ending_lets_running_jobs_end_and_takes_no_new_ones() -> None:
    ended: list[str] = []

    async def last() -> None:
        await asyncio.sleep(0.01)
        ended.append("last")

    async with bridged() as bridge:
        bridge.post(last)

    assert ended == ["last"]
    with pytest.raises(BridgeClosed):
        await bridge.call(last, 1)
    gc.collect()
