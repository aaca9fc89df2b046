"""Frames of the leanest client, read by the server's own codec, and what breaks a connection."""

from collections.abc import Iterator

import pytest

from simulations.load.flood import BUFFER_BYTES_MAX, Broken, masked, unframed
from wire.websocket import Opcode, framed


def opened(frame: bytes) -> tuple[int, bytes]:
    """Return the opcode and the payload of one masked frame, byte by byte as the RFC has it."""
    assert frame[1] & 0x80, "a client masks"
    length, begins = frame[1] & 0x7F, 2
    if length >= 126:
        begins = 4 if length == 126 else 10
        length = int.from_bytes(frame[2:begins])
    mask, payload = frame[begins : begins + 4], frame[begins + 4 :]
    assert len(payload) == length
    return frame[0] & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_what_is_sent_is_one_whole_masked_frame(length: int) -> None:
    payload = bytes(at % 251 for at in range(length))

    frame = masked(0x2, payload, b"\x01\x02\x03\x04")

    assert opened(frame) == (0x2, payload)


@pytest.mark.parametrize("cut", [1, 2, 3, 50])
def test_frames_are_found_however_they_are_cut(cut: int) -> None:
    payloads = [b"", b"a" * 125, b"b" * 126, b"c" * 70_000]
    stream = b"".join(bytes(framed(payload, Opcode.BINARY)) for payload in payloads)
    received, found = bytearray(), list[bytes]()

    for part in parts(stream, cut):
        received += part
        found += [payload for _, payload in unframed(received)]

    assert found == payloads
    assert not received


@pytest.mark.parametrize(
    "head", [b"\x02\x01a", b"\x82\x81\x00\x00\x00\x00a", b"\x82\x7f" + (1 << 40).to_bytes(8)]
)
def test_a_fragment_a_masked_frame_and_a_giant_break_the_connection(head: bytes) -> None:
    with pytest.raises(Broken):
        list(unframed(bytearray(head)))
    assert BUFFER_BYTES_MAX < 1 << 40


def parts(stream: bytes, cut: int) -> Iterator[bytes]:
    """Yield the stream in parts: short ones first, then ever longer ones."""
    at, size = 0, cut
    while at < len(stream):
        yield stream[at : at + size]
        at, size = at + size, size * 2
