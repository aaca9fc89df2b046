"""The link between nodes, and from an edge to a node: its frames, and the proof of who speaks.

A frame is four bytes of length and as many bytes of msgpack. Both sides say `Hello` first; then the
side that dialled proves that it knows the cluster's secret, and only then does the other. A proof
covers both greetings and the side that gives it, so that none can be used again or turned round.
Whatever else comes in, or too much of anything, is `LinkBroken`, and the link is closed.

The link proves who speaks and hides nothing: it is for the network that the nodes share.
"""

import hmac
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, msgpack

from dispatch.ids import MarketId, ShardId
from dispatch.step import Accepted, Refused
from geo.ping import Track

VERSION = 1
LENGTH_BYTES = 4
FRAME_BYTES_MAX = 16 * 1024 * 1024
MESSAGE_BYTES_MAX = 1024 * 1024
"""Size of a message for an actor."""
GREETING_BYTES_MAX = 1024
"""Size of a frame as long as nothing is proven: a stranger gets no more memory than that."""
NONCE_BYTES = 32
SECRET_BYTES_MIN = 16
ASK_S_MAX = 120.0
TRACKS_MAX = 20_000

type Number = Annotated[int, Meta(ge=0)]
type Name = Annotated[str, Meta(max_length=256)]
type Address = Annotated[str, Meta(max_length=256)]
"""`host:port` of a node's link, empty where none is known."""
type Sentence = Annotated[str, Meta(max_length=4096)]


class LinkBroken(Exception):
    """The other side sent what cannot be understood, or could not prove itself; cut it off."""


class SecretTooShort(ValueError):
    """The cluster's secret is too short to prove anything."""


class Side(StrEnum):
    """Who of the two speaks: the one that dialled or the one that answered."""

    DIALLED = "dialled"
    ANSWERED = "answered"


class Hello(Struct, frozen=True, array_like=True, tag="hello"):
    """The first frame of each side. The nonce is fresh, so that an old proof proves nothing."""

    version: int
    node: Name
    nonce: Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]


class Proof(Struct, frozen=True, array_like=True, tag="proof"):
    """Shows that the sender knows the secret."""

    digest: Annotated[bytes, Meta(max_length=64)]


class Beat(Struct, frozen=True, array_like=True, tag="beat"):
    """Nothing to say, but still here."""


class Ask(Struct, frozen=True, array_like=True, tag="ask"):
    """A message for an actor, whose answer is waited for no longer than `timeout_s`."""

    number: Number
    shard: ShardId
    kind: Name
    key: Name
    message: Annotated[bytes, Meta(max_length=MESSAGE_BYTES_MAX)]
    timeout_s: Annotated[float, Meta(gt=0, le=ASK_S_MAX)]


class Gone(Struct, frozen=True, tag="gone"):
    """The shard is not open there; `address` is its owner's when that is known."""

    reason: Sentence
    address: Address = ""


class Failed(Struct, frozen=True, tag="failed"):
    """The actor's step failed, and its state is as it was before."""

    reason: Sentence


class Late(Struct, frozen=True, tag="late"):
    """No answer came within the time of the ask; whether the message counted is not known."""


type Outcome = Accepted | Refused | Gone | Failed | Late


class Answer(Struct, frozen=True, array_like=True, tag="answer"):
    """What became of the ask of that number."""

    number: Number
    outcome: Outcome


class Listen(Struct, frozen=True, array_like=True, tag="listen"):
    """Show the person's feed from the message after `after` on, under this listening's number."""

    listening: Number
    person: Name
    after: Number


class Unlisten(Struct, frozen=True, array_like=True, tag="unlisten"):
    """Show no more under that number; what is already on its way is of no interest."""

    listening: Number


class Shown(Struct, frozen=True, array_like=True, tag="shown"):
    """Message `number` of a feed that is listened to. Numbers come in order, none left out."""

    listening: Number
    number: Number
    message: bytes


