"""The ladder: a bad message, a parked actor, a recovered shard, a node that ends."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

import pytest
import trio
import trio.testing

from actors.failures import ActorFailed, ActorGone, NodeFailed
from actors.limits import Intensity, Limits
from actors.supervision import Tally
from dispatch.ids import Instant
from dispatch.journal import Batch, Checkpoint
from dispatch.step import Code, Refused
from tests.actors.bank import (
    Account,
    Balance,
    Deposit,
    Explode,
    Incite,
    Misaddress,
    Overflow,
    Remind,
    Scatter,
    Transfer,
)
from tests.actors.stage import (
    SHARD,
    HeldJournal,
    accounts,
    clock,
    recovered,
    running,
    settled,
    shard_on,
)

PARKING = Limits(actor=Intensity(failures_max=2, within_s=10), idle_s=None)
UNREADABLE = b"\xc1"
FRAGILE = Limits(shard=Intensity(failures_max=2, within_s=10), idle_s=None)


async def test_a_handler_that_raises_leaves_its_state_and_its_siblings_untouched(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        shard.tell("account", "ann", Deposit(1))
        shard.tell("account", "ann", Explode())
        shard.tell("account", "ann", Deposit(1))
        shard.tell("account", "bob", Deposit(2))
        await settled(shard)
        after = accounts(shard)

    assert after == {"ann": Account(balance=7), "bob": Account(balance=2)}
    assert len(shard.dead_letters()) == 1


async def test_a_step_whose_last_effect_cannot_be_said_says_none_of_them(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        await shard.ask("account", "bob", Deposit(5), 1)
        with pytest.raises(ActorFailed, match="nobody"):
            await shard.ask("account", "ann", Misaddress("bob"), 1)
        after = accounts(shard)
    history = await journal.store.history("account", "ann")

    assert after == {"ann": Account(balance=5), "bob": Account(balance=5)}
    assert len(history) == 1


async def test_what_a_failing_step_told_is_taken_back_wherever_it_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        for key in ("ann", "bob", "cid"):
            await shard.ask("account", key, Deposit(5), 1)
        shard.tell("account", "ann", Incite(("ann", "bob", "cid", "cid")))
        shard.tell("account", "ann", Misaddress("bob"))
        shard.tell("account", "bob", Deposit(1))
        await settled(shard)
        after = {key: account.balance for key, account in accounts(shard).items()}

    assert after == {"ann": 5, "bob": 6, "cid": 5}
    assert [letter.key for letter in shard.dead_letters()].count("cid") == 2
    assert len(shard.dead_letters()) == 5
    assert all("nobody here" in letter.error for letter in shard.dead_letters())


async def test_a_deadline_set_before_a_failure_in_the_same_visit_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        shard.tell("account", "ann", Remind(Instant(clock() + 3_000)))
        shard.tell("account", "ann", Explode())
        await trio.sleep(4)
        wakes = accounts(shard)["ann"].wakes

    assert wakes == 1


async def test_an_actor_that_fails_too_often_is_parked_and_refuses(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=PARKING)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        await shard.ask("account", "bob", Deposit(5), 1)
        for _ in range(3):
            with pytest.raises(ActorFailed):
                await shard.ask("account", "ann", Explode(), 1)
        parked = shard.statistics().parked
        asked = await shard.ask("account", "ann", Deposit(1), 1)
        told = shard.tell("account", "ann", Deposit(1))
        sibling = await shard.ask("account", "bob", Transfer("t", "ann", 2), 1)
        last = shard.dead_letters()[-1]

    assert parked == (("account", "ann"),)
    assert isinstance(asked, Refused)
    assert asked.code is Code.PARKED
    assert told == asked
    assert not isinstance(sibling, Refused)
    assert "parked" in last.error
    assert len(await journal.store.dead_letters()) == 4


async def test_failures_that_are_far_apart_park_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), limits=PARKING)

    async with running(shard):
        for _ in range(6):
            with pytest.raises(ActorFailed):
                await shard.ask("account", "ann", Explode(), 1)
            await trio.sleep(6)
        answer = await shard.ask("account", "ann", Deposit(1), 1)

    assert answer == Balance(1)


async def test_mail_that_waits_when_an_actor_is_parked_is_turned_away(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard, answers = shard_on(HeldJournal(), limits=PARKING), list[object]()

    async def ask() -> None:
        answers.append(await shard.ask("account", "ann", Deposit(1), 1))

    async with running(shard) as nursery:
        await shard.ask("account", "ann", Deposit(5), 1)
        for _ in range(3):
            shard.tell("account", "ann", Explode())
        shard.tell("account", "ann", Deposit(1))
        nursery.start_soon(ask)
        await settled(shard)

    assert [type(answer) for answer in answers] == [Refused]
    assert len(shard.dead_letters()) == 4


async def test_an_actor_that_is_unparked_goes_on_from_its_state(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), limits=PARKING)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        for _ in range(3):
            shard.tell("account", "ann", Explode())
        await settled(shard)
        was_parked = shard.unpark("account", "ann")
        answer = await shard.ask("account", "ann", Deposit(1), 1)

    assert was_parked
    assert answer == Balance(6)
    assert shard.statistics().parked == ()


async def test_unparking_somebody_who_is_not_parked_says_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        was_parked = shard.unpark("account", "ann")

    assert not was_parked


async def test_a_shard_with_too_many_failures_is_dropped_and_recovered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal, answers, gone = HeldJournal(), list[object](), list[str]()
    shard = shard_on(journal, limits=FRAGILE)

    async def ask(key: str) -> None:
        try:
            answers.append(await shard.ask("account", key, Deposit(1), 60))
        except ActorGone:
            gone.append(key)

    async with running(shard) as nursery:
        for key in ("ann", "bob"):
            await shard.ask("account", key, Deposit(5), 1)
        journal.hold()
        for key in ("ann", "bob"):
            nursery.start_soon(ask, key)
            await trio.testing.wait_all_tasks_blocked()
        for key in ("cid", "dan", "eve"):
            shard.tell("account", key, Explode())
        await trio.testing.wait_all_tasks_blocked()
        journal.release()
        await trio.sleep(1)
        after = accounts(shard)

    assert answers == [Balance(6)]
    assert gone == ["bob"]
    assert {key: account.balance for key, account in after.items()} == {"ann": 6, "bob": 5}
    assert shard.statistics().totals.recoveries == 2


async def test_a_node_whose_shard_fails_again_and_again_ends_with_an_error(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), limits=FRAGILE)

    async def fail_it() -> None:
        for _ in range(4):
            for key in ("bob", "cid", "dan"):
                shard.tell("account", key, Explode())
            await trio.sleep(1)

    with pytest.RaisesGroup(pytest.RaisesExc(NodeFailed, match="more than 2 shards failed")):
        async with running(shard, intensity=Intensity(failures_max=2, within_s=60)) as nursery:
            nursery.start_soon(fail_it)
            await trio.sleep(60)

    assert trio.current_time() < 10
    assert shard.statistics().totals.recoveries == 3


async def test_a_journal_that_is_away_for_long_ends_no_node_and_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=Limits(tries_max=2, idle_s=None))

    async with running(shard, intensity=Intensity(failures_max=0, within_s=86_400)):
        journal.unreachable_count = 50
        with pytest.raises(ActorGone):
            await shard.ask("account", "ann", Deposit(1), 60)
        while journal.unreachable_count:
            await shard.opening()
            shard.tell("account", "ann", Deposit(1))
            await trio.sleep(1)
        await shard.opening()
        answer = await shard.ask("account", "bob", Deposit(2), 60)

    assert answer == Balance(2)


async def test_an_actor_that_stays_due_after_its_wake_fails_instead_of_spinning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Remind(Instant(clock() + 1_000), is_stubborn=True), 1)
        await trio.sleep(30)
        wakes = accounts(shard)["ann"].wakes

    assert wakes == 1
    assert [letter.key for letter in shard.dead_letters()] == ["ann"]
    assert "StillDue" in shard.dead_letters()[0].error


async def test_a_state_that_cannot_be_read_back_is_parked_and_its_siblings_run(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    first = shard_on(journal)
    async with running(first):
        await first.ask("account", "ann", Deposit(5), 1)
        await first.ask("account", "bob", Deposit(5), 1)
    await spoil(journal, "ann")

    second = shard_on(journal)
    async with running(second):
        ann = await second.ask("account", "ann", Deposit(1), 1)
        bob = await second.ask("account", "bob", Deposit(1), 1)

    assert isinstance(ann, Refused)
    assert bob == Balance(6)
    assert "cannot be read" in second.dead_letters()[0].error


async def test_a_state_that_cannot_be_written_fails_the_shard_and_not_the_node(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal())

    async with running(shard):
        await shard.ask("account", "ann", Deposit(5), 1)
        with pytest.raises(ActorGone):
            await shard.ask("account", "ann", Overflow(), 1)
        await shard.opening()
        answer = await shard.ask("account", "ann", Deposit(1), 1)

    assert answer == Balance(6)


async def test_whatever_a_dead_letter_was_it_is_kept_with_the_end_of_its_traceback(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shard = shard_on(HeldJournal(), limits=Limits(error_chars_max=40, idle_s=None))

    async with running(shard):
        with pytest.raises(ActorFailed):
            await shard.ask("account", "ann", Explode(), 1)
        (letter,) = shard.dead_letters()

    assert len(letter.error) == 40
    assert letter.error.endswith("RuntimeError: told to\n")


async def test_only_the_newest_dead_letters_are_kept_in_memory(
    autojump_clock: trio.testing.MockClock,
) -> None:
    limits = Limits(dead_letters_max=2, idle_s=None)
    journal = HeldJournal()
    shard = shard_on(journal, limits=limits)

    async with running(shard):
        for key in ("ann", "bob", "cid"):
            shard.tell("account", key, Explode())
        await settled(shard)
        letters = await journal.store.dead_letters()

    assert [letter.key for letter in shard.dead_letters()] == ["bob", "cid"]
    assert [letter.key for letter in letters] == ["ann", "bob", "cid"]


async def test_money_survives_a_shard_that_was_dropped_for_its_failures(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = HeldJournal()
    shard = shard_on(journal, limits=FRAGILE)

    async with running(shard):
        await shard.ask("account", "ann", Deposit(50), 1)
        shard.tell("account", "ann", Scatter("bob", 5))
        for _ in range(3):
            shard.tell("account", "cid", Explode())
        await trio.sleep(1)
    after = await recovered(journal)

    assert after["ann"].balance == 50
    assert "cid" not in after


def test_a_tally_counts_only_what_lies_within_its_time() -> None:
    tally = Tally(Intensity(failures_max=1, within_s=10))

    judged = [tally.is_past(Instant(at)) for at in (0, 11_000, 20_000, 21_000, 40_000)]

    assert judged == [False, False, True, True, False]


async def spoil(journal: HeldJournal, key: str) -> None:
    """Commit bytes as an account's state that are none."""
    taken = await journal.store.open(SHARD)
    checkpoint = Checkpoint("account", key, UNREADABLE)
    batch = Batch(SHARD, taken.epoch, taken.number + 1, Instant(0), checkpoints=(checkpoint,))
    await journal.store.commit(batch)
