"""The feeds of a process: every message once and in order, whoever published it and when."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from api.ports import Hear
from dispatch.journal import FeedEntry, JournalUnreachable
from node.feeds import FeedHub, FeedLimits
from tests.node.loopback import EPOCH, PERSON, FeedStore, Text, texts

LIMITS = FeedLimits(waiting_max=8, page_max=16, look_s=2)
OTHER = "cus_2"


class Slow(FeedStore):
    """A store whose readings take a while, and fail as often as it is told."""

    def __init__(self, failures: int = 0, takes_s: float = 0.5) -> None:
        super().__init__()
        self.failures = failures
        self.takes_s = takes_s

    async def feeds(
        self, wanted: Sequence[tuple[str, int]], page_max: int
    ) -> Sequence[Sequence[FeedEntry]]:
        read = await super().feeds(wanted, page_max)
        await trio.sleep(self.takes_s)
        self._fail()
        return read

    async def feed_heads(self, persons: Sequence[str]) -> Mapping[str, int]:
        self._fail()
        return await super().feed_heads(persons)

    def _fail(self) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise JournalUnreachable("the test said so")


class Device:
    """Shows what it is told to, with room for so many messages until it is emptied."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.shown: list[tuple[int, bytes]] = []
        self.epochs: set[int] = set()

    def show(self, number: int, epoch: int, message: bytes) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self.epochs.add(epoch)
        self.shown.append((number, message))
        return True


class Wires:
    """What nodes tell each other: fits `api.ports.Live` for each of them. May lose everything."""

    def __init__(self) -> None:
        self.heard: dict[str, list[Hear]] = {}
        self.is_cut = False

    def publish(self, channel: str, message: bytes) -> None:
        for hear in () if self.is_cut else tuple(self.heard.get(channel, ())):
            hear(message)

    def subscribe(self, channel: str, hear: Hear) -> Callable[[], None]:
        self.heard.setdefault(channel, []).append(hear)
        return lambda: self.heard[channel].remove(hear)


@asynccontextmanager
async def running(*hubs: FeedHub) -> AsyncGenerator[None]:
    """Run the hubs until the block ends."""
    async with trio.open_nursery() as nursery:
        for hub in hubs:
            nursery.start_soon(hub.run)
        yield
        nursery.cancel_scope.cancel()


def commit(store: FeedStore, hub: FeedHub, text: str, person: str = PERSON) -> None:
    """Commit a message and publish it."""
    hub.publish(person, store.commit(person, text), Text(text), EPOCH)


def counted(count: int) -> list[tuple[int, str]]:
    return [(at + 1, f"{at}") for at in range(count)]


async def test_what_is_committed_while_the_backlog_is_read_comes_after_it(
    autojump_clock: MockClock,
) -> None:
    store, device = Slow(), Device()
    hub = FeedHub(store, LIMITS)
    commit(store, hub, "0")

    async with running(hub):
        hub.follow(PERSON, 0, device.show)
        await trio.sleep(0.1)
        commit(store, hub, "1")
        await trio.sleep(1.4)

    assert texts(device.shown) == counted(2)
    assert store.reads == 2
    assert device.epochs == {EPOCH}


async def test_live_messages_cost_no_reading_even_when_they_come_twice(
    autojump_clock: MockClock,
) -> None:
    store, device = FeedStore(), Device()
    hub = FeedHub(store, LIMITS)
    async with running(hub):
        hub.follow(PERSON, 0, device.show)
        await wait_all_tasks_blocked()
        for at in range(20):
            number = store.commit(PERSON, f"{at}")
            for _ in range(2):
                hub.publish(PERSON, number, Text(f"{at}"), EPOCH)
            assert len(device.shown) == number, "it is shown as it is published"

    assert texts(device.shown) == counted(20)
    assert store.reads == 1, "the one at the beginning"


