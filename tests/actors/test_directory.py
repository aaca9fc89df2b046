"""Two shards of one process: what one tells the other takes effect exactly once."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

import pytest
import trio
import trio.testing

from actors.codec import encode
from actors.directory import Neighbours
from actors.failures import ActorGone
from actors.kind import AnyKind
from actors.life import Ports
from actors.limits import Limits
from actors.ports import Parcel
from actors.shard import Shard
from dispatch.ids import ShardId
from dispatch.step import Accepted
from tests.actors.bank import ACCOUNT, Account, Balance, Deposit, Explode, Transfer, account_kind
from tests.actors.stage import (
    ByLetter,
    HeldJournal,
    LossyRelay,
    accounts,
    clock,
    running,
    settled,
)


class Pair:
    """Shards 1 and 2 on journals of their own, with a relay that a test can disturb."""

    def __init__(self, kind: AnyKind = ACCOUNT) -> None:
        self.kind = kind
        self.journals = {1: HeldJournal(), 2: HeldJournal()}
        self.neighbours = Neighbours(ByLetter())
        self.relay = LossyRelay(self.neighbours)
        self.west, self.east = self.fresh(1), self.fresh(2)

    def fresh(self, number: int) -> Shard:
        """Return a shard on the journal of that number, known to the other."""
        ports = Ports(
            journal=self.journals[number], clock=clock, relay=self.relay, directory=ByLetter()
        )
        shard = Shard(ShardId(number), [self.kind], ports, Limits(resend_s=2, idle_s=None))
        self.neighbours.join(shard)
        return shard

    async def move(self, amount: int) -> object:
        """Deposit money with Ann in the west and transfer it to Zoe in the east."""
        await self.neighbours.ask("account", "ann", Deposit(amount), 60)
        return await self.neighbours.ask("account", "ann", Transfer("t", "zoe", amount), 60)

    async def is_settled(self) -> bool:
        """Tell whether no journal has anything left to send."""
        left = [await journal.store.open(ShardId(n)) for n, journal in self.journals.items()]
        return not any(taken.outbox for taken in left)


async def test_a_transfer_to_another_shard_arrives_and_is_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()

    async with running(pair.west, pair.east):
        answer = await pair.move(5)
        await settled(pair.east)
        east = accounts(pair.east)

    assert answer == Accepted()
    assert east == {"zoe": Account(balance=5, credited=("t",))}
    assert len(pair.relay.sent) == 1
    assert await pair.is_settled()


async def test_parcels_keep_their_order_when_the_first_of_them_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    ids = [f"{number}" for number in range(5)]

    async with running(pair.west, pair.east):
        await pair.neighbours.ask("account", "ann", Deposit(50), 1)
        pair.relay.lose_parcels = 1
        for id_ in ids:
            await pair.neighbours.ask("account", "ann", Transfer(id_, "zoe", 1), 1)
        await settled(pair.east)
        before = accounts(pair.east)
        await trio.sleep(10)
        zoe = accounts(pair.east)["zoe"]

    assert before == {}
    assert zoe.credited == tuple(ids)
    assert await pair.is_settled()


@pytest.mark.parametrize("lost_count", [1, 3])
async def test_a_parcel_that_was_lost_is_sent_again(
    autojump_clock: trio.testing.MockClock, lost_count: int
) -> None:
    pair = Pair()
    pair.relay.lose_parcels = lost_count

    async with running(pair.west, pair.east):
        await pair.move(5)
        await trio.sleep(10)
        east = accounts(pair.east)

    assert east["zoe"].balance == 5
    assert len(pair.relay.sent) == lost_count + 1
    assert await pair.is_settled()


async def test_a_parcel_that_finds_a_full_inbox_is_sent_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair(account_kind(inbox_max=1))
    pair.journals[2].is_load_held = True

    async with running(pair.west, pair.east):
        pair.journals[2].hold()
        pair.east.tell("account", "zoe", Deposit(1))
        await pair.move(5)
        await trio.sleep(3)
        pair.journals[2].release()
        await trio.sleep(5)
        east = accounts(pair.east)

    assert east["zoe"].balance == 6
    assert len(pair.relay.sent) > 1
    assert await pair.is_settled()


async def test_a_parcel_that_comes_twice_counts_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    pair.relay.is_doubling = True
    pair.relay.lose_settlements = 2

    async with running(pair.west, pair.east):
        await pair.move(5)
        await trio.sleep(10)
        messages = pair.east.statistics().totals.messages

    assert messages == 1
    assert len(pair.relay.sent) == 2
    assert await pair.is_settled()


async def test_a_parcel_that_comes_again_after_a_crash_of_its_target_counts_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    pair.relay.lose_settlements = 100

    async with running(pair.west):
        async with running(pair.east):
            await pair.move(5)
            await settled(pair.east)
        pair.neighbours.leave(pair.east)
        again = pair.fresh(2)
        async with running(again):
            pair.relay.lose_settlements = 0
            await trio.sleep(10)
            east, messages = accounts(again), again.statistics().totals.messages

    assert east["zoe"].balance == 5
    assert east["zoe"].credited == ("t",)
    assert messages == 0
    assert await pair.is_settled()


async def test_a_target_that_crashes_before_its_commit_is_told_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()

    async with running(pair.west):
        async with running(pair.east):
            pair.journals[2].hold()
            await pair.move(5)
            await trio.testing.wait_all_tasks_blocked()
        pair.neighbours.leave(pair.east)
        pair.journals[2].release()
        again = pair.fresh(2)
        async with running(again):
            await trio.sleep(10)
            east = accounts(again)

    assert east["zoe"].balance == 5
    assert len(pair.relay.sent) > 1
    assert await pair.is_settled()


async def test_a_source_that_crashes_sends_what_was_not_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    pair.relay.lose_parcels = 1

    async with running(pair.east):
        async with running(pair.west):
            await pair.move(5)
        pair.neighbours.leave(pair.west)
        again = pair.fresh(1)
        async with running(again):
            await settled(again)
            await settled(pair.east)
            east = accounts(pair.east)

    assert east["zoe"].balance == 5
    assert await pair.is_settled()


async def test_marks_below_the_floor_are_forgotten_and_still_count(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()

    async with running(pair.west, pair.east):
        await pair.neighbours.ask("account", "ann", Deposit(50), 1)
        for number in range(20):
            await pair.neighbours.ask("account", "ann", Transfer(f"{number}", "zoe", 1), 1)
        await settled(pair.east)
        first, handled = pair.relay.sent[0], pair.east.statistics().totals.messages
        pair.east.deliver(first)
        await settled(pair.east)
        balance = accounts(pair.east)["zoe"].balance
        handled_again = pair.east.statistics().totals.messages - handled
    taken = await pair.journals[2].store.open(ShardId(2))

    assert balance == 20
    assert handled_again == 0
    assert len(taken.marks) <= 2
    assert taken.floors[0].sequence > first.sequence


async def test_a_parcel_that_cannot_be_read_becomes_a_dead_letter_and_is_settled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    parcel = Parcel(
        source=ShardId(1),
        sequence=9,
        floor=9,
        previous=0,
        kind="account",
        key="zoe",
        message=b"\xc1",
    )

    async with running(pair.east):
        pair.east.deliver(parcel)
        await settled(pair.east)
        (letter,) = pair.east.dead_letters()
    taken = await pair.journals[2].store.open(ShardId(2))

    assert letter.message == b"\xc1"
    assert [mark.sequence for mark in taken.marks] == [9]


async def test_a_message_from_a_neighbour_that_fails_is_settled_with_its_dead_letter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    message = encode(Explode())
    parcel = Parcel(
        source=ShardId(1),
        sequence=9,
        floor=9,
        previous=0,
        kind="account",
        key="zoe",
        message=message,
    )

    async with running(pair.east):
        pair.east.deliver(parcel)
        pair.east.deliver(parcel)
        await settled(pair.east)
        letters = pair.east.dead_letters()
    taken = await pair.journals[2].store.open(ShardId(2))

    assert [letter.message for letter in letters] == [message]
    assert [mark.sequence for mark in taken.marks] == [9]


async def test_an_ask_finds_the_shard_that_its_actor_lives_in(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()

    async with running(pair.west, pair.east):
        answers = [await pair.neighbours.ask("account", key, Deposit(1), 1) for key in ("a", "z")]
        refused = pair.neighbours.tell("account", "z", Deposit(1))
        await settled(pair.east)
        where = [list(accounts(shard)) for shard in (pair.west, pair.east)]

    assert answers == [Balance(1), Balance(1)]
    assert refused is None
    assert where == [["a"], ["z"]]


async def test_an_ask_of_an_actor_in_another_process_ends_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pair = Pair()
    pair.neighbours.leave(pair.east)

    async with running(pair.west):
        with pytest.raises(ActorGone, match="not in this process"):
            await pair.neighbours.ask("account", "zoe", Deposit(1), 60)
        with pytest.raises(ActorGone, match="another shard"):
            pair.west.tell("account", "zoe", Deposit(1))
