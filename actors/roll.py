"""Who of a shard's actors is in memory, who is being read from the journal, who is parked.

An actor of a durable kind that is not in memory may exist in the journal, so the first message for
it always looks there: a late duplicate finds the finished order and does not make a new one.
Actors leave memory when they have finished, and when nobody visited them for long; both come back
on the next message. The roll moves rows; it handles no message.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from actors.kind import AnyKind
from actors.ports import Directory
from actors.row import Row
from dispatch.ids import Instant, ShardId


class Roll:
    """The rows of a shard by kind and key.

    `rows` has the actors that are in memory or on their way into it, `wanted` those that the
    journal has still to be asked for, `parked` those that are kept from running.
    """

    __slots__ = ("_directory", "_is_swept", "_kinds", "_ring", "_shard", "parked", "rows", "wanted")

    def __init__(
        self,
        kinds: Iterable[AnyKind],
        shard: ShardId,
        directory: Directory | None,
        *,
        is_swept: bool,
    ) -> None:
        self._is_swept = is_swept
        self._kinds = {kind.name: kind for kind in kinds}
        self._shard = shard
        self._directory = directory
        self._ring: deque[Row] = deque()
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in self._kinds}
        self.wanted: deque[Row] = deque()
        self.parked: dict[tuple[str, str], Row] = {}

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    @property
    def has_ring(self) -> bool:
        """Tell whether there is anybody who may become idle."""
        return bool(self._ring)

    def is_here(self, kind: str, key: str) -> bool:
        """Tell whether the actor lives in this shard."""
        return self._directory is None or self._directory.home(kind, key) == self._shard

    def has(self, row: Row) -> bool:
        """Tell whether the row is its actor's present one."""
        return self.rows[row.kind.name].get(row.key) is row

    def summon(self, kind: str, key: str, now: Instant) -> Row | None:
        """Make a row for an actor that has none; None when it is parked or lives elsewhere."""
        if (kind, key) in self.parked or not self.is_here(kind, key):
            return None
        row = self.add(kind, key, None, now)
        if row.kind.is_durable:
            row.inbox = deque()
            self.wanted.append(row)
        return row

    def add(self, kind: str, key: str, state: object, now: Instant) -> Row:
        """Put an actor into memory as it is."""
        return self._enrol(Row(self._kinds[kind], key, state, now))

    def drop(self, row: Row) -> None:
        """Take an actor out of memory."""
        del self.rows[row.kind.name][row.key]

    def take_wanted(self, count_max: int) -> list[Row]:
        """Return the rows to read from the journal next; each is returned once."""
        return [self.wanted.popleft() for _ in range(min(count_max, len(self.wanted)))]

    def park(self, row: Row) -> None:
        """Keep the actor from running, with its state."""
        self.drop(row)
        self.parked[row.kind.name, row.key] = row

    def find_unparked(self, kind: str, key: str) -> Row | None:
        """Bring a parked actor back, and return it if it was parked."""
        row = self.parked.pop((kind, key), None)
        return row if row is None else self._enrol(row)

    def states(self, kind: str) -> Iterator[tuple[str, object]]:
        """Iterate over the keys and states of a kind's actors in memory, parked ones left out."""
        for key, row in self.rows[kind].items():
            if row.state is not None:
                yield key, row.state

    def sweep(self, idle_since: Instant, committed: int, share: float) -> int:
        """Drop those of a share of the actors that nobody visited since; return how many.

        An actor whose last change is not committed stays, because the journal does not know it, and
        so does one whose kind says that it may not rest in its present state.
        """
        before = len(self)
        for _ in range(min(len(self._ring), 64 + int(len(self._ring) * share))):
            row = self._ring.popleft()
            if not self.has(row):
                continue
            if row.visited_at <= idle_since and _may_leave(row, committed):
                self.drop(row)
            else:
                self._ring.append(row)
        return before - len(self)

    def _enrol(self, row: Row) -> Row:
        self.rows[row.kind.name][row.key] = row
        if row.kind.is_durable and self._is_swept:
            self._ring.append(row)
        return row


def _may_leave(row: Row, committed: int) -> bool:
    if row.inbox is not None or row.changed_in > committed:
        return False
    return row.state is None or row.kind.may_rest(row.state)
