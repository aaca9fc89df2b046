"""The desk of the services: work done once, tried again, given up, and never lost with a shard."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
import trio.testing
from msgspec import msgpack
from trio.testing import MockClock

from actors.life import Ports
from actors.limits import Limits
from actors.ports import Services
from actors.shard import Shard
from dispatch.claim import Busy, ClaimsUnreachable, Taken, WorkId
from dispatch.lease import NodeId
from dispatch.step import Tell
from node.services import GiveUp, Job, ServiceDesk, ServicePolicy, TryAgain, Work
from storage.memory import MemoryStore
from storage.memory_claims import MemoryClaims
from tests.actors.bank import ACCOUNT, Charge, Charged, Deposit
from tests.actors.stage import SHARD, Notes, accounts, clock, running

A, B = NodeId("a"), NodeId("b")
CHARGE = Charge(5)
TOLD = Tell("account", "ann", Charged(5))


class Cards:
    """A service that notes its jobs and does with them what the test says."""

    def __init__(self, *outcomes: Exception | float | None) -> None:
        """Take these outcomes one after the other: an error, a wait, or nothing; then succeed."""
        self.outcomes = list(outcomes)
        self.jobs: list[Job] = []
        self.at_s: list[float] = []
        self.running = self.running_most = 0

    async def work(self, job: Job) -> Tell | None:
        self.jobs.append(job)
        self.at_s.append(trio.current_time())
        outcome = self.outcomes.pop(0) if self.outcomes else None
        self.running += 1
        self.running_most = max(self.running_most, self.running)
        try:
            await trio.sleep(outcome if isinstance(outcome, float) else 0)
        finally:
            self.running -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return TOLD


def desk_of(
    work: Work, claims: MemoryClaims, node: NodeId = A, policy: ServicePolicy | None = None
) -> ServiceDesk:
    """Return a desk with one service, `cards`."""
    return ServiceDesk({"cards": work}, claims, node, Random(1), policy or ServicePolicy())


class Counter:
    """The services of a shard, which are made after the shard that they are for."""

    def __init__(self) -> None:
        self.window: Services | None = None

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        assert self.window is not None
        self.window.submit(service, sequence, key, message)


def bank_at(desk: ServiceDesk, store: MemoryStore) -> Shard:
    """Return a shard of accounts whose services are at the desk."""
    counter = Counter()
    ports = Ports(journal=store, clock=clock, services=counter)
    shard = Shard(SHARD, (ACCOUNT,), ports, Limits(idle_s=None))
    counter.window = desk.window(shard)
    return shard


@asynccontextmanager
async def at_work(desk: ServiceDesk, shard: Shard) -> AsyncGenerator[Shard]:
    """Run both while the block does."""
    async with running(shard) as nursery:
        nursery.start_soon(desk.run)
        await shard.ask("account", "ann", Deposit(1), 1)
        yield shard


async def until(is_so: Callable[[], bool], within_s: float = 10_000) -> None:
    """Let virtual time pass until something is so."""
    with trio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 - virtual time, and nothing that rings.
            await trio.sleep(0.1)


async def test_work_is_done_once_and_its_actor_told(autojump_clock: MockClock) -> None:
    cards, claims, store = Cards(), MemoryClaims(trio.current_time), MemoryStore()
    desk = desk_of(cards.work, claims)
    async with at_work(desk, bank_at(desk, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: not shard.statistics().unsettled)
        await until(lambda: accounts(shard)["ann"].charged == 5)

    assert [(job.key, job.message, job.attempt) for job in cards.jobs] == [
        ("card", msgpack.encode(CHARGE), 1)
    ]
    assert claims.count() == 0
    assert desk.statistics().done == 1


async def test_an_attempt_that_fails_is_made_again_under_the_same_key(
    autojump_clock: MockClock,
) -> None:
    cards = Cards(TryAgain("the bank is busy"), TryAgain("still", after_s=30), 60.0)
    claims, store = MemoryClaims(trio.current_time), MemoryStore()
    desk = desk_of(cards.work, claims)
    async with at_work(desk, bank_at(desk, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: accounts(shard)["ann"].charged == 5)

    assert [job.attempt for job in cards.jobs] == [1, 2, 3, 4]
    assert len({job.idempotency_key for job in cards.jobs}) == 1
    assert cards.at_s[1] - cards.at_s[0] <= ServicePolicy().backoff_s
    assert cards.at_s[2] - cards.at_s[1] >= 30
    assert cards.at_s[3] - cards.at_s[2] >= ServicePolicy().work_s
    assert desk.statistics().retried == 3


async def test_waits_between_attempts_double_up_to_a_ceiling_and_are_random() -> None:
    claims = MemoryClaims(trio.current_time)
    policy = ServicePolicy(backoff_s=1, backoff_s_max=8)
    desk = desk_of(Cards().work, claims, policy=policy)
    pauses = {at: [desk.pause_s(at) for _ in range(500)] for at in (1, 2, 4, 9, 10_000)}

    longest = {at: max(drawn) for at, drawn in pauses.items()}

    assert longest == pytest.approx({1: 1, 2: 2, 4: 8, 9: 8, 10_000: 8}, rel=0.05)
    assert all(min(drawn) < 0.1 * max(drawn) for drawn in pauses.values())


@pytest.mark.parametrize(
    ("outcome", "told"),
    [(TryAgain("the bank is busy"), "attempt 3: the bank is busy"), (60.0, "longer than 10 s")],
)
async def test_work_past_its_last_attempt_is_a_dead_letter_and_its_row_goes(
    outcome: Exception | float, told: str, autojump_clock: MockClock
) -> None:
    cards, claims = Cards(outcome, outcome, outcome), MemoryClaims(trio.current_time)
    store, policy = MemoryStore(), ServicePolicy(attempts_max=3)
    desk = desk_of(cards.work, claims, policy=policy)
    async with at_work(desk, bank_at(desk, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: desk.statistics().given_up == 1)
        await until(lambda: not shard.statistics().unsettled)
        await trio.testing.wait_all_tasks_blocked()
        letters = await store.dead_letters()

    assert len(cards.jobs) == 3
    assert [(letter.kind, letter.key) for letter in letters] == [("service:cards", "card")]
    assert letters[0].message == msgpack.encode(CHARGE)
    assert told in letters[0].error
    assert (await store.open(SHARD)).outbox == ()
    assert claims.count() == 0


async def test_a_service_that_gives_up_tells_the_actor_at_once(autojump_clock: MockClock) -> None:
    refused = GiveUp("stolen", Tell("account", "ann", Deposit(100)))
    cards, claims, store = Cards(refused), MemoryClaims(trio.current_time), MemoryStore()
    desk = desk_of(cards.work, claims)
    async with at_work(desk, bank_at(desk, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: accounts(shard)["ann"].balance == 101)
        letters = await store.dead_letters()

    assert len(cards.jobs) == 1
    assert [letter.error for letter in letters] == ["attempt 1: stolen"]


async def test_a_service_of_another_release_leaves_a_dead_letter(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    desk = ServiceDesk({}, MemoryClaims(trio.current_time), A, Random(1))
    async with at_work(desk, bank_at(desk, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: not shard.statistics().unsettled)
        await trio.testing.wait_all_tasks_blocked()
        letters = await store.dead_letters()

    assert [letter.error for letter in letters] == ["there is no service 'cards' in this release"]


async def test_what_another_service_raises_ends_the_node(autojump_clock: MockClock) -> None:
    cards, store = Cards(ZeroDivisionError()), MemoryStore()
    desk = desk_of(cards.work, MemoryClaims(trio.current_time))

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with at_work(desk, bank_at(desk, store)) as shard:
            shard.tell("account", "ann", CHARGE)
            await trio.sleep(10)


async def test_work_that_takes_its_node_down_again_and_again_comes_to_an_end(
    autojump_clock: MockClock,
) -> None:
    claims, store = MemoryClaims(trio.current_time), MemoryStore()
    policy = ServicePolicy(attempts_max=2)
    falls = 0
    for _ in range(2):
        deadly = Cards(ZeroDivisionError())
        desk = desk_of(deadly.work, claims, policy=policy)
        with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
            async with at_work(desk, bank_at(desk, store)) as shard:
                if not falls:
                    shard.tell("account", "ann", CHARGE)
                await trio.sleep(100)
        falls += 1

    cards = Cards()
    desk = desk_of(cards.work, claims, policy=policy)
    async with at_work(desk, bank_at(desk, store)) as shard:
        await until(lambda: desk.statistics().given_up == 1)

    assert falls == 2
    assert cards.jobs == []


async def test_two_nodes_never_do_the_same_work_at_once(autojump_clock: MockClock) -> None:
    cards, claims, store = Cards(8.0, 8.0), MemoryClaims(trio.current_time), MemoryStore()
    stalled, taking_over = desk_of(cards.work, claims, A), desk_of(cards.work, claims, B)
    async with at_work(stalled, bank_at(stalled, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: cards.running == 1)
        async with at_work(taking_over, bank_at(taking_over, store)) as shard_there:
            await until(lambda: accounts(shard_there)["ann"].charged == 5)

    assert len(cards.jobs) == 2
    assert cards.running_most == 1
    assert len({job.idempotency_key for job in cards.jobs}) == 1


async def test_work_whose_shard_went_before_the_answer_is_done_by_the_next_owner(
    autojump_clock: MockClock,
) -> None:
    cards, claims, store = Cards(5.0), MemoryClaims(trio.current_time), MemoryStore()
    desk = desk_of(cards.work, claims)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        shard = bank_at(desk, store)
        async with running(shard):
            shard.tell("account", "ann", CHARGE)
            await until(lambda: cards.running == 1)
        again = bank_at(desk, store)
        async with running(again):
            await until(lambda: "ann" in accounts(again) and accounts(again)["ann"].charged == 5)
        nursery.cancel_scope.cancel()

    assert len({job.idempotency_key for job in cards.jobs}) == 1
    assert desk.statistics().waiting == 0


async def test_work_that_was_done_for_a_shard_that_went_is_free_for_its_next_owner_at_once(
    autojump_clock: MockClock,
) -> None:
    cards, claims, store = Cards(5.0), MemoryClaims(trio.current_time), MemoryStore()
    before, after = desk_of(cards.work, claims, A), desk_of(cards.work, claims, B)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(before.run)
        shard = bank_at(before, store)
        async with running(shard):
            shard.tell("account", "ann", CHARGE)
            await until(lambda: cards.running == 1)
        await until(lambda: cards.running == 0)
        async with at_work(after, bank_at(after, store)) as there:
            await until(lambda: accounts(there)["ann"].charged == 5)
        nursery.cancel_scope.cancel()

    assert [job.attempt for job in cards.jobs] == [1, 2]
    assert cards.at_s[1] - cards.at_s[0] < ServicePolicy().hold_s - 5


async def test_work_of_a_shard_that_went_is_not_done_here_any_more(
    autojump_clock: MockClock,
) -> None:
    cards = Cards(TryAgain("later", after_s=30))
    claims, store = MemoryClaims(trio.current_time), MemoryStore()
    desk = desk_of(cards.work, claims)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        shard = bank_at(desk, store)
        async with running(shard):
            shard.tell("account", "ann", CHARGE)
            await until(lambda: len(cards.jobs) == 1)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()

    assert len(cards.jobs) == 1
    assert desk.statistics().waiting == 0


async def test_claims_that_were_left_behind_are_pruned_now_and_then(
    autojump_clock: MockClock,
) -> None:
    claims = MemoryClaims(trio.current_time)
    desk = desk_of(Cards().work, claims, policy=ServicePolicy(prune_s=10, keep_s=5))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        await trio.sleep(1)
        await claims.claim(WorkId(SHARD, 1), A, 1.0)
        await claims.claim(WorkId(SHARD, 2), A, 100.0)
        await trio.sleep(20)
        left = claims.count()
        nursery.cancel_scope.cancel()

    assert left == 1


class AwayClaims(MemoryClaims):
    """Claims that cannot be reached for the first calls."""

    def __init__(self, away: int) -> None:
        super().__init__(trio.current_time)
        self.away = away

    async def claim(self, work: WorkId, node: NodeId, hold_s: float) -> Taken | Busy:
        self.away -= 1
        if self.away >= 0:
            raise ClaimsUnreachable("the test said so")
        return await super().claim(work, node, hold_s)


async def test_claims_that_cannot_be_reached_are_waited_for(autojump_clock: MockClock) -> None:
    cards, store = Cards(), MemoryStore()
    desk = desk_of(cards.work, AwayClaims(away=5))
    async with at_work(desk, bank_at(desk, store)) as shard:
        shard.tell("account", "ann", CHARGE)
        await until(lambda: accounts(shard)["ann"].charged == 5)

    assert [job.attempt for job in cards.jobs] == [1]


async def test_no_more_attempts_run_at_once_than_may(autojump_clock: MockClock) -> None:
    cards, claims, store = Cards(*[5.0] * 9), MemoryClaims(trio.current_time), MemoryStore()
    desk = desk_of(cards.work, claims, policy=ServicePolicy(running_max=3))
    async with at_work(desk, bank_at(desk, store)) as shard:
        for _ in range(9):
            shard.tell("account", "ann", CHARGE)
        await until(lambda: accounts(shard)["ann"].charged == 45)

    assert cards.running_most == 3
    assert len(cards.jobs) == 9


async def test_what_is_asked_of_the_solver_passes_the_desk_by(autojump_clock: MockClock) -> None:
    desk, solver = desk_of(Cards().work, MemoryClaims(trio.current_time)), Notes()
    shard = bank_at(desk, MemoryStore())

    desk.window(shard, solver).submit("solver", 7, "copenhagen", b"solve")

    assert solver.submitted == [("solver", 7, "copenhagen", b"solve")]
    assert desk.statistics().waiting == 0
