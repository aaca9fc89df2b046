"""The run loop by itself: order, budgets, deadlines, who leaves memory and who comes back."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

import dataclasses
from collections import deque

import pytest
import trio
import trio.testing

from actors.codec import encode
from actors.envelope import Envelope, Question
from actors.kernel import Kernel
from actors.kind import AnyKind
from actors.limits import Limits
from actors.statistics import Totals
from dispatch.ids import Instant, ShardId
from dispatch.step import Code, Refused
from tests.actors.bank import (
    ACCOUNT,
    Account,
    Balance,
    Close,
    Credit,
    Deposit,
    Remind,
    Scatter,
    Spread,
    Transfer,
    account_kind,
)
from tests.actors.stage import HeldJournal, accounts, clock, running, settled, shard_on

NOW = Instant(1_000_000)


def kernel_of(kind: AnyKind, limits: Limits | None = None) -> Kernel:
    """Return an empty kernel."""
    return Kernel(
        [kind],
        limits or Limits(),
        shard=ShardId(1),
        epoch=1,
        totals=Totals(),
        dead_letters=deque(),
    )


def test_a_whole_inbox_is_handled_in_one_visit_in_order() -> None:
    kernel = kernel_of(account_kind(is_durable=False))

    for amount in (3, 4, 5):
        kernel.tell("account", "ann", Envelope(Deposit(amount)))
    handled = kernel.run(100, NOW)

    assert handled == 3
    assert dict(kernel.states("account")) == {"ann": Account(balance=12)}


def test_a_run_stops_at_its_budget_and_goes_on_where_it_stopped() -> None:
    kernel = kernel_of(account_kind(is_durable=False))
    kernel.tell("account", "ann", Envelope(Scatter("bob", 10)))

    handled = [kernel.run(4, NOW) for _ in range(4)]

    assert handled == [4, 4, 3, 0]
    assert not kernel.is_runnable


def test_two_tells_to_somebody_new_arrive_in_order() -> None:
    kernel = kernel_of(ACCOUNT)
    kernel.tell("account", "ann", Envelope(Scatter("bob", 3)))
    kernel.load(kernel.take_wanted(), [encode(Account())])

    kernel.run(100, NOW)
    kernel.load(kernel.take_wanted(), [None])
    kernel.run(100, NOW)
    bob = dict(kernel.states("account"))["bob"]

    assert bob == Account(balance=3, credited=("0", "1", "2"))


def test_the_draft_has_each_changed_actor_once() -> None:
    kernel = kernel_of(ACCOUNT)
    for _ in range(5):
        kernel.tell("account", "ann", Envelope(Deposit(1)))
    kernel.load(kernel.take_wanted(), [None])

    kernel.run(2, NOW)
    kernel.run(100, NOW)
    batch = kernel.seal().batch(ShardId(1), 1, 1, NOW)

    assert [(row.key, row.state) for row in batch.checkpoints] == [
        ("ann", encode(Account(balance=5)))
    ]


def known(*keys: str) -> Kernel:
    """Return a kernel with the accounts in memory and nothing in the draft."""
    kernel = kernel_of(ACCOUNT)
    for key in keys:
        kernel.tell("account", key, Envelope(Deposit(0)))
    kernel.load(kernel.take_wanted(), [None] * len(keys))
    kernel.run(100, NOW)
    kernel.commit(kernel.seal())
    return kernel


def test_a_tell_that_waits_at_the_seal_goes_into_the_outbox_once() -> None:
    kernel = known("ann", "bob", "cid")
    kernel.tell("account", "ann", Envelope(Spread("a", ("bob", "cid"))))

    kernel.run(2, NOW)
    first = kernel.seal()
    kernel.run(0, NOW)
    second = kernel.seal()
    kernel.run(100, NOW)
    third = kernel.seal()

    assert [row.key for row in first.outbox] == ["cid"]
    assert second.outbox == []
    assert third.handled == [row.sequence for row in first.outbox]


def test_a_tell_to_somebody_whose_mail_waits_since_an_earlier_seal_goes_into_the_outbox() -> None:
    others = tuple(f"x{number}" for number in range(9))
    kernel = known("ann", "bob", "dan", *others)
    kernel.tell("account", "ann", Envelope(Spread("a", ("dan", "bob", *others))))
    kernel.run(1, NOW)
    kernel.tell("account", "dan", Envelope(Spread("b", ("bob",))))
    first = kernel.seal()

    kernel.run(2, NOW)
    second = kernel.seal()

    assert [row.key for row in first.outbox] == ["dan", "bob", *others]
    assert [row.key for row in second.outbox] == ["bob"]


def test_what_an_actor_tells_itself_comes_after_the_mail_that_waited_already() -> None:
    kernel = known("ann")
    for message in (Scatter("ann", 2), Deposit(1), Close()):
        kernel.tell("account", "ann", Envelope(message))

    handled = [kernel.run(1, NOW), kernel.run(100, NOW)]

    assert handled == [1, 4]
    assert dict(kernel.states("account"))["ann"] == Account(balance=1, is_closed=True)


def test_mail_from_the_edge_and_wakes_are_not_written_to_the_outbox() -> None:
    kernel = known("ann", "bob")
    kernel.tell("account", "ann", Envelope(Deposit(1)))
    kernel.tell("account", "bob", Envelope(Remind(NOW)))
    kernel.run(2, NOW)

    sealed = kernel.seal()

    assert kernel.is_runnable
    assert sealed.outbox == []


def test_what_a_memory_only_actor_is_told_is_not_written_to_the_outbox() -> None:
    kernel = kernel_of(account_kind(is_durable=False))
    kernel.tell("account", "ann", Envelope(Spread("a", ("bob", "cid"))))
    kernel.run(2, NOW)

    sealed = kernel.seal()

    assert kernel.is_runnable
    assert not sealed.is_durable


@pytest.mark.parametrize("is_durable", [True, False])
def test_somebody_who_never_was_and_is_refused_leaves_no_row_behind(*, is_durable: bool) -> None:
    kernel = kernel_of(account_kind(is_durable=is_durable))
    question = Question()
    kernel.tell("account", "ann", Envelope(Transfer("t", "bob", 5), question))
    rows = kernel.take_wanted()
    kernel.load(rows, [None] * len(rows))

    kernel.run(100, NOW)
    sealed = kernel.seal()

    assert [envelope.answer for envelope in sealed.answered] == [Refused(Code.NOT_FOUND)]
    assert kernel.statistics(asks=0, unsettled=0).actors == 0
    assert not sealed.is_durable


def test_two_kinds_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        Kernel(
            [ACCOUNT, ACCOUNT],
            Limits(),
            shard=ShardId(1),
            epoch=1,
            totals=Totals(),
            dead_letters=deque(),
        )


async def test_an_actor_is_woken_at_its_deadline(autojump_clock: trio.testing.MockClock) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Remind(Instant(clock() + 5_000)), 1)
        await trio.sleep(4.9)
        before = accounts(shard)["ann"].wakes
        await trio.sleep(0.2)
        after = accounts(shard)["ann"].wakes

    assert (before, after) == (0, 1)


async def test_a_deadline_that_moved_wakes_once_and_late(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard, start = shard_on(HeldJournal()), 1_000

    async with running(shard):
        for later_s in (2, 5, 3, 8):
            await shard.ask("account", "ann", Remind(Instant(clock() + later_s * start)), 1)
        await trio.sleep(7.9)
        before = accounts(shard)["ann"].wakes
        await trio.sleep(0.2)
        after = accounts(shard)["ann"].wakes

    assert (before, after) == (0, 1)


async def test_a_deadline_that_was_given_up_wakes_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Remind(Instant(clock() + 1_000)), 1)
        await shard.ask("account", "ann", Remind(None), 1)
        await trio.sleep(5)
        wakes = shard.statistics().totals.wakes

    assert wakes == 0


async def test_deadlines_are_kept_over_a_crash(autojump_clock: trio.testing.MockClock) -> None:
    journal = HeldJournal()
    first = shard_on(journal)
    async with running(first):
        await first.ask("account", "ann", Remind(Instant(clock() + 60_000)), 1)
        await first.ask("account", "bob", Remind(Instant(clock() + 5_000)), 1)
    await trio.sleep(30)

    second = shard_on(journal)
    async with running(second):
        await settled(second)
        missed = {key: account.wakes for key, account in accounts(second).items()}
        await trio.sleep(40)
        later = {key: account.wakes for key, account in accounts(second).items()}

    assert missed == {"ann": 0, "bob": 1}
    assert later == {"ann": 1, "bob": 1}


async def test_a_finished_actor_leaves_memory_after_its_commit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        journal.hold()
        shard.tell("account", "ann", Close())
        await trio.testing.wait_all_tasks_blocked()
        before = list(accounts(shard))
        journal.release()
        await settled(shard)
        after = list(accounts(shard))

    assert (before, after) == (["ann"], [])


async def test_a_late_message_finds_the_finished_actor_and_makes_no_new_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        await shard.ask("account", "ann", Close(), 1)
        answer = await shard.ask("account", "ann", Deposit(5), 1)
        left = list(accounts(shard))

    assert answer == Refused(Code.NOT_LEGAL_NOW)
    assert left == []


async def test_an_idle_actor_leaves_memory_and_comes_back_with_its_state(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), limits=Limits(idle_s=60, sweep_s=5))

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        await trio.sleep(50)
        early = list(accounts(shard))
        await trio.sleep(80)
        late = list(accounts(shard))
        answer = await shard.ask("account", "ann", Deposit(1), 1)

    assert (early, late) == (["ann"], [])
    assert answer == Balance(6)
    assert shard.statistics().totals.passivated == 1


async def test_an_actor_whose_change_is_not_committed_stays_in_memory(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    limits = Limits(idle_s=10, sweep_s=1, commit_s=1_000)
    shard = shard_on(journal, limits=limits)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        journal.hold()
        shard.tell("account", "ann", Deposit(1))
        await trio.sleep(60)
        held = accounts(shard)
        journal.release()
        await trio.sleep(60)
        left = accounts(shard)

    assert held == {"ann": Account(balance=6)}
    assert left == {}


async def test_the_deadline_of_an_actor_out_of_memory_still_wakes_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), limits=Limits(idle_s=10, sweep_s=1))

    async with running(shard):
        await shard.ask("account", "ann", Remind(Instant(clock() + 100_000)), 1)
        await trio.sleep(99)
        left = list(accounts(shard))
        await trio.sleep(2)
        wakes = accounts(shard)["ann"].wakes

    assert left == []
    assert wakes == 1


async def test_the_deadline_of_a_finished_actor_brings_nobody_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        await shard.ask("account", "ann", Remind(Instant(clock() + 5_000)), 1)
        await shard.ask("account", "ann", Close(), 1)
        loads = len(journal.loads)
        await trio.sleep(10)

    assert len(journal.loads) == loads


async def test_many_actors_are_read_from_the_journal_by_one_call_at_a_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(load_max=10, idle_s=None))

    async with running(shard):
        journal.is_load_held = True
        journal.hold()
        for number in range(25):
            shard.tell("account", f"a{number}", Credit("x", 1))
            shard.tell("account", f"a{number}", Credit("y", 1))
        await trio.testing.wait_all_tasks_blocked()
        in_flight = len(journal.loads)
        journal.release()
        await settled(shard)
        balances = {account.balance for account in accounts(shard).values()}

    assert in_flight == 1
    assert [len(names) for names in journal.loads] == [10, 10, 5]
    assert balances == {2}


async def test_alarms_that_nobody_means_any_more_do_not_pile_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        for sooner in range(3_000):
            at = Instant(10_000_000 - sooner)
            assert shard.tell("account", f"a{sooner % 10}", Remind(at)) is None
            if sooner % 100 == 0:
                await settled(shard)
        await settled(shard)
        timers = shard.statistics().timers

    assert 10 <= timers <= 1_024


def is_empty(account: Account) -> bool:
    """Tell whether an account has nothing."""
    return account.balance == 0


async def test_an_actor_whose_kind_says_so_does_not_leave_memory_for_being_idle(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kind = dataclasses.replace(ACCOUNT, may_rest=is_empty)
    shard = shard_on(HeldJournal(), kinds=[kind], limits=Limits(idle_s=10, sweep_s=1))

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        await shard.ask("account", "bob", Deposit(0), 1)
        await trio.sleep(60)
        left = list(accounts(shard))

    assert left == ["ann"]
