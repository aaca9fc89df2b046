"""The run loop: takes messages from inboxes, lets machines step, and hands their effects on.

Everything here is synchronous, knows no clock but the `now` it is given, and touches neither
journal nor network. A visit handles the whole inbox of an actor, then looks at its deadline. What a
machine tells an actor of the same shard is in that actor's inbox at once; all else goes into the
draft and leaves the shard after the commit. A step that raises changes nothing: what it told is
taken back, and all else is written down before any of it is applied.

The fast lane in `run` is for the commonest step by far, which tells one actor of the shard or none.
Its length is deliberate: one more call would cost it a tenth.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import length_hint

from msgspec import DecodeError, structs

from actors.codec import Codec, salvaged
from actors.draft import Draft
from actors.envelope import Envelope, Question
from actors.failures import ActorFailed, ActorGone, ShardFailed
from actors.kind import AnyKind
from actors.limits import Limits
from actors.ports import Directory
from actors.roll import Roll
from actors.row import Mail, Row, mail_count
from actors.statistics import Statistics, Totals
from actors.supervision import Supervisor, traced
from actors.timers import Alarm, Timers
from actors.writer import FEED, SERVICE, Writer, Writing
from dispatch.ids import Instant, ShardId, after
from dispatch.journal import DeadLetter, FactRow, FeedRow, InboxMark, OutboxRow, Recovered
from dispatch.step import Code, Effect, Record, Refused, Reply, Tell, TellAcross, Wake

OVERLOADED = Refused(Code.OVERLOADED)
PARKED = Refused(Code.PARKED, "its handler failed too often; it waits for operations")
WAKE = Wake()
NOBODY: Mapping[str, Row] = {}
DEADLINE = Wake()
"""Stands for the look at an actor's deadline when that fails, in place of a message."""


class StillDue(Exception):
    """An actor was woken and is due at the same instant again: it would be woken for ever."""


