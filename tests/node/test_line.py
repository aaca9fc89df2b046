"""The times of a line, in virtual time: beats, silence, slow readers, proofs that never come."""

# ruff: noqa: ARG001 - the clock jumps only when it is an argument of the test itself.

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from node.line import Line, LinkLimits, LinkLost
from wire.link import Beat, Frame, Shown, Side

SECRET = b"a secret of this cluster"
LARGE = Shown(1, 1, bytes(100_000))


class Taken:
    """What comes in on a line, with its times."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, Frame]] = []

    async def take(self, frame: Frame) -> None:
        await trio.lowlevel.checkpoint()
        self.frames.append((trio.current_time(), frame))


@asynccontextmanager
async def a_pair(
    dialling: LinkLimits, answering: LinkLimits
) -> AsyncGenerator[tuple[Line, Line, trio.Nursery]]:
    """Yield two lines that have proven themselves to each other, and end them with the block."""
    here, there = trio.testing.lockstep_stream_pair()
    dialled, answered = Line(here, dialling), Line(there, answering)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as proving:
            proving.start_soon(dialled.prove, Side.DIALLED, "a", SECRET)
            proving.start_soon(answered.prove, Side.ANSWERED, "b", SECRET)
        yield dialled, answered, nursery
        nursery.cancel_scope.cancel()


async def test_two_lines_know_each_others_names(autojump_clock: MockClock) -> None:
    async with a_pair(LinkLimits(), LinkLimits()) as (dialled, answered, _):
        assert (dialled.peer, answered.peer) == ("b", "a")
        assert dialled.lost is answered.lost is None


async def test_a_line_with_nothing_to_say_beats_and_stays_up(autojump_clock: MockClock) -> None:
    taken, limits = Taken(), LinkLimits(beat_s=1, idle_s=3)
    async with a_pair(limits, limits) as (dialled, answered, nursery):
        nursery.start_soon(dialled.run, Taken().take)
        nursery.start_soon(answered.run, taken.take)
        await trio.sleep(100.5)

        assert dialled.lost is answered.lost is None
    assert [frame for _, frame in taken.frames] == [Beat()] * 100


async def test_a_silent_line_is_lost_after_its_silence_and_not_before(
    autojump_clock: MockClock,
) -> None:
    async with a_pair(LinkLimits(idle_s=3), LinkLimits()) as (dialled, _, nursery):
        nursery.start_soon(dialled.run, Taken().take)
        await trio.sleep(2.9)
        before = dialled.lost
        await trio.sleep(0.2)

    assert before is None
    assert dialled.lost == "it has been silent for 3 s"


async def test_a_reader_that_takes_nothing_is_cut_off_after_the_stall(
    autojump_clock: MockClock,
) -> None:
    limits = LinkLimits(stall_s=5, idle_s=60)
    async with a_pair(LinkLimits(), limits) as (_, answered, nursery):
        nursery.start_soon(answered.run, Taken().take)
        await answered.send(LARGE)
        await trio.sleep(4.9)
        before = answered.lost
        await trio.sleep(0.2)

        assert before is None
        assert answered.lost == "it has read too slowly for 5 s"
        with pytest.raises(LinkLost, match="too slowly"):
            await answered.send(Beat())


async def test_whoever_sends_waits_for_room_and_is_let_go_when_the_line_is_lost(
    autojump_clock: MockClock,
) -> None:
    limits = LinkLimits(stall_s=5, idle_s=60, waiting_bytes_max=10_000)
    async with a_pair(LinkLimits(), limits) as (_, answered, nursery):
        nursery.start_soon(answered.run, Taken().take)
        await answered.send(LARGE)
        began_s = trio.current_time()

        with pytest.raises(LinkLost, match="too slowly"):
            await answered.send(LARGE)

        assert trio.current_time() - began_s == pytest.approx(5)


async def test_frames_larger_than_a_write_arrive_whole_and_in_order(
    autojump_clock: MockClock,
) -> None:
    taken, limits = Taken(), LinkLimits(waiting_bytes_max=150_000)
    async with a_pair(limits, limits) as (dialled, answered, nursery):
        nursery.start_soon(dialled.run, Taken().take)
        nursery.start_soon(answered.run, taken.take)
        for number in range(20):
            await dialled.send(Shown(1, number, bytes([number]) * 100_000))
        await trio.sleep(0.1)

    assert [frame for _, frame in taken.frames] == [
        Shown(1, number, bytes([number]) * 100_000) for number in range(20)
    ]


async def test_a_proof_that_never_comes_is_not_waited_for(autojump_clock: MockClock) -> None:
    here, there = trio.testing.lockstep_stream_pair()
    line = Line(here, LinkLimits(proof_s=2))
    began_s = trio.current_time()

    with pytest.raises(LinkLost, match="proven nothing for 2 s"):
        await line.prove(Side.ANSWERED, "a", SECRET)

    assert trio.current_time() - began_s == pytest.approx(2)
    with pytest.raises(trio.BrokenResourceError):
        await there.send_all(b"anybody there?")


async def test_a_line_that_is_closed_here_lets_its_sender_go(autojump_clock: MockClock) -> None:
    async with a_pair(LinkLimits(), LinkLimits()) as (dialled, _, nursery):
        nursery.start_soon(dialled.run, Taken().take)
        await dialled.close()

        with pytest.raises(LinkLost, match="closed here"):
            await dialled.send(Beat())
