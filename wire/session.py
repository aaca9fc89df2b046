"""One session on a public socket, as far as both sockets are alike: frames, beats and time.

A `Session` is fed what the socket brought and is looked at now and then, and says what follows: a
frame to act on, a beat to send, or that it has `Ended`, and by which close code. It is waiting for
a Hello, or open, or over; after the end it hears nothing any more. Nothing here sends, waits or
reads a clock, and nothing that a client can send raises.

It ends a client that sends what cannot be read (4400), says Hello late or twice (4408, 4400), is
silent for too long (4408), sends more frames than anybody needs to (4429), or whose token has
expired (4401); and one that we could not get to know in time, which is our own fault (1013).
"""

from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from dispatch.ids import Instant, after
from dispatch.step import Code
from wire.frames import (
    BEAT_S,
    OFFLINE_S,
    Beat,
    CloseCode,
    CourierFrame,
    Hello,
    Notation,
    Problem,
    ServerFrame,
    StreamFrame,
)

DETAIL_CHARS_MAX = 200
ECHO_S = 1.0
"""A beat is answered unless something was said so lately, so that two who answer never chatter."""


class Terms(Struct, frozen=True, kw_only=True):
    """How long a session waits, and how much it takes."""

    hello_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """Time for the client to say who it is, and for us to find out whether that is so."""
    beat_s: Annotated[float, Meta(gt=0, le=60)] = BEAT_S
    """Silence of ours after which we send a beat."""
    offline_s: Annotated[float, Meta(gt=0, le=600)] = OFFLINE_S
    """Silence of the client after which it is taken for gone."""
    frames_per_s: Annotated[int, Meta(ge=1, le=1_000)] = 20
    """Frames that a client may send in the long run."""
    burst_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """How many seconds' worth of frames may come at once: what a phone kept while cut off."""


TERMS = Terms()


class Stage(IntEnum):
    """How far a session has come."""

    WAITING = 0
    GREETED = 1
    OPEN = 2
    OVER = 3


class Ended(Struct, frozen=True):
    """The session is over: tell the client the problem, if there is one, and close."""

    code: CloseCode
    problem: Problem | None = None


class Dialect[F]:
    """How frames of one socket are read and written in one notation; shared by its sessions."""

    __slots__ = ("_decode", "_encode", "beat", "is_text", "notation")

    def __init__(self, notation: Notation, frames: object) -> None:
        """Read `frames`, a union of frames, and write whatever a server says."""
        self.notation: Final = notation
        self.is_text: Final = notation is Notation.JSON
        format_ = msgspec.json if self.is_text else msgspec.msgpack
        self._decode = format_.Decoder(frames).decode
        self._encode = format_.Encoder().encode
        self.beat: Final = self._encode(Beat())

    def read(self, payload: bytes) -> F | Problem:
        """Return the frame, or what is wrong with it."""
        try:
            return self._decode(payload)
        except RecursionError:
            return Problem(code=Code.MALFORMED, detail="nested too deeply")
        except UnicodeDecodeError:
            return Problem(code=Code.MALFORMED, detail="its text is not UTF-8")
        except msgspec.DecodeError as error:
            return Problem(code=Code.MALFORMED, detail=str(error)[:DETAIL_CHARS_MAX])

    def write(self, frame: ServerFrame) -> bytes:
        """Return the bytes of a frame."""
        return self._encode(frame)


COURIER_DIALECTS = {one: Dialect[CourierFrame](one, CourierFrame) for one in Notation}
STREAM_DIALECTS = {one: Dialect[StreamFrame](one, StreamFrame) for one in Notation}


def find_notation(subprotocol: str | None) -> Notation | None:
    """Return how a socket with this subprotocol is written, None for one that is not ours."""
    if not subprotocol:
        return Notation.MSGPACK
    return Notation(subprotocol) if subprotocol in Notation else None


_UNREADABLE = "this session speaks {}: send {} messages"


