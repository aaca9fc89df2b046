"""The server's side of the WebSocket protocol (RFC 6455): bytes in, events out.

Nothing here reads a socket or a clock. `read_handshake` makes of a request's head the answer that
accepts or refuses it; a `FrameReader` makes messages of whatever pieces their bytes come in; the
frames to send are built by `framed` and `closing`, one for as many receivers as there are.

It is strict: no extensions, so no compression and no reserved bit; every frame masked and of the
shortest length that fits; text is UTF-8. Whatever breaks a rule is a `Fault` with the close code to
answer with, found as early as the bytes allow, and nothing is read after it. An idle reader holds
no bytes, and a busy one never more than the largest message, one frame and one read.
"""

import base64
import binascii
import codecs
import hashlib
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from msgspec import Struct

from wire.frames import CloseCode

try:
    from websockets.speedups import apply_mask
except ImportError:  # A platform without the compiled one: some forty times slower, and the same.
    from websockets.utils import apply_mask

HEAD_BYTES_MAX: Final = 8 * 1024
"""The longest request line with its headers."""
HEADERS_MAX: Final = 64
NO_STATUS: Final = 1005
"""Stands for the code of a close frame that has none; never sent."""
LOST: Final = 1006
"""Stands for the code of a connection that ended without a close frame; never sent."""
CONTROL_BYTES_MAX: Final = 125
REASON_BYTES_MAX: Final = CONTROL_BYTES_MAX - 2

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
_VERSION = "13"
_REQUEST_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)")
_ONLY_ONCE = frozenset(
    {"authorization", "content-length", "host", "origin"}
    | {"sec-websocket-key", "sec-websocket-version"}
)

_FIN = 0x80
_MASKED = 0x80
_SMALL_MAX = 125
_SECOND_MAX = _MASKED | _SMALL_MAX
"""The second byte of a frame whose length is in it."""
_SIZE_IN_TWO = 126
_TWO_MAX = 0xFFFF
_RESERVED = 0x70
_SMALL_HEADER_BYTES = 6
"""What a small frame has before its payload: two bytes, and the mask."""
_SIZE_MIN = {6: 0, 8: 126, 14: 65536}
"""The least payload for which a client's header may have so many bytes."""


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_WHOLE_TEXT = _FIN | Opcode.TEXT.value
_WHOLE_BINARY = _FIN | Opcode.BINARY.value
_WHOLE = frozenset({_WHOLE_TEXT, _WHOLE_BINARY})
_FIRST_CONTROL = _FIN | Opcode.CLOSE.value
_LEGAL_FIRST = frozenset(
    {
        *(opcode.value | _FIN for opcode in Opcode),
        *(opcode.value for opcode in Opcode if opcode < Opcode.CLOSE),
    }
)
"""The first byte of a frame: no reserved bit, a known opcode, and only messages in fragments."""

_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_OWN_CODES = range(3000, 5000)
"""Close codes for libraries and applications."""

type Event = tuple[int, bytes]
"""A whole message (TEXT, BINARY) or a control frame, by its opcode, with the payload unmasked."""


class Fault(Struct, frozen=True):
    """What the other side did wrong, and the close code that says so."""

    code: int
    reason: str


class Handshake(Struct, frozen=True, kw_only=True, gc=False):
    """What a client asked for as it opened a socket."""

    path: str
    query: str = ""
    subprotocol: str | None = None
    origin: str = ""
    authorization: str = ""
    user_agent: str = ""
    forwarded: str = ""
    """What the header of that name says of the way the request came, and the next one too."""
    forwarded_for: str = ""


class Upgrade(Struct, frozen=True, kw_only=True):
    """A handshake that is accepted: `answer` opens the socket; frames begin at `end`."""

    handshake: Handshake
    answer: bytes
    end: int