async def test_a_message_committed_elsewhere_is_found_when_the_next_one_does_not_fit(
    autojump_clock: MockClock,
) -> None:
    store, device = FeedStore(), Device()
    hub = FeedHub(store, LIMITS)
    async with running(hub):
        hub.follow(PERSON, 0, device.show)
        commit(store, hub, "0")
        store.commit(PERSON, "1")
        commit(store, hub, "2")
        await trio.sleep(LIMITS.look_s / 2)

    assert texts(device.shown) == counted(3)


async def test_a_message_committed_elsewhere_is_shown_as_soon_as_its_node_tells_of_it(
    autojump_clock: MockClock,
) -> None:
    store, device, wires = FeedStore(), Device(), Wires()
    here, there = FeedHub(store, LIMITS, wires), FeedHub(store, LIMITS, wires)
    async with running(here, there):
        here.follow(PERSON, 0, device.show)
        await wait_all_tasks_blocked()
        commit(store, there, "0")
        await wait_all_tasks_blocked()

    assert texts(device.shown) == counted(1)


async def test_a_message_committed_elsewhere_is_found_by_looking(autojump_clock: MockClock) -> None:
    store, device, wires = FeedStore(), Device(), Wires()
    here, there = FeedHub(store, LIMITS, wires), FeedHub(store, LIMITS, wires)
    wires.is_cut = True
    async with running(here, there):
        here.follow(PERSON, 0, device.show)
        await trio.sleep(10.1)
        commit(store, there, "0")
        await trio.sleep(LIMITS.look_s)

    assert texts(device.shown) == counted(1)


async def test_one_look_asks_for_all_persons_and_reads_only_for_who_is_behind(
    autojump_clock: MockClock,
) -> None:
    store, devices = FeedStore(), [Device() for _ in range(100)]
    hub = FeedHub(store, LIMITS)
    async with running(hub):
        for at, device in enumerate(devices):
            hub.follow(f"cus_{at}", 0, device.show)
        await wait_all_tasks_blocked()
        reads = store.reads
        store.commit("cus_7", "0")
        await trio.sleep(1.5 * LIMITS.look_s)

    assert [at for at, device in enumerate(devices) if device.shown] == [7]
    assert (store.looks, store.reads - reads) == (1, 1)
    assert reads == 2, "a hundred that begin are read for by batches of 64"


async def test_a_long_backlog_is_read_page_by_page_without_a_pause(
    autojump_clock: MockClock,
) -> None:
    store, device = FeedStore(), Device()
    for at in range(50):
        store.commit(PERSON, f"{at}")
    hub = FeedHub(store, LIMITS)
    async with running(hub):
        hub.follow(PERSON, 0, device.show)
        await wait_all_tasks_blocked()

    assert texts(device.shown) == counted(50)
    assert store.reads == 4


async def test_a_journal_that_cannot_be_reached_delays_a_feed_and_breaks_nothing(
    autojump_clock: MockClock,
) -> None:
    store, device = Slow(failures=4), Device()
    hub = FeedHub(store, LIMITS)
    store.commit(PERSON, "0")

    async with running(hub):
        hub.follow(PERSON, 0, device.show)
        await trio.sleep(10)

    assert texts(device.shown) == counted(1)
    assert store.reads <= 5


async def test_what_has_no_room_waits_and_is_shown_when_there_is_some(
    autojump_clock: MockClock,
) -> None:
    store, device = FeedStore(), Device(room=2)
    hub = FeedHub(store, LIMITS)
    async with running(hub):
        following = hub.follow(PERSON, 0, device.show)
        await wait_all_tasks_blocked()
        for at in range(6):
            commit(store, hub, f"{at}")
        before = texts(device.shown)
        device.room = 10
        following.resume()

    assert before == counted(2)
    assert texts(device.shown) == counted(6)
    assert store.reads == 1, "what waits for a little room is not read again"


