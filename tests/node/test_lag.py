"""The lag of the loop is what a task has to wait beyond what it asked for."""

import time

import trio

from node.lag import LagWatch


async def test_a_loop_that_is_held_up_is_seen_to_lag() -> None:
    watch = LagWatch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(0.03)
        time.sleep(0.1)  # noqa: ASYNC251 - to hold the loop up is the point.
        await trio.sleep(0.03)
        lag = watch.lag()
        nursery.cancel_scope.cancel()

    assert lag.max >= 80
    assert lag.p50 < lag.max


def test_a_loop_that_was_not_watched_yet_has_no_lag() -> None:
    assert LagWatch().lag().max == 0.0
