"""Secrets that must be read again, sealed under a key made of the cluster's own secret.

Whoever has the database alone has none of them. What was sealed for one purpose opens for no other,
and what was sealed under another secret does not open at all.
"""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
_KEY_BYTES = 32


class Vault:
    """Seals and opens; `entropy` gives so many bytes of chance."""

    def __init__(self, secret: str, entropy: Callable[[int], bytes]) -> None:
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"dispatch accounts vault 1")
        self._cipher = AESGCM(derived.derive(secret.encode()))
        self._entropy = entropy

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Return what `open` turns back, for the same purpose only."""
        nonce = self._entropy(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def find(self, sealed: bytes, purpose: str) -> bytes | None:
        """Return what was sealed; None for what was not sealed here for that purpose."""
        nonce, kept = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, kept, purpose.encode())
        except (InvalidTag, ValueError):  # The second for what is too short to be anything.
            return None
