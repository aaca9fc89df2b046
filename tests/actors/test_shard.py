"""Speculate, commit, speak: what a shard says, when, and what is left after a crash."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

import pytest
import trio
import trio.testing

from actors.failures import ActorFailed, ActorGone, ShardFailed
from actors.life import Ports
from actors.limits import Limits
from actors.shard import Shard
from dispatch.journal import LeaseLost
from dispatch.step import Accepted, Code, Refused, Tell
from storage.memory import MemoryStore
from tests.actors.bank import (
    ACCOUNT,
    Account,
    Balance,
    Charge,
    Charged,
    Credit,
    Deposit,
    Explode,
    Notify,
    Scatter,
    Text,
    Transfer,
    account_kind,
)
from tests.actors.stage import (
    SHARD,
    HeldJournal,
    Notes,
    accounts,
    clock,
    recovered,
    running,
    settled,
    shard_on,
)


async def test_an_ask_is_answered_with_what_the_handler_replied(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        answer = await shard.ask("account", "ann", Deposit(5), 1)

    assert answer == Balance(5)


async def test_an_ask_without_a_reply_is_answered_that_it_was_accepted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        answer = await shard.ask("account", "ann", Credit("a", 5), 1)

    assert answer == Accepted()


async def test_nothing_is_said_before_its_commit_has_returned(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, notes, answers = HeldJournal(), Notes(), list[object]()
    shard = shard_on(journal, notes=notes)

    async def ask() -> None:
        answers.append(await shard.ask("account", "ann", Deposit(5), 60))

    async with running(shard) as nursery:
        journal.hold()
        nursery.start_soon(ask)
        shard.tell("account", "ann", Notify("bob", "hello"))
        shard.tell("account", "ann", Charge(3))
        await trio.testing.wait_all_tasks_blocked()
        said_before = (list(answers), list(notes.published), list(notes.submitted))
        state_before = accounts(shard)["ann"].balance
        journal.release()
        await settled(shard)

    assert said_before == ([], [], [])
    assert state_before == 5
    assert answers == [Balance(5)]
    assert notes.published == [("bob", 1, Text("hello"))]
    assert [(service, key) for service, _, key, _ in notes.submitted] == [("cards", "card")]


async def test_a_reply_that_needs_no_commit_waits_for_the_commit_in_flight(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, answers = HeldJournal(), list[object]()
    shard = shard_on(journal)

    async def ask(amount: int) -> None:
        answers.append(await shard.ask("account", "ann", Transfer("t", "bob", amount), 60))

    async with running(shard) as nursery:
        await shard.ask("account", "ann", Deposit(5), 1)
        journal.hold()
        nursery.start_soon(ask, 5)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, 5)
        await trio.testing.wait_all_tasks_blocked()
        answers_before = list(answers)
        journal.release()
        await settled(shard)

    assert answers_before == []
    assert answers == [Accepted(), Accepted()]


async def test_one_batch_is_written_at_a_time_while_the_next_one_fills(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        journal.hold()
        for _ in range(3):
            shard.tell("account", "ann", Deposit(1))
            await trio.testing.wait_all_tasks_blocked()
        begun = len(journal.begun)
        journal.release()
        await settled(shard)

    assert begun == 2
    assert [batch.number for batch in journal.written] == [1, 2, 3]
    assert [len(batch.facts) for batch in journal.written] == [1, 1, 2]
    assert [len(batch.checkpoints) for batch in journal.written] == [1, 1, 1]


async def test_the_drain_waits_at_the_ceiling_of_a_batch(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(transitions_max=10, idle_s=None))

    async with running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        journal.hold()
        for _ in range(100):
            shard.tell("account", "ann", Deposit(1))
        await trio.testing.wait_all_tasks_blocked()
        speculated = accounts(shard)["ann"].balance
        journal.release()
        await settled(shard)
        balance = accounts(shard)["ann"].balance

    assert speculated == 21
    assert balance == 101
    assert max(len(batch.facts) for batch in journal.written) == 10


async def test_a_crash_before_the_commit_leaves_everything_unsaid_and_undone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, notes, errors = HeldJournal(), Notes(), list[Exception]()
    shard = shard_on(journal, notes=notes)

    async def ask() -> None:
        with pytest.raises(ActorGone) as caught:
            await shard.ask("account", "ann", Deposit(5), 60)
        errors.append(caught.value)

    async with trio.open_nursery() as askers, running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        journal.hold()
        shard.tell("account", "ann", Notify("bob", "hello"))
        askers.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()

    assert len(errors) == 1
    assert notes.published == []
    assert (await recovered(journal))["ann"].balance == 1


async def test_tells_that_wait_at_a_crash_are_told_after_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(transitions_max=4, slice_max=4, idle_s=None))

    async with running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        await shard.ask("account", "bob", Deposit(0), 1)
        written = len(journal.written)
        journal.hold()
        shard.tell("account", "ann", Scatter("bob", 10))
        await trio.testing.wait_all_tasks_blocked()
        handed = len(journal.begun[written].outbox)
        journal.release()
        while len(journal.written) == written:
            await trio.lowlevel.checkpoint()
        journal.hold()
    bob = (await recovered(journal))["bob"]

    assert handed == 7
    assert bob.balance == 10
    assert len(bob.credited) == 10


async def test_own_tells_that_are_handled_within_their_batch_are_not_written(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        await shard.ask("account", "bob", Deposit(0), 1)
        shard.tell("account", "ann", Scatter("bob", 100))
        await settled(shard)
        bob = accounts(shard)["bob"]

    assert bob.balance == 100
    assert sum(len(batch.outbox) for batch in journal.written) == 0


async def test_rows_of_the_outbox_go_in_the_commit_in_which_they_are_handled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(transitions_max=4, slice_max=4, idle_s=None))

    async with running(shard):
        await shard.ask("account", "bob", Deposit(0), 1)
        shard.tell("account", "ann", Scatter("bob", 20))
        await settled(shard)
    left = (await journal.store.open(SHARD)).outbox
    written = [row.sequence for batch in journal.written for row in batch.outbox]
    handled = [sequence for batch in journal.written for sequence in batch.handled]

    assert left == ()
    assert written == sorted(set(written))
    assert sorted(handled) == written
    assert len(written) > 0


async def test_sequences_of_the_outbox_rise_over_recoveries(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, notes = HeldJournal(), Notes()

    for _ in range(3):
        shard = shard_on(journal, notes=notes)
        async with running(shard):
            await shard.ask("account", "ann", Charge(1), 1)
            shard.settle(notes.submitted[-1][1])
            await settled(shard)
    sequences = [sequence for _, sequence, _, _ in notes.submitted]

    assert len(sequences) == 3
    assert sequences == sorted(set(sequences))


async def test_a_service_is_asked_again_after_a_crash_until_its_answer_is_committed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, notes = HeldJournal(), Notes()
    first = shard_on(journal, notes=notes)

    async with running(first):
        await first.ask("account", "ann", Charge(3), 1)
    second = shard_on(journal, notes=notes)
    async with running(second):
        await settled(second)
        sequence = notes.submitted[0][1]
        second.settle(sequence, Tell("account", "ann", Charged(3)))
        second.settle(sequence, Tell("account", "ann", Charged(3)))
        await settled(second)
        charged = accounts(second)["ann"].charged
    third = shard_on(journal, notes=notes)
    async with running(third):
        await settled(third)

    assert [(name, seq) for name, seq, _, _ in notes.submitted] == [("cards", sequence)] * 2
    assert charged == 3
    assert third.statistics().unsettled == 0


async def test_a_lost_lease_drops_the_shard_and_says_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, notes = HeldJournal(), Notes()
    shard = shard_on(journal, notes=notes)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        await journal.store.open(SHARD)
        shard.tell("account", "ann", Notify("bob", "hello"))
        with pytest.raises(ActorGone):
            await shard.ask("account", "ann", Deposit(5), 1)
        await trio.testing.wait_all_tasks_blocked()
        is_open = shard.statistics().is_open

    assert not is_open
    assert notes.published == []
    assert (await recovered(journal))["ann"].balance == 1


async def test_what_was_only_read_is_not_said_once_the_shard_may_be_another_s(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    is_over: list[bool] = []

    def fence() -> None:
        if is_over:
            raise LeaseLost("the time is up")

    ports = Ports(journal=journal, clock=clock, fence=fence)
    shard = Shard(SHARD, (ACCOUNT,), ports, Limits(idle_s=None))

    async with running(shard):
        await shard.ask("account", "ann", Credit("t", 1), 1)
        number = journal.written[-1].number
        again = await shard.ask("account", "ann", Credit("t", 1), 1)
        is_over.append(True)
        with pytest.raises(ActorGone):
            await shard.ask("account", "ann", Credit("t", 1), 1)

    assert again == Accepted()
    assert journal.written[-1].number == number


async def test_run_tells_its_caller_that_the_lease_was_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async def take_over() -> None:
        await shard.opening()
        await journal.store.open(SHARD)
        shard.tell("account", "ann", Deposit(5))

    with pytest.RaisesGroup(LeaseLost):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_over)
            await shard.run()


async def test_a_journal_that_cannot_be_reached_is_sent_the_same_batch_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        journal.unreachable_count = 3
        answer = await shard.ask("account", "ann", Deposit(5), 60)

    assert answer == Balance(5)
    assert len(journal.begun) == 4
    assert len({id(batch) for batch in journal.begun}) == 1
    assert shard.statistics().totals.retries == 3


async def test_a_commit_whose_answer_was_lost_counts_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        journal.lost_answers = 2
        answer = await shard.ask("account", "ann", Deposit(5), 60)
    history = await journal.store.history("account", "ann")

    assert answer == Balance(5)
    assert len(history) == 1


async def test_a_journal_that_stays_away_fails_the_shard_which_then_recovers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(tries_max=2, idle_s=None))

    async with running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        journal.unreachable_count = 2
        with pytest.raises(ActorGone):
            await shard.ask("account", "ann", Deposit(5), 60)
        await shard.opening()
        answer = await shard.ask("account", "ann", Deposit(5), 1)

    assert answer == Balance(6)
    assert shard.statistics().totals.recoveries == 2


async def test_a_commit_that_hangs_is_given_up_after_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(tries_max=2, commit_s=3, idle_s=None))

    async def deposit() -> None:
        await shard.opening()
        journal.hold()
        shard.tell("account", "ann", Deposit(1))

    with pytest.RaisesGroup(pytest.RaisesExc(ShardFailed, match="did not answer 2 calls")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deposit)
            await shard.run()

    assert trio.current_time() == pytest.approx(6.05)


async def test_an_ask_of_a_shard_that_is_not_open_ends_at_once() -> None:
    shard = shard_on(HeldJournal())

    with pytest.raises(ActorGone, match="not open"):
        await shard.ask("account", "ann", Deposit(5), 60)


async def test_an_ask_that_takes_too_long_ends_and_leaves_nothing_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        journal.hold()
        with pytest.raises(trio.TooSlowError):
            await shard.ask("account", "ann", Deposit(5), 2)
        asks = shard.statistics().asks
        journal.release()
        await settled(shard)
        balance = accounts(shard)["ann"].balance

    assert asks == 0
    assert balance == 5


async def test_an_asker_who_is_cancelled_leaves_nothing_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        journal.hold()
        with trio.move_on_after(1) as scope:
            await shard.ask("account", "ann", Deposit(5), 60)
        asks = shard.statistics().asks

    assert scope.cancelled_caught
    assert asks == 0


async def test_the_edge_is_refused_when_an_inbox_is_full(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), kinds=[account_kind(inbox_max=3)])

    async with running(shard):
        taken = [shard.tell("account", "ann", Deposit(1)) for _ in range(5)]
        answer = await shard.ask("account", "ann", Deposit(1), 1)
        await settled(shard)
        balance = accounts(shard)["ann"].balance

    assert taken == [None, None, None, Refused(Code.OVERLOADED), Refused(Code.OVERLOADED)]
    assert answer == Refused(Code.OVERLOADED)
    assert balance == 3
    assert shard.statistics().totals.refused == 3


async def test_the_edge_is_refused_when_too_many_asks_are_open(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(asks_max=1, idle_s=None))

    async with running(shard) as nursery:
        journal.hold()
        nursery.start_soon(shard.ask, "account", "ann", Deposit(1), 60)
        await trio.testing.wait_all_tasks_blocked()
        answer = await shard.ask("account", "bob", Deposit(1), 60)

    assert answer == Refused(Code.OVERLOADED)


async def test_the_edge_is_refused_while_too_much_waits_to_be_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    notes = Notes()
    shard = shard_on(HeldJournal(), limits=Limits(outbox_max=1, idle_s=None), notes=notes)

    async with running(shard):
        await shard.ask("account", "ann", Charge(1), 1)
        refused = shard.tell("account", "ann", Deposit(1))
        shard.settle(notes.submitted[0][1])
        taken = shard.tell("account", "ann", Deposit(1))

    assert refused == Refused(Code.OVERLOADED)
    assert taken is None


async def test_an_inbox_past_its_inner_bound_fails_the_shard_and_commits_none_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, kinds=[account_kind(inside_max=10)])

    async with running(shard):
        await shard.ask("account", "bob", Deposit(1), 1)
        with pytest.raises(ActorGone):
            await shard.ask("account", "ann", Scatter("bob", 50), 1)
        await shard.opening()
        await settled(shard)
        after = accounts(shard)

    assert after == {"bob": Account(balance=1)}
    assert shard.statistics().totals.recoveries == 2


async def test_an_ordered_stop_works_off_commits_and_answers_what_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, answers = HeldJournal(), list[object]()
    shard = shard_on(journal)

    async def ask() -> None:
        answers.append(await shard.ask("account", "ann", Deposit(5), 60))

    async with running(shard) as nursery:
        journal.hold()
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        shard.stop()
        with pytest.raises(ActorGone):
            shard.tell("account", "ann", Deposit(1))
        journal.release()
        await trio.testing.wait_all_tasks_blocked()
        is_open = shard.statistics().is_open

    assert answers == [Balance(5)]
    assert not is_open
    assert (await recovered(journal))["ann"].balance == 5


async def test_an_ordered_stop_takes_no_longer_than_its_work(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        began = trio.current_time()
        shard.tell("account", "ann", Deposit(5))
        shard.stop()
        while shard.statistics().is_open:
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(0.001)
        took_s = trio.current_time() - began

    assert took_s < 0.1


async def test_a_stop_that_takes_too_long_leaves_the_rest_in_the_outbox(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    limits = Limits(transitions_max=2, slice_max=2, stop_s=1, idle_s=None)
    shard = shard_on(journal, limits=limits)

    async with running(shard):
        await shard.ask("account", "bob", Deposit(0), 1)
        journal.hold()
        shard.tell("account", "ann", Scatter("bob", 30))
        await trio.testing.wait_all_tasks_blocked()
        shard.stop()
        await trio.sleep(2)
        journal.release()
        await trio.testing.wait_all_tasks_blocked()
        is_open = shard.statistics().is_open
        left = len((await journal.store.open(SHARD)).outbox)
    bob = (await recovered(journal))["bob"]

    assert not is_open
    assert left > 0
    assert bob.balance == 30


async def test_a_cancelled_shard_lets_the_commit_in_flight_finish_and_answers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, answers = HeldJournal(), list[object]()
    shard = shard_on(journal)

    async def ask() -> None:
        answers.append(await shard.ask("account", "ann", Deposit(5), 60))

    async def release() -> None:
        await trio.sleep(1)
        journal.release()

    async with trio.open_nursery() as nursery, running(shard):
        journal.hold()
        nursery.start_soon(ask)
        nursery.start_soon(release)
        await trio.testing.wait_all_tasks_blocked()

    assert answers == [Balance(5)]


async def test_a_failing_handler_answers_its_asker_after_the_dead_letter_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        with pytest.raises(ActorFailed, match="told to"):
            await shard.ask("account", "ann", Explode(), 1)
        letters = await journal.store.dead_letters()

    assert [(letter.kind, letter.key) for letter in letters] == [("account", "ann")]
    assert "RuntimeError: told to" in letters[0].error
    assert shard.dead_letters() == tuple(letters)


async def test_a_memory_that_is_not_durable_is_gone_after_a_crash_and_writes_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store = MemoryStore()
    kind = account_kind(is_durable=False)
    first = shard_on(store, kinds=[kind])
    async with running(first):
        await first.ask("account", "ann", Credit("a", 5), 1)

    second = shard_on(store, kinds=[kind])
    async with running(second):
        answer = await second.ask("account", "ann", Deposit(1), 1)

    assert answer == Balance(1)
    assert first.statistics().totals.commits == 0
