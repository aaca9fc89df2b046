"""The solver's worker process, seen from the node, and the process itself.

Graph solvers hold the interpreter for a whole solve, so rounds are solved in a process of their
own: `python -m node.worker` reads requests from its input and writes answers to its output, each a
length of four bytes and as many bytes of msgpack. It compiles and warms its code before it takes
the first question, and ends when its input does, so that it cannot outlive its node. A worker that
dies or is late is ended, the round is given up, and another is started.
"""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import BinaryIO

import msgspec
import trio

from actors.failures import ActorGone
from dispatch.ids import MarketId
from dispatch.matching.solvers import warm_up
from dispatch.matching.solving import Answer, Request, answer
from dispatch.round import Solve
from node.solver import Desk, solve_decoder

FRAME_BYTES_MAX = 256 * 1024 * 1024
LENGTH_BYTES = 4
STARTS_MAX = 5
"""Workers that may fail to come up, one after the other, before the node gives up."""
BACKOFF_S = 1.0
WARMING_S_MAX = 120.0
"""Time a worker has to load, and on a fresh machine to compile, before its first answer."""

_answers = msgspec.msgpack.Decoder(Answer)
_requests = msgspec.msgpack.Decoder(Request)


class WorkerFailed(Exception):
    """The worker died, was late, or said what cannot be understood; another is started."""


class NoWorker(Exception):
    """No worker comes up, however often it is tried; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Question:
    """A round that waits for its plan, where it is answered, and until when that is of use."""

    desk: Desk
    sequence: int
    solve: Solve
    deadline: float

    def give_up(self, reason: str) -> None:
        """Tell the market that there will be no plan."""
        self.desk.give_up(self.sequence, self.solve, reason)


@dataclass(frozen=True, slots=True)
class Window:
    """Where one market puts its questions: a service of its shard, at a worker that many share."""

    worker: "Worker"
    desk: Desk
    timeout_s: float

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Put a question; it is given up when no plan has come in time."""
        assert service == "solver", f"there is no service {service!r} for {key!r}"
        solve = solve_decoder.decode(message)
        deadline = trio.current_time() + self.timeout_s
        self.worker.put(Question(self.desk, sequence, solve, deadline))


class Worker:
    """Solves rounds in another process, one at a time, the newest of each market.

    `ready` is set while a warm worker takes questions; `starts` counts the processes so far.
    """

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._questions: dict[MarketId, Question] = {}
        self._asked = trio.Event()
        self.starts = 0
        self.pid: int | None = None
        self.ready = trio.Event()

    def put(self, question: Question) -> None:
        """Have a question answered; an older one of the same market that waits is given up."""
        market_id = question.solve.market_id
        if older := self._questions.pop(market_id, None):
            older.give_up("a newer round came before its turn")
        self._questions[market_id] = question
        self._asked.set()

    async def run(self) -> None:
        """Serve questions until cancelled, with one worker after the other; raises NoWorker."""
        failed = 0
        while failed < STARTS_MAX:
            async with _process() as process:
                self.starts, self.pid = self.starts + 1, process.pid
                is_warm = await self._serve(process)
            failed = 0 if is_warm else failed + 1
            await trio.sleep(BACKOFF_S * failed)
        raise NoWorker(
            f"{STARTS_MAX} solver processes in a row did not start; run `python -m node.worker` "
            "by hand and see what it says"
        )

    async def _serve(self, process: trio.Process) -> bool:
        """Hand questions to this worker until it fails; return whether it ever was warm."""
        try:
            with trio.fail_after(WARMING_S_MAX):
                await _exchanged(process, b"")
        except (trio.TooSlowError, WorkerFailed):
            return False
        self.ready.set()
        try:
            while await self._answered(process, await self._next()):
                pass
        finally:
            self.ready = trio.Event()
        return True

    async def _next(self) -> Question:
        """Return the question that waits longest; those that waited too long are given up."""
        while True:
            while self._questions:
                question = self._questions.pop(next(iter(self._questions)))
                if trio.current_time() < question.deadline:
                    return question
                question.give_up("the solver was not ready in time")
            self._asked = trio.Event()
            await self._asked.wait()

    async def _answered(self, process: trio.Process, question: Question) -> bool:
        """Have a question answered; False when the worker is no good any more."""
        began = perf_counter()
        try:
            request = question.desk.look(question.solve)
        except ActorGone:  # The shard is being recovered, and asks again when it is back.
            return True
        try:
            with trio.fail_at(question.deadline):
                # A large market takes tenths of a second to write down, and sockets do not wait.
                asked = await trio.to_thread.run_sync(lambda: msgspec.msgpack.encode(request()))
                answered = _answers.decode(await _exchanged(process, asked))
        except (trio.TooSlowError, WorkerFailed, msgspec.DecodeError) as error:
            reason = "it was late" if isinstance(error, trio.TooSlowError) else str(error)
            question.give_up(f"the solver failed: {reason}")
            return False
        took_ms = (perf_counter() - began) * 1000
        question.desk.hand_in(question.sequence, question.solve, answered, took_ms)
        return True


@asynccontextmanager
async def _process() -> AsyncGenerator[trio.Process]:
    """Yield a fresh worker process, and see to it that it has ended afterwards."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "node.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the node, which ends its worker in order.
    )
    try:
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


async def _exchanged(process: trio.Process, question: bytes) -> bytes:
    """Send a frame and return the frame that answers it; raises WorkerFailed."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        await process.stdin.send_all(len(question).to_bytes(LENGTH_BYTES) + question)
        length = int.from_bytes(await _received(process.stdout, LENGTH_BYTES))
        if length > FRAME_BYTES_MAX:
            raise WorkerFailed(f"it answered {length} bytes")
        return await _received(process.stdout, length)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise WorkerFailed("it has died") from error


async def _received(pipe: trio.abc.ReceiveStream, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        part = await pipe.receive_some(length - len(received))
        if not part:
            raise WorkerFailed("it has died")
        received += part
    return bytes(received)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Be the worker: answer until the input ends. An empty question asks whether it is warm."""
    warm_up()
    while length := questions.read(LENGTH_BYTES):
        question = questions.read(int.from_bytes(length))
        said = msgspec.msgpack.encode(answer(_requests.decode(question))) if question else b""
        answers.write(len(said).to_bytes(LENGTH_BYTES) + said)
        answers.flush()


def main() -> None:
    """Be the worker of whoever holds the other ends; a node that died has no more questions."""
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Nothing more to flush to.


if __name__ == "__main__":
    main()
