"""The claims on service work in memory: for simulations, and for a node that is alone.

It behaves as the table in Postgres does; time is the clock that it is handed.
"""

from collections.abc import Callable

import trio
from msgspec import Struct

from dispatch.claim import Busy, Taken, WorkId
from dispatch.lease import NodeId


class _Row(Struct):
    """A claim: how often the work was tried, who has it until then, or when it is due again."""

    attempts: int = 0
    node: NodeId | None = None
    due_at_s: float = 0.0
    last_error: str = ""


class MemoryClaims:
    """The claims of all nodes; fits `node.ports.Claims`."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """Count time by `clock_s`."""
        self._clock_s = clock_s
        self._rows: dict[WorkId, _Row] = {}

    async def claim(self, work: WorkId, node: NodeId, hold_s: float) -> Taken | Busy:
        """Take the work for `hold_s`, if it is due and nobody else has it."""
        await trio.lowlevel.checkpoint()
        now_s, row = self._clock_s(), self._rows.setdefault(work, _Row())
        if row.due_at_s > now_s:
            return Busy(row.due_at_s - now_s)
        row.attempts += 1
        row.node, row.due_at_s = node, now_s + hold_s
        return Taken(row.attempts)

    async def put_off(self, work: WorkId, node: NodeId, due_s: float, error: str) -> None:
        """Let go of the work, which is due again in `due_s`; nothing if another has it now."""
        await trio.lowlevel.checkpoint()
        row = self._rows.get(work)
        if row is not None and row.node == node:
            row.node, row.due_at_s, row.last_error = None, self._clock_s() + due_s, error

    async def settle(self, work: WorkId, node: NodeId) -> None:
        """Forget the work, which is done with; nothing if another has it now."""
        await trio.lowlevel.checkpoint()
        row = self._rows.get(work)
        if row is not None and row.node == node:
            del self._rows[work]

    async def prune(self, age_s: float) -> int:
        """Forget claims that were due so long ago; return how many there were."""
        await trio.lowlevel.checkpoint()
        before_s = self._clock_s() - age_s
        old = [work for work, row in self._rows.items() if row.due_at_s < before_s]
        for work in old:
            del self._rows[work]
        return len(old)

    def count(self) -> int:
        """Return how many claims there are."""
        return len(self._rows)
