"""The witness: stands at the store, beside every client and every tenancy, and asks at each step.

Each step is entered into the chronicle and held against the invariants; the first one broken ends
the run. What the witness sees also goes into a digest, so that two runs can be compared to the
byte, and the last of it into a trace for whoever has to find out why.
"""

from collections import deque
from collections.abc import Callable, Iterable
from hashlib import blake2b

import msgspec
import trio
from msgspec import Struct

from dispatch.ids import ShardId
from dispatch.journal import Batch, Committed, Recovered
from dispatch.lease import NodeId
from simulations.faults import invariants
from simulations.faults.chronicle import Applied, Chronicle, Said, Tenancy
from simulations.faults.invariants import Findings, sentence

TRACE_MAX = 20
_encode = msgspec.msgpack.Encoder().encode


class Broken(Struct, frozen=True, kw_only=True):
    """An invariant that does not hold: its sentence, what was seen, and when."""

    invariant: str
    seen: str
    at_s: float


class Witness:
    """Sees everything, forgets nothing, and raises no error: what is broken is `broken`."""

    def __init__(self) -> None:
        self.chronicle = Chronicle()
        self.broken: Broken | None = None
        self.is_over = trio.Event()
        """Set when something is broken, or nothing more can be."""
        self.steps = 0
        self.at_s = 0.0
        """When something was noted last."""
        self.trace: deque[str] = deque(maxlen=TRACE_MAX)
        self._digest = blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """What was seen so far, in 32 letters."""
        return self._digest.hexdigest()

    def note(self, line: str) -> None:
        """Take a line into the trace and the digest."""
        self.at_s = trio.current_time()
        told = f"{self.at_s:9.3f} s  {line}"
        self.trace.append(told)
        self._digest.update(told.encode())

    def opened(self, node: NodeId, shard: ShardId, recovered: Recovered) -> None:
        """See a shard taken over."""
        self.note(f"{node} opens shard {shard}, epoch {recovered.epoch}")
        self.chronicle.epochs[shard] = recovered.epoch
        self._ask(invariants.recovery_finds_everything, shard, recovered)
        self._ask(invariants.one_unfenced_tenancy, shard)

    def applied(self, node: NodeId, batch: Batch, committed: Committed) -> None:
        """See a batch written, as its node sent it."""
        applied = self.chronicle.read(batch, committed)
        self.note(f"{node} {_told(applied)}")
        self._digest.update(_encode(batch))
        for invariant in invariants.BEFORE_ENTRY:
            self._ask(invariant, applied)
        self.chronicle.enter(applied)
        for invariant in invariants.AFTER_ENTRY:
            self._ask(invariant, applied)
        self._ask(invariants.one_unfenced_tenancy, batch.shard)

    def said(self, node: NodeId, said: Said) -> None:
        """See an answer leave a node."""
        self.note(f"{node} says {said.answer} to {said.message} for {said.kind} {said.key}")
        self._ask(invariants.accepted_is_committed, said)
        if said.is_accepted:
            self.chronicle.accepted.append(said)

    def heard(self, person: str, cursor: int, number: int, message: bytes) -> None:
        """See a feed message reach a device whose last one had the number `cursor`."""
        self._ask(invariants.devices_hear_the_feed, person, number, message)
        self._ask(invariants.devices_hear_once, person, cursor, number)

    def hosted(self, node: NodeId, tenancy: Tenancy, shard: ShardId) -> None:
        """See a node begin to act for a shard."""
        self.note(f"{node} has shard {shard}")
        self.chronicle.tenancies.setdefault(shard, []).append((node, tenancy))
        self._ask(invariants.one_unfenced_tenancy, shard)

    def unhosted(self, node: NodeId, tenancy: Tenancy, shard: ShardId) -> None:
        """See a node leave a shard, in order or by its death."""
        self.note(f"{node} is done with shard {shard}")
        held = self.chronicle.tenancies[shard]
        self.chronicle.tenancies[shard] = [one for one in held if one[1] is not tenancy]

    def excused(self, node: NodeId) -> None:
        """Count what a node holds no more: it is dead, or its session with the leases is."""
        for shard, holders in self.chronicle.tenancies.items():
            kept = [holder for holder in holders if holder[0] != node]
            self.chronicle.tenancies[shard] = kept

    def look_back(self) -> None:
        """Hold everything that was ever accepted against what stands in the end."""
        for said in self.chronicle.accepted:
            self._ask(invariants.accepted_is_committed, said)

    def ended(self, found: Iterable[tuple[str, str]]) -> None:
        """Take what a last look found, as (sentence, seen)."""
        for claim, seen in found:
            self._break(claim, seen)

    def _ask[**P](self, invariant: Callable[..., Findings], *seen: object) -> None:
        self.steps += 1
        for finding in invariant(self.chronicle, *seen):
            self._break(sentence(invariant), finding)

    def _break(self, claim: str, seen: str) -> None:
        if self.broken is None:
            self.broken = Broken(invariant=claim, seen=seen, at_s=self.at_s)
            self.note(f"BROKEN: {claim}: {seen}")
            self.is_over.set()


def _told(applied: Applied) -> str:
    batch = applied.batch
    names = " ".join(f"{row.kind}:{row.key}" for row in batch.checkpoints)
    outbox = " ".join(f"+{row.sequence}>{row.kind}:{row.key}" for row in batch.outbox)
    handled = " ".join(f"-{sequence}" for sequence in batch.handled)
    marks = " ".join(f"*{mark.source}/{mark.sequence}" for mark in batch.marks)
    said = " ".join(filter(None, (names, outbox, handled, marks)))
    return f"commits {batch.shard}/{batch.epoch}/{batch.number}: {said}"
