"""Carrying acts out: what is asked again, and how outcomes of many are kept together."""

from collections.abc import Sequence

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from api.acts import KEEP_MAX, ActLedger, kept
from api.ports import Unavailable
from dispatch.ids import DeviceId, Instant, OfferId
from dispatch.step import Code
from storage.acts import Home, Kept, Outcome
from storage.database import DatabaseUnreachable
from tests.api.devices import ANN, SHARD, Bench, MemoryActs, Script, refusing
from wire.frames import Act, Pause, Take

HOME = Home(SHARD, is_on_shift=True)
TAKE = Take(offer_id=OfferId("off_1"))


class SlowActs(MemoryActs):
    """Acts whose table answers when it is let, or is away."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.is_open = trio.Event()
        self.is_away = False

    async def keep(self, done: Sequence[Kept]) -> None:
        self.batches.append(len(done))
        await self.is_open.wait()
        if self.is_away:
            raise DatabaseUnreachable("it is away")
        await super().keep(done)


def an_act(counter: int) -> Kept:
    act = Act(counter=counter, at=Instant(1), action=Pause())
    return kept(ANN, DeviceId("dev_1"), act, Outcome())


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.MOVED])
async def test_what_says_nothing_of_the_act_is_no_outcome(code: Code) -> None:
    bench = Bench(script=Script(answer=refusing(code)))

    with pytest.raises(Unavailable):
        await bench.desk.act_desk.perform(ANN, HOME, TAKE)


async def test_a_refusal_is_an_outcome() -> None:
    bench = Bench(script=Script(answer=refusing(Code.OFFER_CLOSED)))

    done = await bench.desk.act_desk.perform(ANN, HOME, TAKE)

    assert done.outcome == Outcome(Code.OFFER_CLOSED)
    assert done.home == HOME


async def test_outcomes_that_come_while_others_are_written_are_written_together() -> None:
    acts = SlowActs()
    ledger = ActLedger(acts)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.run)
        async with trio.open_nursery() as waiting:
            waiting.start_soon(ledger.keep, an_act(1))
            await wait_all_tasks_blocked()
            for counter in range(2, KEEP_MAX + 3):
                waiting.start_soon(ledger.keep, an_act(counter))
            await wait_all_tasks_blocked()
            acts.is_open.set()
        nursery.cancel_scope.cancel()

    assert acts.batches == [1, KEEP_MAX, 1]
    assert len(acts.kept) == KEEP_MAX + 2


async def test_whoever_waits_for_a_table_that_is_away_is_told_so() -> None:
    acts = SlowActs()
    acts.is_away = True
    acts.is_open.set()
    ledger = ActLedger(acts)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.run)
        with pytest.raises(DatabaseUnreachable):
            await ledger.keep(an_act(1))
        acts.is_away = False
        await ledger.keep(an_act(1))
        nursery.cancel_scope.cancel()

    assert len(acts.kept) == 1
