"""One life of a shard, from opening its journal to its end: speculate, commit in groups, speak.

The drain moves states in memory without waiting for anybody. The committer writes what it has done,
one batch at a time, while the next batch fills; at the ceiling the drain waits for it. What a batch
says (answers, feed messages, tells to others) is said when its commit has returned, in the order of
the batches; so a batch with nothing to write still waits for the one before. A lost lease, or a
failure, ends the life: nothing of what was not committed is ever said, and who asked is let go.
"""

import gc
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio
from msgspec import Struct

from actors.draft import Draft
from actors.envelope import Envelope, Question
from actors.failures import ActorGone, JournalAway, ShardFailed
from actors.kernel import OVERLOADED, Kernel
from actors.kind import AnyKind
from actors.limits import Limits
from actors.outbox import Leaving, Marks, Outbox
from actors.ports import Clock, Directory, Feeds, Journal, Parcel, Relay, Services
from actors.statistics import Statistics, Totals
from actors.writer import SERVICE
from dispatch.ids import Instant, ShardId, after, elapsed_s
from dispatch.journal import (
    Committed,
    DeadLetter,
    InboxMark,
    JournalUnreachable,
    LeaseLost,
    OutboxRow,
    Recovered,
)
from dispatch.step import Refused, Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a shard is connected to. Without services, relay or feeds nothing goes there.

    A relay needs the directory that says who lives in which shard. `until_s` tells how many seconds
    are left to an instant more finely than the whole milliseconds of `clock`; where alarms have to
    ring at their very instant, as in a simulation, it is given. The `fence` raises `LeaseLost` once
    the shard may belong to somebody else; without one it never does.
    """

    journal: Journal
    clock: Clock
    until_s: Callable[[Instant], float] | None = None
    services: Services | None = None
    feeds: Feeds | None = None
    relay: Relay | None = None
    directory: Directory | None = None
    fence: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stays the same over the lives of a shard."""

    shard: ShardId
    kinds: Sequence[AnyKind]
    ports: Ports
    limits: Limits
    totals: Totals
    dead_letters: deque[DeadLetter]


class Bell:
    """Wakes the one task that listens; a ring that nobody heard is heard at the next listening."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake the listener."""
        self._event.set()

    async def heard(self) -> None:
        """Wait for a ring."""
        await self._event.wait()
        self._event = trio.Event()


async def opened(of: Identity) -> Recovered:
    """Take the shard over in its journal."""
    return await _tried(of, lambda: of.ports.journal.open(of.shard))


