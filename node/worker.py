"""The solver's worker process, seen from the node, and the process itself.

Graph solvers hold the interpreter for a whole solve, so rounds are solved in a process of their
own: `python -m node.worker` reads requests from its input and writes answers to its output, each a
length of four bytes and as many bytes of msgpack. It compiles and warms its code before it takes
the first question, and ends when its input does, so that it cannot outlive its node. A worker that
dies or is late is ended, the round is given up, and another is started.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import BinaryIO

import msgspec
import trio

from dispatch.ids import CourierId, Instant, OrderId, RestaurantId
from dispatch.matching.demand import Demand
from dispatch.matching.snapshot import FreeCourier, OpenOrder
from dispatch.matching.solvers import SOLVERS
from dispatch.matching.solving import Answer, Request, answer
from dispatch.matching.survey import Survey
from dispatch.policy import Policy
from dispatch.round import Solve
from dispatch.route import Task
from geo.point import Point
from geo.travel import StraightLine
from node.solver import Desk, solve_decoder

QUESTIONS_MAX = 16
FRAME_BYTES_MAX = 256 * 1024 * 1024
LENGTH_BYTES = 4
WARMING_S_MAX = 120.0
"""Time a worker has to load, and on a fresh machine to compile, before its first answer."""

_answers = msgspec.msgpack.Decoder(Answer)
_requests = msgspec.msgpack.Decoder(Request)


class WorkerFailed(Exception):
    """The worker died, was late, or said what cannot be understood; another is started."""


class Worker:
    """A service that solves rounds in another process, one at a time."""

    def __init__(self, desk: Desk, timeout_s: float) -> None:
        """Answer at this desk; a worker that takes longer than `timeout_s` is ended."""
        self._desk, self._timeout_s = desk, timeout_s
        self._ask, self._asked = trio.open_memory_channel[tuple[int, Solve]](QUESTIONS_MAX)
        self.starts = 0
        self.pid: int | None = None
        self.ready = trio.Event()

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Put a question to the worker; too many at once are given up."""
        assert service == "solver", f"there is no service {service!r} for {key!r}"
        solve = solve_decoder.decode(message)
        try:
            self._ask.send_nowait((sequence, solve))
        except trio.WouldBlock:
            self._desk.give_up(sequence, solve, "the solver has too many rounds before it")

    async def run(self) -> None:
        """Serve questions until cancelled, with one worker after the other."""
        while True:
            async with _process() as process:
                self.starts, self.pid = self.starts + 1, process.pid
                await self._serve(process)

    async def _serve(self, process: trio.Process) -> None:
        """Hand questions to this worker until it fails."""
        try:
            with trio.fail_after(WARMING_S_MAX):
                await _exchanged(process, b"")
        except (trio.TooSlowError, WorkerFailed):
            return
        self.ready.set()
        async for sequence, solve in self._asked:
            if not await self._answered(process, sequence, solve):
                return

    async def _answered(self, process: trio.Process, sequence: int, solve: Solve) -> bool:
        began = perf_counter()
        question = msgspec.msgpack.encode(self._desk.request(solve))
        try:
            with trio.fail_after(self._timeout_s):
                answered = _answers.decode(await _exchanged(process, question))
        except (trio.TooSlowError, WorkerFailed, msgspec.DecodeError) as error:
            reason = "it was late" if isinstance(error, trio.TooSlowError) else str(error)
            self._desk.give_up(sequence, solve, f"the solver failed: {reason}")
            return False
        self._desk.hand_in(sequence, solve, answered, (perf_counter() - began) * 1000)
        return True


@asynccontextmanager
async def _process() -> AsyncGenerator[trio.Process]:
    """Yield a fresh worker process, and see to it that it has ended afterwards."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "node.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
            await process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                await trio.aclose_forcefully(pipe)


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
    warm()
    while length := questions.read(LENGTH_BYTES):
        question = questions.read(int.from_bytes(length))
        said = msgspec.msgpack.encode(answer(_requests.decode(question))) if question else b""
        answers.write(len(said).to_bytes(LENGTH_BYTES) + said)
        answers.flush()


def warm() -> None:
    """Solve a round of two orders with every solver, so that all code is compiled and loaded."""
    for solver in SOLVERS:
        answer(_drill(solver))


def _drill(solver: str) -> Request:
    restaurant = RestaurantId("rst")
    orders = tuple(
        OpenOrder(
            id=OrderId(f"ord_{i}"),
            restaurant_id=restaurant,
            dropoff=(1000.0, 100.0 * i),
            placed_s=-60.0,
            ready_s=300.0,
        )
        for i in range(2)
    )
    courier = FreeCourier(
        id=CourierId("crr"), place=(500.0, 0.0), free_s=0.0, off_s=7200.0, capacity=6
    )
    return Request(
        number=1,
        survey=Survey(
            at=Instant(0),
            restaurants={restaurant: (0.0, 0.0)},
            orders=orders,
            couriers=(courier,),
            asked=(restaurant,),
            tasks={
                order.id: Task(
                    order_id=order.id,
                    restaurant_id=restaurant,
                    pickup=Point(0.0, 0.0),
                    dropoff=Point(*order.dropoff),
                )
                for order in orders
            },
            order_versions={order.id: 1 for order in orders},
            courier_versions={courier.id: 1},
        ),
        kept=None,
        demand=Demand(),
        policy=Policy(),
        travel=StraightLine(speed_mps=5.0),
        solver=solver,
    )


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
