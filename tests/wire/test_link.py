"""The frames of the node link: whole however they were split, and broken only in one way."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from dispatch.ids import MarketId, ShardId
from dispatch.step import Accepted, Code, Refused
from wire.link import (
    FRAME_BYTES_MAX,
    GREETING_BYTES_MAX,
    NONCE_BYTES,
    SECRET_BYTES_MIN,
    VERSION,
    Answer,
    Ask,
    Beat,
    Failed,
    Frame,
    FrameReader,
    Gone,
    Hello,
    Late,
    LinkBroken,
    Listen,
    Owner,
    Proof,
    SecretTooShort,
    Shown,
    Side,
    Unlisten,
    Where,
    check_greeting,
    check_proof,
    check_secret,
    framed,
    proof,
)

SECRET = b"sixteen or more bytes"
DIALLED = Hello(VERSION, "a", bytes(NONCE_BYTES))
ANSWERED = Hello(VERSION, "b", b"\x01" * NONCE_BYTES)
FRAMES: tuple[Frame, ...] = (
    DIALLED,
    Proof(b"\x02" * 32),
    Beat(),
    Ask(1, ShardId(7), "order", "o1", b"\x00\xff", 2.5),
    Answer(1, Accepted()),
    Answer(2, Refused(Code.NOT_FOUND, "no such order")),
    Answer(3, Gone("it has moved", "127.0.0.1:7001")),
    Answer(4, Failed("ValueError")),
    Answer(5, Late()),
    Listen(6, "cus_1", 41),
    Shown(6, 42, b"shown"),
    Unlisten(6),
    Where(7, ShardId(2**60)),
    Where(8, MarketId("copenhagen")),
    Owner(7, ShardId(2**60), "127.0.0.1:7001", ("127.0.0.1:7001", "127.0.0.1:7002")),
    Owner(8, None),
)


def read(*parts: bytes, bytes_max: int = FRAME_BYTES_MAX) -> list[Frame]:
    """Return the frames in these parts, read as they come."""
    reader = FrameReader(bytes_max)
    frames: list[Frame] = []
    for part in parts:
        reader.feed(part)
        frames.extend(reader.frames())
    return frames


def test_every_frame_comes_back_as_it_was_sent() -> None:
    sent = b"".join(map(framed, FRAMES))

    assert tuple(read(sent)) == FRAMES


@given(st.lists(st.integers(0, 600), max_size=40))
def test_any_split_of_the_bytes_gives_the_same_frames(cuts: list[int]) -> None:
    sent = b"".join(map(framed, FRAMES))
    ends = [0, *sorted(cuts), len(sent)]
    parts = [sent[start:end] for start, end in pairwise(ends)]

    frames = read(*parts)

    assert tuple(frames) == FRAMES


@given(st.binary(max_size=200))
@example(framed(Beat())[:-2] + b"\xc1\xc1")
@example(b"\x00\x00\x00\x0a\x93\xa4tell\xa3\xff\xff\xff\x01")
def test_garbage_is_frames_or_a_broken_link_and_never_another_error(garbage: bytes) -> None:
    try:
        frames = read(garbage)
    except LinkBroken:
        frames = []

    assert all(isinstance(frame, Frame.__value__) for frame in frames)


@given(st.sampled_from(FRAMES), st.binary(min_size=1, max_size=8), st.integers(0, 80))
def test_a_frame_with_a_few_wrong_bytes_is_a_frame_or_a_broken_link(
    frame: Frame, wrong: bytes, at: int
) -> None:
    sent = bytearray(framed(frame))
    at = 4 + at % (len(sent) - 4)
    sent[at : at + len(wrong)] = wrong[: len(sent) - at]

    try:
        frames = read(bytes(sent))
    except LinkBroken:
        frames = []

    assert len(frames) <= 1


def test_what_came_before_a_broken_frame_is_still_read() -> None:
    reader = FrameReader()
    reader.feed(framed(Beat()) + b"\xff\xff\xff\xff")
    frames = reader.frames()

    assert next(frames) == Beat()
    with pytest.raises(LinkBroken, match="4294967295 bytes"):
        next(frames)


def test_an_empty_frame_breaks_the_link() -> None:
    with pytest.raises(LinkBroken, match="0 bytes"):
        read(bytes(4))


def test_a_stranger_gets_no_room_for_a_large_frame() -> None:
    large = framed(Ask(1, ShardId(7), "order", "o1", bytes(GREETING_BYTES_MAX), 1.0))

    with pytest.raises(LinkBroken, match="are allowed here"):
        read(large[:4], bytes_max=GREETING_BYTES_MAX)

    assert len(read(large)) == 1


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("inf"), float("nan"), 1e9])
def test_an_ask_for_no_time_or_for_ever_breaks_the_link(timeout_s: float) -> None:
    sent = framed(Ask(1, ShardId(7), "order", "o1", b"", timeout_s))

    with pytest.raises(LinkBroken):
        read(sent)


def test_a_frame_too_large_to_send_is_our_own_fault() -> None:
    with pytest.raises(ValueError, match="larger than"):
        framed(Ask(1, ShardId(7), "order", "o1", bytes(FRAME_BYTES_MAX), 1.0))


@pytest.mark.parametrize("side", Side)
def test_who_knows_the_secret_proves_it(side: Side) -> None:
    given_proof = proof(SECRET, side, DIALLED, ANSWERED)

    check_proof(SECRET, side, DIALLED, ANSWERED, given_proof)

    assert SECRET not in given_proof.digest


@pytest.mark.parametrize(
    ("secret", "side", "dialled", "answered"),
    [
        (b"another secret of a cluster", Side.DIALLED, DIALLED, ANSWERED),
        (SECRET, Side.ANSWERED, DIALLED, ANSWERED),
        (SECRET, Side.DIALLED, ANSWERED, DIALLED),
        (SECRET, Side.DIALLED, structs.replace(DIALLED, nonce=b"\x09" * NONCE_BYTES), ANSWERED),
        (SECRET, Side.DIALLED, DIALLED, structs.replace(ANSWERED, node="c")),
    ],
)
def test_a_proof_counts_for_one_secret_one_side_and_one_pair_of_greetings(
    secret: bytes, side: Side, dialled: Hello, answered: Hello
) -> None:
    elsewhere = proof(secret, side, dialled, answered)

    with pytest.raises(LinkBroken, match="does not know the secret"):
        check_proof(SECRET, Side.DIALLED, DIALLED, ANSWERED, elsewhere)


def test_a_peer_of_another_version_is_told_apart() -> None:
    with pytest.raises(LinkBroken, match="one release"):
        check_greeting(structs.replace(DIALLED, version=VERSION + 1))


def test_a_secret_that_could_be_guessed_is_none() -> None:
    with pytest.raises(SecretTooShort, match=f"{SECRET_BYTES_MIN} or more"):
        check_secret(b"short")
