"""Conformance: what a WebSocket server must make of every kind of frame, right and wrong.

Each case is what a client sends, and what must come of it: the messages and control frames that are
told, and the close code of the fault that ends it, if there is one. Every case holds however the
bytes are cut up on their way. The sections are those of the public conformance suites.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from tests.wire.client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    Frame,
    closed_with,
    fragments,
    frame_head,
    masked,
    veiled,
)
from wire.websocket import FrameReader, framed

FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
MESSAGE_BYTES_MAX = 1 << 20
GREEK = "κόσμε".encode()
WHOLE_READS, BYTE_BY_BYTE, ODD_READS = 1 << 30, 1, 7


class Case(NamedTuple):
    """What is sent, what is told, and the close code of the fault."""

    name: str
    sent: bytes
    told: Sequence[Frame]
    fault: int | None = None


def sizes() -> Iterator[Case]:
    """Messages at the edges of the three ways to write a length."""
    for opcode, word in ((TEXT, "text"), (BINARY, "binary")):
        for size in (0, 1, 125, 126, 127, 128, 4096, 65535, 65536, 131072):
            payload = b"*" * size
            yield Case(f"a {word} of {size} bytes", masked(payload, opcode), [(opcode, payload)])


def pings() -> Iterator[Case]:
    """Pings and pongs, asked for and not."""
    every = bytes(range(256))
    yield Case("an empty ping", masked(b"", PING), [(PING, b"")])
    yield Case("a ping of any bytes", masked(every[-125:], PING), [(PING, every[-125:])])
    yield Case("a pong nobody asked for", masked(b"", PONG), [(PONG, b"")])
    yield Case("a pong with a payload", masked(b"late", PONG), [(PONG, b"late")])
    yield Case("a ping that is too long", frame_head(126, FIN | PING), [], 1002)
    yield Case("a pong that is too long", frame_head(65536, FIN | PONG), [], 1002)
    many = [b"ping %d" % number for number in range(10)]
    yield Case(
        "ten pings at once",
        b"".join(masked(ping, PING) for ping in many),
        [(PING, ping) for ping in many],
    )
    yield Case(
        "a pong, then a ping",
        masked(b"a", PONG) + masked(b"b", PING),
        [(PONG, b"a"), (PING, b"b")],
    )


def reserved_bits() -> Iterator[Case]:
    """No extension is agreed upon, so none of its bits may be set."""
    for bits in (RSV1, RSV2, RSV1 | RSV2, RSV3, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            yield Case(
                f"reserved bits {bits:#x} on {opcode}",
                masked(b"before", TEXT) + masked(b"x", first=FIN | bits | opcode),
                [(TEXT, b"before")],
                1002,
            )
    yield Case(
        "a reserved bit on a continuation",
        masked(b"a", first=TEXT) + masked(b"b", first=FIN | RSV1 | CONTINUATION),
        [],
        1002,
    )


def opcodes() -> Iterator[Case]:
    """Opcodes that nobody has defined."""
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"reserved"):
            yield Case(
                f"opcode {opcode} with {len(payload)} bytes",
                masked(b"before", TEXT) + masked(payload, opcode) + masked(b"", PING),
                [(TEXT, b"before")],
                1002,
            )


def fragmented() -> Iterator[Case]:
    """Messages in pieces, and what may come between the pieces."""
    first, middle, last = TEXT, CONTINUATION, FIN | CONTINUATION
    one, two, three = masked(b"one ", first=first), masked(b"two ", first=middle), b""
    three = masked(b"three", first=last)
    ping = masked(b"still there?", PING)
    whole, asked = (TEXT, b"one two three"), (PING, b"still there?")
    yield Case("a message in three", one + two + three, [whole])
    yield Case("a ping between", one + ping + two + three, [asked, whole])
    yield Case("pings everywhere", one + ping + two + ping + three, [asked, asked, whole])
    yield Case("empty fragments", masked(b"", first=first) + masked(b"", first=last), [(TEXT, b"")])
    yield Case(
        "an empty fragment amid others",
        one + masked(b"", first=middle) + three,
        [(TEXT, b"one three")],
    )
    yield Case("a ping in fragments", masked(b"a", first=PING), [], 1002)
    yield Case("a pong in fragments", masked(b"a", first=PONG), [], 1002)
    yield Case("a close in fragments", masked(b"", first=CLOSE), [], 1002)
    yield Case("a continuation of nothing", masked(b"x", first=last), [], 1002)
    yield Case("an open continuation of nothing", masked(b"x", first=middle), [], 1002)
    yield Case(
        "a continuation after a whole message",
        masked(b"whole", TEXT) + three,
        [(TEXT, b"whole")],
        1002,
    )
    yield Case("a new message amid another", one + masked(b"new", TEXT), [], 1002)
    yield Case("a new first fragment amid another", one + one, [], 1002)
    yield Case("a binary amid a text", one + masked(b"new", BINARY), [], 1002)
    yield Case(
        "two messages in fragments",
        one + three + one + two + three,
        [(TEXT, b"one three"), whole],
    )
    for size in (1, 64, 256, 1024):
        payload = b"0123456789abcdef" * 256
        sent = b"".join(fragments(payload, size))
        yield Case(f"fragments of {size}", sent, [(BINARY, payload)])


SOUND_TEXTS = {
    "nothing": b"",
    "ascii": b"Hello-!@#$%^&*",
    "greek": GREEK,
    "the first of two bytes": "\u0080".encode(),
    "the first of three bytes": "\u0800".encode(),
    "the first of four bytes": "\U00010000".encode(),
    "the last of all": "\U0010ffff".encode(),
    "around the surrogates": "\ud7ff\ue000\ufffd".encode(),
    "no characters": "\ufffe\uffff".encode(),
    "a zero": b"\x00",
}
UNSOUND_TEXTS = {
    "a lonely continuation": b"\x80",
    "many of them": b"\x80\xbf\x80\xbf",
    "a first byte alone": b"\xc3 ",
    "three bytes cut short": b"\xe0\xa0",
    "four bytes cut short": b"\xf0\x90\x80",
    "an overlong slash": b"\xc0\xaf",
    "an overlong of three": b"\xe0\x80\xaf",
    "an overlong of four": b"\xf0\x80\x80\xaf",
    "an overlong zero": b"\xc0\x80",
    "a surrogate": b"\xed\xa0\x80",
    "a pair of them": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "the byte fe": b"\xfe",
    "the byte ff": b"\xff",
}


def texts() -> Iterator[Case]:
    """A text is UTF-8, whole and in fragments, and binary need not be."""
    for name, text in SOUND_TEXTS.items():
        yield Case(f"text: {name}", masked(text, TEXT), [(TEXT, text)])
        if text:
            sent = b"".join(fragments(text, 1, TEXT))
            yield Case(f"text in fragments: {name}", sent, [(TEXT, text)])
    for name, text in UNSOUND_TEXTS.items():
        yield Case(f"no text: {name}", masked(GREEK + text, TEXT), [], 1007)
        sent = b"".join(fragments(GREEK + text, 1, TEXT))
        yield Case(f"no text in fragments: {name}", sent, [], 1007)
        yield Case(f"binary: {name}", masked(text), [(BINARY, text)])
    early = masked(GREEK, first=TEXT) + masked(b"\xf4\x90\x80\x80", first=CONTINUATION)
    yield Case("a fault that needs no end of the message", early, [], 1007)


def closings() -> Iterator[Case]:
    """Close frames: their codes, their reasons, and what follows them."""
    yield Case("no code", closed_with(None), [(CLOSE, b"")])
    yield Case("half a code", masked(b"\x03", CLOSE), [], 1002)
    for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999):
        yield Case(f"the code {code}", closed_with(code), [(CLOSE, code.to_bytes(2))])
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield Case(f"no such code: {code}", closed_with(code), [], 1002)
    reason = b"x" * 123
    yield Case("the longest reason", closed_with(1000, reason), [(CLOSE, b"\x03\xe8" + reason)])
    yield Case("a reason too long", frame_head(126, FIN | CLOSE), [], 1002)
    yield Case("a reason that is no text", closed_with(1000, b"\xce\xba\xff"), [], 1007)
    bye = (CLOSE, b"\x03\xe8")
    yield Case("a ping after it", closed_with(1000) + masked(b"", PING), [bye])
    yield Case("a message after it", closed_with(1000) + masked(b"late", TEXT), [bye])
    yield Case("a second one", closed_with(1000) + closed_with(1001), [bye])
    yield Case("amid a message", masked(b"a", first=TEXT) + closed_with(1000), [bye])


def limits() -> Iterator[Case]:
    """Sizes: at the limit, beyond it, and such as are written wrongly."""
    most = MESSAGE_BYTES_MAX
    payload = b"m" * most
    half = b"m" * (most // 2)
    opening, continuing = masked(half, first=BINARY), masked(half, first=CONTINUATION)
    yield Case("the largest message", masked(payload), [(BINARY, payload)])
    yield Case("one byte more", frame_head(most + 1), [], 1009)
    yield Case("as large as can be written", frame_head(2**63 - 1), [], 1009)
    yield Case("larger than that", frame_head(2**64 - 1), [], 1009)
    yield Case("the largest in fragments", b"".join(fragments(payload, 4096)), [(BINARY, payload)])
    more = frame_head(1, FIN | CONTINUATION)
    yield Case("one byte more in fragments", opening + continuing + more, [], 1009)
    for opcode in (TEXT, BINARY, PING):
        small = bytes((FIN | opcode, 0x80 | 126, 0, 5)) + MASK + veiled(b"small")
        yield Case(f"a length in two bytes needlessly, on {opcode}", small, [], 1002)
    wide = bytes((FIN | BINARY, 0x80 | 127)) + (65535).to_bytes(8) + MASK
    yield Case("a length in eight bytes needlessly", wide, [], 1002)


def unmasked() -> Iterator[Case]:
    """What a client sends is masked, or it is no client."""
    for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
        yield Case(f"opcode {opcode} without a mask", framed(b"", opcode), [], 1002)


SECTIONS = (
    sizes,
    pings,
    reserved_bits,
    opcodes,
    fragmented,
    texts,
    closings,
    limits,
    unmasked,
)
CASES = [case for section in SECTIONS for case in section()]
SHORT = [case for case in CASES if len(case.sent) <= 2048]


def told(sent: bytes, bytes_a_read: int) -> tuple[list[Frame], int | None]:
    """What a reader tells of these bytes, and the code of the fault."""
    reader = FrameReader(MESSAGE_BYTES_MAX)
    events: list[Frame] = []
    for start in range(0, len(sent), bytes_a_read):
        events += reader.read(sent[start : start + bytes_a_read])
    return events, reader.fault.code if reader.fault else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_is_understood_or_refused(case: Case) -> None:
    events, fault = told(case.sent, WHOLE_READS)

    assert events == list(case.told)
    assert fault == case.fault


@pytest.mark.parametrize("bytes_a_read", [BYTE_BY_BYTE, ODD_READS])
@pytest.mark.parametrize("case", SHORT, ids=lambda case: case.name)
def test_it_does_not_matter_how_the_bytes_are_cut(case: Case, bytes_a_read: int) -> None:
    events, fault = told(case.sent, bytes_a_read)

    assert events == list(case.told)
    assert fault == case.fault


def test_large_messages_arrive_in_reads_of_any_size() -> None:
    long = [case for case in CASES if len(case.sent) > 2048]

    results = [(case.name, told(case.sent, 1460)) for case in long]

    assert results == [(case.name, (list(case.told), case.fault)) for case in long]
