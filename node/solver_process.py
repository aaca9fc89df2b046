"""The process that solves rounds, and the pipe to it.

Graph solvers hold the interpreter for a whole solve, so rounds are solved in a process of their
own: `python -m node.solver_process` reads questions from its input and writes answers to its
output, in frames: a length of four bytes and as many bytes. A question is the milliseconds it may
take, in four bytes, and a `Request` in msgpack. It is answered by two frames: a hasty `Answer`, or
nothing where the solver has none, and then the solver's own. When the time is over the solver hands
in what it has, and the answer says so. An empty question asks whether the process is warm, and is
answered by an empty frame.

The process compiles and warms its code before it takes the first question, and ends when its input
does, whatever it is in the middle of, so that it cannot outlive its node.
"""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import BinaryIO

import msgspec
import trio

from dispatch.matching.fallback import cut_off, hasty
from dispatch.matching.solvers import warm_up
from dispatch.matching.solving import Request, answer
from node.lifeline import end_with
from streets.soon import opened_soon

FRAME_BYTES_MAX = 256 * 1024 * 1024
LENGTH_BYTES = 4
BUDGET_BYTES = 4
COMMAND = (sys.executable, "-m", "node.solver_process")
END_S_MAX = 10.0
"""Time a killed process has to be gone."""
NICENESS = 5
"""How far a solver stands back: a third of the share of a node that wants the same core. A round
has seconds for what may take it a tenth of one; who waits for a node's answer has not."""

_requests = msgspec.msgpack.Decoder(Request)

type Say = Callable[[bytes], Iterator[bytes]]
"""From a question to the frames that answer it."""


class ProcessFailed(Exception):
    """The process died, or says what cannot be a frame."""


@dataclass(frozen=True, slots=True)
class SolverProcess:
    """A process, seen from the node: frames go in and come out."""

    process: trio.Process

    @property
    def pid(self) -> int:
        """Return the number by which the machine knows it."""
        return self.process.pid

    async def ask(self, question: bytes) -> None:
        """Send a frame; raises ProcessFailed."""
        assert self.process.stdin is not None
        try:
            await self.process.stdin.send_all(framed(question))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ProcessFailed("it has died") from error

    async def answer(self) -> bytes:
        """Return the next frame that comes; raises ProcessFailed."""
        length = int.from_bytes(await self._received(LENGTH_BYTES))
        if length > FRAME_BYTES_MAX:
            raise ProcessFailed(f"it answered {length} bytes")
        return await self._received(length)

    async def _received(self, length: int) -> bytes:
        assert self.process.stdout is not None
        received = bytearray()
        while len(received) < length:
            try:
                part = await self.process.stdout.receive_some(length - len(received))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ProcessFailed("it has died") from error
            if not part:
                raise ProcessFailed("it has died")
            received += part
        return bytes(received)


@asynccontextmanager
async def started(command: Sequence[str] = COMMAND) -> AsyncGenerator[SolverProcess]:
    """Yield a fresh process, and see to it that it has ended afterwards."""
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the node, which ends its worker in order.
    )
    try:
        yield SolverProcess(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + END_S_MAX):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


def framed(said: bytes) -> bytes:
    """Return the bytes as a frame."""
    return len(said).to_bytes(LENGTH_BYTES) + said


def written(request: Request, budget_s: float) -> bytes:
    """Return the request as a question that may take so long."""
    budget_ms = max(0, round(budget_s * 1_000))
    return budget_ms.to_bytes(BUDGET_BYTES) + msgspec.msgpack.encode(request)


class Limit:
    """The end of a solver's time, and whether it was there when the solver asked."""

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._end_s = perf_counter() + budget_s
        self.was_over = False

    def is_over(self) -> bool:
        """Tell whether the time is over."""
        self.was_over = self.was_over or perf_counter() >= self._end_s
        return self.was_over

    def reason(self) -> str:
        """Return what the record says of an answer that was cut off here."""
        return f"stopped searching after {self._budget_s:.2f} s"


def said_to(asked: bytes) -> Iterator[bytes]:
    """Yield the frames that answer a question."""
    if not asked:
        yield b""
        return
    limit = Limit(int.from_bytes(asked[:BUDGET_BYTES]) / 1_000)
    request = _requests.decode(memoryview(asked)[BUDGET_BYTES:])
    sooner = hasty(request)
    yield b"" if sooner is None else msgspec.msgpack.encode(answer(sooner, opened_soon))
    best = answer(request, opened_soon, limit.is_over)
    yield msgspec.msgpack.encode(cut_off(best, limit.reason()) if limit.was_over else best)


def serve(questions: BinaryIO, answers: BinaryIO, say: Say = said_to) -> None:
    """Be the process: answer until the input ends."""
    while length := questions.read(LENGTH_BYTES):
        for said in say(questions.read(int.from_bytes(length))):
            answers.write(framed(said))
            answers.flush()


def main() -> None:
    """Be the solver of whoever holds the other ends; a node that died has no more questions."""
    end_with(sys.stdin.fileno())
    warm_up()
    os.nice(NICENESS)  # Not before: until it is warm, nothing is planned well.
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Nothing more to flush to.


if __name__ == "__main__":
    main()