class Life:
    """A shard that is open."""

    def __init__(self, of: Identity, recovered: Recovered) -> None:
        self._of = of
        self._ports = of.ports
        self._limits = of.limits
        self.epoch = recovered.epoch
        self._number = recovered.number
        self._outbox = Outbox()
        self._marks = Marks(recovered.marks, recovered.floors)
        self._questions: dict[Question, None] = {}
        self._filled, self._emptied, self._work, self._wanted = Bell(), Bell(), Bell(), Bell()
        self._scope = trio.CancelScope()
        self._ended_by: ShardFailed | LeaseLost | None = None
        self._stops_at = math.inf
        self._is_drained = False
        self._sweeps_at = self._ports.clock()
        self.kernel = Kernel(
            of.kinds,
            of.limits,
            shard=of.shard,
            epoch=recovered.epoch,
            directory=of.ports.directory,
            has_services=of.ports.services is not None,
            totals=of.totals,
            dead_letters=of.dead_letters,
        )
        self._restore(recovered)

    async def run(self) -> None:
        """Drain and commit until stopped; raise what ended the life if it was not a stop."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for work in (self._drain, self._load, self._resend):
                        nursery.start_soon(self._until_ended, work)
                    await self._until_ended(self._commit)
                    nursery.cancel_scope.cancel()
        finally:
            for question in self._questions:
                question.settle(ActorGone(f"shard {self._of.shard} is not open any more"))
        if self._ended_by is not None:
            raise self._ended_by

    def stop(self) -> None:
        """Take nothing new, work off what waits, commit it, say it, and end."""
        if self._stops_at == math.inf:
            self._stops_at = trio.current_time() + self._limits.stop_s
        self._work.ring()

    def tell(self, kind: str, key: str, envelope: Envelope) -> Refused | None:
        """Take a message from the edge, or return why not."""
        self._check_open()
        is_full = self.kernel.is_overloaded or len(self._outbox) >= self._limits.outbox_max
        refused = OVERLOADED if is_full else self.kernel.tell(kind, key, envelope)
        if refused is None:
            self._ring()
        else:
            self._of.totals.refused += 1
        return refused

    async def ask(self, kind: str, key: str, message: Struct) -> Struct:
        """Take a message from the edge and wait for its answer."""
        question = Question()
        refused = OVERLOADED
        if len(self._questions) < self._limits.asks_max:
            refused = self.tell(kind, key, Envelope(message, question))
        if refused is not None:
            await trio.lowlevel.checkpoint()
            return refused
        self._questions[question] = None
        try:
            return await question.answer()
        finally:
            del self._questions[question]

    def deliver(self, parcel: Parcel) -> None:
        """Take a tell from another shard, once and in its order; what is not taken comes again."""
        self._check_open()
        source, sequence = parcel.source, parcel.sequence
        if self._marks.raise_floor(source, parcel.floor):
            self.kernel.draft.floors[source] = parcel.floor
        if self._marks.has(source, sequence):
            if self._marks.is_committed(source, sequence):
                self._confirm(source, sequence)
            return
        if parcel.previous and not self._marks.has(source, parcel.previous):
            return
        mark = InboxMark(source, sequence)
        is_full = self.kernel.is_overloaded or len(self._outbox) >= self._limits.outbox_max
        if not is_full and self.kernel.deliver(parcel.kind, parcel.key, parcel.message, mark):
            self._marks.add(mark)
        self._ring()

    def settle(self, sequence: int, tell: Tell | None, letter: DeadLetter | None = None) -> None:
        """Take a row of the outbox as done with, and tell an actor what came of it."""
        self._check_open()
        if not self._outbox.settle(sequence, self._ports.clock()):
            return
        if letter is not None:
            self.kernel.bury(letter)
        if tell is None:
            self.kernel.draft.handled.append(sequence)
        else:
            self.kernel.answer(tell, sequence)
        self._ring()

    async def resubmit(self, kind: str, key: str, message: bytes) -> None:
        """Give a service work again, and return once that is committed."""
        self._check_open()
        question = Question()
        self.kernel.resubmit(kind, key, message, question)
        self._questions[question] = None
        self._ring()
        try:
            await question.answer()
        finally:
            del self._questions[question]

    def unpark(self, kind: str, key: str) -> bool:
        """Let a parked actor run again; False when it was not parked."""
        is_unparked = self.kernel.unpark(kind, key)
        self._ring()
        return is_unparked

    def statistics(self) -> Statistics:
        """Return how the shard stands."""
        return self.kernel.statistics(asks=len(self._questions), unsettled=len(self._outbox))

    def _check_open(self) -> None:
        if self._stops_at < math.inf or self._ended_by is not None:
            raise ActorGone(f"shard {self._of.shard} is stopping")

    def _ring(self) -> None:
        self._work.ring()
        if self.kernel.is_wanting:
            self._wanted.ring()

    def _restore(self, recovered: Recovered) -> None:
        now = self._ports.clock()
        for row in self.kernel.restore(recovered, now):
            self._outbox.add(row, self._target(row))
        if len(recovered.checkpoints) >= self._limits.freeze_rows_min:
            gc.freeze()

    def _target(self, row: OutboxRow) -> ShardId | None:
        if row.target is not None or row.kind.startswith(SERVICE):
            return row.target
        assert self._ports.directory is not None
        return self._ports.directory.home(row.kind, row.key)

    async def _until_ended(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (ShardFailed, LeaseLost) as error:
            self._ended_by = self._ended_by or error
            self._scope.cancel()

    async def _drain(self) -> None:
        while not self._is_worked_off():
            now = self._ports.clock()
            self._sweep(now)
            self._work_through(now)
            if not self.kernel.draft.is_empty:
                self._filled.ring()
            if self.kernel.is_wanting:
                self._wanted.ring()
            await self._pause(now)
        self._is_drained = True
        self._filled.ring()

    def _is_worked_off(self) -> bool:
        if self._stops_at == math.inf:
            return False
        is_busy = self.kernel.is_runnable or self.kernel.is_loading
        return not is_busy or trio.current_time() >= self._stops_at

    def _work_through(self, now: Instant) -> None:
        """Drain until nothing is left, the draft is full, or others want the thread."""
        kernel, limits = self.kernel, self._limits
        until = trio.current_time() + limits.drain_s
        if self._stops_at == math.inf:
            kernel.fire(now)
        while kernel.room > 0 and kernel.run(min(kernel.room, limits.slice_max), now):
            if trio.current_time() >= until:
                break

    async def _pause(self, now: Instant) -> None:
        if not self.kernel.is_runnable:
            with trio.move_on_after(self._pause_s(now)):
                await self._work.heard()
        elif self.kernel.room > 0:
            await trio.lowlevel.checkpoint()
        else:
            await self._emptied.heard()

    def _pause_s(self, now: Instant) -> float:
        if self._stops_at < math.inf:
            left_s = max(0.0, self._stops_at - trio.current_time())
            return left_s if self.kernel.is_loading else 0.0
        next_at = self.kernel.next_at()
        until_alarm_s = math.inf if next_at is None else max(0.0, self._until_s(now, next_at))
        is_sweeping = self._limits.idle_s is not None and self.kernel.is_sweepable
        until_sweep_s = max(0.0, elapsed_s(now, self._sweeps_at)) if is_sweeping else math.inf
        return min(until_alarm_s, until_sweep_s)

    def _until_s(self, now: Instant, instant: Instant) -> float:
        finer = self._ports.until_s
        return elapsed_s(now, instant) if finer is None else finer(instant)

    def _sweep(self, now: Instant) -> None:
        idle_s, sweep_s = self._limits.idle_s, self._limits.sweep_s
        if idle_s is None or now < self._sweeps_at:
            return
        self.kernel.sweep(now, idle_s, min(1.0, sweep_s / idle_s))
        self._sweeps_at = after(now, sweep_s)

    async def _commit(self) -> None:
        while not self._is_drained or not self.kernel.draft.is_empty:
            await self._filled.heard()
            while self._ended_by is None and not self.kernel.draft.is_empty:
                await self._commit_draft()

    async def _commit_draft(self) -> None:
        draft = self.kernel.seal()
        committed = Committed()
        if draft.is_durable:
            at = self._ports.clock()
            batch = draft.batch(self._of.shard, self.epoch, self._number + 1, at)
            self._emptied.ring()
            committed = await _tried(self._of, lambda: self._ports.journal.commit(batch))
            self._number = batch.number
            self._of.totals.commits += 1
        elif self._ports.fence is not None:
            self._ports.fence()  # No commit asks whose the shard is, and what was read may be old.
        self._emptied.ring()
        self.kernel.commit(draft)
        self._speak(draft, committed)

    def _speak(self, draft: Draft, committed: Committed) -> None:
        """Let out what the draft said, now that it is in the journal."""
        self._publish(draft, committed)
        for mark in draft.marks:
            self._marks.commit(mark)
            self._confirm(mark.source, mark.sequence)
        for row in draft.outward:
            self._send(row)
        for envelope in draft.answered:
            if envelope.question is not None:
                envelope.question.settle(envelope.answer)

    def _publish(self, draft: Draft, committed: Committed) -> None:
        if self._ports.feeds is None:
            return
        numbers = committed.feed_numbers
        for row, message, number in zip(draft.feed, draft.shown, numbers, strict=True):
            self._ports.feeds.publish(row.person, number, message, self.epoch)

    def _confirm(self, source: ShardId, sequence: int) -> None:
        if self._ports.relay is not None:
            self._ports.relay.settle(source, sequence)

    def _send(self, row: OutboxRow) -> None:
        target = self._target(row)
        self._outbox.add(row, target)
        if target is None:
            self._submit(row)
        else:
            self._ship(self._outbox.leaving(row, target, self._ports.clock()))

    def _submit(self, row: OutboxRow) -> None:
        if self._ports.services is not None:
            service = row.kind.removeprefix(SERVICE)
            self._ports.services.submit(service, row.sequence, row.key, row.message)

    def _ship(self, leaving: Leaving) -> None:
        if self._ports.relay is None:
            return
        row, target = leaving.row, leaving.target
        parcel = Parcel(
            source=self._of.shard,
            sequence=row.sequence,
            floor=self._outbox.floor(target),
            previous=leaving.previous,
            kind=row.kind,
            key=row.key,
            message=row.message,
        )
        self._ports.relay.send(target, parcel)

    async def _load(self) -> None:
        """Read actors from the journal, many by one call and one call at a time."""
        while True:
            await self._wanted.heard()
            while rows := self.kernel.take_wanted():
                names = [(row.kind.name, row.key) for row in rows]
                self.kernel.load(rows, await self._states(names))
                self._work.ring()

    async def _states(self, names: Sequence[tuple[str, str]]) -> Sequence[bytes | None]:
        journal, shard = self._ports.journal, self._of.shard
        return await _tried(self._of, lambda: journal.load(shard, names))

    async def _resend(self) -> None:
        """Send what the life before left unsettled, then what a shard does not settle in time."""
        for row in self._outbox.services():
            self._submit(row)
        limits = self._limits
        while self._ports.relay is not None:
            now = self._ports.clock()
            for leaving in self._outbox.late(now, limits.resend_s, limits.resend_max):
                self._ship(leaving)
            await trio.sleep(limits.resend_s)


async def _tried[T](of: Identity, call: Callable[[], Awaitable[T]]) -> T:
    """Call the journal, again when it cannot be reached, and give the shard up at the ceiling.

    A call under way is let finish, for `commit_s`, even when the shard is cancelled: what it wrote
    can then still be answered.
    """
    wait_s = of.limits.backoff_s
    for tries in range(1, of.limits.tries_max + 1):
        try:
            with trio.fail_after(of.limits.commit_s, shield=True):
                return await call()
        except (JournalUnreachable, trio.TooSlowError) as error:
            if tries == of.limits.tries_max:
                raise JournalAway(f"the journal did not answer {tries} calls: {error}") from error
        of.totals.retries += 1
        await trio.sleep(wait_s)
        wait_s = min(2 * wait_s, of.limits.backoff_s_max)
    raise AssertionError(of.limits.tries_max)
