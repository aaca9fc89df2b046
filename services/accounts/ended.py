"""Which sessions ended lately: their access tokens are refused though they would still hold.

An entry is kept for as long as a token can outlive its session; there is room for so many, and the
oldest, whose tokens run out first, makes it.
"""

from collections import OrderedDict
from collections.abc import Iterable

from dispatch.ids import Instant, after
from wire.accounts import EndedRow


class Ended:
    """The sessions, clients and keys that ended lately."""

    def __init__(self, kept_s: float, entries_max: int) -> None:
        self._kept_s = kept_s
        self._entries_max = entries_max
        self._until: OrderedDict[str, Instant] = OrderedDict()

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._until

    def __len__(self) -> int:
        return len(self._until)

    def note(self, rows: Iterable[EndedRow], now: Instant) -> None:
        """Refuse these from now on, and forget what can be forgotten."""
        for row in sorted(rows, key=lambda row: row.ended_at):
            self._until.setdefault(row.session_id, after(row.ended_at, self._kept_s))
        while self._until and self._is_dispensable(now):
            self._until.popitem(last=False)

    def _is_dispensable(self, now: Instant) -> bool:
        """Tell whether the oldest entry can go."""
        is_over = next(iter(self._until.values())) <= now
        return is_over or len(self._until) > self._entries_max
