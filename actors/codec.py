"""The one place where states and messages become bytes and come back.

Bytes are msgpack. What is read back is validated against the types that the kind names, so that a
checkpoint of another version or a foreign row is an error here and not a riddle in a machine.
"""

from msgspec import Struct, msgpack

from actors.kind import AnyKind

_encoder = msgpack.Encoder()
_salvager = msgpack.Encoder(enc_hook=repr)

encode = _encoder.encode


class Codec:
    """Reads what actors of one kind wrote: states and messages."""

    __slots__ = ("message", "state")

    def __init__(self, kind: AnyKind) -> None:
        self.state = msgpack.Decoder(kind.state_type).decode
        self.message = msgpack.Decoder[Struct](kind.message_type).decode


def salvaged(message: object) -> bytes:
    """Return the bytes of a message that went wrong, whatever it holds."""
    return _salvager.encode(message)
