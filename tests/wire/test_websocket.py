"""The WebSocket codec: how a socket is opened, what is sent, and what no bytes can do to it."""

import gc
import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.client import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Frame,
    closed_with,
    masked,
    request,
    taken_apart,
)
from wire.websocket import (
    HEAD_BYTES_MAX,
    LOST,
    NO_STATUS,
    FrameReader,
    Refusal,
    Upgrade,
    close_code,
    closing,
    framed,
    read_handshake,
)

SPOKEN = ("dispatch.v1.msgpack", "dispatch.v1.json")
MESSAGE_BYTES_MAX = 4096
SEED = 20261122


def upgraded(asked: bytes) -> Upgrade:
    """The handshake that a request leads to."""
    answer = read_handshake(asked, SPOKEN)
    assert isinstance(answer, Upgrade), answer
    return answer


def test_a_socket_is_opened_as_in_the_example_of_the_rfc() -> None:
    answer = upgraded(request("/v1/courier")).answer

    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert f"\r\nSec-WebSocket-Accept: {ACCEPT}\r\n".encode() in answer
    assert b"Extensions" not in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_handshake_tells_what_was_asked_for() -> None:
    asked = request(
        "/v1/stream?feed=rst_1",
        Origin="https://shop.example",
        Authorization="Bearer abc",
        User_Agent="phone/1",
        Sec_WebSocket_Protocol="chat, dispatch.v1.json, dispatch.v1.msgpack",
        Sec_WebSocket_Extensions="permessage-deflate",
    )

    upgrade = upgraded(asked + b"early")

    handshake = upgrade.handshake
    assert (handshake.path, handshake.query) == ("/v1/stream", "feed=rst_1")
    assert handshake.subprotocol == "dispatch.v1.json"
    assert b"\r\nSec-WebSocket-Protocol: dispatch.v1.json\r\n" in upgrade.answer
    assert handshake.origin == "https://shop.example"
    assert handshake.authorization == "Bearer abc"
    assert handshake.user_agent == "phone/1"
    assert upgrade.end == len(asked)


