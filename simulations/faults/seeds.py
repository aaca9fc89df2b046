"""Many seeds, one after another or on several processors, and what they add up to.

Each seed is a run of its own and depends on nothing but its number, so that the failing one of a
thousand is repeated alone by the one command that stands with it.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from msgspec import Struct

from simulations.faults.plan import Fault
from simulations.faults.run import Result, run_seed

SEEDS_MAX = 1_000_000
CHUNK = 4
"""Seeds that a process takes at a time."""


class BadSeeds(ValueError):
    """What was given are no seeds."""


class Failure(Struct, frozen=True, kw_only=True):
    """A seed that broke an invariant, and how to see it again."""

    seed: int
    invariant: str
    seen: str
    at_s: float
    command: str


class Report(Struct, frozen=True, kw_only=True):
    """How many seeds ran, which of them failed, how often invariants were asked, what struck."""

    seeds: int
    failed: tuple[Failure, ...]
    steps: int
    faults: dict[Fault, int]


def read_seeds(told: str) -> range:
    """Return the seeds that `7` or `1-200` means; raises BadSeeds."""
    first, dash, last = told.partition("-")
    last = last if dash else first
    if not (first.isdecimal() and last.isdecimal()):
        raise BadSeeds(f"{told!r} are no seeds; give one, as 7, or a span, as 1-200")
    seeds = range(int(first), int(last) + 1)
    if not 0 < len(seeds) <= SEEDS_MAX:
        raise BadSeeds(f"{told!r} are {len(seeds)} seeds; give 1 to {SEEDS_MAX}, the lower first")
    return seeds


def run_seeds(
    seeds: Sequence[int],
    jobs: int = 1,
    watch: Callable[[Result], None] = lambda _result: None,
    run: Callable[[int], Result] = run_seed,
) -> Report:
    """Run the seeds on so many processors and show each result to `watch`, in their order."""
    steps, failed, faults = 0, list[Failure](), Counter[Fault]()
    for result in _results(seeds, jobs, run):
        watch(result)
        steps += result.steps
        faults.update(result.faults)
        if result.broken is not None:
            failed.append(_failure(result))
    return Report(
        seeds=len(seeds), failed=tuple(failed), steps=steps, faults=dict(sorted(faults.items()))
    )


def command(seed: int) -> str:
    """Return what repeats a seed."""
    return f"dispatch simulate --faults --seeds {seed}"


def _results(seeds: Sequence[int], jobs: int, run: Callable[[int], Result]) -> Iterator[Result]:
    if jobs == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, seeds, chunksize=CHUNK)


def _failure(result: Result) -> Failure:
    assert result.broken is not None
    return Failure(
        seed=result.seed,
        invariant=result.broken.invariant,
        seen=result.broken.seen,
        at_s=result.broken.at_s,
        command=command(result.seed),
    )
