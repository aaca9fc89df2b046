"""What every bus must do, as tests that a bus's own test module runs on itself.

A module that tests a bus subclasses `BusConformance` and says how a cluster of nodes is made: a
function that gives each node its own bus, running.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from dispatch.ids import ShardId
from node.ports import Bus

WEST, EAST = ShardId(1), ShardId(2)
WAIT_S = 8.0

type Cluster = Callable[[], Bus]


class Mailbox:
    """Where the letters of a shard end up."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        self._wanted = 0
        self._filled = trio.Event()

    def take(self, letter: bytes) -> None:
        self.letters.append(letter)
        if len(self.letters) >= self._wanted:
            self._filled.set()

    async def holding(self, count: int) -> list[bytes]:
        """Wait until so many letters have come, and return them."""
        self._wanted, self._filled = count, trio.Event()
        if len(self.letters) < count:
            with trio.fail_after(WAIT_S):
                await self._filled.wait()
        return self.letters


def numbered(count: int) -> list[bytes]:
    """Return letters that say their number."""
    return [f"{number}".encode() for number in range(count)]


class BusConformance:
    """The suite. `cluster` gives the buses of as many nodes as a test asks for."""

    def cluster(self) -> AbstractAsyncContextManager[Cluster]:
        """Return a cluster that no letter was ever posted in."""
        raise NotImplementedError

    async def test_letters_of_one_node_are_handed_over_in_their_order(self) -> None:
        mailbox = Mailbox()

        async with self.cluster() as node:
            ours, theirs = node(), node()
            theirs.open(EAST, mailbox.take)
            for letter in numbered(1_000):
                ours.post(EAST, letter)
            taken = await mailbox.holding(1_000)

        assert taken == numbered(1_000)

    async def test_letters_wait_for_a_shard_that_nobody_has_opened(self) -> None:
        mailbox = Mailbox()

        async with self.cluster() as node:
            ours, theirs = node(), node()
            for letter in numbered(3):
                ours.post(EAST, letter)
            theirs.open(EAST, mailbox.take)
            taken = await mailbox.holding(3)

        assert taken == numbered(3)

    async def test_a_letter_is_never_handed_over_within_the_call_that_posts_it(self) -> None:
        mailbox = Mailbox()

        async with self.cluster() as node:
            ours = node()
            ours.open(WEST, mailbox.take)
            ours.post(WEST, b"to myself")
            at_once = list(mailbox.letters)
            taken = await mailbox.holding(1)

        assert at_once == []
        assert taken == [b"to myself"]

    async def test_each_shard_has_its_own_letters(self) -> None:
        west, east = Mailbox(), Mailbox()

        async with self.cluster() as node:
            ours, theirs = node(), node()
            ours.open(WEST, west.take)
            theirs.open(EAST, east.take)
            ours.post(EAST, b"to the east")
            theirs.post(WEST, b"to the west")
            taken = (await west.holding(1), await east.holding(1))

        assert taken == ([b"to the west"], [b"to the east"])

    async def test_what_comes_after_closing_is_for_the_next_owner(self) -> None:
        first, second = Mailbox(), Mailbox()

        async with self.cluster() as node:
            ours, theirs, others = node(), node(), node()
            theirs.open(EAST, first.take)
            ours.post(EAST, b"1")
            await first.holding(1)
            theirs.close(EAST)
            ours.post(EAST, b"2")
            others.open(EAST, second.take)
            await second.holding(1)

        assert first.letters == [b"1"]
        assert second.letters[-1:] == [b"2"]

    async def test_closing_twice_or_what_was_never_open_is_no_matter(self) -> None:
        mailbox = Mailbox()

        async with self.cluster() as node:
            ours = node()
            ours.close(WEST)
            ours.open(WEST, mailbox.take)
            ours.close(WEST)
            ours.close(WEST)
            ours.open(WEST, mailbox.take)
            ours.post(WEST, b"still here")
            taken = await mailbox.holding(1)

        assert taken == [b"still here"]
