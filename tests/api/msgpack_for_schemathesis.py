"""What schemathesis is to know before it runs: how a body is written in msgpack."""

from typing import Any

import msgspec
import schemathesis

UNREADABLE = b"\xc1"
"""The one byte with which nothing in msgpack begins."""


@schemathesis.serializer("application/msgpack")
def written(_context: object, value: Any) -> bytes:  # noqa: ANN401 - whatever a schema allows.
    """Return a body in msgpack; what that has no form for is sent as something unreadable."""
    try:
        return value if isinstance(value, bytes) else msgspec.msgpack.encode(value)
    except OverflowError:
        return UNREADABLE
