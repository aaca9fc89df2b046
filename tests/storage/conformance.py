"""What every store must do, as tests that a store's own test module runs on itself.

A module that tests a store subclasses `Conformance` and says how a fresh store is made. A store is
a journal, and can be read: facts by actor, feeds by person, dead letters in order.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest
from msgspec import structs

from dispatch.ids import Instant, ShardId
from dispatch.journal import (
    Batch,
    Checkpoint,
    Committed,
    DeadLetter,
    FactRow,
    FeedEntry,
    FeedRow,
    InboxMark,
    LeaseLost,
    OutboxRow,
    Recovered,
)

SHARD = ShardId(1)
NAME = ("account", "a1")


class Store(Protocol):
    """A journal that can be read."""

    async def open(self, shard: ShardId) -> Recovered: ...

    async def commit(self, batch: Batch) -> Committed: ...

    async def load(
        self, shard: ShardId, names: Sequence[tuple[str, str]]
    ) -> Sequence[bytes | None]: ...

    async def history(self, kind: str, key: str) -> Sequence[bytes]: ...

    async def feed(self, person: str, after: int) -> Sequence[tuple[int, bytes]]: ...

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]: ...

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]: ...

    async def dead_letters(self) -> Sequence[DeadLetter]: ...


def full(epoch: int, number: int, shard: ShardId = SHARD) -> Batch:
    """Return a batch with a row of each sort, which say its number."""
    text = f"{number}".encode()
    return Batch(
        shard=shard,
        epoch=epoch,
        number=number,
        at=Instant(number),
        checkpoints=(Checkpoint(*NAME, text),),
        facts=(FactRow(*NAME, text),),
        outbox=(OutboxRow(number, "service:cards", "c", text),),
        marks=(InboxMark(ShardId(2), number),),
        feed=(FeedRow("ann", text),),
        dead_letters=(DeadLetter(*NAME, text, "why"),),
    )


class Conformance:
    """The suite. `fresh` gives a store with nothing in it, and takes it down after the test."""

    def fresh(self) -> AbstractAsyncContextManager[Store]:
        """Return a fresh store."""
        raise NotImplementedError

    async def test_a_new_shard_starts_from_nothing(self) -> None:
        async with self.fresh() as store:
            taken = await store.open(SHARD)

        assert taken == Recovered(epoch=1, number=0)

    async def test_whoever_opens_a_shard_has_a_higher_epoch_than_all_before(self) -> None:
        async with self.fresh() as store:
            epochs = [(await store.open(SHARD)).epoch for _ in range(3)]

        assert epochs == sorted(set(epochs))

    async def test_a_committed_batch_is_what_the_next_owner_starts_from(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            batch = full(epoch, 1)
            committed = await store.commit(batch)
            taken = await store.open(SHARD)

        assert committed == Committed((1,))
        assert taken.number == 1
        assert taken.checkpoints == batch.checkpoints
        assert taken.outbox == batch.outbox
        assert taken.marks == batch.marks

    async def test_an_empty_batch_counts(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            committed = await store.commit(Batch(SHARD, epoch, 1, Instant(0)))
            taken = await store.open(SHARD)

        assert committed == Committed()
        assert taken.number == 1

    async def test_an_owner_whose_shard_was_taken_over_writes_nothing(self) -> None:
        async with self.fresh() as store:
            old = (await store.open(SHARD)).epoch
            new = (await store.open(SHARD)).epoch
            with pytest.raises(LeaseLost):
                await store.commit(full(old, 1))
            nothing = await _seen(store)
            await store.commit(full(new, 1))
            with pytest.raises(LeaseLost):
                await store.commit(full(old, 2))
            taken = await store.open(SHARD)

        assert nothing == _NOTHING
        assert taken.number == 1

    async def test_nobody_commits_to_a_shard_that_was_never_opened(self) -> None:
        async with self.fresh() as store:
            with pytest.raises(LeaseLost):
                await store.commit(full(1, 1))
            nothing = await _seen(store)

        assert nothing == _NOTHING

    @pytest.mark.parametrize("number", [0, 1, 4])
    async def test_a_batch_that_does_not_follow_writes_nothing(self, number: int) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            for at in (1, 2):
                await store.commit(full(epoch, at))
            before = await _seen(store)
            with pytest.raises(LeaseLost):
                await store.commit(structs.replace(full(epoch, number), at=Instant(9)))
            after = await _seen(store)

        assert after == before

    async def test_the_last_batch_sent_again_gives_the_same_answer_and_counts_once(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            await store.commit(full(epoch, 1))
            answers = [await store.commit(full(epoch, 2)) for _ in range(3)]
            seen = await _seen(store)
            await store.commit(full(epoch, 3))

        assert answers == [Committed((2,))] * 3
        assert seen == ([b"1", b"2"], [(1, b"1"), (2, b"2")], 2, [b"2"])

    async def test_another_batch_of_the_last_number_is_refused(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            await store.commit(full(epoch, 1))
            other = structs.replace(full(epoch, 1), facts=(FactRow(*NAME, b"other"),))
            with pytest.raises(LeaseLost):
                await store.commit(other)
            history = await store.history(*NAME)

        assert history == [b"1"]

    async def test_shards_do_not_touch_each_other(self) -> None:
        async with self.fresh() as store:
            here = (await store.open(SHARD)).epoch
            there = (await store.open(ShardId(2))).epoch
            await store.open(ShardId(2))
            await store.commit(full(here, 1))
            with pytest.raises(LeaseLost):
                await store.commit(full(there, 1, ShardId(2)))
            states = await store.load(ShardId(2), [NAME])

        assert list(states) == [None]

    async def test_a_checkpoint_replaces_the_one_before(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            for number in (1, 2):
                await store.commit(full(epoch, number))
            taken = await store.open(SHARD)

        assert [checkpoint.state for checkpoint in taken.checkpoints] == [b"2"]

    async def test_a_finished_actor_is_not_recovered_but_can_be_loaded(self) -> None:
        finished = Checkpoint(*NAME, b"done", is_live=False)
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            await store.commit(full(epoch, 1))
            await store.commit(Batch(SHARD, epoch, 2, Instant(0), checkpoints=(finished,)))
            taken = await store.open(SHARD)
            states = await store.load(SHARD, [NAME])

        assert taken.checkpoints == ()
        assert list(states) == [b"done"]

    async def test_an_actor_that_lives_again_is_recovered(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            for number, is_live in ((1, False), (2, True)):
                checkpoint = Checkpoint(*NAME, b"x", is_live=is_live)
                batch = Batch(SHARD, epoch, number, Instant(0), checkpoints=(checkpoint,))
                await store.commit(batch)
            taken = await store.open(SHARD)

        assert taken.checkpoints == (Checkpoint(*NAME, b"x"),)

    async def test_states_are_loaded_in_the_order_asked_with_none_for_who_never_was(self) -> None:
        checkpoints = (Checkpoint("account", "a", b"A"), Checkpoint("card", "a", b"C"))
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            await store.commit(Batch(SHARD, epoch, 1, Instant(0), checkpoints=checkpoints))
            asked = [("card", "a"), ("account", "b"), ("account", "a"), ("card", "a")]
            states = await store.load(SHARD, asked)

        assert list(states) == [b"C", None, b"A", b"C"]

    async def test_facts_of_an_actor_stay_in_the_order_in_which_they_happened(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            for number in (1, 2):
                facts = tuple(
                    FactRow("account", key, f"{number}{key}{at}".encode())
                    for at in range(3)
                    for key in "ab"
                )
                await store.commit(Batch(SHARD, epoch, number, Instant(0), facts=facts))
            history = await store.history("account", "a")

        assert list(history) == [b"1a0", b"1a1", b"1a2", b"2a0", b"2a1", b"2a2"]

    async def test_outbox_rows_stay_until_handled_and_come_back_in_rising_sequence(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            rows = tuple(OutboxRow(sequence, "account", "a", b"x") for sequence in (3, 1, 2))
            await store.commit(Batch(SHARD, epoch, 1, Instant(0), outbox=rows))
            more = (OutboxRow(4, "account", "a", b"x"),)
            batch = Batch(SHARD, epoch, 2, Instant(0), outbox=more, handled=(2, 99))
            await store.commit(batch)
            taken = await store.open(SHARD)

        assert [row.sequence for row in taken.outbox] == [1, 3, 4]

    async def test_a_row_may_be_written_and_handled_by_one_batch(self) -> None:
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            rows = (OutboxRow(1, "account", "a", b"x"),)
            await store.commit(Batch(SHARD, epoch, 1, Instant(0), outbox=rows, handled=(1,)))
            taken = await store.open(SHARD)

        assert taken.outbox == ()

    async def test_marks_below_the_floor_of_their_source_are_forgotten(self) -> None:
        marks = tuple(InboxMark(ShardId(shard), at) for shard in (2, 3) for at in (1, 5, 9))
        floor = InboxMark(ShardId(2), 5)
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            await store.commit(Batch(SHARD, epoch, 1, Instant(0), marks=marks))
            await store.commit(Batch(SHARD, epoch, 2, Instant(0), floors=(floor,)))
            taken = await store.open(SHARD)

        assert set(taken.marks) == set(marks) - {InboxMark(ShardId(2), 1)}
        assert taken.floors == (floor,)

    async def test_a_person_s_feed_is_numbered_without_gaps_over_batches_and_shards(self) -> None:
        async with self.fresh() as store:
            here = (await store.open(SHARD)).epoch
            there = (await store.open(ShardId(2))).epoch
            rows = (FeedRow("ann", b"a1"), FeedRow("bob", b"b1"), FeedRow("ann", b"a2"))
            first = await store.commit(Batch(SHARD, here, 1, Instant(0), feed=rows))
            more = (FeedRow("ann", b"a3"), FeedRow("bob", b"b2"))
            second = await store.commit(Batch(ShardId(2), there, 1, Instant(0), feed=more))
            ann = await store.feed("ann", 0)
            late = await store.feed("ann", 2)
            nobody = await store.feed("cid", 0)

        assert first == Committed((1, 1, 2))
        assert second == Committed((3, 2))
        assert list(ann) == [(1, b"a1"), (2, b"a2"), (3, b"a3")]
        assert list(late) == [(3, b"a3")]
        assert list(nobody) == []

    async def test_many_feeds_are_read_at_once_each_from_where_its_reader_is(self) -> None:
        async with self.fresh() as store:
            before = (await store.open(SHARD)).epoch
            rows = tuple(FeedRow(who, f"{who}{at}".encode()) for who in "ab" for at in range(5))
            await store.commit(Batch(SHARD, before, 1, Instant(0), feed=rows))
            now = (await store.open(SHARD)).epoch
            await store.commit(Batch(SHARD, now, 2, Instant(0), feed=(FeedRow("b", b"b5"),)))
            pages = await store.feeds([("b", 4), ("c", 0), ("a", 1), ("b", 0)], 3)
            heads = await store.feed_heads(["b", "c"])

        assert now > before
        assert [list(page) for page in pages] == [
            [FeedEntry(5, before, b"b4"), FeedEntry(6, now, b"b5")],
            [],
            [FeedEntry(at + 1, before, f"a{at}".encode()) for at in (1, 2, 3)],
            [FeedEntry(at + 1, before, f"b{at}".encode()) for at in (0, 1, 2)],
        ]
        assert dict(heads) == {"b": 6}

    async def test_dead_letters_are_kept_in_order(self) -> None:
        letters = tuple(DeadLetter(*NAME, f"{at}".encode(), "why") for at in range(3))
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            await store.commit(Batch(SHARD, epoch, 1, Instant(0), dead_letters=letters))
            kept = await store.dead_letters()

        assert tuple(kept) == letters

    async def test_a_large_batch_is_written_whole(self) -> None:
        count = 2_000
        async with self.fresh() as store:
            epoch = (await store.open(SHARD)).epoch
            batch = Batch(
                SHARD,
                epoch,
                1,
                Instant(0),
                checkpoints=tuple(Checkpoint("account", f"{at}", b"x") for at in range(count)),
                facts=tuple(FactRow(*NAME, f"{at}".encode()) for at in range(count)),
                outbox=tuple(OutboxRow(at, "account", "a", b"x") for at in range(1, count)),
                feed=tuple(FeedRow(f"p{at % 7}", b"x") for at in range(count)),
            )
            committed = await store.commit(batch)
            taken = await store.open(SHARD)
            history = await store.history(*NAME)

        assert len(committed.feed_numbers) == count
        assert set(taken.checkpoints) == set(batch.checkpoints)
        assert taken.outbox == batch.outbox
        assert [int(fact) for fact in history] == list(range(count))


type Seen = tuple[list[bytes], list[tuple[int, bytes]], int, list[bytes | None]]

_NOTHING: Seen = ([], [], 0, [None])


async def _seen(store: Store) -> Seen:
    """Return the facts, the feed, how many dead letters and the state that `full` writes."""
    history = await store.history(*NAME)
    feed = await store.feed("ann", 0)
    letters = await store.dead_letters()
    states = await store.load(SHARD, [NAME])
    return list(history), list(feed), len(letters), list(states)
