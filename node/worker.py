"""Rounds solved in another process, and what becomes of a round when that one fails.

A worker puts questions to its `solver_process`, one at a time, and the loop never waits for it.
Every round gets a plan in time. Of a process that dies, is late, or says what cannot be understood,
the hasty answer it sent ahead is taken; if there is none, or if no process has begun with the round
halfway to its deadline, the node works a plain plan out by itself, in a thread, with code that
nothing can be compiled wrong in. Both are recorded as cut off, with the reason. The process that
failed is ended, and another is started.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import msgspec
import trio

from actors.failures import ActorGone
from dispatch.ids import MarketId
from dispatch.matching.fallback import cut_off, plain
from dispatch.matching.solving import Answer, Request, answer
from dispatch.round import Solve
from node.solver import Desk, solve_decoder
from node.solver_process import COMMAND, ProcessFailed, SolverProcess, started, written
from streets.soon import opened_soon

STARTS_MAX = 5
"""Processes that may fail to come up, one after the other, before the node gives up."""
BACKOFF_S = 1.0
WARMING_S_MAX = 120.0
"""Time a process has to load, and on a fresh machine to compile, before its first answer."""
BEGIN_SHARE = 0.5
"""Of a question's time, when it is too late for a process to begin with it."""
SEARCH_SHARE = 0.8
"""Of what is then left, how long the solver may search; the rest is for saying what it found."""

INSOLUBLE = (LookupError, ValueError, ArithmeticError)
"""What a market that contradicts itself may raise here; it costs its round, and not the node."""

_answers = msgspec.msgpack.Decoder(Answer)

type Overhear = Callable[[bytes, bytes], None]
"""Hears a question and its answer, and does not keep the loop waiting."""


class NoWorker(Exception):
    """No process comes up, however often it is tried; the message says what to look at."""


class SaysNonsense(Exception):
    """The process answered, but not what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A round that waits for its plan, where it is answered, and until when that is of use."""

    desk: Desk
    sequence: int
    solve: Solve
    begin_by: float
    deadline: float

    def give_up(self, reason: str) -> None:
        """Tell the market that there will be no plan."""
        self.desk.give_up(self.sequence, self.solve, reason)

    def hand_in(self, answered: Answer, took_ms: float) -> None:
        """Tell the market what is decided."""
        self.desk.hand_in(self.sequence, self.solve, answered, took_ms)

    def understood(self, said: bytes) -> Answer:
        """Return the answer in a frame; raises SaysNonsense."""
        try:
            answered = _answers.decode(said)
        except msgspec.DecodeError as error:
            raise SaysNonsense(f"it says nonsense: {error}") from error
        if answered.solved.number != self.solve.number:
            raise SaysNonsense(f"it answered round {answered.solved.number}")
        return answered