class Session[F]:
    """One session. `F` are the frames of its socket."""

    __slots__ = (
        "_dialect",
        "_expires_at",
        "_heard_at",
        "_paid_until",
        "_said_at",
        "_stage",
        "_terms",
    )

    def __init__(self, dialect: Dialect[F], now: Instant, terms: Terms = TERMS) -> None:
        """Begin to wait for a Hello."""
        self._dialect = dialect
        self._terms = terms
        self._stage = Stage.WAITING
        self._heard_at = self._said_at = self._paid_until = now
        self._expires_at = 0

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        return self._stage

    def received(self, payload: bytes, is_text: bool, now: Instant) -> F | Ended | None:  # noqa: FBT001 - as the socket tells it.
        """Return what the client said: a frame to act on, the end, or None where nothing follows.

        A `Beat` is to be answered by one.
        """
        if self._stage is Stage.OVER:
            return None
        self._heard_at = now
        if not self._is_paid(now):
            problem = Problem(code=Code.RATE_LIMITED, detail="too many frames a second")
            return self.end(CloseCode.TOO_MANY, problem)
        if is_text is not self._dialect.is_text:
            return self._mistaken()
        frame = self._dialect.read(payload)
        if isinstance(frame, Problem):
            return self.end(CloseCode.MALFORMED, frame)
        is_answered = isinstance(frame, Beat) and now < after(self._said_at, ECHO_S)
        return None if is_answered and self._stage is not Stage.WAITING else self._in_turn(frame)

    def admit(self, expires_at: Instant, now: Instant) -> None:
        """Open the session of a client that is known; `expires_at` 0 is never."""
        assert self._stage is Stage.GREETED, self._stage
        self._stage = Stage.OPEN
        self._expires_at = expires_at
        self._said_at = now

    def look(self, now: Instant) -> Ended | Beat | None:
        """Return what the passing of time brings: the end, a beat to send, or nothing."""
        if self._stage is Stage.OVER:
            return None
        if self._is_out_of_time(now):
            is_ours = self._stage is Stage.GREETED
            return self.end(CloseCode.OVERLOADED if is_ours else CloseCode.SILENT)
        if self._expires_at and now >= self._expires_at:
            problem = Problem(code=Code.UNAUTHENTICATED, detail="the token has expired: renew it")
            return self.end(CloseCode.UNAUTHENTICATED, problem)
        is_silent = now >= after(self._said_at, self._terms.beat_s)
        return Beat() if is_silent and self._stage is Stage.OPEN else None

    def said(self, now: Instant) -> None:
        """Note that something was sent."""
        self._said_at = now

    def end(self, code: CloseCode, problem: Problem | None = None) -> Ended:
        """End the session, for a reason of its own or of its owner's."""
        self._stage = Stage.OVER
        return Ended(code, problem)

    def _in_turn(self, frame: F) -> F | Ended:
        """Let a Hello come first, and once."""
        is_first = self._stage is Stage.WAITING
        if isinstance(frame, Hello) is not is_first:
            told = "a hello comes first" if is_first else "a hello comes once"
            return self.end(CloseCode.MALFORMED, Problem(code=Code.MALFORMED, detail=told))
        if is_first:
            self._stage = Stage.GREETED
        return frame

    def _mistaken(self) -> Ended:
        is_text = self._dialect.is_text
        told = _UNREADABLE.format(*(("JSON", "text") if is_text else ("msgpack", "binary")))
        return self.end(CloseCode.UNSUPPORTED, Problem(code=Code.UNSUPPORTED_MEDIA, detail=told))

    def _is_paid(self, now: Instant) -> bool:
        """Pay for a frame: each takes a share of a second, on credit up to the burst."""
        terms = self._terms
        paid_until = max(self._paid_until, now) + 1_000 // terms.frames_per_s
        self._paid_until = Instant(paid_until)
        return paid_until <= after(now, terms.burst_s)

    def _is_out_of_time(self, now: Instant) -> bool:
        if self._stage is Stage.OPEN:
            return now >= after(self._heard_at, self._terms.offline_s)
        return now >= after(self._said_at, self._terms.hello_s)  # Nothing is said before that.