class Refusal(Struct, frozen=True):
    """A handshake that is not accepted, and why, for whoever wrote the client."""

    status: int
    detail: str

    @property
    def answer(self) -> bytes:
        """The response, after which the connection is closed."""
        body = f"{self.detail}\n".encode()
        return (
            f"HTTP/1.1 {self.status} {_PHRASES[self.status]}\r\n"
            f"{_ADVICE.get(self.status, '')}"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        ).encode() + body


_PHRASES = {
    400: "Bad Request",
    404: "Not Found",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_ADVICE = {
    426: f"Upgrade: websocket\r\nSec-WebSocket-Version: {_VERSION}\r\n",
    503: "Retry-After: 5\r\n",
}


def read_handshake(
    received: bytes | bytearray, subprotocols: Sequence[str]
) -> Upgrade | Refusal | None:
    """Return what to answer to a request; None while its head is not all here.

    Of the subprotocols the client names, the first one that is in `subprotocols` is chosen.
    """
    end = received.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    if end < 0:
        if len(received) < HEAD_BYTES_MAX:
            return None
        return Refusal(431, f"the request's head is longer than {HEAD_BYTES_MAX} bytes")
    request, *lines = bytes(received[:end]).split(b"\r\n")
    asked = _REQUEST_LINE.fullmatch(request)
    if asked is None:
        return Refusal(400, "a socket is opened by `GET /path HTTP/1.1`")
    headers = _headers(lines)
    if isinstance(headers, Refusal):
        return headers
    path, _, query = asked[1].decode("ascii").partition("?")
    return _unacceptable(headers) or _upgrade(path, query, headers, subprotocols, end + 4)


def _headers(lines: Sequence[bytes]) -> dict[str, str] | Refusal:
    """Return the headers by their names in lower case; what comes twice is joined."""
    if len(lines) > HEADERS_MAX:
        return Refusal(431, f"there are more than {HEADERS_MAX} headers")
    headers: dict[str, str] = {}
    for line in lines:
        matched = _HEADER_LINE.fullmatch(line)
        if matched is None:
            return Refusal(400, "a header is not of the form `Name: value`")
        name, value = matched[1].decode().lower(), matched[2].strip().decode("latin-1")
        if name in headers:
            if name in _ONLY_ONCE:
                return Refusal(400, f"the header {name} comes twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _unacceptable(headers: dict[str, str]) -> Refusal | None:
    """Tell what keeps a request from becoming a socket."""
    if "host" not in headers:
        return Refusal(400, "there is no Host header")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return Refusal(400, "a request for a socket has no body")
    if "websocket" not in _tokens(headers.get("upgrade", "").lower()):
        return Refusal(426, "this is a WebSocket: ask for `Upgrade: websocket`")
    if "upgrade" not in _tokens(headers.get("connection", "").lower()):
        return Refusal(426, "this is a WebSocket: ask for `Connection: Upgrade`")
    if headers.get("sec-websocket-version") != _VERSION:
        return Refusal(426, f"the version of WebSocket spoken here is {_VERSION}")
    if not _is_key(headers.get("sec-websocket-key", "")):
        return Refusal(400, "Sec-WebSocket-Key is not sixteen bytes in base64")
    return None


def _upgrade(
    path: str, query: str, headers: dict[str, str], subprotocols: Sequence[str], end: int
) -> Upgrade | Refusal:
    offered = _tokens(headers.get("sec-websocket-protocol", ""))
    chosen = next((name for name in offered if name in subprotocols), None)
    if offered and chosen is None:
        return Refusal(400, f"the subprotocols spoken here are {', '.join(subprotocols)}")
    handshake = Handshake(
        path=path,
        query=query,
        subprotocol=chosen,
        origin=headers.get("origin", ""),
        authorization=headers.get("authorization", ""),
        user_agent=headers.get("user-agent", ""),
        forwarded=headers.get("forwarded", ""),
        forwarded_for=headers.get("x-forwarded-for", ""),
    )
    answer = _acceptance(headers["sec-websocket-key"], chosen)
    return Upgrade(handshake=handshake, answer=answer, end=end)


def _acceptance(key: str, subprotocol: str | None) -> bytes:
    # RFC 6455 names SHA-1 here as a proof that the server understood, not as a secret.
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{chosen}Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n"
    ).encode()


def _tokens(value: str) -> list[str]:
    return [token for part in value.split(",") if (token := part.strip())]


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def framed(payload: bytes, opcode: int = Opcode.BINARY) -> bytes:
    """Return a whole, unmasked frame, as a server sends it."""
    size = len(payload)
    if size <= _SMALL_MAX:
        return bytes((_FIN | opcode, size)) + payload
    if size <= _TWO_MAX:
        return bytes((_FIN | opcode, _SIZE_IN_TWO)) + size.to_bytes(2) + payload
    return bytes((_FIN | opcode, _SIZE_IN_TWO + 1)) + size.to_bytes(8) + payload


def closing(code: int, reason: str = "") -> bytes:
    """Return a close frame; a reason that is too long is cut."""
    if code in {NO_STATUS, LOST}:
        return framed(b"", Opcode.CLOSE)
    cut = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
    return framed(code.to_bytes(2) + cut.encode(), Opcode.CLOSE)


def close_code(payload: bytes) -> int:
    """Return the code of a close frame that was found to be right."""
    return int.from_bytes(payload[:2]) if payload else NO_STATUS


class _Message:
    """A message of which some fragments are here."""

    __slots__ = ("opcode", "payload", "text")

    def __init__(self, opcode: int) -> None:
        self.opcode = opcode
        self.payload = bytearray()
        self.text = _utf8() if opcode == Opcode.TEXT else None

    def is_sound(self, *, is_whole: bool, fragment: bytes) -> bool:
        """Tell whether the text so far can be, or be the beginning of, UTF-8."""
        if self.text is None:
            return True
        try:
            self.text.decode(fragment, is_whole)
        except UnicodeDecodeError:
            return False
        return True


_utf8 = codecs.getincrementaldecoder("utf-8")


class FrameReader:
    """Makes messages and control frames of what a client sends.

    It `is_over` after a close frame, and once the client broke a rule: `fault` is which. `frames`
    says how many frames the last `read` came upon: fragments make no event, but they are work.
    """

    __slots__ = ("_bytes_max", "_held", "_message", "_wanted", "fault", "frames", "is_over")

    def __init__(self, bytes_max: int) -> None:
        assert bytes_max >= CONTROL_BYTES_MAX
        self._bytes_max = bytes_max
        self._held: bytearray | None = None
        self._wanted = 0
        self._message: _Message | None = None
        self.fault: Fault | None = None
        self.frames = 0
        self.is_over = False

    def read(self, received: bytes) -> Sequence[Event]:
        """Return what is complete now, in order; nothing once it is over."""
        size = len(received) - _SMALL_HEADER_BYTES
        if (
            0 <= size <= _SMALL_MAX
            and received[0] == _WHOLE_BINARY
            and received[1] == _MASKED | size
            and self._held is None
            and self._message is None
            and not self.is_over
        ):
            self.frames = 1
            return ((Opcode.BINARY, apply_mask(received[6:], received[2:6])),)
        self.frames = 0
        if self.is_over:
            return ()
        if self._held is not None:
            self._held += received
            if len(self._held) < self._wanted:
                return ()
            received, self._held = bytes(self._held), None
        return self._read_frames(received)

    def _read_frames(self, received: bytes) -> list[Event]:
        """Read frame after frame, and keep what remains.

        One function, since every call that it made for each frame would cost as much as a frame.
        """
        events: list[Event] = []
        start, end, wanted = 0, len(received), 2
        while end - start >= wanted:
            first, second = received[start], received[start + 1]
            size, begin = second & 0x7F, start + _SMALL_HEADER_BYTES
            if first not in _LEGAL_FIRST or second < _MASKED:
                return self._failed(events, CloseCode.PROTOCOL, _header_fault(first))
            if size > _SMALL_MAX:
                begin += 2 if size == _SIZE_IN_TWO else 8
                if begin - 4 > end:
                    wanted = begin - 4 - start
                    break
                size = int.from_bytes(received[start + 2 : begin - 4])
            stop = begin + size
            is_plain = first in _WHOLE and second <= _SECOND_MAX and self._message is None
            if not is_plain and (fault := self._fault(first, size, begin - start)) is not None:
                return self._failed(events, *fault)
            if stop > end:
                wanted = stop - start
                break
            payload = apply_mask(received[begin:stop], received[begin - 4 : begin])
            self.frames += 1
            start = stop
            if first == _WHOLE_BINARY:
                events.append((Opcode.BINARY, payload))
            elif not self._take(first, payload, events):
                return events
        if start < end:
            self._held, self._wanted = bytearray(received[start:]), wanted
        return events

    def _fault(self, first: int, size: int, header_bytes: int) -> tuple[int, str] | None:
        """Tell what is wrong with a frame of which only the header is known."""
        if first >= _FIRST_CONTROL:
            if header_bytes > _SMALL_HEADER_BYTES:
                return CloseCode.PROTOCOL, "a control frame is too long"
            return None
        if size < _SIZE_MIN[header_bytes]:
            return CloseCode.PROTOCOL, "a length takes more bytes than it needs"
        is_first = first & ~_FIN != Opcode.CONTINUATION
        if is_first is (self._message is not None):
            told = "no message is open" if not is_first else "another message is still open"
            return CloseCode.PROTOCOL, told
        before = 0 if self._message is None else len(self._message.payload)
        if before + size > self._bytes_max:
            return CloseCode.TOO_LARGE, f"a message may have {self._bytes_max} bytes"
        return None

    def _take(self, first: int, payload: bytes, events: list[Event]) -> bool:
        """Take a frame whose header is right; False when nothing may follow it."""
        opcode, is_whole = first & ~_FIN, first >= _FIN
        if opcode >= Opcode.CLOSE:
            return self._take_control(opcode, payload, events)
        if first == _WHOLE_TEXT:
            if not payload.isascii() and not _is_utf8(payload):
                self._failed(events, CloseCode.NOT_UTF8, "a text is not UTF-8")
                return False
            events.append((Opcode.TEXT, payload))
            return True
        message = self._message = self._message or _Message(opcode)
        if not message.is_sound(is_whole=is_whole, fragment=payload):
            self._failed(events, CloseCode.NOT_UTF8, "a text is not UTF-8")
            return False
        message.payload += payload
        if is_whole:
            events.append((message.opcode, bytes(message.payload)))
            self._message = None
        return True

    def _take_control(self, opcode: int, payload: bytes, events: list[Event]) -> bool:
        if opcode == Opcode.CLOSE:
            self.is_over, self._message = True, None
            self.fault = _close_fault(payload)
        if self.fault is None:
            events.append((opcode, payload))
        return not self.is_over

    def _failed(self, events: list[Event], code: int, reason: str) -> list[Event]:
        """Read nothing more, and let go of what was held."""
        self.is_over, self._message = True, None
        self.fault = Fault(code, reason)
        return events


def _header_fault(first: int) -> str:
    if first in _LEGAL_FIRST:
        return "a client's frames are masked"
    if first & _RESERVED:
        return "no extension was agreed upon, so no reserved bit may be set"
    return "there is no such frame"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _close_fault(payload: bytes) -> Fault | None:
    """Tell what is wrong with a close frame."""
    if not payload:
        return None
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not (code in _CLOSE_CODES or code in _OWN_CODES):
        return Fault(CloseCode.PROTOCOL, "there is no such close code")
    if not _is_utf8(payload[2:]):
        return Fault(CloseCode.NOT_UTF8, "the reason for closing is not UTF-8")
    return None
