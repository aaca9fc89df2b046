"""The desk at which services do the work that actors ask for: charge a card, send a message.

A piece of work is a row of a shard's outbox, so it comes again after a crash. A claim keeps two
nodes from doing it at once, and every attempt is made under the row's own idempotency key, so that
only one can count however often it is made. Attempts that fail wait longer each time, by a random
share, up to a ceiling; past it the work becomes a dead letter in the journal, and its row goes.

A service raises `TryAgain` or `GiveUp`, or is cut off as too slow. Anything else that it raises is
a fault of this program, which nobody here can judge: it goes up and ends the node loudly, and the
attempts that are counted in the claim see to it that the next node does not go down for ever.
"""

import heapq
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from random import Random
from typing import Annotated, Protocol

import trio
from msgspec import Meta, Struct

from actors.failures import ActorGone
from actors.ports import Services
from actors.writer import SERVICE
from dispatch.claim import Busy, ClaimsUnreachable, WorkId
from dispatch.ids import ShardId
from dispatch.journal import DeadLetter
from dispatch.lease import NodeId
from dispatch.step import Tell
from node.ports import Claims

SOLVER = "solver"

type Seconds = Annotated[float, Meta(gt=0, le=86_400)]
type Count = Annotated[int, Meta(ge=1, le=10_000)]


