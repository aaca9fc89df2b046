"""Dead letters replayed by the owner of their shard: asked again, worked again, and noted."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import Iterable, Sequence

import pytest
import trio
import trio.testing
from msgspec import Struct, msgpack, structs
from trio.testing import MockClock

from actors.limits import Intensity, Limits
from actors.shard import Shard
from dispatch.ids import Instant, ShardId
from dispatch.letter import Letter, LettersUnreachable
from node.letters import LOOK_S, LetterDesk
from tests.actors.bank import ACCOUNT, Charge, Credit, Deposit, Explode, Transfer
from tests.actors.stage import SHARD, HeldJournal, Notes, accounts, running, settled, shard_on

KEPT = Letter(id=1, shard=SHARD, kind="account", key="ann", message=b"", error="", at=Instant(0))


def letter(message: Struct | bytes, **changes: object) -> Letter:
    """Return a letter that is to be replayed."""
    written = message if isinstance(message, bytes) else msgpack.encode(message)
    return structs.replace(KEPT, message=written, **changes)


class Shelf:
    """Letters that are to be replayed, and what came of those that were."""

    def __init__(self, *letters: Letter) -> None:
        self.letters = list(letters)
        self.outcomes: dict[int, str] = {}
        self.away = 0

    async def requested(self, shards: Iterable[ShardId], count_max: int) -> Sequence[Letter]:
        await trio.lowlevel.checkpoint()
        self.away -= 1
        if self.away >= 0:
            raise LettersUnreachable("the test said so")
        wanted = set(shards)
        open_ones = (one for one in self.letters if one.id not in self.outcomes)
        return [one for one in open_ones if one.shard in wanted][:count_max]

    async def settle(self, letter: int, outcome: str) -> None:
        await trio.lowlevel.checkpoint()
        self.outcomes[letter] = outcome


def desk_of(shelf: Shelf, shard: Shard) -> LetterDesk:
    """Return the desk of a node that has this shard."""
    return LetterDesk(shelf, (ACCOUNT,), lambda: {shard.id: shard})


async def test_a_letter_is_asked_again_and_what_came_of_it_noted(autojump_clock: MockClock) -> None:
    shard = shard_on(HeldJournal())
    shelf = Shelf(letter(Credit("c1", 5)), letter(Transfer("t1", "bob", 1), id=2, key="nobody"))
    async with running(shard):
        replayed = await desk_of(shelf, shard).look()

        assert accounts(shard)["ann"].balance == 5
    assert replayed == 2
    assert shelf.outcomes == {1: "accepted", 2: "refused: not-found"}


async def test_a_parked_actor_runs_again_before_it_is_asked(autojump_clock: MockClock) -> None:
    limits = Limits(idle_s=None, actor=Intensity(failures_max=0, within_s=60))
    shard = shard_on(HeldJournal(), limits=limits)
    async with running(shard):
        shard.tell("account", "ann", Explode())
        await settled(shard)
        assert shard.statistics().parked == (("account", "ann"),)
        shelf = Shelf(letter(Credit("c1", 5)))

        await desk_of(shelf, shard).look()

        assert shard.statistics().parked == ()
        assert accounts(shard)["ann"].balance == 5
    assert shelf.outcomes == {1: "accepted"}


async def test_a_message_that_fails_again_leaves_a_new_letter(autojump_clock: MockClock) -> None:
    journal = HeldJournal()
    shard, shelf = shard_on(journal), Shelf(letter(Explode()))
    async with running(shard):
        await desk_of(shelf, shard).look()

    assert shelf.outcomes == {1: "failed again: account ann: RuntimeError('told to')"}
    assert len(await journal.store.dead_letters()) == 1


@pytest.mark.parametrize(
    "unread", [letter(b"\xc1"), letter(b"\xa2\xff\xff"), letter(b"", kind="guild")]
)
async def test_a_letter_that_cannot_be_read_is_noted_as_such_and_not_tried_for_ever(
    unread: Letter, autojump_clock: MockClock
) -> None:
    shard, shelf = shard_on(HeldJournal()), Shelf(unread)
    async with running(shard):
        await desk_of(shelf, shard).look()

    assert shelf.outcomes[1].startswith("unreadable: ")


async def test_a_services_letter_is_fresh_work_for_it(autojump_clock: MockClock) -> None:
    journal, notes = HeldJournal(), Notes()
    shard = shard_on(journal, notes=notes)
    written = msgpack.encode(Charge(5))
    shelf = Shelf(letter(written, kind="service:cards", key="card"))
    async with running(shard):
        await shard.ask("account", "ann", Deposit(1), 1)
        await desk_of(shelf, shard).look()
        submitted = list(notes.submitted)
        kept = (await journal.store.open(SHARD)).outbox

    assert [(service, key, message) for service, _, key, message in submitted] == [
        ("cards", "card", written)
    ]
    assert [(row.sequence, row.kind) for row in kept] == [(submitted[0][1], "service:cards")]
    assert shelf.outcomes == {1: "given to the service again"}


async def test_fresh_work_is_noted_only_once_it_is_committed(autojump_clock: MockClock) -> None:
    journal, notes = HeldJournal(), Notes()
    shard = shard_on(journal, notes=notes)
    shelf = Shelf(letter(b"\x01", kind="service:cards"))
    async with running(shard) as nursery:
        journal.hold()
        nursery.start_soon(desk_of(shelf, shard).look)
        await trio.testing.wait_all_tasks_blocked()
        before = (dict(shelf.outcomes), list(notes.submitted))
        journal.release()
        await trio.testing.wait_all_tasks_blocked()

    assert before == ({}, [])
    assert shelf.outcomes == {1: "given to the service again"}


async def test_letters_wait_for_a_shard_that_is_not_open(autojump_clock: MockClock) -> None:
    shard, shelf = shard_on(HeldJournal()), Shelf(letter(Credit("c1", 5)))

    closed = await desk_of(shelf, shard).look()

    assert closed == 0
    assert shelf.outcomes == {}
    async with running(shard):
        assert await desk_of(shelf, shard).look() == 1


async def test_letters_are_looked_for_again_and_again_whatever_the_store_does(
    autojump_clock: MockClock,
) -> None:
    shard, shelf = shard_on(HeldJournal()), Shelf(letter(Credit("c1", 5)))
    shelf.away = 3
    async with running(shard) as nursery:
        nursery.start_soon(desk_of(shelf, shard).run)
        await trio.sleep(4.5 * LOOK_S)

    assert shelf.outcomes == {1: "accepted"}
