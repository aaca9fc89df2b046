"""Simulated processes: what is stopped stands still, what is killed has no last word."""

from collections.abc import Awaitable, Callable

import trio
import trio.testing

from simulations.faults.process import Holding, Process

type Heard = list[tuple[str, float]]


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run `main` on virtual time, with processes that can be held."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(main, clock=clock, instruments=[Holding()])


def worker(heard: Heard) -> Callable[[], Awaitable[None]]:
    """Return work whose child beats each second, and which ends after 2.5 s."""

    async def beat() -> None:
        while True:
            await trio.sleep(1)
            heard.append(("beat", trio.current_time()))

    async def work() -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(beat)
                with trio.move_on_after(2.5):
                    await trio.sleep_forever()
                heard.append(("deadline", trio.current_time()))
                await trio.sleep_forever()
        finally:
            heard.append(("last word", trio.current_time()))

    return work


def test_a_stopped_process_does_nothing_and_finds_its_deadlines_passed_when_it_goes_on() -> None:
    heard: Heard = []

    async def main() -> None:
        process = Process("node-a")
        async with trio.open_nursery() as nursery:
            process.spawn(nursery, worker(heard))
            await trio.sleep(1.5)
            process.stop()
            await trio.sleep(10)
            assert heard == [("beat", 1.0)]
            process.resume()
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()

    run(main)

    assert sorted(heard[1:3]) == [("beat", 11.5), ("deadline", 11.5)]


def test_a_killed_process_never_runs_again_and_is_unwound_at_the_end() -> None:
    heard: Heard = []

    async def main() -> None:
        process = Process("node-a")
        async with trio.open_nursery() as nursery:
            process.spawn(nursery, worker(heard))
            await trio.sleep(1.5)
            process.kill()
            process.resume()
            await trio.sleep(100)
            assert heard == [("beat", 1.0)]
            nursery.cancel_scope.cancel()
            process.unwind()

    run(main)

    assert heard == [("beat", 1.0), ("last word", 101.5)]


def test_a_stopped_process_holds_nobody_else() -> None:
    heard: Heard = []

    async def main() -> None:
        process = Process("node-a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker(heard))
            process.stop()
            await trio.sleep(1.5)
            nursery.cancel_scope.cancel()

    run(main)

    assert heard == [("beat", 1.0), ("last word", 1.5)]