@dataclass(frozen=True, slots=True)
class Window:
    """Where one market puts its questions: a service of its shard, at a worker that many share."""

    worker: "Worker"
    desk: Desk
    timeout_s: float

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Put a question, which the solver has so long to answer."""
        assert service == "solver", f"there is no service {service!r} for {key!r}"
        now = trio.current_time()
        put = Question(
            desk=self.desk,
            sequence=sequence,
            solve=solve_decoder.decode(message),
            begin_by=now + BEGIN_SHARE * self.timeout_s,
            deadline=now + self.timeout_s,
        )
        self.worker.put(put)


class Worker:
    """Solves rounds in another process, one at a time, the newest of each market.

    `ready` is set while a warm process takes questions; `starts` counts the processes so far. What
    was asked and answered can be overheard (`overhear`), as it went through the pipe.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        """Begin with nothing to do."""
        self._command = command
        self._questions: dict[MarketId, Question] = {}
        self._lot = trio.lowlevel.ParkingLot()
        self.starts = 0
        self.pid: int | None = None
        self.ready = trio.Event()
        self.overhear: Overhear = _ignored

    def put(self, question: Question) -> None:
        """Have a question answered; an older one of the same market that waits is given up."""
        market_id = question.solve.market_id
        if older := self._questions.pop(market_id, None):
            older.give_up("a newer round came before its turn")
        self._questions[market_id] = question
        self._lot.unpark_all()

    async def run(self) -> None:
        """Serve questions until cancelled, with one process after the other; raises NoWorker."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fall_back_in_time)
            await self._serve_by_turns()

    async def _serve_by_turns(self) -> None:
        failed = 0
        while failed < STARTS_MAX:
            async with started(self._command) as process:
                self.starts, self.pid = self.starts + 1, process.pid
                is_warm = await self._serve(process)
            failed = 0 if is_warm else failed + 1
            await trio.sleep(BACKOFF_S * failed)
        raise NoWorker(
            f"{STARTS_MAX} solver processes in a row did not start; run "
            "`python -m node.solver_process` by hand and see what it says"
        )

    async def _serve(self, process: SolverProcess) -> bool:
        """Hand questions to this process until it fails; return whether it ever was warm."""
        try:
            with trio.fail_after(WARMING_S_MAX):
                await process.ask(b"")
                await process.answer()
        except (trio.TooSlowError, ProcessFailed):
            return False
        self.ready.set()
        try:
            while await self._is_answered(process, await self._next()):
                pass
        finally:
            self.ready = trio.Event()
        return True

    async def _next(self) -> Question:
        """Take the question that waits longest."""
        while not self._questions:
            await self._lot.park()
        return self._questions.pop(next(iter(self._questions)))

    async def _fall_back_in_time(self) -> None:
        """Answer by plain plans, until cancelled, what no process has begun with in time."""
        while True:
            while not self._questions:
                await self._lot.park()
            soonest = min(self._questions.values(), key=lambda one: one.begin_by)
            with trio.move_on_at(soonest.begin_by):
                await self._lot.park()
                continue
            if self._questions.get(soonest.solve.market_id) is soonest:
                del self._questions[soonest.solve.market_id]
                await _fall_back(soonest, b"", "no solver was ready in time")

    async def _is_answered(self, process: SolverProcess, asked: Question) -> bool:
        """Have a question answered; False when the process is no good any more."""
        began_s, hasty = perf_counter(), b""
        try:
            request = asked.desk.look(asked.solve)
            with trio.fail_at(asked.deadline):
                question = await _written(request, asked.deadline)
                await process.ask(question)
                hasty = await process.answer()
                said = await process.answer()
                answered = asked.understood(said)
        except ActorGone:  # The shard is being recovered, and asks again when it is back.
            return True
        except (trio.TooSlowError, ProcessFailed, SaysNonsense) as error:
            reason = "it was late" if isinstance(error, trio.TooSlowError) else str(error)
            asked.desk.doubt(asked.solve)
            await _fall_back(asked, hasty, f"the solver failed: {reason}")
            return False
        except INSOLUBLE as error:
            asked.give_up(f"nothing could be asked: {error!r}")
            return True
        asked.hand_in(answered, _since_ms(began_s))
        self.overhear(question, said)
        return True


def _ignored(question: bytes, said: bytes) -> None:
    """Ignore what is overheard."""
    del question, said


async def _written(request: Callable[[], Request], deadline: float) -> bytes:
    """Return the question: a large market takes tenths of a second to write down."""
    budget_s = SEARCH_SHARE * (deadline - trio.current_time())
    return await trio.to_thread.run_sync(lambda: written(request(), budget_s))


async def _fall_back(asked: Question, hasty: bytes, reason: str) -> None:
    """Answer with what was said in haste, or else with a plain plan; say why there is no better."""
    began_s = perf_counter()
    try:
        answered = _find_understood(asked, hasty) or await _worked_out(asked)
    except ActorGone:  # As above.
        return
    except INSOLUBLE as error:
        asked.give_up(f"{reason}; a plain plan failed as well: {error!r}")
        return
    asked.hand_in(cut_off(answered, reason), _since_ms(began_s))


def _find_understood(asked: Question, hasty: bytes) -> Answer | None:
    """Return the hasty answer, if there is one that can be understood."""
    try:
        return asked.understood(hasty) if hasty else None
    except SaysNonsense:
        return None


async def _worked_out(asked: Question) -> Answer:
    """Return a plain plan, from the states of this moment."""
    request = asked.desk.look(asked.solve)
    return await trio.to_thread.run_sync(lambda: answer(plain(request()), opened_soon))


def _since_ms(began_s: float) -> float:
    return (perf_counter() - began_s) * 1_000