class Kernel:
    """The actors of one shard, from one recovery to the next."""

    __slots__ = (
        "_codecs",
        "_committed",
        "_dead_letters",
        "_limits",
        "_loading",
        "_mail",
        "_now",
        "_roll",
        "_runnable",
        "_runnable_before",
        "_supervisor",
        "_timers",
        "_totals",
        "_visited",
        "_writer",
        "draft",
    )

    def __init__(
        self,
        kinds: Sequence[AnyKind],
        limits: Limits,
        *,
        shard: ShardId,
        epoch: int,
        directory: Directory | None = None,
        has_services: bool = False,
        totals: Totals,
        dead_letters: deque[DeadLetter],
    ) -> None:
        _check(kinds)
        self._limits = limits
        self._totals = totals
        self._codecs = {kind.name: Codec(kind) for kind in kinds}
        self._roll = Roll(kinds, shard, directory, is_swept=limits.idle_s is not None)
        self._writer = Writer(self._roll, epoch, has_services=has_services)
        self._supervisor = Supervisor(limits)
        self._timers = Timers(self._is_meant)
        self._runnable: deque[Row] = deque()
        self._runnable_before = 0
        self._now = Instant(0)
        self._committed = 0
        self._loading = 0
        self._visited = 0
        self._mail: Mail | None = None
        self.draft = Draft(1)
        self._dead_letters = dead_letters

    @property
    def is_runnable(self) -> bool:
        """Tell whether mail waits that can be handled now."""
        return bool(self._runnable)

    @property
    def is_wanting(self) -> bool:
        """Tell whether there are actors to be read from the journal."""
        return bool(self._roll.wanted)

    @property
    def is_loading(self) -> bool:
        """Tell whether mail waits for actors that the journal has still to bring."""
        return self._loading > 0 or self.is_wanting

    @property
    def is_overloaded(self) -> bool:
        """Tell whether the edge is to be refused, whomever it speaks to."""
        waiting, wanted = len(self._runnable), len(self._roll.wanted)
        return waiting >= self._limits.runnable_max or wanted >= self._limits.wanted_max

    @property
    def room(self) -> int:
        """Return how many more transitions the draft takes."""
        return self._limits.transitions_max - self.draft.transitions

    def tell(self, kind: str, key: str, envelope: Envelope) -> Refused | None:
        """Put a message from the edge into an inbox, or return why not."""
        row = self._roll.rows[kind].get(key) or self._roll.summon(kind, key, self._now)
        if row is None:
            if self._roll.is_here(kind, key):
                return PARKED
            raise ActorGone(f"{kind} {key} lives in another shard")
        if mail_count(row) >= row.kind.inbox_max:
            return OVERLOADED
        self._post(row, envelope)
        return None

    def deliver(self, kind: str, key: str, message: bytes, mark: InboxMark) -> bool:
        """Put a tell from another shard into an inbox; False when there is no room for it."""
        try:
            envelope = Envelope(self._codecs[kind].message(message), mark=mark)
        except (KeyError, DecodeError) as error:
            self.bury(DeadLetter(kind, key, message, f"it cannot be read here: {error!r}"))
            self.draft.marks.append(mark)
            return True
        refused = self.tell(kind, key, envelope)
        if refused is PARKED:
            self._turn_away(kind, key, envelope)
        return refused is not OVERLOADED

    def answer(self, tell: Tell, sequence: int) -> None:
        """Tell an actor what a service answered, and settle the service's row with it."""
        self._tell_inside(tell.kind, tell.key, Envelope(tell.message, sequence=sequence))

    def bury(self, letter: DeadLetter) -> None:
        """Keep a message that nobody could do anything with."""
        self._totals.dead_letters += 1
        self.draft.dead_letters.append(letter)
        self._dead_letters.append(letter)

    def resubmit(self, kind: str, key: str, message: bytes, question: Question) -> None:
        """Give a service work that no actor asked for; the question is answered by the commit."""
        row = self._writer.work(kind, key, message)
        self.draft.outbox.append(row)
        self.draft.outward.append(row)
        self.draft.settle(Envelope(WAKE, question))

    def run(self, transitions_max: int, now: Instant) -> int:  # noqa: C901, PLR0912, PLR0915 - above.
        """Handle waiting messages, about so many at most, and return how many."""
        self._now = now
        runnable, rows = self._runnable, self._roll.rows
        next_row, schedule = runnable.popleft, runnable.append
        left = transitions_max
        while left > 0:
            try:
                row = next_row()
            except IndexError:
                break
            mail = row.inbox
            try:
                if type(mail) is deque:
                    try:
                        self._visit(row, mail, left, now)
                    finally:
                        left -= self._visited
                    continue
                left -= 1
                row.inbox = None
                kind, before = row.kind, row.state
                step = kind.step(before, mail, now)
                effects = step.effects
                if len(effects) == 1 and type(effect := effects[0]) is Tell:
                    try:
                        told = rows[effect.kind][effect.key]
                    except KeyError:
                        told = None
                    if told is not None and told.inbox is None:
                        told.inbox = effect.message
                        schedule(told)
                    else:
                        self._say(row, effects)
                elif effects:
                    self._say(row, effects)
                state = step.state
                if state is not before:
                    row.state = state
                    if kind.is_durable:
                        self._note_change(row)
                row.visited_at = now
                if kind.is_watched or state is None:
                    last, mail = mail, DEADLINE
                    self._end_visit(row, last)
            except ShardFailed:
                raise
            except Exception as error:  # noqa: BLE001 - the one place: a handler may raise anything.
                self._fail(row, self._mail if isinstance(mail, deque) else mail, error)
        self.draft.transitions += transitions_max - left
        self._totals.messages += transitions_max - left
        return transitions_max - left

    def _visit(self, row: Row, inbox: deque[Mail], left: int, now: Instant) -> None:
        """Handle a whole inbox: several messages, ones in envelopes, or none, for the deadline."""
        _check_depth(row, inbox)
        step, enveloped, say = row.kind.step, Envelope, self._say
        state = before = row.state
        row.inbox, mail = None, None
        pending = iter(inbox)
        try:
            for mail in islice(pending, left):
                if type(mail) is enveloped:
                    done = step(state, mail.message, now)
                    say(row, done.effects, mail)
                else:
                    done = step(state, mail, now)
                    if done.effects:
                        say(row, done.effects)
                state = done.state
        finally:
            self._visited, self._mail = len(inbox) - length_hint(pending), mail
            if state is not before:
                row.state = state
                self._note_change(row)
            if self._visited < len(inbox):
                self._put_back(row, deque(pending))
        row.visited_at = now
        if row.inbox is None:
            self._mail = DEADLINE
            self._end_visit(row, mail)

    def _put_back(self, row: Row, rest: deque[Mail]) -> None:
        """Let mail that was not reached wait, before what the actor told itself meanwhile."""
        if row.inbox is None:
            self._runnable.append(row)
        elif isinstance(row.inbox, deque):
            rest.extend(row.inbox)
        else:
            rest.append(row.inbox)
        row.inbox = rest

    def _note_change(self, row: Row) -> None:
        draft = self.draft
        if row.changed_in != draft.serial and row.kind.is_durable:
            row.changed_in = draft.serial
            draft.changed.append(row)

    def fire(self, now: Instant) -> None:
        """Wake the actors whose deadline has come, as far as the draft has room for it."""
        self._now = now
        for _ in range(self._limits.transitions_max):
            alarm = self._timers.find_due(now)
            if alarm is None:
                return
            self._ring(alarm)

    def next_at(self) -> Instant | None:
        """Return the instant of the next alarm."""
        return self._timers.next_at()

    def seal(self) -> Draft:
        """Return the draft with its unhandled tells written down, and begin the next one."""
        draft = self.draft
        for row in self._told_and_waiting(draft):
            self._writer.keep(row, draft.outbox)
        self.draft = Draft(draft.serial + 1)
        self._runnable_before = len(self._runnable)
        self._totals.batches += 1
        return draft

    def commit(self, draft: Draft) -> None:
        """Take note that the draft is in the journal, and let its finished actors leave memory."""
        self._committed = draft.serial
        for row in draft.changed:
            is_settled = row.changed_in == draft.serial and row.inbox is None
            if is_settled and row.kind.is_finished(row.state) and self._roll.has(row):
                self._leave(row)

    def restore(self, recovered: Recovered, now: Instant) -> list[OutboxRow]:
        """Bring the states, deadlines and mail of the journal back; return what is not for here."""
        self._now = now
        for checkpoint in recovered.checkpoints:
            row = self._roll.add(checkpoint.kind, checkpoint.key, None, now)
            if self._read(row, checkpoint.state) and row.kind.is_watched:
                self._look_at(row)
        return [row for row in recovered.outbox if not self._restore_mail(row)]

    def take_wanted(self) -> list[Row]:
        """Return the next actors to read from the journal."""
        rows = self._roll.take_wanted(self._limits.load_max)
        self._loading += len(rows)
        return rows

    def load(self, rows: Sequence[Row], states: Sequence[bytes | None]) -> None:
        """Give actors the states that the journal has, and let them at their mail."""
        self._loading -= len(rows)
        self._totals.loads += len(rows)
        for row, state in zip(rows, states, strict=True):
            if state is None or self._read(row, state):
                self._runnable.append(row)

    def sweep(self, now: Instant, idle_s: float, share: float) -> None:
        """Let a share of the actors leave memory if nobody visited them for `idle_s`."""
        left = self._roll.sweep(after(now, -idle_s), self._committed, share)
        self._totals.passivated += left

    @property
    def is_sweepable(self) -> bool:
        """Tell whether there are actors that may become idle."""
        return self._roll.has_ring

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over keys and states of a kind as they are now, committed or not."""
        return self._roll.states(kind)

    def find_state(self, kind: str, key: str) -> object | None:
        """Return the state of an actor that is in memory."""
        row = self._roll.rows[kind].get(key)
        return None if row is None else row.state

    def unpark(self, kind: str, key: str) -> bool:
        """Let a parked actor run again; False when it was not parked."""
        self._supervisor.forgive(kind, key)
        row = self._roll.find_unparked(kind, key)
        if row is None:
            return False
        self._look_at(row)
        return True

    def statistics(self, asks: int, unsettled: int) -> Statistics:
        """Return how the actors stand, with what the caller knows of its own."""
        return Statistics(
            is_open=True,
            actors=len(self._roll),
            runnable=len(self._runnable),
            inbox_longest=max(map(mail_count, self._runnable), default=0),
            wanted=len(self._roll.wanted),
            parked=tuple(self._roll.parked),
            asks=asks,
            unsettled=unsettled,
            timers=len(self._timers),
            totals=structs.replace(self._totals),
        )

    def _say(self, row: Row, effects: tuple[Effect, ...], envelope: Envelope | None = None) -> None:
        pending, is_told = iter(effects), False
        try:
            others = self._tell_actors(row, pending)
            is_told = True
        finally:
            if not is_told:
                said_count = len(effects) - length_hint(pending) - 1
                self._take_back(effects[:said_count])
        for effect, writing in others:
            self._apply(effect, writing, envelope)
        if envelope is not None:
            self.draft.settle(envelope)

    def _tell_actors(self, row: Row, effects: Iterator[Effect]) -> list[tuple[Effect, Writing]]:
        """Tell the actors of this shard what is for them; return what is written of the rest."""
        rows, others = self._roll.rows, list[tuple[Effect, Writing]]()
        kind = key = inbox = None
        for effect in effects:
            if not isinstance(effect, Tell) or isinstance(effect, TellAcross):
                others.append((effect, self._writer.written(row, effect)))
            elif inbox is not None and effect.key is key and effect.kind is kind:
                inbox.append(effect.message)  # One more for the same actor: nothing to look up.
            else:
                kind, key = effect.kind, effect.key
                try:
                    whom = rows[kind][key]
                except KeyError:
                    whom = self._writer.told(effect, self._now)
                if isinstance(whom, Row):
                    inbox = self._post(whom, effect.message)
                else:
                    others.append((effect, whom))
                    inbox = None
        return others

    def _take_back(self, effects: tuple[Effect, ...]) -> None:
        """Undo the tells of a step that failed: nobody ran since, so they are the newest mail."""
        for effect in reversed(effects):
            if type(effect) is not Tell:
                continue
            row = self._roll.rows.get(effect.kind, NOBODY).get(effect.key)
            if row is not None and isinstance(row.inbox, deque):
                row.inbox.pop()
            elif row is not None:
                row.inbox = deque()

    def _apply(self, effect: Effect, writing: Writing, envelope: Envelope | None) -> None:
        match effect, writing:
            case Tell(), FeedRow():
                self.draft.feed.append(writing)
                self.draft.shown.append(effect.message)
            case Tell(), OutboxRow():
                self.draft.outbox.append(writing)
                self.draft.outward.append(writing)
            case Record(), FactRow():
                self.draft.facts.append(writing)
            case Reply(), _:
                if envelope is not None:
                    envelope.answer = effect.answer
            case _, DeadLetter():
                self.bury(writing)
            case _:
                raise AssertionError(effect)

    def _tell_inside(self, kind: str, key: str, envelope: Envelope) -> None:
        row = self._roll.rows[kind].get(key) or self._roll.summon(kind, key, self._now)
        if row is None:
            self._turn_away(kind, key, envelope)
        else:
            self._post(row, envelope)

    def _post(self, row: Row, mail: Mail) -> deque[Mail] | None:
        """Put mail into an inbox; return the inbox when it can simply be added to."""
        inbox = row.inbox
        if inbox is None:
            row.inbox = deque((mail,)) if isinstance(mail, Envelope) else mail
            self._runnable.append(row)
            return None
        if not isinstance(mail, Envelope):
            self.draft.told.append(row)
        if isinstance(inbox, deque):
            inbox.append(mail)
            return inbox
        both: deque[Mail] = deque((inbox, mail))
        row.inbox = both
        return both

    def _end_visit(self, row: Row, last: object) -> None:
        kind, state = row.kind, row.state
        if state is None:
            self._roll.drop(row)
        elif kind.is_finished(state):
            if not kind.is_durable or row.changed_in <= self._committed:
                self._leave(row)
        elif kind.wakes_at is not None:
            self._look_at_deadline(row, kind.wakes_at(state), last)

    def _look_at_deadline(self, row: Row, at: Instant | None, last: object) -> None:
        if at is None:
            return
        if at > self._now:
            self._set_alarm(row, at)
        elif last is WAKE:
            raise StillDue(f"{row.kind.name} {row.key} was woken at {self._now}, due at {at}")
        else:
            self._totals.wakes += 1
            self._post(row, WAKE)

    def _set_alarm(self, row: Row, at: Instant) -> None:
        if row.timer_at is None or at < row.timer_at:
            row.timer_at = at
            self._timers.set(Alarm(at, row.kind.name, row.key))

    def _ring(self, alarm: Alarm) -> None:
        row = self._roll.rows[alarm.kind].get(alarm.key)
        if row is None:
            self._roll.summon(alarm.kind, alarm.key, self._now)
        elif row.timer_at == alarm.at:
            row.timer_at = None
            self._look_at(row)

    def _look_at(self, row: Row) -> None:
        """Have the run loop visit an actor without a message, for its deadline."""
        if row.inbox is None:
            row.inbox = deque()
            self._runnable.append(row)

    def _is_meant(self, alarm: Alarm) -> bool:
        row = self._roll.rows[alarm.kind].get(alarm.key)
        return row is None or row.timer_at == alarm.at

    def _leave(self, row: Row) -> None:
        self._roll.drop(row)
        self._totals.finished += 1
        if row.timer_at is not None:
            self._timers.forget(Alarm(row.timer_at, row.kind.name, row.key))

    def _told_and_waiting(self, draft: Draft) -> Iterator[Row]:
        """Iterate over the durable actors that were told something in the draft and have mail.

        Whoever was put into the run queue since the last seal is among its newest, and can be no
        more than the transitions and its growth together; so the rest is never looked at.
        """
        waiting = len(self._runnable)
        newest_max = max(0, draft.transitions + waiting - self._runnable_before)
        newest = list(islice(reversed(self._runnable), newest_max))
        for row in dict.fromkeys(chain(draft.told, reversed(newest))):
            if isinstance(row.inbox, deque):
                _check_depth(row, row.inbox)
            if row.kind.is_durable and row.inbox is not None:
                yield row

    def _read(self, row: Row, state: bytes) -> bool:
        """Give the row the state that the journal has; park it when that cannot be read."""
        try:
            row.state = self._codecs[row.kind.name].state(state)
        except DecodeError as error:
            told = f"its checkpoint cannot be read: {error}"
            self.bury(DeadLetter(row.kind.name, row.key, state, told))
            self._park(row)
            return False
        return True

    def _restore_mail(self, row: OutboxRow) -> bool:
        """Put a tell back into its inbox; False when it is not for an actor of this shard."""
        is_for_here = row.target is None and not row.kind.startswith(SERVICE)
        if not is_for_here or not self._roll.is_here(row.kind, row.key):
            return False
        try:
            message = self._codecs[row.kind].message(row.message)
        except (KeyError, DecodeError) as error:
            told = f"it cannot be read here: {error!r}"
            self.bury(DeadLetter(row.kind, row.key, row.message, told))
            self.draft.handled.append(row.sequence)
            return True
        self._tell_inside(row.kind, row.key, Envelope(message, sequence=row.sequence, is_kept=True))
        return True

    def _fail(self, row: Row, mail: Mail | None, error: Exception) -> None:
        assert mail is not None
        kind, key = row.kind.name, row.key
        message = mail.message if isinstance(mail, Envelope) else mail
        told = traced(error, self._limits.error_chars_max)
        self.bury(DeadLetter(kind, key, salvaged(message), told))
        if isinstance(mail, Envelope):
            mail.answer = ActorFailed(f"{kind} {key}: {error!r}")
            self.draft.settle(mail)
        if self._supervisor.parks(kind, key, self._now):
            self._park(row)
        elif mail is not DEADLINE:
            self._look_at(row)
        self._supervisor.check_shard(self._now, error)

    def _park(self, row: Row) -> None:
        inbox, row.inbox = row.inbox, None
        if row in self._runnable:
            self._runnable.remove(row)
        for mail in inbox if isinstance(inbox, deque) else (inbox,):
            if mail is not None:
                self._turn_away(row.kind.name, row.key, mail)
        self._roll.park(row)

    def _turn_away(self, kind: str, key: str, mail: Mail) -> None:
        """Refuse what comes for a parked actor: tell the asker, make a dead letter of the rest."""
        is_envelope = isinstance(mail, Envelope)
        if not is_envelope or mail.question is None:
            message = mail.message if is_envelope else mail
            self.bury(DeadLetter(kind, key, salvaged(message), PARKED.detail))
        if is_envelope:
            mail.answer = PARKED
            self.draft.settle(mail)


def _check_depth(row: Row, inbox: deque[Mail]) -> None:
    """Fail the shard when too much mail waits, before any of it is committed or handled."""
    if len(inbox) > row.kind.inside_max:
        raise ShardFailed(f"{len(inbox)} messages wait for {row.kind.name} {row.key}")


def _check(kinds: Sequence[AnyKind]) -> None:
    names = [kind.name for kind in kinds]
    if len(set(names)) < len(names):
        raise ValueError(f"two kinds have one name among {', '.join(names)}; rename one")
    for name in names:
        if name == FEED or name.startswith(SERVICE):
            raise ValueError(f"{name!r} is no name for a kind: tells to it leave the shard")