class Where(Struct, frozen=True, array_like=True, tag="where"):
    """Asks who owns a shard, or the shard in which the market of that name is run."""

    number: Number
    place: ShardId | MarketId


class Owner(Struct, frozen=True, array_like=True, tag="owner"):
    """Where the shard is, as far as the node knows, and the addresses of all nodes alive."""

    number: Number
    shard: ShardId | None
    address: Address = ""
    peers: Annotated[tuple[Address, ...], Meta(max_length=10_000)] = ()


class Pinged(Struct, frozen=True, array_like=True, tag="pinged"):
    """Pings of couriers of a shard, whose sockets are elsewhere; nobody answers."""

    shard: ShardId
    tracks: Annotated[tuple[Track, ...], Meta(max_length=TRACKS_MAX)]


type Frame = (
    Hello | Proof | Beat | Ask | Answer | Listen | Unlisten | Shown | Where | Owner | Pinged
)

_encoder = msgpack.Encoder()
_decoder = msgpack.Decoder[Frame](Frame)


def framed(frame: Frame) -> bytes:
    """Return the bytes of a frame; raises ValueError for one that is larger than any may be."""
    body = _encoder.encode(frame)
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(body)} bytes is larger than {FRAME_BYTES_MAX}")
    return len(body).to_bytes(LENGTH_BYTES) + body


class FrameReader:
    """Turns bytes, however they were split, into the frames that were sent.

    `bytes_max` is small until the other side has proven itself.
    """

    __slots__ = ("_received", "bytes_max")

    def __init__(self, bytes_max: int = GREETING_BYTES_MAX) -> None:
        self._received = bytearray()
        self.bytes_max = bytes_max

    def feed(self, received: bytes | bytearray) -> None:
        """Take what came in."""
        self._received += received

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that are complete; raises LinkBroken at the first that is none."""
        start = 0
        try:
            while (end := self._end(start)) is not None:
                body, start = memoryview(self._received)[start + LENGTH_BYTES : end], end
                with body:
                    frame = _decoded(body)
                yield frame
        finally:
            del self._received[:start]

    def _end(self, start: int) -> int | None:
        """Return where the frame that begins at `start` ends, None while it is not all here."""
        after_length = start + LENGTH_BYTES
        if len(self._received) < after_length:
            return None
        length = int.from_bytes(self._received[start:after_length])
        if not 0 < length <= self.bytes_max:
            raise LinkBroken(f"a frame of {length} bytes; {self.bytes_max} are allowed here")
        end = after_length + length
        return end if end <= len(self._received) else None


def _decoded(body: memoryview) -> Frame:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkBroken(f"a frame that cannot be read: {error}") from error


def check_secret(secret: bytes) -> None:
    """Raise `SecretTooShort` for a secret that could be guessed."""
    if len(secret) < SECRET_BYTES_MIN:
        told = f"the cluster's secret has {len(secret)} bytes; give it {SECRET_BYTES_MIN} or more"
        raise SecretTooShort(told)


def check_greeting(theirs: Hello) -> None:
    """Raise `LinkBroken` when the other side speaks another version of the link."""
    if theirs.version != VERSION:
        told = f"{theirs.node} speaks version {theirs.version} of the link, not {VERSION}"
        raise LinkBroken(f"{told}; bring the nodes to one release")


def proof(secret: bytes, side: Side, dialled: Hello, answered: Hello) -> Proof:
    """Return what shows that `side` knows the secret, after these two greetings."""
    said = _encoder.encode((side, dialled, answered))
    return Proof(hmac.digest(secret, said, "sha256"))


def check_proof(secret: bytes, side: Side, dialled: Hello, answered: Hello, given: Proof) -> None:
    """Raise `LinkBroken` unless the proof is the one that `side` would give."""
    if not hmac.compare_digest(proof(secret, side, dialled, answered).digest, given.digest):
        told = dialled if side is Side.DIALLED else answered
        raise LinkBroken(f"{told.node} does not know the secret of this cluster")
