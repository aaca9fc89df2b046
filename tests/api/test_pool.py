"""A pool does so many jobs at a time, keeps so many more, and costs nothing when it is idle."""

from functools import partial

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from api.pool import Pool


async def test_so_many_jobs_are_done_at_a_time_and_in_their_order(
    autojump_clock: MockClock,  # noqa: ARG001 - it works as an argument only.
) -> None:
    pool, begun = Pool(2, 100), list[tuple[float, int]]()
    start_s = trio.current_time()

    async def job(number: int) -> None:
        begun.append((trio.current_time() - start_s, number))
        await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        for number in range(5):
            assert pool.start(partial(job, number))
        await trio.sleep(5)
        nursery.cancel_scope.cancel()

    assert begun == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]


async def test_more_than_may_wait_is_not_taken() -> None:
    pool = Pool(1, 2)

    taken = [pool.start(trio.lowlevel.checkpoint) for _ in range(3)]

    assert taken == [True, True, False]
    assert pool.waiting_count() == 2


async def test_what_came_before_the_pool_ran_is_done_and_then_no_task_is_left() -> None:
    pool, done = Pool(4, 4), list[int]()

    async def job(number: int) -> None:
        await trio.lowlevel.checkpoint()
        done.append(number)

    for number in range(3):
        pool.start(partial(job, number))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run)
        await wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        pool.start(partial(job, 3))
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        nursery.cancel_scope.cancel()

    assert sorted(done) == [0, 1, 2, 3]
