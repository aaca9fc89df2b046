"""Everything that was committed, said and heard in a run, as an all-seeing witness keeps it.

Nothing is judged here: `simulations.faults.invariants` holds against each other what this keeps. It
is fed with batches as their nodes sent them, at the moment at which the store wrote them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec import Struct

from dispatch.courier import Courier
from dispatch.ids import CourierId, OfferId, OrderId, ShardId
from dispatch.journal import Batch, Committed, FactRow, InboxMark, OutboxRow
from dispatch.lease import NodeId
from dispatch.offer import Offer, Stage
from dispatch.order import Order
from dispatch.order_state import Fact, OrderMoved
from dispatch.restaurant import Restaurant
from dispatch.step import Accepted
from simulations.faults.purse import Minted, Purse, Receive

type Name = tuple[ShardId, str, str]
"""An actor: its shard, kind and key."""
type State = Order | Courier | Offer | Restaurant | Purse
type Sent = tuple[ShardId, int]
"""A row of an outbox: its shard and sequence."""

_STATES = {
    "order": msgspec.msgpack.Decoder(Order),
    "courier": msgspec.msgpack.Decoder(Courier),
    "offer": msgspec.msgpack.Decoder(Offer),
    "restaurant": msgspec.msgpack.Decoder(Restaurant),
    "purse": msgspec.msgpack.Decoder(Purse),
}
_ORDER_FACTS = msgspec.msgpack.Decoder(Fact)
_MINTED = msgspec.msgpack.Decoder(Minted)
_RECEIVED = msgspec.msgpack.Decoder(Receive)


class Change(Struct, frozen=True, kw_only=True):
    """An actor before and after a batch, with the facts of the batch about it."""

    name: Name
    before: State | None
    after: State
    facts: tuple[OrderMoved, ...] = ()


class Applied(Struct, frozen=True, kw_only=True):
    """A batch that was written: what it changed, and the numbers that the store gave."""

    batch: Batch
    committed: Committed
    changes: tuple[Change, ...]

    def of[S: State](self, kind: type[S]) -> Iterator[tuple[Name, S]]:
        """Iterate over the changed actors of one kind."""
        for change in self.changes:
            if isinstance(change.after, kind):
                yield change.name, change.after


class Said(Struct, frozen=True, kw_only=True):
    """What a node answered to a client, as it left the node."""

    shard: ShardId
    kind: str
    key: str
    message: Struct
    answer: Struct

    @property
    def is_accepted(self) -> bool:
        """Tell whether the client was told that it was done."""
        return isinstance(self.answer, Accepted)


class Tenancy(Protocol):
    """A node's present right to a shard."""

    def check(self) -> None:
        """Raise `LeaseLost` once the right is over."""
        ...


@dataclass(slots=True)
class Chronicle:
    """What is known of a run so far; the names say of what."""

    states: dict[Name, State] = field(default_factory=dict[Name, State])
    epochs: dict[ShardId, int] = field(default_factory=dict[ShardId, int])
    moved: dict[Name, OrderMoved] = field(default_factory=dict[Name, OrderMoved])
    """The last fact of each order."""
    bags: dict[OrderId, CourierId] = field(default_factory=dict[OrderId, CourierId])
    """Who has ever had an order in his bag."""
    feeds: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    accepted: list[Said] = field(default_factory=list[Said])
    marks: Counter[tuple[ShardId, InboxMark]] = field(
        default_factory=Counter[tuple[ShardId, InboxMark]]
    )
    outbox: dict[Sent, OutboxRow] = field(default_factory=dict[Sent, OutboxRow])
    """Rows that nobody has handled as yet, here or in their target."""
    minted: int = 0
    held: int = 0
    """Tokens in purses."""
    under_way: dict[Sent, int] = field(default_factory=dict[Sent, int])
    """Tokens in rows of `outbox`."""
    tenancies: dict[ShardId, list[tuple[NodeId, Tenancy]]] = field(
        default_factory=dict[ShardId, list[tuple[NodeId, Tenancy]]]
    )

    def find[S: State](self, kind: type[S], name: Name) -> S | None:
        """Return what was last committed of an actor."""
        state = self.states.get(name)
        return state if isinstance(state, kind) else None

    def every[S: State](self, kind: type[S]) -> Iterator[tuple[Name, S]]:
        """Iterate over all actors of a kind as last committed."""
        for name, state in self.states.items():
            if isinstance(state, kind):
                yield name, state

    def find_open_offer(
        self, shard: ShardId, order_id: OrderId, besides: OfferId
    ) -> OfferId | None:
        """Return an open offer of this order in the shard, other than one, if there is any."""
        for name, offer in self.every(Offer):
            is_rival = name[0] == shard and offer.stage is Stage.OPEN and offer.offer_id != besides
            if is_rival and any(task.order_id == order_id for task in offer.tasks):
                return offer.offer_id
        return None

    def read(self, batch: Batch, committed: Committed) -> Applied:
        """Return what a batch that was just written changes, before any of it is entered."""
        facts = _moves(batch)
        changes = [
            Change(name=name, before=self.states.get(name), after=after, facts=facts.get(name, ()))
            for name, after in _states(batch)
        ]
        return Applied(batch=batch, committed=committed, changes=tuple(changes))

    def enter(self, applied: Applied) -> None:
        """Take note of what a batch changed."""
        for change in applied.changes:
            self._enter_state(change)
        batch = applied.batch
        self._enter_rows(batch)
        self._enter_marks(batch)
        self.minted += sum(fact.tokens for fact in _mints(batch.facts))
        for row in batch.feed:
            self.feeds.setdefault(row.person, []).append(row.message)

    def _enter_state(self, change: Change) -> None:
        self.states[change.name] = change.after
        if change.facts:
            self.moved[change.name] = change.facts[-1]
        if isinstance(change.after, Purse):
            was = change.before.tokens if isinstance(change.before, Purse) else 0
            self.held += change.after.tokens - was

    def _enter_rows(self, batch: Batch) -> None:
        for row in batch.outbox:
            sent = (batch.shard, row.sequence)
            self.outbox[sent] = row
            if row.kind == "purse":
                self.under_way[sent] = _RECEIVED.decode(row.message).tokens
        for sequence in batch.handled:
            self.under_way.pop((batch.shard, sequence), None)
            self.outbox.pop((batch.shard, sequence), None)

    def _enter_marks(self, batch: Batch) -> None:
        for mark in batch.marks:
            self.marks[batch.shard, mark] += 1
            self.under_way.pop((mark.source, mark.sequence), None)


def _states(batch: Batch) -> Iterator[tuple[Name, State]]:
    for checkpoint in batch.checkpoints:
        decoder = _STATES.get(checkpoint.kind)
        if decoder is not None:
            name = (batch.shard, checkpoint.kind, checkpoint.key)
            yield name, decoder.decode(checkpoint.state)


def _moves(batch: Batch) -> Mapping[Name, tuple[OrderMoved, ...]]:
    found: dict[Name, tuple[OrderMoved, ...]] = {}
    for row in batch.facts:
        if row.kind == "order" and isinstance(fact := _ORDER_FACTS.decode(row.fact), OrderMoved):
            name = (batch.shard, row.kind, row.key)
            found[name] = (*found.get(name, ()), fact)
    return found


def _mints(facts: tuple[FactRow, ...]) -> Iterator[Minted]:
    return (_MINTED.decode(row.fact) for row in facts if row.kind == "purse")