class TryAgain(Exception):
    """It did not work this time. Another attempt is made, not before `after_s`."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        """Say why, and how long to leave it alone at least."""
        super().__init__(reason)
        self.after_s = after_s


class GiveUp(Exception):
    """It will never work: the actor that waits for it is told so by `tell`, if there is any."""

    def __init__(self, reason: str, tell: Tell | None = None) -> None:
        """Say why, and whom to tell what."""
        super().__init__(reason)
        self.tell = tell


class Job(Struct, frozen=True, kw_only=True):
    """One attempt at a piece of work. The key is the same for all attempts; pass it on."""

    key: str
    message: bytes
    idempotency_key: str
    attempt: int


type Work = Callable[[Job], Awaitable[Tell | None]]
"""Does a job and returns whom to tell what came of it; raises `TryAgain` or `GiveUp`."""


class ServicePolicy(Struct, frozen=True, kw_only=True):
    """How often and how long services are tried. The numbers are for each service on its own."""

    attempts_max: Count = 10
    """Attempts at one piece of work before it becomes a dead letter."""
    work_s: Seconds = 10.0
    """Time that one attempt has."""
    hold_s: Seconds = 15.0
    """Time for which work is claimed: longer than an attempt, so that no two overlap."""
    backoff_s: Seconds = 0.5
    """Longest wait before the second attempt; each further one is twice as long."""
    backoff_s_max: Seconds = 600.0
    """Longest wait before any attempt."""
    running_max: Count = 32
    """Attempts under way at once."""
    claims_s: Seconds = 5.0
    """Time that the store of the claims has for one call."""
    prune_s: Seconds = 3_600.0
    """Time between two looks for claims that were left behind."""
    keep_s: Seconds = 86_400.0
    """Time after which a claim that was due counts as left behind."""


POLICY = ServicePolicy()


class ServiceStatistics(Struct, frozen=True, kw_only=True):
    """How the desk stands, and what has become of the work so far."""

    waiting: int
    done: int
    retried: int
    given_up: int


class Asker(Protocol):
    """What the desk needs of a shard."""

    @property
    def id(self) -> ShardId:
        """Return which shard this is."""
        ...

    @property
    def epoch(self) -> int:
        """Return the epoch of the life that is open, 0 without one."""
        ...

    def settle(
        self, sequence: int, tell: Tell | None = None, letter: DeadLetter | None = None
    ) -> None:
        """Take the row as done with, tell an actor what came of it, keep what came to nothing."""
        ...


class _Waiting:
    """A piece of work at the desk: waiting, or under way."""

    __slots__ = ("asker", "id", "key", "message")

    def __init__(self, asker: Asker, sequence: int, key: str, message: bytes) -> None:
        self.asker = asker
        self.id = WorkId(asker.id, sequence)
        self.key = key
        self.message = message


class _Queue:
    """The work of one service in the order in which it is due."""

    def __init__(self, name: str, work: Work, running_max: int) -> None:
        self.name = name
        self.work = work
        self.room = trio.Semaphore(running_max)
        self._order = count()
        self._due: list[tuple[float, int, _Waiting]] = []
        self._put = trio.Event()

    def put(self, waiting: _Waiting, wait_s: float = 0.0) -> None:
        """Have work done once the wait is over."""
        heapq.heappush(self._due, (trio.current_time() + wait_s, next(self._order), waiting))
        self._put.set()

    async def next(self) -> _Waiting:
        """Wait for work that is due, and take it."""
        while not self._due or self._due[0][0] > trio.current_time():
            self._put = trio.Event()
            with trio.move_on_at(self._due[0][0] if self._due else math.inf):
                await self._put.wait()
        return heapq.heappop(self._due)[2]


class ServiceDesk:
    """Does the work of all shards of a node."""

    def __init__(
        self,
        services: Mapping[str, Work],
        claims: Claims,
        node: NodeId,
        rng: Random,
        policy: ServicePolicy = POLICY,
    ) -> None:
        assert policy.hold_s > policy.work_s, "work would be claimed twice while it is done"
        self._claims = claims
        self._node = node
        self._rng = rng
        self._policy = policy
        self._queues = {
            name: _Queue(name, work, policy.running_max) for name, work in services.items()
        }
        self._waiting: dict[WorkId, _Waiting] = {}
        self._done = self._retried = self._given_up = 0

    def window(self, asker: Asker, solver: Services | None = None) -> "Window":
        """Return the services of a shard; what it asks of the solver is handed on to that."""
        return Window(self, asker, solver)

    def put(self, service: str, asker: Asker, sequence: int, key: str, message: bytes) -> None:
        """Take a piece of work, which may have been brought before."""
        queue = self._queues.get(service)
        known = self._waiting.get(WorkId(asker.id, sequence))
        if queue is None:
            told = f"there is no service {service!r} in this release"
            self._given_up += 1
            with suppress(ActorGone):
                asker.settle(sequence, None, DeadLetter(f"{SERVICE}{service}", key, message, told))
        elif known is not None:
            known.asker = asker
        else:
            waiting = _Waiting(asker, sequence, key, message)
            self._waiting[waiting.id] = waiting
            queue.put(waiting)

    async def run(self) -> None:
        """Do what is brought, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._prune)
            for queue in self._queues.values():
                nursery.start_soon(self._serve, queue)

    def statistics(self) -> ServiceStatistics:
        """Return how the desk stands."""
        return ServiceStatistics(
            waiting=len(self._waiting),
            done=self._done,
            retried=self._retried,
            given_up=self._given_up,
        )

    async def _prune(self) -> None:
        while True:
            with suppress(ClaimsUnreachable, trio.TooSlowError):
                with trio.fail_after(self._policy.claims_s):
                    await self._claims.prune(self._policy.keep_s)
            await trio.sleep(self._policy.prune_s)

    async def _serve(self, queue: _Queue) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                await queue.room.acquire()
                nursery.start_soon(self._attend, queue, await queue.next())

    async def _attend(self, queue: _Queue, waiting: _Waiting) -> None:
        """Make one attempt, if there may be one now, and put what is not done back."""
        try:
            wait_s = await self._attempted(queue, waiting)
        finally:
            queue.room.release()
        if wait_s is not None:
            queue.put(waiting, wait_s)

    async def _attempted(self, queue: _Queue, waiting: _Waiting) -> float | None:
        """Return how long the work has to wait now; None when it is not this desk's any more."""
        if not waiting.asker.epoch:  # The shard has gone; its next owner is given the work again.
            del self._waiting[waiting.id]
            return None
        try:
            with trio.fail_after(self._policy.claims_s):
                claim = await self._claims.claim(waiting.id, self._node, self._policy.hold_s)
        except (ClaimsUnreachable, trio.TooSlowError):
            return self.pause_s(1)
        if isinstance(claim, Busy):
            return claim.left_s
        return await self._performed(queue, waiting, claim.attempt)

    async def _performed(self, queue: _Queue, waiting: _Waiting, attempt: int) -> float | None:
        job = Job(
            key=waiting.key,
            message=waiting.message,
            idempotency_key=waiting.id.idempotency_key,
            attempt=attempt,
        )
        if attempt > self._policy.attempts_max:
            error = GiveUp("the nodes that tried it went down")
            return await self._end(waiting, None, self._letter(queue, job, error))
        try:
            with trio.fail_after(self._policy.work_s):
                tell = await queue.work(job)
        except GiveUp as error:
            return await self._end(waiting, error.tell, self._letter(queue, job, error))
        except TryAgain as error:
            return await self._retry(queue, waiting, job, error)
        except trio.TooSlowError:
            late = TryAgain(f"it took longer than {self._policy.work_s:g} s")
            return await self._retry(queue, waiting, job, late)
        return await self._end(waiting, tell, None)

    async def _retry(
        self, queue: _Queue, waiting: _Waiting, job: Job, error: TryAgain
    ) -> float | None:
        if job.attempt >= self._policy.attempts_max:
            return await self._end(waiting, None, self._letter(queue, job, error))
        self._retried += 1
        wait_s = max(error.after_s, self.pause_s(job.attempt))
        await self._put_off(waiting, wait_s, str(error))
        return wait_s

    async def _end(
        self, waiting: _Waiting, tell: Tell | None, letter: DeadLetter | None
    ) -> float | None:
        """Hand in what came of the work; do it once more if the shard has gone meanwhile."""
        try:
            waiting.asker.settle(waiting.id.sequence, tell, letter)
        except ActorGone as error:  # Its next owner may do it now, or this node in a while.
            await self._put_off(waiting, 0.0, str(error))
            return self._policy.backoff_s
        del self._waiting[waiting.id]  # At once: the shard may bring it again from now on.
        self._done += letter is None
        self._given_up += letter is not None
        with suppress(ClaimsUnreachable, trio.TooSlowError), trio.fail_after(self._policy.claims_s):
            await self._claims.settle(waiting.id, self._node)
        return None

    async def _put_off(self, waiting: _Waiting, wait_s: float, error: str) -> None:
        """Let go of the claim; where that fails it runs out by itself."""
        with suppress(ClaimsUnreachable, trio.TooSlowError), trio.fail_after(self._policy.claims_s):
            await self._claims.put_off(waiting.id, self._node, wait_s, error)

    def pause_s(self, attempt: int) -> float:
        """Return a wait between nothing and the longest of this attempt, all equally likely."""
        longest_s = self._policy.backoff_s * 2 ** min(attempt - 1, 32)
        return self._rng.uniform(0, min(longest_s, self._policy.backoff_s_max))

    @staticmethod
    def _letter(queue: _Queue, job: Job, error: Exception) -> DeadLetter:
        told = f"attempt {job.attempt}: {error}"
        return DeadLetter(f"{SERVICE}{queue.name}", job.key, job.message, told)


class Window:
    """Where one shard puts its work; fits `actors.ports.Services`."""

    __slots__ = ("_asker", "_desk", "_solver")

    def __init__(self, desk: ServiceDesk, asker: Asker, solver: Services | None) -> None:
        self._desk = desk
        self._asker = asker
        self._solver = solver

    def submit(self, service: str, sequence: int, key: str, message: bytes) -> None:
        """Have the work done, and the row settled with what came of it."""
        if service == SOLVER and self._solver is not None:
            self._solver.submit(service, sequence, key, message)
        else:
            self._desk.put(service, self._asker, sequence, key, message)
