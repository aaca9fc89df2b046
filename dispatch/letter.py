"""Dead letters as operations see them: what failed, why, and what came of replaying it.

The journal writes them (`dispatch.journal.DeadLetter`) and gives each a number. An operator may ask
for one to be replayed; the owner of its shard does that, and says in a word what came of it.
"""

from msgspec import Struct

from dispatch.ids import Instant, ShardId


class LettersUnreachable(Exception):
    """The store of the letters did not answer; what was asked may or may not have been done."""


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter that is kept. The message is its bytes, as its kind reads them."""

    id: int
    shard: ShardId
    kind: str
    key: str
    message: bytes
    error: str
    at: Instant
    replay_requested_at: Instant | None = None
    replayed_at: Instant | None = None
    replay_outcome: str | None = None
