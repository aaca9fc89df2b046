"""Passwords as argon2id hashes, made in threads, a few at a time.

Looking at a password that cannot be right costs as much as looking at one that might be. More
people than can wait are told to come again: hashing is the one thing here by which a crowd could
starve the node.
"""

import unicodedata
from collections.abc import Callable

import trio
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dispatch.step import Code
from services.accounts.denied import Denied
from services.accounts.terms import HashTerms

RETRY_S = 2.0


class Passwords:
    """Makes hashes, and compares with them."""

    def __init__(self, terms: HashTerms) -> None:
        self._hasher = PasswordHasher(terms.rounds, terms.memory_kib, terms.lanes)
        self._limiter = trio.CapacityLimiter(terms.at_once_max)
        self._waiting_max = terms.waiting_max
        self._decoy = ""

    async def opening(self) -> None:
        """Make the hash that stands in where there is none."""
        self._decoy = await self.hashed("nobody's password")

    async def hashed(self, password: str) -> str:
        """Return the hash of a password; raises Denied when too many wait for theirs."""
        return await self._in_turn(lambda: self._hasher.hash(_plain(password)))

    async def is_right(self, kept: str, password: str) -> bool:
        """Tell whether a hash is of this password; an empty one is of none, and takes as long."""
        fits = await self._in_turn(lambda: self._compared(kept or self._decoy, password))
        return fits and bool(kept)

    def is_stale(self, kept: str) -> bool:
        """Tell whether a hash was made with other costs than it would be now."""
        return self._hasher.check_needs_rehash(kept)

    def _compared(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _plain(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn[T](self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= self._waiting_max:
            told = "too many people are signing in: try again in a moment"
            raise Denied(Code.OVERLOADED, told, oauth="temporarily_unavailable", retry_s=RETRY_S)
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


def _plain(password: str) -> str:
    """Return the characters that are meant, however a keyboard composes them."""
    return unicodedata.normalize("NFKC", password)
