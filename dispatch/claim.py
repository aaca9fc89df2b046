"""Who does which piece of service work: the rows by which nodes keep out of each other's way.

A piece of work is a row of a shard's outbox. The node that does it holds a claim, for longer than
the work may take; a node that died lets the claim run out. An attempt that failed says when the
next one is due, whoever makes it then. Attempts are counted in the row, so that work which takes
its node down with it comes to an end too.
"""

from msgspec import Struct

from dispatch.ids import ShardId


class ClaimsUnreachable(Exception):
    """The store of the claims did not answer; what was asked may or may not have been done."""


class WorkId(Struct, frozen=True):
    """A row of the outbox of a shard, by which a piece of service work is known for ever."""

    shard: ShardId
    sequence: int

    @property
    def idempotency_key(self) -> str:
        """Return the name under which every attempt is made, so that only one can count."""
        return f"{self.shard}-{self.sequence}"


class Taken(Struct, frozen=True):
    """The work is claimed: this is its `attempt`, counted from 1."""

    attempt: int


class Busy(Struct, frozen=True):
    """Another has the work, or it is not due yet, for `left_s` more seconds."""

    left_s: float
