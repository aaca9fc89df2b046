"""An actor as the kernel keeps it: a row of seven slots.

A million idle actors are a million of these, so nothing is here that could be elsewhere. An inbox
that is empty is None, one waiting message is the message itself, and only more make a deque.
"""

from collections import deque

from msgspec import Struct

from actors.envelope import Envelope
from actors.kind import AnyKind
from dispatch.ids import Instant

type Mail = Struct | Envelope


class Row:
    """One actor in memory.

    An actor with an inbox is in the run queue or is waiting to be read from the journal, and never
    in both. `timer_at` is the alarm that counts of those set for it; `changed_in` is the serial of
    the last draft that holds its state.
    """

    __slots__ = ("changed_in", "inbox", "key", "kind", "state", "timer_at", "visited_at")

    def __init__(self, kind: AnyKind, key: str, state: object, now: Instant) -> None:
        self.kind = kind
        self.key = key
        self.state = state
        self.inbox: Struct | deque[Mail] | None = None
        self.timer_at: Instant | None = None
        self.visited_at = now
        self.changed_in = 0


def mail_count(row: Row) -> int:
    """Return how many messages wait for the actor."""
    inbox = row.inbox
    if inbox is None:
        return 0
    return len(inbox) if isinstance(inbox, deque) else 1
