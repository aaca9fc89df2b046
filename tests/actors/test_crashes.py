"""Money under fire: two shards die at random commits, and clients repeat what was not answered.

Whatever the seed, nothing that was acknowledged is missing, nothing counts twice, what one account
told another arrived in its order, and the sum is what was put in. The same seed gives the same run
to the byte.
"""

from random import Random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from actors.directory import Neighbours
from actors.failures import ActorGone
from actors.life import Ports
from actors.limits import Limits
from actors.shard import Shard
from dispatch.ids import ShardId
from dispatch.journal import Batch, LeaseLost
from dispatch.step import Accepted, Code, Refused
from tests.actors.bank import ACCOUNT, Account, Credit, Transfer
from tests.actors.stage import (
    ByLetter,
    CrashingJournal,
    LossyRelay,
    accounts,
    clock,
    simulated,
)

KEYS = ("ann", "bob", "cid", "xen", "yul", "zoe")
CLIENTS = 3
MOVES = 8


class Outcome(Struct, frozen=True):
    """What a run led to: the accounts, what was acknowledged, every batch in order."""

    accounts: dict[str, Account]
    put_in: int
    sent: tuple[tuple[str, Transfer], ...]
    batches: tuple[Batch, ...]
    recoveries: int


class Bank:
    """Two shards that are run again whenever they die, and clients who do not give up."""

    def __init__(self, seed: int, crashes_max: int) -> None:
        chance = Random(seed)
        self.neighbours = Neighbours(ByLetter())
        relay = LossyRelay(self.neighbours)
        relay.is_doubling = True
        relay.lose_parcels = chance.randrange(3)
        relay.lose_settlements = chance.randrange(3)
        self.journals = [CrashingJournal(Random(chance.random()), crashes_max) for _ in range(2)]
        self.shards = [self._shard(number, relay) for number in (1, 2)]
        self.chances = [Random(chance.random()) for _ in range(CLIENTS)]
        self.put_in = 0
        self.sent: list[tuple[str, Transfer]] = []

    def _shard(self, number: int, relay: LossyRelay) -> Shard:
        journal = self.journals[number - 1]
        ports = Ports(journal=journal, clock=clock, relay=relay, directory=ByLetter())
        limits = Limits(transitions_max=3, slice_max=1, load_max=2, idle_s=1, sweep_s=0.5)
        shard = Shard(ShardId(number), [ACCOUNT], ports, limits)
        self.neighbours.join(shard)
        return shard

    async def live(self, shard: Shard) -> None:
        """Run the shard, again each time it dies."""
        while True:
            try:
                await shard.run()
            except LeaseLost:
                await trio.sleep(0.1)
            else:
                return

    async def client(self, number: int) -> None:
        """Put money in and move it about."""
        chance = self.chances[number]
        for at in range(MOVES):
            await trio.sleep(chance.random())
            source, target = chance.sample(KEYS, 2)
            credit = Credit(f"in-{number}-{at}", chance.randrange(1, 9))
            assert await self.sure(target, credit) == Accepted()
            self.put_in += credit.amount
            transfer = Transfer(f"move-{number}-{at}", target, chance.randrange(1, 9))
            answer = await self.sure(source, transfer)
            if isinstance(answer, Accepted):
                self.sent.append((source, transfer))
            else:
                assert isinstance(answer, Refused)
                assert answer.code in {Code.INVALID, Code.NOT_FOUND}

    async def sure(self, key: str, message: Struct) -> Struct:
        """Ask until there is an answer."""
        for _ in range(200):
            try:
                return await self.neighbours.ask("account", key, message, 5)
            except (ActorGone, trio.TooSlowError):
                await trio.sleep(0.3)
        raise AssertionError(message)

    async def run(self) -> Outcome:
        """Let the clients finish, let the last parcels settle, and look at every account."""
        async with trio.open_nursery() as nursery:
            for shard in self.shards:
                nursery.start_soon(self.live, shard)
            async with trio.open_nursery() as clients:
                for number in range(CLIENTS):
                    clients.start_soon(self.client, number)
            await trio.sleep(60)
            for key in KEYS:
                await self.sure(key, Credit("last", 0))
            found = {key: state for shard in self.shards for key, state in accounts(shard).items()}
            for shard in self.shards:
                shard.stop()
        return Outcome(
            accounts=found,
            put_in=self.put_in,
            sent=tuple(self.sent),
            batches=tuple(batch for journal in self.journals for batch in journal.written),
            recoveries=sum(shard.statistics().totals.recoveries for shard in self.shards),
        )


def outcome(seed: int, crashes_max: int = 6) -> Outcome:
    """Run a bank."""
    return simulated(Bank(seed, crashes_max).run, seed)


def check(run: Outcome) -> None:
    """Hold the run against what was acknowledged."""
    assert sum(account.balance for account in run.accounts.values()) == run.put_in
    for source, transfer in run.sent:
        assert transfer.id in run.accounts[source].sent
        assert transfer.id in run.accounts[transfer.to].credited
    for key, account in run.accounts.items():
        assert len(set(account.credited)) == len(account.credited)
        for source, sender in run.accounts.items():
            told = {
                transfer.id for who, transfer in run.sent if (who, transfer.to) == (source, key)
            }
            heard = [id_ for id_ in account.credited if id_ in told]
            assert heard == [id_ for id_ in sender.sent if id_ in told]


@given(st.integers(min_value=0, max_value=10_000))
@pytest.mark.slow
def test_no_crash_loses_or_doubles_money(seed: int) -> None:
    run = outcome(seed)

    check(run)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bank_that_dies_several_times_keeps_its_money(seed: int) -> None:
    run = outcome(seed)

    check(run)
    assert run.recoveries >= 6
    assert len(run.sent) > 5


def test_the_same_seed_gives_the_same_run_to_the_byte() -> None:
    first, second, other = outcome(5), outcome(5), outcome(6)

    assert first == second
    assert first.batches != other.batches
