"""Tells on their way out of the shard, and the marks of those that came in.

A row stays in the outbox until whoever it was for has settled it, and may be sent more than once
until then. The other side remembers a mark for each row it handled, and forgets those below the
floor: the lowest sequence that the source still holds for it, which travels with every parcel.
Messages between two actors keep their order, so a shard takes a row only after those before it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from dispatch.ids import Instant, ShardId, elapsed_s
from dispatch.journal import InboxMark, OutboxRow

NEVER = Instant(0)


class Leaving(Struct, frozen=True):
    """A row on its way to a shard, and the unsettled row for that shard before it, 0 if none."""

    row: OutboxRow
    target: ShardId
    previous: int


class Outbox:
    """The committed rows of a shard that nobody has settled yet, in rising sequence by target.

    A target is a shard, or None for the services.
    """

    __slots__ = ("_sent_at", "_targets", "_unsettled")

    def __init__(self) -> None:
        self._unsettled: dict[int, ShardId | None] = {}
        self._targets: dict[ShardId | None, OrderedDict[int, OutboxRow]] = {}
        self._sent_at: dict[ShardId, Instant] = {}

    def __len__(self) -> int:
        return len(self._unsettled)

    def add(self, row: OutboxRow, target: ShardId | None) -> None:
        """Hold a row until it is settled."""
        self._unsettled[row.sequence] = target
        self._targets.setdefault(target, OrderedDict())[row.sequence] = row

    def leaving(self, row: OutboxRow, target: ShardId, now: Instant) -> Leaving:
        """Return the newest row of a shard as it is sent for the first time."""
        rows = self._targets[target]
        previous = next(islice(reversed(rows), 1, None), 0)
        if not previous:
            self._sent_at[target] = now
        return Leaving(row, target, previous)

    def settle(self, sequence: int, now: Instant) -> bool:
        """Forget a row, which shows that its target is there; False when it was settled before."""
        if sequence not in self._unsettled:
            return False
        target = self._unsettled.pop(sequence)
        del self._targets[target][sequence]
        if target is not None:
            self._sent_at[target] = now
        return True

    def floor(self, target: ShardId) -> int:
        """Return the lowest sequence held for the shard; it holds one whenever this is asked."""
        return next(iter(self._targets[target]))

    def services(self) -> list[OutboxRow]:
        """Return the rows that services have not answered."""
        return list(self._targets[None].values()) if None in self._targets else []

    def late(self, now: Instant, resend_s: float, count_max: int) -> list[Leaving]:
        """Return what to send again: each shard's first rows, when nothing moved for `resend_s`.

        They go from the first unsettled one on, since the shard takes none before those it lacks.
        """
        late: list[Leaving] = []
        for target, rows in self._targets.items():
            if target is None or elapsed_s(self._sent_at.get(target, NEVER), now) < resend_s:
                continue
            self._sent_at[target] = now
            previous = 0
            for row in islice(rows.values(), count_max):
                late.append(Leaving(row, target, previous))
                previous = row.sequence
        return late


class Marks:
    """Which rows of other shards have come in: below a source's floor all of them have."""

    __slots__ = ("_floors", "_is_committed")

    def __init__(self, marks: Iterable[InboxMark], floors: Iterable[InboxMark]) -> None:
        self._floors = {floor.source: floor.sequence for floor in floors}
        self._is_committed: dict[ShardId, dict[int, bool]] = {}
        for mark in marks:
            self.commit(mark)

    def has(self, source: ShardId, sequence: int) -> bool:
        """Tell whether the row has come in, committed or not."""
        is_below = sequence < self._floors.get(source, 0)
        return is_below or sequence in self._is_committed.get(source, ())

    def is_committed(self, source: ShardId, sequence: int) -> bool:
        """Tell whether what the row brought is in the journal, so that the source may forget it."""
        if sequence < self._floors.get(source, 0):
            return True
        return self._is_committed.get(source, {}).get(sequence, False)

    def add(self, mark: InboxMark) -> None:
        """Remember a row that waits in an inbox now."""
        self._is_committed.setdefault(mark.source, {})[mark.sequence] = False

    def commit(self, mark: InboxMark) -> None:
        """Remember a row whose handling is in the journal."""
        self._is_committed.setdefault(mark.source, {})[mark.sequence] = True

    def raise_floor(self, source: ShardId, floor: int) -> bool:
        """Forget the marks below the floor; True when there were any."""
        if floor <= self._floors.get(source, 0):
            return False
        self._floors[source] = floor
        marks = self._is_committed.get(source, {})
        settled = [sequence for sequence in marks if sequence < floor]
        for sequence in settled:
            del marks[sequence]
        return bool(settled)