async def test_a_follower_without_room_for_long_is_kept_little_for_and_misses_nothing(
    autojump_clock: MockClock,
) -> None:
    store, slow, quick = FeedStore(), Device(room=1), Device()
    hub = FeedHub(store, LIMITS)
    async with running(hub):
        following = hub.follow(PERSON, 0, slow.show)
        hub.follow(PERSON, 0, quick.show)
        for at in range(200):
            commit(store, hub, f"{at}")
        await wait_all_tasks_blocked()
        while_slow = texts(slow.shown), texts(quick.shown)
        while len(slow.shown) < 200:
            slow.room = 7
            following.resume()
            await wait_all_tasks_blocked()

    assert while_slow == (counted(1), counted(200))
    assert texts(slow.shown) == counted(200)


async def test_a_follower_that_ends_is_shown_no_more_even_in_the_middle_of_a_page(
    autojump_clock: MockClock,
) -> None:
    store, shown = FeedStore(), list[int]()
    hub = FeedHub(store, LIMITS)
    for at in range(10):
        store.commit(PERSON, f"{at}")

    def show(number: int, _epoch: int, _message: bytes) -> bool:
        shown.append(number)
        if number == 3:
            following.end()
        return True

    async with running(hub):
        following = hub.follow(PERSON, 0, show)
        await wait_all_tasks_blocked()
        commit(store, hub, "10")
        following.end()
        following.resume()

    assert shown == [1, 2, 3]
    assert hub.statistics().followers == 0


async def test_nobody_is_told_of_what_nobody_follows(autojump_clock: MockClock) -> None:
    wires = Wires()
    hub = FeedHub(FeedStore(), LIMITS, wires)

    with hub.listening(PERSON, 0), hub.listening(PERSON, 3), hub.listening(OTHER, 0):
        during = hub.listening_count(), [len(hears) for hears in wires.heard.values()]

    assert during == (3, [1, 1])
    assert hub.listening_count() == 0
    assert not any(wires.heard.values())


async def test_a_number_that_was_told_wrongly_is_looked_for_once(autojump_clock: MockClock) -> None:
    store, device, wires = FeedStore(), Device(), Wires()
    hub = FeedHub(store, LIMITS, wires)
    async with running(hub):
        hub.follow(PERSON, 0, device.show)
        await wait_all_tasks_blocked()
        for told in (b"7", b"-1", b"", b"nine", b"9" * 40):
            wires.publish(f"feed:{PERSON}", told)
        await trio.sleep(1)

    assert store.reads == 2
    assert not device.shown


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_lost_doubled_or_overtaken_each_message_is_shown_once(
    seed: int, autojump_clock: MockClock
) -> None:
    rng, store, wires = Random(seed), Slow(failures=3, takes_s=0.01), Wires()
    hubs = [FeedHub(store, LIMITS, wires) for _ in range(2)]
    devices = [Device(room=0) for _ in range(3)]

    async def commit_all() -> None:
        unsaid = list[tuple[int, str]]()
        for at in range(200):
            unsaid.append((store.commit(PERSON, f"{at}"), f"{at}"))
            rng.shuffle(unsaid)
            wires.is_cut = rng.random() < 0.5
            while unsaid and rng.random() < 0.6:
                number, text = unsaid[-1] if rng.random() < 0.2 else unsaid.pop()
                if rng.random() < 0.8:
                    rng.choice(hubs).publish(PERSON, number, Text(text), EPOCH)
            await trio.sleep(rng.choice((0, 0, 0.005, 0.05)))

    async with running(*hubs), trio.open_nursery() as nursery:
        follows = [rng.choice(hubs).follow(PERSON, 0, device.show) for device in devices]
        nursery.start_soon(commit_all)
        with trio.fail_after(60):
            while min(len(device.shown) for device in devices) < 200:
                at = rng.randrange(len(devices))
                devices[at].room = rng.randrange(1, 20)
                follows[at].resume()
                await trio.sleep(rng.choice((0.001, 0.1)))

    for device in devices:
        assert texts(device.shown) == counted(200)
