"""Turns effects into the rows of a batch, and finds out whom a tell is for.

Writing comes before applying: a fact that cannot be encoded, or a tell to nobody, fails the handler
while nothing of its step has happened yet.
"""

from collections import deque

from msgspec import Struct

from actors.codec import encode, salvaged
from actors.envelope import Envelope
from actors.roll import Roll
from actors.row import Mail, Row
from dispatch.ids import Instant, ShardId
from dispatch.journal import DeadLetter, FactRow, FeedRow, OutboxRow
from dispatch.step import Record, Reply, Tell, TellAcross, Wake

FEED = "feed"
SERVICE = "service:"
EPOCH_BITS = 32
"""The sequences of an epoch start here, so that they rise over recoveries without being stored."""

type Writing = FactRow | FeedRow | OutboxRow | DeadLetter | Reply


class Writer:
    """Writes the rows of one shard's life, and numbers those of its outbox."""

    __slots__ = ("_has_services", "_roll", "_sequence")

    def __init__(self, roll: Roll, epoch: int, *, has_services: bool) -> None:
        self._roll = roll
        self._sequence = epoch << EPOCH_BITS
        self._has_services = has_services

    def written(self, row: Row, effect: Record | Reply | TellAcross) -> FactRow | OutboxRow | Reply:
        """Return what becomes of an effect of `row` that concerns no actor of this shard."""
        if isinstance(effect, Reply):
            return effect
        if isinstance(effect, TellAcross):
            return self._row(effect.kind, effect.key, effect.message, effect.shard)
        kind, key = effect.about or (row.kind.name, row.key)
        return FactRow(kind, key, encode(effect.fact))

    def told(self, tell: Tell, now: Instant) -> Row | FeedRow | OutboxRow | DeadLetter:
        """Return whom a tell is for when it stays in the shard, else what is written of it."""
        kind, key = tell.kind, tell.key
        rows = self._roll.rows.get(kind)
        if rows is not None:
            return rows.get(key) or self._roll.summon(kind, key, now) or self._sent_off(tell)
        if kind == FEED:
            return FeedRow(key, encode(tell.message))
        if kind.startswith(SERVICE) and self._has_services:
            return self._row(kind, key, tell.message)
        raise LookupError(f"nobody here is a {kind!r}, so {key!r} cannot be told anything")

    def work(self, kind: str, key: str, message: bytes) -> OutboxRow:
        """Return a fresh row for a service, of a message that is written already."""
        assert kind.startswith(SERVICE), kind
        self._sequence += 1
        return OutboxRow(self._sequence, kind, key, message)

    def keep(self, row: Row, rows: list[OutboxRow]) -> None:
        """Add the row's waiting tells that no outbox has yet to `rows`, and remember that it has.

        Mail from the edge and alarms are left out: an asker asks again, a state keeps its deadline.
        """
        inbox = row.inbox
        if inbox is None:
            return
        if not isinstance(inbox, deque):
            inbox = row.inbox = deque[Mail]((inbox,))
        first = len(inbox)
        while first and not _is_kept(inbox[first - 1]):
            first -= 1
        for at in range(first, len(inbox)):
            inbox[at] = self._kept(row, inbox[at], rows)

    def _kept(self, row: Row, mail: Mail, rows: list[OutboxRow]) -> Mail:
        if isinstance(mail, Envelope):
            mail.is_kept = True
            return mail
        if isinstance(mail, Wake):
            return mail
        written = self._row(row.kind.name, row.key, mail)
        rows.append(written)
        return Envelope(mail, sequence=written.sequence, is_kept=True)

    def _sent_off(self, tell: Tell) -> OutboxRow | DeadLetter:
        if self._roll.is_here(tell.kind, tell.key):
            return DeadLetter(tell.kind, tell.key, salvaged(tell.message), "the actor is parked")
        return self._row(tell.kind, tell.key, tell.message)

    def _row(
        self, kind: str, key: str, message: Struct, target: ShardId | None = None
    ) -> OutboxRow:
        self._sequence += 1
        return OutboxRow(self._sequence, kind, key, encode(message), target)


def _is_kept(mail: Mail) -> bool:
    return isinstance(mail, Envelope) and mail.is_kept
