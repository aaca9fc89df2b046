"""The feeds of a process: every message once and in order, whoever published it and when."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import Sequence
from random import Random

import pytest
import trio
from trio.testing import MockClock

from dispatch.journal import JournalUnreachable
from node.feeds import FeedHub, FeedLimits
from tests.node.loopback import PERSON, FeedStore, Text, texts

LIMITS = FeedLimits(live_max=8, look_s=2)


class Slow(FeedStore):
    """A store whose readings take a while, and fail as often as it is told."""

    def __init__(self, failures: int = 0, takes_s: float = 0.5) -> None:
        super().__init__()
        self.failures = failures
        self.takes_s = takes_s

    async def feed(self, person: str, after: int) -> Sequence[tuple[int, bytes]]:
        read = await super().feed(person, after)
        await trio.sleep(self.takes_s)
        self.failures -= 1
        if self.failures >= 0:
            raise JournalUnreachable("the test said so")
        return read


async def test_what_is_committed_while_the_backlog_is_read_comes_after_it(
    autojump_clock: MockClock,
) -> None:
    store = Slow()
    hub = FeedHub(store, LIMITS)
    store.commit(PERSON, "0")

    async def commit_meanwhile() -> None:
        await trio.sleep(0.1)
        hub.publish(PERSON, store.commit(PERSON, "1"), Text("1"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit_meanwhile)
        with hub.listening(PERSON, 0) as feed:
            heard = [await anext(feed), await anext(feed)]

    assert texts(heard) == [(1, "0"), (2, "1")]
    assert store.reads == 1


async def test_live_messages_cost_no_reading_even_when_they_come_twice(
    autojump_clock: MockClock,
) -> None:
    store = FeedStore()
    hub = FeedHub(store, LIMITS)
    with hub.listening(PERSON, 0) as feed:
        for at in range(20):
            number = store.commit(PERSON, f"{at}")
            for _ in range(2):
                hub.publish(PERSON, number, Text(f"{at}"))
            assert await anext(feed) == (number, store.feeds[PERSON][at])

    assert store.reads == 0


async def test_a_message_committed_elsewhere_is_found_when_the_next_one_does_not_fit(
    autojump_clock: MockClock,
) -> None:
    store = FeedStore()
    hub = FeedHub(store, LIMITS)
    with hub.listening(PERSON, 0) as feed:
        hub.publish(PERSON, store.commit(PERSON, "0"), Text("0"))
        heard = [await anext(feed)]
        store.commit(PERSON, "1")
        hub.publish(PERSON, store.commit(PERSON, "2"), Text("2"))
        with trio.fail_after(LIMITS.look_s / 2):
            heard += [await anext(feed), await anext(feed)]

    assert texts(heard) == [(1, "0"), (2, "1"), (3, "2")]


async def test_a_message_committed_elsewhere_is_found_by_looking(autojump_clock: MockClock) -> None:
    store = FeedStore()
    hub = FeedHub(store, LIMITS)
    began_s = trio.current_time()

    async def commit_elsewhere() -> None:
        await trio.sleep(10.1)
        store.commit(PERSON, "0")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit_elsewhere)
        with hub.listening(PERSON, 0) as feed:
            heard = await anext(feed)
            heard_at_s = trio.current_time() - began_s

    assert texts([heard]) == [(1, "0")]
    assert heard_at_s - 10.1 <= LIMITS.look_s


class Paged(FeedStore):
    """A store that gives ten messages at a time."""

    async def feed(self, person: str, after: int) -> Sequence[tuple[int, bytes]]:
        return (await super().feed(person, after))[:10]


async def test_a_long_backlog_is_read_page_by_page_without_a_pause(
    autojump_clock: MockClock,
) -> None:
    store = Paged()
    for at in range(35):
        store.commit(PERSON, f"{at}")
    with FeedHub(store, LIMITS).listening(PERSON, 0) as feed:
        with trio.fail_after(LIMITS.look_s / 2):
            heard = [await anext(feed) for _ in range(35)]

    assert texts(heard) == [(at + 1, f"{at}") for at in range(35)]


async def test_a_journal_that_cannot_be_reached_delays_a_feed_and_breaks_nothing(
    autojump_clock: MockClock,
) -> None:
    store = Slow(failures=4)
    hub = FeedHub(store, LIMITS)
    store.commit(PERSON, "0")

    with hub.listening(PERSON, 0) as feed:
        heard = [await anext(feed)]

    assert texts(heard) == [(1, "0")]
    assert store.reads == 5


async def test_nobody_listens_once_the_listening_ends(autojump_clock: MockClock) -> None:
    hub = FeedHub(FeedStore(), LIMITS)

    with hub.listening(PERSON, 0), hub.listening(PERSON, 3):
        during = hub.listening_count()

    assert (during, hub.listening_count()) == (2, 0)


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_lost_doubled_or_overtaken_each_message_is_heard_once(
    seed: int, autojump_clock: MockClock
) -> None:
    rng, store = Random(seed), Slow(takes_s=0.01)
    hub = FeedHub(store, LIMITS)

    async def commit() -> None:
        unsaid = list[tuple[int, str]]()
        for at in range(200):
            unsaid.append((store.commit(PERSON, f"{at}"), f"{at}"))
            rng.shuffle(unsaid)
            while unsaid and rng.random() < 0.6:
                number, text = unsaid[-1] if rng.random() < 0.2 else unsaid.pop()
                if rng.random() < 0.8:
                    hub.publish(PERSON, number, Text(text))
            await trio.sleep(rng.choice((0, 0, 0.005, 0.05)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit)
        with hub.listening(PERSON, 0) as feed:
            heard = [await anext(feed) for _ in range(200)]

    assert texts(heard) == [(at + 1, f"{at}") for at in range(200)]
