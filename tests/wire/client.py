"""The client's side of the WebSocket protocol, for tests: written apart from the codec under test.

Frames can be made as wrong as a test wants them; what a server sends is taken apart strictly.
"""

from collections.abc import Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of the example in RFC 6455, and below what a server must make of it."""
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"
REQUEST = {
    "Host": "dispatch.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}

type Frame = tuple[int, bytes]


def request(path: str = "/", /, line: str | None = None, **headers: str | None) -> bytes:
    """A request for a socket; a header is added as `Its_Name="value"`, or taken out by None."""
    asked: dict[str, str | None] = {
        **REQUEST,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in asked.items() if value is not None]
    return "\r\n".join([line or f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def masked(payload: bytes = b"", opcode: int = BINARY, *, first: int | None = None) -> bytes:
    """A whole frame of a client; `first` says the first byte outright."""
    return frame_head(len(payload), 0x80 | opcode if first is None else first) + veiled(payload)


def frame_head(size: int, first: int = 0x80 | BINARY) -> bytes:
    """The head of a client's frame of so many bytes, its mask included."""
    if size < 126:
        return bytes((first, 0x80 | size)) + MASK
    if size < 65536:
        return bytes((first, 0x80 | 126)) + size.to_bytes(2) + MASK
    return bytes((first, 0x80 | 127)) + size.to_bytes(8) + MASK


def veiled(payload: bytes) -> bytes:
    """The payload under the mask."""
    whole = int.from_bytes(payload)
    mask = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    return (whole ^ int.from_bytes(mask)).to_bytes(len(payload))


def fragments(payload: bytes, size: int, opcode: int = BINARY) -> Iterator[bytes]:
    """The frames of a message that is sent in fragments of so many bytes."""
    for start in range(0, len(payload), size):
        is_last = start + size >= len(payload)
        first = (0x80 if is_last else 0) | (opcode if start == 0 else CONTINUATION)
        yield masked(payload[start : start + size], first=first)


def closed_with(code: int | None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return masked(b"" if code is None else code.to_bytes(2) + reason, CLOSE)


def taken_apart(received: bytes) -> tuple[list[Frame], bytes]:
    """The frames of a server in these bytes, and what is left of the last."""
    frames: list[Frame] = []
    while len(received) >= 2:
        first, size, begin = received[0], received[1], 2
        assert first & 0xF0 == 0x80, "a server here sends whole frames without extensions"
        assert size < 0x80, "a server never masks"
        if size >= 126:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(received[2:begin])
        if len(received) < begin + size:
            break
        frames.append((first & 0x0F, received[begin : begin + size]))
        received = received[begin + size :]
    return frames, received