def test_nothing_is_answered_before_the_request_is_whole() -> None:
    asked = request("/v1/courier")

    early = [read_handshake(asked[:end], SPOKEN) for end in range(len(asked))]

    assert set(early) == {None}


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        (request(line="POST / HTTP/1.1"), 400, "GET"),
        (request(line="GET / HTTP/1.0"), 400, "HTTP/1.1"),
        (request(line="GET http://elsewhere/ HTTP/1.1"), 400, "GET /path"),
        (request(line="GET /a b HTTP/1.1"), 400, "GET /path"),
        (request("/\x7f"), 400, "GET /path"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "GET /path"),
        (request(Host=None), 400, "Host"),
        (request(Content_Length="5"), 400, "body"),
        (request(Transfer_Encoding="chunked"), 400, "body"),
        (request(Upgrade=None), 426, "Upgrade: websocket"),
        (request(Upgrade="h2c"), 426, "Upgrade: websocket"),
        (request(Connection="keep-alive"), 426, "Connection: Upgrade"),
        (request(Sec_WebSocket_Version="8"), 426, "13"),
        (request(Sec_WebSocket_Version=None), 426, "13"),
        (request(Sec_WebSocket_Key=None), 400, "Sec-WebSocket-Key"),
        (request(Sec_WebSocket_Key="c2hvcnQ="), 400, "Sec-WebSocket-Key"),
        (request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ\xe9=="), 400, "Sec-WebSocket-Key"),
        (request(Sec_WebSocket_Protocol="chat"), 400, "dispatch.v1.msgpack"),
        (request(X=" folded\r\n over lines"), 400, "Name: value"),
        (request(X="a\nY: b"), 400, "Name: value"),
        (request(X="zero \x00"), 400, "Name: value"),
        (request(X="one\r\nHost: another"), 400, "host comes twice"),
        (request(**{f"X{number}": "x" for number in range(64)}), 431, "64 headers"),
        (request(X="x" * HEAD_BYTES_MAX), 431, "8192"),
        (b"x" * HEAD_BYTES_MAX, 431, "8192"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(asked: bytes, status: int, told: str) -> None:
    answer = read_handshake(asked, SPOKEN)

    assert isinstance(answer, Refusal)
    assert answer.status == status
    assert told in answer.detail
    assert answer.answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close\r\n" in answer.answer


def test_a_request_of_another_version_learns_which_one_is_spoken() -> None:
    refusal = read_handshake(request(Sec_WebSocket_Version="25"), SPOKEN)

    assert isinstance(refusal, Refusal)
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in refusal.answer


def test_headers_that_proxies_repeat_are_no_fault() -> None:
    asked = request(Connection="keep-alive, Upgrade", Via="1.1 a\r\nVia: 1.1 b")

    assert upgraded(asked).handshake.path == "/"


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_a_frame_is_as_short_as_it_can_be(size: int) -> None:
    head_bytes = 2 if size < 126 else 4 if size < 65536 else 10

    frame = framed(b"x" * size, TEXT)

    assert taken_apart(frame) == ([(TEXT, b"x" * size)], b"")
    assert len(frame) == head_bytes + size


def test_a_reason_for_closing_is_cut_between_characters() -> None:
    frame = closing(4430, "é" * 100)

    assert taken_apart(frame) == ([(CLOSE, (4430).to_bytes(2) + "é".encode() * 61)], b"")


@pytest.mark.parametrize("code", [NO_STATUS, LOST])
def test_a_code_that_stands_for_none_is_never_sent(code: int) -> None:
    assert taken_apart(closing(code)) == ([(CLOSE, b"")], b"")
    assert close_code(b"") == NO_STATUS


def test_fragments_are_counted_though_they_tell_nothing() -> None:
    reader = FrameReader(MESSAGE_BYTES_MAX)

    told = reader.read(masked(b"", first=BINARY) + masked(b"", first=CONTINUATION) * 9)

    assert list(told) == []
    assert reader.frames == 10


def test_empty_fragments_without_end_take_no_memory() -> None:
    reader = FrameReader(MESSAGE_BYTES_MAX)
    reader.read(masked(b"", first=BINARY))
    endless = masked(b"", first=CONTINUATION) * 1000
    reader.read(endless)
    tracemalloc.start()

    for _ in range(20):
        reader.read(endless)

    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 1000


def test_a_reader_that_is_idle_holds_nothing() -> None:
    readers = [FrameReader(MESSAGE_BYTES_MAX) for _ in range(1000)]
    frame = masked(b"p" * 60)
    tracemalloc.start()

    for reader in readers:
        reader.read(frame[:9])
        reader.read(frame[9:] + frame)

    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes / len(readers) < 1


@given(
    messages=st.lists(st.binary(max_size=300), max_size=8),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=30),
)
def test_messages_come_out_whole_however_they_were_cut(
    messages: list[bytes], cuts: list[int]
) -> None:
    reader = FrameReader(MESSAGE_BYTES_MAX)
    sent = b"".join(map(masked, messages))
    told: list[Frame] = []

    while sent:
        for cut in cuts:
            told += reader.read(sent[:cut])
            sent = sent[cut:]

    assert told == [(BINARY, message) for message in messages]
    assert reader.fault is None


def mutated(frame: bytes, chance: Random) -> bytes:
    """The frame, with a little of it changed, lost, doubled, or made up."""
    match chance.randrange(6):
        case 0:
            return frame
        case 1:
            place = chance.randrange(len(frame))
            flipped = frame[place] ^ 1 << chance.randrange(8)
            return frame[:place] + bytes((flipped,)) + frame[place + 1 :]
        case 2:
            return frame[: chance.randrange(len(frame))]
        case 3:
            place = chance.randrange(len(frame))
            return frame[:place] + frame
        case 4:
            return bytes((chance.randrange(256),)) + frame[1:]
        case _:
            return chance.randbytes(chance.randrange(1, 40))


def some_frame(chance: Random) -> bytes:
    """A frame that is right by itself."""
    payload = chance.randbytes(chance.choice((0, 1, 20, 125, 126, 400)))
    first = chance.choice((0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x82, 0x82))
    shapes = (
        masked(payload, first=first),
        masked(payload[:125], PING),
        closed_with(chance.choice((1000, 1005, 3000, 4400)), payload[:20]),
    )
    return chance.choices(shapes, weights=(16, 3, 1))[0]


def survived(frames: int, seed: int) -> int:
    """Feed so many frames, right and wrong, to readers; return how many sessions they made."""
    chance, sessions = Random(seed), 0
    reader = FrameReader(MESSAGE_BYTES_MAX)
    for _ in range(frames):
        is_over = reader.is_over
        told = reader.read(mutated(some_frame(chance), chance))
        assert not (is_over and told)
        assert all(len(payload) <= MESSAGE_BYTES_MAX for _, payload in told)
        assert reader.is_over or reader.fault is None
        if reader.is_over and chance.random() < 0.9:
            reader, sessions = FrameReader(MESSAGE_BYTES_MAX), sessions + 1
    return sessions


def test_no_bytes_can_make_the_reader_fail() -> None:
    assert survived(5_000, SEED) > 500


@pytest.mark.slow
def test_a_hundred_thousand_wrong_frames_leave_no_trace() -> None:
    survived(10_000, SEED)
    gc.collect()
    tracemalloc.start()

    sessions = survived(100_000, SEED + 1)

    gc.collect()
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sessions > 10_000
    assert held_bytes < 64 * 1024
