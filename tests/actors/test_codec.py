"""Bytes that cannot be read are one sort of error, whatever is wrong with them."""

import pytest
from msgspec import DecodeError, msgpack

from actors.codec import Codec, encode
from tests.actors.bank import ACCOUNT, Account, Notify

CODEC = Codec(ACCOUNT)
BAD_TEXT = encode(Notify("ann", "hello")).replace(b"hello", b"he\xff\xfeo")
DEEP = b"\x82\xa4type\xa6notify\xa1x" + b"\x91" * 50_000
BAD_NAME = encode(Account(sent=("hello",))).replace(b"hello", b"he\xff\xfeo")


def test_what_was_written_is_read_back() -> None:
    assert CODEC.message(encode(Notify("ann", "hello"))) == Notify("ann", "hello")
    assert CODEC.state(encode(Account(balance=5))) == Account(balance=5)


@pytest.mark.parametrize(
    "written", [b"", b"\xc1", BAD_TEXT, msgpack.encode({"type": "unheard of"}), DEEP]
)
def test_a_message_that_cannot_be_read_is_a_decode_error(written: bytes) -> None:
    with pytest.raises(DecodeError):
        CODEC.message(written)


@pytest.mark.parametrize("written", [b"", b"\xc1", BAD_NAME, msgpack.encode({"balance": "x"})])
def test_a_state_that_cannot_be_read_is_a_decode_error(written: bytes) -> None:
    with pytest.raises(DecodeError):
        CODEC.state(written)
