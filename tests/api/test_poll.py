"""The poll under reactor and door: whose time is over, and what is called when."""

import select
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from api.poll import Deadlines, Poll


def test_the_oldest_is_due_first_and_only_once() -> None:
    deadlines = Deadlines[str](within_s=5.0)
    deadlines.begin("first", 10.0)
    deadlines.begin("second", 12.0)

    early, due, again = deadlines.due(14.9), deadlines.due(15.0), deadlines.due(15.0)

    assert (early, due, again) == ([], ["first"], [])
    assert deadlines.due(17.0) == ["second"]


def test_who_begins_again_has_the_whole_time_again() -> None:
    deadlines = Deadlines[str](within_s=5.0)
    deadlines.begin("stalled", 10.0)
    deadlines.begin("other", 11.0)

    deadlines.begin("stalled", 14.0)

    assert deadlines.due(18.0) == ["other"]
    assert deadlines.due(19.0) == ["stalled"]


def test_who_is_done_is_never_due() -> None:
    deadlines = Deadlines[str](within_s=5.0)
    deadlines.begin("done", 10.0)

    deadlines.end("done")
    deadlines.end("never begun")

    assert deadlines.due(99.0) == []
    assert len(deadlines) == 0


class Bell:
    """Notes what came, and asks to be called once more as the turn ends."""

    def __init__(self, poll: Poll, sock: socket.socket) -> None:
        self.poll = poll
        self.sock = sock
        self.calls: list[str] = []
        self.rung = trio.Event()

    def ready(self, events: int) -> None:
        assert events & select.EPOLLIN
        self.poll.soon(self.later)
        self.calls.append(self.sock.recv(100).decode())

    def later(self) -> None:
        """Note that the rest of the turn is over."""
        self.calls.append("later")
        self.rung.set()

    def hang_up(self) -> None:
        self.poll.unwatch(self.sock)
        self.sock.close()


@asynccontextmanager
async def polled() -> AsyncGenerator[tuple[Poll, Bell, socket.socket]]:
    """A poll that runs, and watches one end of a pair of sockets."""
    poll = Poll()
    near, far = socket.socketpair()
    bell = Bell(poll, near)
    with far:
        poll.watch(near, bell, select.EPOLLIN)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll.run)
            yield poll, bell, far
            nursery.cancel_scope.cancel()
        poll.close()


async def test_what_is_asked_for_in_a_turn_is_done_as_it_ends() -> None:
    async with polled() as (_, bell, far):
        far.send(b"hello")
        await bell.rung.wait()

        assert bell.calls == ["hello", "later"]


async def test_what_is_asked_for_between_turns_wakes_the_poll() -> None:
    async with polled() as (poll, bell, _):
        await trio.testing.wait_all_tasks_blocked()

        poll.soon(bell.later)
        was_called_at_once = bool(bell.calls)
        await bell.rung.wait()

        assert bell.calls == ["later"]
        assert not was_called_at_once


async def test_a_poll_that_is_closed_closes_what_it_watches() -> None:
    async with polled() as (poll, bell, _):
        pass

    assert bell.sock.fileno() < 0
    assert poll.everyone() == []


async def test_who_is_not_watched_any_more_is_not_called() -> None:
    async with polled() as (poll, bell, far):
        far.send(b"hello")
        poll.unwatch(bell.sock)
        await trio.testing.wait_all_tasks_blocked()

        calls = list(bell.calls)
        poll.watch(bell.sock, bell, select.EPOLLIN)
        await bell.rung.wait()

        assert calls == []
        assert bell.calls == ["hello", "later"]


class Once:
    """Is told only once of what lies unread on its socket."""

    def __init__(self, poll: Poll) -> None:
        self.near, self.far = socket.socketpair()
        self.looked = trio.Event()
        poll.watch(self.near, self, select.EPOLLIN | select.EPOLLET)
        self.far.send(b"x")

    def ready(self, events: int) -> None:
        assert events & select.EPOLLIN
        self.looked.set()

    def hang_up(self) -> None:
        self.near.close()
        self.far.close()


async def test_who_had_no_turn_is_called_though_nothing_more_happens() -> None:
    poll = Poll(turn_s=0.0)
    told = [Once(poll) for _ in range(5)]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll.run)
        with trio.fail_after(5):
            for one in told:
                await one.looked.wait()
        nursery.cancel_scope.cancel()

    for one in told:
        poll.unwatch(one.near)
        one.hang_up()
    poll.close()
