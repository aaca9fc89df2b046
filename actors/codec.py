"""The one place where states and messages become bytes and come back.

Bytes are msgpack. What is read back is validated against the types that the kind names, so that a
checkpoint of another version or a foreign row is an error here and not a riddle in a machine.
"""

from msgspec import DecodeError, Struct, msgpack

from actors.kind import AnyKind

_encoder = msgpack.Encoder()
_salvager = msgpack.Encoder(enc_hook=repr)

encode = _encoder.encode

UNREADABLE = (UnicodeDecodeError, RecursionError)
"""What msgspec raises besides `DecodeError`, for bad UTF-8 and for what is nested too deep."""


class Codec:
    """Reads what actors of one kind wrote; raises `DecodeError` for what cannot be read."""

    __slots__ = ("_message", "_state")

    def __init__(self, kind: AnyKind) -> None:
        self._state = msgpack.Decoder(kind.state_type).decode
        self._message = msgpack.Decoder[Struct](kind.message_type).decode

    def state(self, written: bytes) -> object:
        """Return a state."""
        try:
            return self._state(written)
        except UNREADABLE as error:
            raise DecodeError(str(error)) from error

    def message(self, written: bytes) -> Struct:
        """Return a message."""
        try:
            return self._message(written)
        except UNREADABLE as error:
            raise DecodeError(str(error)) from error


def salvaged(message: object) -> bytes:
    """Return the bytes of a message that went wrong, whatever it holds."""
    return _salvager.encode(message)
