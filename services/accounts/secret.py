"""Secrets that are handed out: what they look like, and the digests that are kept of them.

Each is made of 256 random bits, so that a plain SHA-256 is enough to keep: nobody can try them all.
What has not the form of one is known for wrong without asking any store.
"""

import re
from base64 import urlsafe_b64encode
from binascii import crc32
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

SECRET_BYTES = 32
HINT_CHARS = 12

_TEXT = r"[A-Za-z0-9_-]{43}"
_API_KEY = re.compile(rf"sk_(?:test|live)_{_TEXT}[0-9a-f]{{8}}")
_REFRESH = re.compile(rf"rt_(ses_[0-9a-z]{{26}})\.({_TEXT})\.({_TEXT})")
_CHECK_CHARS = 8


class Refresh(Struct, frozen=True):
    """What a refresh token is made of. The family is common to all tokens of a session."""

    session_id: str
    family_digest: bytes
    digest: bytes


def a_secret(entropy: Callable[[int], bytes]) -> str:
    """Return 256 random bits as text."""
    return urlsafe_b64encode(entropy(SECRET_BYTES)).decode().rstrip("=")


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return sha256(secret.encode()).digest()


def an_api_key(entropy: Callable[[int], bytes], *, is_live: bool) -> str:
    """Return a new API key; its last characters check the ones before."""
    body = f"sk_{'live' if is_live else 'test'}_{a_secret(entropy)}"
    return body + _check(body)


def is_api_key(written: str) -> bool:
    """Tell whether it can be an API key at all."""
    fits = _API_KEY.fullmatch(written) is not None
    return fits and _check(written[:-_CHECK_CHARS]) == written[-_CHECK_CHARS:]


def hint_of(api_key: str) -> str:
    """Return the beginning of a key, to tell it from others by."""
    return f"{api_key[:HINT_CHARS]}..."


def a_refresh_token(session_id: str, family: str, secret: str) -> str:
    """Return the refresh token of a session, of its family and of a secret of its own."""
    return f"rt_{session_id}.{family}.{secret}"


def refresh_of(token: str) -> Refresh | None:
    """Return what a refresh token is made of; None for what is none."""
    found = _REFRESH.fullmatch(token)
    if found is None:
        return None
    session_id, family, secret = found.groups()
    return Refresh(session_id, digest_of(family), digest_of(secret))


def family_of(token: str) -> str:
    """Return what the next refresh token of the session has in common with this one."""
    found = _REFRESH.fullmatch(token)
    assert found, "only for a token that `refresh_of` knows"
    return found.group(2)


def _check(body: str) -> str:
    return f"{crc32(body.encode()):08x}"
