"""What a machine hands back: its next state, and what it wants done.

A machine is `step(state, message, now, policy) -> Step` and `wakes_at(state) -> Instant | None`. An
actor that nobody has spoken to yet has the state `None`. The effects are a closed union of three:
`Record` a fact in the journal, `Tell` somebody something, `Reply` to whoever asked. All three leave
the shard only after the state they belong to has been committed.

Whose fault an error is decides its form: what a peer can cause is the value `Refused`, what an
operator can mend is a named exception, what only we can cause is an `assert`.
"""

from enum import StrEnum

from msgspec import Struct

from dispatch.ids import ShardId


class Code(StrEnum):
    """Every refusal a peer can be given. Values are wire names and never change."""

    NOT_FOUND = "not-found"
    NOT_LEGAL_NOW = "not-legal-now"
    ALREADY_EXISTS = "already-exists"
    NOT_YOURS = "not-yours"
    STALE_VERSION = "stale-version"
    OVERLOADED = "overloaded"
    PARKED = "parked"
    OFFER_CLOSED = "offer-closed"
    OFFER_LAPSED = "offer-lapsed"
    NOT_CANCELABLE = "not-cancelable"
    RESTAURANT_CLOSED = "restaurant-closed"
    RESTAURANT_PAUSED = "restaurant-paused"
    KITCHEN_FULL = "kitchen-full"
    SOLD_OUT = "sold-out"
    ZONE_PAUSED = "zone-paused"
    COURIER_UNAVAILABLE = "courier-unavailable"
    LOAD_EXCEEDED = "load-exceeded"
    NOT_AT_STOP = "not-at-stop"
    MOVED = "moved"
    INVALID = "invalid"
    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_ACCEPTABLE = "not-acceptable"
    STALE_ETAG = "stale-etag"
    CURSOR_GONE = "cursor-gone"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA = "unsupported-media"
    KEY_REUSED = "key-reused"
    KEY_PENDING = "key-pending"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


class Record(Struct, frozen=True, gc=False):
    """Write this fact to the journal, in order, in the same commit as the state.

    It is filed under the kind and key of whoever records it, or of whom it is `about`.
    """

    fact: Struct
    about: tuple[str, str] | None = None


class Tell(Struct, frozen=True, gc=False):
    """Send a message to the actor `kind`/`key`, to a person's feed, or to a service.

    The kinds `feed` (key: the person's id) and `service:NAME` are not actors: a feed message is
    numbered and kept for the person, a service's work is claimed by its worker.
    """

    kind: str
    key: str
    message: Struct


class TellAcross(Tell, frozen=True, gc=False):
    """Tell the actor of that name in another shard, though there may be one here too.

    Everybody else lives where his shard is and is told by name; who moves is told there.
    """

    shard: ShardId


class Reply(Struct, frozen=True, gc=False):
    """Answer whoever asked. Without an asker it goes nowhere; at most one per message."""

    answer: Struct


type Effect = Record | Tell | Reply


class Step[S](Struct, frozen=True, gc=False):
    """The state after a message, and the effects in the order in which they are to happen."""

    state: S
    effects: tuple[Effect, ...] = ()


class Wake(Struct, frozen=True, tag="wake"):
    """The deadline that `wakes_at` named has come. May come late, twice, or after it moved."""


class Accepted(Struct, frozen=True, tag="accepted"):
    """The answer to a message that did what it asked, now or when it came the first time."""


class Refused(Struct, frozen=True, tag="refused"):
    """The answer to a message that changed nothing, and why."""

    code: Code
    detail: str = ""


def refuse[S](state: S, code: Code, detail: str = "") -> Step[S]:
    """Return a step that leaves `state` as it is and tells the asker why."""
    return Step(state, (Reply(Refused(code, detail)),))
